"""A topic: each message to every subscription there is now."""

from __future__ import annotations

from bisect import bisect_left

from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.names.policy import Policy
from stompserver.broker.queues.overflow import over
from stompserver.broker.subscription import Consumer, Subscription, append, remove
from stompserver.broker.topics.feed import Feed
from stompserver.broker.topics.history import History, wanted
from stompserver.broker.topics.mailbox import BLOCK, Mailbox


class Topic:
    """One name, or a pattern of names, to which nothing is sent itself: what is sent to a name that it has goes to
    its subscriptions too.

    ``own_direct`` subscriptions (ack:auto) get messages as they come, ``own_chosen`` only those they want; one that
    acknowledges has a mailbox, its own queue, in ``queues``. ``own_feeds`` are queues that outlive subscriptions.
    The lists without ``own`` have those of the patterns that the name fits as well, as they were at ``resolved``.
    """

    __slots__ = (
        "_choosing",
        "boxes",
        "chosen",
        "direct",
        "enqueued",
        "epoch",
        "feeds",
        "history",
        "name",
        "own_chosen",
        "own_direct",
        "own_feeds",
        "pattern",
        "policy",
        "queues",
        "resolved",
        "twice",
    )

    def __init__(self, name: str, policy: Policy) -> None:
        self.name = name
        self.pattern: Pattern | None = Pattern(name) if is_pattern(name) else None
        self.policy = policy
        self.own_direct: list[Subscription] = []
        self.own_chosen: list[Subscription] = []
        self.own_feeds: list[Feed] = []
        self.queues: list[Mailbox] = []
        self.direct: list[Subscription] = self.own_direct
        self.chosen: list[Subscription] = self.own_chosen
        self.feeds: list[Feed] = self.own_feeds
        self.boxes: list[Mailbox] = self.queues
        self.twice = False
        """Whether a queue is in ``feeds`` more than once: one copy is enough for it."""
        self.history: History | None = None
        self.enqueued: int = 0
        self._choosing: int = 0
        """What asking all selectors counts for, in units of work."""
        self.resolved: int = -1
        """``Fanout.epoch`` at which the lists were built; -1 when they are stale."""
        self.epoch: int = -1
        """That epoch if ``send`` alone is enough for a message (nothing chooses, feeds or keeps it); else -1."""

    def effort(self) -> int:
        """What a message to it counts for, in units of work (``Desk.work``)."""
        return len(self.direct) + 4 * (len(self.boxes) + 4 * len(self.feeds)) + self._choosing

    def send(self, message: Message) -> None:
        """Deliver to every subscription, in the order they subscribed; none of them chooses."""
        self.enqueued += 1
        for subscription in self.direct:
            subscription.consumer.deliver(subscription, message)
        for box in self.boxes:
            box.post(message)

    def offer(self, message: Message, sender: Consumer | None) -> None:
        """Deliver to every subscription that wants ``message``."""
        self.enqueued += 1
        for subscription in self.direct:
            subscription.consumer.deliver(subscription, message)
        for subscription in self.chosen:
            if not (subscription.no_local and subscription.consumer is sender):
                selector = subscription.selector
                if selector is None or selector.matches(message):
                    subscription.consumer.deliver(subscription, message)
        history = self.history
        for box in self.boxes:
            # What a replay will come to is not delivered twice.
            if box.wants(message, sender) and not (
                history is not None and box.replay is not None and box.replay.covers(history)
            ):
                box.post(message)
                if box.slow == BLOCK and sender is not None and over(box, 0, 0):
                    sender.choked = box

    def takers(self, message: Message, sender: Consumer | None) -> list[Feed]:
        """Those of ``feeds`` that have ``message``, one of each queue."""
        feeds = [feed for feed in self.feeds if feed.takes(message, sender)]
        if self.twice and len(feeds) > 1:
            by_queue: dict[str, Feed] = {}
            for feed in feeds:
                by_queue.setdefault(feed.queue, feed)
            feeds = list(by_queue.values())
        return feeds

    def add(self, subscription: Subscription, box: Mailbox | None) -> None:
        """Deliver to ``subscription`` whatever is sent from now on, by ``box`` if there is one."""
        self.change()
        subscription.of_topic = True
        if box is not None:
            subscription.rank = box.owner_rank = self.queues[-1].owner_rank + 1 if self.queues else 0
            self.queues.append(box)
        elif subscription.selector is not None or subscription.no_local:
            append(self.own_chosen, subscription)
        else:
            append(self.own_direct, subscription)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``; what waits for it alone is let go."""
        self.change()
        subscription.closed = True
        if subscription.queue is not None:
            box = self.queues.pop(bisect_left(self.queues, subscription.rank, key=_owner_rank_of))
            box.close()
        elif subscription.selector is not None or subscription.no_local:
            remove(self.own_chosen, subscription)
        else:
            remove(self.own_direct, subscription)

    def change(self) -> None:
        """What is in the lists may not hold any more."""
        self.resolved = -1
        self.epoch = -1
        self.direct = self.own_direct
        self.chosen = self.own_chosen
        self.feeds = self.own_feeds
        self.boxes = self.queues

    def resolve(self, patterns: list[Topic], now: int) -> None:
        """Make the lists, at change ``now`` of what patterns there are; ``patterns`` are those that the name fits."""
        self.change()
        if patterns:
            self.direct = list(self.direct)
            self.chosen = list(self.chosen)
            self.feeds = list(self.feeds)
            self.boxes = list(self.boxes)
        for topic in patterns:
            self.direct.extend([s for s in topic.own_direct if s.consumer.may_consume(self.name)])
            self.chosen.extend([s for s in topic.own_chosen if s.consumer.may_consume(self.name)])
            self.feeds.extend(topic.own_feeds)
            for box in topic.queues:
                if box.owner is not None and box.owner.consumer.may_consume(self.name):
                    self.boxes.append(box)
        self.twice = len(self.feeds) > 1 and len({feed.queue for feed in self.feeds}) < len(self.feeds)
        self._choosing = 0
        for subscription in self.chosen:
            self._choosing += 4 + (
                subscription.selector.cost // 4 if subscription.selector is not None else 0
            )
        for box in self.boxes:
            self._choosing += box.selector.cost // 4 if box.selector is not None else 0
        for feed in self.feeds:
            self._choosing += feed.cost // 4
        self.resolved = now
        policy = self.policy
        if self.chosen or self.feeds or wanted(policy) or policy.retain or policy.ttl or policy.max_ttl:
            return
        for box in self.boxes:
            if box.chooses or box.replay is not None or box.slow == BLOCK:
                return
        self.epoch = now

    @property
    def subscriptions(self) -> int:
        """How many subscribe to this name; those of patterns are the patterns'."""
        return len(self.own_direct) + len(self.own_chosen) + len(self.queues)

    def unused(self) -> bool:
        """Whether nobody subscribes."""
        return not self.subscriptions and not self.own_feeds


def _owner_rank_of(box: Mailbox) -> int:
    return box.owner_rank
