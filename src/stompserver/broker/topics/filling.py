"""A new durable subscription begins with what its topics kept: however much that is, it is found, and then copied, in
slices."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker.message import Message
from stompserver.broker.slices import BUDGET, Sliced, Waiting
from stompserver.broker.subscription import Granted, Subscription
from stompserver.broker.topics.choice import Choice
from stompserver.broker.topics.feed import Feed
from stompserver.broker.topics.mailbox import ASKED, PAGE
from stompserver.broker.topics.replay import Replay, Start
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.queues.queue import Queue
    from stompserver.broker.topics.feed import Change, Fed
    from stompserver.broker.topics.history import History
    from stompserver.broker.topics.retained import Retained


# Not Final, because a test lowers it: compiled, a Final is written into the code.
COPIES: int = 4_000
"""Copies of messages that are made at once, and in a slice if there are more."""

LISTED: Final = 100
"""Bytes of memory that a topic, of which something was kept, takes in a list of those to be looked at."""

LIGHT: Final = 8
"""Units of ``Desk.work`` that take as long as a copy."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Subscriber(Waiting):
    """Who waits for a durable subscription that is filled in slices."""

    __slots__ = ()

    @abstractmethod
    def granted(self, granted: Granted) -> None:
        """The subscription is there; it gets what waits when it is started."""


class Feeder(metaclass=ABCMeta):
    """What a filling may use of all durable subscriptions."""

    __slots__ = ()

    @abstractmethod
    def plan(self, subscription: Subscription) -> Change:
        """What is to be done for the wish of ``subscription``; nothing is done yet."""

    @abstractmethod
    def check_change(self, change: Change) -> None:
        """Raises Refused when there may not be what ``change`` makes."""

    @abstractmethod
    def make(self, change: Change, properties: dict[str, str] | None) -> Fed:
        """Do what is planned, and ask for ``properties`` of the queue."""

    @abstractmethod
    def join(self, subscription: Subscription, queue: Queue, fresh: bool, warnings: list[str]) -> str:
        """Let ``subscription`` have its turns at ``queue``; return ``warnings``, and what else cannot be had."""

    @abstractmethod
    def put(self, feed: Feed, queue: Queue, twin: Message) -> None:
        """Let ``queue`` have ``twin``, a copy of what was sent to the topic of ``feed``."""

    @abstractmethod
    def queue_of(self, fed: Fed) -> Queue:
        """The queue of ``fed``."""

    @abstractmethod
    def lives(self, fed: Fed) -> bool:
        """Whether that is not deleted."""


class Kept:
    """What topics keep: ``retained`` messages, and ``histories`` by the names of topics."""

    __slots__ = ("histories", "retained")

    def __init__(self, retained: Retained, histories: dict[str, History]) -> None:
        self.retained = retained
        self.histories = histories

    def near(self, choice: Choice, after: int) -> list[History]:
        """Those that ``choice`` may have, and that began after the message with that number."""
        histories = self.histories
        if choice.patterns:
            near = list(histories.values())
        else:
            near = [histories[name] for name in choice.names if name in histories]
        return [history for history in near if history.born > after]


