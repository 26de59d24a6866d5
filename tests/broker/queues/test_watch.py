"""Subscriptions to patterns of very many queues: subscribed and ended in slices, as far as consumers can take."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

MANY = 3 * BUDGET


class World:
    """A broker with ``MANY`` queues, in each of which two messages wait."""

    def __init__(self, many: int = MANY, **rules: Any) -> None:
        self.broker = Broker(Rules(**rules), OpLog())
        self.now = 1000
        self.broker.tick(self.now)
        for number in range(many):
            self.send(f"/queue/{number}", b"1", b"2")

    def send(self, name: str, *bodies: bytes) -> None:
        for body in bodies:
            self.broker.send(Message(name, {}, body, OVERHEAD))

    def subscribe(
        self, consumer: Any, pattern: str = "/queue/>", mode: int = AUTO, credit: int = 0
    ) -> Subscription:
        subscription = Subscription(consumer, Wish(str(len(consumer.subscriptions)), pattern, mode, credit))
        consumer.subscriptions[subscription.id] = subscription
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        return subscription

    def slice(self) -> None:
        self.now += 1
        self.broker.tick(self.now)

    def settle(self) -> None:
        """Until nothing more is due."""
        for _ in range(100):
            if self.broker.deadlines.next() is None:
                return
            self.slice()
        raise AssertionError("it never ends")

    @property
    def parts(self) -> int:
        return sum(len(queue.subscriptions) for queue in self.broker.queues.values())


def order(consumer: Any) -> dict[str, list[bytes]]:
    """What it got, by queue."""
    found: dict[str, list[bytes]] = {}
    for _, message in consumer.got:
        found.setdefault(message.destination, []).append(message.body)
    return found


def test_it_is_subscribed_in_slices_and_gets_all_in_order(new_consumer: Any) -> None:
    world = World()
    consumer = new_consumer()
    world.subscribe(consumer)
    assert 0 < len(consumer.got) <= 2 * BUDGET
    seen = len(consumer.got)
    world.slice()
    assert seen < len(consumer.got) <= seen + 2 * BUDGET
    world.settle()
    assert order(consumer) == {f"/queue/{number}": [b"1", b"2"] for number in range(MANY)}


def test_what_comes_before_it_is_its_turn_is_not_lost_and_in_order(new_consumer: Any) -> None:
    world = World()
    consumer = new_consumer()
    world.subscribe(consumer)
    for number in range(MANY):
        world.send(f"/queue/{number}", b"3")
    world.send("/queue/new", b"1")
    world.settle()
    expected = {f"/queue/{number}": [b"1", b"2", b"3"] for number in range(MANY)}
    assert order(consumer) == expected | {"/queue/new": [b"1"]}


def test_it_is_subscribed_to_no_more_queues_than_its_consumer_can_take_from(new_consumer: Any) -> None:
    world = World()
    consumer = new_consumer()
    consumer.room = 10
    world.subscribe(consumer)
    world.settle()
    assert len(consumer.got) == 10
    assert world.parts <= 6
    while not consumer.ready:
        seen = len(consumer.got)
        consumer.room = 1000
        consumer.ready = True
        world.broker.resume(consumer)
        world.settle()
        assert len(consumer.got) == min(seen + 1000, 2 * MANY)
    assert order(consumer) == {f"/queue/{number}": [b"1", b"2"] for number in range(MANY)}


def test_one_that_takes_nothing_does_not_keep_another_waiting(new_consumer: Any) -> None:
    world = World()
    stuck, well = new_consumer(), new_consumer()
    stuck.room = 1
    world.subscribe(stuck)
    world.subscribe(well)
    world.settle()
    assert len(stuck.got) == 1
    assert len(well.got) == 2 * MANY - 1
    world.send("/queue/5", b"3")
    stuck.room = None
    stuck.ready = True
    world.broker.resume(stuck)
    world.settle()
    assert len(stuck.got) + len(well.got) == 2 * MANY + 1


def test_a_second_one_that_takes_nothing_either(new_consumer: Any) -> None:
    world = World()
    both = [new_consumer(), new_consumer()]
    for consumer in both:
        consumer.room = 1
        world.subscribe(consumer)
    world.settle()
    for consumer in both:
        assert len(consumer.got) == 1
        consumer.room = None
        consumer.ready = True
        world.broker.resume(consumer)
    world.settle()
    assert len(both[0].got) + len(both[1].got) == 2 * MANY


def test_unsubscribed_before_the_walk_is_over(new_consumer: Any) -> None:
    world = World()
    consumer = new_consumer()
    subscription = world.subscribe(consumer)
    world.broker.unsubscribe(subscription)
    seen = len(consumer.got)
    world.settle()
    assert len(consumer.got) == seen
    assert world.parts == 0
    other = new_consumer()
    world.subscribe(other)
    world.settle()
    assert len(other.got) == 2 * MANY - seen


def test_who_ends_gets_nothing_more_and_others_do(new_consumer: Any) -> None:
    world = World()
    consumer, other = new_consumer(), new_consumer()
    subscription = world.subscribe(consumer, mode=INDIVIDUAL, credit=1)
    world.settle()
    assert world.parts == MANY
    world.subscribe(other, "/queue/7", INDIVIDUAL, 1)
    world.broker.unsubscribe(subscription)
    assert world.parts > 1, "it is done in slices"
    seen = len(consumer.got)
    for name, delivery in list(consumer.deliveries.items()):
        del consumer.deliveries[name]
        world.broker.ack(delivery)
    world.send("/queue/7", b"3")
    world.settle()
    assert len(consumer.got) == seen == MANY
    assert world.parts == 1
    assert other.bodies() == [b"2"]
    assert all(queue.waiting == 1 for queue in world.broker.queues.values() if queue.name != "/queue/7")


@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL])
def test_who_is_gone_leaves_all_to_others(new_consumer: Any, mode: int) -> None:
    world = World()
    consumer = new_consumer()
    for _ in range(3):
        world.subscribe(consumer, mode=mode, credit=1)
    world.settle()
    taken = len(consumer.got)
    world.broker.drop(consumer)
    world.settle()
    assert world.parts == 0
    assert not world.broker.watches.watched
    assert len(consumer.got) == taken
    other = new_consumer()
    world.subscribe(other)
    world.settle()
    assert len(other.got) == (0 if mode == AUTO else 2 * MANY)


def test_queues_with_nothing_are_left(new_consumer: Any) -> None:
    world = World(idle_queues=100)
    consumer = new_consumer()
    world.subscribe(consumer)
    world.settle()
    assert len(consumer.got) == 2 * MANY
    assert world.parts < 2 * BUDGET
    for number in range(MANY):
        world.send(f"/queue/other-{number}", b"1")
    world.settle()
    assert world.parts < MANY
    assert len(world.broker.queues) < 2 * MANY
    seen = len(consumer.got)
    world.send("/queue/1", b"again")
    assert consumer.bodies()[seen:] == [b"again"]


def test_queues_with_nothing_never_make_producers_wait(new_consumer: Any) -> None:
    """However many queues may be idle: their share of the memory holds for those of a pattern, too."""
    world = World(0, idle_queues=10 * MANY, memory_limit=1 << 20)
    memory = world.broker.memory
    consumer = new_consumer()
    world.subscribe(consumer)
    for number in range(MANY):
        world.send(f"/queue/{number}", b"1")
        world.settle()
        assert not memory.scarce(0)
    assert memory.fixed < 3 * memory.idle.most
    assert len(consumer.got) == MANY
    seen = len(consumer.got)
    world.send("/queue/1", b"again")
    assert consumer.bodies()[seen:] == [b"again"]


def test_queues_with_nothing_are_left_however_fast_new_ones_come(new_consumer: Any) -> None:
    world = World(0, idle_queues=2 * BUDGET)
    consumer = new_consumer()
    world.subscribe(consumer)
    for turn in range(10):
        for number in range(4 * BUDGET):
            world.send(f"/queue/{turn}.{number}", b"1")
        world.slice()
    world.settle()
    assert world.parts <= 2 * BUDGET


def test_what_is_left_in_a_slice_is_counted_in_parts(new_consumer: Any) -> None:
    """A queue may have a part of each of very many subscriptions."""
    world = World(0, idle_queues=10)
    consumer = new_consumer()
    for _ in range(BUDGET):
        world.subscribe(consumer)
    for number in range(20):
        before = world.parts
        world.send(f"/queue/{number}", b"1")
        assert world.parts >= before - BUDGET
    while world.broker.deadlines.next() is not None:
        before = world.parts
        world.slice()
        assert before - BUDGET <= world.parts <= before
    assert len(consumer.got) == 20


@pytest.mark.parametrize("why", ["looked at", "paused"])
def test_a_queue_that_stays_for_another_reason_is_not_left(new_consumer: Any, why: str) -> None:
    """A queue that is not idle is not announced when a message comes."""
    world = World(0, idle_queues=10)
    world.send("/queue/1", b"1")
    looker = new_consumer()
    looker.ended = lambda subscription: None
    if why == "paused":
        world.broker.queues["/queue/1"].pause()
    else:
        looking = Subscription(looker, Wish("1", "/queue/1", AUTO, 0, browser=True, follow=True))
        world.broker.subscribe(looking)
        world.broker.start(looking)
    consumer = new_consumer()
    world.subscribe(consumer)
    if why == "paused":
        world.broker.queues["/queue/1"].unpause()
        world.broker.queues["/queue/1"].pause()
    for number in range(2, 100):
        world.send(f"/queue/{number}", b"1")
    world.settle()
    assert world.parts < 50
    world.send("/queue/1", b"again")
    world.broker.queues["/queue/1"].unpause()
    assert order(consumer)["/queue/1"] == [b"1", b"again"]
    assert [message.body for _, message in looker.got] == ([] if why == "paused" else [b"1", b"again"])
