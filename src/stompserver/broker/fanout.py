"""All topics: who gets what is sent to them, and what of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.durables import DURABLES, Durables
from stompserver.broker.history import HISTORY, History, wanted
from stompserver.broker.mailbox import DISCONNECT, Mailbox
from stompserver.broker.message import Message
from stompserver.broker.pattern import is_pattern
from stompserver.broker.replay import Replay, Start
from stompserver.broker.retained import Retained
from stompserver.broker.subscription import AUTO, Consumer, Subscription
from stompserver.broker.topic import Topic
from stompserver.broker.wildcards import Wildcards
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

# Not Final, because a test lowers it: compiled, a Final is written into the code.
PASSING: int = 10_000
"""Topics that are remembered only because patterns have them."""

HISTORIES: int = 10_000
"""Topics that may have a history; the one that was unused for longest gives way to another."""

AGING: Final = 1000
HOUR: Final = 3_600_000
"""Milliseconds between looks at what is too old: not less and not more."""

KEPT: Final = 4
"""The share of the memory limit that all histories together may take: one part in KEPT."""


class Fanout:
    """``topics`` by name: those somebody subscribes to, patterns among them, and those with a history.

    ``epoch`` counts the changes of what patterns there are; a topic that was resolved at an earlier one is resolved
    anew when something is sent to it.
    """

    __slots__ = (
        "_aging",
        "broker",
        "durables",
        "epoch",
        "histories",
        "passing",
        "remembered",
        "replaying",
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
        self.durables = Durables(broker, self)
        self.retained = Retained(broker.log, broker.memory)
        self.histories: dict[str, History] = {}
        """By the names of their topics, the longest unused first."""
        self.remembered: int = 0
        """Bytes in all of them."""
        self.replaying: list[Mailbox] = []
        self._aging = _Aging(self)

    # Sending

    def send(self, message: Message, sender: Consumer | None) -> int:
        """Deliver ``message`` to all who want it, and keep it where that is asked for: all of that or nothing.

        Raises Refused, with nothing done.
        """
        broker = self.broker
        name = message.destination
        if self.replaying:
            self._see_replays()
        topic = self.check(message, sender)
        broker._number(message)
        if topic is None:
            return broker.log.number
        topic.policy.limit_time(message, broker.clock.now)
        retain = _retain(topic, message)
        if message.extras is not None:
            # Copies must not ask for it again when they are sent on.
            message.extras.pop("retain", None)
            message.extras = message.extras or None
        feeds = [feed for feed in topic.feeds if feed.takes(message, sender)]
        alone = broker.log.begin() if feeds or retain or topic.history is not None else False
        if topic.history is not None:
            self._remember(topic.history, message)
        topic.offer(message, sender)
        self.durables.deliver(feeds, message, sender)
        if retain == "set":
            kept = self.retained.prepare(message)
            broker.place(kept)
            self.retained.keep(name, kept)
        elif retain == "remove":
            self.retained.remove(name)
        if alone:
            broker.log.end()
        return broker.log.number

    def _see_replays(self) -> None:
        """Topics need not look out for replays that are over."""
        going = [box for box in self.replaying if box.replay is not None]
        if len(going) < len(self.replaying):
            self.replaying = going
            self.change()

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
                self.durables.check(feed, message)
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
        if history.policy.history_age:
            self._watch_age(history)
        most: int = broker.memory.limit // KEPT
        while self.remembered > most and len(history) > 1:
            self.remembered -= history.forget_oldest()
        # The one that was unused for longest is the first.
        name = message.destination
        self.histories[name] = self.histories.pop(name)

    def _watch_age(self, history: History) -> None:
        """See that what becomes too old is forgotten also when nothing new is sent."""
        if not self._aging.live:
            self._aging.when = self.broker.now + max(AGING, min(history.policy.history_age, HOUR))
            self.broker.deadlines.add(self._aging)

    def forget_old(self, now: int) -> None:
        """Forget what is too old in all histories."""
        for history in self.histories.values():
            if history.policy.history_age:
                before: int = history.bytes
                history.trim(now)
                self.remembered += history.bytes - before
                if len(history) > 1:
                    self._watch_age(history)

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
        rules = self.broker.rules
        for topic in self.topics.values():
            topic.policy = rules.policies.find(topic.name)
            for box in topic.queues:
                box.rule(topic.policy, rules.lag)

    # History

    def _forget_history(self, name: str) -> None:
        history = self.histories.pop(name)
        self.remembered -= history.bytes
        history.clear()
        topic = self.topics.get(name)
        if topic is not None:
            topic.history = None
            topic.change()
            self.rest(topic)

    # Subscribing

    def subscribe(self, subscription: Subscription) -> int:
        """Register ``subscription`` to a topic, a pattern of topics, or durably. Raises Refused."""
        broker = self.broker
        if subscription.browser:
            subscription.browser = False
            subscription.warning = "A topic has nothing to browse: messages come when they are sent"
        if subscription.durable:
            return self.durables.subscribe(subscription)
        name = subscription.destination
        start: Start | None = None
        if subscription.replay or subscription.retroactive:
            start = Start(subscription.replay or "first", broker.now)
        topic = self.topic(name)
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
                histories = self.histories_of(topic)
                if histories:
                    box.replay = Replay(start, histories)
                    self.replaying.append(box)
                elif topic.pattern is None and not wanted(topic.policy):
                    subscription.warning = f"{name} has no history to replay (policy history-messages)"
            broker.let(box, subscription)
        topic.add(subscription, box)
        if topic.pattern is not None:
            self.widen(topic)
        return broker.log.number

    def topic(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            topic = Topic(name, self.broker.rules.policies.find(name))
            self.topics[name] = topic
        self.passing.pop(name, None)
        return topic

    def widen(self, topic: Topic) -> None:
        """There is a new subscription to a pattern."""
        if topic.pattern is not None:
            self.wildcards.add(topic.pattern)
        self.change()

    def histories_of(self, topic: Topic) -> list[History]:
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
        self.rest(topic)

    def rest(self, topic: Topic) -> None:
        """Forget a topic that is not needed any more; a pattern's subscriptions have changed in any case."""
        unused = topic.unused()
        if topic.pattern is not None:
            if unused:
                self.wildcards.discard(topic.name)
            self.change()
        if unused and topic.name not in self.histories and self.topics.get(topic.name) is topic:
            del self.topics[topic.name]
            self.resolved.pop(topic.name, None)

    # After a restart

    def restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the system queue ``name`` has of an earlier run; return what of it cannot be used, as text.

        Queues of the store must be known before.
        """
        if name == DURABLES:
            return self.durables.restore(messages)
        if name == self.retained.register.queue:
            self.retained.restore(messages)
        else:
            topic = name[len(HISTORY) :]
            history = History(
                topic, self.broker.log, self.broker.memory, self.broker.rules.policies.find(topic)
            )
            history.restore(messages)
            self.remembered += history.bytes
            self.histories[topic] = history
            self.topic(topic).change()
            if history.policy.history_age:
                self._watch_age(history)
        return []

    def restores(self, name: str) -> bool:
        """Whether that system queue is one of those here."""
        return name in (DURABLES, self.retained.register.queue) or name.startswith(HISTORY)


class _Aging(Timed):
    """The next look at what is too old; one for all histories."""

    __slots__ = ("_fanout",)

    def __init__(self, fanout: Fanout) -> None:
        super().__init__(0)
        self.live = False
        self._fanout = fanout

    def due(self, now: int) -> None:
        self._fanout.forget_old(now)


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
