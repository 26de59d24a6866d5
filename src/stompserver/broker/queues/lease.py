"""How long a subscription may keep a message without settling it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.subscription import Delivery, Lease

if TYPE_CHECKING:
    from stompserver.broker.queues.shared import Keeper

STEP: Final = 200
"""Deliveries that come back in one go; other work comes between."""


class Timeout(Timed, Lease):
    """The unsettled deliveries of one subscription in the order in which their ``timeout`` ms end.

    One that is not settled by then comes back alone; the subscription and its connection live on.
    """

    __slots__ = ("_closed", "_deadlines", "_deliveries", "_keeper", "clock", "timeout")

    def __init__(self, timeout: int, clock: Clock, deadlines: Deadlines, keeper: Keeper) -> None:
        super().__init__()
        self.timeout: int = timeout
        self.clock = clock
        self._closed = False
        self._deadlines = deadlines
        self._keeper = keeper
        self._deliveries: OrderedDict[Delivery, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deliveries)

    def add(self, delivery: Delivery) -> None:
        """``delivery`` begins, or begins anew."""
        delivery.due = self.clock.steady + self.timeout
        self._deliveries.pop(delivery, None)
        self._deliveries[delivery] = None
        if not self.ticket:
            self._deadlines.after(self.timeout, self)

    def remove(self, delivery: Delivery) -> None:
        """``delivery`` is settled."""
        self._deliveries.pop(delivery, None)
        if self._closed and not self._deliveries:
            self._deadlines.cancel(self)

    def close(self) -> None:
        """Its subscription gets nothing more; what it has may still be settled."""
        self._closed = True
        if not self._deliveries:
            self._deadlines.cancel(self)

    def due(self, now: int) -> None:
        """Take back what was not settled in time."""
        deliveries = self._deliveries
        late: list[Delivery] = []
        while deliveries and len(late) < STEP:
            delivery = next(iter(deliveries))
            if delivery.due > now:
                break
            if now < delivery.due + self.timeout and delivery.subscription.consumer.unheard():
                # It may have settled it. One that never stops talking is not waited for without end.
                break
            del deliveries[delivery]
            if delivery.held is not None:
                # It is settled when its transaction is; that one has no time limit of its own.
                delivery.due = now + self.timeout
                deliveries[delivery] = None
            else:
                late.append(delivery)
        if deliveries:
            first = next(iter(deliveries))
            self._deadlines.after(max(first.due - now, 1), self)
        if late:
            self._keeper.overdue(late)
