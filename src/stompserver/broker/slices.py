"""Long work, done in slices between other work."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from stompserver.broker.deadlines import Deadlines, Timed
from stompserver.errors import Refused

BUDGET: Final = 500
"""Things in one slice: rows, messages, queues."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Sliced(metaclass=ABCMeta):
    """Work that has to do with many things."""

    __slots__ = ()

    @abstractmethod
    def slice(self, budget: int) -> bool:
        """Do a part of it: look at no more than ``budget`` things. Whether there is more to do now; false when it is
        over, or waits for something and enters itself again.
        """

    def finish(self) -> None:
        """The server ends: do now what must not be left undone."""
        return


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiting(metaclass=ABCMeta):
    """Who waits for something that is done in slices."""

    __slots__ = ()

    @abstractmethod
    def gone(self) -> bool:
        """Whether nobody waits for it any more; it is not asked again then, and hears of nothing."""

    @abstractmethod
    def refused(self, error: Refused) -> None:
        """It cannot be done, and nothing of it was, or is left."""

    def dropped(self) -> None:
        """The server ends, and nothing of it is done: nobody is to wait for it."""
        return


class Slices(Timed):
    """What is under way: one slice a ms, of each work in turn, so that a turn of the loop is short however much there
    is.
    """

    __slots__ = ("_deadlines", "_works")

    def __init__(self, deadlines: Deadlines) -> None:
        super().__init__()
        self._deadlines = deadlines
        self._works: deque[Sliced] = deque()

    def add(self, work: Sliced) -> None:
        """Do ``work``, from the next ms on."""
        self._works.append(work)
        self._wake()

    def finish(self) -> None:
        """The server ends: do now what must not be left undone, and nothing more."""
        works = self._works
        self._works = deque()
        self._deadlines.cancel(self)
        for work in works:
            work.finish()

    def due(self, now: int) -> None:
        """Do one slice."""
        work = self._works.popleft()
        # First, so that the others go on whatever comes of this one.
        self._wake()
        if work.slice(BUDGET):
            self.add(work)

    def _wake(self) -> None:
        if self._works and not self.live:
            self._deadlines.after(1, self)
