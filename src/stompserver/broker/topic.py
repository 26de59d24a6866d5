"""A topic: each message to every subscription there is now, nothing kept."""

from __future__ import annotations

from stompserver.broker.memory import Memory
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.queue import Queue
from stompserver.broker.subscription import AUTO, Subscription


class Topic:
    """``direct`` subscriptions (ack:auto) get messages as they come. One that acknowledges has a queue of its
    own, so that credit, redelivery and order are a queue's; when more than ``lag`` bytes wait in it, its
    consumer is told.
    """

    __slots__ = ("direct", "enqueued", "lag", "memory", "name", "queues")

    def __init__(self, name: str, memory: Memory, lag: int) -> None:
        self.name = name
        self.memory = memory
        self.lag: int = lag
        self.direct: list[Subscription] = []
        self.queues: list[Queue] = []
        self.enqueued: int = 0

    def send(self, message: Message) -> None:
        """Deliver to every subscription, in the order they subscribed."""
        self.enqueued += 1
        for subscription in self.direct:
            subscription.consumer.deliver(subscription, message)
        for queue in self.queues:
            twin = message.copy()
            queue.send(twin)
            # Encoded for the first who got it at once, and so for the others.
            message.head = twin.head
            message.variants = twin.variants
            # Not counting this one: a single large message is no lag.
            if queue.bytes - message.size > self.lag and queue.subscriptions:
                owner = queue.subscriptions[0]
                owner.consumer.lag(owner)

    def add(self, subscription: Subscription) -> None:
        """Deliver to ``subscription`` whatever is sent from now on."""
        subscription.topic = self
        if subscription.mode == AUTO:
            self.direct.append(subscription)
            return
        # Not logged: it lives no longer than the subscription.
        queue = Queue(self.name, OpLog(), self.memory)
        queue.add(subscription)
        self.queues.append(queue)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``; what waits for it alone is let go."""
        subscription.closed = True
        queue = subscription.queue
        if queue is None:
            self.direct.remove(subscription)
            return
        queue.discard(subscription)
        self.queues.remove(queue)
        for message in queue.ready:
            self.memory.used -= message.size
        for _, message in queue.returned:
            self.memory.used -= message.size
        queue.ready.clear()
        queue.returned.clear()
        queue.waiting = 0
        queue.held = 0

    def unused(self) -> bool:
        """Whether nobody subscribes."""
        return not self.direct and not self.queues
