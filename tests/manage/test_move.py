"""Messages that are moved from one queue to another."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.slices import BUDGET
from stompserver.errors import ClientError
from stompserver.manage import queues

A, B = "/queue/a", "/queue/b"


def move(world: Any, *args: Any, **words: Any) -> Any:
    job = queues.move(world.broker, A, B, *args, **words)
    job.start()
    world.settle()
    assert job.over
    return job


def test_all_in_their_order_behind_what_waits(world: Any, new_client: Any) -> None:
    world.send(B, b"first")
    world.send(A, *[b"%d" % n for n in range(1200)])
    world.settle()
    assert move(world).moved == 1200
    assert world.counts() == {B: 1201}
    client = new_client()
    world.subscribe(client, B)
    world.settle()
    assert client.bodies() == [b"first", *[b"%d" % n for n in range(1200)]]
    assert {message.destination for message in client.got} == {B}
    assert len({message.number for message in client.got}) == 1201
    assert world.broker.memory.used == 0


def test_those_that_match_and_not_more_than_asked_for(world: Any) -> None:
    for n in range(30):
        world.send(A, b"%d" % n, colour="red" if n % 2 else "blue")
    world.settle()
    assert move(world, "colour = 'red'", most=4).moved == 4
    assert world.take(B) == [b"1", b"3", b"5", b"7"]
    assert move(world, "colour = 'red'").moved == 11
    assert world.counts() == {A: 15, B: 11}


def test_one_by_its_number(world: Any) -> None:
    world.send(A, *[b"%d" % n for n in range(30)])
    world.settle()
    assert move(world, only=25).moved == 1
    assert move(world, only=25).moved == 0
    assert world.take(B) == [b"24"]


def test_to_and_fro(world: Any) -> None:
    """What is moved there and back is not moved again by those who began before."""
    world.send(A, *[b"%d" % n for n in range(700)])
    world.settle()
    there = queues.move(world.broker, A, B)
    back = queues.move(world.broker, B, A)
    there.start()
    back.start()
    world.settle()
    assert (there.moved, back.moved) == (700, 0)
    assert world.counts() == {B: 700}


def test_to_itself(world: Any) -> None:
    """All go behind what comes meanwhile, and none goes twice."""
    world.send(A, *[b"%d" % n for n in range(700)])
    world.settle()
    job = queues.move(world.broker, A, A)
    world.send(A, b"new")
    job.start()
    world.settle()
    assert job.moved == 700
    assert world.take(A) == [b"new", *[b"%d" % n for n in range(700)]]


def test_two_at_once_move_each_message_once(world: Any) -> None:
    world.send(A, *[b"%d" % n for n in range(700)])
    world.settle()
    first, second = queues.move(world.broker, A, B), queues.move(world.broker, A, "/queue/c")
    first.start()
    second.start()
    world.settle()
    assert first.moved + second.moved == 700
    found = world.take(B) + world.take("/queue/c")
    assert sorted(found) == sorted(b"%d" % n for n in range(700))
    assert world.broker.memory.used == 0
    assert not any(world.stored.values())


def test_what_expires_is_not_moved_and_lost_at_once(world: Any) -> None:
    for n in range(300):
        message = Message(A, {}, b"%d" % n, 1000)
        message.expires = world.broker.now + 70_000 if n % 2 else 0
        world.broker.send(message)
    world.settle_until(70_000)
    assert move(world).moved == 150
    assert world.take(B) == [b"%d" % n for n in range(0, 300, 2)]


def test_a_full_queue_ends_it(new_world: Any) -> None:
    limits = Policies([(Pattern(B), {"max_messages": 5, "overflow": "reject"})])
    world = new_world(policies=limits)
    world.send(A, *[b"%d" % n for n in range(9)])
    job = move(world)
    assert job.moved == 5
    assert "is full" in job.problem
    assert world.counts() == {A: 4, B: 5}


def test_a_full_storage_ends_it(world: Any) -> None:
    world.send(A, *[b""] * 20)
    world.settle()
    world.broker.room = 0
    job = move(world)
    assert job.moved == 0
    assert "storage is full" in job.problem
    assert world.counts() == {A: 20}


@pytest.mark.parametrize(
    ("source", "target", "selector", "said"),
    [
        ("/queue/none", B, "", "There is no queue /queue/none"),
        (A, "/topic/t", "", "There is no queue /topic/t"),
        (A, "/queue/*", "", "There is no queue /queue/*"),
        (A, "/dsub/x", "", "There is no queue /dsub/x"),
        (A, B, "a = ", "selector"),
    ],
)
def test_what_cannot_be_asked(new_world: Any, source: str, target: str, selector: str, said: str) -> None:
    world = new_world()
    world.send(A, b"")
    with pytest.raises(ClientError) as raised:
        queues.move(world.broker, source, target, selector)
    assert said in raised.value.explanation()
    assert world.counts() == {A: 1}


def test_a_slice_looks_at_no_more_than_its_budget(new_world: Any) -> None:
    world = new_world()
    for n in range(10 * BUDGET):
        world.send(A, b"", colour="red" if n % 100 == 0 else "blue")
    job = queues.move(world.broker, A, B, "colour = 'red'")
    slices = 0
    while job.step(100):
        assert job.moved <= slices + 1
        slices += 1
    assert job.moved == 10 * BUDGET // 100
    assert slices >= 10 * BUDGET // 100
