"""A consumer that is gone leaves very much that it did not settle."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

MANY = 3 * BUDGET


@pytest.fixture
def left(new_consumer: Any) -> tuple[Broker, Any]:
    """A broker, and a consumer that has many messages of one queue and a few of another."""
    broker = Broker(Rules(), OpLog())
    broker.tick(1000)
    for number in range(MANY):
        broker.send(Message("/queue/a", {}, b"%d" % number, OVERHEAD))
    for number in range(3):
        broker.send(Message("/queue/b", {}, b"%d" % number, OVERHEAD))
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/a", INDIVIDUAL)
    subscribe(broker, consumer, "/queue/b", INDIVIDUAL)
    return broker, consumer


def subscribe(broker: Broker, consumer: Any, name: str, mode: int = AUTO) -> None:
    subscription = Subscription(consumer, Wish(name, name, mode, 0))
    consumer.subscriptions[subscription.id] = subscription
    broker.subscribe(subscription)
    broker.start(subscription)


def settle(broker: Broker, most: int = 100) -> int:
    """Until nothing is due; how many ms that took."""
    for count in range(most):
        if broker.deadlines.next() is None:
            return count
        broker.tick(broker.now + 1)
    raise AssertionError("it never ends")


def test_it_comes_back_in_slices_and_nothing_overtakes_it(
    left: tuple[Broker, Any], new_consumer: Any
) -> None:
    broker, consumer = left
    other = new_consumer()
    subscribe(broker, other, "/queue/a")
    broker.drop(consumer)
    broker.send(Message("/queue/a", {}, b"new", OVERHEAD))
    broker.tick(broker.now + 1)
    assert broker.queues["/queue/a"].unacked == MANY - BUDGET
    assert other.got == []
    assert settle(broker) >= 2
    assert other.bodies() == [b"%d" % number for number in range(MANY)] + [b"new"]
    # Its consumer can have been at work at the first only.
    assert [message.tried for _, message in other.got[:-1]] == [1] + [0] * (MANY - 1)
    assert all(message.attempts for _, message in other.got[:-1])
    assert broker.memory.used == 3 * OVERHEAD
    last = new_consumer()
    subscribe(broker, last, "/queue/b")
    assert last.bodies() == [b"0", b"1", b"2"]


def test_the_queue_is_deleted_meanwhile(left: tuple[Broker, Any]) -> None:
    broker, consumer = left
    broker.drop(consumer)
    broker.tick(broker.now + 1)
    broker.delete(broker.queues["/queue/a"])
    settle(broker)
    assert broker.memory.used == 3 * OVERHEAD
    assert list(broker.queues) == ["/queue/b"]


def test_the_server_ends_meanwhile(left: tuple[Broker, Any], new_consumer: Any) -> None:
    broker, consumer = left
    broker.drop(consumer)
    broker.slices.finish()
    assert broker.deadlines.next() is None
    assert broker.queues["/queue/a"].unacked == 0
    other = new_consumer()
    subscribe(broker, other, "/queue/a")
    assert other.bodies() == [b"%d" % number for number in range(MANY)]


def test_a_paused_queue_stays_paused(left: tuple[Broker, Any], new_consumer: Any) -> None:
    broker, consumer = left
    other = new_consumer()
    subscribe(broker, other, "/queue/a")
    broker.drop(consumer)
    broker.queues["/queue/a"].pause()
    settle(broker)
    assert other.got == []
    broker.queues["/queue/a"].unpause()
    assert len(other.got) == MANY


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_very_many_subscriptions_end_in_slices(new_consumer: Any, kind: str) -> None:
    """They get nothing from the moment their consumer is gone, and what it had comes back behind their end."""
    broker = Broker(Rules(), OpLog())
    broker.tick(1000)
    consumer, other = new_consumer(), new_consumer()
    for number in range(500):
        subscription = Subscription(consumer, Wish(str(number), f"/{kind}/a", INDIVIDUAL, 1))
        consumer.subscriptions[subscription.id] = subscription
        broker.subscribe(subscription)
        broker.start(subscription)
    for number in range(20):
        broker.send(Message(f"/{kind}/a", {}, b"%d" % number, OVERHEAD))
    taken = len(consumer.got)
    broker.drop(consumer)
    broker.tick(broker.now + 1)
    broker.send(Message(f"/{kind}/a", {}, b"new", OVERHEAD))
    subscribe(broker, other, f"/{kind}/a")
    assert settle(broker, 1000) > 5
    assert len(consumer.got) == taken
    if kind == "queue":
        assert sorted(other.bodies(), key=len) == [*[b"%d" % number for number in range(20)], b"new"]
        assert [s.consumer for s in broker.queues["/queue/a"].subscriptions] == [other]
    assert broker.memory.used == 0


def test_a_queue_that_goes_with_the_last_of_them_goes(new_consumer: Any) -> None:
    broker = Broker(Rules(), OpLog())
    broker.tick(1000)
    consumer = new_consumer()
    for number in range(500):
        subscription = Subscription(consumer, Wish(str(number), "/queue/a", AUTO, 0, auto_delete=True))
        consumer.subscriptions[subscription.id] = subscription
        broker.subscribe(subscription)
    broker.drop(consumer)
    assert "/queue/a" in broker.queues
    settle(broker, 1000)
    assert not broker.queues
