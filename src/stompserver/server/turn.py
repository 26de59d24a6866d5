"""The end of a loop turn: what sessions had to say in it goes out, one write a socket, and what waited goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from stompserver.broker.deadlines import Deadlines
from stompserver.server.alarm import Alarm
from stompserver.server.peer import Peer
from stompserver.server.producers import Producers
from stompserver.server.storage.pump import Pump
from stompserver.session.talk import Talk

log = logging.getLogger("stompserver.connection")
broker_log = logging.getLogger("stompserver.broker")

SHARE: Final = 0.005
"""Seconds of a turn in which what was read is done, beyond one step for each connection; what is left then waits for
the next turn, so that others are heard between.
"""


WRITES: Final = 0.005
"""Seconds of a turn for writing to those who have something new, and as many for those who wait for that."""

LOOK: Final = 32
"""Connections written to between two looks at the clock."""


class Turn:
    """Calls, once at the end of each turn in which something happened: the connections of sessions that are
    ``dirty``, the producers that wait, the pump, and connections that were read enough for one turn. Logs the
    ``notes`` of the broker.
    """

    def __init__(
        self,
        dirty: list[Talk],
        connections: Mapping[Talk, Peer],
        producers: Producers,
        pump: Pump | None,
        alarm: Alarm,
        deadlines: Deadlines,
        notes: list[str],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dirty = dirty
        self._connections = connections
        self._producers = producers
        self._pump = pump
        self._alarm = alarm
        self._deadlines = deadlines
        self._notes = notes
        self._late: list[Talk] = []
        """Sessions that have something to say for which there was no time: one message may go to very many."""
        self._resting: list[Peer] = []
        self._until: float = 0.0
        """When the share of this turn is over; 0 while nobody has asked."""
        self._scheduled = False

    def soon(self) -> None:
        """Have ``flush`` called at the end of this turn, if there is anything for it to do."""
        if self._scheduled:
            return
        if (
            self._dirty
            or self._late
            or self._resting
            or self._producers.waiting
            or self._producers.choked
            or self._pump is not None
            or self._deadlines.sooner
            or self._notes
        ):
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def share(self, now: float) -> float:
        """Until when, in this turn, connections may go on with what was read of them."""
        if not self._until:
            self._until = now + SHARE
        return self._until

    def rest(self, connection: Peer) -> None:
        """Let ``connection`` go on when all that is to be sent now was sent."""
        self._resting.append(connection)

    def flush(self) -> None:
        """Send what sessions have to say, and read producers again when there is room."""
        self._scheduled = False
        self._until = 0.0
        if self._deadlines.sooner:
            self._deadlines.sooner = False
            self._alarm.set()
        if self._notes:
            for note in self._notes:
                broker_log.warning("%s", note, extra={"event": "note"})
            self._notes.clear()
        dirty = self._dirty[:]
        self._dirty.clear()
        late = self._late
        fresh = self._write(dirty)
        self._late = self._write(late) + fresh if late else fresh
        self._producers.settle()
        if self._pump is not None:
            self._pump.kick()
        if self._resting:
            self._go_on()
        if self._dirty or self._late or self._resting:
            self.soon()

    def _write(self, sessions: list[Talk]) -> list[Talk]:
        """Send what ``sessions`` have to say; return those for which there is no time in this turn."""
        connections = self._connections
        waiting = self._producers.waiting
        end = 0.0
        left = LOOK
        for session in sessions:
            left -= 1
            if not left:
                left = LOOK
                now = self._loop.time()
                end = end or now + WRITES
                if now >= end:
                    return sessions[sessions.index(session) :]
            session.noticed()
            connection = connections.get(session)
            if connection is not None:
                try:
                    connection.flush()
                    if connection in waiting and session.unsettled:
                        # It was given messages meanwhile, and must be heard when it acknowledges them.
                        self._producers.free(connection)
                except Exception:
                    # Whatever is wrong with one, the others must not wait for it.
                    log.exception("A fault of the server ends a connection", extra={"event": "fault"})
                    connection.abort()
        return []

    def _go_on(self) -> None:
        """Let connections go on that have rested: all that are only to be read again, of the others as many as there
        is time for, in turn.
        """
        resting = self._resting
        self._resting = []
        late: list[Peer] = []
        time = self._loop.time
        for connection in resting:
            session = connection.session
            now = time()
            if session is not None and session.more and now >= self.share(now):
                late.append(connection)
                continue
            try:
                connection.go_on()
            except Exception:
                # As where it is read: whatever is wrong with one, the others must not wait for it.
                log.exception("A fault of the server ends a connection", extra={"event": "fault"})
                connection.abort()
        self._resting = late + self._resting