class Findings:
    """What was kept of the topics of ``feeds`` and is wanted: by their histories, where ``start`` says from where on,
    else what they retain. ``kept`` has it in its order, and memory is set aside for the copies.
    """

    __slots__ = (
        "_after",
        "_aside",
        "_bytes",
        "_choice",
        "_cost",
        "_desk",
        "_left",
        "_listed",
        "_replay",
        "_source",
        "feeds",
        "kept",
    )

    def __init__(
        self, desk: Desk, source: Kept, feeds: list[Feed], subscription: Subscription, start: Start | None
    ) -> None:
        self._desk = desk
        self._source = source
        self.feeds = feeds
        self._choice = Choice(subscription.consumer)
        for feed in feeds:
            self._choice.add(feed.topic, feed.pattern)
        self._cost: int = sum([feed.cost for feed in feeds])
        self.kept: deque[Message] = deque()
        self._bytes: int = 0
        """What the copies of all that was found take."""
        self._aside: int = 0
        """As much of that as is set aside."""
        self._after: int = desk.number
        """The number of the newest message there was when it was last looked which topics kept something."""
        self._left: deque[Message] = deque()
        """Retained messages that were not looked at."""
        self._listed: int = 0
        """What it takes to list what is to be looked at."""
        self._replay: Replay | None = None
        if start is None:
            self._left.extend(source.retained.near(self._choice))
            self._listed = LISTED * len(self._left)
            return
        histories = source.near(self._choice, -1)
        self._listed = LISTED * len(histories)
        self._replay = Replay(start, desk.number, histories, self._choice)

    def look(self, spared: int) -> bool:
        """Find some; whether that is all there is now. Raises Refused when there is no room for the copies, with
        nothing set aside any more; ``spared`` bytes of the memory will be given back before they are made.
        """
        over = self._look_round() if self._replay is None else self._look_back(self._replay)
        memory = self._desk.memory
        memory.used -= self._aside
        self._aside = 0
        aside: int = self._bytes + self._listed
        if aside:
            memory.check(aside - spared)
            self._desk.check_storage(self._bytes)
        self._aside = aside
        memory.used += self._aside
        return over

    def _look_back(self, replay: Replay) -> bool:
        budget: int = ASKED
        if self._after != self._desk.number:
            # Those that have begun since, before anything of others is found that came later.
            replay.add(self._source.near(self._choice, self._after))
            self._after = self._desk.number
            budget -= len(self._source.histories) // 8
        if not replay.look(budget):
            return False
        while budget > 0:
            page = replay.take(max(1, min(PAGE, budget // (1 + self._cost))), self._desk.now)
            if not page and replay.over:
                return True
            budget -= 1
            for message in page:
                budget -= self._see(message)
        return False

    def _look_round(self) -> bool:
        clock = self._desk.clock
        budget: int = ASKED
        while budget > 0:
            if not self._left:
                if self._after == self._desk.number:
                    return True
                # What has been retained since.
                self._left.extend(self._source.retained.near(self._choice, self._after))
                self._after = self._desk.number
                budget -= len(self._source.retained.register.entries) // 8
                continue
            message = self._left.popleft()
            budget -= self._choice.effort(message.destination)
            if not clock.is_over(message) and self._choice.has(message.destination):
                budget -= self._see(message)
        return False

    def _see(self, message: Message) -> int:
        """Take ``message``, which is of one of the topics, if one of the feeds does; return the units of work."""
        feeds = self.feeds
        work: int = 1 + self._cost
        if len(feeds) > 1:
            work += self._choice.effort(message.destination)
        for feed in feeds:
            if (len(feeds) == 1 or feed.has(message.destination)) and feed.takes(message, None):
                self.kept.append(message)
                self._bytes += message.size
                break
        return work

    def take(self) -> Message:
        """The next one, to be copied at once: nothing is set aside for it any more."""
        message = self.kept.popleft()
        self._bytes -= message.size
        self._aside -= message.size
        self._desk.memory.used -= message.size
        return message

    def drop(self) -> None:
        """Nothing of it is copied."""
        self._desk.memory.used -= self._aside
        self._aside = 0
        self._bytes = 0
        self._listed = 0
        self.kept.clear()
        self._left.clear()


class Filling(Sliced):
    """Lets ``subscription`` have the durable subscription that is made by ``change``, filled with what its topics
    kept, for ``subscriber``, None for who cannot wait: then all is done at once, as it is where there is little.

    First all is found, and nothing is changed. In the step in which nothing more is found, all is bound: what is sent
    from then on comes behind the copies. From there to the last copy what is logged is one transaction of the log, so
    a crash leaves all of it or nothing.
    """

    __slots__ = (
        "_coming",
        "_desk",
        "_feeder",
        "_findings",
        "_found",
        "_fresh",
        "_kept",
        "_made",
        "_spared",
        "_start",
        "_subscriber",
        "_subscription",
        "_warnings",
    )

    def __init__(
        self,
        desk: Desk,
        feeder: Feeder,
        kept: Kept,
        subscription: Subscription,
        change: Change,
        subscriber: Subscriber | None,
    ) -> None:
        self._desk = desk
        self._feeder = feeder
        self._kept = kept
        self._subscription = subscription
        self._subscriber = subscriber
        wish = subscription.wish
        self._start: Start | None = None
        if change.more and (wish.replay or wish.retroactive):
            self._start = Start(wish.replay or "first", desk.now)
        self._findings = self._search(change.more)
        self._spared: int = change.spared
        self._found = False
        """Whether all was found when it was looked last."""
        self._made: Fed | None = None
        self._fresh = False
        """Whether there was no such queue before."""
        self._warnings: list[str] = []
        self._coming: deque[tuple[Feed, Message]] = deque()
        """What was sent since it was bound, to be put behind the copies; it counts as memory."""

    def _search(self, feeds: list[Feed]) -> Findings:
        return Findings(self._desk, self._kept, feeds, self._subscription, self._start)

    def begin(self, change: Change) -> str | None:
        """Do it, and return what cannot be had as wished, or begin with it (None). Raises Refused."""
        findings = self._findings
        try:
            over = findings.look(self._spared)
            while not over and self._subscriber is None:
                over = findings.look(self._spared)
        except Refused:
            findings.drop()
            raise
        if not over or (self._subscriber is not None and len(findings.kept) > COPIES):
            self._desk.slices.add(self)
            return None
        with self._desk.log.transaction():
            queue = self._feeder.queue_of(self._bind(change))
            while findings.kept:
                self._copy(queue)
            findings.drop()
            return self._join(queue)

    def slice(self, budget: int) -> bool:
        """Find some, or copy some."""
        made = self._made
        if made is None:
            return self._find()
        return self._go_on(made)

    def _find(self) -> bool:
        subscriber = self._subscriber
        findings = self._findings
        if subscriber is None or subscriber.gone():
            findings.drop()
            return False
        try:
            # While another transaction is held there is no need to look again and again.
            if self._desk.log.held and self._found:
                return True
            self._found = findings.look(self._spared)
            if not self._found or self._desk.log.held:
                return True
            # Others may have changed what there was.
            change = self._feeder.plan(self._subscription)
            self._spared = change.spared
            if not _alike(change.more, findings.feeds):
                findings.drop()
                self._findings = self._search(change.more)
                self._found = False
                return True
            self._feeder.check_change(change)
        except Refused as error:
            findings.drop()
            subscriber.refused(error)
            return False
        self._desk.log.hold()
        try:
            made = self._bind(change)
        except BaseException:
            self._desk.log.release()
            raise
        self._made = made
        made.filling = True
        for feed in change.more:
            feed.coming = self._coming
        return self._go_on(made)

    def _go_on(self, made: Fed) -> bool:
        try:
            return self._fill(made)
        except BaseException:
            self._desk.log.release()
            raise

    def _bind(self, change: Change) -> Fed:
        self._fresh = change.fresh
        self._warnings = change.warnings
        return self._feeder.make(change, self._subscription.wish.properties)

    def _fill(self, made: Fed) -> bool:
        """Copy some, and end it with the last."""
        desk = self._desk
        if not self._feeder.lives(made):
            self._stop(made)
            if self._subscriber is not None:
                self._subscriber.refused(_deleted(made))
            return False
        queue = self._feeder.queue_of(made)
        if self._subscriber is not None and self._subscriber.gone():
            self._subscriber = None
            if self._fresh and not queue.subscriptions and not queue.unacked:
                desk.delete(queue)
                self._stop(made)
                return False
        left: int = COPIES
        while left > 0 and (self._findings.kept or self._coming):
            left -= 1 + queue.effort() // LIGHT
            if self._findings.kept:
                self._copy(queue)
            else:
                feed, message = self._coming.popleft()
                desk.memory.used -= message.size
                self._feeder.put(feed, queue, message)
        if self._findings.kept or self._coming:
            return True
        warning = ""
        if self._subscriber is not None:
            warning = self._join(queue)
        self._stop(made)
        if self._subscriber is not None:
            self._subscriber.granted(Granted(desk.log.position, warning))
        return False

    def _copy(self, queue: Queue) -> None:
        twin = self._findings.take().copy()
        twin.extras = None
        self._desk.place(twin)
        self._desk.put(queue, twin)

    def _join(self, queue: Queue) -> str:
        return self._feeder.join(self._subscription, queue, self._fresh, self._warnings)

    def _stop(self, made: Fed) -> None:
        """It is over, whatever came of it."""
        for feed in self._findings.feeds:
            feed.coming = None
        for feed in made.feeds:
            feed.coming = None
        made.filling = False
        self._findings.drop()
        for _, message in self._coming:
            self._desk.memory.used -= message.size
        self._coming.clear()
        self._desk.log.release()

    def finish(self) -> None:
        """What is half copied is copied; what is only looked for is not there."""
        if self._made is None and self._subscriber is not None:
            self._subscriber.dropped()
        while self._made is not None and self.slice(BUDGET):
            pass


def _alike(some: list[Feed], others: list[Feed]) -> bool:
    return len(some) == len(others) and all(one.same(other) for one, other in zip(some, others, strict=True))


def _deleted(made: Fed) -> Refused:
    return Refused(
        f"Durable subscription {made.name[:80]!r} was deleted",
        where="header destination",
        rule="It was being filled with what its topics kept, and somebody deleted it meanwhile",
        fix="Subscribe again: that makes a new one.",
    )
