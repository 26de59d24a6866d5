"""What groups, selectors and many subscriptions cost does not grow with how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.policy import Policies, Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues import matching, queue
from stompserver.broker.queues.matching import Group
from stompserver.broker.queues.ring import Tiers
from stompserver.broker.subscription import INDIVIDUAL, Subscription, Wish

GROUPS = 2000


class Looked(dict[str, Group]):
    """Groups by name; ``steps`` counts those that were gone through."""

    steps = 0

    def _counted(self, found: Any) -> Iterator[Any]:
        for each in found:
            self.steps += 1
            yield each

    def __iter__(self) -> Iterator[Any]:
        return self._counted(super().__iter__())

    def items(self) -> Any:
        return self._counted(super().items())

    def values(self) -> Any:
        return self._counted(super().values())


class World:
    """A broker with one queue, whose consumer has an unsettled message of each of many groups."""

    def __init__(self, new_consumer: Callable[[], Any], policy: Policy, groups: int = GROUPS) -> None:
        self.broker = Broker(Rules(policies=Policies([], policy)), OpLog())
        self.new_consumer = new_consumer
        self.consumer = new_consumer()
        self.subscribe("owner", self.consumer)
        for number in range(groups):
            self.send(f"group {number}")
        found = self.broker.queues["/queue/q"]
        assert found.matching is not None and found.unacked == groups
        self.matching = found.matching
        self.groups = self.matching.groups = Looked(self.matching.groups)

    def subscribe(
        self, id: str, consumer: Any = None, prefetch: int = 1 << 40, priority: int = 0
    ) -> Subscription:
        wish = Wish(id, "/queue/q", INDIVIDUAL, prefetch, priority=priority, exclusive=priority > 0)
        subscription = Subscription(consumer or self.new_consumer(), wish)
        self.broker.subscribe(subscription)
        subscription.consumer.subscriptions[id] = subscription
        self.broker.start(subscription)
        return subscription

    def send(self, group: str = "") -> None:
        message = Message("/queue/q", {}, b"x", OVERHEAD)
        message.group = group
        self.broker.send(message)

    def ack(self, consumer: Any) -> None:
        """Settle the oldest delivery of ``consumer``."""
        self.broker.ack(consumer.deliveries.pop(next(iter(consumer.deliveries))))


@pytest.fixture
def new_world(new_consumer: type[Any]) -> Callable[..., World]:
    def made(policy: Policy | None = None, groups: int = GROUPS) -> World:
        return World(new_consumer, policy or Policy(), groups)

    return made


def test_more_groups_than_are_remembered(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While all of them are unsettled nothing can be forgotten, and nobody looks for what could be."""
    monkeypatch.setattr(matching, "GROUPS", GROUPS)
    world = new_world()
    for number in range(1000):
        world.send(f"new {number}")
    assert world.groups.steps == 0 and len(world.groups) == GROUPS + 1000
    # One that is settled is forgotten by the next that is new.
    for number in range(1000):
        world.ack(world.consumer)
        world.send(f"newer {number}")
    assert world.groups.steps == 0 and len(world.groups) == GROUPS + 1000
    for _ in range(GROUPS):
        world.ack(world.consumer)
    for number in range(1000):
        world.send(f"last {number}")
    assert world.groups.steps == 0 and len(world.groups) == GROUPS


@pytest.mark.parametrize("rebalance", [True, False])
def test_subscriptions_that_come_and_go(new_world: Callable[..., World], rebalance: bool) -> None:
    world = new_world(Policy().changed({"group_rebalance": rebalance}))
    for number in range(100):
        subscription = world.subscribe(f"s{number}", priority=number % 3)
        world.send(f"group {number}")
        world.broker.unsubscribe(subscription)
    assert world.groups.steps == 0


def test_an_owner_that_left_owns_nothing(new_world: Callable[..., World]) -> None:
    """Its groups go to others, as soon as what it had is settled."""
    world = new_world(groups=3)
    other = world.new_consumer()
    world.subscribe("other", other)
    world.send("group 0")
    assert not other.got
    subscription = world.broker.queues["/queue/q"].subscriptions[0]
    world.broker.unsubscribe(subscription)
    world.send("group 0")
    assert not other.got
    for _ in range(4):
        world.ack(world.consumer)
    assert [message.group for _, message in other.got] == ["group 0"]


def test_a_large_backlog_is_not_sorted_for_each_subscription(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue with groups in memory stays one until less waits."""
    monkeypatch.setattr(queue, "SETTLING", 100)
    world = new_world(groups=1)
    found = world.broker.queues["/queue/q"]
    world.broker.drop(world.consumer)
    for number in range(101):
        world.send(f"{number % 2}")
    for _ in range(2):
        consumer = world.new_consumer()
        consumer.room = 1
        world.subscribe("s", consumer)
        assert len(consumer.got) == 1
        world.broker.drop(consumer)
        assert found.matching is world.matching
    consumer = world.new_consumer()
    world.subscribe("s", consumer)
    assert [message.number for _, message in consumer.got] == list(range(1, 103))
    for _ in range(102):
        world.ack(consumer)
    world.broker.drop(consumer)
    assert found.matching is None


class Visited(list[Subscription]):
    """The subscriptions of a queue; ``steps`` counts those that were gone through."""

    steps = 0

    def __iter__(self) -> Iterator[Subscription]:
        for each in super().__iter__():
            self.steps += 1
            yield each


def test_an_exclusive_queue_with_many_subscriptions(new_world: Callable[..., World]) -> None:
    """Who is next is known, when one comes and when the one that was served goes."""
    world = new_world(Policy().changed({"exclusive": True}), groups=1)
    found = world.broker.queues["/queue/q"]
    many = [world.subscribe(f"s{number}") for number in range(500)]
    subscriptions = found.subscriptions = Visited(found.subscriptions)
    assert found.active is subscriptions[0]
    first = world.subscribe("first", priority=9)
    assert found.active is first
    world.subscribe("second", priority=3)
    for _ in range(300):
        world.broker.unsubscribe(world.subscribe("comes and goes", priority=1))
    world.broker.unsubscribe(first)
    assert found.active is not None and found.active.id == "second"
    world.broker.unsubscribe(found.active)
    assert found.active is subscriptions[0]
    for each in many[:-1]:
        world.broker.unsubscribe(each)
    world.broker.unsubscribe(subscriptions[0])
    assert found.active is many[-1]
    assert subscriptions.steps <= 1000
    assert found._candidates is not None and len(found._candidates) <= 1200


def test_priorities_that_come_and_go(new_world: Callable[..., World]) -> None:
    """Only those that somebody has turns with are looked at for each message."""
    ring = Tiers()
    consumer = new_world().consumer
    kept = Subscription(consumer, Wish("kept", "/queue/q", INDIVIDUAL, 10))
    ring.offer(kept)
    for priority in [*range(-500, 0), *range(1, 500)]:
        passing = Subscription(consumer, Wish("passing", "/queue/q", INDIVIDUAL, 10, priority=priority))
        ring.offer(passing)
        assert ring.pick() is (passing if priority > 0 else kept)
        ring.withdraw(passing)
        assert len(ring) == 1
    for priority in range(500):
        spent = Subscription(consumer, Wish("spent", "/queue/q", INDIVIDUAL, 10, priority=priority + 1))
        ring.offer(spent)
        spent.credit = 0
        assert ring.pick() is kept and len(ring) == 1
