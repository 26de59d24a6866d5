"""What becomes of messages that were delivered and not consumed."""

from __future__ import annotations

from stompserver.broker import deadletter
from stompserver.broker.backlog import Backlog, Keeper
from stompserver.broker.deadlines import Clock
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.queue import Queue
from stompserver.broker.subscription import Delivery


class Returns(Keeper):
    """Where they go: back to their places, at once or later, or to a dead letter queue."""

    __slots__ = ("clock", "log", "queues")

    def __init__(self, log: OpLog) -> None:
        self.log = log
        self.clock = Clock()
        self.queues: dict[str, Queue] = {}

    def _make(self, name: str) -> Queue:
        raise AssertionError("a broker makes queues")

    def _number(self, message: Message) -> None:
        raise AssertionError("a broker numbers messages")

    def deadletters(self, queue: Backlog) -> str:
        """The name of its dead letter queue, its own if it is one, or ""."""
        raise AssertionError("a broker knows the policies")

    def put(self, queue: Queue, copy: Message) -> None:
        """Let ``queue`` have a message that is refused no more."""
        raise AssertionError("a broker knows the limits of queues")

    def rest(self, queue: Queue) -> None:
        """Remember an unused queue as idle."""
        raise AssertionError("a broker knows its idle queues")

    def _use(self, queue: Queue) -> None:
        raise AssertionError("a broker knows its idle queues")

    def nack(self, deliveries: list[Delivery], requeue: bool = True, delay: int = -1, cause: str = "") -> int:
        """The messages of ``deliveries`` (of one subscription) are not consumed: back to their places, or to
        the dead letter queue when they may not come back (``requeue`` false, ``max-exceptions``,
        ``max_redeliveries``). All are back before one is delivered again, which keeps their order.

        They wait ``delay`` ms before that, or as long as the policy says (-1); ``cause`` is the client's word for
        what was wrong with them.
        """
        for delivery in deliveries:
            self._return(delivery, requeue, delay, cause)
        if deliveries:
            queue = deliveries[0].subscription.queue
            assert queue is not None
            queue.dispatch()
        return self.log.number

    def touch(self, deliveries: list[Delivery]) -> int:
        """The leases of ``deliveries`` begin anew."""
        for delivery in deliveries:
            lease = delivery.subscription.lease
            if lease is not None:
                lease.add(delivery)
        return self.log.number

    def overdue(self, deliveries: list[Delivery]) -> None:
        """Leases ended: the messages come back, and whoever had them may settle them no more."""
        for delivery in deliveries:
            delivery.subscription.consumer.expired(delivery)
        self.nack(deliveries, True, -1, "ack-timeout")

    def _return(self, delivery: Delivery, requeue: bool, delay: int = -1, cause: str = "") -> None:
        queue = delivery.subscription.queue
        assert queue is not None
        message = delivery.message
        if queue.deleted or (delivery.subscription.closed and delivery.subscription.topic is not None):
            # Its own queue ended with the subscription: there is nobody to come back to.
            queue.settle(delivery)
            return
        if self.queues.get(queue.name) is not queue and delivery.subscription.topic is None:
            # The queue was deleted.
            queue.settle(delivery)
            return
        policy = delivery.subscription.policy or queue.policy
        spent = self._spent(message, policy)
        if (not requeue or spent) and queue.name != self.deadletters(queue):
            # It leaves one queue and enters the other, or neither.
            alone = self.log.begin()
            reason = deadletter.REJECTED if not requeue else deadletter.SPENT
            self.bury(queue, queue.forsake(delivery), reason, cause)
            if alone:
                self.log.end()
            self.rest(queue)
        else:
            queue.put_back(delivery, delay)

    def _spent(self, message: Message, policy: Policy) -> bool:
        """Whether one more return is too many (the original counted max-exceptions in the same way). A subscription's
        limit may be -1: none at all, where a policy's 0 is no limit.
        """
        attempts: int = message.attempts
        limit: int = policy.max_redeliveries
        return 0 <= message.exceptions <= attempts or 0 < limit <= attempts or limit < 0

    def bury(self, queue: Backlog, message: Message, reason: str, cause: str) -> None:
        """Put a message that left ``queue`` for good into its dead letter queue, as the newest there, unless it is
        one that nobody wants to see again.
        """
        if reason in deadletter.SILENT or (
            reason == deadletter.EXPIRED and queue.policy.expired != "deadletter"
        ):
            return
        name = self.deadletters(queue)
        if not name or name == queue.name:
            return
        # A topic's subscription has a queue of its own, which may be named by a pattern.
        origin = queue.name if self.queues.get(queue.name) is queue else message.destination
        dead = deadletter.letter(message, origin, reason, cause, self.clock.now)
        grave = self.queues.get(name)
        if grave is None:
            # Not bound by max-queues: the last resort of a message must not fail.
            grave = self._make(name)
        self._number(dead)
        self.put(grave, dead)
