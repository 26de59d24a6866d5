"""What a queue with groups or selectors lets go of, or gives to others, is done in slices: however much it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues import matching
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

MANY = 3 * BUDGET
QUEUE = "/queue/q"


class World:
    """A broker with one queue."""

    def __init__(self, new_consumer: Callable[[], Any]) -> None:
        self.broker = Broker(Rules(), OpLog())
        self.broker.tick(1000)
        self.new_consumer = new_consumer

    def subscribe(self, mode: int = INDIVIDUAL, prefetch: int = 1, selector: str = "") -> Subscription:
        consumer = self.new_consumer()
        chosen = compile_selector(selector) if selector else None
        subscription = Subscription(consumer, Wish("s", QUEUE, mode, prefetch, selector=chosen))
        consumer.subscriptions["s"] = subscription
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        return subscription

    def send(self, count: int, group: str = "g", first: int = 0) -> None:
        """As many, with their numbers as bodies; in a ``group`` that may have the number in it."""
        for number in range(first, first + count):
            message = Message(QUEUE, {}, b"%d" % number, OVERHEAD)
            message.group = group % number if "%" in group else group
            self.broker.send(message)

    def leave(self, subscription: Subscription) -> None:
        self.broker.drop(subscription.consumer)

    @property
    def queue(self) -> Any:
        return self.broker.queues[QUEUE]

    def steps(self, count: Callable[[], int]) -> list[int]:
        """What ``count`` says before each turn, and after the last."""
        found = [count()]
        while self.broker.deadlines.next() is not None:
            self.broker.tick(self.broker.now + 1)
            found.append(count())
            assert len(found) < 100
        return found


@pytest.fixture
def world(new_consumer: Any) -> World:
    return World(new_consumer)


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


def most(counts: list[int]) -> int:
    """The largest part that was done at once."""
    return max(abs(after - before) for before, after in pairwise(counts))


def test_a_group_moves_to_another_owner_in_slices_and_in_order(world: World) -> None:
    owner = world.subscribe()
    world.send(MANY)
    heir = world.subscribe(AUTO, 0)
    world.leave(owner)
    found = world.queue.matching
    before = len(found.general)
    assert before <= 1 and heir.consumer.got == []
    world.send(2, first=MANY)
    counts = world.steps(lambda: len(found.general) or len(heir.consumer.got))
    assert len(counts) >= MANY // BUDGET and most(counts[:-1]) <= BUDGET
    assert heir.consumer.bodies() == numbers(0, MANY + 2)
    assert [message.attempts for _, message in heir.consumer.got] == [1] + [0] * (MANY + 1)
    assert world.broker.memory.used == 0


def test_what_waits_behind_an_unsettled_one_moves_in_slices(world: World) -> None:
    """The owner ended its subscription; it settles what it has later."""
    owner = world.subscribe()
    world.send(MANY)
    heir = world.subscribe(AUTO, 0)
    world.broker.unsubscribe(owner)
    found = world.queue.matching
    world.steps(lambda: 0)
    assert heir.consumer.got == []
    assert [len(line) for line in found.kept()] == [MANY - 1]
    (delivery,) = owner.consumer.deliveries.values()
    world.broker.ack(delivery)
    counts = world.steps(lambda: len(found.general) or len(heir.consumer.got))
    assert len(counts) >= MANY // BUDGET and most(counts[:-1]) <= BUDGET
    assert heir.consumer.bodies() == numbers(1, MANY)


def test_messages_behind_one_that_waits_for_its_redelivery(world: World) -> None:
    owner = world.subscribe(INDIVIDUAL, 0)
    world.send(1)
    world.broker.nack(list(owner.consumer.deliveries.values()), True, 5)
    owner.consumer.deliveries.clear()
    world.send(MANY, first=1)
    assert len(owner.consumer.got) == 1
    world.broker.tick(world.broker.now + 5)
    assert len(owner.consumer.got) == 1, "they come when all are back"
    counts = world.steps(lambda: len(owner.consumer.got))
    assert len(counts) >= MANY // BUDGET
    assert owner.consumer.bodies() == [b"0", *numbers(0, MANY + 1)]


def test_what_selectors_are_asked_for_a_group_that_moves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The more there is to ask, the fewer messages are put back in one go."""
    world.subscribe(AUTO, 1, "colour = 'red'")
    owner = world.subscribe()
    world.send(50)
    effort = 4 + world.queue.matching.effort
    monkeypatch.setattr(matching, "AT_ONCE", 10 * effort)
    world.leave(owner)
    found = world.queue.matching
    counts = world.steps(lambda: sum(len(line) for line in found.moving))
    assert counts[0] == 49 and most(counts) == 10


