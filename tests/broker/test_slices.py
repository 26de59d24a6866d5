"""Long work is done in slices, of each in turn."""

from __future__ import annotations

import pytest

from stompserver.broker.deadlines import Clock, Deadlines
from stompserver.broker.slices import BUDGET, Sliced, Slices


class Work(Sliced):
    """So many slices of work, noted in ``log``."""

    def __init__(self, name: str, slices: int, log: list[str]) -> None:
        self.name = name
        self.left = slices
        self.log = log

    def slice(self, budget: int) -> bool:
        assert budget == BUDGET
        if self.left == 0:
            raise RuntimeError(self.name)
        self.log.append(self.name)
        self.left -= 1
        return self.left > 0


def test_each_in_turn_and_one_slice_a_ms() -> None:
    clock = Clock(1000)
    deadlines = Deadlines(clock)
    slices = Slices(deadlines)
    log: list[str] = []
    slices.add(Work("a", 3, log))
    slices.add(Work("b", 1, log))
    slices.add(Work("c", 2, log))
    assert not log
    for now in range(1001, 1004):
        clock.now = now
        assert deadlines.run(now) == now + 1
    assert log == ["a", "b", "c"]
    for now in range(1004, 1010):
        clock.now = now
        deadlines.run(now)
    assert log == ["a", "b", "c", "a", "c", "a"]
    assert deadlines.next() is None


def test_one_that_fails_does_not_stop_the_others() -> None:
    clock = Clock(1000)
    deadlines = Deadlines(clock)
    slices = Slices(deadlines)
    log: list[str] = []
    slices.add(Work("bad", 0, log))
    slices.add(Work("good", 1, log))
    with pytest.raises(RuntimeError):
        deadlines.run(1001)
    deadlines.run(1002)
    assert log == ["good"]
