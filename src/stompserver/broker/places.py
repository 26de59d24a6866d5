"""What is due when, the earliest first, where much of it is cancelled."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from heapq import heapify, heappop, heappush
from typing import Final

STEPS: Final = 8
"""How many places are looked at for each that is cancelled. More than two, so that an end comes."""

NEVER: Final = 1 << 62
"""Later than all times."""


class Places(metaclass=ABCMeta):
    """A heap of times, each with a number that says what is due then.

    What is cancelled stands there until it is looked at: its owner begins a ``look`` through all of them when too
    many are cancelled, and has some looked at for each that it cancels, so that no step is long however many there
    are. Those that are still to be looked at are a heap of their own: taking its last leaves it one.
    """

    __slots__ = ("_heap", "_old")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._old: list[tuple[int, int]] = []
        """Those that are still to be looked at."""

    @abstractmethod
    def stands(self, when: int, number: int) -> bool:
        """Whether what has that place is not cancelled."""

    def count(self) -> int:
        """How many places there are, those of what was cancelled among them."""
        return len(self._heap) + len(self._old)

    def push(self, when: int, number: int) -> None:
        """Have a place more."""
        heappush(self._heap, (when, number))

    def next(self) -> int:
        """The time of the first, NEVER when there is none."""
        when: int = self._heap[0][0] if self._heap else NEVER
        if self._old:
            old: int = self._old[0][0]
            if old < when:
                return old
        return when

    def pop(self) -> tuple[int, int]:
        """Take the first, of these the one with the lowest number. There must be one."""
        if self._old and (not self._heap or self._old[0] < self._heap[0]):
            return heappop(self._old)
        return heappop(self._heap)

    def settle(self) -> int:
        """Take out what is cancelled and stands before all others; the time of the first then, as ``next``."""
        while self._old and not self.stands(self._old[0][0], self._old[0][1]):
            heappop(self._old)
        while self._heap and not self.stands(self._heap[0][0], self._heap[0][1]):
            heappop(self._heap)
        return self.next()

    def fill(self, places: list[tuple[int, int]]) -> None:
        """Have these instead of all that there were."""
        self._heap = places
        heapify(places)
        self._old = []

    def look(self) -> None:
        """Look through all there are now, unless that is under way."""
        if not self._old:
            self._old = self._heap
            self._heap = []

    def sweep(self, most: int) -> int:
        """Look at up to ``most`` of those that are to be looked at; how many of them were cancelled."""
        old = self._old
        swept: int = 0
        while old and most > 0:
            most -= 1
            when, number = old.pop()
            if self.stands(when, number):
                heappush(self._heap, (when, number))
            else:
                swept += 1
        return swept
