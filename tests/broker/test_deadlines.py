"""What is to be done at a time: in order, a bounded number at once; what was cancelled is let go."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.deadlines import SLICE, Clock, Deadlines, Timed


class Alarm(Timed):
    """Writes into ``rung`` which it is, and when that was."""

    def __init__(self, rung: list[tuple[str, int]], name: str, load: bytes = b"") -> None:
        super().__init__()
        self.rung = rung
        self.name = name
        self.load = load

    def due(self, now: int) -> None:
        self.rung.append((self.name, now))


class World:
    def __init__(self) -> None:
        self.clock = Clock(1_000_000)
        self.deadlines = Deadlines(self.clock)
        self.rung: list[tuple[str, int]] = []

    def alarm(self, name: str = "a", load: bytes = b"") -> Alarm:
        return Alarm(self.rung, name, load)

    def pass_by(self, ms: int) -> list[str]:
        """Time goes on; the names of what was done."""
        self.clock.now += ms
        del self.rung[:]
        while (next := self.deadlines.run(self.clock.steady)) is not None and next <= self.clock.steady:
            pass
        return [name for name, _ in self.rung]

    def set_clock(self, by: int) -> None:
        """Somebody sets the clock on the wall."""
        self.clock.now += by
        self.clock.shift += by
        self.clock.known += by
        self.deadlines.follow(by)


@pytest.fixture
def world() -> World:
    return World()


def test_the_earliest_first_and_in_the_order_they_were_added(world: World) -> None:
    for name, delay in (("c", 30), ("a", 10), ("b", 20), ("a2", 10)):
        world.deadlines.after(delay, world.alarm(name))
    assert world.pass_by(9) == []
    assert world.pass_by(1) == ["a", "a2"]
    assert world.pass_by(20) == ["b", "c"]
    assert world.deadlines.next() is None


def test_what_is_cancelled_is_not_done_and_keeps_nothing_alive(world: World) -> None:
    load = b"x" * 1000
    before = sys.getrefcount(load)
    alarms = [world.alarm(str(number), load) for number in range(10)]
    for alarm in alarms:
        world.deadlines.after(10, alarm)
    assert sys.getrefcount(load) > before
    for alarm in alarms:
        world.deadlines.cancel(alarm)
        world.deadlines.cancel(alarm)
    del alarm, alarms
    assert sys.getrefcount(load) == before
    assert len(world.deadlines) == 0
    assert world.deadlines.next() is None
    assert world.pass_by(10) == []


def test_the_heap_has_not_more_places_than_twice_what_is_to_come(world: World) -> None:
    for _ in range(10):
        world.deadlines.after(86_400_000, world.alarm())
    for _ in range(10_000):
        alarm = world.alarm()
        world.deadlines.after(86_400_000, alarm)
        world.deadlines.cancel(alarm)
        assert world.deadlines.places <= 2 * 11 + 64
    assert len(world.deadlines) == 10


def test_one_that_is_added_again_has_one_time(world: World) -> None:
    alarm = world.alarm()
    for delay in (10, 50, 30):
        world.deadlines.after(delay, alarm)
    assert len(world.deadlines) == 1
    assert world.pass_by(29) == []
    assert world.pass_by(1) == ["a"]
    assert world.pass_by(100) == []


def test_not_more_than_a_slice_at_once(world: World) -> None:
    for number in range(2 * SLICE + 1):
        world.deadlines.after(10, world.alarm(str(number)))
    world.clock.now += 10
    for done in (SLICE, 2 * SLICE):
        assert world.deadlines.run(world.clock.steady) == world.clock.steady
        assert len(world.rung) == done
    assert world.deadlines.run(world.clock.steady) is None
    assert len(world.rung) == 2 * SLICE + 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=60))
def test_like_a_list_that_is_sorted(steps: list[tuple[int, int]]) -> None:
    world = World()
    expected: list[tuple[int, int, Alarm]] = []
    for at, (kind, number) in enumerate(steps):
        if kind <= 1:
            alarm = world.alarm(str(at))
            world.deadlines.after(number, alarm)
            expected.append((world.clock.steady + number, at, alarm))
        elif kind == 2 and expected:
            world.deadlines.cancel(expected.pop(number % len(expected))[2])
        else:
            done = world.pass_by(number)
            due = sorted(each for each in expected if each[0] <= world.clock.steady)
            assert done == [each[2].name for each in due]
            expected = [each for each in expected if each not in due]
    assert len(world.deadlines) == len(expected)


@pytest.mark.parametrize("by", [-3_600_000, 3_600_000, 56 * 365 * 86_400_000])
def test_the_clock_on_the_wall_is_set(world: World, by: int) -> None:
    wall = world.clock.now
    world.deadlines.after(1000, world.alarm("span"))
    world.deadlines.at(wall + 1000, world.alarm("date"))
    world.set_clock(by)
    world.deadlines.at(world.clock.now + 2000, world.alarm("later date"))
    if by > 0:
        assert world.pass_by(0) == ["date"]
        assert world.pass_by(1000) == ["span"]
        assert world.pass_by(1000) == ["later date"]
    else:
        assert world.pass_by(1000) == ["span"]
        assert world.pass_by(1000) == ["later date"]
        assert world.pass_by(-by - 1001) == []
        assert world.pass_by(1) == ["date"]
    assert world.deadlines.next() is None
