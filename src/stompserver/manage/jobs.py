"""Work on many things, done in slices between other work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from stompserver.broker.slices import BUDGET, Sliced

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


class Job(Sliced):
    """Something that is asked for at once and done in slices.

    Either ``start`` it, and the broker does a slice of it now and then; or call ``step`` until it returns false. A
    job that reads from the store goes on by itself when a page comes, so it has to be started.
    ``over`` is true when it is done; ``problem`` is then what ended it before its time, or "".
    """

    __slots__ = ("_then", "broker", "over", "problem")

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.over = False
        self.problem: str = ""
        self._then: Callable[[], None] | None = None

    @abstractmethod
    def step(self, budget: int) -> bool:
        """Do a slice: look at no more than ``budget`` things. Returns whether there is more to do now; false when it
        is over, or waits for the store.
        """

    def start(self, then: Callable[[], None] | None = None) -> None:
        """Do the first slice now and the others later; ``then`` is called when it is over, which may be at once."""
        self._then = then
        self.go_on()

    def go_on(self) -> None:
        """Do a slice, and have the next one done."""
        if self.step(BUDGET):
            self.later()

    def later(self) -> None:
        """Have the next slice done."""
        self.broker.slices.add(self)

    def slice(self, budget: int) -> bool:
        """Do a slice, if it goes on."""
        return not self.over and self.step(budget)

    def stop(self) -> None:
        """Do no more of it, and tell nobody: who asked is gone. What is done stays done."""
        self.over = True
        self._then = None

    def end(self, problem: str = "") -> None:
        """Be over, and tell who waits for that."""
        if self.over:
            return
        self.over = True
        self.problem = problem
        then = self._then
        self._then = None
        if then is not None:
            then()
