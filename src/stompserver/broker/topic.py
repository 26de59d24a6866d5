"""A topic: each message to every subscription there is now."""

from __future__ import annotations

from stompserver.broker.feed import Feed
from stompserver.broker.history import History
from stompserver.broker.mailbox import BLOCK, Mailbox
from stompserver.broker.message import Message
from stompserver.broker.overflow import over
from stompserver.broker.pattern import Pattern, is_pattern
from stompserver.broker.policy import Policy
from stompserver.broker.subscription import Consumer, Subscription


class Topic:
    """One name, or a pattern of names, to which nothing is sent itself: what is sent to a name that it has goes to
    its subscriptions too.

    ``own_direct`` subscriptions (ack:auto) get messages as they come, ``own_chosen`` only those they want; one that
    acknowledges has a mailbox, its own queue, in ``queues``. ``own_feeds`` are queues that outlive subscriptions.
    The lists without ``own`` have those of the patterns that the name fits as well, as they were at ``resolved``.
    """

    __slots__ = (
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
        self.history: History | None = None
        self.enqueued: int = 0
        self.resolved: int = -1
        """When its lists were made, counted in changes of what patterns there are; -1: they are to be made anew."""
        self.epoch: int = -1
        """The same, while ``send`` is all there is to do for a message; else -1."""

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

    def add(self, subscription: Subscription, box: Mailbox | None) -> None:
        """Deliver to ``subscription`` whatever is sent from now on, by ``box`` if there is one."""
        self.change()
        subscription.topic = self
        if box is not None:
            self.queues.append(box)
        elif subscription.selector is not None or subscription.no_local:
            self.own_chosen.append(subscription)
        else:
            self.own_direct.append(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``; what waits for it alone is let go."""
        self.change()
        subscription.closed = True
        queue = subscription.queue
        if queue is not None:
            for box in self.queues:
                if box is queue:
                    self.queues.remove(box)
                    box.close()
                    break
        elif subscription in self.own_direct:
            self.own_direct.remove(subscription)
        else:
            self.own_chosen.remove(subscription)

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
        for topic in patterns:
            self.direct = self.direct + topic.own_direct
            self.chosen = self.chosen + topic.own_chosen
            self.feeds = self.feeds + topic.own_feeds
            self.boxes = self.boxes + topic.queues
        self.resolved = now
        policy = self.policy
        if (
            self.chosen
            or self.feeds
            or self.history is not None
            or policy.retain
            or policy.ttl
            or policy.max_ttl
        ):
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
