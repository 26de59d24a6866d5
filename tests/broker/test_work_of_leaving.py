"""One of very many subscriptions ends without being looked for among the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

COUNT = 1000


class Searched(list[Any]):
    """A list that counts what is compared to find something in it."""

    steps = 0

    def __contains__(self, wanted: object) -> bool:
        self.steps += len(self)
        return super().__contains__(wanted)

    def __getitem__(self, at: Any) -> Any:
        self.steps += 1
        return super().__getitem__(at)

    def __iter__(self) -> Any:
        self.steps += len(self)
        return super().__iter__()

    def index(self, *wanted: Any) -> int:
        self.steps += len(self)
        return super().index(*wanted)

    def remove(self, wanted: Any) -> None:
        self.steps += len(self)
        super().remove(wanted)


def subscribe(broker: Broker, consumer: Any, destination: str, number: int, mode: int, **wishes: Any) -> Any:
    subscription = Subscription(consumer, Wish(str(number), destination, mode, 1, **wishes))
    consumer.subscriptions[subscription.id] = subscription
    broker.subscribe(subscription)
    broker.start(subscription)
    return subscription


def leave_in_all_orders(broker: Broker, many: list[Any]) -> None:
    """The last first, then the first, then the others from the middle on."""
    order = [*many[-200:][::-1], *many[:200], *many[500:800], *many[200:500]]
    assert len(order) == COUNT
    for subscription in order:
        del subscription.consumer.subscriptions[subscription.id]
        broker.unsubscribe(subscription)


@pytest.mark.parametrize("priority", [0, 3])
def test_of_a_queue(new_consumer: Callable[[], Any], priority: int) -> None:
    broker = Broker(Rules(), OpLog())
    consumer = new_consumer()
    many = [
        subscribe(broker, consumer, "/queue/a", number, INDIVIDUAL, priority=priority)
        for number in range(COUNT)
    ]
    for _ in range(100):
        # These have no turn while they have it.
        broker.send(Message("/queue/a", {}, b"x", OVERHEAD))
    for delivery in list(consumer.deliveries.values()):
        broker.ack(delivery)
    queue = broker.queues["/queue/a"]
    ring = queue.ring._rings[3] if priority else queue.ring  # type: ignore[attr-defined]  # with priorities it is Rings
    queue.subscriptions, ring.members = Searched(queue.subscriptions), Searched(ring.members)
    leave_in_all_orders(broker, many)
    assert not queue.subscriptions and not ring.members
    assert queue.subscriptions.steps <= 15 * COUNT and ring.members.steps <= 15 * COUNT


@pytest.mark.parametrize("kind", ["direct", "chosen", "boxes"])
def test_of_a_topic(new_consumer: Callable[[], Any], kind: str) -> None:
    broker = Broker(Rules(), OpLog())
    consumer = new_consumer()
    mode = INDIVIDUAL if kind == "boxes" else AUTO
    selector = compile_selector("x is null") if kind == "chosen" else None
    many = [
        subscribe(broker, consumer, "/topic/a", number, mode, selector=selector) for number in range(COUNT)
    ]
    topic = broker.topics["/topic/a"]
    topic.own_direct, topic.own_chosen = Searched(topic.own_direct), Searched(topic.own_chosen)
    topic.queues = Searched(topic.queues)
    topic.change()
    leave_in_all_orders(broker, many)
    assert topic.unused() and not broker.topics
    assert topic.own_direct.steps + topic.own_chosen.steps + topic.queues.steps <= 15 * COUNT


def test_those_that_stay_are_the_right_ones(new_consumer: Callable[[], Any]) -> None:
    broker = Broker(Rules(), OpLog())
    consumer = new_consumer()
    many = [subscribe(broker, consumer, "/queue/a", number, INDIVIDUAL) for number in range(50)]
    for subscription in [*many[::3], *many[1::3]]:
        broker.unsubscribe(subscription)
    for number in range(16):
        broker.send(Message("/queue/a", {}, b"%d" % number, OVERHEAD))
    assert [subscription for subscription, _ in consumer.got] == many[2::3]
    assert broker.queues["/queue/a"].subscriptions == many[2::3]
