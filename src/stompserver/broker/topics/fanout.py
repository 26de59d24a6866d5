"""All topics: who gets what is sent to them, and what of it is kept."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.kept.properties import Properties
from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.names.wildcards import Wildcards
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.shared import Shared
from stompserver.broker.slices import BUDGET, Sliced
from stompserver.broker.subscription import AUTO, Consumer, Subscription, Wish
from stompserver.broker.topics.choice import Choice
from stompserver.broker.topics.durables import Durables
from stompserver.broker.topics.feed import Feed
from stompserver.broker.topics.filling import Subscriber
from stompserver.broker.topics.history import HISTORY, History, wanted
from stompserver.broker.topics.mailbox import DISCONNECT, Mailbox
from stompserver.broker.topics.remembering import MUCH, Fillings
from stompserver.broker.topics.replay import Replay, Start
from stompserver.broker.topics.retained import Retained
from stompserver.broker.topics.topic import Topic
from stompserver.broker.topics.unheard import Unheard
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.queues.groups import Resting
    from stompserver.broker.queues.shared import Keeper

# Not Final, because a test lowers it: compiled, a Final is written into the code.
PASSING: int = 10_000
"""Topics that are remembered only because patterns have them, or because they may have a history."""

HISTORIES: int = 10_000
"""Topics that may have a history; the one that was unused for longest gives way to another."""

LETTING_GO: Final = 8
"""Topics that are let go of in one unit of work."""

STEPS: Final = 16
"""Levels that are compared in one unit of work."""

AGING: Final = 1000
HOUR: Final = 3_600_000
"""Milliseconds between looks at what is too old: not less and not more."""


class Fanout:
    """``topics`` by name: those somebody subscribes to, patterns among them, and those with a history.

    ``epoch`` counts the changes of what patterns there are; a topic that was resolved at an earlier one is resolved
    anew when something is sent to it.
    """

    __slots__ = (
        "_aging",
        "_fillings",
        "boxes",
        "desk",
        "durables",
        "epoch",
        "histories",
        "passing",
        "replayed",
        "resolved",
        "retained",
        "topics",
        "unheard",
        "wildcards",
    )

    def __init__(self, desk: Desk, keeper: Keeper, resting: Resting, properties: Properties) -> None:
        self.desk = desk
        self.boxes = Shared(OpLog(), desk.memory, desk.clock, desk.deadlines, desk.slices, keeper, resting)
        """What mailboxes share. Nothing of them survives, so their log records nothing."""
        self.topics: dict[str, Topic] = {}
        self.epoch: int = 0
        self.wildcards = Wildcards()
        self.resolved: dict[str, Topic] = {}
        """Those with subscriptions of patterns in their lists."""
        self.passing: dict[str, Topic] = {}
        """Those in ``topics`` that nobody asked for by name and that have no history."""
        self.durables = Durables(desk, self, properties)
        self.retained = Retained(desk)
        self.unheard = Unheard(desk)
        self._fillings = Fillings(self.retained, desk)
        self.histories: dict[str, History] = {}
        """By the names of their topics, the longest unused first."""
        self.replayed = False
        """Whether a replay is over for which some topics look out still."""
        self._aging = _Aging(self)
        desk.restorers[HISTORY] = self._restore

    # Sending

    def send(self, message: Message, sender: Consumer | None, admitted: bool = False) -> int:
        """Deliver ``message`` to all who want it, and keep it where that is asked for: all of that or nothing.

        Raises Refused, with nothing done; not for want of room when it was ``admitted`` with its transaction.
        """
        desk = self.desk
        name = message.destination
        if self.replayed:
            self.replayed = False
            self.change()
        topic = self.find(message)
        if topic is None:
            desk.assign(message)
            self.unheard.note(name, sender)
            return desk.log.position
        desk.work += topic.effort()
        topic.policy.limit_time(message, desk.clock.now)
        retain = retention(topic, message)
        kept = wanted(topic.policy)
        feeds = topic.takers(message, sender)
        if not admitted and (feeds or retain or kept):
            self._check(message, feeds, retain, kept)
        desk.assign(message)
        if message.extras is not None:
            # Copies must not ask for it again when they are sent on.
            message.extras.pop("retain", None)
            message.extras = message.extras or None
        if not feeds and not retain and not kept:
            topic.offer(message, sender)
            return desk.log.position
        with desk.log.transaction():
            if kept:
                history = topic.history if topic.history is not None else self._begin_history(topic)
                self._remember(history, message)
            topic.offer(message, sender)
            self.durables.deliver(feeds, message, sender)
            if retain == "set":
                twin = self.retained.prepare(message)
                desk.place(twin)
                self.retained.keep(name, twin)
            elif retain == "remove":
                self.retained.remove(name)
        return desk.log.position

    def find(self, message: Message) -> Topic | None:
        """The topic of ``message``, with its lists made; None when nobody wants it. Raises Refused for a pattern."""
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
        return topic

    def _check(self, message: Message, feeds: list[Feed], retain: str, kept: bool) -> None:
        """Raises Refused when there is no room for all copies of ``message``."""
        # What topics keep is written whatever its sender wished.
        copies: int = 1 if kept else 0
        if retain == "set":
            self.retained.check(message.destination, message.size)
            copies += 1
        if feeds:
            for feed in feeds:
                self.durables.check(feed, message)
            if message.persistent:
                copies += len(feeds)
            if len(feeds) > 1:
                self.desk.memory.check(message.size * len(feeds))
        if copies:
            self.desk.check_storage(message.size * copies)

    def _remember(self, history: History, message: Message) -> None:
        desk = self.desk
        twin = history.prepare(message, desk.now)
        desk.place(twin)
        history.add(twin)
        if history.policy.history_age:
            self._watch_age(history)
        # The one that was unused for longest is the first.
        name = message.destination
        self.histories[name] = self.histories.pop(name)
        if not self.shrink(history, BUDGET):
            desk.slices.add(_Forgetting(self, deque([history])))

    def shrink(self, history: History, budget: int) -> int:
        """Forget what is too much in ``history``, and in all of them for it, with about ``budget`` messages; return
        how much of that is left: 0 when there may be more to forget.
        """
        budget = history.trim(self.desk.now, budget)
        share = self.desk.memory.histories
        while share.exceeded and budget > 0:
            if len(history) > 1:
                history.forget_oldest()
                budget -= 1
            elif len(self.histories) > 1:
                # Many topics with one message each.
                name = next(iter(self.histories))
                budget -= len(self.histories[name])
                self._forget_history(name)
            else:
                break
        return max(budget, 0)

    def _watch_age(self, history: History) -> None:
        """See that what becomes too old is forgotten also when nothing new is sent."""
        if not self._aging.live:
            self.desk.deadlines.after(max(AGING, min(history.policy.history_age, HOUR)), self._aging)

    def forget_old(self) -> None:
        """Forget what is too old in all histories."""
        forgetting = _Forgetting(self, deque(self.histories.values()))
        if forgetting.slice(BUDGET):
            self.desk.slices.add(forgetting)

    def age(self, history: History) -> None:
        """What is too old in ``history`` was forgotten: look again when something can be."""
        if history.policy.history_age and len(history) > 1:
            self._watch_age(history)

    def _unheard(self, name: str, message: Message) -> Topic | None:
        """A topic for a message to a name that nobody subscribes to, if it is to be kept, or patterns have it."""
        if is_pattern(name):
            raise pattern_sent_to(name)
        policy = self.desk.rules.policies.find(name)
        keeps = policy.retain or (message.extras is not None and "retain" in message.extras)
        history = wanted(policy)
        found = len(self._patterns(name)) > 0
        if not keeps and not history and not found:
            return None
        topic = Topic(name, policy)
        if history or found:
            self.topics[name] = self.passing[name] = topic
            if len(self.passing) > PASSING:
                oldest = next(iter(self.passing))
                del self.passing[oldest]
                self.resolved.pop(oldest, None)
                del self.topics[oldest]
        return topic

    def _resolve(self, topic: Topic) -> None:
        topic.policy = self.desk.rules.policies.find(topic.name)
        history = self.histories.get(topic.name)
        if history is not None and wanted(topic.policy):
            history.policy = topic.policy
        elif history is not None:
            self._forget_history(topic.name)
            history = None
        topic.history = history
        patterns = [self.topics[text] for text in self._patterns(topic.name)]
        topic.resolve(patterns, self.epoch)
        if patterns:
            self.resolved[topic.name] = topic
            # Whether each may have it was asked.
            self.desk.work += topic.effort()

    def _patterns(self, name: str) -> list[str]:
        """Those that ``name`` fits."""
        if not self.wildcards.texts:
            return []
        before: int = self.wildcards.steps
        found = self.wildcards.find(name)
        self.desk.work += (self.wildcards.steps - before) // STEPS
        return found

    def change(self) -> None:
        """There are other patterns, or other rules: let go of what was made of the old ones."""
        self.epoch += 1
        self.desk.work += (len(self.resolved) + len(self.passing)) // LETTING_GO
        for topic in self.resolved.values():
            topic.change()
        self.resolved.clear()
        for name in self.passing:
            self.topics.pop(name, None)
        self.passing.clear()

    def adjust(self) -> None:
        """The rules are others now."""
        self.change()
        rules = self.desk.rules
        for topic in self.topics.values():
            topic.policy = rules.policies.find(topic.name)
            for box in topic.queues:
                box.rule(topic.policy, rules.lag)

    # History

    def _begin_history(self, topic: Topic) -> History:
        """A history for ``topic``, which has something to remember now."""
        if len(self.histories) >= HISTORIES:
            self._forget_history(next(iter(self.histories)))
        history = History(topic.name, self.desk.log, self.desk.memory, self.desk.clock, topic.policy)
        history.born = self.desk.number
        topic.history = self.histories[topic.name] = history
        self.passing.pop(topic.name, None)
        return history

    def _forget_history(self, name: str) -> None:
        history = self.histories.pop(name)
        rest = history.clear()
        if rest is not None:
            self.desk.slices.add(rest)
        topic = self.topics.get(name)
        if topic is not None:
            topic.history = None
            topic.change()
            self.retire(topic)

    # Subscribing

    def subscribe(self, subscription: Subscription, subscriber: Subscriber | None = None) -> str | None:
        """Register ``subscription`` to a topic, a pattern of topics, or durably; return what of its wish it cannot
        have, "" for nothing; None when ``subscriber`` waits for it. Raises Refused.
        """
        desk = self.desk
        wish = subscription.wish
        warning = "A topic has nothing to browse: messages come when they are sent" if wish.browser else ""
        if wish.durable is not None:
            answer: str | None = self.durables.subscribe(subscription, subscriber)
            return answer if answer is None else answer or warning
        name = wish.destination
        start: Start | None = None
        if wish.replay or wish.retroactive:
            start = Start(wish.replay or "first", desk.now)
        topic = self.topic(name)
        replay: Replay | None = None
        if start is not None:
            histories = self.histories_near(name, topic.pattern)
            if histories:
                replay = Replay(start, desk.number, histories, self._choice(topic, subscription.consumer))
                if not desk.memory.subscriptions.fits(replay.weight):
                    self.retire(topic)
                    raise replayed_too_much(len(histories), desk.memory.subscriptions.most)
        box: Mailbox | None = None
        own = wish.mode != AUTO or start is not None or wish.pending > 0 or topic.policy.slow != DISCONNECT
        if own or self._asks_much(topic, wish):
            box = Mailbox(subscription, self.boxes, topic.policy, desk.rules.lag)
            if replay is not None:
                box.begin(replay, self._end_replay)
            elif start is not None and topic.pattern is None and not wanted(topic.policy):
                warning = f"{name} has no history to replay (policy history-messages)"
        topic.add(subscription, box)
        if topic.pattern is not None:
            self.widen(topic)
        return warning

    def _asks_much(self, topic: Topic, wish: Wish) -> bool:
        """Whether so much was kept that is to be compared with a pattern, and asked by a selector, that it is done in
        slices: what comes meanwhile waits for that.
        """
        if topic.pattern is None:
            return False
        return self.retained.work(wish.selector) > MUCH

    def topic(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            topic = Topic(name, self.desk.rules.policies.find(name))
            self.topics[name] = topic
        self.passing.pop(name, None)
        return topic

    def widen(self, topic: Topic) -> None:
        """There is a new subscription to a pattern."""
        if topic.pattern is not None:
            self.wildcards.add(topic.pattern)
        self.change()

    def histories_near(self, name: str, pattern: Pattern | None) -> list[History]:
        """That of the topic ``name``, or those that may fit it as a ``pattern``."""
        if pattern is not None:
            return list(self.histories.values())
        history = self.histories.get(name)
        return [history] if history is not None else []

    def _choice(self, topic: Topic, consumer: Consumer) -> Choice:
        choice = Choice(consumer)
        choice.add(topic.name, topic.pattern)
        return choice

    def start(self, subscription: Subscription) -> None:
        """Deliver what the topic kept for ``subscription``."""
        topic = self.topics[subscription.destination]
        choice = self._choice(topic, subscription.consumer)
        box = subscription.queue
        if isinstance(box, Mailbox):
            if box.replay is None:
                self._fillings.fill(box, choice)
            box.dispatch()
            return
        for message in self.retained.find(choice):
            if subscription.selector is None or subscription.selector.matches(message):
                subscription.consumer.deliver(subscription, message)

    def _end_replay(self, box: Mailbox, found: bool) -> None:
        """The replay of ``box`` is over; where no history was ``found`` for it, it gets what else was kept."""
        self.replayed = True
        owner = box.owner
        if not found and owner is not None:
            self._fillings.fill(box, self._choice(self.topics[owner.destination], owner.consumer))

    def unsubscribe(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``, which has a topic."""
        topic = self.topics[subscription.destination]
        topic.discard(subscription)
        self.retire(topic)

    def retire(self, topic: Topic) -> None:
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

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back a topic's history as it was in an earlier run, from the system queue ``name``."""
        topic = name[len(HISTORY) :]
        desk = self.desk
        history = History(topic, desk.log, desk.memory, desk.clock, desk.rules.policies.find(topic))
        history.restore(messages)
        self.histories[topic] = history
        self.topic(topic).change()
        if history.policy.history_age:
            self._watch_age(history)
        return []


