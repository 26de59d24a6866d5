"""Whose turn it is among the subscriptions that could take a message."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stompserver.broker.subscription import Subscription


class Ring:
    """Subscriptions that could take a message when last looked at; served in turn."""

    __slots__ = ("members", "only", "turn")

    def __init__(self) -> None:
        self.members: list[Subscription] = []
        self.only: Subscription | None = None
        """The one member, if it is the only one: found with two looks at memory less (bench: growth)."""
        self.turn: int = 0

    def pick(self) -> Subscription | None:
        """The subscription whose turn it is among those with credit and a consumer that can take more."""
        only = self.only
        if only is not None and only.credit > 0 and only.consumer.ready:
            return only
        members = self.members
        while members:
            if self.turn >= len(members):
                self.turn = 0
            subscription = members[self.turn]
            if subscription.credit > 0 and subscription.consumer.ready:
                self.turn += 1
                return subscription
            subscription.waiting = False
            del members[self.turn]
            self.only = members[0] if len(members) == 1 else None
            if not subscription.consumer.ready and not subscription.closed:
                subscription.consumer.stalled.append(subscription)
        return None

    def offer(self, subscription: Subscription) -> None:
        """Let one that may take a message again have its turns."""
        if not subscription.waiting:
            subscription.waiting = True
            members = self.members
            if members:
                subscription.turn = members[-1].turn + 1
                self.only = None
            else:
                subscription.turn = 0
                self.only = subscription
            members.append(subscription)

    def withdraw(self, subscription: Subscription) -> None:
        """Give one no more turns; the others keep theirs."""
        if subscription.waiting:
            subscription.waiting = False
            at: int = bisect_left(self.members, subscription.turn, key=_turn_of)
            del self.members[at]
            self.only = self.members[0] if len(self.members) == 1 else None
            if at < self.turn:
                self.turn -= 1

    def clear(self) -> None:
        """Give nobody a turn."""
        for subscription in self.members:
            subscription.waiting = False
        self.members.clear()
        self.only = None
        self.turn = 0


class Tiers(Ring):
    """A ring for each consumer priority that somebody has turns in: those of a lower one have theirs when nobody
    above can take more.
    """

    __slots__ = ("_order", "_rings")

    def __init__(self) -> None:
        super().__init__()
        self._rings: dict[int, Ring] = {}
        self._order: list[int] = []
        """Their priorities, the lowest first."""

    def __len__(self) -> int:
        return len(self._rings)

    def pick(self) -> Subscription | None:
        """The next of the highest priority that has one who can take a message."""
        order = self._order
        while order:
            subscription = self._rings[order[-1]].pick()
            if subscription is not None:
                return subscription
            # Nobody is left in it.
            del self._rings[order.pop()]
        return None

    def offer(self, subscription: Subscription) -> None:
        """Let one have its turns among those of its priority."""
        priority: int = subscription.wish.priority
        ring = self._rings.get(priority)
        if ring is None:
            ring = self._rings[priority] = Ring()
            insort(self._order, priority)
        ring.offer(subscription)

    def withdraw(self, subscription: Subscription) -> None:
        """Give one no more turns."""
        priority: int = subscription.wish.priority
        ring = self._rings.get(priority)
        if ring is None:
            return
        ring.withdraw(subscription)
        if not ring.members:
            del self._rings[priority]
            del self._order[bisect_left(self._order, priority)]

    def clear(self) -> None:
        """Give nobody a turn."""
        for ring in self._rings.values():
            ring.clear()
        self._rings.clear()
        self._order.clear()


def _turn_of(subscription: Subscription) -> int:
    return subscription.turn
