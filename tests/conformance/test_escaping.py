"""Escapes of header names and values (lines 25 to 39). Raw strings show what is on the wire."""

from __future__ import annotations

import pytest


@pytest.mark.line(25)
@pytest.mark.versions("1.0")
def test_025_backslashes_mean_nothing_in_1_0(connect, version, queue):
    client = connect(version)
    client.subscribe(rf"{queue}\c\n")
    client.send(
        rf"SEND%destination:{queue}\c\n%x\n:a\nb\cc\\d\te\%receipt:\r\t%%hello".replace("%", "\n") + "\0"
    )
    raw = client.message("hello").raw
    assert rf"destination:{queue}\c\n".encode() in raw.split(b"\n")
    assert rb"x\n:a\nb\cc\\d\te" + b"\\" in raw.split(b"\n")
    assert rb"receipt-id:\r\t" in client.expect("RECEIPT").raw.split(b"\n")


@pytest.mark.line(25)
@pytest.mark.versions("1.0")
def test_025_an_escaped_name_is_another_queue_in_1_0(connect, version, queue):
    client = connect(version)
    client.subscribe(f"{queue}:x")
    client.send(rf"SEND%destination:{queue}\cx%%escaped".replace("%", "\n") + "\0")
    client.nothing()


@pytest.mark.line(26, 32)
@pytest.mark.versions("1.1", "1.2")
def test_026_escapes_in_names_and_values(connect, version, queue):
    client, plain = connect(version), connect("1.0")
    client.subscribe(rf"{queue}\cx")
    client.send(rf"SEND%destination:{queue}\cx%n\cam\n\\e:v\cal\n\\ue%%hello".replace("%", "\n") + "\0")
    lines = client.message("hello").raw.split(b"\n")
    assert rb"n\cam\n\\e:v\cal\n\\ue" in lines
    assert rf"destination:{queue}\cx".encode() in lines
    client.unsubscribe()
    plain.subscribe(f"{queue}:x")
    client.send(rf"SEND%destination:{queue}\cx%x:a\\b\cc%%decoded".replace("%", "\n") + "\0")
    assert plain.message("decoded").raw.split(b"\n").count(rb"x:a\b:c") == 1


@pytest.mark.line(27)
@pytest.mark.versions("1.2")
def test_027_1_2_escapes_cr_too(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(rf"SEND%destination:{queue}%x\ry:a\rb\r%receipt:\r%%hello".replace("%", "\n") + "\0")
    assert rb"x\ry:a\rb\r" in client.message("hello").raw.split(b"\n")
    assert rb"receipt-id:\r" in client.expect("RECEIPT").raw.split(b"\n")


@pytest.mark.line(27, 36)
@pytest.mark.versions("1.1", "1.2")
def test_027_a_cr_from_1_2_is_no_undefined_escape_for_1_1(connect, version, queue):
    client, other = connect("1.2"), connect("1.1")
    other.subscribe(queue)
    client.send(rf"SEND%destination:{queue}%x:a\rb%%hello".replace("%", "\n") + "\0")
    assert rb"\r" not in other.message("hello").raw
    other.nothing()


@pytest.mark.line(28)
@pytest.mark.versions("1.1")
def test_028_escaped_cr_is_undefined_in_1_1(connect, version, queue):
    client = connect(version)
    client.send(rf"SEND%destination:{queue}%x:a\rb%%hello".replace("%", "\n") + "\0")
    client.error(r"\r")


@pytest.mark.line(29)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "header", [r"x:\t", r"x\t:1", r"x:a\ b", r"x:\N", r"x:\C", r"x:\0", r"x:\:", r"\a:1", r"x:\\\t"]
)
def test_029_undefined_escapes_are_fatal(connect, version, queue, header):
    client, other = connect(version), connect(version)
    client.send(f"SEND\ndestination:{queue}\n{header}\n\nhello\0")
    client.error("\\")
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(29)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "command", ["SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK", "DISCONNECT"]
)
def test_029_undefined_escapes_are_fatal_in_every_command(connect, version, queue, command):
    client = connect(version)
    client.send(f"{command}\ndestination:{queue}\nid:1\nx:\\t\n\n\0")
    client.error(r"\t")


@pytest.mark.line(30)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("header", ["x:a\\", "x:\\", "x:\\\\\\", "x\\:a"])
def test_030_a_lone_backslash_at_the_end(connect, version, queue, header):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\n{header}\n\nhello\0")
    client.error("\\")


@pytest.mark.line(31)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    ("escaped", "plain"),
    [(r"\\n", r"\n"), (r"\\c", r"\c"), (r"\\\\c", r"\\c"), (r"\\\c", "\\:"), (r"\\r\\t", r"\r\t")],
)
def test_031_one_pass_from_the_left(connect, version, queue, escaped, plain):
    client, other = connect(version), connect("1.0")
    other.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:{escaped}\n\nhello\0")
    assert f"x:{plain}".encode() in other.message("hello").raw.split(b"\n")
    other.unsubscribe()
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:{escaped}\n\nhello\0")
    assert f"x:{escaped}".encode() in client.message("hello").raw.split(b"\n")


@pytest.mark.line(32)
@pytest.mark.versions("1.1", "1.2")
def test_032_subscription_and_message_are_escaped(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, r"s\c\\\n1")
    client.publish(queue, "hello")
    assert rb"subscription:s\c\\\n1" in client.message("hello").raw.split(b"\n")
    client.send(
        rf"SUBSCRIBE%id:x%destination:{queue}%ack:a\cb\nc\\%receipt:\n\c\\%%".replace("%", "\n") + "\0"
    )
    error = client.error()
    assert rb"receipt-id:\n\c\\" in error.raw.split(b"\n")
    assert ":" not in error["message"]
    assert {name for name, _ in error.headers} <= {
        "message",
        "content-type",
        "content-length",
        "receipt-id",
        "version",
    }