def test_the_queue_is_deleted_while_a_group_moves(world: World) -> None:
    owner = world.subscribe()
    world.send(MANY)
    world.leave(owner)
    world.broker.tick(world.broker.now + 1)
    world.broker.delete(world.queue)
    counts = world.steps(lambda: world.broker.memory.used // OVERHEAD)
    assert most(counts) <= 2 * BUDGET and counts[-1] == 0
    assert not world.broker.queues


@pytest.mark.parametrize("kind", ["groups", "owned", "kept back", "selector"])
def test_a_queue_is_deleted(world: World, kind: str) -> None:
    """Messages and groups go in slices, wherever they stand."""
    if kind == "owned":
        world.subscribe()
    elif kind == "kept back":
        owner = world.subscribe(INDIVIDUAL, 0)
        world.send(1)
        world.broker.nack(list(owner.consumer.deliveries.values()), True, 50)
        owner.consumer.deliveries.clear()
    elif kind == "selector":
        world.subscribe(INDIVIDUAL, 1, "colour is null and colour = 'red'")
    world.send(MANY, "g%d" if kind == "groups" else "g" if kind != "selector" else "")
    if kind == "groups":
        world.subscribe(INDIVIDUAL, MANY - 10)
    found = world.queue.matching
    world.broker.delete(world.queue)
    world.send(1)
    memory = world.broker.memory
    counts = world.steps(lambda: memory.used // OVERHEAD)
    assert len(counts) > (1 if kind == "groups" else MANY // BUDGET) and most(counts) <= BUDGET
    assert not found.groups and not found.moving and not found.own
    assert all(len(each.line) == 0 for each in found.filters.values())


def test_what_is_delivered_of_a_deleted_queue_may_be_settled(world: World) -> None:
    taker = world.subscribe(INDIVIDUAL, MANY)
    world.send(MANY, "g%d")
    world.send(MANY, "g%d")
    found = world.queue.matching
    world.broker.delete(world.queue)
    for delivery in list(taker.consumer.deliveries.values())[:10]:
        world.broker.ack(delivery)
    assert most(world.steps(lambda: len(found.groups))) <= BUDGET
    assert not found.groups
    for delivery in list(taker.consumer.deliveries.values())[10:]:
        world.broker.ack(delivery)
    world.broker.drop(taker.consumer)
    world.steps(lambda: 0)
    assert world.broker.memory.used == 0


def test_groups_of_a_queue_that_is_a_plain_one_again(world: World) -> None:
    taker = world.subscribe(AUTO, 0)
    world.send(MANY, "g%d")
    found = world.queue.matching
    assert len(found.groups) == MANY
    world.leave(taker)
    assert len(found.groups) == MANY
    counts = world.steps(lambda: len(found.groups))
    assert counts[-1] == 0 and most(counts) <= BUDGET


def test_groups_are_forgotten_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that had nothing to do for longest goes first, when another comes."""
    monkeypatch.setattr(matching, "GROUPS", 100)
    world.subscribe(AUTO, 0)
    world.send(100, "g%d")
    groups = world.queue.matching.groups
    for number in range(100, 150):
        world.send(1, "g%d", first=number)
        assert len(groups) == 100
    assert list(groups) == [f"g{number}" for number in range(50, 150)]
