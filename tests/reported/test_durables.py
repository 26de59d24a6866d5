"""Reports about durable subscriptions, and queues that topics feed."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "word", ["activemq.subscriptionName", "durable-subscription-name", "durable-subscriber-name"]
)
def test_the_end_of_a_durable_subscription(place: Any, word: str) -> None:
    """apache/artemis#653 (ARTEMIS-548): a durable subscription could not be deleted over STOMP."""
    more = f"client-id:{place.name}\n"
    client = place.connect(more=more)
    client.subscribe(place.topic, more=f"{word}:n\n")
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    client.publish(place.topic, "kept")
    client.receipt(f"UNSUBSCRIBE\nid:0\n{word}:n\n\n\0")
    client.subscribe(place.topic, more=f"{word}:n\n")
    client.nothing()


@pytest.mark.parametrize("word", ["durable", "persistent"])
def test_both_words_for_durable_hold_at_the_end_too(place: Any, word: str) -> None:
    """rabbitmq/rabbitmq-stomp#58: SUBSCRIBE knew `durable` and `persistent`, UNSUBSCRIBE only one of them."""
    id = place.name
    client = place.connect()
    client.subscribe(place.topic, id=id, more=f"{word}:true\nauto-delete:false\n")
    client.part()
    client = place.connect()
    client.publish(place.topic, "kept")
    client.subscribe(place.topic, id=id, more=f"{word}:true\nauto-delete:false\n")
    assert client.bodies(1) == ["kept"]
    client.receipt(f"UNSUBSCRIBE\nid:{id}\n{word}:true\n\n\0")
    client.publish(place.topic, "nobody's")
    client.subscribe(place.topic, id=id, more=f"{word}:true\nauto-delete:false\n")
    client.nothing()


def test_a_misspelled_word_of_an_old_broker(place: Any) -> None:
    """gdaws/stompit#50: what was sent while the subscriber was away did not come; old brokers misspell the header."""
    for body in ("", "away"):
        client = place.connect(more=f"client-id:{place.name}\n")
        client.subscribe(place.topic, more="activemq.subcriptionName:n\n")
        if body:
            assert client.bodies(1) == [body]
        client.leave()
        place.connect().publish(place.topic, "away")


def test_a_durable_subscription_of_an_exchange(place: Any) -> None:
    """rabbitmq/rabbitmq-server#614, #633: durable and id on /exchange made a new queue each time."""
    exchange = f"/exchange/amq.topic/{place.name}"
    for body in ("", "away"):
        client = place.connect()
        client.subscribe(exchange, id="1234", more="auto-delete:false\ndurable:true\n")
        if body:
            assert client.bodies(1) == [body]
        client.part()
        place.connect().publish(exchange, "away")


def test_a_named_queue_is_fed_until_it_is_deleted(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#99: UNSUBSCRIBE ended the consumer, and the queue was fed by the topic all the same."""
    client = place.connect()
    more = f"x-queue-name:{place.name}\nauto-delete:true\nexclusive:true\n"
    client.subscribe(f"{place.topic}.a", id="a", more=more)
    client.subscribe(f"{place.topic}.b", id="b", more=more)
    client.publish(f"{place.topic}.a", "1")
    client.publish(f"{place.topic}.b", "2")
    assert sorted(client.bodies(2)) == ["1", "2"]
    client.receipt("UNSUBSCRIBE\nid:a\n\n\0")
    client.publish(f"{place.topic}.a", "3")
    client.publish(f"{place.topic}.b", "4")
    assert [(frame["subscription"], frame.body) for frame in client.take(2)] == [("b", "3"), ("b", "4")]
    client.receipt(f"UNSUBSCRIBE\nid:b\n{more}\n\0")
    client.publish(f"{place.topic}.a", "5")
    client.subscribe(f"{place.topic}.a", id="a", more=more)
    client.nothing()


def test_a_named_queue_of_a_topic_is_kept(place: Any) -> None:
    """rabbitmq/rabbitmq-web-stomp#129: x-queue-name on a topic was not looked at."""
    more = f"x-queue-name:{place.name}\ndurable:true\nauto-delete:false\n"
    client = place.connect()
    client.subscribe(place.topic, more=more)
    client.leave()
    place.connect().publish(place.topic, "away")
    client = place.connect()
    client.subscribe(f"/amq/queue/{place.name}")
    assert client.bodies(1) == ["away"]


def test_only_its_own_durable_subscription_is_deleted(place: Any) -> None:
    """rabbitmq/rabbitmq-server#17202: UNSUBSCRIBE with another x-queue-name deleted a queue of somebody else."""
    owner, other = place.connect(), place.connect()
    owner.subscribe(place.topic, id="o", more=f"x-queue-name:{place.name}\ndurable:true\nauto-delete:false\n")
    other.subscribe(f"{place.topic}.other", id="x", more="durable:true\nauto-delete:false\n")
    other.send(f"UNSUBSCRIBE\nid:x\nx-queue-name:{place.name}\ndurable:true\n\n\0")
    other.part()
    owner.publish(place.topic, "still")
    assert owner.bodies(1) == ["still"]


def test_one_durable_subscription_from_two_connections_at_once(place: Any) -> None:
    """apache/artemis#2385 (ARTEMIS-1929): a race of two that subscribe to one durable subscription."""
    clients = [place.connect() for _ in range(4)]
    for client in clients:
        client.send(
            f"SUBSCRIBE\nid:0\ndestination:{place.topic}\nx-queue-name:{place.name}\ndurable:true\n"
            "auto-delete:false\nreceipt:s\n\n\0"
        )
    for client in clients:
        assert client.expect("RECEIPT")["receipt-id"] == "s"
    sender = place.connect()
    for number in range(8):
        sender.publish(place.topic, str(number))
    got = [client.expect("MESSAGE").body for _ in range(2) for client in clients]
    assert sorted(got) == [str(number) for number in range(8)]
