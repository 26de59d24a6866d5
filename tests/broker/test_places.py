"""Times of which many are cancelled: in order, and never looked through in one step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.places import STEPS
from stompserver.broker.schedule.plan import Plan

COUNT = 5000


class Alarm(Timed):
    """Notes in ``rung`` which it is."""

    def __init__(self, rung: list[tuple[int, int]], place: tuple[int, int]) -> None:
        super().__init__()
        self.rung = rung
        self.place = place

    def due(self, now: int) -> None:
        self.rung.append(self.place)


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), min_size=50, max_size=400), st.data())
def test_those_that_are_not_cancelled_come_in_order(
    times: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Also while they are looked through, and others are added."""
    clock = Clock(1000)
    deadlines = Deadlines(clock)
    rung: list[tuple[int, int]] = []
    alarms: dict[tuple[int, int], Alarm] = {}
    for at, (delay, stays) in enumerate(times):
        place = (clock.now + delay, at)
        alarms[place] = Alarm(rung, place)
        deadlines.after(delay, alarms[place])
        if not stays:
            cancelled = data.draw(st.sampled_from(sorted(alarms)))
            deadlines.cancel(alarms.pop(cancelled))
        assert deadlines.next() == min(alarms, default=(None, 0))[0]
    clock.now += 500
    while deadlines.run(clock.steady) is not None:
        pass
    assert rung == sorted(alarms)


def test_timers_that_are_cancelled() -> None:
    deadlines = Deadlines(Clock(1000))
    alarms = [Alarm([], (0, 0)) for _ in range(COUNT)]
    for number, alarm in enumerate(alarms):
        deadlines.after(1000 + number * 7919 % COUNT, alarm)
    for left in range(COUNT, 0, -1):
        before = deadlines.places
        deadlines.cancel(alarms.pop())
        assert before - STEPS <= deadlines.places <= 2 * left + left // 2 + 64
    assert deadlines.next() is None


def test_scheduled_messages_that_are_cancelled() -> None:
    broker = Broker(Rules(), OpLog())
    broker.tick(1000)
    schedule = broker.schedule
    for number in range(COUNT):
        message = Message("/queue/a", {}, b"x", OVERHEAD)
        schedule.add(message, Plan(delay=100_000 + number * 7919 % COUNT))
    for job in list(schedule.entries):
        before = schedule._far.count()
        left = len(schedule.entries)
        assert schedule.cancel(job) == 1
        assert before - STEPS <= schedule._far.count() <= 2 * left + left // 2 + 1002
    assert broker.memory.schedule.used == 0
