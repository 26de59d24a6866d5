"""A long transaction: how much of it one slice does."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker import transaction
from stompserver.broker.broker import SEND, Action, Broker, Rules
from stompserver.broker.commit import UNDER_WAY, Committer
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.durable import APOLLO, Key
from stompserver.broker.oplog import OpLog
from stompserver.broker.subscription import INDIVIDUAL, Subscription, Wish
from stompserver.errors import Refused

FEEDS = 30
SENDS = 1000


class Waiting(Committer):
    def __init__(self) -> None:
        self.left = False
        self.said: list[str] = []

    def gone(self) -> bool:
        return self.left

    def begun(self) -> None:
        self.said.append("begun")

    def applied(self, position: int) -> None:
        self.said.append("applied")

    def refused(self, error: Refused) -> None:
        self.said.append(str(error))

    def dropped(self) -> None:
        self.said.append("dropped")


@pytest.fixture
def broker(new_consumer: Any) -> Broker:
    made = Broker(Rules(), OpLog(recording=True))
    made.tick(1000)
    for number in range(FEEDS):
        subscription = Subscription(
            new_consumer(), Wish(str(number), "/topic/t", INDIVIDUAL, 1, durable=Key(APOLLO, str(number)))
        )
        made.subscribe(subscription)
    made.log.drain()
    return made


def sends(count: int = SENDS) -> list[Action]:
    return [Action(SEND, Message("/topic/t", {}, b"", OVERHEAD)) for _ in range(count)]


def test_a_slice_makes_a_bounded_number_of_copies(broker: Broker) -> None:
    waiting = Waiting()
    assert broker.apply(sends(), committer=waiting) == UNDER_WAY
    assert broker.enqueued == 0
    most = 0
    for now in range(1001, 10_000):
        before = broker.log.position
        broker.tick(now)
        most = max(most, broker.log.position - before)
        if waiting.said == ["begun", "applied"]:
            break
    assert broker.enqueued == SENDS
    assert FEEDS <= most <= transaction.COPIES
    assert len(broker.log.drain()[1]) == SENDS * FEEDS


def test_a_short_one_is_done_at_once(broker: Broker) -> None:
    waiting = Waiting()
    assert broker.apply(sends(10), committer=waiting) > 0
    assert (broker.enqueued, waiting.said) == (10, [])


def test_one_after_the_other(broker: Broker) -> None:
    first, second = Waiting(), Waiting()
    broker.apply(sends(), committer=first)
    broker.apply(sends(), committer=second)
    for now in range(1001, 10_000):
        broker.tick(now)
        assert [first.said, second.said] != [["begun"], ["begun"]]
        if first.said[1:] == second.said[1:] == ["applied"]:
            break
    assert broker.enqueued == 2 * SENDS
    assert len({op.group for op in broker.log.drain()[1]}) == 2


def test_nothing_of_what_nobody_waits_for(broker: Broker) -> None:
    waiting = Waiting()
    broker.apply(sends(), committer=waiting)
    waiting.left = True
    for now in range(1001, 2000):
        broker.tick(now)
    assert (broker.enqueued, waiting.said) == (0, [])
    assert broker.log.drain()[1] == []


def test_what_is_too_much_is_refused_with_nothing_done(broker: Broker) -> None:
    waiting = Waiting()
    broker.apply(sends(), committer=waiting)
    broker.room = 1000
    for now in range(1001, 2000):
        broker.tick(now)
    assert waiting.said == ["The storage is full (header destination)"]
    assert broker.enqueued == 0
    assert not broker.log.held


def test_what_was_found_to_fit_is_done_though_there_is_no_room_any_more(broker: Broker) -> None:
    waiting = Waiting()
    broker.apply(
        [Action(SEND, Message(f"/queue/{n}", {}, b"", OVERHEAD)) for n in range(2000)], committer=waiting
    )
    now = 1000
    while not waiting.said:
        now += 1
        broker.tick(now)
    broker.room = 0
    broker.rules.max_queues = 10
    for later in range(now + 1, now + 1000):
        broker.tick(later)
    assert waiting.said == ["begun", "applied"]
    assert broker.enqueued == len(broker.queues) - FEEDS == 2000


def test_what_is_forbidden_meanwhile_does_not_stop_the_rest(broker: Broker) -> None:
    waiting = Waiting()
    actions = sends(2000)
    broker.apply(actions, committer=waiting)
    now = 1000
    while not waiting.said:
        now += 1
        broker.tick(now)
    message = actions[-2].message
    assert message is not None
    message.address("/topic/*")
    for later in range(now + 1, now + 1000):
        broker.tick(later)
    _, error = waiting.said
    assert "/topic/*" in error
    assert broker.enqueued == 1999
    assert not broker.log.held


def test_the_end_of_the_server_finishes_what_is_half_done(broker: Broker) -> None:
    half, none = Waiting(), Waiting()
    broker.apply(sends(), committer=half)
    broker.apply(sends(), committer=none)
    now = 1000
    while not half.said:
        now += 1
        broker.tick(now)
    broker.slices.finish()
    assert (half.said, none.said) == (["begun", "applied"], ["dropped"])
    assert broker.enqueued == SENDS
    assert not broker.log.held
