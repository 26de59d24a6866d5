"""Back-pressure: producers are not read while memory is above the high mark, or the storage is behind."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.subscription import Consumer, Subscription
from stompserver.server.peer import CHOKED, THROTTLED, Peer
from stompserver.server.storage.pump import Pump
from stompserver.session.talk import Talk

log = logging.getLogger("stompserver")

LOOK: Final = 1.0
"""Seconds between two checks why producers still wait."""

TELL: Final = 10.0
"""Seconds between two log lines about producers that wait: a fast one waits many times a second."""

HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)


class Producers:
    """Stops reading those who send while more than the high mark is in use, until it is below the low mark; and
    while too much waits for the storage.

    A producer that waits must not be the one whose ACKs would free memory. So one that has deliveries to
    acknowledge does not wait (it is refused at the limit). The unfinished frames of those who wait are not counted
    (``captive``), because only they could free them. Subscribers of
    topics that lag are closed when they alone keep the others waiting. ``soon`` is called when something may go on
    at the end of the turn.
    """

    def __init__(
        self,
        broker: Broker,
        pump: Pump | None,
        connections: Mapping[Talk, Peer],
        soon: Callable[[], None],
    ) -> None:
        self._connections = connections
        self._broker = broker
        self._memory = broker.memory
        self._pump = pump
        self._soon = soon
        self._loop = asyncio.get_running_loop()
        self.waiting: dict[Peer, int] = {}
        """Producers that wait for memory or the storage, and the bytes that each holds."""
        self._captive = 0
        self._active: set[Peer] = set()
        """Producers that do not wait."""
        self.choked: list[Peer] = []
        """Producers that wait for room in a queue."""
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._told = -TELL
        self._silent = False

    @property
    def behind(self) -> bool:
        """Whether the storage cannot keep up, or does not answer."""
        return self._pump is not None and self._pump.pausing

    @property
    def short(self) -> bool:
        """Whether those who send may have to wait."""
        # Asked for each packet: not by way of ``behind`` (bench: latency).
        pump = self._pump
        return self._memory.scarce(0) or (pump is not None and pump.pausing)

    def sent(self, connection: Peer) -> None:
        """``connection`` has sent messages, or a large part of one."""
        self._active.add(connection)
        if self.short:
            # All of them now: each that is read once more adds what one read brings.
            for each in list(self._active):
                self.stop(each)

    def stop(self, connection: Peer, unread: int = 0) -> bool:
        """Let ``connection`` wait if it must and may, with ``unread`` more bytes; whether it waits."""
        memory = self._memory
        if connection not in self.waiting:
            holds = connection.holds
            enough = not memory.scarce(self._captive + holds) and not self.behind
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

    def choke(self, connection: Peer) -> None:
        """Let ``connection`` wait until the queue it sent to has room, unless it may be needed for that."""
        session = connection.session
        if session is None or not connection.may_wait:
            if session is not None:
                session.unblock()
        elif connection not in self.choked:
            if self._timer is None:
                self._set()
            self.choked.append(connection)
            connection.hold(CHOKED)

    def _unchoke(self) -> None:
        choked = self.choked
        self.choked = []
        for connection in choked:
            session = connection.session
            if session is not None and session.blocked and connection.may_wait:
                self.choked.append(connection)
            else:
                if session is not None:
                    session.unblock()
                connection.release(CHOKED)
        if not self.waiting:
            self._end()

    def free(self, connection: Peer) -> None:
        """Read ``connection`` again, whatever the others do."""
        self.waive(connection)
        connection.release(THROTTLED)

    def waive(self, connection: Peer) -> None:
        """Forget ``connection``: it is gone, or must not wait any more."""
        self._active.discard(connection)
        holds = self.waiting.pop(connection, None)
        if holds is not None:
            self._captive -= holds
            if not self.waiting:
                self._end()

    def settle(self) -> None:
        """Read producers again: all of them when memory is below the low mark and the storage has caught up, and each
        whose queue has room again.
        """
        if self.choked:
            self._unchoke()
        if self.waiting and self._memory.eased(self._captive) and not self.behind:
            released = list(self.waiting)
            self.waiting.clear()
            self._active.update(released)
            self._captive = 0
            self._end()
            if not self._silent:
                text = "Producers go on: %d bytes of messages"
                log.info(text, self._memory.used, extra={"event": "unthrottled"})
            for connection in released:
                # What one before it had sent may have filled the memory again.
                if connection not in self.waiting:
                    connection.release(THROTTLED)

    def _begin(self) -> None:
        if self._timer is None:
            self._set()
        now = self._loop.time()
        self._silent = now - self._told < TELL
        if not self._silent:
            self._told = now
            text = "Producers wait: %d bytes of messages, memory-limit %d"
            log.warning(text, self._memory.used, self._memory.limit, extra={"event": "throttled"})

    def _end(self) -> None:
        if self._timer is not None and not self.choked:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._due = self._loop.time() + LOOK
        self._timer = self._loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        """Producers have waited for a while: find those that are gone, and whom they wait for."""
        self._timer = None
        # Who had no chance to read, because this process stood still, is not slow.
        late = self._loop.time() - self._due > LOOK
        if self.waiting or self.choked:
            self._set()
        self._look_at_sockets()
        if self.waiting and not late:
            self._relieve()
        self._soon()

    def _look_at_sockets(self) -> None:
        """Find producers whose clients have left: a connection that is not read does not show it, and would go on to
        count against max-connections. And those that have something else to say than SEND, which may be what the
        others wait for: a SUBSCRIBE, or that an open transaction ends.
        """
        numbers: dict[int, Peer] = {}
        poll = select.poll()
        for connection in [*self.waiting, *self.choked]:
            number = connection.fileno()
            if number >= 0:
                numbers[number] = connection
                poll.register(number, HANG_UP | select.POLLIN)
        for number, event in poll.poll(0):
            connection = numbers[number]
            if event == select.POLLIN:
                if not connection.sends_next():
                    self._hear(connection)
                continue
            # What it sent before it left is still read (STOMP 1.2, RECEIPT).
            connection.gone = True
            self.free(connection)

    def _hear(self, connection: Peer) -> None:
        """Read a connection that waits, until it sends again."""
        if connection in self.choked:
            self.choked.remove(connection)
            if connection.session is not None:
                connection.session.unblock()
            connection.release(CHOKED)
        self.free(connection)

    def _relieve(self) -> None:
        """Close those who hold more than half of the memory together, the largest first: subscribers of topics that
        fall behind, clients that do not read, and those that do not end their frames.
        """
        direct: dict[Consumer, Subscription] = {}
        held: list[tuple[int, Subscription]] = []
        for topic in self._broker.topics.values():
            direct.update({s.consumer: s for s in topic.direct + topic.chosen})
            held += [(q.bytes, q.subscriptions[0]) for q in topic.queues if q.subscriptions]
        held += [(consumer.behind, s) for consumer, s in direct.items()]
        found: list[tuple[int, Callable[[], None]]] = [
            (size, partial(each.consumer.lag, each)) for size, each in held
        ]
        for connection in self._connections.values():
            size = connection.burden()
            if size:
                found.append((size, connection.dismiss))
        excess = sum([size for size, _ in found]) - self._memory.limit // 2
        found.sort(key=lambda each: each[0], reverse=True)
        for size, close in found:
            if excess <= 0:
                break
            close()
            excess -= size
