"""Many calls that are due at the same moment are made in several turns."""

from __future__ import annotations

from typing import Any

from stompserver.server.spread import SHARE, Spread


def test_calls_are_made_in_their_order_and_in_time_at_once(hand_loop: Any) -> None:
    spread = Spread(hand_loop)
    made: list[int] = []
    for number in range(1000):
        spread.call(made.append, number)
    assert made == []
    hand_loop.turn()
    assert made == list(range(1000))


def test_what_takes_long_is_for_another_turn(hand_loop: Any) -> None:
    spread = Spread(hand_loop)
    made: list[int] = []

    def slow(number: int) -> None:
        hand_loop.now += SHARE / 4 + 1e-6
        made.append(number)
        if number == 9:
            spread.call(slow, 10)

    for number in range(10):
        spread.call(slow, number)
    for expected in (4, 8, 11, 11):
        hand_loop.turn()
        assert len(made) == expected
    assert made == list(range(11))
    spread.call(slow, 11)
    hand_loop.turn()
    assert made[-1] == 11


def test_one_that_takes_longer_than_a_share_is_made_nevertheless(hand_loop: Any) -> None:
    spread = Spread(hand_loop)
    made: list[int] = []
    hand_loop.pace = SHARE * 2
    for number in range(3):
        spread.call(made.append, number)
    for expected in (1, 2, 3):
        hand_loop.turn()
        assert len(made) == expected


def test_a_fault_keeps_no_other_waiting(hand_loop: Any) -> None:
    problems: list[dict[str, Any]] = []
    hand_loop.set_exception_handler(lambda _, context: problems.append(context))
    spread = Spread(hand_loop)
    made: list[int] = []

    def fails() -> None:
        raise ValueError("as it should")

    spread.call(fails)
    spread.call(made.append, 1)
    hand_loop.turn()
    assert made == [1]
    assert [str(each["exception"]) for each in problems] == ["as it should"]
