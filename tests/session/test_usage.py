"""What a login may send in a second, against what a clerk would count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.session.usage import BURST, Rate, Usage

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60)


@given(st.floats(0.5, 1000), STEPS)
def test_who_waits_as_told_keeps_the_rate(each: float, steps: list[tuple[float, int]]) -> None:
    """Whatever is sent, and whenever: never more than the rate, one second's share ahead, and the last thing sent."""
    now = start = 100.0
    rate = Rate(each, now)
    total, largest = 0, 0
    for pause, amount in steps:
        now += pause
        before = total
        assert before <= each * (now - start + BURST) + largest + 1e-6
        now += rate.use(amount, now)
        total += amount
        largest = max(largest, amount)


@given(st.floats(0.5, 1000), st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_nobody_waits_longer_than_it_takes(each: float, amounts: list[int]) -> None:
    now = 100.0
    rate = Rate(each, now)
    for amount in amounts:
        now += rate.use(amount, now)
    assert now - 100.0 <= sum(amounts) / each + 1e-6


@given(STEPS)
def test_without_a_rate_nobody_waits(steps: list[tuple[float, int]]) -> None:
    rate = Rate(0.0, 0.0)
    assert all(rate.use(amount, 0.0) == 0 for _, amount in steps)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rate = Rate(10.0, 100.0)
    assert rate.use(20, 100.0) == 1.0
    assert rate.use(0, 50.0) == 1.0


def test_the_longer_of_two_waits_counts() -> None:
    usage = Usage("alice", 0.0)
    usage.limit(0, 0, 10.0, 100.0)
    assert usage.use(20, 100, 0.0) == pytest.approx(1.0)
    assert usage.use(0, 400, 0.0) == pytest.approx(4.0)
    assert usage.rated
