"""Queues that topics feed: those of durable subscriptions, and of consumer groups of virtual topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.properties import Properties
from stompserver.broker.kept.register import Register
from stompserver.broker.message import NUMBER, Message
from stompserver.broker.names.destination import DURABLE, SYSTEM
from stompserver.broker.names.durable import EARLIER, JMS, QUEUE_NAME, Key, Parts
from stompserver.broker.queues.overflow import BLOCK, over, refused
from stompserver.broker.queues.queue import Queue
from stompserver.broker.selectors.selector import too_costly
from stompserver.broker.subscription import Consumer, Subscription, Wish
from stompserver.broker.topics.feed import Change, Fed, Feed, feed_of, virtual_topic
from stompserver.broker.topics.filling import Feeder, Filling, Kept, Subscriber
from stompserver.errors import ClientError, Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.topics.fanout import Fanout

DURABLES: Final = SYSTEM + "durables"
"""The system queue with what feeds which queue."""


class Durables(Feeder):
    """``fed`` has the queues by their names, ``keys`` those of durable subscriptions by the parts of what they are
    known by; also in ``register``, so that they outlive the server. ``bringing`` has queues of an earlier version
    from which somebody has to bring what waits to their heirs.
    """

    __slots__ = (
        "_costs",
        "_count",
        "_properties",
        "_short",
        "bringing",
        "desk",
        "fanout",
        "fed",
        "keys",
        "register",
    )

    def __init__(self, desk: Desk, fanout: Fanout, properties: Properties) -> None:
        self.desk = desk
        self.fanout = fanout
        self.fed: dict[str, Fed] = {}
        self.keys: dict[Parts, Fed] = {}
        self.bringing: list[Fed] = []
        self._properties = properties
        self._short: dict[str, list[Fed]] = {}
        """By what people may call them."""
        self._count: int = 0
        """Feeds of all."""
        self._costs: dict[str, int] = {}
        """What the selectors of each topic's cost, and, without a name, those of all patterns."""
        self.register = Register(desk, DURABLES, self._restore)

    # Which there are

    def find(self, text: str) -> Fed | None:
        """The durable subscription that people call ``text``: by its queue, with or without ``/dsub/`` in front, or
        by its name alone. Raises Refused when that could be one of several.
        """
        rest = text.removeprefix(DURABLE)
        for name in (text, DURABLE + rest):
            fed = self.fed.get(name)
            if fed is not None and fed.key is not None:
                return fed if fed.heir is None else fed.heir
        several = [fed for fed in self._short.get(rest, []) if fed.heir is None]
        if not several:
            return None
        if len(several) > 1:
            raise Refused(
                f"Several durable subscriptions are called {rest[:80]!r}",
                where="its name",
                rule="What one is known by has parts, such as a client-id or a topic; a name alone can be too little",
                fix="Write it as stompctl durable list has it.",
            )
        return several[0]

    def lookup(self, key: Key, topics: list[str]) -> Fed | None:
        """The one that is known by ``key``; one that an earlier version made for it, with one of the ``topics`` where
        some are named.
        """
        fed = self.keys.get(key.parts)
        return fed if fed is not None else self._earlier(key, topics)

    def named(self, text: str, way: str) -> list[Fed]:
        """Those that are called ``text`` in that ``way``, or may be, as an earlier version made them."""
        return [
            fed
            for fed in self._short.get(text, [])
            if fed.key is not None and (fed.key.way == way or fed.key.way == EARLIER)
        ]

    def queue_for(self, key: Key, topics: list[str]) -> str:
        """The name of the queue that ``key`` has, or would have with ``topics``."""
        fed = self.keys.get(key.parts)
        if fed is None and key.way != QUEUE_NAME:
            fed = self._earlier(key, topics)
        if fed is not None:
            return fed.queue
        name = key.queue
        if key.way != QUEUE_NAME:
            # One of an earlier version may be called anything.
            while name in self.fed:
                name += "="
        return name

    def topics_of(self, queue: str) -> list[str]:
        """The topics, or patterns, that feed ``queue``; none where it is no such queue."""
        fed = self.fed.get(queue)
        return fed.topics() if fed is not None else []

    def _earlier(self, key: Key, topics: list[str]) -> Fed | None:
        fed = self.fed.get(DURABLE + key.short)
        if fed is None or fed.key is None or fed.key.way != EARLIER or fed.heir is not None:
            return None
        feed = fed.feeds[0]
        if (key.way == JMS and feed.client_id != key.client) or (topics and feed.topic not in topics):
            return None
        return fed

    def queue_of(self, fed: Fed) -> Queue:
        """The queue of ``fed``, made when there is none."""
        queue = self.desk.queues.get(fed.queue) or self.desk.make(fed.queue)
        if fed.key is not None and not queue.bound:
            if queue.idle:
                self.desk.use(queue)
            queue.bound = True
        return queue

    # What feeds them

    def _enter(self, queue: str, key: Key | None) -> Fed:
        """The queue of that name as one that is fed, and by ``key``, if there is one."""
        fed = self.fed.get(queue)
        if fed is None:
            fed = self.fed[queue] = Fed(queue, None)
        if key is not None and (fed.key is None or fed.key.parts != key.parts):
            self._forget_key(fed)
            fed.key = key
            self.keys[key.parts] = fed
            self._short.setdefault(key.short, []).append(fed)
        return fed

    def _forget_key(self, fed: Fed) -> None:
        key = fed.key
        if key is not None:
            fed.key = None
            del self.keys[key.parts]
            several = self._short[key.short]
            several.remove(fed)
            if not several:
                del self._short[key.short]

    def _attach(self, feed: Feed) -> Fed:
        topic = self.fanout.topic(feed.topic)
        topic.own_feeds.append(feed)
        topic.change()
        if topic.pattern is not None:
            self.fanout.widen(topic)
        fed = self._enter(feed.queue, feed.key)
        fed.feeds.append(feed)
        self._count += 1
        self._add_cost(feed, feed.cost)
        self.desk.memory.durables.take(feed.weight)
        return fed

    def _detach(self, fed: Fed, feed: Feed) -> None:
        fed.feeds.remove(feed)
        self._count -= 1
        self._add_cost(feed, -feed.cost)
        self.desk.memory.durables.give(feed.weight)
        topic = self.fanout.topics[feed.topic]
        topic.own_feeds.remove(feed)
        topic.change()
        self.fanout.retire(topic)

    def _bind(self, feed: Feed) -> Fed:
        """Feed a queue from now on, also after a restart."""
        fed = self._attach(feed)
        self._keep(feed)
        return fed

    def _keep(self, feed: Feed) -> None:
        entry = feed.kept()
        self.desk.place(entry)
        entry.number = entry.key
        # A queue may have several.
        feed.entry = str(entry.key) if feed.key is not None else feed.queue
        self.register.set(feed.entry, entry)

    def _release(self, fed: Fed, feed: Feed) -> None:
        self._detach(fed, feed)
        self.register.remove(feed.entry)

    def unbind(self, queue: str) -> None:
        """``queue`` is to be no more: feed it no more."""
        fed = self.fed.pop(queue, None)
        if fed is None:
            return
        feeds = fed.feeds[:]
        for feed in feeds:
            self._release(fed, feed)
        heir, past = fed.heir, fed.past
        if heir is not None and heir.key is not None:
            # All of it is there now.
            heir.past = None
            for feed in feeds:
                self._bind(feed.known_by(heir.queue, heir.key))
        self._forget_key(fed)
        if past is not None:
            past.heir = None
            self.desk.delete(self.queue_of(past))

    def bind_virtual(self, queue: str) -> None:
        """Feed ``queue`` from now on, if it is a consumer group's of a virtual topic. Raises Refused."""
        topic = virtual_topic(queue)
        if topic:
            fed = self.fed.get(queue)
            if fed is None or fed.of(topic) is None:
                feed = Feed(queue, topic)
                self._check([feed], [])
                self._bind(feed)

    def _add_cost(self, feed: Feed, cost: int) -> None:
        key = _where(feed)
        sum: int = self._costs.pop(key, 0) + cost
        if sum:
            self._costs[key] = sum

    # Whether there may be more

    def _check(self, wanted: list[Feed], instead: list[Feed]) -> None:
        """Raises Refused when there may not be ``wanted`` in the place of others."""
        if not wanted:
            return
        if len(wanted) > len(instead):
            self._check_count(len(wanted) - len(instead))
        self._check_cost(wanted, instead)
        self._check_memory(wanted, instead)

    def _check_cost(self, wanted: list[Feed], instead: list[Feed]) -> None:
        """Raises Refused when the selectors that a message may have to pass cost too much with ``wanted``."""
        most: int = self.desk.rules.max_selector_cost
        sums: dict[str, int] = {}
        for feed in wanted:
            if feed.cost:
                key = _where(feed)
                sums[key] = sums.get(key, self._costs.get(key, 0)) + feed.cost
        for feed in instead:
            key = _where(feed)
            if key in sums:
                sums[key] -= feed.cost
        for key, sum in sums.items():
            if sum > most:
                what = f"topic {key[:80]}" if key else "patterns"
                raise too_costly(f"durable subscriptions of {what}", sum, most)

    def _check_memory(self, wanted: list[Feed], instead: list[Feed]) -> None:
        """Raises Refused when ``wanted`` take too much memory."""
        share = self.desk.memory.durables
        more: int = sum([feed.weight for feed in wanted]) - sum([feed.weight for feed in instead])
        if not share.fits(more):
            raise Refused(
                "Durable subscriptions take too much memory",
                where="header destination",
                rule=f"This server keeps {share.most} bytes of durable subscriptions, consumer groups of virtual"
                " topics, and their selectors (a sixteenth of memory-limit)",
                fix="Use shorter selectors, delete those that are not used, or ask the administrator to raise that"
                " option.",
            )

    def _check_count(self, more: int) -> None:
        most: int = self.desk.rules.max_durables
        if self._count + more > most:
            raise Refused(
                "Too many durable subscriptions",
                where="header destination",
                rule=f"This server keeps {most} durable subscriptions and consumer groups of virtual topics"
                " (max-durables); one to several topics counts for each of them",
                fix="Delete those that are not used, or ask the administrator to raise that option.",
            )

    # Subscribing

    def subscribe(self, subscription: Subscription, subscriber: Subscriber | None) -> str | None:
        """Let ``subscription`` have the queue of the durable subscription that it wishes for, made and fed when there
        is none; return what of the wish it cannot have, "" for nothing; None when there is so much to copy that
        ``subscriber`` waits for it. Raises Refused.
        """
        change = self.plan(subscription)
        self.check_change(change)
        kept = Kept(self.fanout.retained, self.fanout.histories)
        return Filling(self.desk, self, kept, subscription, change, subscriber).begin(change)

    def plan(self, subscription: Subscription) -> Change:
        """What is to be done for the wish of ``subscription``; nothing is done yet."""
        wish = subscription.wish
        key = wish.durable
        assert key is not None
        name = self.queue_for(key, wish.topics)
        there = name in self.desk.queues
        passing = _passing(wish, name, not there)
        wanted = [
            Feed(
                name,
                topic,
                wish.selector,
                wish.no_local,
                subscription.consumer.client_id,
                key,
                passing,
            )
            for topic in wish.topics
        ]
        old = self.keys.get(key.parts)
        earlier = self._earlier(key, wish.topics) if old is None else None
        if earlier is not None and key.way == QUEUE_NAME and self._in_use(earlier):
            # Its messages go on to whoever has them now.
            old, earlier, wanted = earlier, None, []
        change = Change(key, old if old is not None else earlier, earlier is not None)
        if wish.no_local and not subscription.consumer.client_id:
            change.warnings.append("no-local has no effect on a durable subscription without client-id")
        self._compare(change, wanted)
        change.fresh = not there or change.anew
        if change.anew and change.old is not None:
            change.spared = self.queue_of(change.old).held
        return change

    def check_change(self, change: Change) -> None:
        """Raises Refused when there may not be what ``change`` makes."""
        self._check(change.more, change.instead)

    def make(self, change: Change, properties: dict[str, str] | None) -> Fed:
        """Do what is planned, and ask for ``properties`` of the queue. What its topics kept is not there yet."""
        old, fed = change.old, self.keys.get(change.key.parts)
        if change.anew and old is not None:
            self.desk.delete(self.queue_of(old))
        elif change.moves and old is not None:
            self._take_over(old, change.key)
        if not change.anew and fed is not None:
            for feed in change.instead:
                self._release(fed, feed)
        for feed in change.more:
            fed = self._bind(feed)
        if fed is None:
            fed = self.keys.get(change.key.parts)
        if fed is None:
            fed = old
        assert fed is not None
        queue = self.queue_of(fed)
        if properties is not None:
            change.warnings.append(self._properties.ask(queue.name, properties))
        return fed

    def lives(self, fed: Fed) -> bool:
        """Whether that is not deleted."""
        return self.fed.get(fed.queue) is fed

    def join(self, subscription: Subscription, queue: Queue, fresh: bool, warnings: list[str]) -> str:
        """Let ``subscription`` have its turns at ``queue``; return ``warnings``, and what else cannot be had."""
        # The feeds have seen to these.
        subscription.selector = None
        subscription.no_local = False
        wish = subscription.wish
        if _passing(wish, queue.name, fresh):
            queue.passing = True
        elif wish.auto_delete and not queue.passing:
            warnings.append(f"{queue.name[:80]} was there before, and stays when its last subscription ends")
        queue.add(subscription)
        self.desk.use(queue)
        return "; ".join([warning for warning in warnings if warning])

    def _in_use(self, fed: Fed) -> bool:
        queue = self.queue_of(fed)
        return bool(queue.subscriptions) or queue.unacked > 0

    def _compare(self, change: Change, wanted: list[Feed]) -> None:
        """See which feeds are to be made, and in the place of which, so that there is what is ``wanted``."""
        old = change.old
        if old is None or not wanted or old.same(wanted):
            if old is None:
                change.more = wanted
            return
        queue = self.queue_of(old)
        held = self.used(queue)
        new = [feed for feed in wanted if old.of(feed.topic) is None]
        changed = [feed for feed in wanted if feed not in new and not old.has_same(feed)]
        if change.key.way == QUEUE_NAME:
            # As in RabbitMQ, what it had it keeps.
            change.more = new
            if not changed:
                return
            if not held and old.past is None and not change.moves:
                names = [feed.topic for feed in changed]
                change.more = new + changed
                change.instead = [feed for feed in old.feeds if feed.topic in names]
                return
        elif change.moves and not changed and len(new) + len(old.feeds) == len(wanted):
            # It was never fed by more than the first of several.
            change.more = new
            return
        elif not held:
            # As in JMS: another topic, selector or noLocal is another subscription of the same name.
            change.more = wanted
            change.instead = old.feeds[:]
            change.anew = True
            return
        condition = old.condition()
        change.warnings.append(
            f"Durable subscription {old.name} goes on with its destination {','.join(old.topics())}"
            + (f" and selector {condition}" if condition else "")
            + (": others are subscribed to it" if held else " until what waits for it is here")
        )

    def _take_over(self, earlier: Fed, key: Key) -> None:
        """What an earlier version made is known by ``key`` from now on."""
        if key.way == QUEUE_NAME:
            # Its queue is another. What waits is brought there in slices, and meanwhile comes by the old one.
            heir = self._enter(key.queue, key)
            heir.past = earlier
            earlier.heir = heir
            self.bringing.append(earlier)
            return
        self._enter(earlier.queue, key)
        for feed in earlier.feeds[:]:
            self._release(earlier, feed)
            self._bind(feed.known_by(earlier.queue, key))

    def used(self, queue: Queue) -> bool:
        """Whether somebody is subscribed to ``queue``, or about to be: it is being filled."""
        fed = self.fed.get(queue.name)
        return len(queue.subscriptions) > 0 or (fed is not None and fed.filling)

    def is_held(self, fed: Fed) -> bool:
        """Whether ``fed`` may not be deleted: somebody is subscribed to it, or about to be."""
        return self.used(self.queue_of(fed)) or fed.heir is not None

    def forget(self, fed: Fed) -> int:
        """Delete a durable subscription and what waits for it; return the newest op's position.

        Raises Refused when somebody is subscribed to it.
        """
        desk = self.desk
        if self.is_held(fed):
            raise Refused(
                f"Durable subscription {fed.name[:80]!r} is in use",
                where="UNSUBSCRIBE",
                rule="What others are subscribed to is not deleted (JMS, unsubscribe)",
                fix="End all subscriptions to it first.",
            )
        with desk.log.transaction():
            self.desk.delete(self.queue_of(fed))
        return desk.log.position

    def unknown(self, name: str) -> Refused:
        """What one is told who wants to delete what there is not."""
        return Refused(
            f"There is no durable subscription {name[:80]!r}",
            where="UNSUBSCRIBE",
            rule="A durable subscription is deleted under what it was made with: client-id and name, or destination"
            " and id",
            fix="SUBSCRIBE with the same headers makes one; stompctl durable list shows those there are.",
        )

    def sent_to(self, name: str) -> Refused:
        """What a sender to a durable subscription's queue is told."""
        topics = self.topics_of(name)
        return Refused(
            f"Destination {name[:80]!r} is a durable subscription",
            where="header destination",
            rule="Its messages come from its topic",
            fix=f"Send to {' or '.join(topics)[:200]}." if topics else "Send to its topic.",
        )

    def none_such(self, name: str) -> Refused:
        """What one is told who subscribes, or sends, to a queue of that name."""
        return Refused(
            f"There is no durable subscription {name[len(DURABLE) :][:80]!r}",
            where="header destination",
            rule="Names that start with /dsub/ are those of durable subscriptions there are",
            fix="Subscribe to the topic with a durable name first.",
        )

    # What is sent

    def check(self, feed: Feed, message: Message) -> None:
        """Raises Refused when the queue of ``feed`` has no room for ``message`` and its sender is to hear of it."""
        problem = refused(self.queue_of(self.fed[feed.queue]), message.size)
        if problem is not None:
            raise problem

    def deliver(self, feeds: list[Feed], message: Message, sender: Consumer | None) -> None:
        """Put a copy of ``message`` into the queue of each; ``sender`` may have to wait then."""
        for feed in feeds:
            twin = message.copy()
            coming = feed.coming
            if coming is not None:
                coming.append((feed, twin))
                self.desk.memory.used += twin.size
                continue
            queue = self.queue_of(self.fed[feed.queue])
            self.put(feed, queue, twin)
            if sender is not None and queue.policy.overflow == BLOCK and over(queue, 0, 0):
                sender.choked = queue
            if feed.alone:
                message.head = twin.head
                message.variants = twin.variants

    def put(self, feed: Feed, queue: Queue, twin: Message) -> None:
        """Let ``queue`` have ``twin``, a copy of what was sent to the topic of ``feed``."""
        self.desk.place(twin)
        if not feed.alone:
            # These queues are like others: one consumer may have several of them, and must be able to tell the
            # copies apart.
            twin.number = twin.key & NUMBER
            twin.head = None
            twin.variants = None
        self.desk.put(queue, twin)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run; return what of it cannot be used, as text."""
        broken: list[str] = []
        self.register.restore(messages)
        for entry in self.register.entries.values():
            given = (entry.extras or {}).get("name", "")
            try:
                feed = feed_of(given, entry)
            except ClientError as fault:
                fault_of = (entry.extras or {}).get("queue", given)
                broken.append(f"{fault_of} gets nothing any more: {fault}")
                continue
            fed = self._attach(feed)
            if feed.key is not None:
                queue = self.queue_of(fed)
                queue.passing = queue.passing or feed.passing
        return broken


def _where(feed: Feed) -> str:
    """Which messages its selector looks at: those of one topic, or of whatever fits a pattern."""
    return feed.topic if feed.pattern is None else ""


def _passing(wish: Wish, name: str, fresh: bool) -> bool:
    """Whether the queue ``name`` goes with its last subscription; where others may use it, only when ``fresh``."""
    return wish.auto_delete and (name.startswith(DURABLE) or fresh)
