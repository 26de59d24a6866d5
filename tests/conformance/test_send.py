"""SEND (lines 92 to 100)."""

from __future__ import annotations

import pytest


@pytest.mark.line(92, 94)
@pytest.mark.parametrize("headers", ["", "x:1\n", "Destination:/queue/x\n"], ids=repr)
def test_092_destination_is_required(connect, version, headers):
    client = connect(version)
    client.send(f"SEND\n{headers}receipt:r\n\nhello\0")
    error = client.error("destination", "SEND")
    assert error["receipt-id"] == "r"


@pytest.mark.line(93)
@pytest.mark.parametrize(
    "name",
    [
        "Case",
        "case",
        "with space",
        "a//b/",
        "a/../b",
        "%2F",
        "ü/€/🐘",
        "a.b-c_d",
        "a*",
        "a>b",
        "a?b=c&d",
        "🐘" * 100,
    ],
    ids=repr,
)
def test_093_destination_is_opaque(connect, version, queue, name):
    client, other = connect(version), connect(version)
    other.subscribe(f"{queue}/{name}")
    others = {f"{queue}/{name.lower()}x", f"{queue}/{name}/", f"{queue}/{name.swapcase()}"} - {
        f"{queue}/{name}"
    }
    for number, near in enumerate(sorted(others)):
        client.send(f"SEND\ndestination:{near}\n\nnear {number}\0")
    client.publish(f"{queue}/{name}", "hello")
    other.message("hello", destination=f"{queue}/{name}")
    other.nothing()


@pytest.mark.line(94, 96)
def test_096_unknown_transaction(connect, version, queue):
    client, other = connect(version), connect(version)
    client.send(f"SEND\ndestination:{queue}\ntransaction:never\nreceipt:r\n\nhello\0")
    assert client.error("transaction", "never")["receipt-id"] == "r"
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(95)
def test_095_user_headers_are_passed_on(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    names = [
        "persistent",
        "priority",
        "reply-to",
        "correlation-id",
        "type",
        "client-id",
        "X",
        "x",
        "with space",
        "ü",
    ]
    headers = "".join(f"{name}:value of {name}\n" for name in names if name not in ("persistent", "priority"))
    client.send(f"SEND\ndestination:{queue}\npersistent:true\npriority:4\n{headers}\nhello\0")
    message = client.message("hello", persistent="true", priority="4")
    got = [pair for pair in message.headers if pair[1].startswith("value of")]
    assert got == [(name, f"value of {name}") for name in names if name not in ("persistent", "priority")]


@pytest.mark.line(97)
@pytest.mark.parametrize("length", ["", "content-length:0\n"], ids=["without", "with"])
def test_097_an_empty_body(connect, version, queue, length):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n{length}\n\0")
    client.message(b"")


@pytest.mark.line(98)
def test_098_a_topic_without_subscribers(connect, version, topic):
    client = connect(version)
    client.send(f"SEND\ndestination:{topic}\nreceipt:r\n\nhello\0")
    client.receipt("r")
    client.subscribe(topic)
    client.nothing()


@pytest.mark.line(99)
@pytest.mark.parametrize("ack", ["auto", "client"])
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_099_a_client_cannot_set_our_headers(connect, version, ack, kind, queue, topic):
    destination = queue if kind == "queue" else topic
    client, other = connect("1.0"), connect(version)
    other.send(
        f"SUBSCRIBE\ndestination:{destination}\nack:{ack}\nreceipt:r\n{'id:7' if version != '1.0' else 'x:1'}\n\n\0"
    )
    other.receipt("r")
    client.send(
        f"SEND\ndestination:{destination}\nmessage-id:evil\nsubscription:evil\nack:evil\nredelivered:evil\n\nhello\0"
    )
    message = other.message("hello")
    assert message["message-id"] != "evil"
    for name in ("message-id", "ack", "subscription", "redelivered"):
        assert message.values(name)[:1] != ["evil"]


@pytest.mark.line(100)
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_100_private_headers_are_not_passed_on(connect, version, kind, queue, topic):
    destination = queue if kind == "queue" else topic
    client = connect(version)
    client.subscribe(destination)
    client.begin("t")
    client.send(
        f"SEND\ndestination:{destination}\nreceipt:r\ntransaction:t\nlogin:alice\npasscode:secret\nx:1\n\nhello\0"
        "COMMIT\ntransaction:t\n\n\0"
    )
    client.wait_receipt("r")
    message = client.message("hello", x="1")
    assert {"receipt", "transaction", "login", "passcode"} & {name for name, _ in message.headers} == set()
