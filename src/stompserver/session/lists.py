"""Whose list of the management is made now, and whose has to wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stompserver.broker.slices import Sliced

if TYPE_CHECKING:
    from stompserver.broker.memory import Memory
    from stompserver.broker.slices import Slices

AT_ONCE: Final = 2
"""Lists that are made at the same time: a short one does not wait for a long one, and there is one processor."""

ENTRY: Final = 1000
"""Bytes that one takes which waits, beside what its client wrote."""


class Lists(Sliced):
    """Lists are made a few at a time, in the order in which they were asked for. A connection has one here at most,
    so the order is fair; what waits is a note of what is to be done, and counts as memory.
    """

    __slots__ = ("_running", "_under_way", "_waiting")

    def __init__(self) -> None:
        self._running: int = 0
        self._under_way = False
        """Whether the next one begins soon."""
        self._waiting: deque[tuple[Callable[[], None], Memory, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, begin: Callable[[], None], memory: Memory, size: int) -> None:
        """Call ``begin`` now or in its turn; ``size`` bytes of its client's words are kept for it until then. Whoever
        begins calls ``done``, which may be at once.
        """
        if self._running < AT_ONCE and not self._waiting:
            self._running += 1
            begin()
            return
        size += ENTRY
        memory.used += size
        self._waiting.append((begin, memory, size))

    def done(self, slices: Slices) -> None:
        """One list is made, or refused: the next may begin, in one of ``slices``."""
        self._running -= 1
        if self._waiting and not self._under_way:
            self._under_way = True
            slices.add(self)

    def slice(self, budget: int) -> bool:
        """Begin with one."""
        if self._waiting and self._running < AT_ONCE:
            begin, memory, size = self._waiting.popleft()
            memory.used -= size
            self._running += 1
            begin()
        self._under_way = len(self._waiting) > 0 and self._running < AT_ONCE
        return self._under_way
