"""RECEIPT (lines 155 to 163)."""

from __future__ import annotations

import pytest

COMMANDS = ["SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK", "DISCONNECT"]


@pytest.mark.line(155, 156, 159)
@pytest.mark.parametrize("command", COMMANDS)
def test_156_each_command(connect, version, queue, command):
    client = connect(version)
    if (version, command) == ("1.0", "NACK"):
        command = "ACK"
    client.subscribe(queue, "s", "client")
    client.publish(queue, "hello")
    message = client.message("hello")
    client.begin("t")
    if command in ("ACK", "NACK"):
        client.settle(message, command, "receipt:r 1\n")
    else:
        names = f"destination:{queue}x\ntransaction:{'u' if command == 'BEGIN' else 't'}\n"
        names += f"id:{'s' if command == 'UNSUBSCRIBE' else 'x'}\n"
        if version == "1.0" and command == "UNSUBSCRIBE":
            names = "id:s\n"
        client.send(f"{command}\n{names}receipt:r 1\n\n\0")
    receipt = client.wait_receipt("r 1")
    assert receipt.body == b""
    assert receipt.values("content-length") in ([], ["0"])
    if command == "DISCONNECT":
        client.closed()
    else:
        assert [frame.command for frame in client.barrier() if frame.command != "MESSAGE"] == []


@pytest.mark.line(157)
def test_157_after_the_frame_was_processed(connect, version, queue):
    client, other = connect(version), connect(version)
    other.subscribe(queue)
    for number in range(50):
        client.send(f"SEND\ndestination:{queue}\nreceipt:r\n\n{number}\0")
        client.receipt("r")
        assert other.bodies() == [str(number)]


@pytest.mark.line(157)
def test_157_after_the_message_that_it_causes(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    client.send(f"SEND\ndestination:{queue}\nreceipt:1\n\none\0")
    message = client.message("one")
    client.receipt("1")
    client.publish(queue, "two")
    client.ack(message, "receipt:2\n")
    client.message("two")
    client.receipt("2")


@pytest.mark.line(158)
def test_158_all_earlier_frames_were_received(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send("".join(f"SEND\ndestination:{queue}\n\n{number}\0" for number in range(200)))
    client.send("BEGIN\ntransaction:t\nreceipt:r\n\n\0")
    client.messages(*map(str, range(200)))
    client.receipt("r")


@pytest.mark.line(158)
def test_158_receipts_come_in_the_order_of_the_frames(connect, version, queue):
    client = connect(version)
    client.send(
        "".join(
            f"SEND\ndestination:{queue}\nreceipt:{number}\n\nx\0BEGIN\ntransaction:{number}\nreceipt:{number}b\n\n\0"
            for number in range(100)
        )
    )
    for number in range(100):
        client.receipt(str(number))
        client.receipt(f"{number}b")


@pytest.mark.line(160)
@pytest.mark.parametrize(
    "frame",
    [
        "SEND\n{}hello\0",
        "SUBSCRIBE\nid:1\n{}\0",
        "COMMIT\ntransaction:t\n{}\0",
        "NONSENSE\n{}\0",
        "ACK\nid:1\n{}\0",
    ],
)
def test_160_none_for_a_frame_that_fails(connect, version, frame):
    client = connect(version)
    client.send(frame.format("receipt:r\n\n"))
    assert client.error()["receipt-id"] == "r"


@pytest.mark.line(161)
@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_161_frames_of_a_client_that_is_gone(connect, version, queue, end):
    client, other = connect(version), connect(version)
    client.send("".join(f"SEND\ndestination:{queue}\n\n{number}\0" for number in range(300)))
    if end == "close":
        client.close()
    else:
        client.socket.shutdown(1)
        client.closed()
    other.subscribe(queue)
    other.messages(*map(str, range(300)))


@pytest.mark.line(163)
@pytest.mark.parametrize(
    "receipt",
    ["0", "a b", "ü€🐘", "x" * 10_000, "receipt-id", "-1", r"\\", "%20", "'\"<>"],
    ids=lambda receipt: receipt[:10],
)
def test_163_odd_values_are_echoed(connect, version, receipt):
    client = connect(version)
    client.send(f"SEND\ndestination:/topic/x\nreceipt:{receipt}\n\n\0")
    assert client.receipt(receipt).values("receipt-id") == [receipt]


@pytest.mark.line(163)
def test_163_an_empty_value_is_echoed(connect, version):
    client = connect(version)
    client.send("SEND\ndestination:/topic/x\nreceipt:\n\n\0")
    client.receipt("")


@pytest.mark.line(163)
@pytest.mark.parametrize("receipt", [r"\n", r"\c", r"\\n", r"a\nb\cc\\"], ids=repr)
def test_163_escaped_values_are_echoed(connect, version, receipt):
    client = connect(version)
    client.send(f"SEND\ndestination:/topic/x\nreceipt:{receipt}\n\n\0")
    client.receipt(receipt)


@pytest.mark.line(163)
def test_163_the_same_value_twice_is_two_receipts(connect, version):
    client = connect(version)
    client.send("SEND\ndestination:/topic/x\nreceipt:r\nreceipt:s\n\n\0" * 3)
    for _ in range(3):
        client.receipt("r")
    client.nothing()
