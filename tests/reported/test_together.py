"""Reports about transactions and receipts."""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = ["1.0", "1.1", "1.2"]


def test_commit_settles_only_what_was_acknowledged(place: Any) -> None:
    """apache/activemq#359 (AMQ-7211): COMMIT forgot what else was with the client, and later ACKs failed."""
    client = place.connect()
    for number in range(8):
        client.publish(place.queue, str(number))
    client.subscribe(place.queue, ack="client-individual", more="prefetch-count:4\n")
    frames = client.take(4)
    for number, frame in enumerate(frames):
        client.receipt(f"BEGIN\ntransaction:t{number}\n\n\0")
        client.settle(frame, more=f"transaction:t{number}\n")
        client.receipt(f"COMMIT\ntransaction:t{number}\n\n\0")
    assert client.bodies(4) == ["4", "5", "6", "7"]


def test_an_ack_in_a_transaction_of_a_subscription_that_is_gone(place: Any) -> None:
    """rabbitmq/rabbitmq-server#17202: what a cumulative ACK covers was looked for in subscriptions that live."""
    client = place.connect()
    for number in range(3):
        client.publish(place.queue, str(number))
    client.subscribe(place.queue, ack="client")
    frames = client.take(3)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.settle(frames[2], more="transaction:t\n")
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    client.settle(frames[1], more="transaction:t\n")
    client.receipt("COMMIT\ntransaction:t\n\n\0")
    client.leave()
    assert place.left() == []


def test_after_abort_all_can_be_refused(place: Any) -> None:
    """fusesource/stompjms#3: after ABORT messages came again only where each was refused by NACK."""
    client = place.connect()
    client.publish(place.queue, "x")
    client.subscribe(place.queue, ack="client-individual")
    (frame,) = client.take(1)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.settle(frame, more="transaction:t\n")
    client.receipt("ABORT\ntransaction:t\n\n\0")
    client.nothing()
    client.settle(frame, "NACK")
    assert client.take(1)[0]["redelivered"] == "true"


def test_what_fails_gets_an_error_and_no_receipt(place: Any) -> None:
    """pcan/node-stomp-protocol#20: a frame that failed was answered by RECEIPT and by ERROR."""
    client = place.connect()
    client.send("SEND\ndestination:\nreceipt:r\n\nx\0")
    octets = client.rest()
    assert octets.count(b"receipt-id:r") == 1
    assert b"RECEIPT\n" not in octets


@pytest.mark.parametrize("version", VERSIONS)
def test_a_transaction_does_not_live_on_in_another_connection(place: Any, version: str) -> None:
    """juntossomosmais/django-stomp#33: after a reconnect the rest of a transaction was sent to nowhere in silence."""
    client = place.connect(version)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt(f"SEND\ndestination:{place.queue}\ntransaction:t\n\none\0")
    client.part()
    again = place.connect(version)
    again.send(f"SEND\ndestination:{place.queue}\ntransaction:t\nreceipt:r\n\ntwo\0")
    error = again.error()
    assert (error["message"], error["receipt-id"]) == ("No such transaction 't'", "r")
    assert place.left() == []


@pytest.mark.parametrize("end", ["DISCONNECT\n\n\0", ""])
def test_the_end_of_a_connection_aborts(place: Any, end: str) -> None:
    """stomp/stomp-spec#24: what becomes of an open transaction when the client says goodbye, or is cut."""
    client = place.connect()
    client.publish(place.queue, "kept")
    client.subscribe(place.queue, ack="client")
    (frame,) = client.take(1)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt(f"SEND\ndestination:{place.queue}\ntransaction:t\n\nnever\0")
    client.settle(frame, more="transaction:t\n")
    client.send(end)
    client.part()
    assert place.left() == ["kept"]


@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
def test_the_end_of_a_transaction_has_a_receipt(place: Any, command: str) -> None:
    """go-stomp/stomp#57: whether COMMIT and ABORT had succeeded could not be known."""
    client = place.connect()
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt(f"SEND\ndestination:{place.queue}\ntransaction:t\n\nx\0")
    client.receipt(f"{command}\ntransaction:t\n\n\0")
    assert place.left() == (["x"] if command == "COMMIT" else [])
    client.send(f"{command}\ntransaction:t\nreceipt:again\n\n\0")
    assert client.error()["receipt-id"] == "again"


def test_a_receipt_is_found_among_messages(place: Any) -> None:
    """stomp-php/stomp-php#51: ABORT was answered with another frame's receipt."""
    client = place.connect()
    client.subscribe(place.topic)
    wanted = [f"r{number}" for number in range(20)]
    client.send(
        "BEGIN\ntransaction:t\nreceipt:r0\n\n\0"
        + "".join(f"SEND\ndestination:{place.topic}\nreceipt:{name}\n\nx\0" for name in wanted[1:19])
        + "ABORT\ntransaction:t\nreceipt:r19\n\n\0"
    )
    frames = [client.frame() for _ in range(38)]
    assert [frame["receipt-id"] for frame in frames if frame.command == "RECEIPT"] == wanted


def test_an_ack_has_a_receipt(place: Any) -> None:
    """jasonrbriggs/stomp.py#167: ACK and NACK could not ask for a receipt."""
    client = place.connect()
    client.publish(place.queue, "x")
    client.subscribe(place.queue, ack="client")
    (frame,) = client.take(1)
    client.settle(frame, "NACK")
    (frame,) = client.take(1)
    client.settle(frame, "ACK")


def test_a_transaction_cannot_grow_for_ever(new_world: Any) -> None:
    """rabbitmq/rabbitmq-server#8868: one connection could put any number of frames into a transaction."""
    peer = new_world(max_transaction_frames=10).connect("1.2")
    peer.send(b"BEGIN\ntransaction:t\n\n\0")
    peer.send(b"SEND\ndestination:/queue/a\ntransaction:t\n\nx\0" * 10)
    assert peer.read() == []
    (error,) = peer.ask(b"SEND\ndestination:/queue/a\ntransaction:t\n\nx\0")
    assert error["message"].startswith("Transaction too long")
