"""Dead letters on their way back."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.message import Message
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.errors import Refused
from stompserver.manage import queues

DEAD = "/queue/deadletter"


def letters(world: Any, count: int, origin: str = "/queue/a") -> None:
    for number in range(count):
        headers = {"original-destination": origin, "dead-letter-reason": "rejected", "x": "1"}
        world.broker.send(Message(DEAD, headers, b"%d" % number, 1000))


def redrive(world: Any, only: int = 0, most: int = 0) -> tuple[int, int, str]:
    job = queues.redrive(world.broker, DEAD, only, most)
    job.start()
    world.settle()
    assert job.over
    return job.moved, job.left, job.problem


def test_all_go_back_in_order(world: Any, new_client: Any) -> None:
    letters(world, 1300)
    world.settle()
    assert redrive(world) == (1300, 0, "")
    assert world.counts() == {"/queue/a": 1300}
    client = new_client()
    world.subscribe(client, "/queue/a")
    world.settle()
    assert client.bodies() == [b"%d" % number for number in range(1300)]
    assert client.got[0].headers == {"x": "1"}
    assert world.broker.memory.used == 0


def test_only_some(world: Any) -> None:
    letters(world, 30)
    world.settle()
    assert redrive(world, most=3) == (3, 0, "")
    assert redrive(world, only=25) == (1, 0, "")
    assert redrive(world, only=25) == (0, 0, "")
    assert redrive(world, only=999) == (0, 0, "")
    assert world.take("/queue/a") == [b"0", b"1", b"2", b"24"]


def test_what_cannot_go_stays(world: Any) -> None:
    letters(world, 20, "/dsub/gone")
    letters(world, 20)
    world.send(DEAD, b"")
    world.settle()
    assert redrive(world) == (20, 21, "")
    assert world.counts() == {"/queue/a": 20, DEAD: 21}
    assert redrive(world) == (0, 21, "")


def test_no_room_ends_it(world: Any) -> None:
    letters(world, 20)
    world.settle()
    world.broker.room = 0
    moved, left, problem = redrive(world)
    assert (moved, left) == (0, 0)
    assert "storage is full" in problem
    assert world.counts() == {DEAD: 20}


def test_what_fails_again_meanwhile_is_not_sent_back_again(world: Any, new_client: Any) -> None:
    letters(world, 20)
    world.settle()
    client = new_client()
    world.subscribe(client, "/queue/a", INDIVIDUAL)
    job = queues.redrive(world.broker)
    job.start()
    for _ in range(100):
        while client.deliveries:
            world.broker.nack([client.deliveries.pop(next(iter(client.deliveries)))], False)
        if not world.turn():
            break
    assert (job.over, job.moved, job.left, job.problem) == (True, 20, 0, "")
    assert world.counts() == {DEAD: 20}


def test_where_each_queue_has_its_own_it_must_be_named(world: Any) -> None:
    world.broker.adjust(Rules(deadletter="/queue/dead.%"))
    with pytest.raises(Refused) as error:
        queues.redrive(world.broker)
    assert "/queue/dead.%" in error.value.explanation()
    letters(world, 3)
    world.settle()
    assert redrive(world) == (3, 0, "")
