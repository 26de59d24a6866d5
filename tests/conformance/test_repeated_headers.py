"""Repeated header entries (lines 56 to 58)."""

from __future__ import annotations

import pytest

VERSIONS = ("1.0", "1.1", "1.2")


@pytest.mark.line(56)
def test_056_the_first_entry_is_the_value(connect, version, queue):
    client = connect(version)
    client.send(
        f"SUBSCRIBE\nid:first\nid:second\ndestination:{queue}\ndestination:{queue}x\nack:client\nack:bad\n\n\0"
    )
    client.send(
        f"SEND\ndestination:{queue}\ndestination:{queue}x\nreceipt:r1\nreceipt:r2\nx:1\nx:2\n\nhello\0"
    )
    message = client.message("hello", destination=queue, subscription="first", x="1")
    client.receipt("r1")
    client.ack(message, "message-id:bad\nid:bad\nsubscription:bad\n")
    client.send(
        "BEGIN\ntransaction:t\ntransaction:u\n\n\0COMMIT\ntransaction:t\ntransaction:u\nreceipt:r3\n\n\0"
    )
    client.receipt("r3")
    client.nothing()


@pytest.mark.line(56)
def test_056_also_in_connect(dial, version):
    client = dial()
    client.send(
        f"CONNECT\naccept-version:{version}\naccept-version:9.9\nhost:a\nhost:b\nheart-beat:0,0\nheart-beat:bad\n\n\0"
    )
    client.expect("CONNECTED", version=version)


@pytest.mark.line(56)
def test_056_also_login_and_passcode(serve, dial, hello):
    """All versions at once: what is refused takes the server a second on purpose."""
    server = serve("-a", passwd="alice:secret\n")
    good = [dial(server) for _ in VERSIONS]
    bad = [dial(server) for _ in VERSIONS]
    for version, first, second in zip(VERSIONS, good, bad, strict=True):
        first.send(hello(version, "login:alice\nlogin:bob\npasscode:secret\npasscode:wrong\n"))
        second.send(hello(version, "login:bob\nlogin:alice\npasscode:wrong\npasscode:secret\n"))
    for client in good:
        client.expect("CONNECTED")
    for client in bad:
        client.error()


@pytest.mark.line(57)
def test_057_our_headers_come_before_the_users(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, "mine", "client")
    client.send(
        f"SEND\ndestination:{queue}\nmessage-id:evil\nsubscription:evil\nack:evil\nredelivered:evil\nx:1\n\nhello\0"
    )
    message = client.message("hello", subscription="mine", x="1")
    assert message["message-id"] != "evil"
    if version == "1.2":
        assert message["ack"] != "evil"
    client.ack(message)
    client.nothing()


@pytest.mark.line(58)
def test_058_entries_are_never_merged(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:1\ny:2\nx:3\nx:1\n\nhello\0")
    message = client.message("hello", y="2")
    assert message.values("x") in (["1"], ["1", "3", "1"])
