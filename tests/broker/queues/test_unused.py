"""A queue that was made for something that was refused, or that is empty since all expired, counts as idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import SEND, Action, Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.oplog import OpLog
from stompserver.broker.subscription import AUTO, Subscription, Wish
from stompserver.errors import Refused

NOW = 1_700_000_000_000


def broker(**rules: Any) -> Broker:
    made = Broker(Rules(max_queues=5, **rules), OpLog())
    made.tick(NOW)
    return made


def used(made: Broker) -> int:
    """Queues that count against max-queues."""
    return len(made.queues) - len(made.idle)


def message(name: str, size: int = 1000, expires: int = 0) -> Message:
    made = Message(name, {}, b"x", size)
    made.expires = expires
    return made


def expired(made: Broker, name: str) -> None:
    made.send(message(name, expires=NOW - 1))


def too_large(made: Broker, name: str) -> None:
    with pytest.raises(Refused):
        made.send(message(name, 10_000))


def last_value(made: Broker, name: str) -> None:
    sent = message(name, 10_000)
    sent.headers = {"_AMQ_LVQ_NAME": "k"}
    sent.extras = {"_AMQ_LVQ_NAME": "k"}
    with pytest.raises(Refused):
        made.send(sent)


def only_properties(made: Broker, name: str) -> None:
    made.properties.ask(name, {"x-max-length": "5"})


def refused_part(made: Broker, name: str) -> None:
    with pytest.raises(Refused):
        made.apply([Action(SEND, message(name)), Action(SEND, message("/queue/large", 10_000))])


@pytest.mark.parametrize("make", [expired, too_large, last_value, only_properties, refused_part])
def test_what_is_refused_leaves_no_queue_in_use(make: Callable[[Broker, str], None]) -> None:
    policies = Policies([(Pattern("/queue/>"), {"max_bytes": 5000, "overflow": "reject"})])
    made = broker(policies=policies)
    for number in range(50):
        make(made, f"/queue/{number}")
        assert used(made) == 0
    made.send(message("/queue/fits"))
    assert used(made) == 1


def test_a_virtual_topic_that_may_not_be_subscribed_leaves_no_queue_in_use(new_consumer: Any) -> None:
    made = broker(max_durables=0)
    for number in range(50):
        wish = Wish("1", f"/queue/Consumer.{number}.VirtualTopic.a", AUTO, 0)
        with pytest.raises(Refused, match="durable"):
            made.subscribe(Subscription(new_consumer(), wish))
    assert used(made) == 0


def test_a_queue_of_which_all_expired_is_idle() -> None:
    made = broker()
    for round in range(10):
        for number in range(5):
            made.send(message(f"/queue/{round}.{number}", expires=NOW + 1000 * round + 500))
        assert used(made) == 5
        made.tick(NOW + 1000 * round + 1000)
        assert used(made) == 0


def test_a_queue_that_only_expired_messages_were_sent_to_is_deleted_in_its_time() -> None:
    made = broker(policies=Policies([(Pattern("/queue/>"), {"idle_expiry": 5000})]))
    made.send(message("/queue/a", expires=NOW + 500))
    made.properties.ask("/queue/b", {"x-expires": "2000"})
    made.tick(NOW + 1000)
    made.tick(NOW + 2500)
    assert list(made.queues) == ["/queue/a"]
    made.tick(NOW + 6000)
    assert not made.queues


def test_a_pattern_never_becomes_a_queue() -> None:
    made = broker()
    for sent in (message("/queue/>", expires=NOW - 1), message("/queue/*")):
        sent.extras = {"_AMQ_LVQ_NAME": "k"}
        with pytest.raises(Refused):
            made.send(sent)
    assert not made.queues


def test_a_new_queue_is_not_forgotten_before_it_is_used() -> None:
    made = broker(idle_queues=0)
    made.send(message("/queue/a"))
    assert made.queues["/queue/a"].waiting == 1
    assert used(made) == 1


def test_what_queues_take_is_counted() -> None:
    made = Broker(Rules(memory_limit=1 << 20), OpLog())
    made.send(message("/queue/a"))
    queue = made.queues["/queue/a"]
    assert made.memory.fixed == queue.cost > 1000
    assert made.memory.idle.used == 0
    made.delete(queue)
    assert made.memory.fixed == made.memory.lent == 0


def test_idle_queues_have_a_share_of_the_memory() -> None:
    made = Broker(Rules(memory_limit=1 << 20), OpLog())
    for number in range(1000):
        made.send(message(f"/queue/{number}", expires=number + 1))
        made.tick(number + 1)
    assert made.memory.used == 0
    assert 10 < len(made.idle) == len(made.queues) < 40
    assert made.memory.fixed == made.memory.lent == made.memory.idle.used <= 1 << 16
    for queue in list(made.queues.values()):
        made.delete(queue)
    assert made.memory.fixed == made.memory.lent == 0


def test_a_queue_that_somebody_looks_at_does_not_end_by_itself(new_consumer: Any) -> None:
    made = broker(policies=Policies([(Pattern("/queue/>"), {"idle_expiry": 5000})]))
    subscription = Subscription(new_consumer(), Wish("1", "/queue/a", AUTO, 0, browser=True, follow=True))
    made.subscribe(subscription)
    made.properties.ask("/queue/a", {"x-expires": "2000"})
    made.tick(NOW + 10_000)
    assert list(made.queues) == ["/queue/a"]
    made.unsubscribe(subscription)
    made.tick(NOW + 11_900)
    assert list(made.queues) == ["/queue/a"]
    made.tick(NOW + 12_000)
    assert not made.queues
