"""What other brokers and clients were reported to do, and this server once did, in each dialect.

Where a storage keeps anything, the server is killed and started again in the middle, if that could make a difference.
The names F1 to F6 are those of docs/explanation/reported-elsewhere.md.
"""

from __future__ import annotations

from typing import Any

import pytest

ONE = "client-individual"
VERSIONS = ("1.0", "1.1", "1.2")


def jms(name: str) -> str:
    return f"activemq.subscriptionName:{name}\n"


# F1


def test_a_late_ack_consumes_no_other_message(place: Any) -> None:
    first = place.connect()
    for number in range(4):
        first.publish(place.queue, f"m{number}")
    first.subscribe(place.queue, ack=ONE, more="prefetch-count:9\n")
    m0, m1, m2, _ = first.take(4)
    first.receipt(f"ACK\nid:{m0['ack']}\n\n\0")
    # It is lost while m1 and m2 are at work.
    place.restart()
    second = place.connect()
    second.subscribe(place.queue, ack=ONE, more="prefetch-count:9\n")
    again = second.take(3)
    assert [message.body for message in again] == ["m1", "m2", "m3"]
    for late in (
        f"ACK\nid:{m1['ack']}\n\n\0",
        # With `nack: deadletter` this would be the end of another message.
        f"NACK\nid:{m2['ack']}\n\n\0",
        f"NACK\nid:{m2['ack']}\nrequeue:false\n\n\0",
    ):
        assert "another connection" in second.receipt(late)["warning"]
    # The connection lives, and has in hand what it had.
    assert not second.receipt(f"ACK\nid:{again[1]['ack']}\n\n\0").has("warning")
    second.leave()
    assert place.left(place.queue, 2) == ["m1", "m3"]
    assert place.dead(place.queue) == []


# F2

WAYS = {
    "jms": lambda topic, name: (topic, name, jms(name)),
    "rabbitmq": lambda topic, name: (topic, name, "durable:true\n"),
    "x-queue-name": lambda topic, name: (topic, name, f"x-queue-name:{name}\ndurable:true\n"),
    "apollo": lambda topic, name: (topic, name, "persistent:true\n"),
    "artemis": lambda topic, name: (f"{topic}::{name}", name, ""),
}
"""How a durable subscription of that name is said: its destination, id and headers."""


def test_the_same_id_on_two_topics(place: Any) -> None:
    """F2a, in RabbitMQ's way: two programs whose libraries number ids themselves."""
    a, b = (f"SUBSCRIBE\nid:sub-0\ndestination:{place.topic}.{each}\ndurable:true\n\n\0" for each in "ab")
    sender = place.connect()
    one = place.connect()
    one.receipt(a)
    one.leave()
    sender.publish(f"{place.topic}.a", "a1")
    two = place.connect()
    two.receipt(b)
    two.leave()
    sender.publish(f"{place.topic}.a", "a2")
    sender.publish(f"{place.topic}.b", "b1")
    place.restart()
    one, two = place.connect(), place.connect()
    one.receipt(a)
    two.receipt(b)
    assert one.bodies(2) == ["a1", "a2"]
    assert two.bodies(1) == ["b1"]


def test_a_client_id_and_a_name_that_join_to_the_same_text(place: Any) -> None:
    """F2b, in the way of ActiveMQ and Artemis."""
    who = (
        (f"client-id:{place.name}\n", "eu.orders", f"{place.topic}.t"),
        (f"client-id:{place.name}.eu\n", "orders", f"{place.topic}.u"),
        # Nor is it one whose id, or queue, is that text.
        ("", f"{place.name}.eu.orders", f"{place.topic}.v"),
    )
    sender = place.connect()
    for client_id, name, topic in who:
        client = place.connect(client_id)
        client.receipt(f"SUBSCRIBE\nid:0\ndestination:{topic}\n{jms(name)}\n\0")
        client.leave()
        sender.publish(f"{place.topic}.t", "one")
    sender.publish(f"{place.topic}.u", "two")
    sender.publish(f"{place.topic}.v", "three")
    place.restart()
    for (client_id, name, topic), bodies in zip(who, (["one"] * 3, ["two"], ["three"]), strict=True):
        client = place.connect(client_id)
        client.receipt(f"SUBSCRIBE\nid:0\ndestination:{topic}\n{jms(name)}\n\0")
        assert client.bodies(len(bodies)) == bodies


def test_one_text_in_the_way_of_each_broker(place: Any) -> None:
    """F2b: names of one way are none of another, whatever the dialect."""
    wishes = {way: say(f"{place.topic}.{way}", place.name) for way, say in WAYS.items()}
    for wish in wishes.values():
        client = place.connect()
        assert not client.subscribe(*wish).has("warning")
        client.leave()
    sender = place.connect()
    for way in WAYS:
        sender.publish(f"{place.topic}.{way}", way)
    for way, wish in wishes.items():
        client = place.connect()
        client.subscribe(*wish)
        assert client.bodies(1) == [way]


def test_one_durable_subscription_of_several_topics(place: Any) -> None:
    """F2c, by a composite destination and, in RabbitMQ's way, by a second SUBSCRIBE."""
    a, b = f"{place.topic}.a", f"{place.topic}.b"
    client = place.connect(f"client-id:{place.name}\n")
    composite = (f"{a},{b}", "0", jms("n"))
    named = [(topic, topic, f"x-queue-name:{place.name}\ndurable:true\n") for topic in (a, b)]
    for wish in (composite, *named):
        assert not client.subscribe(*wish).has("warning")
    client.leave()
    sender = place.connect()
    for topic, body in ((a, "1"), (b, "2"), (a, "3")):
        sender.publish(topic, body)
    place.restart()
    client = place.connect(f"client-id:{place.name}\n")
    assert not client.subscribe(*composite).has("warning")
    messages = client.take(3)
    assert [(message["destination"], message.body) for message in messages] == [(a, "1"), (b, "2"), (a, "3")]
    assert place.left(place.queue, 3) == ["1", "2", "3"]


