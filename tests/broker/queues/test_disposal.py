"""A queue goes with very many messages: their memory is given back in slices, and nobody gets them any more."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import CLIENT, INDIVIDUAL, Subscription, Wish

MANY = 3 * BUDGET


def world(**rules: Any) -> Broker:
    broker = Broker(Rules(**rules), OpLog())
    broker.tick(1000)
    return broker


def fill(broker: Broker, name: str, expires: int = 0) -> None:
    for number in range(MANY):
        message = Message(name, {}, b"%d" % number, OVERHEAD)
        message.expires = expires
        broker.send(message)


def subscribe(broker: Broker, consumer: Any, name: str, mode: int, credit: int) -> Subscription:
    subscription = Subscription(consumer, Wish(name, name, mode, credit))
    consumer.subscriptions[subscription.id] = subscription
    broker.subscribe(subscription)
    broker.start(subscription)
    return subscription


def slices(broker: Broker) -> list[int]:
    """Messages that are counted after each of the slices that are due."""
    counts = []
    while broker.deadlines.next() is not None:
        broker.tick(broker.now + 1)
        counts.append(broker.memory.used // OVERHEAD)
        assert len(counts) < 100
    return counts


@pytest.mark.parametrize("expires", [0, 1002])
def test_a_queue_is_deleted(new_consumer: Any, expires: int) -> None:
    broker = world(deadletter="/queue/dead")
    fill(broker, "/queue/a", expires)
    queue = broker.queues["/queue/a"]
    broker.delete(queue)
    broker.send(Message("/queue/a", {}, b"new", OVERHEAD))
    counts = slices(broker)
    assert len(counts) >= MANY // BUDGET
    assert counts[0] >= MANY - BUDGET
    assert counts[-1] == 1
    assert broker.memory.used == OVERHEAD
    assert list(broker.queues) == ["/queue/a"], "what expired meanwhile is no dead letter"
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/a", INDIVIDUAL, 0)
    assert consumer.bodies() == [b"new"]


def test_what_is_delivered_may_still_be_settled(new_consumer: Any) -> None:
    broker = world()
    fill(broker, "/queue/a")
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/a", INDIVIDUAL, 10)
    broker.delete(broker.queues["/queue/a"])
    for delivery in list(consumer.deliveries.values()):
        broker.ack(delivery)
    slices(broker)
    assert broker.memory.used == 0
    assert len(consumer.got) == 10


def test_messages_on_their_way_back(new_consumer: Any) -> None:
    broker = world()
    fill(broker, "/queue/a")
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/a", INDIVIDUAL, MANY)
    broker.nack(list(consumer.deliveries.values()), True, 2)
    consumer.deliveries.clear()
    broker.delete(broker.queues["/queue/a"])
    slices(broker)
    assert broker.memory.used == 0
    assert len(consumer.got) == MANY


def test_a_topics_subscriber_goes(new_consumer: Any) -> None:
    broker = world()
    consumer = new_consumer()
    subscription = subscribe(broker, consumer, "/topic/a", CLIENT, 1)
    fill(broker, "/topic/a")
    del consumer.subscriptions[subscription.id]
    broker.unsubscribe(subscription)
    counts = slices(broker)
    assert counts[0] >= MANY - BUDGET - 1
    assert counts[-1] == 1
    broker.drop(consumer)
    assert broker.memory.used == 0
    assert not broker.topics
