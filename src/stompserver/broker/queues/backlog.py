"""What waits in a queue: in memory, in the order of the keys, and above the window's tail in the store."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from heapq import heapify, heappush
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.message import DEAD, NUMBER, OUT, WAITING, Message
from stompserver.broker.names.policy import Policy
from stompserver.broker.queues.line import Line
from stompserver.broker.queues.ring import Ring
from stompserver.broker.queues.shared import Shared
from stompserver.broker.queues.sweep import Sweep
from stompserver.broker.queues.window import Reader, Window

if TYPE_CHECKING:
    from stompserver.broker.subscription import Subscription

ROUND: Final = 60_000
"""Milliseconds at least between two looks for what expired in the store."""

TIMER: Final = 400
"""Bytes that it takes to know when the time of a message that waits is over."""

LADEN: Final = 16
"""One part in LADEN of the memory limit is much for a queue, while memory is short."""

SLACK: Final = 1 << 20
"""Bytes of messages that may stand in line and are gone already, beside as many as those that wait."""


class Backlog(Reader):
    """Ready messages are in key order: ``ready`` in the order they came, ``returned`` (a heap) those that were
    delivered and came back, and those of a higher priority. With a store behind it only a window is in memory:
    messages above its tail are ``paged``, counted here and found in the store.

    ``window`` says how much may be in memory; without one all is. ``policy`` has its rules.
    """

    __slots__ = (
        "apart",
        "bytes",
        "clock",
        "deadlines",
        "delayed",
        "dequeued",
        "enqueued",
        "expiries",
        "gone",
        "guarded",
        "held",
        "idle",
        "keeper",
        "last",
        "log",
        "memory",
        "mortal",
        "newest",
        "paged",
        "passed",
        "policy",
        "ready",
        "resting",
        "restraint",
        "returned",
        "ring",
        "round",
        "shedding",
        "slices",
        "special",
        "subscriptions",
        "tail",
        "total",
        "unacked",
        "values",
        "waiting",
        "walker",
        "window",
    )

    def __init__(self, name: str, shared: Shared, policy: Policy) -> None:
        super().__init__(name)
        # What every message asks for stands at the beginning, next to each other (bench: growth).
        self.log = shared.log
        self.waiting: int = 0
        """Messages ready, returned and paged: not those that are delivered and not settled, nor ``delayed`` ones."""
        self.passed: int = 0
        """Messages that were consumed as they came; neither ``enqueued`` nor ``dequeued`` counts them."""
        self.ring: Ring = Ring()
        """Whose turn it is."""
        self.special = False
        """Whether a message that comes needs more than a place in line."""
        self.guarded = False
        """Whether a message needs room under the policy's limits, or has a place of its own by its priority."""
        self.idle = False
        """Whether the broker may forget it."""
        self.shedding = False
        """Whether it gives up messages at the moment that it has no room for."""
        self.memory = shared.memory
        self.window = shared.window
        self.policy = policy
        self.clock = shared.clock
        self.deadlines = shared.deadlines
        self.slices = shared.slices
        self.resting = shared.resting
        self.restraint = shared.restraint
        self.keeper = shared.keeper
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
        self.round: Round | None = None
        """The next look for what expired in the store."""
        self.expiries: dict[int, Expiry] | None = None
        """By the keys of those that wait in memory: the ends of their times. None until there are some."""
        self.gone: int = 0
        """Bytes of what left the line from the middle, and may stand there still; not less than it is."""
        self.walker: Reader | None = None
        """Who goes through the store now to take messages out: one at a time."""
        self.values: dict[str, Message] | None = None
        """The newest message of each key of a last-value queue."""
        self.subscriptions: list[Subscription] = []
        self.apart: dict[int, int] | None = None
        """Keys of messages in memory above the window's tail, with the position of the op that removed them (0: still
        here): when the window comes to their place in the store it leaves them out. None while nobody chooses.
        """

    def _overflows(self, message: Message) -> bool:
        """Whether the window has no room for it."""
        window = self.window
        if window is None or message.key < self.tail or (self.values is not None and not self.paged):
            return False
        return (
            self.paged > 0
            or self.waiting > window.count
            or self.held + message.size > window.bytes
            # Memory is for what somebody will take, and soon: many small backlogs must not keep all who send waiting.
            or self.memory.used > (self.memory.low if self.subscriptions else self.memory.ample)
        )

    def is_apart(self, key: int) -> bool:
        """Whether the message with that key has left its place in the store, though the store may still show it."""
        return self.apart is not None and key in self.apart

    def set_apart(self, key: int) -> None:
        """The message with that key is in memory from now on, though it stands above the window's tail."""
        if self.apart is not None:
            self.apart[key] = 0

    def prune(self) -> None:
        """Forget what was apart where the store cannot show it any more."""
        apart = self.apart
        if apart:
            tail, durable = self.tail, self.log.durable
            self.apart = {
                key: number for key, number in apart.items() if key > tail and not 0 < number <= durable
            }

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
        if self.asking:
            return
        if self.values is None:
            short = self.memory.used > self.memory.low
            enough = (
                len(self.ready) > window.count // 2
                or self.held > window.bytes // 2
                or (short and len(self.ready) > 0)
            )
            if enough and not self._behind_store():
                return
            # Groups that wait must not bring the whole queue into memory.
            if self.apart is not None and self.waiting - self.paged > 16 * window.count:
                return
            if short and self.laden():
                return
        self.want(window)

    def laden(self) -> bool:
        """Whether much of it is in memory that comes back by itself, or that groups keep: then no more is read while
        memory is short.
        """
        much: int = self.memory.limit // LADEN
        return (self.delayed > 0 and self.bytes - self.held > much) or (
            self.apart is not None and self.held > much
        )

    def _behind_store(self) -> bool:
        """Whether all that waits in memory, after a selector took it out of the store and gave it back, has to wait
        for what is still there.
        """
        if self.apart is None or not self.paged:
            return False
        for message in self.ready:
            if message.state == WAITING:
                return message.key > self.tail
        return False

    def lapsed(self, message: Message) -> bool:
        """Whether its time is over."""
        return self.clock.is_over(message)

    def stale(self, message: Message) -> bool:
        """Whether the time of a waiting message is over; then it is gone."""
        if not self.clock.is_over(message):
            return False
        self.lose(message, "expired")
        return True

    def expect(self, expires: int) -> None:
        """Look through the store when something in it expires, but not all the time."""
        if self.window is None or (self.mortal and self.mortal <= expires):
            return
        self.mortal = expires
        if self.round is None:
            self.round = Round(self)
        self.deadlines.after(max(expires - self.clock.now, ROUND), self.round)

    def look_again(self) -> None:
        """The clock was set: something in the store may have expired by that."""
        if self.mortal and self.round is not None:
            self.deadlines.after(ROUND, self.round)

    def go_round(self) -> None:
        """It is time to look."""
        if self.window is None or not self.paged:
            self.mortal = 0
            return
        if self.walker is not None and self.round is not None:
            # Another goes through the store: what is taken out twice would be counted twice.
            self.deadlines.after(ROUND, self.round)
            return
        self.mortal = 0
        self.walker = Sweep(self, self.window)
        self.walker.want(self.window)

    def lose(self, message: Message, reason: str) -> None:
        """Give up a waiting message that is in memory, wherever it stands."""
        message.state = DEAD
        self.waiting -= 1
        self.held -= message.size
        if message.expires:
            self._unwatch(message)
        with self.log.transaction():
            self._forget(message)
            self.keeper.bury(self.name, self.policy, message, reason, "")
        self.leave(message)

    def leave(self, message: Message) -> None:
        """``message`` waits no more, and may still stand in line: that must not keep it in memory for long."""
        self.gone += message.size
        if self.gone > self.held + SLACK:
            self.gone = 0
            self.close_up()

    def close_up(self) -> None:
        """Let go of all that stands in line and waits no more."""
        kept = [message for message in self.ready if message.state == WAITING]
        # The same objects: others have them at hand.
        self.ready.clear()
        self.ready.extend(kept)
        self.returned[:] = [each for each in self.returned if each[1].state == WAITING]
        heapify(self.returned)

    def _watch(self, message: Message) -> None:
        """``message``, which waits in memory, has a time: see that it goes when that is over."""
        self._unwatch(message)
        expiries = self.expiries
        if expiries is None:
            expiries = self.expiries = {}
        expiry = expiries[message.key] = Expiry(self, message)
        self.memory.used += TIMER
        clock = self.clock
        if clock.is_dated(message):
            self.deadlines.at(clock.expiry(message), expiry)
        else:
            self.deadlines.after(clock.expiry(message) - clock.now, expiry)

    def _unwatch(self, message: Message) -> None:
        """``message`` waits no more."""
        expiries = self.expiries
        if expiries is not None:
            expiry = expiries.pop(message.key, None)
            if expiry is not None:
                self.memory.used -= TIMER
                self.deadlines.cancel(expiry)

    def expire(self, message: Message) -> None:
        """The time of ``message``, which waits, is over."""
        if message.state < OUT:
            self.lose(message, "expired")
            self.keeper.emptied(self.name)
        else:
            self._unwatch(message)

    def stop_watching(self) -> None:
        """Wait for the end of no message's time any more."""
        if self.expiries is not None:
            for expiry in self.expiries.values():
                self.deadlines.cancel(expiry)
            self.memory.used -= TIMER * len(self.expiries)
            self.expiries = None
        self.end_rounds()

    def end_rounds(self) -> None:
        """Look no more for what expired in the store."""
        if self.round is not None:
            self.deadlines.cancel(self.round)
            self.round = None

    def lose_paged(self, message: Message, reason: str) -> None:
        """Give up a message that only the store has."""
        if self.is_apart(message.key):
            return
        if message.key <= self.tail:
            return
        message.stored = True
        self.paged -= 1
        self.waiting -= 1
        self.total -= message.size
        self.dequeued += 1
        with self.log.transaction():
            self.log.remove(self.name, message)
            if self.apart is not None:
                # Nothing may find it in what is read already.
                self.apart[message.key] = self.log.position
            self.passed_by(message.key)
            self.keeper.bury(self.name, self.policy, message, reason, "")

    @abstractmethod
    def has_paged(self, key: int) -> bool:
        """Whether the message that the store has with that key waits, and only the store has it."""

    @abstractmethod
    def kept_back(self) -> list[Line]:
        """The lines of messages in memory that wait and not everybody may have."""

    @abstractmethod
    def shed(self, reason: str) -> bool:
        """Give up the oldest message that waits; false when it has to be read first, or there is none."""

    def _forget(self, message: Message) -> None:
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.total -= size
        self.memory.used -= size
        number = self.log.remove(self.name, message)
        if self.special:
            # Only then are there these.
            if self.is_apart(message.key) and self.apart is not None:
                self.apart[message.key] = number
            if self.values is not None:
                self._forget_value(message)

    def keep_last_values(self) -> None:
        """Be a last-value queue: of the messages with the same key only the newest waits. All are in memory."""
        if self.values is not None:
            return
        self.values = {}
        self.special = True
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

    def __init__(self, backlog: Backlog, message: Message) -> None:
        super().__init__()
        self._backlog = backlog
        self._message = message

    def due(self, now: int) -> None:
        self._backlog.expire(self._message)


class Round(Timed):
    """A look at what expired in the store."""

    __slots__ = ("_backlog",)

    def __init__(self, backlog: Backlog) -> None:
        super().__init__()
        self._backlog = backlog

    def due(self, now: int) -> None:
        self._backlog.go_round()


def _key(message: Message) -> int:
    return message.key
