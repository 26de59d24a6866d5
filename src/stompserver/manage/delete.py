"""A queue is deleted, with all that waits in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.names.destination import DURABLE
from stompserver.manage import durables
from stompserver.manage.jobs import Job
from stompserver.manage.purge import Purge

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue


class Delete(Job):
    """Ends ``queue``, or the durable subscription whose queue it is, when nobody is subscribed to it. ``removed``
    counts the messages that went with it.

    What is in the store goes in one op, and with it the little that a window has in memory. Without a store all is
    in memory: it is purged first, in slices. Who subscribes meanwhile keeps the queue; ``problem`` then says so.
    """

    __slots__ = ("_purge", "_queue", "removed")

    def __init__(self, broker: Broker, queue: Queue) -> None:
        super().__init__(broker)
        self._queue = queue
        self._purge: Purge | None = None
        self.removed: int = 0

    def step(self, budget: int) -> bool:
        """Remove some of what is in memory, or, when little is left, the queue."""
        queue = self._queue
        if self._purge is None and not queue.paged and queue.waiting > budget:
            self._purge = Purge(self.broker, queue)
        if self._purge is not None and not self._purge.over:
            self._purge.step(budget)
            return True
        if self._purge is not None:
            self.removed = self._purge.removed
        looked_at = len(queue.browsers) > 0 and not queue.name.startswith(DURABLE)
        if looked_at or self.broker.fanout.durables.used(queue):
            self.end("somebody subscribed to it meanwhile")
            return False
        if not queue.deleted:
            self.removed += queue.waiting + queue.delayed
            if queue.name.startswith(DURABLE):
                durables.delete(self.broker, queue.name)
            else:
                self.broker.pauses.forget(queue.name)
                self.broker.delete(queue)
        self.end()
        return False
