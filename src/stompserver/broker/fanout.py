"""All topics: who gets what is sent to them, and what of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.destination import DURABLE, SYSTEM
from stompserver.broker.feed import Feed, feed_of, virtual_topic
from stompserver.broker.history import HISTORY, History, wanted
from stompserver.broker.mailbox import DISCONNECT, Mailbox
from stompserver.broker.message import Message
from stompserver.broker.overflow import REJECT, over, refusal
from stompserver.broker.pattern import is_pattern
from stompserver.broker.queue import Queue
from stompserver.broker.register import Register
from stompserver.broker.replay import Replay, Start
from stompserver.broker.retained import Retained
from stompserver.broker.subscription import AUTO, Consumer, Subscription
from stompserver.broker.topic import Topic
from stompserver.broker.wildcards import Wildcards
from stompserver.errors import Refused, Teaching

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

DURABLES: Final = SYSTEM + "durables"
"""The system queue with what feeds which queue."""

PASSING: Final = 10_000
"""Topics that are remembered only because patterns have them."""

HISTORIES: Final = 10_000
"""Topics that may have a history; the one that was unused for longest gives way to another."""

KEPT: Final = 4
"""The share of the memory limit that all histories together may take: one part in KEPT."""


class Fanout:
    """``topics`` by name: those somebody subscribes to, patterns among them, and those with a history.

    ``epoch`` counts the changes of what patterns there are; a topic that was resolved at an earlier one is resolved
    anew when something is sent to it.
    """

    __slots__ = (
        "broker",
        "epoch",
        "feeds",
        "histories",
        "passing",
        "register",
        "remembered",
        "resolved",
        "retained",
        "topics",
        "wildcards",
    )

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.topics: dict[str, Topic] = {}
        self.epoch: int = 0
        self.wildcards = Wildcards()
        self.resolved: dict[str, Topic] = {}
        """Those with subscriptions of patterns in their lists."""
        self.passing: dict[str, Topic] = {}
        """Those in ``topics`` that nobody asked for by name."""
        self.feeds: dict[str, Feed] = {}
        """By the names of their queues."""
        self.register = Register(broker.log, DURABLES)
        self.retained = Retained(broker.log, broker.memory)
        self.histories: dict[str, History] = {}
        """By the names of their topics, the longest unused first."""
        self.remembered: int = 0
        """Bytes in all of them."""

    # Sending

    def send(self, message: Message, sender: Consumer | None) -> int:
        """Deliver ``message`` to all who want it, and keep it where that is asked for: all of that or nothing.

        Raises Refused, with nothing done.
        """
        broker = self.broker
        name = message.destination
        topic = self.check(message, sender)
        broker._number(message)
        if topic is None:
            return broker.log.number
        retain = _retain(topic, message)
        feeds = [feed for feed in topic.feeds if feed.takes(message, sender)]
        alone = broker.log.begin() if feeds or retain or topic.history is not None else False
        if topic.history is not None:
            self._remember(topic.history, message)
        topic.offer(message, sender)
        self._feed(feeds, message)
        if retain == "set":
            kept = self.retained.prepare(message)
            broker.place(kept)
            self.retained.keep(name, kept)
        elif retain == "remove":
            self.retained.remove(name)
        if alone:
            broker.log.end()
        return broker.log.number

    def check(self, message: Message, sender: Consumer | None) -> Topic | None:
        """The topic of ``message``; None when nobody wants it. Raises Refused when it cannot be sent."""
        broker = self.broker
        name = message.destination
        topic = self.topics.get(name)
        if topic is None:
            topic = self._unheard(name, message)
            if topic is None:
                return None
        if topic.pattern is not None:
            raise pattern_sent_to(name)
        if topic.resolved != self.epoch:
            self._resolve(topic)
        copies: int = 1 if topic.history is not None else 0
        if _retain(topic, message) == "set":
            self.retained.check(name)
            copies += 1
        for feed in topic.feeds:
            if feed.takes(message, sender):
                queue = self.queue_of(feed)
                if queue.policy.overflow == REJECT and over(queue, message.size):
                    raise refusal(queue)
                copies += 1
        if copies and message.persistent:
            broker.check_storage(message.size * copies)
        return topic

    def _remember(self, history: History, message: Message) -> None:
        broker = self.broker
        before: int = history.bytes
        twin = history.prepare(message, broker.now)
        broker.place(twin)
        history.add(twin, broker.now)
        self.remembered += history.bytes - before
        most: int = broker.memory.limit // KEPT
        while self.remembered > most and len(history) > 1:
            self.remembered -= history.forget_oldest()
        # The one that was unused for longest is the first.
        name = message.destination
        self.histories[name] = self.histories.pop(name)

    def _feed(self, feeds: list[Feed], message: Message) -> None:
        broker = self.broker
        for feed in feeds:
            twin = message.copy()
            broker.place(twin)
            if not feed.durable:
                # Consumer groups' queues are queues like others: one consumer may have several of them, and must
                # be able to tell the copies apart.
                twin.number = twin.key
                twin.head = None
                twin.variants = None
            broker.put(self.queue_of(feed), twin)
            if feed.durable:
                message.head = twin.head
                message.variants = twin.variants

    def _unheard(self, name: str, message: Message) -> Topic | None:
        """A topic for a message to a name that nobody subscribes to, if it is to be kept, or patterns have it."""
        if is_pattern(name):
            raise pattern_sent_to(name)
        policy = self.broker.rules.policies.find(name)
        keeps = policy.retain or (message.extras is not None and "retain" in message.extras)
        history = wanted(policy)
        found = bool(self.wildcards.texts) and bool(self.wildcards.find(name))
        if not keeps and not history and not found:
            return None
        topic = Topic(name, policy)
        if history or found:
            self.topics[name] = topic
            if not history:
                self.passing[name] = topic
                if len(self.passing) > PASSING:
                    oldest = next(iter(self.passing))
                    del self.passing[oldest]
                    self.resolved.pop(oldest, None)
                    del self.topics[oldest]
        return topic

    def _resolve(self, topic: Topic) -> None:
        topic.policy = self.broker.rules.policies.find(topic.name)
        history = self.histories.get(topic.name)
        if wanted(topic.policy):
            if history is None:
                if len(self.histories) >= HISTORIES:
                    self._forget_history(next(iter(self.histories)))
                history = History(topic.name, self.broker.log, self.broker.memory, topic.policy)
                self.histories[topic.name] = history
                self.passing.pop(topic.name, None)
            history.policy = topic.policy
        elif history is not None:
            self._forget_history(topic.name)
            history = None
        topic.history = history
        patterns = [self.topics[text] for text in self.wildcards.find(topic.name)]
        topic.resolve(patterns, self.epoch)
        if patterns:
            self.resolved[topic.name] = topic

    def change(self) -> None:
        """There are other patterns, or other rules: let go of what was made of the old ones."""
        self.epoch += 1
        for topic in self.resolved.values():
            topic.change()
        self.resolved.clear()
        for name in self.passing:
            self.topics.pop(name, None)
        self.passing.clear()

    def adjust(self) -> None:
        """The rules are others now."""
        self.change()
        lag: int = self.broker.rules.lag
        for topic in self.topics.values():
            for box in topic.queues:
                box.lag = lag

    # History

    def _forget_history(self, name: str) -> None:
        history = self.histories.pop(name)
        self.remembered -= history.bytes
        history.clear()
        topic = self.topics.get(name)
        if topic is not None:
            topic.history = None
            topic.change()
            self._rest(topic)

    # Subscribing

    def subscribe(self, subscription: Subscription) -> int:
        """Register ``subscription`` to a topic, a pattern of topics, or durably. Raises Refused."""
        broker = self.broker
        if subscription.browser:
            subscription.browser = False
            subscription.warning = "A topic has nothing to browse: messages come when they are sent"
        if subscription.durable:
            return self._subscribe_durably(subscription)
        name = subscription.destination
        start: Start | None = None
        if subscription.replay or subscription.retroactive:
            start = Start(subscription.replay or "first", broker.now)
        topic = self._topic(name)
        box: Mailbox | None = None
        if (
            subscription.mode != AUTO
            or start is not None
            or subscription.pending > 0
            or topic.policy.slow != DISCONNECT
        ):
            box = Mailbox(
                subscription,
                broker.memory,
                topic.policy,
                broker.clock,
                broker.deadlines,
                broker,
                broker.rules.lag,
            )
            if start is not None:
                histories = self._histories_of(topic)
                if histories:
                    box.replay = Replay(start, histories)
                elif topic.pattern is None and not wanted(topic.policy):
                    subscription.warning = f"{name} has no history to replay (policy history-messages)"
            broker.let(box, subscription)
        topic.add(subscription, box)
        if topic.pattern is not None:
            self.wildcards.add(topic.pattern)
            self.change()
        return broker.log.number

    def _topic(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            topic = Topic(name, self.broker.rules.policies.find(name))
            self.topics[name] = topic
        self.passing.pop(name, None)
        return topic

    def _histories_of(self, topic: Topic) -> list[History]:
        if topic.pattern is None:
            history = self.histories.get(topic.name)
            return [history] if history is not None else []
        return [history for name, history in self.histories.items() if topic.pattern.matches(name)]

    def start(self, subscription: Subscription) -> None:
        """Deliver what the topic kept for ``subscription``."""
        topic = subscription.topic
        box = subscription.queue
        if topic is None:
            return
        if not isinstance(box, Mailbox) or box.replay is None:
            for message in self.retained.find(topic.name, topic.pattern, self.broker.now):
                if isinstance(box, Mailbox):
                    if box.wants(message, None):
                        box.post(message)
                elif subscription.selector is None or subscription.selector.matches(message):
                    subscription.consumer.deliver(subscription, message)
        if box is not None:
            box.dispatch()

    def unsubscribe(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``, which has a topic."""
        topic = subscription.topic
        assert topic is not None
        topic.discard(subscription)
        self._rest(topic)

    def _rest(self, topic: Topic) -> None:
        """Forget a topic that is not needed any more; a pattern's subscriptions have changed in any case."""
        unused = topic.unused()
        if topic.pattern is not None:
            if unused:
                self.wildcards.discard(topic.name)
            self.change()
        if unused and topic.name not in self.histories and self.topics.get(topic.name) is topic:
            del self.topics[topic.name]
            self.resolved.pop(topic.name, None)

    # Queues that are fed

    def queue_of(self, feed: Feed) -> Queue:
        """The queue of ``feed``, made when there is none."""
        return self.broker.queues.get(feed.queue) or self.broker._make(feed.queue)

    def _attach(self, feed: Feed) -> None:
        topic = self._topic(feed.topic)
        topic.own_feeds.append(feed)
        topic.change()
        if topic.pattern is not None:
            self.wildcards.add(topic.pattern)
            self.change()
        self.feeds[feed.queue] = feed

    def _detach(self, feed: Feed) -> None:
        del self.feeds[feed.queue]
        topic = self.topics[feed.topic]
        topic.own_feeds.remove(feed)
        topic.change()
        self._rest(topic)

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

    def _subscribe_durably(self, subscription: Subscription) -> int:
        broker = self.broker
        name = DURABLE + subscription.durable
        wish = Feed(
            name,
            subscription.destination,
            subscription.selector,
            subscription.no_local,
            subscription.consumer.client_id,
        )
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
        topic = self.topics[feed.topic]
        if start is not None:
            replay = Replay(start, self._histories_of(topic))
            kept = replay.take(1 << 60, broker.now)
        else:
            kept = self.retained.find(feed.topic, feed.pattern, broker.now)
        for message in kept:
            if feed.takes(message, None):
                twin = message.copy()
                twin.extras = None
                broker.place(twin)
                broker.put(queue, twin)

    def forget_durable(self, name: str) -> int:
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

    def durable_sent_to(self, name: str) -> Refused:
        """What a sender to a durable subscription's queue is told."""
        feed = self.feeds.get(name)
        return Refused(
            f"Destination {name[:80]!r} is a durable subscription",
            where="header destination",
            rule="Its messages come from its topic",
            mend=f"Send to {feed.topic}." if feed is not None else "Send to its topic.",
        )

    def no_such_durable(self, name: str) -> Refused:
        """What one is told who subscribes, or sends, to a queue of that name."""
        return Refused(
            f"There is no durable subscription {name[len(DURABLE) :][:80]!r}",
            where="header destination",
            rule="Names that start with /dsub/ are those of durable subscriptions there are",
            mend="Subscribe to the topic with a durable name first.",
        )

    # After a restart

    def restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the system queue ``name`` has of an earlier run; return what of it cannot be used, as text.

        Queues of the store must be known before.
        """
        broken: list[str] = []
        if name == DURABLES:
            self.register.restore(messages)
            for queue, entry in self.register.entries.items():
                try:
                    feed = feed_of(queue, entry)
                except Teaching as fault:
                    broken.append(f"{queue} gets nothing any more: {fault}")
                    continue
                self._attach(feed)
                self.queue_of(feed)
        elif name == self.retained.register.queue:
            self.retained.restore(messages)
        else:
            topic = name[len(HISTORY) :]
            history = History(
                topic, self.broker.log, self.broker.memory, self.broker.rules.policies.find(topic)
            )
            history.restore(messages)
            self.remembered += history.bytes
            self.histories[topic] = history
            self._topic(topic).change()
        return broken

    def restores(self, name: str) -> bool:
        """Whether that system queue is one of those here."""
        return name in (DURABLES, self.retained.register.queue) or name.startswith(HISTORY)


def _retain(topic: Topic, message: Message) -> str:
    """What becomes of the retained message of ``topic``: ``set``, ``remove`` or nothing."""
    asked = message.extras.get("retain", "") if message.extras is not None else ""
    return asked or ("set" if topic.policy.retain else "")


def pattern_sent_to(name: str) -> Refused:
    return Refused(
        f"Destination {name[:80]!r} is a pattern",
        where="header destination",
        rule="Wildcards (*, >, #, **) are for subscribing",
        mend="Send to the destination's full name.",
    )
