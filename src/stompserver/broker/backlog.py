"""What waits in a queue: in memory, in the order of the keys, and above the window's tail in the store."""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import TYPE_CHECKING, Final

from stompserver.broker import overflow
from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.memory import Memory
from stompserver.broker.message import DEAD, NUMBER, OUT, WAITING, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.sweep import Sweep
from stompserver.broker.window import Reader, Window

if TYPE_CHECKING:
    from stompserver.broker.matching import Matching
    from stompserver.broker.subscription import Delivery, Subscription

ROUND: Final = 60_000
"""Milliseconds at least between two looks for what expired in the store."""


class Keeper:
    """What a queue asks of the broker that keeps it."""

    __slots__ = ()

    def bury(self, queue: Backlog, message: Message, reason: str, cause: str) -> None:
        """``message`` left ``queue`` for good without being consumed: see whether a dead letter queue takes it."""

    def overdue(self, deliveries: list[Delivery]) -> None:
        """The leases of ``deliveries``, all of one subscription, ended."""


class Backlog(Reader):
    """Ready messages are in key order: ``ready`` in the order they came, ``returned`` (a heap) those that were
    delivered and came back, and those of a higher priority. With a store behind it only a window is in memory:
    messages above its tail are ``paged``, counted here and found in the store.

    ``window`` says how much may be in memory; without one all is. ``policy`` has its rules. ``matching`` is there
    while selectors or message groups decide who may have what.
    """

    __slots__ = (
        "bytes",
        "clock",
        "deadlines",
        "delayed",
        "dequeued",
        "enqueued",
        "held",
        "idle",
        "keeper",
        "last",
        "log",
        "matching",
        "memory",
        "mortal",
        "newest",
        "odd",
        "paged",
        "passed",
        "policy",
        "ready",
        "returned",
        "subscriptions",
        "sweep",
        "tail",
        "total",
        "unacked",
        "values",
        "waiting",
        "window",
    )

    def __init__(
        self,
        name: str,
        log: OpLog,
        memory: Memory,
        window: Window | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        deadlines: Deadlines | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__(name)
        self.memory = memory
        self.window = window
        self.policy: Policy = policy or Policy()
        self.clock: Clock = clock or Clock()
        self.deadlines: Deadlines = deadlines or Deadlines()
        self.keeper: Keeper = keeper or Keeper()
        self.ready: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self.paged: int = 0
        self.tail: int = 0
        """Key of the newest message that is, or was, in the window."""
        self.last: int = 0
        """Highest key that was paged."""
        self.newest: int = 0
        """Highest number of a message that was paged."""
        self.delayed: int = 0
        """Messages that wait for the time of their redelivery."""
        self.enqueued: int = 0
        self.dequeued: int = 0
        self.unacked: int = 0
        self.bytes: int = 0
        """Bytes of its messages in memory, ready or unacked."""
        self.held: int = 0
        """Of these, bytes of what is ready."""
        self.total: int = 0
        """Bytes of its messages, also of those in the store."""
        self.mortal: int = 0
        """When the first of the messages that only the store has expires, as far as is known; 0 for never."""
        self.sweep: Sweep | None = None
        self.values: dict[str, Message] | None = None
        """The newest message of each key of a last-value queue."""
        self.matching: Matching | None = None
        self.subscriptions: list[Subscription] = []
        # What every message asks for is next to each other, here and at the beginning of Served (bench: growth).
        self.log = log
        self.waiting: int = 0
        """Messages ready, returned and paged: not those that are delivered and not settled, nor ``delayed`` ones."""
        self.odd = False
        """Whether a message that comes needs more than a place in line."""
        self.passed: int = 0
        """Messages that were consumed as they came; neither ``enqueued`` nor ``dequeued`` counts them."""
        self.idle = False
        """Whether the broker may forget it."""

    def _overflows(self, message: Message) -> bool:
        """Whether the window has no room for it."""
        window = self.window
        if window is None or message.key < self.tail or (self.values is not None and not self.paged):
            return False
        return (
            self.paged > 0
            or self.waiting > window.count
            or self.held + message.size > window.bytes
            # Memory is for what somebody will take: many small backlogs must not keep all who send waiting.
            or (not self.subscriptions and self.memory.used > self.memory.ample)
        )

    def _page(self, message: Message) -> int:
        self.paged += 1
        key: int = message.key
        if key > self.last:
            self.last = key
        if key & NUMBER > self.newest:
            self.newest = key & NUMBER
        self.passed_by(key)
        if message.expires:
            self.expect(message.expires)
        if self.matching is not None:
            for filter in self.matching.filters.values():
                filter.passed_by(key)
        # In memory until the commit: the pump takes it off again.
        self.memory.used += message.size
        if self.subscriptions and self.window is not None:
            self._look(self.window)
        return self.log.put(self.name, message, True)

    def standing(self) -> list[Message]:
        """The waiting messages that are in memory, in the order of their keys."""
        found = [message for message in self.ready if message.state == WAITING]
        if self.returned:
            found.extend([message for _, message in self.returned if message.state == WAITING])
            found.sort(key=_key)
        return found

    def _admit(self, message: Message) -> None:
        size: int = message.size
        self.bytes += size
        self.memory.used += size
        if message.key > self.tail:
            self.tail = message.key

    def _append(self, message: Message) -> None:
        self.held += message.size
        ready = self.ready
        if not ready or message.key > ready[-1].key:
            ready.append(message)
        else:
            heappush(self.returned, (message.key, message))

    def restore(self, count: int, lowest: int, highest: int, bytes: int) -> None:
        """Begin with ``count`` messages in the store, with keys from ``lowest`` to ``highest``."""
        self.waiting += count
        self.paged += count
        self.enqueued += count
        self.total += bytes
        self.tail = lowest - 1
        self.last = highest
        self.newest = highest & NUMBER

    def after(self) -> int:
        """The window's tail."""
        return self.tail

    def room(self) -> tuple[int, int]:
        """Messages and bytes that the window may take."""
        window = self.window
        if window is None:
            return 0, 0
        return max(1, window.count - len(self.ready)), max(1, window.bytes - self.held)

    def _look(self, window: Window) -> None:
        """Ask for paged messages when the window runs low and somebody listens."""
        if self.hungry:
            return
        if self.values is None:
            if len(self.ready) > window.count // 2 or self.held > window.bytes // 2:
                return
            # Groups that wait must not bring the whole queue into memory.
            if self.matching is not None and self.waiting - self.paged > 16 * window.count:
                return
        self.want(window)

    def lapsed(self, message: Message) -> bool:
        """Whether its time is over."""
        return message.expires != 0 and message.expires <= self.clock.now

    def stale(self, message: Message) -> bool:
        """Whether the time of a waiting message is over; then it is gone."""
        if not message.expires or message.expires > self.clock.now:
            return False
        self.lose(message, "expired")
        return True

    def expect(self, expires: int) -> None:
        """Look through the store when something in it expires, but not all the time."""
        if self.window is None or (self.mortal and self.mortal <= expires):
            return
        self.mortal = expires
        self.deadlines.add(Round(max(expires, self.clock.now + ROUND), self))

    def go_round(self) -> None:
        """It is time to look."""
        if self.sweep is None and self.window is not None and self.paged and self.mortal <= self.clock.now:
            self.mortal = 0
            self.sweep = Sweep(self, self.window, False)
            self.sweep.start()

    def lose(self, message: Message, reason: str) -> None:
        """Give up a waiting message that is in memory, wherever it stands."""
        message.state = DEAD
        self.waiting -= 1
        self.held -= message.size
        alone = self.log.begin()
        self._forget(message)
        self.keeper.bury(self, message, reason, "")
        if alone:
            self.log.end()

    def lose_paged(self, message: Message, reason: str) -> None:
        """Give up a message that only the store has."""
        if self.matching is not None and message.key in self.matching.apart:
            return
        if message.key <= self.tail:
            return
        message.stored = True
        self.paged -= 1
        self.waiting -= 1
        self.total -= message.size
        self.dequeued += 1
        alone = self.log.begin()
        self.log.remove(self.name, message)
        if self.matching is not None:
            # Nothing may find it in what is read already.
            self.matching.apart[message.key] = self.log.number
        self.keeper.bury(self, message, reason, "")
        if alone:
            self.log.end()

    def shed(self, dead: bool) -> bool:
        """Give up the oldest message that waits, to the dead letter queue if it is to be ``dead``; false when it has
        to be read first, or there is none.
        """
        first: Message | None = None
        for message in self.ready:
            if message.state == WAITING:
                first = message
                break
        for _, message in self.returned:
            if message.state == WAITING and (first is None or message.key < first.key):
                first = message
        if first is not None:
            self.lose(first, overflow.OVERFLOW if dead else "dropped")
            return True
        if self.paged and self.window is not None:
            self.want(self.window)
        return False

    def _forget(self, message: Message) -> None:
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.total -= size
        self.memory.used -= size
        number = self.log.remove(self.name, message)
        if self.odd:
            # Only then are there these.
            if self.matching is not None:
                self.matching.left(message, number)
            if self.values is not None:
                self._forget_value(message)

    def keep_last_values(self) -> None:
        """Be a last-value queue: of the messages with the same key only the newest waits. All are in memory."""
        if self.values is not None:
            return
        self.values = {}
        self.odd = True
        standing = self.standing()
        for message in standing:
            if self._outdated(message):
                self.lose(message, "replaced")
        if self.paged and self.window is not None:
            self._look(self.window)

    def _value_of(self, message: Message) -> str | None:
        if self.policy.last_value:
            value = message.headers.get(self.policy.last_value)
            if value is not None:
                return value
        return message.headers.get("_AMQ_LVQ_NAME")

    def replaces(self, message: Message) -> Message | None:
        """The waiting message that a new one takes the place of; the new one is the last value from now on."""
        values = self.values
        if values is None:
            return None
        value = self._value_of(message)
        if value is None:
            return None
        old = values.get(value)
        values[value] = message
        return old if old is not None and old.state < OUT else None

    def _outdated(self, message: Message) -> bool:
        """Whether a newer message with its key is known; else it is the newest itself."""
        values = self.values
        value = self._value_of(message)
        if values is None or value is None:
            return False
        known = values.get(value)
        # The newer one, whatever their priorities are.
        if known is not None and known.key & NUMBER > message.key & NUMBER:
            return True
        values[value] = message
        if known is not None and known is not message and known.state < OUT:
            self.lose(known, "replaced")
        return False

    def _forget_value(self, message: Message) -> None:
        value = self._value_of(message)
        if self.values is not None and value is not None and self.values.get(value) is message:
            del self.values[value]


class Expiry(Timed):
    """The end of a message's time."""

    __slots__ = ("_backlog", "_message")

    def __init__(self, when: int, backlog: Backlog, message: Message) -> None:
        super().__init__(when)
        self._backlog = backlog
        self._message = message

    def due(self, now: int) -> None:
        if self._message.state < OUT:
            self._backlog.lose(self._message, "expired")


class Round(Timed):
    """A look at what expired in the store."""

    __slots__ = ("_backlog",)

    def __init__(self, when: int, backlog: Backlog) -> None:
        super().__init__(when)
        self._backlog = backlog

    def due(self, now: int) -> None:
        self._backlog.go_round()


def _key(message: Message) -> int:
    return message.key
