"""Lists of queues, durable subscriptions and messages for later, and what is said of each."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.errors import Refused
from stompserver.manage import durables, fields, queues, scheduled
from stompserver.manage.fields import Field


def rows(job: Any) -> list[dict[str, Any]]:
    job.start()
    assert job.over
    found: list[dict[str, Any]] = job.rows
    return found


def names(job: Any) -> list[Any]:
    return [row["queue"] for row in rows(job)]


def test_what_is_told_of_a_queue(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    world.send("/queue/a", b"1", b"2", b"3", b"4")
    world.subscribe(client, "/queue/a", INDIVIDUAL, 2)
    first, second = list(client.deliveries)
    world.broker.ack(client.deliveries.pop(first))
    world.broker.nack([client.deliveries.pop(second)], True, 5000)
    queues.pause(world.broker, "/queue/a")
    assert queues.queue(world.broker, "/queue/a") == {
        "queue": "/queue/a",
        "messages": 1,
        "waiting": 0,
        "delayed": 1,
        "stored": 0,
        "unacked": 2,
        "bytes": 3000,
        "memory": 3000,
        "subscriptions": 1,
        "browsers": 0,
        "enqueued": 4,
        "dequeued": 1,
        "paused": True,
    }


def test_they_are_sorted_and_chosen(new_world: Any) -> None:
    world = new_world()
    for name, count in (("c", 3), ("a", 1), ("b", 2), ("x.y", 5)):
        world.send("/queue/" + name, *[b""] * count)
    broker = world.broker
    assert names(queues.Queues(broker)) == ["/queue/c", "/queue/a", "/queue/b", "/queue/x.y"]
    assert names(queues.Queues(broker, order="queue")) == ["/queue/a", "/queue/b", "/queue/c", "/queue/x.y"]
    most = queues.Queues(broker, order="messages", down=True, limit=2)
    assert names(most) == ["/queue/x.y", "/queue/c"]
    assert most.count == 4
    assert names(queues.Queues(broker, match=Pattern("/queue/x.>"))) == ["/queue/x.y"]
    assert names(queues.Queues(broker, without=("/queue/x", "/queue/b"))) == ["/queue/c", "/queue/a"]
    nothing = queues.Queues(broker, limit=0)
    assert (names(nothing), nothing.count) == ([], 4)
    with pytest.raises(KeyError):
        queues.Queues(broker, order="age")


def test_a_slice_asks_no_more_than_its_budget(new_world: Any) -> None:
    """Each value that is read of a queue is counted: to sort it, and for its row."""
    world = new_world()
    for n in range(3000):
        world.send(f"/queue/{n * 7919 % 3000:04}", b"")
    asked = 0

    def count(queue: Any) -> str:
        nonlocal asked
        asked += 1
        name: str = queue.name
        return name

    job = queues.Queues(world.broker, (Field("queue", "", "", count),), "queue")
    slices = 0
    while True:
        before = asked, len(job.rows)
        more = job.step(100)
        assert asked - before[0] == len(job.rows) - before[1] <= 100
        slices += 1
        if not more:
            break
    assert [row["queue"] for row in job.rows] == [f"/queue/{n:04}" for n in range(3000)]
    assert asked == 3000
    assert slices >= 2 * 3000 // 100


def test_what_comes_and_goes_meanwhile(new_world: Any) -> None:
    """No row twice, none of what is gone, none of what is new; and what came back is there once."""
    world = new_world()
    for n in range(300):
        world.send(f"/queue/{n:03}", b"")
    job = queues.Queues(world.broker, order="queue")
    job.step(100)
    for name in ("/queue/000", "/queue/150", "/queue/250"):
        queues.delete(world.broker, name).start()
    world.send("/queue/250", b"again")
    world.send("/queue/1500", b"new")
    while job.step(100):
        world.send(f"/queue/new.{len(job.rows)}", b"")
    found = [row["queue"] for row in job.rows]
    assert max(Counter(found).values()) == 1
    assert found == [f"/queue/{n:03}" for n in range(300) if n not in (0, 150)]
    assert job.count == 299


def test_queues_that_are_not_there(new_world: Any) -> None:
    broker = new_world().broker
    for ask in (queues.queue, queues.resume, queues.purge, queues.redrive, queues.delete):
        with pytest.raises(Refused, match="There is no queue /queue/none"):
            ask(broker, "/queue/none")
    with pytest.raises(Refused, match="There is no queue /topic/t"):
        queues.pause(broker, "/topic/t")


def test_delete(new_world: Any, new_client: Any) -> None:
    world = new_world()
    world.send("/queue/a", b"1", b"2")
    client = new_client()
    world.subscribe(client, "/queue/a", INDIVIDUAL, 1)
    with pytest.raises(Refused, match="in use"):
        queues.delete(world.broker, "/queue/a")
    world.broker.drop(client)
    job = queues.delete(world.broker, "/queue/a")
    job.start()
    assert (job.over, job.removed, job.problem) == (True, 2, "")
    assert world.broker.queues == {}


def test_delete_of_many_in_slices(new_world: Any) -> None:
    world = new_world()
    world.send("/queue/a", *[b""] * 1000)
    job = queues.delete(world.broker, "/queue/a")
    queue = world.broker.queues["/queue/a"]
    left = [queue.waiting]
    while job.step(100):
        left.append(queue.waiting)
    # No slice takes more than it may, and what comes meanwhile goes with the queue.
    assert max(before - after for before, after in pairwise(left)) == 100
    assert (job.over, job.removed, job.problem) == (True, 1000, "")
    assert world.broker.queues == {}
    assert world.broker.memory.used == 0


def test_who_subscribes_during_a_delete_keeps_the_queue(new_world: Any, new_client: Any) -> None:
    world = new_world()
    world.send("/queue/a", *[b""] * 1000)
    job = queues.delete(world.broker, "/queue/a")
    job.step(100)
    client = new_client()
    world.subscribe(client, "/queue/a")
    while job.step(100):
        pass
    assert "subscribed" in job.problem
    world.send("/queue/a", b"kept")
    assert client.bodies()[-1] == b"kept"


def test_messages_for_later(new_world: Any) -> None:
    world = new_world()
    broker = world.broker
    now = broker.now
    for n in range(1200):
        message = Message("/queue/later", {}, b"body", 1004)
        broker.schedule.add(message, Plan(delay=100_000 - n * 10, repeat=2 if n == 7 else 0, period=50))
    job = scheduled.Scheduled(broker, now + 99_000, now + 99_950)
    job.start()
    world.settle_until(10)
    assert job.count == 96
    assert [row["due"] for row in job.rows] == sorted(row["due"] for row in job.rows)
    assert job.rows[-3] == {
        "id": job.rows[-3]["id"],
        "destination": "/queue/later",
        "due": now + 99_930,
        "bytes": 4,
        "period": 50,
        "repeat": 2,
    }
    assert scheduled.cancel(broker, int(job.rows[0]["id"])) == 1
    with pytest.raises(Refused, match="Nothing is scheduled under 1234567"):
        scheduled.cancel(broker, 1234567)
    told: list[int] = []
    cancel = scheduled.Cancel(broker, now + 90_000)
    cancel.start(lambda: told.append(cancel.cancelled))
    assert cancel.cancelled <= 500
    world.settle_until(10)
    assert told == [1000]
    assert len(broker.schedule.entries) == 199


def test_durable_subscriptions(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    for name in ("b", "a"):
        world.subscribe(client, "/topic/t", INDIVIDUAL, 1, durable=name)
    world.send("/topic/t", b"1", b"2")
    (first, second) = rows(durables.Durables(world.broker))
    assert (first["name"], second["name"]) == ("a", "b")
    assert first == {
        "name": "a",
        "way": "apollo",
        "id": "a",
        "topic": "/topic/t",
        "selector": "",
        "messages": 1,
        "unacked": 1,
        "subscriptions": 1,
        "bytes": 2000,
        "client_id": "",
    }
    with pytest.raises(Refused, match="in use"):
        durables.delete(world.broker, "a")
    world.broker.drop(client)
    durables.delete(world.broker, "a")
    deleting = queues.delete(world.broker, "/dsub/b")
    deleting.start()
    assert (deleting.over, deleting.removed) == (True, 2)
    assert rows(durables.Durables(world.broker)) == []


def test_the_broker_and_its_topics(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    world.subscribe(client, "/topic/t")
    world.send("/topic/t", b"1", b"2")
    world.send("/queue/q", b"3")
    assert fields.row(fields.TOPIC, world.broker.topics["/topic/t"]) == {
        "topic": "/topic/t",
        "subscriptions": 1,
        "durables": 0,
        "enqueued": 2,
    }
    said = fields.row(fields.BROKER, world.broker)
    assert (said["enqueued"], said["memory"], said["queues"], said["topics"]) == (3, 1000, 1, 1)
    assert (said["idle"], said["durables"], said["scheduled"], said["pending"]) == (0, 0, 0, 0)
