"""Transactions of the log: which ops are durable together."""

from __future__ import annotations

import pytest

from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog


def put(log: OpLog, key: int) -> Message:
    message = Message("/queue/q", {}, b"", 100)
    message.key = key
    log.put("/queue/q", message)
    return message


def groups(log: OpLog) -> list[int]:
    return [op.group for op in log.drain()[1]]


def test_a_transaction_inside_another_is_part_of_it() -> None:
    log = OpLog(recording=True)
    put(log, 1)
    with log.transaction():
        put(log, 2)
        with log.transaction():
            put(log, 3)
        put(log, 4)
    put(log, 5)
    first, second, third, fourth, fifth = groups(log)
    assert first == fifth == 0
    assert second == third == fourth > 0


def test_transactions_after_each_other_are_two() -> None:
    log = OpLog(recording=True)
    for key in 1, 2:
        with log.transaction():
            put(log, key)
    first, second = groups(log)
    assert 0 < first < second


def test_an_error_ends_the_transaction_that_it_leaves() -> None:
    log = OpLog(recording=True)

    def fail() -> None:
        with log.transaction():
            put(log, 1)
            with log.transaction():
                put(log, 2)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    put(log, 3)
    first, second, after = groups(log)
    assert first == second > 0
    assert after == 0


def test_an_error_that_is_caught_outside_an_inner_one_leaves_the_outer_open() -> None:
    log = OpLog(recording=True)
    with log.transaction():
        put(log, 1)
        try:
            with log.transaction():
                raise ZeroDivisionError
        except ZeroDivisionError:
            put(log, 2)
    first, second = groups(log)
    assert first == second > 0


def test_what_returns_out_of_a_transaction_ends_it() -> None:
    log = OpLog(recording=True)

    def leave() -> None:
        with log.transaction():
            put(log, 1)
            return

    leave()
    put(log, 2)
    first, after = groups(log)
    assert first > 0
    assert after == 0


# A message that moves


def move(log: OpLog, message: Message, key: int) -> Message:
    with log.transaction():
        log.remove("/queue/q", message)
        return put(log, key)


def test_a_message_that_moved_is_not_durable_before_it_is_where_it_went() -> None:
    log = OpLog(recording=True)
    moving = put(log, 1)
    for key in 2, 3, 4:
        put(log, key)
    move(log, moving, 5)
    # A store that takes three at a time: nothing of them has the first message.
    position, ops = log.drain(3)
    assert ([op.key for op in ops], position) == ([2, 3, 4], 0)
    position, ops = log.drain(3)
    assert ([op.key for op in ops], position) == ([5], log.position)


def test_so_it_is_when_it_moved_twice() -> None:
    log = OpLog(recording=True)
    put(log, 1)
    moving = put(log, 2)
    for key in 3, 4:
        put(log, key)
    move(log, move(log, moving, 5), 6)
    position, ops = log.drain(3)
    assert ([op.key for op in ops], position) == ([1, 3, 4], 1)
    position, ops = log.drain(3)
    assert ([op.key for op in ops], position) == ([6], log.position)


def test_what_was_consumed_meanwhile_waits_for_nothing() -> None:
    log = OpLog(recording=True)
    moving = put(log, 1)
    for key in 2, 3, 4:
        put(log, key)
    log.remove("/queue/q", move(log, moving, 5))
    put(log, 6)
    position, ops = log.drain(3)
    assert ([op.key for op in ops], position) == ([2, 3, 4], log.position - 1)


def test_what_is_logged_while_a_transaction_goes_on_is_part_of_it() -> None:
    log = OpLog(recording=True)
    before = put(log, 1)
    put(log, 2)
    log.hold()
    assert log.held
    # Both are gone, so that neither is written; but that the first came is not durable without the transaction.
    log.remove("/queue/q", before)
    log.remove("/queue/q", put(log, 3))
    position, ops = log.drain()
    assert (position, [op.key for op in ops]) == (0, [2])
    put(log, 4)
    assert log.drain() == (0, [])
    assert [op.key for op in log.undrained()] == [4]
    with log.transaction():
        put(log, 5)
    log.release()
    assert not log.held
    put(log, 6)
    position, ops = log.drain(1)
    # Never cut, and what came after it is none of it.
    assert ([op.key for op in ops], position) == ([4, 5], 7)
    assert ops[0].group == ops[1].group > 0
    assert [op.group for op in log.drain()[1]] == [0]


def test_what_was_before_a_transaction_that_goes_on_is_drained_in_parts() -> None:
    log = OpLog(recording=True)
    for key in 1, 2, 3:
        put(log, key)
    log.hold()
    put(log, 4)
    assert [(position, len(ops)) for position, ops in (log.drain(2), log.drain(2), log.drain(2))] == [
        (2, 2),
        (3, 1),
        (3, 0),
    ]
    log.release()
    assert [op.key for op in log.drain()[1]] == [4]
