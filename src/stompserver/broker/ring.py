"""Whose turn it is among the subscriptions that could take a message."""

from __future__ import annotations

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
            if not subscription.consumer.ready:
                subscription.consumer.stalled.append(subscription)
        return None

    def offer(self, subscription: Subscription) -> None:
        """Let one that may take a message again have its turns."""
        if not subscription.waiting:
            subscription.waiting = True
            members = self.members
            members.append(subscription)
            self.only = subscription if len(members) == 1 else None

    def withdraw(self, subscription: Subscription) -> None:
        """Give one no more turns; the others keep theirs."""
        if subscription.waiting:
            subscription.waiting = False
            at: int = self.members.index(subscription)
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
    """A ring for each consumer priority: those of a lower one have their turns when nobody above can take more."""

    __slots__ = ("_rings",)

    def __init__(self) -> None:
        super().__init__()
        self._rings: list[tuple[int, Ring]] = []

    def pick(self) -> Subscription | None:
        """The next of the highest priority that has one who can take a message."""
        for _, ring in self._rings:
            subscription = ring.pick()
            if subscription is not None:
                return subscription
        return None

    def offer(self, subscription: Subscription) -> None:
        """Let one have its turns among those of its priority."""
        rings = self._rings
        at = 0
        while at < len(rings) and rings[at][0] > subscription.priority:
            at += 1
        if at == len(rings) or rings[at][0] != subscription.priority:
            rings.insert(at, (subscription.priority, Ring()))
        rings[at][1].offer(subscription)

    def withdraw(self, subscription: Subscription) -> None:
        """Give one no more turns."""
        for priority, ring in self._rings:
            if priority == subscription.priority:
                ring.withdraw(subscription)

    def clear(self) -> None:
        """Give nobody a turn."""
        for _, ring in self._rings:
            ring.clear()
