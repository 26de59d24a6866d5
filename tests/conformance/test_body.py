"""Bodies, content-length and content-type (lines 40 to 55)."""

from __future__ import annotations

import re

import pytest


@pytest.mark.line(40)
def test_040_receipt_and_connected_have_no_body(connect, version):
    client = connect(version)
    client.send("BEGIN\ntransaction:t\nreceipt:r\n\n\0")
    assert client.connected.body == b""
    assert client.receipt("r").body == b""


@pytest.mark.line(41)
@pytest.mark.versions("1.0")
def test_041_body_of_subscribe_is_ignored_in_1_0(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\ndestination:{queue}\n\nsome body\0SEND\ndestination:{queue}\n\nhello\0")
    client.message("hello")


@pytest.mark.line(42)
@pytest.mark.versions("1.1", "1.2")
def test_042_a_body_on_another_command_is_ignored(connect, version, queue):
    client = connect(version)
    client.send(
        f"SUBSCRIBE\nid:s\ndestination:{queue}\n\nsome body\0BEGIN\ntransaction:t\nreceipt:r\n\nSEND\0"
    )
    client.receipt("r")


@pytest.mark.line(42)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN", "DISCONNECT"])
def test_042_a_body_on_another_command_is_refused_when_strict(connect, strict, version, queue, command):
    client = connect(version, to=strict)
    client.send(f"{command}\nid:s\ndestination:{queue}\ntransaction:t\n\nsome body\0")
    client.error("body", command)


@pytest.mark.line(43, 51)
def test_043_content_length_octets_are_read_nuls_included(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(
        f"SEND\ndestination:{queue}\ncontent-length:12\n\n\0a\0\0b\n\nSEND\n\0SEND\ndestination:{queue}\n\nnext\0"
    )
    assert client.message(b"\0a\0\0b\n\nSEND\n")["content-length"] == "12"
    client.message("next")


@pytest.mark.line(44)
def test_044_content_length_counts_on_every_command(dial, hello, version, queue):
    """But where there is none and a NUL at once, see tests/delivery/acks/test_echoes.py."""
    client = dial(version=version)
    odd = "content-length:4\n\na\0\n\0\0"
    client.send(hello(version)[:-2] + odd)
    client.expect("CONNECTED")
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\nack:client\n{odd}SEND\ndestination:{queue}\n{odd}")
    message = client.message(b"a\0\n\0")
    client.send("BEGIN\ntransaction:t\n" + odd)
    client.ack(message, "transaction:t\ncontent-length:0\n")
    client.send(f"COMMIT\ntransaction:t\n{odd}BEGIN\ntransaction:t\n{odd}ABORT\ntransaction:t\n{odd}")
    client.send(f"UNSUBSCRIBE\nid:s\n{odd}DISCONNECT\nreceipt:r\n{odd}")
    client.receipt("r")
    client.closed()


@pytest.mark.line(45)
@pytest.mark.parametrize("length", [0, 2, 4])
def test_045_nul_must_follow_the_body(connect, version, queue, length):
    client, other = connect(version), connect(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{length}\nreceipt:r\n\nhello\0")
    client.error("content-length")
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(46)
def test_046_without_content_length_the_first_nul_ends_the_body(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n\na\n\nb\n\0\nSEND\ndestination:{queue}\n\nc\0")
    client.messages("a\n\nb\n", "c")


@pytest.mark.line(47, 50)
@pytest.mark.parametrize("length", ["content-length:9\n", ""], ids=["with", "without"])
def test_047_octets_are_counted(connect, version, queue, length):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n{length}\né€🐘\0")
    assert client.message("é€🐘")["content-length"] == "9"


BAD = ["abc", "-1", "1.5", "0x5", "1_0", "٣", "5,5", "+5", "1e1"]
HUGE = ["99999999999999999999", "9" * 5000]


@pytest.mark.line(48)
@pytest.mark.parametrize("length", [*BAD, *HUGE, ""], ids=lambda length: length[:25] or "empty")
def test_048_a_content_length_that_is_no_number(connect, version, queue, length):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{length}\n\nhello\0")
    client.error("body" if length in HUGE else "content-length")


@pytest.mark.line(48)
@pytest.mark.parametrize("length", ["abc", "-1", "99999999999999999999"])
def test_048_also_in_connect(dial, hello, version, length):
    client = dial()
    client.send(hello(version, f"content-length:{length}\n"))
    client.error("body" if length in HUGE else "content-length")


@pytest.mark.line(49)
def test_049_of_repeated_content_lengths_the_first_counts(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(
        f"SEND\ndestination:{queue}\ncontent-length:5\ncontent-length:2\ncontent-length:abc\n\nhello\0"
    )
    assert client.message("hello").values("content-length")[0] == "5"


@pytest.mark.line(50, 51)
@pytest.mark.parametrize("body", ["hello", "a\0b", "\0"], ids=repr)
def test_050_content_length_with_every_body(connect, version, queue, body):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{len(body)}\n\n{body}\0")
    assert client.message(body)["content-length"] == str(len(body))
    client.send("NONSENSE\n\n\0")
    error = client.error()
    assert error.body
    assert error["content-length"] == str(len(error.body))


@pytest.mark.line(52)
@pytest.mark.parametrize("value", ["text/plain", "application/json; charset=utf-16", "nonsense"])
def test_052_content_type_is_passed_on(connect, version, queue, value):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\ncontent-type:{value}\n\nhello\0")
    assert client.message("hello").values("content-type") == [value]


@pytest.mark.line(52, 53)
def test_053_content_type_of_error_is_a_mime_type(connect, version):
    client = connect(version)
    client.send("NONSENSE\n\n\0")
    assert re.fullmatch(r"text/plain(;\s?charset=utf-8)?", client.error()["content-type"])


@pytest.mark.line(54)
def test_054_without_content_type_nothing_is_converted_or_claimed(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(b"SEND\ndestination:" + queue.encode() + b"\n\n\xff\xfe caf\xe9 \r\n \xc3\xa9\0")
    assert not client.message(b"\xff\xfe caf\xe9 \r\n \xc3\xa9").has("content-type")


@pytest.mark.line(55)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(range(256)),
        b"\0" * 1000,
        b"\n" * 1000,
        b"\r\n\0",
        b"\0\n\nSEND\n",
        bytes(range(256)) * 8192,
    ],
    ids=["empty", "all", "nuls", "eols", "crlf", "frame", "2MiB"],
)
def test_055_bodies_are_delivered_unchanged(connect, version, queue, body):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{len(body)}\n\n".encode() + body + b"\0")
    client.message(body)


@pytest.mark.line(55)
def test_055_a_body_of_100_mib(connect, queue):
    client, other = connect("1.2"), connect("1.1")
    body = bytes(range(256)) * (100 * 4096)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{len(body)}\nreceipt:r\n\n".encode())
    client.send(body)
    client.send(b"\0")
    client.receipt("r")
    other.subscribe(queue)
    message = other.message()
    assert len(message.body) == len(body)
    assert message.body == body
