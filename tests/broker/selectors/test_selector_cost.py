"""What a selector may take is known before the first message, and bounded."""

from __future__ import annotations

import pytest

from stompserver.broker.message import Message
from stompserver.broker.selectors.like import SEARCHED, Pattern
from stompserver.broker.selectors.selector import check_cost, compile_selector
from stompserver.errors import Refused


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("", 0),
        ("1 = 1", 0),
        ("a = 1", 2),
        ("a = 1 AND b = 'x' OR NOT c", 6),
        ("a IN ('1', '2', '3', '4')", 2),
        ("a + b * 2 > c - 1", 9),
        ("a LIKE 'x%' OR a LIKE '%x' OR a LIKE 'x%y'", 9),
        ("a LIKE '%x%'", 20),
        ("a LIKE '%smith%jones%'", 2 + 1 + 2 * (15 + 2 * 5)),
        ("a LIKE '%s_ith%'", 28),
    ],
)
def test_the_cost(text: str, cost: int) -> None:
    assert compile_selector(text).cost == cost


def test_chains_cost_as_much_as_they_are_long() -> None:
    assert compile_selector(" OR ".join(["a=1"] * 7000)).cost == 14_000
    assert compile_selector("a" + "+a" * 7000 + "=1").cost == 2 + 3 * 7000


def test_one_may_cost_a_tenth() -> None:
    check_cost(compile_selector(" OR ".join(["a=1"] * 2500)), 50_000)
    with pytest.raises(Refused) as caught:
        check_cost(compile_selector(" OR ".join(["a=1"] * 2501)), 50_000)
    assert "too costly" in caught.value.summary
    assert "5002" in caught.value.where and "max-selector-cost" in caught.value.rule


def test_nothing_is_looked_for_in_a_long_value() -> None:
    for length, longer in ((SEARCHED, False), (SEARCHED + 1, True)):
        message = Message("/queue/a", {"a": "x" * (length - 1) + "y"}, b"", 0)
        for text in ("a LIKE '%x%'", "a LIKE '%_x%y'", "a NOT LIKE '%z%'"):
            assert compile_selector(text).matches(message) is not longer
        for text in ("a LIKE 'x%'", "a LIKE '%y'", "a LIKE 'x%y'", "a NOT LIKE 'y%'"):
            assert compile_selector(text).matches(message)
    assert not Pattern("x%y").middle