class _Forgetting(Sliced):
    """Forgets what is too much, or too old, in ``histories``."""

    __slots__ = ("_fanout", "_histories")

    def __init__(self, fanout: Fanout, histories: deque[History]) -> None:
        self._fanout = fanout
        self._histories = histories

    def slice(self, budget: int) -> bool:
        """Forget some, in some of them."""
        histories = self._histories
        while histories and budget > 0:
            history = histories[0]
            if self._fanout.histories.get(history.topic) is history:
                budget = self._fanout.shrink(history, budget)
                if not budget:
                    return True
                self._fanout.age(history)
            histories.popleft()
            budget -= 1
        return len(histories) > 0


class _Aging(Timed):
    """The next look at what is too old; one for all histories."""

    __slots__ = ("_fanout",)

    def __init__(self, fanout: Fanout) -> None:
        super().__init__()
        self._fanout = fanout

    def due(self, now: int) -> None:
        self._fanout.forget_old()


def retention(topic: Topic, message: Message) -> str:
    """What becomes of the retained message of ``topic``: ``set``, ``remove`` or nothing."""
    asked = message.extras.get("retain", "") if message.extras is not None else ""
    return asked or ("set" if topic.policy.retain else "")


def pattern_sent_to(name: str) -> Refused:
    return Refused(
        f"Destination {name[:80]!r} is a pattern",
        where="header destination",
        rule="Wildcards (*, >, #, **) are for subscribing",
        fix="Send to the destination's full name.",
    )


def replayed_too_much(histories: int, most: int) -> Refused:
    """What one is told who asks for a replay while many are under way."""
    return Refused(
        "Too much is replayed at once",
        where="header x-stream-offset",
        rule=f"This server takes {most} bytes for subscriptions and what is replayed to them (3/32 of memory-limit);"
        f" a pattern is compared with each topic that has a history, of which there are {histories}",
        fix="Subscribe again when other replays are over, name the topics instead of a pattern, or ask the"
        " administrator to raise that option.",
    )
