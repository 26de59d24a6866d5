"""How long a message waits before it is delivered again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.names.policy import LONGEST, Policy


def policy(**options: int | float) -> Policy:
    return Policy().changed({"redelivery_" + name if name != "most" else "max_redelivery_delay": value
                             for name, value in options.items()})  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "waits"),
    [
        (policy(), [0, 0, 0]),
        (policy(delay=100), [100, 100, 100, 100]),
        (policy(delay=100, multiplier=2.0), [100, 200, 400, 800]),
        (policy(delay=100, multiplier=3.0, most=500), [100, 300, 500, 500]),
        (policy(delay=1000, most=500), [500, 500]),
        (policy(delay=1, multiplier=1.5), [1, 1, 2, 3, 5]),
        (policy(multiplier=2.0, most=500), [0, 0]),
    ],
)
def test_it_grows_up_to_the_bound(rules: Policy, waits: list[int]) -> None:
    assert [rules.redelivery(attempts, 7) for attempts in range(1, len(waits) + 1)] == waits


def test_it_stops_growing_where_the_policy_has_no_bound() -> None:
    assert policy(delay=1000, multiplier=10.0).redelivery(1_000_000, 1) == LONGEST


@given(st.integers(1, 10**6), st.floats(0, 1), st.integers(1, 1000), st.integers(0, 2**60))
def test_the_jitter_is_a_share_of_it(first: int, share: float, attempts: int, seed: int) -> None:
    rules = policy(delay=first, jitter=share)
    wait = rules.redelivery(attempts, seed)
    assert max(1, int(first * (1 - share)) - 1) <= wait <= first * (1 + share) + 1
    assert wait == rules.redelivery(attempts, seed)


def test_what_failed_together_does_not_come_back_together() -> None:
    waits = [policy(delay=10_000, jitter=0.5).redelivery(1, seed) for seed in range(1000)]
    assert len(set(waits)) > 500
    assert min(waits) < 6000
    assert max(waits) > 14_000
