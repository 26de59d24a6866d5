"""Who is subscribed to what."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.errors import Refused
from stompserver.manage import subscriptions


def rows(job: Any) -> list[dict[str, Any]]:
    job.start()
    assert job.over
    found: list[dict[str, Any]] = job.rows
    return found


def test_those_of_a_queue(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    client.client_id = "c"
    world.subscribe(client, "/queue/a", INDIVIDUAL, 5)
    world.subscribe(client, "/queue/a", AUTO)
    world.subscribe(client, "/queue/b", AUTO)
    world.send("/queue/a", b"1", b"2")
    first, second = rows(subscriptions.of_queue(world.broker, "/queue/a"))
    assert first == {
        "id": "0",
        "destination": "/queue/a",
        "client_id": "c",
        "ack": "client-individual",
        "prefetch": 5,
        "credit": 4,
        "ready": True,
        "selector": "",
        "priority": 0,
        "exclusive": False,
        "browser": False,
        "durable": "",
    }
    assert (second["ack"], second["prefetch"], "credit" in second) == ("auto", 0, False)
    with pytest.raises(Refused, match="There is no queue /queue/none"):
        subscriptions.of_queue(world.broker, "/queue/none")


def test_those_of_a_topic(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    world.subscribe(client, "/topic/t", AUTO)
    world.subscribe(client, "/topic/t", INDIVIDUAL, 2)
    world.subscribe(client, "/topic/t", INDIVIDUAL, 1, durable="d")
    assert [row["id"] for row in rows(subscriptions.of_topic(world.broker, "/topic/t"))] == ["0", "1"]
    assert [row["durable"] for row in rows(subscriptions.of_queue(world.broker, "/dsub/d"))] == ["d"]
    assert rows(subscriptions.of_topic(world.broker, "/topic/none")) == []


def test_one_that_ends_meanwhile_has_no_row(new_world: Any, new_client: Any) -> None:
    world = new_world()
    client = new_client()
    for _ in range(30):
        world.subscribe(client, "/queue/a", AUTO)
    job = subscriptions.of_queue(world.broker, "/queue/a")
    job.step(10)
    world.broker.unsubscribe(client.subscriptions["3"])
    world.broker.unsubscribe(client.subscriptions["25"])
    while job.step(10):
        pass
    assert job.count == 29
    assert [row["id"] for row in job.rows] == [str(n) for n in range(30) if n not in (3, 25)]
