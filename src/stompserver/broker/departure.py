"""Very many messages that come back at once, from a consumer that is gone or by one NACK, are put back in slices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stompserver.broker.queues.queue import Queue, queue_of
from stompserver.broker.slices import BUDGET, Sliced

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.returns import Returns
    from stompserver.broker.subscription import Delivery, Subscription


END: Final = 10
"""What the end of a subscription counts for in a slice: each of its destination's may have to be looked at."""


class Departure(Sliced):
    """Puts ``deliveries`` back into their queues, one queue after the other. A queue that gets more than one slice of
    them delivers nothing until all are there: what comes back goes in its order. ``then`` is called at the end; of
    ``counting`` alone (None: of all) the return counts as an attempt; the rest is as Broker.nack has it.
    """

    __slots__ = (
        "_cause",
        "_counting",
        "_delay",
        "_desk",
        "_end",
        "_ending",
        "_requeue",
        "_returns",
        "_then",
        "_todo",
    )

    def __init__(
        self,
        desk: Desk,
        returns: Returns,
        deliveries: list[Delivery],
        requeue: bool = True,
        delay: int = -1,
        cause: str = "",
        then: Callable[[], None] | None = None,
        counting: set[Delivery] | None = None,
    ) -> None:
        self._desk = desk
        self._returns = returns
        self._requeue = requeue
        self._delay: int = delay
        self._cause = cause
        self._then = then
        self._counting = counting
        self._ending: deque[Subscription] = deque()
        self._end: Callable[[Subscription], None] | None = None
        found: dict[Queue, deque[Delivery]] = {}
        for delivery in deliveries:
            if not delivery.settled:
                queue = queue_of(delivery.subscription)
                rest = found.get(queue)
                if rest is None:
                    rest = found[queue] = deque()
                rest.append(delivery)
        self._todo = deque([_Part(queue, rest) for queue, rest in found.items()])

    def end(self, subscriptions: list[Subscription], end: Callable[[Subscription], None]) -> None:
        """Before anything is put back, ``end`` these, of a consumer that is gone."""
        self._ending.extend(subscriptions)
        self._end = end

    def slice(self, budget: int) -> bool:
        """End some, or put some back; in a queue where all are back, deliver."""
        while self._ending and self._end is not None:
            if budget <= 0:
                return True
            budget -= END
            self._end(self._ending.popleft())
        todo = self._todo
        while todo and budget > 0:
            part = todo[0]
            rest = part.rest
            while rest and (budget > 0 or not part.blocks):
                delivery = rest.popleft()
                budget -= 1
                if not delivery.settled:
                    counts = self._counting is None or delivery in self._counting
                    self._returns.give_back(delivery, self._requeue, self._delay, self._cause, counts)
            if not rest:
                todo.popleft()
                if part.blocks:
                    part.queue.unblock()
                part.queue.dispatch()
                self._desk.retire(part.queue)
        if not todo and self._then is not None:
            self._then()
            self._then = None
        return len(todo) > 0

    def finish(self) -> None:
        """Put all back: a store is to know of it."""
        while self.slice(BUDGET):
            pass


class _Part:
    """What goes back into one queue."""

    __slots__ = ("blocks", "queue", "rest")

    def __init__(self, queue: Queue, rest: deque[Delivery]) -> None:
        self.queue = queue
        self.rest = rest
        self.blocks = len(rest) > BUDGET
        if self.blocks:
            queue.block()
