"""A queue is emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.message import Message
from stompserver.manage.walk import Walk

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue


class Purge(Walk):
    """Removes what waits in ``queue`` when it begins; what is delivered stays. ``removed`` counts it.

    What is in the store is delivered to nobody from the beginning on, what is in memory may be until it is removed.
    """

    __slots__ = ("_tail", "removed")

    def __init__(self, broker: Broker, queue: Queue) -> None:
        super().__init__(broker, queue)
        # The window drops these where it comes to them before the walk does.
        self.removed: int = queue.paged
        self._tail: int = queue.tail
        queue.purged = self.limit

    def visit(self, message: Message, paged: bool) -> None:
        """Remove it."""
        if not paged or message.key <= self._tail:
            self.removed += 1
        if paged:
            self.queue.lose_paged(message, "purged")
        else:
            self.queue.lose(message, "purged")

    def stop(self) -> None:
        """Remove no more."""
        self._forget()
        super().stop()

    def finish(self, problem: str = "") -> None:
        """All is removed."""
        self._forget()
        super().finish(problem)

    def _forget(self) -> None:
        if self.queue.purged == self.limit:
            # What was delivered at the beginning may come back, and go to the store.
            self.queue.purged = 0
