"""The temporary queues of a client that is gone are deleted, in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.slices import BUDGET, Sliced

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue


class Leftovers(Sliced):
    """Deletes ``queues``, which nobody reaches any more. What a queue with few messages has goes at once with it, so
    they count as much as queues: a client may have hundreds of these.
    """

    __slots__ = ("_broker", "_queues")

    def __init__(self, broker: Broker, queues: list[Queue]) -> None:
        self._broker = broker
        self._queues = queues
        for queue in queues:
            queue.drop_routes()

    def slice(self, budget: int) -> bool:
        """Delete some."""
        queues = self._queues
        while queues and budget > 0:
            queue = queues.pop()
            if not queue.deleted:
                budget -= 1 + min(queue.waiting + queue.delayed, BUDGET)
                self._broker.delete(queue)
        return len(queues) > 0

    def finish(self) -> None:
        """Delete all: a store is to know of it."""
        while self.slice(BUDGET):
            pass