ODD = r"x:\t\n\c\\\ and \\ at the end\%receipt:a\tb:c\%"


@pytest.mark.line(33, 35)
def test_033_connect_is_not_unescaped_connected_not_escaped(dial, hello, version):
    client = dial()
    client.send(hello(version, ODD.replace("%", "\n")))
    assert rb"receipt-id:a\tb:c" + b"\\" in client.expect("CONNECTED").raw.split(b"\n")


@pytest.mark.line(34)
def test_034_nor_is_stomp(dial, hello, version):
    client = dial()
    client.send(hello(version, ODD.replace("%", "\n")).replace("CONNECT", "STOMP"))
    assert rb"receipt-id:a\tb:c" + b"\\" in client.expect("CONNECTED").raw.split(b"\n")


@pytest.mark.line(33, 34)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
@pytest.mark.parametrize("passcode", ["back\\slash\\c", "a:b\\t"])
def test_033_a_passcode_with_a_backslash(serve, dial, hello, version, command, passcode):
    client = dial(serve("-a", passwd="odd: back\\slash\\c\nodd2: a:b\\t\n"))
    login = "odd" if "slash" in passcode else "odd2"
    client.send(hello(version, f"login:{login}\npasscode:{passcode}\n").replace("CONNECT", command))
    client.expect("CONNECTED")


@pytest.mark.line(36)
@pytest.mark.parametrize("value", ["back\\slash", "a\\nb", "a:b:c", "a\\c\\\\"], ids=repr)
def test_036_a_value_from_1_0_is_escaped_for_the_receiver(connect, version, queue, value):
    client, other = connect("1.0"), connect(version)
    other.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:{value}\n\nhello\0")
    escaped = value if version == "1.0" else value.replace("\\", "\\\\").replace(":", "\\c")
    assert f"x:{escaped}".encode() in other.message("hello").raw.split(b"\n")


@pytest.mark.line(36)
@pytest.mark.versions("1.1", "1.2")
def test_036_a_line_feed_injects_no_header_into_1_0(connect, version, queue):
    client, other = connect(version), connect("1.0")
    other.subscribe(queue)
    client.send(rf"SEND%destination:{queue}%x:a\ninjected\c1\n\nbody%%hello".replace("%", "\n") + "\0")
    message = other.message("hello", x="a injected:1  body", x_sanitized="true")
    assert not message.has("injected")
    other.nothing()


@pytest.mark.line(36)
@pytest.mark.versions("1.1", "1.2")
def test_036_a_line_feed_in_a_name_injects_no_header_into_1_0(connect, version, queue):
    client, other = connect(version), connect("1.0")
    other.subscribe(queue)
    client.send(rf"SEND%destination:{queue}%a\ninjected\c1\n\nx:1%%hello".replace("%", "\n") + "\0")
    assert not other.message("hello").has("injected")
    other.nothing()


@pytest.mark.line(37)
@pytest.mark.versions("1.1", "1.2")
def test_037_spaces_are_kept(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:  a \t b  \n y :1\nz: \nreceipt: r \n\nhello\0")
    lines = client.message("hello").raw.split(b"\n")
    assert {b"x:  a \t b  ", b" y :1", b"z: "} <= set(lines)
    assert b"receipt-id: r " in client.expect("RECEIPT").raw.split(b"\n")


@pytest.mark.line(37)
@pytest.mark.versions("1.1", "1.2")
def test_037_a_name_with_a_space_is_another_queue(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue} \n\nhello\0")
    client.nothing()


@pytest.mark.line(38)
@pytest.mark.versions("1.0")
def test_038_spaces_around_values_are_trimmed_in_1_0(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\ndestination: {queue}\nack: client\nid: 7 \n\n\0")
    client.send(f"SEND\ndestination: {queue} \nx:  a  b \t\nreceipt: r\ncontent-length: 5 \n\nhello\0")
    client.message("hello", destination=queue, x="a  b", subscription="7")
    client.receipt("r")


@pytest.mark.line(38)
@pytest.mark.versions("1.0")
def test_038_login_with_a_space_as_in_the_1_0_examples(serve, dial, version):
    client = dial(serve("-a", passwd="alice:secret\n"))
    client.send("CONNECT\nlogin: alice\npasscode: secret\n\n\0")
    client.expect("CONNECTED")


@pytest.mark.line(38)
@pytest.mark.versions("1.0")
def test_038_also_in_connect(dial, version):
    client = dial()
    client.send("CONNECT\nreceipt: hello \n\n\0")
    client.expect("CONNECTED", receipt_id="hello")


@pytest.mark.line(39)
@pytest.mark.versions("1.1", "1.2")
def test_039_receipt_id_injects_no_header(connect, version):
    client = connect(version)
    client.send(r"SEND%destination:/topic/x%receipt:a\ninjected\c1\\%%".replace("%", "\n") + "\0")
    assert client.expect("RECEIPT").raw.split(b"\n").count(rb"receipt-id:a\ninjected\c1\\") == 1


@pytest.mark.line(39)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "frame", [r"SUBSCRIBE%id:1%destination:/queue/x%ack:{}%%", r"COMMIT%transaction:{}%%"]
)
def test_039_message_of_error_injects_no_header(connect, version, frame):
    client = connect(version)
    client.send(frame.format(r"a\ninjected\c1\n\nx").replace("%", "\n") + "\0")
    assert not client.error().has("injected")
