"""What becomes of a queue that nobody uses: it is idle, and goes after a time, or when too many are idle."""

from __future__ import annotations

from collections.abc import Callable

from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.memory import Memory
from stompserver.broker.queues.queue import Queue


class Idle:
    """``queues`` are those that nobody uses, the longest unused first: kept for their statistics, up to ``most``, and
    to their share of the memory.

    ``table`` has all queues there are. ``forget`` hears the name of one that is taken out of it because too many are
    idle; ``delete`` ends one that was unused for as long as its policy says.
    """

    __slots__ = ("_clock", "_deadlines", "_delete", "_forget", "_memory", "_table", "most", "queues")

    def __init__(
        self,
        table: dict[str, Queue],
        memory: Memory,
        clock: Clock,
        deadlines: Deadlines,
        most: int,
        forget: Callable[[str], None],
        delete: Callable[[Queue], None],
    ) -> None:
        self.queues: dict[str, Queue] = {}
        self.most: int = most
        self._table = table
        self._memory = memory
        self._clock = clock
        self._deadlines = deadlines
        self._forget = forget
        self._delete = delete

    def __len__(self) -> int:
        return len(self.queues)

    def retire(self, queue: Queue) -> None:
        """Remember ``queue`` as idle, if it is unused; forget the longest idle when there are too many."""
        if queue.idle or not queue.unused() or self._table.get(queue.name) is not queue:
            return
        if queue.bound:
            # It stays, unless its own time is over.
            self._await_end(queue)
            return
        self._enter(queue)
        while len(self.queues) > self.most or (self._memory.idle.exceeded and self.queues):
            self._forget_oldest()

    def begin(self, queue: Queue) -> None:
        """``queue`` is new and nobody uses it yet: idle until somebody does, which may never be, because what it was
        made for is refused or aborted.
        """
        if queue.unused():
            self._enter(queue)
            while len(self.queues) > 1 and (len(self.queues) > self.most or self._memory.idle.exceeded):
                self._forget_oldest()

    def _enter(self, queue: Queue) -> None:
        queue.idle = True
        self._memory.fixed -= queue.cost
        self._memory.idle.take(queue.cost)
        self.queues[queue.name] = queue
        self._await_end(queue)

    def _await_end(self, queue: Queue) -> None:
        queue.rested = self._clock.steady
        patience = _patience(queue)
        if patience and queue.ending is None:
            queue.ending = _End(self, queue)
            self._deadlines.after(patience, queue.ending)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self.queues))
        self.use(self.queues[oldest])
        queue = self._table.pop(oldest)
        self._memory.fixed -= queue.cost
        queue.drop_routes()
        queue.untie()
        self._forget(oldest)

    def use(self, queue: Queue) -> None:
        """``queue`` is idle no more: it is used, or it is gone."""
        queue.idle = False
        if self.queues.pop(queue.name, None) is not None:
            self._memory.idle.give(queue.cost)
            self._memory.fixed += queue.cost
        if queue.ending is not None:
            self._deadlines.cancel(queue.ending)
            queue.ending = None

    def end(self, queue: Queue, now: int) -> None:
        """Delete ``queue`` if nobody used it in the time that its policy says now."""
        patience = _patience(queue)
        if queue.ending is None or not patience or (queue.bound and not queue.unused()):
            queue.ending = None
        elif queue.rested + patience <= now:
            self._delete(queue)
        else:
            self._deadlines.after(queue.rested + patience - now, queue.ending)


def _patience(queue: Queue) -> int:
    """How many ms it may be unused; 0 for ever. A policy does not end a durable subscription."""
    return queue.expiry if queue.bound else queue.policy.idle_expiry


class _End(Timed):
    """The end of one that nobody used for a time."""

    __slots__ = ("_idle", "_queue")

    def __init__(self, idle: Idle, queue: Queue) -> None:
        super().__init__()
        self._idle = idle
        self._queue = queue

    def due(self, now: int) -> None:
        self._idle.end(self._queue, now)
