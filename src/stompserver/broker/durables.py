"""Queues that topics feed: those of durable subscriptions, and of consumer groups of virtual topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.destination import DURABLE, SYSTEM
from stompserver.broker.feed import Feed, feed_of, virtual_topic
from stompserver.broker.message import NUMBER, Message
from stompserver.broker.overflow import BLOCK, REJECT, over, refusal
from stompserver.broker.queue import Queue
from stompserver.broker.register import Register
from stompserver.broker.replay import Replay, Start
from stompserver.broker.subscription import Consumer, Subscription
from stompserver.errors import Refused, Teaching

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.fanout import Fanout

DURABLES: Final = SYSTEM + "durables"
"""The system queue with what feeds which queue."""


class Durables:
    """``feeds`` by the names of their queues; also in ``register``, so that they outlive the server."""

    __slots__ = ("broker", "fanout", "feeds", "register")

    def __init__(self, broker: Broker, fanout: Fanout) -> None:
        self.broker = broker
        self.fanout = fanout
        self.feeds: dict[str, Feed] = {}
        self.register = Register(broker.log, DURABLES)

    def queue_of(self, feed: Feed) -> Queue:
        """The queue of ``feed``, made when there is none."""
        return self.broker.queues.get(feed.queue) or self.broker._make(feed.queue)

    def _attach(self, feed: Feed) -> None:
        topic = self.fanout.topic(feed.topic)
        topic.own_feeds.append(feed)
        topic.change()
        if topic.pattern is not None:
            self.fanout.widen(topic)
        self.feeds[feed.queue] = feed

    def _detach(self, feed: Feed) -> None:
        del self.feeds[feed.queue]
        topic = self.fanout.topics[feed.topic]
        topic.own_feeds.remove(feed)
        topic.change()
        self.fanout.rest(topic)

    def _bind(self, feed: Feed) -> None:
        """Feed a queue from now on, also after a restart."""
        self._attach(feed)
        entry = feed.entry()
        self.broker.place(entry)
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
            self._bind(Feed(queue, topic))

    def _check_feeds(self) -> None:
        most: int = self.broker.rules.max_durables
        if len(self.feeds) >= most:
            raise Refused(
                "Too many durable subscriptions",
                where="header destination",
                rule=f"This server keeps {most} durable subscriptions and consumer groups of virtual topics"
                " (max-durables)",
                mend="Delete those that are not used, or ask the administrator to raise that option.",
            )

    def subscribe(self, subscription: Subscription) -> int:
        broker = self.broker
        name = DURABLE + subscription.durable
        wish = Feed(
            name,
            subscription.destination,
            subscription.selector,
            subscription.no_local,
            subscription.consumer.client_id,
        )
        if wish.no_local and not wish.client_id:
            subscription.warning = "no-local has no effect on a durable subscription without client-id"
        start: Start | None = None
        if subscription.replay or subscription.retroactive:
            start = Start(subscription.replay or "first", broker.now)
        feed = self.feeds.get(name)
        fresh = feed is None
        if feed is None:
            self._check_feeds()
        elif not feed.same(wish):
            queue = self.queue_of(feed)
            if queue.subscriptions:
                subscription.warning = (
                    f"Durable subscription {subscription.durable} goes on with its destination {feed.topic}"
                    + (f" and selector {feed.condition()}" if feed.selector is not None else "")
                    + ": others are subscribed to it"
                )
            else:
                # As in JMS: another topic, selector or noLocal is another subscription of the same name.
                fresh = True
        alone = broker.log.begin()
        if fresh:
            if feed is not None:
                broker.delete(self.queue_of(feed))
            self._bind(wish)
        queue = self.queue_of(self.feeds[name])
        if fresh:
            self._fill(queue, wish, start)
        if alone:
            broker.log.end()
        # The feed has seen to these.
        subscription.selector = None
        subscription.no_local = False
        broker.attach(queue, subscription)
        return broker.log.number

    def _fill(self, queue: Queue, feed: Feed, start: Start | None) -> None:
        """Begin with what the topics kept."""
        broker = self.broker
        topic = self.fanout.topics[feed.topic]
        if start is not None:
            replay = Replay(start, self.fanout.histories_of(topic))
            kept = replay.take(1 << 60, broker.now)
        else:
            kept = self.fanout.retained.find(feed.topic, feed.pattern, broker.now)
        for message in kept:
            if feed.takes(message, None):
                twin = message.copy()
                twin.extras = None
                broker.place(twin)
                broker.put(queue, twin)

    def forget(self, name: str) -> int:
        """Delete a durable subscription and what waits for it; return the newest op's number.

        Raises Refused when there is none, or somebody is subscribed to it.
        """
        broker = self.broker
        feed = self.feeds.get(DURABLE + name)
        if feed is None:
            raise Refused(
                f"There is no durable subscription {name[:80]!r}",
                where="UNSUBSCRIBE",
                rule="A durable subscription is deleted under the client-id and name that it was made with",
                mend="SUBSCRIBE with the same client-id and name makes one; those there are have queues in /dsub/.",
            )
        if self.queue_of(feed).subscriptions:
            raise Refused(
                f"Durable subscription {name[:80]!r} is in use",
                where="UNSUBSCRIBE",
                rule="What another connection is subscribed to is not deleted (JMS, unsubscribe)",
                mend="End all subscriptions to it first.",
            )
        alone = broker.log.begin()
        self.broker.delete(self.queue_of(feed))
        if alone:
            broker.log.end()
        return broker.log.number

    def sent_to(self, name: str) -> Refused:
        """What a sender to a durable subscription's queue is told."""
        feed = self.feeds.get(name)
        return Refused(
            f"Destination {name[:80]!r} is a durable subscription",
            where="header destination",
            rule="Its messages come from its topic",
            mend=f"Send to {feed.topic}." if feed is not None else "Send to its topic.",
        )

    def none_such(self, name: str) -> Refused:
        """What one is told who subscribes, or sends, to a queue of that name."""
        return Refused(
            f"There is no durable subscription {name[len(DURABLE) :][:80]!r}",
            where="header destination",
            rule="Names that start with /dsub/ are those of durable subscriptions there are",
            mend="Subscribe to the topic with a durable name first.",
        )

    def check(self, feed: Feed, message: Message) -> None:
        """Raises Refused when the queue of ``feed`` has no room for ``message`` and its sender is to hear of it."""
        queue = self.queue_of(feed)
        if queue.policy.overflow == REJECT and over(queue, message.size):
            raise refusal(queue.name, queue.policy)

    def deliver(self, feeds: list[Feed], message: Message, sender: Consumer | None) -> None:
        """Put a copy of ``message`` into the queue of each; ``sender`` may have to wait then."""
        broker = self.broker
        for feed in feeds:
            twin = message.copy()
            broker.place(twin)
            if not feed.durable:
                # Consumer groups' queues are queues like others: one consumer may have several of them, and must
                # be able to tell the copies apart.
                twin.number = twin.key & NUMBER
                twin.head = None
                twin.variants = None
            queue = self.queue_of(feed)
            broker.put(queue, twin)
            if sender is not None and queue.policy.overflow == BLOCK and over(queue, 0, 0):
                sender.choked = queue
            if feed.durable:
                message.head = twin.head
                message.variants = twin.variants

    def restore(self, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run; return what of it cannot be used, as text."""
        broken: list[str] = []
        self.register.restore(messages)
        for queue, entry in self.register.entries.items():
            try:
                feed = feed_of(queue, entry)
            except Teaching as fault:
                broken.append(f"{queue} gets nothing any more: {fault}")
                continue
            self._attach(feed)
            if feed.durable:
                self.queue_of(feed)
        return broken
