"""The broker: plain synchronous verbs on queues and topics. Nothing in it waits."""

from __future__ import annotations

from typing import Final

from stompserver.broker import admission, deadletter, duplicates, overflow
from stompserver.broker.action import ACK, NACK, SEND, Action
from stompserver.broker.backlog import Backlog
from stompserver.broker.deadlines import Deadlines
from stompserver.broker.destination import DURABLE, QUEUE, Naming
from stompserver.broker.end import End
from stompserver.broker.fanout import Fanout, pattern_sent_to
from stompserver.broker.feed import virtual_topic
from stompserver.broker.lease import Lease
from stompserver.broker.memory import Memory
from stompserver.broker.message import NORMAL, NUMBER, Message
from stompserver.broker.oplog import FOREVER, OpLog
from stompserver.broker.pattern import is_pattern
from stompserver.broker.pauses import Pauses
from stompserver.broker.queue import Queue
from stompserver.broker.returns import Returns
from stompserver.broker.rules import Rules
from stompserver.broker.schedule import Schedule
from stompserver.broker.shape import Shapes
from stompserver.broker.stats import BrokerStats, TopicStats, stats_of
from stompserver.broker.subscription import AUTO, Consumer, Delivery, Subscription
from stompserver.broker.topic import Topic
from stompserver.broker.watch import Watches
from stompserver.broker.window import Window
from stompserver.errors import Refused

__all__ = ["ACK", "NACK", "SEND", "Action", "Broker", "Rules"]

_LAST_VALUE: Final = "_AMQ_LVQ_NAME"

_LANES: Final = [(9 - priority) << 57 for priority in range(10)]
"""What keys of each priority begin with: the highest first. Keys of older versions have none, and come first."""
_NORMAL_LANE: Final = (9 - NORMAL) << 57


