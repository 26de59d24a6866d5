"""Queues that topics feed: those of durable subscriptions, and of consumer groups of virtual topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.register import Register
from stompserver.broker.message import NUMBER, Message
from stompserver.broker.names.destination import DURABLE, SYSTEM
from stompserver.broker.queues.overflow import BLOCK, over, refused
from stompserver.broker.queues.queue import Queue
from stompserver.broker.selectors.selector import too_costly
from stompserver.broker.subscription import Consumer, Subscription
from stompserver.broker.topics.feed import Feed, feed_of, virtual_topic
from stompserver.broker.topics.replay import Replay, Start
from stompserver.errors import ClientError, Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.topics.fanout import Fanout

DURABLES: Final = SYSTEM + "durables"
"""The system queue with what feeds which queue."""


class Durables:
    """``feeds`` by the names of their queues; also in ``register``, so that they outlive the server."""

    __slots__ = ("_costs", "desk", "fanout", "feeds", "register")

    def __init__(self, desk: Desk, fanout: Fanout) -> None:
        self.desk = desk
        self.fanout = fanout
        self.feeds: dict[str, Feed] = {}
        self._costs: dict[str, int] = {}
        """What the selectors of each topic's cost, and, without a name, those of all patterns."""
        self.register = Register(desk, DURABLES, self._restore)

    def queue_of(self, feed: Feed) -> Queue:
        """The queue of ``feed``, made when there is none."""
        return self.desk.queues.get(feed.queue) or self.desk.make(feed.queue)

    def _attach(self, feed: Feed) -> None:
        topic = self.fanout.topic(feed.topic)
        topic.own_feeds.append(feed)
        topic.change()
        if topic.pattern is not None:
            self.fanout.widen(topic)
        self.feeds[feed.queue] = feed
        self._count(feed, feed.cost)
        self.desk.memory.durables.take(feed.weight)

    def _detach(self, feed: Feed) -> None:
        del self.feeds[feed.queue]
        self._count(feed, -feed.cost)
        self.desk.memory.durables.give(feed.weight)
        topic = self.fanout.topics[feed.topic]
        topic.own_feeds.remove(feed)
        topic.change()
        self.fanout.retire(topic)

    def _bind(self, feed: Feed) -> None:
        """Feed a queue from now on, also after a restart."""
        self._attach(feed)
        entry = feed.entry()
        self.desk.place(entry)
        entry.number = entry.key
        self.register.set(feed.queue, entry)

    def unbind(self, queue: str) -> None:
        """``queue`` is to be no more: feed it no more."""
        feed = self.feeds.get(queue)
        if feed is not None:
            self._detach(feed)
            self.register.remove(queue)

    def bind_virtual(self, queue: str) -> None:
        """Feed ``queue`` from now on, if it is a consumer group's of a virtual topic. Raises Refused."""
        if queue in self.feeds:
            return
        topic = virtual_topic(queue)
        if topic:
            self._check_feeds()
            feed = Feed(queue, topic)
            self._check_memory(feed, None)
            self._bind(feed)

    def _count(self, feed: Feed, cost: int) -> None:
        key = _where(feed)
        sum: int = self._costs.pop(key, 0) + cost
        if sum:
            self._costs[key] = sum

    def _check_cost(self, wanted: Feed, instead: Feed | None) -> None:
        """Raises Refused when the selectors that a message may have to pass cost too much with that of ``wanted``,
        made ``instead`` of another.
        """
        if not wanted.cost:
            return
        sum: int = self._costs.get(_where(wanted), 0) + wanted.cost
        if instead is not None and _where(instead) == _where(wanted):
            sum -= instead.cost
        most: int = self.desk.rules.max_selector_cost
        if sum > most:
            what = f"topic {wanted.topic[:80]}" if wanted.pattern is None else "patterns"
            raise too_costly(f"durable subscriptions of {what}", sum, most)

    def _check_memory(self, wanted: Feed, instead: Feed | None) -> None:
        """Raises Refused when ``wanted``, made ``instead`` of another, takes too much memory."""
        share = self.desk.memory.durables
        if not share.fits(wanted.weight - (instead.weight if instead is not None else 0)):
            raise Refused(
                "Durable subscriptions take too much memory",
                where="header destination",
                rule=f"This server keeps {share.most} bytes of durable subscriptions, consumer groups of virtual"
                " topics, and their selectors (a sixteenth of memory-limit)",
                fix="Use shorter selectors, delete those that are not used, or ask the administrator to raise that"
                " option.",
            )

    def _check_feeds(self) -> None:
        most: int = self.desk.rules.max_durables
        if len(self.feeds) >= most:
            raise Refused(
                "Too many durable subscriptions",
                where="header destination",
                rule=f"This server keeps {most} durable subscriptions and consumer groups of virtual topics"
                " (max-durables)",
                fix="Delete those that are not used, or ask the administrator to raise that option.",
            )

    def subscribe(self, subscription: Subscription) -> str:
        """Let ``subscription`` have the queue of the durable name it wishes for, made and fed when there is none;
        return what of the wish it cannot have, "" for nothing. Raises Refused.
        """
        desk = self.desk
        wish = subscription.wish
        warning = ""
        name = DURABLE + wish.durable
        wanted = Feed(name, wish.destination, wish.selector, wish.no_local, subscription.consumer.client_id)
        if wanted.no_local and not wanted.client_id:
            warning = "no-local has no effect on a durable subscription without client-id"
        start: Start | None = None
        if wish.replay or wish.retroactive:
            start = Start(wish.replay or "first", desk.now)
        feed = self.feeds.get(name)
        fresh = feed is None
        if feed is None:
            self._check_feeds()
        elif not feed.same(wanted):
            queue = self.queue_of(feed)
            if queue.subscriptions:
                warning = (
                    f"Durable subscription {wish.durable} goes on with its destination {feed.topic}"
                    + (f" and selector {feed.condition()}" if feed.selector is not None else "")
                    + ": others are subscribed to it"
                )
            else:
                # As in JMS: another topic, selector or noLocal is another subscription of the same name.
                fresh = True
        if fresh:
            self._check_cost(wanted, feed)
            self._check_memory(wanted, feed)
        with desk.log.transaction():
            if fresh:
                if feed is not None:
                    desk.delete(self.queue_of(feed))
                self._bind(wanted)
            queue = self.queue_of(self.feeds[name])
            if fresh:
                try:
                    self._fill(queue, wanted, start, subscription.consumer)
                except Refused:
                    desk.delete(queue)
                    raise
        # The feed has seen to these.
        subscription.selector = None
        subscription.no_local = False
        if wish.auto_delete:
            queue.passing = True
        queue.add(subscription)
        desk.use(queue)
        return warning

    def _fill(self, queue: Queue, feed: Feed, start: Start | None, consumer: Consumer) -> None:
        """Begin with what the topics kept. Raises Refused when there is no memory for that."""
        desk = self.desk
        topic = self.fanout.topics[feed.topic]
        if start is not None:
            replay = Replay(start, self.fanout.histories_of(topic, consumer))
            kept = replay.take(1 << 60, desk.now)
        else:
            kept = self.fanout.retained_of(topic, consumer)
        kept = [message for message in kept if feed.takes(message, None)]
        desk.memory.check(sum([message.size for message in kept]))
        for message in kept:
            twin = message.copy()
            twin.extras = None
            desk.place(twin)
            desk.put(queue, twin)

    def forget(self, name: str) -> int:
        """Delete a durable subscription and what waits for it; return the newest op's position.

        Raises Refused when there is none, or somebody is subscribed to it.
        """
        desk = self.desk
        feed = self.feeds.get(DURABLE + name)
        if feed is None:
            raise Refused(
                f"There is no durable subscription {name[:80]!r}",
                where="UNSUBSCRIBE",
                rule="A durable subscription is deleted under the client-id and name that it was made with",
                fix="SUBSCRIBE with the same client-id and name makes one; those there are have queues in /dsub/.",
            )
        if self.queue_of(feed).subscriptions:
            raise Refused(
                f"Durable subscription {name[:80]!r} is in use",
                where="UNSUBSCRIBE",
                rule="What another connection is subscribed to is not deleted (JMS, unsubscribe)",
                fix="End all subscriptions to it first.",
            )
        with desk.log.transaction():
            self.desk.delete(self.queue_of(feed))
        return desk.log.position

    def sent_to(self, name: str) -> Refused:
        """What a sender to a durable subscription's queue is told."""
        feed = self.feeds.get(name)
        return Refused(
            f"Destination {name[:80]!r} is a durable subscription",
            where="header destination",
            rule="Its messages come from its topic",
            fix=f"Send to {feed.topic}." if feed is not None else "Send to its topic.",
        )

    def none_such(self, name: str) -> Refused:
        """What one is told who subscribes, or sends, to a queue of that name."""
        return Refused(
            f"There is no durable subscription {name[len(DURABLE) :][:80]!r}",
            where="header destination",
            rule="Names that start with /dsub/ are those of durable subscriptions there are",
            fix="Subscribe to the topic with a durable name first.",
        )

    def check(self, feed: Feed, message: Message) -> None:
        """Raises Refused when the queue of ``feed`` has no room for ``message`` and its sender is to hear of it."""
        problem = refused(self.queue_of(feed), message.size)
        if problem is not None:
            raise problem

    def deliver(self, feeds: list[Feed], message: Message, sender: Consumer | None) -> None:
        """Put a copy of ``message`` into the queue of each; ``sender`` may have to wait then."""
        desk = self.desk
        for feed in feeds:
            twin = message.copy()
            desk.place(twin)
            if not feed.durable:
                # Consumer groups' queues are queues like others: one consumer may have several of them, and must
                # be able to tell the copies apart.
                twin.number = twin.key & NUMBER
                twin.head = None
                twin.variants = None
            queue = self.queue_of(feed)
            desk.put(queue, twin)
            if sender is not None and queue.policy.overflow == BLOCK and over(queue, 0, 0):
                sender.choked = queue
            if feed.durable:
                message.head = twin.head
                message.variants = twin.variants

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run; return what of it cannot be used, as text."""
        broken: list[str] = []
        self.register.restore(messages)
        for queue, entry in self.register.entries.items():
            try:
                feed = feed_of(queue, entry)
            except ClientError as fault:
                broken.append(f"{queue} gets nothing any more: {fault}")
                continue
            self._attach(feed)
            if feed.durable:
                self.queue_of(feed)
        return broken


def _where(feed: Feed) -> str:
    """Which messages its selector looks at: those of one topic, or of whatever fits a pattern."""
    return feed.topic if feed.pattern is None else ""
