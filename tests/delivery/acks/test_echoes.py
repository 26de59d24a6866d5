"""Clients that answer a MESSAGE with all of its headers, its content-length among them."""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])


def given(room: Any, version: str, count: int) -> tuple[Any, list[Any]]:
    client = room.connect("", version)
    for number in range(count):
        client.publish(room.queue, f"hello {number}")
    client.subscribe(room.queue, id="s", ack="client-individual", more="prefetch-count:9\n")
    return client, client.take(count)


def echo(message: Any, more: str = "") -> str:
    lines = "".join(f"{name}:{value}\n" for name, value in message.headers)
    return f"ACK\n{lines}id:{message['ack'] if message.has('ack') else 0}\n{more}\n\0"


@VERSIONS
def test_an_ack_with_all_headers_of_its_message(room: Any, version: str) -> None:
    client, messages = given(room, version, 3)
    assert messages[0]["content-length"] == "7"
    for message in messages[:2]:
        assert client.receipt(echo(message)).command == "RECEIPT"
    client.nothing()
    client.close()
    other = room.connect()
    other.subscribe(room.queue)
    assert other.bodies(1) == ["hello 2"]


@VERSIONS
def test_several_in_a_packet_and_an_octet_at_a_time(room: Any, version: str) -> None:
    client, messages = given(room, version, 4)
    client.send("".join(echo(message) for message in messages[:3]))
    for octet in echo(messages[3], "receipt:last\n"):
        client.send(octet)
    assert client.expect("RECEIPT")["receipt-id"] == "last"
    client.leave()
    other = room.connect()
    other.subscribe(room.queue)
    other.nothing()


@pytest.mark.room("--strict")
def test_strict_takes_the_count_at_its_word(room: Any) -> None:
    client, (message,) = given(room, "1.2", 1)
    client.send(f"ACK\nid:{message['ack']}\ncontent-length:5\n\n\0SEND\ndestination:{room.queue}\n\n\0")
    assert client.error()["message"] == "No NUL after the body"


@pytest.mark.parametrize("body", ["{frame}", "x\0{frame}", "\n\0{frame}"])
@pytest.mark.parametrize("command", ["BEGIN\ntransaction:t", "SUBSCRIBE\nid:t\ndestination:/queue/t"])
def test_a_frame_in_the_counted_octets_of_another_is_not_done(room: Any, body: str, command: str) -> None:
    client = room.connect()
    octets = body.format(frame=f"SEND\ndestination:{room.queue}\n\nsmuggled\0")
    client.receipt(f"{command}\ncontent-length:{len(octets)}\n\n{octets}\0")
    client.subscribe(room.queue)
    client.nothing()


def test_nor_in_the_body_of_a_send(room: Any) -> None:
    client = room.connect()
    octets = f"\0SEND\ndestination:{room.queue}\n\nsmuggled\0"
    client.publish(room.topic, octets, f"content-length:{len(octets)}\n")
    client.subscribe(room.queue)
    client.nothing()