# F3


@pytest.mark.parametrize("header", ["JMSXGroupID", "_AMQ_GROUP_ID", "message_group"])
def test_a_group_has_one_consumer_when_selectors_differ(place: Any, header: str) -> None:
    a, b, sender = place.connect(), place.connect(), place.connect()
    a.subscribe(place.queue, "a", "selector:colour = 'red'\nprefetch-count:9\n", ONE)
    sender.publish(place.queue, "red 1", f"{header}:g\ncolour:red\n")
    (held,) = a.take(1)
    b.subscribe(place.queue, "b", "prefetch-count:9\n", ONE)
    sender.publish(place.queue, "blue", f"{header}:g\ncolour:blue\n")
    sender.publish(place.queue, "red 2", f"{header}:g\ncolour:red\n")
    # Nobody gets them while A works on red 1.
    a.nothing()
    b.nothing()
    a.receipt(f"ACK\nid:{held['ack']}\n\n\0")
    a.nothing()
    assert b.bodies(2) == ["blue", "red 2"]


# F4


def test_an_ack_with_the_content_length_of_its_message(place: Any) -> None:
    """In all versions, and as the first of two frames in a packet."""
    for version in VERSIONS:
        client = place.connect(version=version)
        client.publish(place.queue, "hello")
        client.publish(place.queue, f"left by {version}")
        client.subscribe(place.queue, "0", "prefetch-count:1\n", ONE)
        message = client.expect("MESSAGE")
        assert (message.body, message["content-length"]) == ("hello", "5")
        id = f"id:{message['ack']}\n" if version == "1.2" else f"message-id:{message['message-id']}\n"
        head = f"ACK\n{id}subscription:0\ndestination:{place.queue}\ncontent-length:5\n"
        client.send(f"{head}receipt:acked\n\n\0SEND\ndestination:{place.queue}.more\n\n{version}\0")
        found = {frame.command: frame for frame in (client.frame(), client.frame())}
        assert found["RECEIPT"]["receipt-id"] == "acked"
        assert found["MESSAGE"].body == f"left by {version}"
        client.part()
        assert place.left(place.queue, 1) == [f"left by {version}"]
    place.restart()
    assert place.left(place.queue, 0) == []
    if place.keeps:
        assert place.left(f"{place.queue}.more", 3) == list(VERSIONS)


# F5


@pytest.mark.parametrize("way", WAYS)
def test_an_ack_of_1_0_that_names_its_subscription(place: Any, way: str) -> None:
    """Copies of one message in two durable subscriptions have one message-id."""
    hello, x, y = f"client-id:{place.name}\n", f"{place.name}.x", f"{place.name}.y"
    client = place.connect(hello, "1.0")
    for name in (x, y):
        client.subscribe(*WAYS[way](place.topic, name), "client")
    client.publish(place.topic, "m")
    copies = client.take(2)
    assert [copy["subscription"] for copy in copies] == [x, y]
    # Those of a queue that is a queue like others are messages of its own.
    assert (copies[0]["message-id"] == copies[1]["message-id"]) is (way != "x-queue-name")
    client.receipt(f"ACK\nmessage-id:{copies[1]['message-id']}\nsubscription:{y}\n\n\0")
    client.part()
    if way == "jms":
        place.restart()
    client = place.connect(hello, "1.0")
    for name in (x, y):
        client.subscribe(*WAYS[way](place.topic, name), "client")
    assert [copy["subscription"] for copy in client.take(1)] == [x]


# F6

DUPLICATE = {
    "original": "dedup-id",
    "rabbitmq": "x-deduplication-header",
    "activemq": "dedup-id",
    "artemis": "_AMQ_DUPL_ID",
    "apollo": "dedup-id",
}
"""The header of an id, as people who come from there say it."""


def test_an_id_counts_once_for_a_series(place: Any) -> None:
    id = f"{DUPLICATE[place.dialect]}:{place.name}\n"
    client = place.connect()
    series = "AMQ_SCHEDULED_DELAY:20\nAMQ_SCHEDULED_PERIOD:10\nAMQ_SCHEDULED_REPEAT:3\n"
    client.publish(place.queue, "x", id + series)
    client.publish(place.queue, "a duplicate", id)
    client.subscribe(place.queue)
    assert client.bodies(4) == ["x"] * 4


def test_an_id_counts_from_its_send_on(place: Any) -> None:
    """A message that is for later is displaced by none that comes before its time."""
    header = DUPLICATE[place.dialect]
    later = "x-delay" if place.dialect == "rabbitmq" else "AMQ_SCHEDULED_DELAY"
    sender = place.connect()
    sender.publish(place.queue, "first", f"{header}:{place.name}\n{later}:300\n")
    sender.publish(place.queue, "second", f"{header}:{place.name}\n")
    sender.publish(place.queue, "in an hour", f"{header}:{place.name}.hour\n{later}:3600000\n")
    place.restart()
    client = place.connect()
    client.publish(place.queue, "now", f"{header}:{place.name}.hour\n")
    client.subscribe(place.queue)
    assert client.bodies(1) == ["first"]