class Broker(Returns):
    """All queues and topics. Each verb returns the number of the newest op it logged; the change is durable
    when ``log.durable`` has reached that number.

    ``first`` is the first message number: the shell picks one that no earlier run can have given.
    """

    __slots__ = (
        "certain",
        "clients",
        "deadlines",
        "duplicates",
        "enqueued",
        "fanout",
        "idle",
        "memory",
        "naming",
        "number",
        "pauses",
        "room",
        "rules",
        "schedule",
        "shapes",
        "temps",
        "topics",
        "watches",
        "window",
    )

    def __init__(self, rules: Rules, log: OpLog, first: int = 1, window: Window | None = None) -> None:
        super().__init__(log)
        self.rules = rules
        self.number: int = first - 1
        self.window = window
        self.room: int = FOREVER
        """Bytes that the store can take; the shell keeps it true."""
        self.memory = Memory(rules.memory_limit)
        self.naming = Naming(rules.bare)
        self.deadlines = Deadlines()
        self.duplicates = duplicates.Duplicates(log)
        self.fanout = Fanout(self)
        self.topics: dict[str, Topic] = self.fanout.topics
        self.watches = Watches(self)
        self.idle: dict[str, Queue] = {}
        """Unused queues, the longest unused first: kept for their statistics, up to ``idle_queues``."""
        self.shapes = Shapes(self)
        self.schedule = Schedule(self)
        self.pauses = Pauses(self)
        self.clients: dict[str, Consumer] = {}
        """Who is connected, by client-id."""
        self.temps: dict[str, set[str]] = {}
        """Temporary destinations by the session that has them."""
        self.enqueued: int = 0
        self.certain = False
        """Whether what is sent was let in already: a dead letter made meanwhile must not break a transaction."""

    def adjust(self, rules: Rules) -> None:
        """Take other rules while running; they hold for what happens from now on."""
        self.rules = rules
        self.naming = Naming(rules.bare)
        self.memory.resize(rules.memory_limit)
        self.fanout.adjust()
        for queue in self.queues.values():
            queue.follow(self.shapes.policy(queue.name))

    @property
    def now(self) -> int:
        """Unix time in ms, as the shell told it last."""
        return self.clock.now

    def tick(self, now: int) -> int | None:
        """Do what is due at ``now`` (Unix time in ms); return when to be called next, None for never."""
        self.clock.now = now
        return self.deadlines.run(now)

    def take(self, queue: Queue, message: Message, sender: Consumer) -> int:
        """Send a message that asks for nothing special to ``queue``, by the shortest way (bench: auto)."""
        if queue.guarded:
            return self.send(message, sender)
        if message.size > self.room and message.persistent:
            raise overflow.storage_full(self.room)
        self.enqueued += 1
        number: int = self.number + 1
        self.number = number
        message.number = number
        message.key = number | _NORMAL_LANE
        logged = queue.send(message)
        if queue.idle:
            self._use(queue)
        return logged

    def send(self, message: Message, sender: Consumer | None = None, examined: bool = False) -> int:
        """Give ``message`` its number and place, and deliver it to whoever can take it.

        Raises Refused when its destination may not exist, or is full.
        """
        if (message.extras is not None or message.expires) and not examined:
            return self._send_specially(message, sender)
        name = message.destination
        queue = self.queues.get(name)
        if queue is None:
            topic = self.topics.get(name)
            if topic is not None and topic.epoch == self.fanout.epoch and message.extras is None:
                # Nobody chooses and nothing is kept (bench: fan-out).
                self._number(message)
                topic.send(message)
                return self.log.number
            if topic is not None or self.naming.kind(name) != QUEUE:
                return self.fanout.send(message, sender)
            if is_pattern(name):
                raise pattern_sent_to(name)
            if message.size > self.room and message.persistent:
                raise overflow.storage_full(self.room)
            queue = self.queue(name)
        elif message.size > self.room and message.persistent:
            raise overflow.storage_full(self.room)
        if queue.guarded and not self.admit(queue, message, sender):
            return self.log.number
        self._number(message)
        queue.send(message)
        if queue.idle:
            self._use(queue)
        return self.log.number

    def _send_specially(self, message: Message, sender: Consumer | None) -> int:
        """The same for a message that may come twice, too late, or in the place of another."""
        name = message.destination
        policy = self.rules.policies.find(name)
        extras = message.extras
        id = extras.pop(duplicates.ID, "") if extras is not None else ""
        if not extras:
            message.extras = None
        if id and self.duplicates.seen(name, id, self.clock.now, policy.duplicate_time):
            return self.log.number
        alone = self.log.begin()
        try:
            if 0 < message.expires <= self.clock.now:
                if self.naming.kind(name) == QUEUE:
                    self._number(message)
                    self.bury(self.queue(name), message, deadletter.EXPIRED, "")
                return self.log.number
            if _LAST_VALUE in message.headers and self.naming.kind(name) == QUEUE:
                self.queue(name).keep_last_values()
            self.send(message, sender, True)
            if id:
                self.duplicates.note(name, id, self.fresh(), self.clock.now, policy.duplicate_window)
        finally:
            if alone:
                self.log.end()
        return self.log.number

    def fresh(self) -> int:
        """A number for something that is kept like a message and is none."""
        self.number += 1
        return self.number

    def admit(self, queue: Queue, message: Message, sender: Consumer | None = None) -> bool:
        """See whether ``queue`` has room for ``message``, and make it where its policy says so; false when it is to
        be dropped. Raises Refused when its sender is to hear of it.
        """
        if queue.name.startswith(DURABLE):
            raise self.fanout.durables.sent_to(queue.name)
        policy = queue.policy
        policy.limit_time(message, self.clock.now)
        if policy.overflow == overflow.REJECT:
            if not self.certain and overflow.over(queue, message.size):
                raise overflow.refusal(queue.name, policy)
            return True
        if policy.overflow == overflow.BLOCK:
            if sender is not None and overflow.over(queue, message.size):
                sender.choked = queue
            return True
        return overflow.make_room(queue, message.size)

    def put(self, queue: Queue, copy: Message) -> None:
        """Let ``queue`` have a copy of a message that a topic was sent, which is refused no more."""
        queue.policy.limit_time(copy, self.clock.now)
        kind = queue.policy.overflow
        if kind != overflow.REJECT and kind != overflow.BLOCK and not overflow.make_room(queue, copy.size):
            return
        queue.send(copy)
        if queue.idle:
            self._use(queue)

    def deadletters(self, queue: Backlog) -> str:
        """The name of its dead letter queue, its own if it is one, or ""."""
        return self.rules.policies.deadletter_of(queue.policy, queue.name)

    def place(self, copy: Message) -> None:
        """Give ``copy`` a place of its own: a key that no other message has."""
        self.number += 1
        copy.key = self.number | (_LANES[copy.priority])

    def check_storage(self, size: int) -> None:
        """Raises Refused when the storage has no room for ``size`` bytes."""
        if size > self.room:
            raise overflow.storage_full(self.room)

    def _number(self, message: Message) -> None:
        self.enqueued += 1
        number: int = self.number + 1
        self.number = number
        message.number = number
        message.key = number | (_LANES[message.priority])

    def queue(self, name: str) -> Queue:
        """The queue of that name, made when there is none. Raises Refused when there are too many."""
        queue = self.queues.get(name)
        if queue is None:
            if name.startswith(DURABLE):
                raise self.fanout.durables.none_such(name)
            self.check_room(1)
            queue = self._make(name)
        return queue

    def _make(self, name: str) -> Queue:
        queue = self.queues[name] = Queue(
            name,
            self.log,
            self.memory,
            self.window,
            self.shapes.policy(name),
            self.clock,
            self.deadlines,
            self,
        )
        queue.follow(queue.policy)
        if self.watches.owners:
            self.watches.seen(queue)
        return queue

    def check_room(self, more: int) -> None:
        """Raises Refused when ``more`` queues are too many."""
        if len(self.queues) - len(self.idle) + more > self.rules.max_queues:
            raise Refused(
                "Too many queues",
                where="header destination",
                rule=f"This server holds {self.rules.max_queues} queues (max-queues)",
                mend="Use fewer names, consume what old ones hold, or ask the administrator to raise that option.",
            )

    def restore(self, name: str, count: int, lowest: int, highest: int, bytes: int = 0) -> None:
        """A queue that a store holds from an earlier run: ``count`` messages of ``bytes`` with keys from ``lowest``
        to ``highest``. New messages get numbers above them.
        """
        queue = self._make(name)
        queue.restore(count, lowest, highest, bytes)
        if queue.values is not None:
            queue.dispatch()
        self.number = max(self.number, highest & NUMBER)

    def subscribe(self, subscription: Subscription) -> int:
        """Register ``subscription``; it gets nothing of a queue's backlog before ``start``.

        Raises Refused when the destination may not exist.
        """
        name = subscription.destination
        if self.naming.kind(name) != QUEUE:
            return self.fanout.subscribe(subscription)
        if is_pattern(name) and not virtual_topic(name):
            self.watches.subscribe(subscription)
            return self.log.number
        queue = self.queue(name)
        self.fanout.durables.bind_virtual(name)
        self.attach(queue, subscription)
        return self.log.number

    def attach(self, queue: Queue, subscription: Subscription) -> None:
        """Let ``subscription`` be one of ``queue``'s."""
        queue.add(subscription)
        self.let(queue, subscription)
        if queue.idle:
            self._use(queue)

    def let(self, queue: Queue, subscription: Subscription) -> None:
        """Take back what ``subscription`` does not settle in time."""
        timeout: int = subscription.ack_timeout or queue.policy.ack_timeout
        if timeout and subscription.mode != AUTO:
            subscription.lease = Lease(timeout, self.clock, self.deadlines, self)

    def start(self, subscription: Subscription) -> None:
        """Deliver what waits for ``subscription``."""
        if subscription.topic is not None:
            self.fanout.start(subscription)
        elif subscription in self.watches.owners:
            self.watches.start(subscription)
        elif subscription.queue is not None:
            subscription.queue.dispatch(subscription)

    def unsubscribe(self, subscription: Subscription) -> int:
        """Deliver nothing more to ``subscription``; what it was handed stays its to settle."""
        for queue in self._end(subscription):
            if queue.waiting:
                queue.dispatch()
            self.rest(queue)
        return self.log.number

    def _end(self, subscription: Subscription) -> list[Queue]:
        """End ``subscription``; return the queues where others may have now what it was to get."""
        queue = subscription.queue
        if subscription.topic is not None:
            self.fanout.unsubscribe(subscription)
        elif subscription in self.watches.owners:
            return self.watches.unsubscribe(subscription)
        elif queue is not None:
            queue.discard(subscription)
            if queue.subscriptions or not (queue.passing or queue.policy.auto_delete):
                return [queue]
            self.delete(queue)
        return []

    def ack(self, delivery: Delivery) -> int:
        """The delivery's message is consumed."""
        queue = delivery.subscription.queue
        assert queue is not None
        number = queue.settle(delivery)
        if queue.waiting:
            queue.dispatch(delivery.subscription)
        elif not queue.subscriptions:
            self.rest(queue)
        return number

    def ack_all(self, subscription: Subscription, deliveries: list[Delivery]) -> int:
        """The messages of ``deliveries``, all of ``subscription``, are consumed."""
        queue = subscription.queue
        assert queue is not None
        number = queue.settle_all(subscription, deliveries)
        if queue.waiting:
            queue.dispatch(subscription)
        elif not queue.subscriptions:
            self.rest(queue)
        return number

    def apply(self, actions: list[Action], sender: Consumer | None = None) -> int:
        """A transaction: all of ``actions`` or none, as one batch of the log.

        Raises Refused, with nothing done, when one of them cannot be done.
        """
        fresh = admission.check(self, actions, sender)
        self.log.begin()
        for name in fresh:
            # All now: neither a dead letter queue made meanwhile nor an idle one forgotten may fail a SEND below.
            queue = self.queue(name)
            if queue.idle:
                self._use(queue)
        self.certain = True
        for action in actions:
            if action.message is not None and action.plan is not None:
                self.schedule.add(action.message, action.plan)
            elif action.message is not None:
                self.send(action.message, sender)
            elif action.delivery is not None:
                if action.kind == ACK:
                    self.ack(action.delivery)
                else:
                    self.nack([action.delivery], action.requeue, action.delay, action.cause)
        self.certain = False
        self.log.end()
        return self.log.number

    def resume(self, consumer: Consumer) -> None:
        """``consumer`` can take messages again: deliver what its queues hold for it."""
        stalled = consumer.stalled
        if not stalled:
            return
        consumer.stalled = []
        for subscription in stalled:
            queue = subscription.queue
            if queue is not None:
                queue.offer(subscription)
                queue.dispatch(subscription)

    def drop(self, consumer: Consumer) -> int:
        """``consumer`` is gone: end its subscriptions and put back what it has not settled."""
        consumer.ready = False
        subscriptions = list(consumer.subscriptions.values())
        consumer.subscriptions.clear()
        consumer.stalled = []
        queues: dict[str, Queue] = {}
        for subscription in subscriptions:
            for queue in self._end(subscription):
                queues[queue.name] = queue
        # Whoever comes after it gets what it had first.
        deliveries = list(consumer.deliveries.values())
        consumer.deliveries.clear()
        for delivery in deliveries:
            if not delivery.settled:
                self._return(delivery, True)
                had = delivery.subscription.queue
                assert had is not None
                queues[had.name] = had
        for queue in queues.values():
            queue.dispatch()
            self.rest(queue)
        return self.log.number

    def rest(self, queue: Queue) -> None:
        """Remember an unused queue as idle; forget the longest idle when there are too many."""
        if queue.idle or not queue.unused() or self.queues.get(queue.name) is not queue:
            return
        if queue.name.startswith(DURABLE):
            return
        queue.idle = True
        self.idle[queue.name] = queue
        queue.rested = self.clock.now
        if queue.policy.idle_expiry:
            self.deadlines.add(End(self.clock.now + queue.policy.idle_expiry, self, queue))
        if len(self.idle) > self.rules.idle_queues:
            oldest = next(iter(self.idle))
            del self.idle[oldest]
            del self.queues[oldest]
            self.shapes.forget(oldest)

    def end(self, queue: Queue, when: int) -> None:
        """Forget ``queue`` if nobody used it in the time that its policy says, which is over at ``when``."""
        patience: int = queue.policy.idle_expiry
        if queue.idle and patience and queue.rested + patience <= when:
            self.delete(queue)

    def delete(self, queue: Queue) -> None:
        """Let ``queue`` be no more, with all that waits in it. What is delivered may still be settled."""
        self.fanout.durables.unbind(queue.name)
        self.watches.forget(queue)
        queue.abandon()
        self.log.drop(queue.name)
        self.idle.pop(queue.name, None)
        self.queues.pop(queue.name, None)
        self.shapes.forget(queue.name)

    def forget_durable(self, name: str) -> int:
        """Delete a durable subscription and what waits for it. Raises Refused when there is none, or it is in use."""
        return self.fanout.durables.forget(name)

    def _use(self, queue: Queue) -> None:
        queue.idle = False
        self.idle.pop(queue.name, None)
        if self.watches.owners:
            self.watches.seen(queue)
            queue.dispatch()

    def is_queue(self, destination: str) -> bool:
        """Whether that name is a queue's. Raises Refused when it is nobody's."""
        return self.naming.kind(destination) == QUEUE

    def listened(self, destination: str) -> bool:
        """Whether a topic has subscriptions."""
        return destination in self.topics

    def snapshot(self) -> BrokerStats:
        """Everything there is to know at this moment."""
        return BrokerStats(
            tuple([stats_of(queue) for queue in self.queues.values()]),
            tuple([TopicStats(t.name, t.subscriptions, t.enqueued) for t in self.topics.values()]),
            self.memory.used,
            self.memory.limit,
            self.enqueued,
        )
