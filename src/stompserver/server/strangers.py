"""Clients that are not logged in: what they hold has a share of memory of its own, and they make room for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from stompserver.errors import ClientError, Refused
from stompserver.server.origin import origin_of

PART: Final = 4
"""All clients of one origin may hold the share divided by this."""

GRACE: Final = 1.0
"""Seconds in which a client may log in without being asked to make room for another one."""


class Stranger(Protocol):
    """A connection without a login. ``address`` is the client's."""

    address: str

    def refuse(self, error: ClientError) -> bool:
        """End it with ``error``; false when it ends already."""

    def abort(self) -> None:
        """Cut it without a word; it counts no more from then on."""


class Strangers:
    """Knows those clients from the moment they are accepted until they are logged in, or gone.

    They can hold ``share`` bytes, which are not counted as messages: producers never wait for them. Where that is
    full, or the part of it that one origin has, those that have held something for longest are closed. ``time`` is
    the loop's clock, in s.
    """

    def __init__(self, share: int, time: Callable[[], float]) -> None:
        self.share = share
        self.held = 0
        """Bytes that all of them hold."""
        self._time = time
        self._since: dict[Stranger, float] = {}
        """When each came, the oldest first."""
        self._holders: dict[Stranger, int] = {}
        """Bytes of those that hold any, who began first comes first."""
        self._origins: dict[str, dict[Stranger, int]] = {}
        """The same by origin."""
        self._sums: dict[str, int] = {}
        """Bytes of all of an origin."""

    def enter(self, stranger: Stranger) -> None:
        """Somebody was accepted."""
        self._since[stranger] = self._time()

    def leave(self, stranger: Stranger) -> None:
        """It is logged in, or gone. May be called again."""
        if self._since.pop(stranger, None) is not None:
            self._set(stranger, 0)

    def hold(self, stranger: Stranger, size: int) -> None:
        """It holds so many bytes now. May end it, or others."""
        if stranger not in self._since:
            return
        self._set(stranger, size)
        part = self.share // PART
        origin = origin_of(stranger.address)
        while self._sums.get(origin, 0) > part:
            self._end(next(iter(self._origins[origin])), part)
        while self.held > self.share:
            self._end(next(iter(self._holders)), self.share)

    def make_room(self, address: str = "") -> bool:
        """Cut the oldest of them, of those from ``address`` where one is given; false when there is none that had its
        time to log in.
        """
        late = self._time() - GRACE
        for stranger, since in self._since.items():
            if since > late:
                return False
            if not address or stranger.address == address:
                self.leave(stranger)
                stranger.abort()
                return True
        return False

    def _set(self, stranger: Stranger, size: int) -> None:
        origin = origin_of(stranger.address)
        mine = self._origins.setdefault(origin, {})
        more = size - mine.get(stranger, 0)
        self.held += more
        self._sums[origin] = self._sums.get(origin, 0) + more
        if size:
            self._holders[stranger] = mine[stranger] = size
            return
        self._holders.pop(stranger, None)
        mine.pop(stranger, None)
        if not mine:
            del self._origins[origin], self._sums[origin]

    def _end(self, stranger: Stranger, most: int) -> None:
        self.leave(stranger)
        stranger.refuse(
            Refused(
                "Too much was sent before a login",
                where="the connection, whose CONNECT is not complete, or not answered",
                rule=f"This server keeps {most} bytes of clients without a login, of an address a part of that"
                " (max-memory-before-login)",
                fix="Send CONNECT at once and short, and wait for CONNECTED before more is sent.",
            )
        )
