"""Destinations of dead letters, names to answer to, carriage returns, and the order of headers, as octets."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

import wire


@pytest.fixture
def client_class() -> type[wire.Client]:
    """One for which messages may come before a receipt."""
    return wire.Client


def names(frame: wire.Frame) -> list[str]:
    return [name for name, _ in frame.headers]


# Dead letters


def test_a_dead_letter_shows_its_queue_and_goes_back_as_it_was(house: Any, stompctl: Any) -> None:
    client = house.connect()
    client.subscribe("/queue/work", ack="client-individual", more="x-dead-letter-routing-key:DLQ.work\n")
    client.publish("/queue/work", "bad", "colour:red\n")
    client.receipt(f"NACK\nid:{client.expect('MESSAGE')['ack']}\nrequeue:false\n\n\0")
    client.leave()
    house.restart()
    other = house.connect()
    other.subscribe("/queue/DLQ.work", "dead", ack="client-individual")
    dead = other.expect("MESSAGE")
    assert (dead["destination"], dead["original-destination"]) == ("/queue/DLQ.work", "/queue/work")
    assert dead["colour"] == "red"
    other.leave()
    stompctl("redrive", "DLQ.work", "-p", str(house.server.port), "-H", "127.0.0.1")
    again = house.connect()
    again.subscribe("/queue/work")
    (back,) = again.take(1)
    assert back["destination"] == "/queue/work"
    assert not back.has("original-destination")


def test_a_copy_of_a_topics_message_has_the_topic_again(house: Any, stompctl: Any) -> None:
    client = house.connect()
    client.subscribe("/queue/Consumer.g.VirtualTopic.t", ack="client-individual")
    client.publish("/topic/VirtualTopic.t", "bad")
    message = client.expect("MESSAGE")
    shown = message["destination"]
    client.receipt(f"NACK\nid:{message['ack']}\nrequeue:false\n\n\0")
    client.leave()
    house.restart()
    other = house.connect()
    other.subscribe("/queue/deadletter", ack="client-individual")
    dead = other.expect("MESSAGE")
    assert dead["destination"] == "/queue/deadletter"
    assert dead["original-destination"] == "/queue/Consumer.g.VirtualTopic.t"
    other.leave()
    stompctl("redrive", "-p", str(house.server.port), "-H", "127.0.0.1")
    again = house.connect()
    again.subscribe("/queue/Consumer.g.VirtualTopic.t")
    (back,) = again.take(1)
    assert back["destination"] == shown


@pytest.mark.policies(
    "  /queue/first:\n    deadletter: /queue/second\n  /queue/second:\n    deadletter: /queue/third\n"
)
def test_one_that_dies_again_shows_the_last_of_them(house: Any) -> None:
    client = house.connect()
    client.publish("/queue/first", "bad")
    for name in ("first", "second"):
        client.subscribe(f"/queue/{name}", name, ack="client-individual")
        client.receipt(f"NACK\nid:{client.expect('MESSAGE')['ack']}\nrequeue:false\n\n\0")
    house.restart()
    other = house.connect()
    other.subscribe("/queue/#", "all")
    (dead,) = other.take(1)
    assert (dead["destination"], dead["original-destination"]) == ("/queue/third", "/queue/second")


# reply-to


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_an_answer_from_any_connection_to_a_name_of_two_levels(house: Any, kind: str) -> None:
    asker, worker, helper = house.connect(), house.connect(), house.connect()
    worker.subscribe("/queue/work")
    asker.subscribe(f"/temp-{kind}/my.answers", "mine")
    asker.publish("/queue/work", "3 4", f"reply-to:/temp-{kind}/my.answers\n")
    (question,) = worker.take(1)
    reply = question["reply-to"]
    empty, first, second = reply.split("/")
    assert (empty, first) == ("", {"queue": "reply-queue", "topic": "remote-temp-topic"}[kind])
    session, _, own = second.partition(".")
    assert own == "my.answers"
    for number, client in enumerate((worker, helper, asker)):
        assert not client.publish(reply, str(number)).has("warning")
    # The forms of earlier versions are names of the same.
    assert not helper.publish(f"/{kind}/$temp/{session}/my.answers", "3").has("warning")
    answers = asker.take(4)
    assert [answer.body for answer in answers] == ["0", "1", "2", "3"]
    assert {(answer["subscription"], answer["destination"]) for answer in answers} == {
        ("mine", f"/temp-{kind}/my.answers")
    }


@pytest.mark.parametrize("how", ["", "browser:true\n", "ack:client\n", "durable:true\n"])
def test_only_its_own_connection_subscribes_to_it(house: Any, how: str) -> None:
    asker, thief = house.connect(), house.connect()
    thief.subscribe("/queue/work")
    asker.publish("/queue/work", "x", "reply-to:/temp-queue/answers\n")
    reply = thief.expect("MESSAGE")["reply-to"]
    thief.send(f"SUBSCRIBE\nid:1\ndestination:{reply}\n{how}\n\0")
    assert "somebody else's" in thief.error()["message"]
    # Its own may, by that name, too.
    asker.subscribe(reply, "again", ack="client-individual")


def test_one_that_nobody_has_is_told(house: Any) -> None:
    client = house.connect()
    for name in ("/reply-queue/0123.x", "/reply-queue/0123", "/reply-queue/0123.x/y"):
        assert "Nobody has the temporary destination" in client.publish(name, "x")["warning"]


# Text


def heads(port: int, version: str, *frames: bytes) -> list[bytes]:
    """The heads of the MESSAGEs of /topic/t that a client of that version gets for ``frames``, sent one by one."""
    with (
        socket.create_connection(("127.0.0.1", port), 20) as reader,
        socket.create_connection(("127.0.0.1", port), 20) as sender,
    ):
        reader.sendall(
            f"CONNECT\naccept-version:{version}\nhost:h\n\n\0"
            "SUBSCRIBE\nid:0\ndestination:/topic/t\nreceipt:r\n\n\0".encode()
        )
        data = b""
        while b"RECEIPT" not in data:
            data += reader.recv(65536)
        sender.sendall(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        found = []
        for frame in frames:
            sender.sendall(frame)
            data = b""
            while b"\0" not in data:
                octets = reader.recv(65536)
                assert octets
                data += octets
            found.append(data.partition(b"\n\n")[0].lstrip(b"\n"))
        return found


@pytest.mark.parametrize(
    ("version", "value", "name", "lossy"),
    [
        ("1.0", b"x:a b ", b"n m:1", True),
        ("1.1", b"x:a\rb\r", b"n m:1", True),
        ("1.2", b"x:a\\rb\\r", b"n\\rm:1", False),
    ],
)
def test_carriage_returns(house: Any, version: str, value: bytes, name: bytes, lossy: bool) -> None:
    start = b"SEND\ndestination:/topic/t\n"
    first, second = heads(house.server.port, version, start + b"x:a\\rb\\r\n\n\0", start + b"n\\rm:1\n\n\0")
    assert value in first.split(b"\n")
    # In a value of 1.1 nothing is lost.
    assert (b"x-sanitized:true" in first) is (version == "1.0")
    assert name in second.split(b"\n")
    assert (b"x-sanitized:true" in second) is lossy


def test_where_the_servers_headers_stand(house: Any) -> None:
    """As the reference says it, of the first SEND and of those that the parser has learned to expect."""
    frame = b"SEND\ndestination:/topic/t\na:1\ncontent-length:1\nb:2\n\nx\0"
    found = [head.split(b"\n") for head in heads(house.server.port, "1.2", *[frame] * 20)]
    orders = [[line.partition(b":")[0].decode() for line in lines[1:]] for lines in found]
    front = ["subscription", "destination", "message-id"]
    assert orders[0] == [*front, "content-length", "a", "b"]
    assert orders[-1] == [*front, "a", "content-length", "b"]
    assert all(order in (orders[0], orders[-1]) for order in orders)


def test_where_they_stand_in_a_redelivery_under_another_name(house: Any) -> None:
    client = house.connect()
    for name, order in (
        (
            "/queue/a",
            ["subscription", "ack", "redelivered", "delivery-count", "JMSXDeliveryCount", "destination"],
        ),
        (
            "queue://a",
            ["subscription", "destination", "ack", "redelivered", "delivery-count", "JMSXDeliveryCount"],
        ),
    ):
        client.subscribe(name, ack="client-individual")
        client.publish("/queue/a", "x", "mine:1\n")
        client.send(f"NACK\nid:{client.expect('MESSAGE')['ack']}\n\n\0")
        again = client.expect("MESSAGE")
        assert names(again) == [*order, "message-id", "content-length", "mine"]
        client.receipt(f"ACK\nid:{again['ack']}\n\n\0")
        client.receipt("UNSUBSCRIBE\nid:0\n\n\0")


def test_dead_letters_of_an_older_storage_go_back_too(
    start_server: Any, tmp_path: Path, stompctl: Any
) -> None:
    """They have the destination that they had, and nothing beside it that says so."""
    old = {
        "queue": "/queue/deadletter",
        "key": (5 << 57) + 7,
        "number": 7,
        "destination": "/topic/VirtualTopic.t",
        "headers": [["original-destination", "/queue/Consumer.g.VirtualTopic.t"]],
        "body": "bad",
    }
    export = tmp_path / "export"
    export.write_text(f'{{"stompserver-export": 1}}\n{json.dumps(old)}\n')
    stompctl("-w", str(tmp_path), "-q", "lmdb", "store", "import", str(export))
    server = start_server("-q", "lmdb", directory=tmp_path)
    stompctl("redrive", "-p", str(server.port), "-H", "127.0.0.1")
    client = wire.Client(server.port)
    client.subscribe("/queue/Consumer.g.VirtualTopic.t")
    (back,) = client.take(1)
    assert (back["destination"], back.body) == ("/topic/VirtualTopic.t", "bad")
    client.close()
