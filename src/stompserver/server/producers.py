"""Those who send: they are made to wait while memory for messages is short."""

from __future__ import annotations

import asyncio
import logging
import select
from typing import TYPE_CHECKING, Final

from stompserver.broker import overflow
from stompserver.broker.subscription import Consumer, Subscription
from stompserver.server.connection import CHOKED, THROTTLED, Connection

if TYPE_CHECKING:
    from stompserver.server.server import Server

log = logging.getLogger("stompserver")

LOOK: Final = 1.0
"""Seconds between looks at why producers still wait."""

TELL: Final = 10.0
"""Seconds between two log lines about producers that wait: a fast one waits many times a second."""

HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)


class Producers:
    """Stops reading those who send while more than the high mark is in use, until it is below the low mark; and
    while too much waits for the storage.

    Who waits must not be needed to end the waiting. So one that has deliveries to acknowledge does not wait (it
    is refused at the limit), and what those who wait hold themselves, unfinished frames and open transactions,
    does not count: it is ``captive``. Subscribers of topics that lag are closed when they alone keep the others
    waiting.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._memory = server.broker.memory
        self.waiting: dict[Connection, int] = {}
        """Those who wait, and the bytes that each holds."""
        self._captive = 0
        self._active: set[Connection] = set()
        """Those who have sent, and do not wait."""
        self.choked: list[Connection] = []
        """Those who wait for room in a queue."""
        self._timer: asyncio.TimerHandle | None = None
        self._told = -TELL
        self._silent = False

    @property
    def behind(self) -> bool:
        """Whether the storage cannot keep up, or does not answer."""
        pump = self._server.pump
        return pump is not None and pump.pausing

    @property
    def short(self) -> bool:
        """Whether those who send may have to wait."""
        return self._memory.used > self._memory.high or self.behind

    def sent(self, connection: Connection) -> None:
        """``connection`` has sent messages, or a large part of one."""
        self._active.add(connection)
        if self.short:
            # All of them now: each that is read once more adds what one read brings.
            for each in list(self._active):
                self.stop(each)

    def stop(self, connection: Connection, unread: int = 0) -> bool:
        """Let ``connection`` wait if it must and may, with ``unread`` more bytes; whether it waits."""
        memory = self._memory
        if connection not in self.waiting:
            holds = connection.holds
            enough = memory.used - self._captive - holds <= memory.high and not self.behind
            if enough or not connection.may_wait:
                return False
            if not self.waiting:
                self._begin()
            self.waiting[connection] = holds
            self._active.discard(connection)
            self._captive += holds
            connection.hold(THROTTLED)
        self.waiting[connection] += unread
        self._captive += unread
        memory.used += unread
        return True

    def choke(self, connection: Connection) -> None:
        """Let ``connection`` wait until the queue it sent to has room, unless it may be needed for that."""
        session = connection.session
        if session is None or not connection.may_wait:
            if session is not None:
                session.choked = None
        elif connection not in self.choked:
            if self._timer is None:
                self._timer = self._server.loop.call_later(LOOK, self._look)
            self.choked.append(connection)
            connection.hold(CHOKED)

    def _unchoke(self) -> None:
        choked = self.choked
        self.choked = []
        for connection in choked:
            session = connection.session
            queue = session.choked if session is not None else None
            if (
                queue is not None
                and not queue.deleted
                and connection.may_wait
                and overflow.over(queue, 0, 0)
                and queue.policy.overflow == overflow.BLOCK
            ):
                self.choked.append(connection)
            else:
                if session is not None:
                    session.choked = None
                connection.release(CHOKED)
        if not self.waiting:
            self._end()

    def free(self, connection: Connection) -> None:
        """Read ``connection`` again, whatever the others do."""
        self.waive(connection)
        connection.release(THROTTLED)

    def waive(self, connection: Connection) -> None:
        """``connection`` is gone, or may wait no more."""
        self._active.discard(connection)
        holds = self.waiting.pop(connection, None)
        if holds is not None:
            self._captive -= holds
            if not self.waiting:
                self._end()

    def settle(self) -> None:
        """Let all go on when memory is below the low mark and the storage has caught up, and those go on who waited
        for a queue that has room again.
        """
        if self.choked:
            self._unchoke()
        if self.waiting and self._memory.used - self._captive <= self._memory.low and not self.behind:
            released = list(self.waiting)
            self.waiting.clear()
            self._active.update(released)
            self._captive = 0
            self._end()
            if not self._silent:
                text = "Producers go on: %d bytes of messages"
                log.info(text, self._memory.used, extra={"event": "unthrottled"})
            for connection in released:
                connection.release(THROTTLED)

    def _begin(self) -> None:
        if self._timer is None:
            self._timer = self._server.loop.call_later(LOOK, self._look)
        now = self._server.time()
        self._silent = now - self._told < TELL
        if not self._silent:
            self._told = now
            text = "Producers wait: %d bytes of messages, memory-limit %d"
            log.warning(text, self._memory.used, self._memory.limit, extra={"event": "throttled"})

    def _end(self) -> None:
        if self._timer is not None and not self.choked:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Producers have waited for a while: find those who are gone, and those who are to blame."""
        self._timer = None
        if self.waiting or self.choked:
            self._timer = self._server.loop.call_later(LOOK, self._look)
        self._find_gone()
        if self.waiting:
            self._relieve()
        self._server.soon()

    def _find_gone(self) -> None:
        """One that is not read is not seen to leave, and would keep its place among max-connections."""
        numbers: dict[int, Connection] = {}
        poll = select.poll()
        for connection in [*self.waiting, *self.choked]:
            number = connection.fileno()
            if number >= 0:
                numbers[number] = connection
                poll.register(number, HANG_UP)
        for number, _ in poll.poll(0):
            connection = numbers[number]
            # What it sent before it left is still read (STOMP 1.2, RECEIPT).
            connection.gone = True
            self.free(connection)

    def _relieve(self) -> None:
        """Close subscribers of topics that hold more than half of the memory together, the slowest first."""
        direct: dict[Consumer, Subscription] = {}
        held: list[tuple[int, Subscription]] = []
        for topic in self._server.broker.topics.values():
            direct.update({s.consumer: s for s in topic.direct + topic.chosen})
            held += [(q.bytes, q.subscriptions[0]) for q in topic.queues if q.subscriptions]
        held += [(consumer.behind, s) for consumer, s in direct.items()]
        excess = sum([size for size, _ in held]) - self._memory.limit // 2
        held.sort(key=lambda each: each[0], reverse=True)
        for size, subscription in held:
            if excess <= 0:
                break
            subscription.consumer.lag(subscription)
            excess -= size
