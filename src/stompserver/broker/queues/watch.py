"""Subscriptions to patterns of queues: to all that fit, those there are and those there will be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.wildcards import Wildcards
from stompserver.broker.queues.queue import Queue, queue_of
from stompserver.broker.slices import BUDGET, Sliced, Slices
from stompserver.broker.subscription import UNLIMITED, Consumer, Subscription
from stompserver.errors import Refused


class Watch:
    """One client's subscription to a pattern, and its ``parts``: a subscription of the same id to each queue, with
    credit of its own. ACK of one message means all before it of whichever queue, where it means that.

    ``behind`` tells that there are queues it was not subscribed to because its consumer could take no more.
    """

    __slots__ = ("behind", "parts", "pattern", "subscription")

    def __init__(self, subscription: Subscription, pattern: Pattern) -> None:
        self.subscription = subscription
        self.pattern = pattern
        self.parts: dict[str, Subscription] = {}
        self.behind = False

    def part(self, queue: str) -> Subscription:
        """A new subscription to ``queue``."""
        whole = self.subscription
        part = Subscription(whole.consumer, whole.wish, queue)
        part.order = whole.order
        part.progress = whole.progress
        self.parts[queue] = part
        return part


class Watches(Sliced):
    """All of them: ``watches`` by pattern, ``watched`` by queue.

    There may be very many queues. So who is new is subscribed to those that are in use by a walk, in slices, which
    has one get what waits in a queue before it comes to the next, and goes no further than its consumer can take:
    what a subscription costs depends on what it gets. A walk is for all that wait for one when it begins. Queues are
    left in slices, too.

    A queue that only watches subscribe to is no less unused for that: when there are many, they leave those where
    nothing waits, and come back when something is sent there. ``retire`` is told of a queue that was left.
    """

    __slots__ = (
        "_at",
        "_enough",
        "_joining",
        "_leaving",
        "_names",
        "_parts",
        "_paused",
        "_pending",
        "_queues",
        "_retire",
        "_running",
        "_slices",
        "_sole",
        "_unused",
        "idle",
        "owners",
        "watched",
        "watches",
        "wildcards",
    )

    def __init__(self, queues: dict[str, Queue], slices: Slices, retire: Callable[[Queue], None]) -> None:
        self._queues = queues
        self._slices = slices
        self._retire = retire
        self.wildcards = Wildcards()
        self.watches: dict[str, list[Watch]] = {}
        self.owners: dict[Subscription, Watch] = {}
        self.watched: dict[str, list[Watch]] = {}
        self._parts: int = 0
        """Parts of all watches."""
        self._enough: int = 0
        """Parts above which queues are left where nothing waits."""
        self.idle: int = 0
        """Queues that nobody else uses which do no harm: no more are left."""
        self._unused: _Unused | None = None
        """Leaves them, while it does."""
        self._leaving = _Leaving(self)
        self._pending: list[Watch] = []
        """Those for whom the next walk is."""
        self._joining: dict[str, list[Watch]] = {}
        """Those for whom this walk is, by pattern."""
        self._sole: Watch | None = None
        """The one it is for, if it is for one."""
        self._names: list[str] = []
        """The queues there were when it began."""
        self._at: int = 0
        """How many of them it has seen."""
        self._running = False
        self._paused = False
        """Whether it waits for its ``_sole`` watch."""

    def _leave_unused(self) -> None:
        """When there are many parts, leave queues that nobody else uses, in slices."""
        if self._parts > max(self._enough, self.idle) and self._unused is None:
            unused = self._unused = _Unused(self, list(self.watched))
            if unused.slice(BUDGET):
                self._slices.add(unused)

    def subscribe(self, subscription: Subscription) -> str:
        """Register ``subscription``, whose destination is a pattern; return what of its wish it cannot have, "" for
        nothing. Raises Refused.
        """
        wish = subscription.wish
        if wish.browser:
            raise Refused(
                "Only one queue can be browsed at a time",
                where="header destination",
                rule="A browser is told when it has seen all of its queue",
                fix="Browse each queue by its name.",
            )
        name = subscription.destination
        watch = Watch(subscription, Pattern(name))
        self.wildcards.add(watch.pattern)
        self.watches.setdefault(name, []).append(watch)
        self.owners[subscription] = watch
        if wish.auto_delete or wish.properties is not None:
            return "What queues are (auto-delete, x-expires and the like) is for one queue, not for a pattern of many"
        return ""

    def start(self, subscription: Subscription) -> None:
        """Deliver what waits in its queues, which may take some slices."""
        self._pending.append(self.owners[subscription])
        if self._paused:
            # It need not wait for who cannot take more.
            self._paused = False
            self._names = []
        if not self._running:
            self._running = True
            if self.slice(BUDGET):
                self._slices.add(self)

    def resume(self, subscription: Subscription) -> None:
        """The consumer of ``subscription``, to a pattern, can take more."""
        watch = self.owners[subscription]
        watch.behind = False
        if self._paused and self._sole is watch:
            self._paused = False
        else:
            self._pending.append(watch)
        if not self._running and not self._paused:
            self._running = True
            self._slices.add(self)

    def slice(self, budget: int) -> bool:
        """Go on with the walk, and with the next one."""
        while budget > 0:
            if self._at >= len(self._names) and not self._begin():
                self._running = False
                self._leave_unused()
                return False
            queue = self._queues.get(self._names[self._at])
            budget -= 1
            if queue is not None and not queue.idle:
                for text in self.wildcards.find(queue.name):
                    for watch in self._joining.get(text, ()):
                        if watch.subscription.closed or queue.name in watch.parts:
                            continue
                        if watch.subscription.consumer.ready:
                            budget -= 1
                            part = self._join(watch, queue)
                            if part is not None:
                                queue.dispatch(part)
                            continue
                        if not watch.behind:
                            watch.behind = True
                            watch.subscription.consumer.stalled.append(watch.subscription)
                        if watch is self._sole and not self._pending:
                            self._paused = True
                            self._running = False
                            return False
            self._at += 1
        self._leave_unused()
        return True

    def _begin(self) -> bool:
        """Begin a walk; false when nobody waits for one."""
        self._at = 0
        self._names = []
        self._joining = {}
        count: int = 0
        for watch in self._pending:
            if not watch.subscription.closed:
                self._joining.setdefault(watch.pattern.text, []).append(watch)
                self._sole = watch
                count += 1
        self._pending = []
        if count != 1:
            self._sole = None
        if count:
            self._names = list(self._queues)
        return bool(self._names)

    def width(self, subscriptions: list[Subscription]) -> int:
        """How many parts these have."""
        return sum([len(self.owners[each].parts) for each in subscriptions if each in self.owners])

    def unsubscribe(self, subscription: Subscription, later: bool) -> list[Queue]:
        """End all parts of ``subscription``, which get nothing more from now on; return their queues, where nothing
        is delivered yet to others. ``later``, or when they are many, queues are left in slices.
        """
        watch = self.owners.pop(subscription)
        subscription.closed = True
        same = self.watches[watch.pattern.text]
        same.remove(watch)
        if not same:
            del self.watches[watch.pattern.text]
            self.wildcards.discard(watch.pattern.text)
        if self._paused and watch is self._sole:
            self._paused = False
            self._names = []
        if not later and len(watch.parts) <= BUDGET:
            return [self.leave_one(watch) for _ in range(len(watch.parts))]
        for part in watch.parts.values():
            # No ring gives it a turn.
            part.closed = True
            part.spare = 0
            part.credit = -UNLIMITED
        self._leaving.watches.append(watch)
        if len(self._leaving.watches) == 1:
            self._slices.add(self._leaving)
        return []

    def leave_one(self, watch: Watch) -> Queue:
        """Leave one of the queues of ``watch``, which has some, and return it."""
        return self._leave(watch, next(reversed(watch.parts)))

    def _leave(self, watch: Watch, name: str) -> Queue:
        part = watch.parts.pop(name)
        self._parts -= 1
        watches = self.watched[name]
        watches.remove(watch)
        if not watches:
            del self.watched[name]
        queue = queue_of(part)
        queue.discard(part)
        return queue

    def reconsider(self, consumer: Consumer) -> None:
        """What ``consumer`` may have is other than before: leave the queues that it may not, and look for those it
        may.
        """
        for subscription in list(consumer.subscriptions.values()):
            watch = self.owners.get(subscription)
            if watch is None:
                continue
            for name in list(watch.parts):
                if not consumer.may_consume(name):
                    self.left(self._leave(watch, name))
            self.start(subscription)

    def left(self, queue: Queue) -> None:
        """``queue`` was left: what waits in it is for others, if there are any."""
        if queue.waiting:
            queue.dispatch()
        self._retire(queue)

    def seen(self, queue: Queue) -> int:
        """``queue`` is new, or in use again: who watches for such is subscribed to it. Returns how many that are."""
        before: int = self._parts
        for text in self.wildcards.find(queue.name):
            for watch in self.watches[text]:
                self._join(watch, queue)
        joined: int = self._parts - before
        self._leave_unused()
        return joined

    def forget(self, queue: Queue) -> None:
        """``queue`` is no more, or nobody else uses it."""
        for watch in self.watched.pop(queue.name, []):
            self._parts -= 1
            part = watch.parts.pop(queue.name)
            queue.discard(part)

    def _join(self, watch: Watch, queue: Queue) -> Subscription | None:
        if queue.name in watch.parts or not watch.subscription.consumer.may_consume(queue.name):
            return None
        part = watch.part(queue.name)
        self._parts += 1
        self.watched.setdefault(queue.name, []).append(watch)
        queue.add(part)
        return part

    def leave_unused(self, name: str) -> int:
        """Leave the queue of that name if it has nothing and nobody else, so that it can be forgotten; return how
        many parts went.
        """
        watches = self.watched.get(name)
        queue = self._queues.get(name)
        if watches is None or queue is None or queue.holds():
            return 0
        # What it stays for beside does not have it announced again when a message comes.
        if len(queue.subscriptions) != len(watches) or queue.browsers or queue.paused:
            return 0
        count = len(watches)
        self.forget(queue)
        self._retire(queue)
        return count

    def all_left(self, kept: int) -> None:
        """Those that were unused are left; of the others there are ``kept`` parts. What came meanwhile may be more
        than was left, and is looked through next.
        """
        self._unused = None
        self._enough = 2 * kept
        if self._parts > max(self._enough, self.idle):
            self._unused = _Unused(self, list(self.watched))
            self._slices.add(self._unused)

    def width_of(self, name: str) -> int:
        """How many parts are subscribed to the queue of that name."""
        return len(self.watched.get(name, ()))


class _Leaving(Sliced):
    """Leaves the queues of watches that ended."""

    __slots__ = ("_all", "watches")

    def __init__(self, all: Watches) -> None:
        self._all = all
        self.watches: deque[Watch] = deque()

    def slice(self, budget: int) -> bool:
        while self.watches and budget > 0:
            watch = self.watches[0]
            while watch.parts and budget > 0:
                budget -= 1
                self._all.left(self._all.leave_one(watch))
            if not watch.parts:
                self.watches.popleft()
        return len(self.watches) > 0


class _Unused(Sliced):
    """Leaves those of the queues called ``names`` that only watches subscribe to, and where nothing waits."""

    __slots__ = ("_all", "_at", "_kept", "_names")

    def __init__(self, all: Watches, names: list[str]) -> None:
        self._all = all
        self._names = names
        self._at: int = 0
        self._kept: int = 0

    def slice(self, budget: int) -> bool:
        names = self._names
        while self._at < len(names):
            if budget <= 0:
                return True
            budget -= 1 + self._all.leave_unused(names[self._at])
            self._kept += self._all.width_of(names[self._at])
            self._at += 1
        self._all.all_left(self._kept)
        return False
