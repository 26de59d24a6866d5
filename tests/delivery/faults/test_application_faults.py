"""What applications of the field stumbled over, in each dialect, of which some have it otherwise on purpose.

Where a storage keeps anything, the server is killed and started again in the middle, if that could make a difference.
A1 to A10 are those of docs/explanation/reported-elsewhere.md.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

ONE = "client-individual"

NACK = {"original": "again", "rabbitmq": "again", "activemq": "dead", "artemis": "dead", "apollo": "again"}
"""What becomes of a message that is refused, when nothing says so."""

# A1


@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_1_2_names_a_delivery_by_its_message_id(place: Any, command: str) -> None:
    client = place.connect()
    for body in ("m0", "m1", "m2"):
        client.publish(place.queue, body)
    client.subscribe(place.queue, ack=ONE, more="prefetch-count:9\n")
    _, m1, _ = client.take(3)
    assert m1["ack"] != m1["message-id"]
    assert not client.receipt(f"{command}\nid:{m1['message-id']}\n\n\0").has("warning")
    if command == "NACK" and NACK[place.dialect] == "again":
        (again,) = client.take(1)
        assert (again["message-id"], again["redelivered"]) == (m1["message-id"], "true")
        client.receipt(f"ACK\nid:{again['message-id']}\n\n\0")
    client.nothing()
    client.leave()
    if command == "ACK":
        place.restart()
    assert place.left(place.queue, 2) == ["m0", "m2"]
    assert place.dead(place.queue) == (["m1"] if (command, NACK[place.dialect]) == ("NACK", "dead") else [])


# A2

BARE = {
    "original": "topic",
    "rabbitmq": "queue",
    "activemq": "queue",
    # There its address decides; nothing of that is here.
    "artemis": "topic",
    "apollo": "error",
}
"""What a name is that begins with neither /queue/ nor /topic/."""


def test_nothing_that_is_sent_to_a_bare_name_is_lost_in_silence(place: Any) -> None:
    name = f"orders.{place.name}"
    client = place.connect()
    if BARE[place.dialect] == "error":
        client.send(f"SEND\ndestination:{name}\nreceipt:r\n\n77\0")
        assert client.error()["message"] == f"Destination '{name}' is neither a queue nor a topic"
        return
    receipt = client.receipt(f"SEND\ndestination:{name}\n\n77\0")
    if BARE[place.dialect] == "topic":
        assert receipt["warning"].startswith(f"Bare name '{name}' is a topic, and nobody listens")
        place.server.wait_for_log(f"Bare name '{name}' is a topic")
        client.subscribe(name)
        assert not client.receipt(f"SEND\ndestination:{name}\n\n78\0").has("warning")
        (message,) = client.take(1)
        assert (message.body, message["destination"]) == ("78", name)
        return
    assert not receipt.has("warning")
    place.restart()
    client = place.connect()
    if not place.keeps:
        assert "Bare name" not in place.server.log()
    client.subscribe(name)
    (message,) = client.take(1)
    assert (message.body, message["destination"]) == ("77", f"/queue/{name}")


# A3, A5


def test_a_dead_letter_shows_the_queue_it_is_in(place: Any) -> None:
    """In the one of the dialect, and in one that the consumer named."""
    own = f"/queue/DLQ.{place.name}"
    client = place.connect()
    client.subscribe(place.queue, "a", ack=ONE)
    client.subscribe(f"{place.queue}.b", "b", f"x-dead-letter-routing-key:DLQ.{place.name}\n", ONE)
    for origin in (place.queue, f"{place.queue}.b"):
        client.publish(origin, "bad")
        client.receipt(f"NACK\nid:{client.expect('MESSAGE')['ack']}\nrequeue:false\n\n\0")
    client.leave()
    place.restart()
    client = place.connect()
    for number, (origin, where) in enumerate(
        ((place.queue, place.dead_letters(place.queue)), (f"{place.queue}.b", own))
    ):
        client.subscribe(where, str(number), f"selector:original-destination = '{origin}'\n")
        (dead,) = client.take(1)
        assert (dead["destination"], dead["original-destination"], dead.body) == (where, origin, "bad")


@pytest.mark.parametrize(
    ("way", "queue"),
    [
        ("id:{name}\nx-queue-name:{name}.q\ndurable:true\n", "/queue/{name}.q"),
        ("id:{name}\ndurable:true\n", "/dsub/{name}/topic/{name}"),
        ("id:0\nactivemq.subscriptionName:{name}\n", "/dsub/.{name}"),
        ("id:{name}\npersistent:true\n", "/dsub/{name}"),
    ],
    ids=["x-queue-name", "rabbitmq", "jms", "apollo"],
)
def test_dead_letters_of_a_durable_subscription_go_where_it_says(place: Any, way: str, queue: str) -> None:
    wish = (
        f"SUBSCRIBE\ndestination:{place.topic}\nack:client-individual\n"
        f"x-dead-letter-exchange:\nx-dead-letter-routing-key:DLQ.{place.name}\n{way.format(name=place.name)}\n\0"
    )
    client = place.connect()
    assert not client.receipt(wish).has("warning")
    client.leave()
    if "x-queue-name" in way:
        place.restart()
    client = place.connect()
    client.publish(place.topic, "bad")
    client.receipt(wish)
    client.receipt(f"NACK\nid:{client.expect('MESSAGE')['ack']}\nrequeue:false\n\n\0")
    client.subscribe(f"/queue/DLQ.{place.name}", "dead")
    (dead,) = client.take(1)
    assert dead["original-destination"] == queue.format(name=place.name)


# A4


def test_reply_to_of_a_temporary_queue_has_two_levels(place: Any) -> None:
    asker, worker, helper = place.connect(), place.connect(), place.connect()
    worker.subscribe(place.queue)
    asker.subscribe("/temp-queue/answers", "mine")
    asker.publish(place.queue, "3 4", "reply-to:/temp-queue/answers\n")
    reply = worker.expect("MESSAGE")["reply-to"]
    assert reply.startswith("/reply-queue/")
    assert reply.count("/") == 2
    for client in (worker, helper):
        assert not client.publish(reply, "7").has("warning")
    answers = asker.take(2)
    assert [(answer["subscription"], answer.body) for answer in answers] == [("mine", "7")] * 2
    assert {answer["destination"] for answer in answers} == {"/temp-queue/answers"}


# A6

ALWAYS = {
    "original": set(),
    "rabbitmq": {"redelivered"},
    "activemq": {"timestamp", "priority", "expires"},
    "artemis": {"redelivered", "timestamp", "priority", "expires"},
    "apollo": set(),
}
"""The headers that each MESSAGE has, whatever its sender said."""


def test_what_each_message_has(place: Any) -> None:
    names = {"redelivered", "timestamp", "priority", "expires"}
    client = place.connect()
    client.publish(place.queue, "plain")
    client.subscribe(place.queue, ack=ONE)
    (first,) = client.take(1)
    assert {name for name in names if first.has(name)} == ALWAYS[place.dialect]
    values = {"redelivered": "false", "priority": "4", "expires": "0"}
    assert all(first[name] == value for name, value in values.items() if name in ALWAYS[place.dialect])
    place.restart()
    client = place.connect()
    client.subscribe(place.queue)
    (again,) = client.take(1)
    # What was out when the server was killed comes unmarked.
    assert place.keeps or again["redelivered"] == "true"
    if "timestamp" in ALWAYS[place.dialect]:
        assert 1_700_000_000_000 < int(again["timestamp"]) == int(first["timestamp"])


# A7

WINDOW = {
    "original": {"1.0": 1, "1.1": 100, "1.2": 100},
    "rabbitmq": {"1.0": 120, "1.1": 120, "1.2": 120},
    "activemq": {"1.0": 120, "1.1": 120, "1.2": 120},
    "artemis": {"1.0": 120, "1.1": 120, "1.2": 120},
    "apollo": {"1.0": 120, "1.1": 120, "1.2": 120},
}
"""How many of 120 messages come that nobody acknowledges. The others have no window, or one that is larger."""


def test_the_window_of_a_client_that_acknowledges_later(place: Any) -> None:
    client = place.connect()
    for version, count in WINDOW[place.dialect].items():
        queue = f"{place.queue}.{version}"
        client.send(f"SEND\ndestination:{queue}\n\nx\0" * 120)
        consumer = place.connect(version=version)
        consumer.subscribe(queue, ack="client")
        messages = consumer.take(count)
        name = f"id:{messages[-1]['ack']}" if version == "1.2" else f"message-id:{messages[-1]['message-id']}"
        consumer.receipt(f"ACK\n{name}\nsubscription:0\n\n\0")
        rest = min(120 - count, count)
        assert len(consumer.take(rest)) == rest


# A8

IN_USE = {
    # Who wants the other's durable subscription takes that over; nobody else is touched.
    "original": "takeover",
    "rabbitmq": "share",
    # A second connection is refused.
    "activemq": "refuse",
    "artemis": "share",
    "apollo": "share",
}
"""What becomes of two connections with one client-id."""


def test_two_workers_of_one_client_id(place: Any) -> None:
    hello = f"client-id:{place.name}\n"
    one = place.connect(hello)
    one.subscribe(place.queue, more="prefetch-count:1\n", ack=ONE)
    if IN_USE[place.dialect] == "refuse":
        with socket.create_connection(("127.0.0.1", place.server.port), 20) as second:
            second.sendall(f"CONNECT\naccept-version:1.2\nhost:h\n{hello}\n\0".encode())
            answer = b"".join(iter(lambda: second.recv(65536), b"")).decode()
        assert answer.startswith("ERROR\n")
        assert "message:Client id is in use" in answer
        # The first goes on.
        one.publish(place.queue, "1")
        assert one.bodies(1) == ["1"]
        return
    two = place.connect(hello)
    two.subscribe(place.queue, more="prefetch-count:1\n", ack=ONE)
    sender = place.connect()
    for body in ("1", "2"):
        sender.publish(place.queue, body)
    assert (one.bodies(1), two.bodies(1)) == (["1"], ["2"])
    # A durable subscription is another matter.
    durable = f"SUBSCRIBE\nid:d\ndestination:{place.topic}\nactivemq.subscriptionName:n\n"
    one.receipt(f"{durable}\n\0")
    two.receipt(f"{durable}\n\0")
    if IN_USE[place.dialect] == "takeover":
        assert "took over" in one.error()["message"]
    else:
        one.nothing()
    sender.publish(place.topic, "3")
    sender.publish(place.topic, "4")
    if IN_USE[place.dialect] == "share":
        assert sorted(one.bodies(1) + two.bodies(1)) == ["3", "4"]


# A9


def test_nack_is_no_loop_at_full_speed(place: Any) -> None:
    client = place.connect()
    client.publish(place.queue, "bad")
    client.publish(place.queue, "good")
    client.subscribe(place.queue, more="prefetch-count:1\n", ack=ONE)
    times = 0
    while (message := client.expect("MESSAGE")).body == "bad" and times < 9:
        times += 1
        client.receipt(f"NACK\nid:{message['ack']}\n\n\0")
    # At once three times more; then it waits, and others pass. Or it is a dead letter at once.
    assert times == {"again": 4, "dead": 1}[NACK[place.dialect]]
    client.receipt(f"ACK\nid:{message['ack']}\n\n\0")
    if NACK[place.dialect] == "again":
        place.server.wait_for_log(f"{place.queue}: a message is refused again and again")
        message = client.expect("MESSAGE")
        assert (message.body, message["delivery-count"]) == ("bad", "5")
        client.receipt(f"NACK\nid:{message['ack']}\nrequeue:false\n\n\0")
    client.nothing()
    assert place.dead(place.queue) == ["bad"]


# A10


@pytest.mark.parametrize("read", ["/amq/queue/", "/queue/"])
def test_a_queue_named_by_x_queue_name_is_one_of_that_name(place: Any, read: str) -> None:
    client = place.connect()
    client.receipt(
        f"SUBSCRIBE\nid:0\ndestination:{place.topic}\nx-queue-name:{place.name}\ndurable:true\n\n\0"
    )
    client.leave()
    if read == "/amq/queue/":
        place.restart()
    sender = place.connect()
    sender.publish(place.topic, "by the topic")
    sender.publish(f"/queue/{place.name}", "by its name")
    assert place.left(f"{read}{place.name}", 2) == ["by the topic", "by its name"]
