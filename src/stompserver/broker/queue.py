"""A queue: messages in the order of their keys, each to one of its subscriptions."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from stompserver.broker.memory import Memory
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.subscription import AUTO, Delivery, Subscription
from stompserver.broker.window import Window


class Queue:
    """Ready messages are in key order: ``ready`` in the order they came, ``returned`` (a heap) those that were
    delivered and came back. With a store behind it only a window is in memory: messages above its tail are
    ``paged``, counted here and found in the store.

    ``window`` says how much may be in memory; without one all is.
    """

    __slots__ = (
        "bytes",
        "dequeued",
        "enqueued",
        "held",
        "hungry",
        "idle",
        "log",
        "memory",
        "name",
        "paged",
        "passed",
        "ready",
        "returned",
        "ring",
        "subscriptions",
        "tail",
        "turn",
        "unacked",
        "waiting",
        "window",
    )

    def __init__(self, name: str, log: OpLog, memory: Memory, window: Window | None = None) -> None:
        self.name = name
        self.log = log
        self.memory = memory
        self.window = window
        self.ready: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self.paged: int = 0
        self.tail: int = 0
        """Key of the newest message that is, or was, in the window."""
        self.hungry = False
        """Whether the window wants more of what is paged."""
        self.waiting: int = 0
        """Messages ready, returned and paged: not those that are delivered and not settled."""
        self.passed: int = 0
        """Messages that were consumed as they came; neither ``enqueued`` nor ``dequeued`` counts them."""
        self.subscriptions: list[Subscription] = []
        self.ring: list[Subscription] = []
        """Subscriptions that could take a message when last looked at; served in turn."""
        self.turn: int = 0
        self.enqueued: int = 0
        self.dequeued: int = 0
        self.unacked: int = 0
        self.bytes: int = 0
        """Bytes of its messages in memory, ready or unacked."""
        self.held: int = 0
        """Of these, bytes of what is ready."""
        self.idle = False

    def send(self, message: Message) -> int:
        """Take a new message (its key is above all others); return the newest op's number."""
        log = self.log
        if not self.waiting:
            # FIFO without a detour: nothing waits before it and somebody can take it (bench: auto, queues).
            subscription = self.pick()
            if subscription is not None:
                if subscription.mode == AUTO:
                    # Consumed as it comes: its PUT and REMOVE would cancel, so neither is logged.
                    self.passed += 1
                    subscription.consumer.deliver(subscription, message)
                    return log.number
                self.enqueued += 1
                log.put(self.name, message)
                self._admit(message)
                self.hand(subscription, message)
                return log.number
        self.enqueued += 1
        self.waiting += 1
        window = self.window
        if window is not None and (
            self.paged
            or len(self.ready) >= window.count
            or self.held + message.size > window.bytes
            # Memory is for what somebody will take: many small backlogs must not keep all who send waiting.
            or (not self.subscriptions and self.memory.used > self.memory.ample)
        ):
            self.paged += 1
            # In memory until the commit: the pump takes it off again.
            self.memory.used += message.size
            if self.subscriptions:
                self._look(window)
            return log.put(self.name, message, True)
        self._admit(message)
        self._append(message)
        return log.put(self.name, message)

    def _admit(self, message: Message) -> None:
        size: int = message.size
        self.bytes += size
        self.memory.used += size
        self.tail = message.key

    def _append(self, message: Message) -> None:
        self.held += message.size
        self.ready.append(message)

    def restore(self, count: int, lowest: int) -> None:
        """Begin with ``count`` messages in the store, the first of them at ``lowest``."""
        self.waiting += count
        self.paged += count
        self.enqueued += count
        self.tail = lowest - 1

    def load(self, messages: list[Message], last: int, lost: int = 0) -> None:
        """Take what the store read for the window: ``messages`` in key order, up to the key ``last``; ``lost``
        more in between cannot be read and are counted no more.
        """
        self.hungry = False
        for message in messages:
            message.stored = True
            self._admit(message)
            self._append(message)
        self.paged -= len(messages) + lost
        self.waiting -= lost
        self.tail = max(self.tail, last)
        self.dispatch()

    def room(self) -> tuple[int, int]:
        """Messages and bytes that the window may take."""
        window = self.window
        if window is None:
            return 0, 0
        return max(1, window.count - len(self.ready)), max(1, window.bytes - self.held)

    def _look(self, window: Window) -> None:
        """Ask for paged messages when the window runs low and somebody listens."""
        if not self.hungry and len(self.ready) <= window.count // 2 and self.held <= window.bytes // 2:
            self.hungry = True
            window.hungry.append(self)

    def pick(self) -> Subscription | None:
        """The subscription whose turn it is among those with credit and a consumer that can take more."""
        ring = self.ring
        while ring:
            if self.turn >= len(ring):
                self.turn = 0
            subscription = ring[self.turn]
            if subscription.credit > 0 and subscription.consumer.ready:
                self.turn += 1
                return subscription
            subscription.waiting = False
            del ring[self.turn]
            if not subscription.consumer.ready:
                subscription.consumer.stalled.append(subscription)
        return None

    def hand(self, subscription: Subscription, message: Message) -> None:
        """Deliver ``message``; with AUTO it is consumed by that (STOMP 1.2, SUBSCRIBE ack header)."""
        if subscription.mode == AUTO:
            self._forget(message)
        else:
            subscription.credit -= 1
            self.unacked += 1
        subscription.consumer.deliver(subscription, message)

    def dispatch(self) -> None:
        """Deliver until the messages or those who can take them run out."""
        ready = self.ready
        returned = self.returned
        while ready or returned:
            subscription = self.pick()
            if subscription is None:
                break
            if returned and (not ready or returned[0][0] < ready[0].key):
                message = heappop(returned)[1]
            else:
                message = ready.popleft()
            self.waiting -= 1
            self.held -= message.size
            self.hand(subscription, message)
        if self.paged and self.subscriptions and self.window is not None:
            self._look(self.window)

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have its turns; nothing is delivered before the next ``dispatch``."""
        subscription.queue = self
        self.subscriptions.append(subscription)
        self.offer(subscription)

    def offer(self, subscription: Subscription) -> None:
        """Put a subscription that may take a message again into the round."""
        if not subscription.waiting and not subscription.closed:
            subscription.waiting = True
            self.ring.append(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``."""
        subscription.closed = True
        self.subscriptions.remove(subscription)
        if subscription.waiting:
            subscription.waiting = False
            at: int = self.ring.index(subscription)
            del self.ring[at]
            if at < self.turn:
                # The others keep their turns.
                self.turn -= 1

    def settle(self, delivery: Delivery) -> int:
        """The delivery is consumed: forget its message, return the op's number."""
        self._release(delivery)
        self._forget(delivery.message)
        return self.log.number

    def put_back(self, delivery: Delivery) -> int:
        """The delivery failed: its message is ready again at its old place with one more attempt."""
        message = delivery.message
        self._release(delivery)
        message.attempts += 1
        self.held += message.size
        heappush(self.returned, (message.key, message))
        self.waiting += 1
        return self.log.mark(self.name, message)

    def forsake(self, delivery: Delivery) -> Message:
        """The delivery failed for good: give up its message, which leaves this queue."""
        message = delivery.message
        self._release(delivery)
        message.attempts += 1
        self._forget(message)
        return message

    def _release(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        delivery.settled = True
        self.unacked -= 1
        subscription.credit += 1
        if not subscription.waiting:
            self.offer(subscription)

    def _forget(self, message: Message) -> None:
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.memory.used -= size
        self.log.remove(self.name, message)

    def unused(self) -> bool:
        """Whether nobody would miss it: nothing waits, nothing is delivered, nobody listens."""
        return not self.subscriptions and not self.unacked and not self.waiting
