"""A queue is emptied while it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.message import Message
from stompserver.broker.names.policy import Policies, Policy
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.manage import queues

Q = "/queue/q"


def urgent(world: Any, *bodies: bytes) -> None:
    for body in bodies:
        message = Message(Q, {}, body, 1000)
        message.priority = 9
        world.broker.send(message)


def test_all_goes_and_memory_comes_back(world: Any) -> None:
    world.send(Q, *[b"x"] * 2000)
    urgent(world, *[b"u"] * 30)
    world.settle()
    job = queues.purge(world.broker, Q)
    job.start()
    world.settle()
    assert (job.over, job.removed, job.problem) == (True, 2030, "")
    queue = world.broker.queues[Q]
    assert (queue.waiting, queue.total, queue.bytes, world.broker.memory.used) == (0, 0, 0, 0)
    assert (len(queue.ready), len(queue.returned)) == (0, 0)
    assert not world.stored.get(Q)


def test_what_comes_later_and_what_is_delivered_stays(world: Any, new_client: Any) -> None:
    world.broker.adjust(Rules(policies=Policies([], Policy().changed({"priorities": True}))))
    client = new_client()
    world.subscribe(client, Q, INDIVIDUAL, 2)
    world.send(Q, *[b"%d" % n for n in range(2000)])
    world.settle()
    job = queues.purge(world.broker, Q)
    job.start()
    # More urgent than all that is purged, and as urgent.
    urgent(world, *[b"u"] * 30)
    world.send(Q, *[b"new"] * 30)
    world.settle()
    assert job.removed == 1998
    for name in list(client.deliveries):
        world.broker.nack([client.deliveries.pop(name)], True)
    world.broker.drop(client)
    assert world.take(Q) == [b"u"] * 30 + [b"0", b"1"] + [b"new"] * 30


@pytest.mark.parametrize("turns", [0, 1, 2, 7])
@pytest.mark.parametrize("first", [True, False])
def test_nothing_is_both_delivered_and_removed(world: Any, new_client: Any, turns: int, first: bool) -> None:
    """Somebody reads the queue as fast as it is purged; with a store, too, whose window is read at the same time."""
    world.send(Q, *[b"%d" % n for n in range(500)])
    world.settle()
    client = new_client()
    if not first:
        world.subscribe(client, Q, INDIVIDUAL, 3)
    for _ in range(turns):
        world.turn()
    job = queues.purge(world.broker, Q)
    job.start()
    if first:
        world.subscribe(client, Q, INDIVIDUAL, 3)
    for _ in range(10_000):
        more = world.turn()
        for name in list(client.deliveries):
            world.broker.ack(client.deliveries.pop(name))
        if not more and not world.turn():
            break
    bodies = client.bodies()
    assert len(bodies) == len(set(bodies))
    queue = world.broker.queues[Q]
    assert (queue.waiting, queue.paged, queue.unacked, queue.total) == (0, 0, 0, 0)
    assert queue.dequeued == 500
    assert job.removed + len(bodies) == 500
    assert not world.stored.get(Q)


def test_messages_of_groups_that_wait_for_their_consumer(world: Any, new_client: Any) -> None:
    client = new_client()
    world.subscribe(client, Q, INDIVIDUAL, 1)
    for n in range(9):
        message = Message(Q, {}, b"%d" % n, 1000)
        message.group = "g"
        world.broker.send(message)
    job = queues.purge(world.broker, Q)
    job.start()
    world.settle()
    assert job.removed == 8
    world.broker.ack(client.deliveries.popitem()[1])
    world.settle()
    assert client.bodies() == [b"0"]
    assert world.broker.memory.used == 0


def test_a_slice_has_an_end(new_world: Any) -> None:
    world = new_world()
    world.send(Q, *[b""] * (10 * BUDGET))
    job = queues.purge(world.broker, Q)
    slices = 0
    while not job.over:
        before = job.removed
        more = job.step(100)
        assert job.removed - before <= 100
        assert more is not job.over
        slices += 1
    assert job.removed == 10 * BUDGET
    assert slices >= 10 * BUDGET // 100


def test_started_it_goes_on_between_other_work(new_world: Any) -> None:
    world = new_world()
    world.send(Q, *[b""] * (3 * BUDGET))
    told: list[int] = []
    job = queues.purge(world.broker, Q)
    job.start(lambda: told.append(job.removed))
    assert job.removed == BUDGET
    # One slice at a time, however late it is.
    world.broker.tick(world.broker.now + 1000)
    assert (job.removed, told) == (2 * BUDGET, [])
    world.settle()
    assert told == [3 * BUDGET]


def test_stopped_it_leaves_the_rest(world: Any) -> None:
    world.send(Q, *[b"%d" % n for n in range(3 * BUDGET)])
    world.settle()
    job = queues.purge(world.broker, Q)
    job.start()
    job.stop()
    world.settle()
    left = world.take(Q)
    assert left
    assert left == [b"%d" % n for n in range(3 * BUDGET - len(left), 3 * BUDGET)]


def test_a_queue_deleted_meanwhile(world: Any) -> None:
    world.send(Q, *[b""] * (3 * BUDGET))
    world.settle()
    job = queues.purge(world.broker, Q)
    job.start()
    deleting = queues.delete(world.broker, Q)
    deleting.start()
    world.settle()
    assert deleting.over
    assert Q not in world.broker.queues
    world.send(Q, b"new")
    world.settle()
    assert job.over
    assert world.take(Q) == [b"new"]
