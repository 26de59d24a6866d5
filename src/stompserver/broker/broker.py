"""The broker: plain synchronous verbs on queues and topics. Nothing in it waits."""

from __future__ import annotations

from typing import Final

from stompserver.broker.destination import QUEUE, Naming
from stompserver.broker.memory import Memory
from stompserver.broker.message import Message
from stompserver.broker.oplog import FOREVER, OpLog
from stompserver.broker.policy import Policies
from stompserver.broker.queue import Queue
from stompserver.broker.stats import BrokerStats, QueueStats, TopicStats
from stompserver.broker.subscription import Consumer, Delivery, Subscription
from stompserver.broker.topic import Topic
from stompserver.broker.window import Window
from stompserver.errors import Refused

SEND: Final = 1
ACK: Final = 2
NACK: Final = 3


class Rules:
    """What the broker was told: plain values from the configuration.

    ``bare`` as in Naming; ``deadletter`` names the dead letter queue; ``max_redeliveries`` counts how often a
    message may come back before it goes there (0: for ever); ``max_queues`` and ``idle_queues`` bound how many
    queues exist, and how many of those are empty and unused; ``lag`` is how many bytes a topic's subscriber may
    fall behind; ``memory_limit`` in bytes; ``policies`` say what holds for which destination.
    """

    __slots__ = (
        "bare",
        "deadletter",
        "idle_queues",
        "lag",
        "max_queues",
        "max_redeliveries",
        "memory_limit",
        "policies",
    )

    def __init__(
        self,
        bare: str = "topic",
        deadletter: str = "/queue/deadletter",
        max_redeliveries: int = 0,
        max_queues: int = 100_000,
        idle_queues: int = 10_000,
        lag: int = 16 << 20,
        memory_limit: int = 1 << 30,
        policies: Policies | None = None,
    ) -> None:
        self.bare = bare
        self.deadletter = deadletter
        self.max_redeliveries: int = max_redeliveries
        self.max_queues: int = max_queues
        self.idle_queues: int = idle_queues
        self.lag: int = lag
        self.memory_limit: int = memory_limit
        self.policies: Policies = policies if policies is not None else Policies()


class Action:
    """One part of a transaction: SEND of a message, or ACK or NACK of a delivery."""

    __slots__ = ("delivery", "kind", "message", "requeue")

    def __init__(
        self, kind: int, message: Message | None, delivery: Delivery | None = None, requeue: bool = True
    ) -> None:
        self.kind: int = kind
        self.message = message
        self.delivery = delivery
        self.requeue = requeue


