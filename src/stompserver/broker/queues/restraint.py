"""Who gets no more messages of a store for a time, because memory is short and he has not settled what he has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stompserver.broker.memory import LEAST_GRANT
from stompserver.broker.slices import Sliced
from stompserver.broker.subscription import AUTO, UNLIMITED, Subscription

if TYPE_CHECKING:
    from stompserver.broker.memory import Memory
    from stompserver.broker.slices import Slices

ALIKE: Final = 4
"""A subscription may have so many times what is left for all: one alone has four fifths of it, many leave little."""

STEP: Final = 64
"""The memory is looked at again when one part in STEP of the limit was given back."""


class Restraint(Sliced):
    """Subscriptions whose credit is kept from them. Each has something in hand, and with what it settles it is given
    as many messages more; others go on. The rest of the credit comes back when there is room (Choudhury and
    Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches, 1998).

    ``offer`` lets a subscription have its turns again, and ``serve`` what its queue has for it besides.
    """

    __slots__ = ("_held", "_left", "_memory", "_offer", "_seen", "_serve", "_slices")

    def __init__(
        self,
        memory: Memory,
        slices: Slices,
        offer: Callable[[Subscription], None],
        serve: Callable[[Subscription], None],
    ) -> None:
        self._memory = memory
        self._slices = slices
        self._offer = offer
        self._serve = serve
        self._held: dict[Subscription, int] = {}
        """With the bytes of a message of each; who waits for longest is the first."""
        self._left: int = 0
        """Those that are still to be looked at; 0 while nobody looks."""
        self._seen: int = 0
        """Bytes in use when they were looked at last, or one came."""

    def __len__(self) -> int:
        return len(self._held)

    def weigh(self, subscription: Subscription, size: int) -> None:
        """See whether ``subscription``, which was handed a message of ``size`` bytes, may have another."""
        if subscription.mode == AUTO or subscription.closed:
            return
        if _in_hand(subscription) * size <= max(ALIKE * self._memory.spare, LEAST_GRANT):
            if subscription.withheld:
                # Whoever delivers now goes on with it.
                self._give_back(subscription)
                self._offer(subscription)
            return
        self._held[subscription] = size
        subscription.withheld += subscription.credit
        subscription.credit = 0
        self._seen = max(self._seen, self._memory.used + self._memory.fixed)

    def forget(self, subscription: Subscription) -> None:
        """``subscription`` ends."""
        self._held.pop(subscription, None)

    def look(self) -> None:
        """Let go of those for whom there is room again, in slices, if memory was given back since the last time."""
        memory = self._memory
        if self._left or not self._held:
            return
        if memory.used + memory.fixed < self._seen - memory.limit // STEP:
            self._left = len(self._held)
            self._slices.add(self)

    def slice(self, budget: int) -> bool:
        """Look at some; each that is let go counts as ten."""
        memory = self._memory
        while self._left > 0 and self._held and budget > 0:
            self._left -= 1
            budget -= 1
            subscription = next(iter(self._held))
            size = self._held.pop(subscription)
            if subscription.closed:
                continue
            if _in_hand(subscription) * size > ALIKE * memory.spare:
                self._held[subscription] = size
                continue
            budget -= 9
            self._give_back(subscription)
            self._serve(subscription)
        if self._left > 0 and self._held:
            return True
        self._left = 0
        self._seen = memory.used + memory.fixed
        return False

    def _give_back(self, subscription: Subscription) -> None:
        self._held.pop(subscription, None)
        subscription.credit += subscription.withheld
        subscription.withheld = 0


def _in_hand(subscription: Subscription) -> int:
    """How many messages it has not settled."""
    most: int = subscription.wish.prefetch or UNLIMITED
    return most - subscription.credit - subscription.withheld - subscription.spare
