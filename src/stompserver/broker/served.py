"""Whom a queue serves: whose turn it is, who is served alone, and whether anybody is served now."""

from __future__ import annotations

from stompserver.broker.backlog import Backlog, Keeper
from stompserver.broker.browse import Browse
from stompserver.broker.deadlines import Clock, Deadlines
from stompserver.broker.destination import DURABLE
from stompserver.broker.memory import Memory
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.ring import Ring, Tiers
from stompserver.broker.subscription import Subscription
from stompserver.broker.window import Window


class Served(Backlog):
    """A backlog with ``subscriptions`` that take from it and ``browsers`` that only look.

    ``exclusive`` tells that only ``active`` is served; ``stopped`` that nobody is, because it is ``paused`` or
    ``blocked`` messages wait for their redelivery before all others.
    """

    __slots__ = (
        "active",
        "blocked",
        "browsers",
        "exclusive",
        "guarded",
        "open",
        "passing",
        "paused",
        "ring",
        "stopped",
    )

    def __init__(
        self,
        name: str,
        log: OpLog,
        memory: Memory,
        window: Window | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        deadlines: Deadlines | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__(name, log, memory, window, policy, clock, deadlines, keeper)
        self.ring: Ring = Ring()
        self.guarded = False
        """Whether a message needs room under the policy's limits."""
        self.open = False
        """Whether a SEND that says nothing special needs no closer look at its destination."""
        self.browsers: list[Subscription] = []
        self.exclusive = self.policy.exclusive
        self.active: Subscription | None = None
        self.paused = False
        self.blocked: int = 0
        self.stopped = False
        self.passing = False
        """Whether it goes with its last subscription."""

    def dispatch(self, subscription: Subscription | None = None) -> None:
        """Deliver what can be delivered."""
        raise AssertionError("a queue delivers")

    def begin_matching(self) -> None:
        """Have selectors and groups decide from now on."""
        raise AssertionError("a queue matches")

    def settle_down(self) -> None:
        """Be a plain queue again when nothing speaks against it."""
        raise AssertionError("a queue settles down")

    def follow(self, policy: Policy) -> None:
        """Take the rules of ``policy`` from now on."""
        self.policy = policy
        self.open = False
        self.guarded = (
            policy.max_messages > 0
            or policy.max_bytes > 0
            or policy.ttl > 0
            or policy.max_ttl > 0
            or self.name.startswith(DURABLE)
        )
        if policy.last_value:
            self.keep_last_values()
        exclusive = policy.exclusive or any(each.exclusive for each in self.subscriptions)
        if exclusive != self.exclusive:
            self.exclusive = exclusive
            if exclusive:
                self._choose()
            else:
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
            self.dispatch(None)

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have its turns; nothing is delivered before the next ``dispatch``."""
        if subscription.auto_delete:
            self.passing = True
        if subscription.browser:
            self.odd = True
            self.browsers.append(subscription)
            subscription.browse = Browse(self, subscription)
            return
        self.subscriptions.append(subscription)
        if subscription.priority and not isinstance(self.ring, Tiers):
            members = self.ring.members[:]
            self.ring.clear()
            self.ring = Tiers()
            for member in self.subscriptions:
                if member.filter is None:
                    member.ring = self.ring
            for member in members:
                self.ring.offer(member)
        if subscription.selector is not None and self.matching is None:
            self.begin_matching()
        subscription.ring = self.ring if self.matching is None else self.matching.add(subscription)
        if subscription.exclusive:
            self.exclusive = True
        if self.exclusive:
            self._choose()
        self.offer(subscription)

    def _choose(self) -> None:
        """See who is served alone: the first of those that asked for it, of the highest priority."""
        asked = [each for each in self.subscriptions if each.exclusive] or self.subscriptions
        best: Subscription | None = None
        for each in asked:
            if best is None or each.priority > best.priority:
                best = each
        current = self.active
        if (
            current is not None
            and best is not None
            and not current.closed
            and current.exclusive == best.exclusive
            and current.priority >= best.priority
        ):
            return
        self.active = best
        if self.matching is not None:
            # Groups go with it.
            self.matching.unassign(None)
        for each in self.subscriptions:
            if each is not best and each.ring is not None:
                each.ring.withdraw(each)
        if best is not None:
            self.offer(best)

    def offer(self, subscription: Subscription) -> None:
        """Put a subscription that may take a message again into the round."""
        if subscription.waiting or subscription.closed or subscription.browser or self.stopped:
            return
        if self.exclusive and subscription is not self.active:
            return
        ring = subscription.ring
        if ring is not None:
            ring.offer(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``; others get what it leaves at the next ``dispatch``."""
        subscription.closed = True
        if subscription.browser:
            self.browsers.remove(subscription)
            self.settle_down()
            return
        self.subscriptions.remove(subscription)
        if subscription.ring is not None:
            subscription.ring.withdraw(subscription)
        if self.matching is not None:
            self.matching.discard(subscription)
        if self.exclusive:
            self.exclusive = self.policy.exclusive or any(each.exclusive for each in self.subscriptions)
            if subscription is self.active:
                self.active = None
            if self.exclusive:
                self._choose()
            else:
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
        self.settle_down()

    def pause(self) -> None:
        """Deliver nothing until ``unpause``; what is delivered may be settled, and messages may come."""
        self.paused = True
        self.stop()

    def unpause(self) -> None:
        """Deliver again."""
        self.paused = False
        self.go_on()
        self.dispatch(None)

    def stop(self) -> None:
        """Take everybody's turns away."""
        self.stopped = True
        for subscription in self.subscriptions:
            if subscription.ring is not None:
                subscription.ring.withdraw(subscription)

    def go_on(self) -> None:
        """Give them back, if nothing else speaks against it."""
        if self.stopped and not self.paused and not self.blocked:
            self.stopped = False
            for subscription in self.subscriptions:
                self.offer(subscription)
