"""What is to happen at a time: one heap for leases, delays, expiry and removals."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

_FEW: Final = 64


class Clock:
    """The time as the shell tells it: ``now`` is Unix time in ms."""

    __slots__ = ("now",)

    def __init__(self, now: int = 0) -> None:
        self.now: int = now


class Timed:
    """Something due at ``when`` (Unix time in ms); ``live`` turns false when it is cancelled or was done."""

    __slots__ = ("live", "when")

    def __init__(self, when: int) -> None:
        self.when: int = when
        self.live = True

    def due(self, now: int) -> None:
        """Do it. May add others, and itself again with a later ``when``."""
        raise AssertionError("what is timed does something")


class Deadlines:
    """All that is timed, the earliest first; what is cancelled costs its place until it is swept out."""

    __slots__ = ("_count", "_dead", "_heap", "sooner")

    def __init__(self) -> None:
        self.sooner = False
        """Whether something is due earlier than all there was before; who keeps the time takes it back."""
        self._heap: list[tuple[int, int, Timed]] = []
        self._count: int = 0
        self._dead: int = 0

    def add(self, timed: Timed) -> None:
        """Have ``timed`` done at its time."""
        self._count += 1
        timed.live = True
        heap = self._heap
        if not heap or timed.when < heap[0][0]:
            self.sooner = True
        heappush(heap, (timed.when, self._count, timed))

    def cancel(self, timed: Timed) -> None:
        """Forget ``timed``. What was done or cancelled already is no error."""
        if not timed.live:
            return
        timed.live = False
        self._dead += 1
        if self._dead > _FEW and self._dead > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapify(self._heap)
            self._dead = 0

    def run(self, now: int) -> int | None:
        """Do what is due at ``now`` in the order of its times; return when the next is, None for never."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timed = heappop(heap)[2]
            if timed.live:
                timed.live = False
                timed.due(now)
            else:
                self._dead -= 1
            heap = self._heap
        return heap[0][0] if heap else None

    def next(self) -> int | None:
        """When the next is due, in ms; None for never."""
        return self._heap[0][0] if self._heap else None
