"""Subscriptions to patterns of queues."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, CLIENT, INDIVIDUAL
from stompserver.errors import Refused


def test_queues_there_are_and_queues_to_come(world: Any, new_client: Any) -> None:
    world.send("/queue/a.1", b"early")
    world.send("/queue/b.1", b"no")
    client = new_client()
    subscription = world.subscribe(client, "/queue/a.>")
    assert client.names() == [("/queue/a.1", b"early")]
    world.send("/queue/a.1", b"1")
    world.send("/queue/a.x.y", b"2")
    assert client.names() == [("/queue/a.1", b"1"), ("/queue/a.x.y", b"2")]
    world.unsubscribe(subscription)
    world.send("/queue/a.1", b"3")
    world.send("/queue/a.new", b"4")
    world.restart()
    assert client.take() == []
    client = new_client()
    world.subscribe(client, "/queue/a.*")
    assert sorted(client.take()) == [b"3", b"4"]


def test_credit_and_selector_hold_in_each_queue(world: Any, new_client: Any) -> None:
    for name in ("/queue/a.1", "/queue/a.2"):
        for number in range(3):
            world.send(name, b"%d" % number, headers={"n": str(number)})
    client = new_client()
    world.subscribe(client, "/queue/a.*", INDIVIDUAL, 1, selector="n <> 1")
    assert sorted(client.names()) == [("/queue/a.1", b"0"), ("/queue/a.2", b"0")]
    world.ack(client)
    assert client.take() == [b"2"]
    world.broker.drop(client)
    assert [world.broker.queues[name].waiting for name in ("/queue/a.1", "/queue/a.2")] == [2, 3]
    assert not world.broker.watches.owners and not world.broker.watches.watched


def test_what_comes_back_is_delivered_to_others(world: Any, new_client: Any) -> None:
    one, two = new_client(), new_client()
    world.subscribe(one, "/queue/>", CLIENT, 10)
    for number in range(2):
        world.send("/queue/a", b"%d" % number)
        world.send("/queue/b", b"%d" % number)
    assert one.take() == [b"0", b"0", b"1", b"1"]
    deliveries = list(one.deliveries.values())
    assert deliveries[0].subscription.order is deliveries[1].subscription.order
    assert list(deliveries[0].subscription.order.deliveries) == []
    world.subscribe(two, "/queue/>")
    world.broker.drop(one)
    assert sorted(two.take()) == [b"0", b"0", b"1", b"1"]


def test_queues_that_nobody_else_uses_can_be_forgotten(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    world.rules["idle_queues"] = 5
    world.policies(given={})
    client, other = new_client(), new_client()
    world.subscribe(client, "/queue/>")
    world.subscribe(other, "/queue/*", INDIVIDUAL, 1)
    world.subscribe(other, "/queue/used")
    for number in range(200):
        world.send(f"/queue/{number}", b"%d" % number)
        if client.deliveries:
            world.ack(client)
        while other.deliveries:
            world.ack(other)
    world.send("/queue/used", b"used")
    assert len(world.broker.queues) < 30
    assert sorted(client.take() + other.take()) == sorted(
        [b"%d" % number for number in range(200)] + [b"used"]
    )
    for name in [*list(world.broker.queues)[:3], "/queue/0"]:
        world.send(name, b"again")
    assert client.take() + other.take() == [b"again"] * 4
    world.broker.drop(client)
    world.broker.drop(other)
    assert all(queue.idle or queue.waiting for queue in world.broker.queues.values())


def test_a_deleted_queue_comes_back(memory_world: Any, new_client: Any) -> None:
    world, client = memory_world, new_client()
    subscription = world.subscribe(client, "/queue/a.*", AUTO)
    world.send("/queue/a.1", b"1")
    world.broker.delete(world.broker.queues["/queue/a.1"])
    world.send("/queue/a.1", b"2")
    assert client.take() == [b"1", b"2"]
    world.unsubscribe(subscription)
    assert not world.broker.watches.wildcards.texts


def test_only_one_queue_is_browsed_at_a_time(memory_world: Any, new_client: Any) -> None:
    with pytest.raises(Refused, match="browsed"):
        memory_world.subscribe(new_client(), "/queue/*", browser=True)
