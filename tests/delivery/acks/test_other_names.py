"""ACK and NACK by other names than the version has, and ACKs that were not needed: obeyed where it is known what is
meant, and refused by a strict server.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from wire import Client

STRICT = pytest.mark.room("--strict")


def given(room: Any, count: int, ack: str = "client-individual") -> tuple[Any, list[Any]]:
    client = room.connect()
    for number in range(count):
        client.publish(room.queue, f"m{number}")
    client.subscribe(room.queue, ack=ack, more="prefetch-count:1000\n")
    return client, client.take(count)


def left(room: Any, client: Any, count: int) -> list[str]:
    client.close()
    other = room.connect()
    other.subscribe(room.queue)
    return list(other.bodies(count))


def told(room: Any, client: Any) -> str:
    """What the log says when the connection ends."""
    before = len(room.server.log())
    client.close()
    found = room.server.wait_for_log(rf"(?s:.{{{before}}}.*?)Tolerated protocol errors of \S+: (.*)\n")
    return str(found[1])


# By message-id in 1.2


def test_by_message_id(room: Any) -> None:
    client, messages = given(room, 4)
    for message in (messages[2], messages[0]):
        frame = client.receipt(f"ACK\nid:{message['message-id']}\nsubscription:0\n\n\0")
        assert not frame.has("warning")
    client.nothing()
    assert told(room, client) == "ack-by-message-id 2"
    assert left(room, client, 2) == ["m1", "m3"]


def test_it_survives_a_restart(house: Any) -> None:
    house.queue = "/queue/named"
    client, (first, _) = given(house, 2)
    client.receipt(f"ACK\nid:{first['message-id']}\n\n\0")
    house.restart()
    assert left(house, client, 1) == ["m1"]


def test_a_cumulative_ack_by_message_id(room: Any) -> None:
    client, messages = given(room, 4, "client")
    client.receipt(f"ACK\nid:{messages[2]['message-id']}\n\n\0")
    assert left(room, client, 1) == ["m3"]


def test_nack_by_message_id(room: Any) -> None:
    client, (first, second) = given(room, 2)
    client.receipt(f"NACK\nid:{first['message-id']}\n\n\0")
    again = client.expect("MESSAGE")
    assert (again["message-id"], again["redelivered"]) == (first["message-id"], "true")
    assert again["ack"] != first["ack"]
    client.receipt(f"ACK\nid:{first['message-id']}\n\n\0")
    client.receipt(f"NACK\nid:{second['message-id']}\nrequeue:false\n\n\0")
    client.nothing()
    client.subscribe("/queue/deadletter", id="dead", more=f"selector:original-destination = '{room.queue}'\n")
    assert client.bodies(1) == ["m1"]


def test_by_message_id_in_a_transaction(room: Any) -> None:
    client, messages = given(room, 3)
    for end in ("ABORT", "COMMIT"):
        client.receipt("BEGIN\ntransaction:t\n\n\0")
        client.receipt(f"ACK\nid:{messages[1]['message-id']}\ntransaction:t\n\n\0")
        client.receipt(f"{end}\ntransaction:t\n\n\0")
    assert left(room, client, 2) == ["m0", "m2"]


def test_copies_of_a_topics_message(room: Any) -> None:
    """The header subscription says which one; without it the oldest is meant."""
    client = room.connect()
    for id in ("x", "y", "z"):
        client.subscribe(room.topic, id=id, ack="client-individual", more=f"activemq.subscriptionName:{id}\n")
    client.publish(room.topic, "m")
    message = client.take(3)[0]
    client.receipt(f"ACK\nid:{message['message-id']}\nsubscription:y\n\n\0")
    client.receipt(f"ACK\nid:{message['message-id']}\n\n\0")
    client.leave()
    other = room.connect()
    for id in ("x", "y", "z"):
        other.subscribe(room.topic, id=id, ack="client-individual", more=f"activemq.subscriptionName:{id}\n")
    assert [message["subscription"] for message in other.take(1)] == ["z"]


@pytest.mark.parametrize("which", ["settled", "foreign", "other number"])
def test_what_is_not_with_this_connection_is_an_error(room: Any, which: str) -> None:
    client, messages = given(room, 3)
    client.receipt(f"ACK\nid:{messages[0]['message-id']}\n\n\0")
    other = room.connect()
    other.subscribe(room.queue + ".more", ack="client-individual")
    id = {
        "settled": messages[0]["message-id"],
        "foreign": messages[1]["message-id"],
        "other number": messages[2]["message-id"] + "1",
    }[which]
    wrong = other if which == "foreign" else client
    wrong.send(f"ACK\nid:{id}\n\n\0")
    assert wrong.error()["message"] == f"ACK of no known delivery '{id}'"
    assert left(room, client, 2) == ["m1", "m2"]


@STRICT
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_strict_wants_the_ack_value(room: Any, command: str) -> None:
    client, (message,) = given(room, 1)
    client.send(f"{command}\nid:{message['message-id']}\nsubscription:0\n\n\0")
    assert "no known delivery" in client.error()["message"]
    assert left(room, client, 1) == ["m0"]


def test_both_names_in_any_order(room: Any) -> None:
    """Some by this name and some by that, with more that come and others that come again in between."""
    source = random.Random(7)
    client, messages = given(room, 50)
    settled = set()
    for number in range(400):
        message = messages.pop(source.randrange(len(messages)))
        id = message[source.choice(["ack", "message-id", "message-id"])]
        if source.random() < 0.2:
            client.receipt(f"NACK\nid:{id}\n\n\0")
            messages.append(client.expect("MESSAGE"))
            assert messages[-1]["message-id"] == message["message-id"]
        else:
            client.receipt(f"ACK\nid:{id}\n\n\0")
            settled.add(message.body)
        if number < 300:
            client.publish(room.queue, f"n{number}")
            messages.append(client.expect("MESSAGE"))
        if not messages:
            break
    client.nothing()
    assert sorted(left(room, client, len(messages))) == sorted(message.body for message in messages)
    assert len(settled) + len(messages) == 50 + min(number + 1, 300)


def test_after_its_ack_timeout(room: Any) -> None:
    client, other = room.connect(), room.connect()
    client.publish(room.queue, "x")
    client.subscribe(room.queue, ack="client-individual", more="ack-timeout:200\n")
    message = client.expect("MESSAGE")
    # So that it comes to somebody else when its time is over.
    client.send("UNSUBSCRIBE\nid:0\n\n\0")
    other.subscribe(room.queue)
    assert other.expect("MESSAGE")["message-id"] == message["message-id"]
    late = client.receipt(f"ACK\nid:{message['message-id']}\n\n\0")
    assert late["warning"] == "Its ack-timeout is over, so the message went back before"


def test_what_came_again_after_its_ack_timeout(room: Any) -> None:
    client = room.connect()
    client.publish(room.queue, "x")
    client.subscribe(room.queue, ack="client-individual", more="ack-timeout:500\n")
    client.expect("MESSAGE")
    again = client.expect("MESSAGE")
    # On a slow machine this one's time may be over as well.
    while client.receipt(f"ACK\nid:{again['message-id']}\n\n\0").has("warning"):
        again = client.expect("MESSAGE")
    client.early.clear()
    client.leave()
    other = room.connect()
    other.subscribe(room.queue)
    other.nothing()


# Of what needs none


VERSIONS = pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])


@VERSIONS
@pytest.mark.parametrize("topic", [False, True])
def test_an_ack_of_an_auto_delivery(room: Any, version: str, topic: bool) -> None:
    destination = room.topic if topic else room.queue
    client = room.connect("", version)
    client.subscribe(destination, id="s")
    client.publish(destination, "x")
    (message,) = client.take(1)
    name = f"id:{message['message-id']}\nmessage-id:{message['message-id']}\nsubscription:s"
    assert not client.receipt(f"ACK\n{name}\n\n\0").has("warning")
    assert told(room, client) == "ack-of-auto 1"


@pytest.mark.parametrize("id", ["undefined", "null", "7"])
def test_a_library_that_finds_no_ack_header(room: Any, id: str) -> None:
    """It sends what its language has for nothing; the subscription is known by its own header."""
    client = room.connect()
    client.subscribe(room.queue)
    client.publish(room.queue, "x")
    client.take(1)
    client.receipt(f"ACK\nid:{id}\nsubscription:0\n\n\0")
    client.send(f"ACK\nid:{id}\nsubscription:1\n\n\0")
    assert "no known delivery" in client.error()["message"]


@STRICT
def test_strict_wants_no_ack_of_an_auto_delivery(room: Any) -> None:
    client = room.connect()
    client.subscribe(room.queue)
    client.publish(room.queue, "x")
    (message,) = client.take(1)
    client.send(f"ACK\nid:{message['message-id']}\nsubscription:0\n\n\0")
    assert "no known delivery" in client.error()["message"]


# In a transaction


def names(version: str) -> Callable[[Any], str]:
    if version == "1.2":
        return lambda message: f"id:{message['ack']}"
    return lambda message: f"message-id:{message['message-id']}\nsubscription:s"


@VERSIONS
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_what_a_cumulative_ack_of_the_transaction_covers(room: Any, version: str, end: str) -> None:
    client = room.connect("", version)
    for number in range(4):
        client.publish(room.queue, f"m{number}")
    client.subscribe(room.queue, id="s", ack="client", more="prefetch-count:9\n")
    messages = client.take(4)
    name = names(version)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    for message in (messages[2], messages[0], messages[2], messages[1]):
        client.receipt(f"ACK\n{name(message)}\ntransaction:t\n\n\0")
    client.receipt(f"{end}\ntransaction:t\n\n\0")
    assert told(room, client) == "ack-again 3"
    assert (
        left(room, client, 1 if end == "COMMIT" else 4)
        == [f"m{n}" for n in range(4)][-1 if end == "COMMIT" else 0 :]
    )


@pytest.mark.parametrize(
    ("ack", "first", "second"),
    [
        ("client", "ACK {2} t", "ACK {1} u"),
        ("client", "ACK {2} t", "ACK {1}"),
        ("client", "ACK {2} t", "NACK {1} t"),
        ("client", "NACK {2} t", "ACK {1} t"),
        ("client-individual", "ACK {1} t", "ACK {1} t"),
    ],
)
def test_what_contradicts_it_is_an_error(room: Any, ack: str, first: str, second: str) -> None:
    client, messages = given(room, 3, ack)
    for id in "tu":
        client.receipt(f"BEGIN\ntransaction:{id}\n\n\0")
    for said in (first, second):
        command, id, *transaction = said.format(*[message["ack"] for message in messages]).split()
        client.send(
            f"{command}\nid:{id}\n{''.join(f'transaction:{each}' + chr(10) for each in transaction)}\n\0"
        )
    assert "already part of transaction" in client.error()["message"]
    assert left(room, client, 3) == ["m0", "m1", "m2"]


@STRICT
def test_strict_settles_each_once(room: Any) -> None:
    client, (first, second) = given(room, 2, "client")
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt(f"ACK\nid:{second['ack']}\ntransaction:t\n\n\0")
    client.send(f"ACK\nid:{first['ack']}\ntransaction:t\n\n\0")
    assert "already part of transaction" in client.error()["message"]


# In 1.0


def two_durables(room: Any) -> Client:
    client: Client = room.connect(f"client-id:{room.topic}\n", "1.0")
    for id in ("x", "y"):
        client.subscribe(room.topic, id=id, ack="client", more=f"activemq.subscriptionName:{id}\n")
    return client


@pytest.mark.parametrize("said", ["x", "y"])
def test_1_0_settles_the_copy_of_the_subscription_that_it_names(house: Any, said: str) -> None:
    house.topic = "/topic/t"
    client = two_durables(house)
    client.publish(house.topic, "m")
    (message, _) = client.take(2)
    client.receipt(f"ACK\nmessage-id:{message['message-id']}\nsubscription:{said}\n\n\0")
    client.leave()
    house.restart()
    again = two_durables(house)
    (message,) = again.take(1)
    assert message["subscription"] == ("y" if said == "x" else "x")
    # It has no other copy to take in its place.
    again.send(f"ACK\nmessage-id:{message['message-id']}\nsubscription:{said}\n\n\0")
    assert "no known delivery" in again.error()["message"]


@pytest.mark.parametrize("more", ["", "subscription:/topic/other\n"])
def test_1_0_settles_the_oldest_where_it_names_none(room: Any, more: str) -> None:
    client = two_durables(room)
    client.publish(room.topic, "m")
    (message, _) = client.take(2)
    client.receipt(f"ACK\nmessage-id:{message['message-id']}\n{more}\n\0")
    client.leave()
    again = two_durables(room)
    (message,) = again.take(1)
    assert message["subscription"] == "y"
