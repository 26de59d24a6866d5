"""What becomes of messages that were delivered and not consumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.dead import letter as deadletter
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.queues.overflow import DEAD_LETTER, over
from stompserver.broker.queues.queue import queue_of
from stompserver.broker.queues.shared import Keeper

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.message import Message
    from stompserver.broker.names.policy import Policy
    from stompserver.broker.subscription import Delivery

HOPS: Final = 16
"""How many queues in a row may hand on what they have no room for, and how often in a row a message may become a dead
letter that no consumer had: more is no way but a circle, or one that nobody meant.
"""


class Returns(Keeper):
    """Where they go: back to their places, at once or later, or to a dead letter queue."""

    __slots__ = ("_desk",)

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def nack(self, deliveries: list[Delivery], requeue: bool, delay: int, cause: str) -> int:
        """As Broker.nack."""
        for delivery in deliveries:
            self.give_back(delivery, requeue, delay, cause)
        if deliveries:
            queue_of(deliveries[0].subscription).dispatch()
        return self._desk.log.position

    def emptied(self, queue: str) -> None:
        """The queue of that name lost messages while nobody did anything with it: it may be idle now."""
        found = self._desk.queues.get(queue)
        if found is not None:
            self._desk.retire(found)

    def overdue(self, deliveries: list[Delivery]) -> None:
        """Leases ended: the messages come back, and whoever had them may settle them no more."""
        for delivery in deliveries:
            policy = delivery.subscription.wish.policy or queue_of(delivery.subscription).policy
            # Where nobody says how long they wait, the lease was long enough.
            self.give_back(delivery, True, 0 if policy.redelivery_delay < 0 else -1, "ack-timeout")
            delivery.subscription.consumer.expired(delivery)
        queue_of(deliveries[0].subscription).dispatch()

    def give_back(
        self, delivery: Delivery, requeue: bool, delay: int = -1, cause: str = "", counts: bool = True
    ) -> None:
        """One message of these; nothing is delivered before the next ``dispatch`` of its queue. Unless it
        ``counts`` it cannot have been in work, and comes back without one attempt more.
        """
        desk = self._desk
        queue = queue_of(delivery.subscription)
        message = delivery.message
        if queue.deleted or (delivery.subscription.closed and delivery.subscription.of_topic):
            # Its own queue ended with the subscription: there is nobody to come back to.
            queue.settle(delivery)
            return
        if desk.queues.get(queue.name) is not queue and not delivery.subscription.of_topic:
            # The queue was deleted.
            queue.settle(delivery)
            return
        if not counts:
            queue.spare(delivery)
            return
        policy = delivery.subscription.wish.policy or queue.policy
        spent = self._spent(message, policy)
        if (not requeue or spent) and queue.name != self._deadletters(queue.name, queue.policy):
            # It leaves one queue and enters the other, or neither.
            with desk.log.transaction():
                reason = deadletter.REJECTED if not requeue else deadletter.SPENT
                self.bury(queue.name, queue.policy, queue.forsake(delivery), reason, cause)
            desk.retire(queue)
        else:
            queue.put_back(delivery, delay)

    def _spent(self, message: Message, policy: Policy) -> bool:
        """Whether one more return is too many (the original counted max-exceptions in the same way). A subscription's
        limit may be -1: none at all, where a policy's 0 is no limit.
        """
        attempts: int = message.tried
        limit: int = policy.max_redeliveries
        return 0 <= message.exceptions <= attempts or 0 < limit <= attempts or limit < 0

    def bury(self, queue: str, policy: Policy, message: Message, reason: str, cause: str) -> None:
        """Put a message that left the queue of that name for good into its dead letter queue, as the newest there,
        unless it is one that nobody wants to see again.
        """
        if reason in deadletter.SILENT or (reason == deadletter.EXPIRED and policy.expired != "deadletter"):
            return
        name = self._deadletters(queue, policy)
        if not name or name == queue:
            return
        desk = self._desk
        # A topic's subscription has a queue of its own, which may be named by a pattern.
        origin = queue if queue in desk.queues else message.destination
        dead = deadletter.letter(message, name, origin, reason, cause, desk.now)
        grave = desk.queues.get(name)
        if grave is None:
            # Not bound by max-queues: the last resort of a message must not fail.
            grave = desk.make(name)
        desk.assign(dead)
        if deadletter.hops(dead) > HOPS:
            # It went round by itself until now. Without a time of its own it stays where it is.
            self.tell(f"{name[:200]} keeps for good what went round {HOPS} times without a consumer")
            desk.put(grave, dead, True)
        else:
            desk.put(grave, dead)

    def has_way(self, queue: str, policy: Policy, size: int) -> bool:
        """Whether a dead letter of about ``size`` bytes that the queue of that name and policy gives up for want of
        room comes to rest: in a queue that takes it, or nowhere, where none is named. Not when each of the queues
        after it is as full and hands on its own dead letters, until they are back at one of those, or are more than
        ``HOPS``.
        """
        queues = self._desk.queues
        passed = [queue]
        for _ in range(HOPS):
            name = self._deadletters(queue, policy)
            if not name or name == queue:
                return True
            following = queues.get(name)
            if following is None:
                return True
            if following.shedding or name in passed:
                return False
            if following.policy.overflow != DEAD_LETTER or not over(following, size):
                return True
            passed.append(name)
            queue, policy = name, following.policy
        return False

    def tell(self, text: str) -> None:
        """As ``Desk.tell``."""
        self._desk.tell(text)

    def _deadletters(self, queue: str, policy: Policy) -> str:
        """The name of its dead letter queue, its own if it is one, or ""."""
        rules = self._desk.rules
        name = rules.policies.deadletter_of(policy, queue)
        # Reports go there, and to everybody: a queue in its place would take them, and keep these letters from all.
        return name if name != MONITOR else rules.policies.base.deadletter_of(queue)
