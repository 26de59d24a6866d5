"""Counts what a client of a limited login sends, and stops reading it for as long as it was too much."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from stompserver.server.hang_up import is_gone
from stompserver.server.peer import RATED, Peer

if TYPE_CHECKING:
    from stompserver.session.usage import Usage

LOOK: Final = 1.0
"""Seconds between two looks whether a client that waits is still there, and its limit still the same."""


class Metered(Peer, Protocol):
    """A connection, as its transport sees it besides."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, problem: Exception | None) -> None: ...


class Meter(asyncio.Protocol):
    """Stands between a transport and its connection, only for logins with a rate: others pay nothing. What one read
    brought is done; then nothing is read until the rate is kept again, so nothing is lost.
    """

    __slots__ = ("_connection", "_ended", "_loop", "_sent", "_timer", "_usage")

    def __init__(self, connection: Metered, usage: Usage, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._usage = usage
        self._loop = loop
        self._ended = False
        self._sent = connection.session.sent if connection.session is not None else 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Wait for what earlier connections of the login sent too fast."""
        self.count(0)

    def data_received(self, data: bytes) -> None:
        self._connection.data_received(data)
        self.count(len(data))

    def eof_received(self) -> bool:
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connection.connection_lost(exc)

    def count(self, octets: int) -> None:
        """So many octets came, and what was sent since the last time; read no more where that was too much."""
        if self._ended:
            return
        session = self._connection.session
        sent = session.sent if session is not None else self._sent
        wait = self._usage.use(sent - self._sent, octets, self._loop.time())
        self._sent = sent
        if wait > 0 and session is not None and self._timer is None and not self._connection.gone:
            self._connection.hold(RATED)
            self._timer = self._loop.call_later(min(wait, LOOK), self._look)

    def end(self) -> None:
        """It is no connection of its login any more: what was sent in the end counts for the next one."""
        self.count(0)
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        connection = self._connection
        if connection.session is None:
            return
        if is_gone(connection.fileno()):
            connection.abort()
            return
        wait = self._usage.use(0, 0, self._loop.time())
        if wait > 0:
            self._timer = self._loop.call_later(min(wait, LOOK), self._look)
        else:
            connection.release(RATED)
            # What waited in the connection was sent now.
            self.count(0)
