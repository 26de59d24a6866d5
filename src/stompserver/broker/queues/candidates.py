"""Who is served alone by an exclusive queue."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stompserver.broker.subscription import Subscription


class Candidates:
    """The subscriptions of an exclusive queue, the one to be served first: those that asked for it before others,
    then by consumer priority, then by the time they came. One that is closed is taken out later, but there are never
    more of these than of others: they keep their consumers alive.
    """

    __slots__ = ("_heap", "_last")

    def __init__(self, subscriptions: list[Subscription]) -> None:
        self._heap: list[tuple[int, int, int, Subscription]] = []
        self._last: int = 0
        self._fill(subscriptions)

    def __len__(self) -> int:
        return len(self._heap)

    def _fill(self, subscriptions: list[Subscription]) -> None:
        self._heap = []
        for subscription in subscriptions:
            self._push(subscription)

    def add(self, subscription: Subscription) -> None:
        """Have ``subscription`` too, the newest of all."""
        self._push(subscription)

    def discard(self, subscriptions: list[Subscription]) -> None:
        """One is closed, and ``subscriptions`` are left."""
        if len(self._heap) > 2 * len(subscriptions):
            self._fill(subscriptions)

    def _push(self, subscription: Subscription) -> None:
        self._last += 1
        wish = subscription.wish
        heappush(self._heap, (0 if wish.exclusive else 1, -wish.priority, self._last, subscription))

    def best(self) -> Subscription | None:
        """Who is to be served, None for nobody."""
        heap = self._heap
        while heap and heap[0][3].closed:
            heappop(heap)
        return heap[0][3] if heap else None
