"""What is settled, gone or deleted is in memory no more, however long its time would have been.

A message is known by its body: nobody has it when nothing but the test refers to that.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.backlog import SLACK, TIMER
from stompserver.broker.queues.queue import queue_of
from stompserver.broker.queues.window import Window
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import AUTO, CLIENT, INDIVIDUAL, Subscription, Wish

DAY = 86_400_000
LARGE = 100_000


class World:
    """A broker, and what it was sent."""

    def __init__(self, new_consumer: Any, **policy: Any) -> None:
        policies = Policies([(Pattern("/queue/>"), policy)] if policy else [])
        self.broker = Broker(Rules(policies=policies), OpLog())
        self.broker.tick(1_000_000)
        self.new_consumer = new_consumer
        self.bodies: list[bytes] = []
        self.counts: list[int] = []

    def send(self, count: int = 1, ttl: int = 0, destination: str = "/queue/a", **more: Any) -> None:
        for _ in range(count):
            body = b"%d " % len(self.bodies) + bytes(LARGE)
            self.bodies.append(body)
            message = Message(destination, {}, body, LARGE + OVERHEAD)
            message.expires = self.broker.now + ttl if ttl else 0
            message.group = more.get("group", "")
            if "value" in more:
                message.headers = {"_AMQ_LVQ_NAME": more["value"]}
                message.extras = {"last-value": more["value"]}
            self.broker.send(message)

    def subscribe(self, mode: int = INDIVIDUAL, destination: str = "/queue/a", **wish: Any) -> Subscription:
        consumer = self.new_consumer()
        consumer.got = Forgetful()
        subscription = Subscription(consumer, Wish("s", destination, mode, wish.pop("prefetch", 0), **wish))
        consumer.heard = _begin_lease
        self.broker.subscribe(subscription)
        consumer.subscriptions["s"] = subscription
        self.broker.start(subscription)
        return subscription

    def ack_all(self, subscription: Subscription) -> None:
        consumer = subscription.consumer
        while consumer.deliveries:
            self.broker.ack(consumer.deliveries.pop(next(iter(consumer.deliveries))))

    def nack_all(self, subscription: Subscription, delay: int = -1) -> None:
        consumer = subscription.consumer
        deliveries = list(consumer.deliveries.values())
        consumer.deliveries.clear()
        self.broker.nack(deliveries, True, delay)

    def later(self, ms: int) -> None:
        self.broker.tick(self.broker.now + ms)
        while (next := self.broker.deadlines.next()) is not None and next <= self.broker.now:
            self.broker.tick(self.broker.now)

    def held(self) -> int:
        """How many messages somebody still has."""
        return sum(sys.getrefcount(body) > 3 for body in self.bodies)

    def is_empty(self) -> bool:
        return self.held() == 0 and self.broker.memory.used == 0


class Forgetful(list[Any]):
    """What a consumer got, counted and forgotten."""

    count = 0

    def append(self, each: Any) -> None:
        self.count += 1

    def __len__(self) -> int:
        return self.count


def _begin_lease(subscription: Subscription, message: Message) -> None:
    if subscription.lease is not None:
        subscription.lease.add(next(reversed(subscription.consumer.deliveries.values())))


@pytest.fixture
def new_world(new_consumer: Any) -> Any:
    return lambda **policy: World(new_consumer, **policy)


def settle(world: World, way: str) -> None:
    """Have all that waits in /queue/a taken out."""
    if way == "auto":
        world.broker.drop(world.subscribe(AUTO).consumer)
    elif way == "purged":
        queue = world.broker.queues["/queue/a"]
        for message in queue.standing():
            queue.lose(message, "purged")
        queue.tidy(1000)
        del message
    elif way == "deleted":
        world.broker.delete(world.broker.queues["/queue/a"])
    else:
        subscription = world.subscribe({"individual": INDIVIDUAL, "client": CLIENT}[way])
        world.ack_all(subscription)
        world.broker.drop(subscription.consumer)


WAYS = ("auto", "individual", "client", "purged", "deleted")


@pytest.mark.parametrize("way", WAYS)
def test_a_message_with_a_time(new_world: Any, way: str) -> None:
    world = new_world()
    world.send(100, DAY)
    assert world.held() == 100
    assert len(world.broker.deadlines) == 100
    assert world.broker.memory.used == 100 * (LARGE + OVERHEAD + TIMER)
    settle(world, way)
    assert world.is_empty()
    assert len(world.broker.deadlines) == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_time_that_the_policy_gives(new_world: Any, way: str) -> None:
    world = new_world(ttl=DAY)
    world.send(10)
    settle(world, way)
    assert world.is_empty()
    assert len(world.broker.deadlines) == 0


def test_one_that_is_refused_again_and_again(new_world: Any) -> None:
    world = new_world()
    world.send(1, DAY)
    subscription = world.subscribe(prefetch=1)
    used = world.broker.memory.used
    for _ in range(1000):
        world.nack_all(subscription)
        assert len(world.broker.deadlines) <= 1
        world.later(1000)
        assert world.broker.deadlines.places <= 70
    assert world.broker.memory.used == used
    world.ack_all(subscription)
    assert world.is_empty()


def test_a_lease_ends_with_the_delivery(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(ack_timeout=DAY)
    for _ in range(5):
        world.send(20)
        assert world.held() == 20
        world.broker.touch(list(subscription.consumer.deliveries.values()))
        world.ack_all(subscription)
        assert world.is_empty()
    world.send(20)
    world.broker.ack_all(subscription, list(subscription.consumer.deliveries.values()))
    subscription.consumer.deliveries.clear()
    assert world.is_empty()
    assert len(subscription.lease) == 0
    world.broker.unsubscribe(subscription)
    assert len(world.broker.deadlines) == 0


def test_a_lease_of_an_unsubscribed_one_ends_with_the_last_delivery(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(ack_timeout=DAY)
    world.send(2)
    world.broker.unsubscribe(subscription)
    assert len(world.broker.deadlines) == 1
    world.ack_all(subscription)
    assert len(world.broker.deadlines) == 0
    assert world.is_empty()


def test_leases_end_in_slices(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(ack_timeout=1000)
    expired: list[Any] = []
    subscription.consumer.expired = expired.append
    world.send(450)
    subscription.consumer.ready = False
    world.broker.tick(world.broker.now + 1000)
    assert 0 < len(expired) <= 200
    for _ in range(5):
        world.broker.tick(world.broker.now + 1)
    assert len(expired) == 450
    assert world.broker.queues["/queue/a"].waiting == 450


def test_a_lease_waits_for_what_its_client_sent_and_the_server_did_not_do_yet(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(ack_timeout=1000)
    expired: list[Any] = []
    subscription.consumer.expired = expired.append
    world.send(2)
    subscription.consumer.unheard = lambda: True
    world.later(1000)
    world.later(500)
    world.broker.ack(subscription.consumer.deliveries.pop(next(iter(subscription.consumer.deliveries))))
    assert expired == []
    # Not for ever.
    world.later(499)
    assert expired == []
    world.later(1)
    assert len(expired) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_a_delay_ends_with_its_queue(new_world: Any, strict: bool) -> None:
    world = new_world(strict_order=strict)
    world.send(3, DAY)
    subscription = world.subscribe()
    world.nack_all(subscription, DAY)
    assert world.held() == 3
    assert len(world.broker.deadlines) == 3
    world.broker.delete(world.broker.queues["/queue/a"])
    assert world.is_empty()
    assert len(world.broker.deadlines) == 0


@pytest.mark.parametrize("group", ["", "g"])
def test_what_a_subscription_of_a_topic_has_ends_with_it(new_world: Any, group: str) -> None:
    world = new_world()
    subscription = world.subscribe(destination="/topic/t", prefetch=2)
    world.send(5, DAY, "/topic/t", group=group)
    world.nack_all(subscription, DAY)
    world.send(5, DAY, "/topic/t", group=group)
    assert world.held() == 10
    world.broker.unsubscribe(subscription)
    for name in list(subscription.consumer.deliveries):
        world.broker.ack(subscription.consumer.deliveries.pop(name))
    assert world.is_empty()
    assert len(world.broker.deadlines) == 0


def test_an_unsettled_delivery_keeps_its_queue_and_not_what_was_in_it(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(prefetch=1)
    world.send(10)
    world.broker.delete(world.broker.queues["/queue/a"])
    assert world.held() == 1
    assert queue_of(subscription).deleted


def test_what_expires_behind_one_that_does_not(new_world: Any) -> None:
    world = new_world()
    world.send(1)
    for _ in range(10):
        world.send(20, 1000)
        world.later(1000)
        # What stands in line though it is gone is not more than the slack and what waits.
        assert world.held() * LARGE <= SLACK + 3 * (LARGE + OVERHEAD)
    assert world.broker.memory.used == LARGE + OVERHEAD
    settle(world, "individual")
    assert world.broker.memory.used == 0


def test_last_values_that_are_replaced(new_world: Any) -> None:
    world = new_world()
    for _ in range(100):
        world.send(1, value="one")
        assert world.held() * LARGE <= SLACK + 3 * (LARGE + OVERHEAD)
    assert world.broker.memory.used == LARGE + OVERHEAD


def test_what_others_took_out_of_the_sight_of_a_selector(new_world: Any) -> None:
    world = new_world()
    world.subscribe(selector=compile_selector("true"), prefetch=1)
    world.send(1)
    taker = world.subscribe(AUTO)
    taker.consumer.ready = False
    for _ in range(10):
        world.send(20)
        taker.consumer.ready = True
        world.broker.resume(taker.consumer)
        taker.consumer.ready = False
        assert (world.held() - 1) * LARGE <= SLACK + 3 * (LARGE + OVERHEAD)


def test_expired_ones_of_a_group_that_has_to_wait(new_world: Any) -> None:
    world = new_world()
    subscription = world.subscribe(prefetch=1)
    world.send(1, group="g")
    for _ in range(10):
        world.send(20, 1000, group="g")
        world.later(1000)
        assert world.held() * LARGE <= SLACK + 3 * (LARGE + OVERHEAD)
    world.ack_all(subscription)
    assert world.broker.memory.used == 0


def test_a_queue_that_is_idle_again_and_again_has_one_end(new_world: Any) -> None:
    world = new_world(idle_expiry=DAY)
    for _ in range(100):
        world.send(1)
        settle(world, "individual")
        assert len(world.broker.deadlines) == 1
    world.later(DAY - 1)
    assert "/queue/a" in world.broker.queues
    world.later(1)
    assert "/queue/a" not in world.broker.queues


def test_a_queue_in_the_store_has_one_look_for_what_expired(new_consumer: Any, new_store: Any) -> None:
    broker = Broker(Rules(), OpLog(recording=True), window=Window(2))
    broker.tick(1_000_000)
    for number in range(50):
        message = Message("/queue/a", {}, b"", 1000)
        message.expires = broker.now + DAY - number
        broker.send(message)
    queue = broker.queues["/queue/a"]
    assert queue.paged
    assert len(broker.deadlines) <= 1 + queue.waiting - queue.paged
    broker.delete(queue)
    assert len(broker.deadlines) == 0
