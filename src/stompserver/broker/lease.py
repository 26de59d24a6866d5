"""How long a subscription may keep a message without settling it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stompserver.broker.deadlines import Clock, Deadlines, Timed

if TYPE_CHECKING:
    from stompserver.broker.backlog import Keeper
    from stompserver.broker.subscription import Delivery


class Lease(Timed):
    """The deliveries of one subscription in the order in which their ``timeout`` ms end.

    One that is not settled by then comes back alone; the subscription and its connection live on.
    """

    __slots__ = ("_deadlines", "_deliveries", "_keeper", "clock", "timeout")

    def __init__(self, timeout: int, clock: Clock, deadlines: Deadlines, keeper: Keeper) -> None:
        super().__init__(0)
        self.live = False
        self.timeout: int = timeout
        self.clock = clock
        self._deadlines = deadlines
        self._keeper = keeper
        self._deliveries: deque[tuple[int, Delivery]] = deque()

    def add(self, delivery: Delivery) -> None:
        """``delivery`` begins, or begins anew."""
        delivery.due = self.clock.now + self.timeout
        self._deliveries.append((delivery.due, delivery))
        if not self.live:
            self.when = delivery.due
            self._deadlines.add(self)

    def due(self, now: int) -> None:
        """Take back what was not settled in time."""
        deliveries = self._deliveries
        late: list[Delivery] = []
        while deliveries:
            due, delivery = deliveries[0]
            if delivery.settled or due != delivery.due:
                deliveries.popleft()
            elif due > now:
                break
            elif delivery.held is not None:
                # It is settled when its transaction is; that one has no time limit of its own.
                deliveries.popleft()
                delivery.due = now + self.timeout
                deliveries.append((delivery.due, delivery))
            else:
                deliveries.popleft()
                late.append(delivery)
        if deliveries:
            self.when = deliveries[0][0]
            self._deadlines.add(self)
        if late:
            self._keeper.overdue(late)