class Broker:
    """All queues and topics. Each verb returns the number of the newest op it logged; the change is durable
    when ``log.durable`` has reached that number.

    ``first`` is the first message number: the shell picks one that no earlier run can have given.
    """

    __slots__ = (
        "enqueued",
        "idle",
        "log",
        "memory",
        "naming",
        "number",
        "queues",
        "room",
        "rules",
        "topics",
        "window",
    )

    def __init__(self, rules: Rules, log: OpLog, first: int = 1, window: Window | None = None) -> None:
        self.rules = rules
        self.log = log
        self.number: int = first - 1
        self.window = window
        self.room: int = FOREVER
        """Bytes that the store can take; the shell keeps it true."""
        self.memory = Memory(rules.memory_limit)
        self.naming = Naming(rules.bare)
        self.queues: dict[str, Queue] = {}
        self.topics: dict[str, Topic] = {}
        self.idle: dict[str, Queue] = {}
        """Unused queues, the longest unused first: kept for their statistics, up to ``idle_queues``."""
        self.enqueued: int = 0

    def adjust(self, rules: Rules) -> None:
        """Take other rules while running; they hold for what happens from now on."""
        self.rules = rules
        self.naming = Naming(rules.bare)
        self.memory.resize(rules.memory_limit)
        for topic in self.topics.values():
            topic.lag = rules.lag

    def send(self, message: Message) -> int:
        """Give ``message`` its number and place, and deliver it to whoever can take it.

        Raises Refused when its destination may not exist.
        """
        name = message.destination
        queue = self.queues.get(name)
        if queue is None:
            topic = self.topics.get(name)
            if topic is not None:
                self._number(message)
                topic.send(message)
                return self.log.number
            if self.naming.kind(name) != QUEUE:
                self._number(message)
                return self.log.number
            if message.size > self.room and message.persistent:
                self._refuse_full()
            queue = self.queue(name)
        elif message.size > self.room and message.persistent:
            self._refuse_full()
        self._number(message)
        queue.send(message)
        if queue.idle:
            self._use(queue)
        return self.log.number

    def _refuse_full(self) -> None:
        raise Refused(
            "The storage is full",
            where="header destination",
            rule=f"This server's storage has room for {self.room} bytes of messages now",
            mend="Send again later: the server goes on by itself when there is room.",
        )

    def _number(self, message: Message) -> None:
        self.enqueued += 1
        number: int = self.number + 1
        self.number = number
        message.number = number
        message.key = number

    def queue(self, name: str) -> Queue:
        """The queue of that name, made when there is none. Raises Refused when there are too many."""
        queue = self.queues.get(name)
        if queue is None:
            self._check_room(1)
            queue = Queue(name, self.log, self.memory, self.window)
            self.queues[name] = queue
        return queue

    def _check_room(self, more: int) -> None:
        if len(self.queues) - len(self.idle) + more > self.rules.max_queues:
            raise Refused(
                "Too many queues",
                where="header destination",
                rule=f"This server holds {self.rules.max_queues} queues (max-queues)",
                mend="Use fewer names, consume what old ones hold, or ask the administrator to raise that option.",
            )

    def restore(self, name: str, count: int, lowest: int, highest: int) -> None:
        """A queue that a store holds from an earlier run: ``count`` messages with keys from ``lowest`` to
        ``highest``. New messages get numbers above them.
        """
        queue = self.queues[name] = Queue(name, self.log, self.memory, self.window)
        queue.restore(count, lowest)
        self.number = max(self.number, highest)

    def subscribe(self, subscription: Subscription) -> int:
        """Register ``subscription``; it gets nothing of a queue's backlog before ``start``.

        Raises Refused when the destination may not exist.
        """
        name = subscription.destination
        if self.naming.kind(name) == QUEUE:
            queue = self.queue(name)
            queue.add(subscription)
            if queue.idle:
                self._use(queue)
        else:
            topic = self.topics.get(name)
            if topic is None:
                topic = self.topics[name] = Topic(name, self.memory, self.rules.lag)
            topic.add(subscription)
        return self.log.number

    def start(self, subscription: Subscription) -> None:
        """Deliver what waits for ``subscription``."""
        if subscription.queue is not None:
            subscription.queue.dispatch()

    def unsubscribe(self, subscription: Subscription) -> int:
        """Deliver nothing more to ``subscription``; what it was handed stays its to settle."""
        topic = subscription.topic
        queue = subscription.queue
        if topic is not None:
            topic.discard(subscription)
            if topic.unused():
                self.topics.pop(topic.name, None)
        elif queue is not None:
            queue.discard(subscription)
            self._rest(queue)
        return self.log.number

    def ack(self, delivery: Delivery) -> int:
        """The delivery's message is consumed."""
        queue = delivery.subscription.queue
        assert queue is not None
        number = queue.settle(delivery)
        if queue.waiting:
            queue.dispatch()
        elif not queue.subscriptions:
            self._rest(queue)
        return number

    def nack(self, deliveries: list[Delivery], requeue: bool = True) -> int:
        """The messages of ``deliveries`` (of one subscription) are not consumed: back to their places, or to
        the dead letter queue when they may not come back (``requeue`` false, ``max-exceptions``,
        ``max_redeliveries``). All are back before one is delivered again, which keeps their order.
        """
        for delivery in deliveries:
            self._return(delivery, requeue)
        if deliveries:
            queue = deliveries[0].subscription.queue
            assert queue is not None
            queue.dispatch()
        return self.log.number

    def _return(self, delivery: Delivery, requeue: bool) -> None:
        queue = delivery.subscription.queue
        assert queue is not None
        message = delivery.message
        if delivery.subscription.closed and delivery.subscription.topic is not None:
            # Its own queue ended with the subscription: there is nobody to come back to.
            queue.settle(delivery)
        elif queue.name != self.rules.deadletter and (not requeue or self._spent(message)):
            # It leaves one queue and enters the other, or neither.
            alone = self.log.begin()
            self._bury(queue.forsake(delivery))
            if alone:
                self.log.end()
            self._rest(queue)
        else:
            queue.put_back(delivery)

    def _spent(self, message: Message) -> bool:
        """Whether one more return is too many (the original counted max-exceptions in the same way)."""
        attempts: int = message.attempts
        limit: int = self.rules.max_redeliveries
        return 0 <= message.exceptions <= attempts or 0 < limit <= attempts

    def _bury(self, message: Message) -> None:
        """Put a message that failed for good into the dead letter queue, as the newest there."""
        dead = message.copy()
        dead.head = None
        dead.variants = None
        queue = self.queues.get(self.rules.deadletter)
        if queue is None:
            # Not bound by max-queues: the last resort of a message must not fail.
            queue = self.queues[self.rules.deadletter] = Queue(
                self.rules.deadletter, self.log, self.memory, self.window
            )
        self._number(dead)
        queue.send(dead)
        if queue.idle:
            self._use(queue)

    def apply(self, actions: list[Action]) -> int:
        """A transaction: all of ``actions`` or none, as one batch of the log.

        Raises Refused, with nothing done, when one of them cannot be done.
        """
        fresh: dict[str, None] = {}
        size: int = 0
        for action in actions:
            message = action.message
            if message is not None and self.naming.kind(message.destination) == QUEUE:
                size += message.size if message.persistent else 0
                queue = self.queues.get(message.destination)
                if queue is None or queue.idle:
                    fresh[message.destination] = None
        if size > self.room:
            self._refuse_full()
        if fresh:
            self._check_room(len(fresh))
        self.log.begin()
        for name in fresh:
            # All now: neither a dead letter queue made meanwhile nor an idle one forgotten may fail a SEND below.
            queue = self.queue(name)
            if queue.idle:
                self._use(queue)
        for action in actions:
            if action.message is not None:
                self.send(action.message)
            elif action.delivery is not None:
                if action.kind == ACK:
                    self.ack(action.delivery)
                else:
                    self.nack([action.delivery], action.requeue)
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
                queue.dispatch()

    def drop(self, consumer: Consumer) -> int:
        """``consumer`` is gone: end its subscriptions and put back what it has not settled."""
        consumer.ready = False
        subscriptions = list(consumer.subscriptions.values())
        consumer.subscriptions.clear()
        consumer.stalled = []
        for subscription in subscriptions:
            self.unsubscribe(subscription)
        deliveries = list(consumer.deliveries.values())
        consumer.deliveries.clear()
        queues: dict[str, Queue] = {}
        for delivery in deliveries:
            if not delivery.settled:
                queue = delivery.subscription.queue
                assert queue is not None
                self._return(delivery, True)
                queues[queue.name] = queue
        for queue in queues.values():
            queue.dispatch()
            self._rest(queue)
        return self.log.number

    def _rest(self, queue: Queue) -> None:
        """Remember an unused queue as idle; forget the longest idle when there are too many."""
        if queue.idle or not queue.unused() or self.queues.get(queue.name) is not queue:
            return
        queue.idle = True
        self.idle[queue.name] = queue
        if len(self.idle) > self.rules.idle_queues:
            oldest = next(iter(self.idle))
            del self.idle[oldest]
            del self.queues[oldest]

    def _use(self, queue: Queue) -> None:
        queue.idle = False
        self.idle.pop(queue.name, None)

    def is_queue(self, destination: str) -> bool:
        """Whether that name is a queue's. Raises Refused when it is nobody's."""
        return self.naming.kind(destination) == QUEUE

    def listened(self, destination: str) -> bool:
        """Whether a topic has subscriptions."""
        return destination in self.topics

    def snapshot(self) -> BrokerStats:
        """Everything there is to know at this moment."""
        return BrokerStats(
            tuple(
                QueueStats(
                    q.name,
                    q.waiting,
                    q.unacked,
                    q.bytes,
                    len(q.subscriptions),
                    q.enqueued + q.passed,
                    q.dequeued + q.passed,
                )
                for q in self.queues.values()
            ),
            tuple(
                TopicStats(t.name, len(t.direct) + len(t.queues), t.enqueued) for t in self.topics.values()
            ),
            self.memory.used,
            self.memory.limit,
            self.enqueued,
        )
