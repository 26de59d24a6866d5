"""What is remembered of message groups, and of who had them, counts as memory and has a bound over all queues."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.groups import COST
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

LIMIT = 16 << 20
FITTING = LIMIT // 16 // (COST + 10)
"""How many groups the share has room for, about."""


class World:
    def __init__(self, new_consumer: Callable[[], Any]) -> None:
        self.broker = Broker(Rules(memory_limit=LIMIT), OpLog())
        self.broker.tick(1000)
        self.new_consumer = new_consumer

    def subscribe(
        self, name: str, mode: int = AUTO, exclusive: bool = False, priority: int = 0
    ) -> Subscription:
        consumer = self.new_consumer()
        wish = Wish("s", name, mode, 0, exclusive=exclusive, priority=priority)
        subscription = Subscription(consumer, wish)
        consumer.subscriptions["s"] = subscription
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        return subscription

    def send(self, name: str, group: str) -> None:
        message = Message(name, {}, b"", OVERHEAD)
        message.group = group
        self.broker.send(message)

    def groups(self, name: str) -> list[str]:
        matching: Any = self.broker.queues[name].matching
        return list(matching.groups) if matching is not None else []

    @property
    def used(self) -> int:
        return self.broker.memory.groups.used

    def finish(self) -> None:
        while self.broker.deadlines.next() is not None:
            self.broker.tick(self.broker.now + 1)


@pytest.fixture
def world(new_consumer: Any) -> World:
    return World(new_consumer)


def test_each_counts_until_it_is_forgotten(world: World) -> None:
    fixed = world.broker.memory.fixed
    taker = world.subscribe("/queue/a")
    for number in range(100):
        world.send("/queue/a", f"group-{number:04}")
    assert world.used == 100 * (COST + 10)
    assert world.broker.memory.fixed - fixed >= world.used
    world.send("/queue/a", "group-0000")
    assert world.used == 100 * (COST + 10)
    world.broker.drop(taker.consumer)
    world.finish()
    assert world.used == 0


@pytest.mark.parametrize("count", [10, 2000], ids=["few", "many"])
@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL], ids=["settled", "not settled"])
@pytest.mark.parametrize("way", ["the consumer leaves", "the queue is deleted"])
def test_nothing_of_them_is_left(world: World, count: int, mode: int, way: str) -> None:
    taker = world.subscribe("/queue/a", mode)
    for number in range(count):
        world.send("/queue/a", f"group-{number}")
    assert world.used
    if way == "the queue is deleted":
        world.broker.delete(world.broker.queues["/queue/a"])
    world.finish()
    world.broker.drop(taker.consumer)
    world.finish()
    if "/queue/a" in world.broker.queues:
        world.broker.delete(world.broker.queues["/queue/a"])
        world.finish()
    assert world.used == 0


def test_a_new_one_takes_the_place_of_those_that_rest_anywhere(world: World) -> None:
    """No connection has very many queues with very many groups for nothing."""
    world.subscribe("/queue/busy", INDIVIDUAL)
    for number in range(50):
        world.send("/queue/busy", f"busy-{number:05}")
    for queue in range(4):
        name = f"/queue/{queue}"
        world.subscribe(name)
        for number in range(FITTING):
            world.send(name, f"group-{number:04}")
            assert world.used <= world.broker.memory.groups.most + 2 * COST
    assert len(world.groups("/queue/busy")) == 50, "what is on its way is remembered"
    assert world.groups("/queue/0") == world.groups("/queue/1") == []
    assert world.groups("/queue/3")[-1] == f"group-{FITTING - 1:04}"
    # The newest are remembered: they go where they went before.
    assert len(world.groups("/queue/3")) > FITTING // 2


def test_those_that_could_not_be_forgotten_are_when_they_rest(world: World) -> None:
    taker = world.subscribe("/queue/a", INDIVIDUAL)
    for number in range(2 * FITTING):
        world.send("/queue/a", f"group-{number:04}")
    assert world.used > world.broker.memory.groups.most
    for delivery in list(taker.consumer.deliveries.values()):
        world.broker.ack(delivery)
    taker.consumer.deliveries.clear()
    for number in range(2 * FITTING):
        world.send("/queue/a", f"new-{number:06}")
        for delivery in list(taker.consumer.deliveries.values()):
            world.broker.ack(delivery)
        taker.consumer.deliveries.clear()
    assert world.used <= world.broker.memory.groups.most + 2 * COST


def test_they_keep_no_consumer_that_is_gone(world: World) -> None:
    stays = world.subscribe("/queue/a")
    leaves = world.subscribe("/queue/a")
    for number in range(100):
        world.send("/queue/a", f"group-{number}")
    assert stays.consumer.got and leaves.consumer.got
    gone = weakref.ref(leaves.consumer)
    world.broker.drop(leaves.consumer)
    del leaves
    gc.collect()
    assert gone() is None
    assert len(world.groups("/queue/a")) == 100


def test_an_exclusive_queue_keeps_few_consumers_that_are_gone(world: World) -> None:
    stays = world.subscribe("/queue/a", exclusive=True, priority=9)
    came = []
    for _ in range(50):
        taker = world.subscribe("/queue/a", exclusive=True)
        came.append(weakref.ref(taker.consumer))
        world.broker.drop(taker.consumer)
        del taker
    gc.collect()
    assert sum(each() is not None for each in came) <= 1
    world.broker.drop(stays.consumer)
    assert all(each() is None for each in came)
