"""Frames and lines (lines 1 to 24)."""

from __future__ import annotations

import re

import pytest


@pytest.mark.line(1)
def test_001_a_frame_is_command_headers_empty_line_body_nul(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0SEND\ndestination:{queue}\nfoo:bar\n\nhello\0")
    assert re.fullmatch(rb"\n*MESSAGE\n([^\n:]+:[^\n]*\n)+\nhello\0", client.until_nul())


@pytest.mark.line(1)
def test_001_nothing_happens_before_the_nul(connect, version, queue):
    client, other = connect(version), connect(version)
    other.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n\nhel")
    other.nothing()
    client.send("lo\0")
    other.message("hello")


@pytest.mark.line(2)
@pytest.mark.versions("1.0", "1.1")
def test_002_lines_end_with_lf(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\nreceipt:r\n\n\0")
    client.receipt("r")
    client.send(f"SEND\ndestination:{queue}\nx:1\n\nhello\0")
    assert client.message("hello")["x"] == "1"


@pytest.mark.line(3)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("mix", range(8))
def test_003_lines_end_with_lf_or_cr_lf_in_any_mixture(connect, version, queue, mix):
    ends = ["\r\n" if mix >> bit & 1 else "\n" for bit in range(3)]
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND{ends[0]}destination:{queue}{ends[1]}x:1{ends[2]}{ends[0]}a\r\nb\0{ends[1]}")
    assert client.message("a\r\nb")["x"] == "1"


@pytest.mark.line(4)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_004_connect_with_either_line_end(dial, version, end, command):
    client = dial()
    client.send(f"{command}{end}accept-version:{version}{end}host:localhost{end}{end}\0{end}")
    assert client.expect("CONNECTED")["version"] == version


@pytest.mark.line(4)
def test_004_connect_with_crlf_and_nothing_else_is_1_0(dial):
    client = dial()
    client.send("CONNECT\r\n\r\n\0\r\n")
    client.expect("CONNECTED")


@pytest.mark.line(5)
@pytest.mark.versions("1.1")
def test_005_crlf_in_1_1_is_stripped(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\r\ndestination:{queue}\r\nx:1\r\n\r\nhello\0\r\n")
    assert client.message("hello")["x"] == "1"


@pytest.mark.line(5)
@pytest.mark.versions("1.1")
def test_005_cr_in_1_1_belongs_to_the_value_when_strict(connect, strict, version, queue):
    client = connect(version, to=strict)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:1\r\n\nhello\0")
    # what a header line of ours must not carry is replaced, as for an LF from 1.2
    assert client.message("hello")["x"] in ("1\r", "1 ")


@pytest.mark.line(6)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("header", ["x:a\rb", "x\ry:a", "x:a\r\r"])
def test_006_cr_without_lf_is_malformed(connect, version, queue, header):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\n{header}\n\nhello\0")
    client.error()


@pytest.mark.line(7)
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_007_eols_after_nul_are_skipped(connect, version, queue, count):
    end = "\n" * count if version != "1.2" else "\r\n" * count
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n\n1\0{end}SEND\ndestination:{queue}\n\n2\0{end}")
    client.messages("1", "2")
    client.nothing()


@pytest.mark.line(8)
@pytest.mark.parametrize("before", ["\n", "\n\n\n", "\r\n\r\n"], ids=repr)
def test_008_eols_before_the_first_frame(dial, hello, version, before):
    client = dial()
    client.send(before + hello(version))
    client.expect("CONNECTED")


@pytest.mark.line(9)
def test_009_an_eol_between_frames_is_no_frame(connect, version):
    client = connect(version)
    for _ in range(10):
        client.send("\n")
    client.nothing()


@pytest.mark.line(10)
def test_010_the_server_ends_lines_with_lf(connect, version, queue):
    end = "\r\n" if version == "1.2" else "\n"
    client = connect(version)
    client.send(f"SUBSCRIBE{end}id:s{end}destination:{queue}{end}receipt:r{end}{end}\0")
    frames = [client.connected, client.receipt("r")]
    client.send(f"SEND{end}destination:{queue}{end}x:1{end}{end}hello\0NONSENSE{end}{end}\0")
    frames += [client.message("hello"), client.error()]
    assert [frame.command for frame in frames if b"\r" in frame.raw] == []


@pytest.mark.line(11)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("command", ["send", "Send", "SENd"])
def test_011_commands_are_case_sensitive(connect, version, queue, command):
    client = connect(version)
    client.send(f"{command}\ndestination:{queue}\n\nhello\0")
    client.error(command)


@pytest.mark.line(11)
@pytest.mark.versions("1.0")
def test_011_lower_case_is_accepted_in_1_0_as_the_original_did(dial, version, queue):
    client = dial(version=version)
    client.send(f"connect\n\n\0subscribe\ndestination:{queue}\n\n\0send\ndestination:{queue}\n\nhello\0")
    client.expect("CONNECTED")
    client.message("hello")


@pytest.mark.line(12)
def test_012_header_names_are_case_sensitive(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(
        f"SEND\nDestination:elsewhere\nDESTINATION:nowhere\ndestination:{queue}\nReceipt:no\n\nhello\0"
    )
    message = client.message(
        "hello", destination=queue, Destination="elsewhere", DESTINATION="nowhere", Receipt="no"
    )
    assert message.values("destination") == [queue]
    client.send(f"SEND\nDestination:{queue}\n\nhello\0")
    client.error("destination")


@pytest.mark.line(13)
@pytest.mark.parametrize("header", ["nocolon", "destination", " ", "a b"])
def test_013_a_header_line_without_a_colon(connect, version, queue, header):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\n{header}\n\nhello\0")
    client.error("colon")


@pytest.mark.line(13)
def test_013_a_header_line_without_a_colon_in_connect(dial, version):
    client = dial()
    client.send(f"CONNECT\naccept-version:{version}\nhost\n\n\0")
    client.error("colon")


@pytest.mark.line(14)
@pytest.mark.parametrize("header", [":value", ":", "::"])
def test_014_an_empty_header_name(connect, version, queue, header):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\n{header}\n\nhello\0")
    client.error("name")


@pytest.mark.line(15)
def test_015_an_empty_header_value(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:\ny:1\n\nhello\0")
    client.message("hello", x="", y="1")


@pytest.mark.line(16)
@pytest.mark.versions("1.0")
def test_016_only_the_first_colon_separates(connect, version, queue):
    client = connect(version)
    client.subscribe(f"{queue}:b:c")
    client.send(f"SEND\ndestination:{queue}:b:c\nurl:http://host:80/\nx::\nreceipt:a:b\n\nhello\0")
    message = client.message("hello", destination=f"{queue}:b:c")
    assert b"\nurl:http://host:80/\n" in message.raw
    assert b"\nx::\n" in message.raw
    assert b"\nreceipt-id:a:b\n" in client.expect("RECEIPT").raw


@pytest.mark.line(17)
@pytest.mark.versions("1.1", "1.2")
def test_017_a_raw_colon_in_a_value_is_kept(connect, version, queue):
    client = connect(version)
    client.subscribe(f"{queue}:b")
    client.send(f"SEND\ndestination:{queue}:b\nurl:http://host:80/\n\nhello\0")
    assert b"\nurl:http\\c//host\\c80/\n" in client.message("hello").raw


@pytest.mark.line(17)
@pytest.mark.versions("1.1", "1.2")
def test_017_a_raw_colon_in_a_value_is_refused_when_strict(connect, strict, version, queue):
    client = connect(version, to=strict)
    client.send(f"SEND\ndestination:{queue}\nurl:http://host:80/\n\nhello\0")
    client.error("url")


@pytest.mark.line(18)
def test_018_headers_are_utf_8(connect, version, queue):
    client = connect(version)
    client.subscribe(f"{queue}-ü-€-🐘", "é-🐘")
    client.send(f"SEND\ndestination:{queue}-ü-€-🐘\nnäme-🐘:välue €\nreceipt:ü\n\nhello\0")
    message = client.message("hello", destination=f"{queue}-ü-€-🐘", subscription="é-🐘")
    assert "\nnäme-🐘:välue €\n".encode() in message.raw
    client.receipt("ü")


@pytest.mark.line(18)
def test_018_an_unknown_command_in_utf_8_is_named(connect, version):
    client = connect(version)
    client.send("SÉND\n\n\0")
    client.error("SÉND")


@pytest.mark.line(19)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "octets",
    [b"\xff", b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"],
    ids=["ff", "cut", "continuation", "surrogate", "overlong", "too-large"],
)
def test_019_invalid_utf_8_is_refused(connect, version, queue, octets):
    client = connect(version)
    client.send(b"SEND\ndestination:" + queue.encode() + b"\nx:" + octets + b"\n\nhello\0")
    client.error("utf-8")


@pytest.mark.line(19)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("line", [b"x\xff:1", b"SE\xffND"], ids=["name", "command"])
def test_019_invalid_utf_8_in_names_is_refused(connect, version, line):
    client = connect(version)
    client.send((b"SEND\n" + line if b":" in line else line) + b"\n\nhello\0")
    client.error()


@pytest.mark.line(19)
@pytest.mark.versions("1.0")
def test_019_octets_that_are_no_utf_8_are_kept_in_1_0(connect, version, queue):
    client, modern = connect(version), connect("1.2")
    client.subscribe(queue)
    frame = b"SEND\ndestination:" + queue.encode() + b"\nx:caf\xe9\n\nhello\0"
    client.send(frame)
    assert b"\nx:caf\xe9\n" in client.message("hello").raw
    client.unsubscribe()
    modern.subscribe(queue)
    client.send(frame)
    # what a 1.2 client gets is UTF-8, whatever stands for the octet
    assert b"\nx:caf" in modern.message("hello").head()
    modern.nothing()


SPLIT = "SEND\ndestination:{}\ncontent-length:8\nnäme:väl\\\\ue\nx: y \n\na\nb\0\0\ncd\0"


@pytest.mark.line(20)
def test_020_frames_split_at_every_octet(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    data = SPLIT.format(queue).encode()
    for cut in range(1, len(data)):
        client.send(data[:cut])
        client.send(data[cut:])
        message = client.message(b"a\nb\0\0\ncd")
        assert "\nnäme:väl\\\\ue\n".encode() in message.raw
        assert message["x"] == (" y " if version != "1.0" else "y")
    client.nothing()


@pytest.mark.line(20)
def test_020_octet_by_octet(dial, hello, version, queue):
    client = dial(version=version)
    data = hello(version) + f"\nSUBSCRIBE\nid:s\ndestination:{queue}\n\n\0" + SPLIT.format(queue)
    for octet in data.encode():
        client.send(bytes([octet]))
    client.expect("CONNECTED")
    client.message(b"a\nb\0\0\ncd")


@pytest.mark.line(20)
def test_020_many_frames_in_one_read(dial, hello, version, queue):
    client = dial(version=version)
    sends = "".join(f"SEND\ndestination:{queue}\nn:{n}\n\n{n}\0" for n in range(2000))
    client.send(hello(version) + f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0" + sends)
    client.expect("CONNECTED")
    client.messages(*map(str, range(2000)))
    client.nothing()


@pytest.mark.line(21)
@pytest.mark.parametrize(
    "frame",
    [
        "SE\0ND\ndestination:{}\n\nhello\0",
        "SEND\ndesti\0nation:{}\n\nhello\0",
        "SEND\ndestination:{}\nx:a\0b\n\n\0",
    ],
)
def test_021_nul_in_command_or_headers(connect, version, queue, frame):
    client = connect(version)
    client.send(frame.format(queue))
    client.error()


@pytest.mark.line(22)
@pytest.mark.parametrize("command", ["NONSENSE", "SENDX", "SEN", "two words", "GET / HTTP/1.1"])
def test_022_unknown_command(connect, version, command):
    client = connect(version)
    client.send(f"{command}\ndestination:/queue/x\nreceipt:r\n\n\0")
    client.error(command.split()[0])


@pytest.mark.line(23)
@pytest.mark.parametrize("command", ["CONNECTED", "MESSAGE", "RECEIPT", "ERROR"])
def test_023_commands_of_the_server(connect, version, queue, command):
    client = connect(version)
    client.send(f"{command}\ndestination:{queue}\nmessage-id:1\nsubscription:1\nreceipt-id:1\n\nhello\0")
    client.error(command)


@pytest.mark.line(24)
@pytest.mark.parametrize("first", ["CONNECT", "STOMP"])
def test_024_the_commands_of_each_version(dial, hello, version, queue, first):
    client = dial(version=version)
    client.send(hello(version).replace("CONNECT", first))
    client.expect("CONNECTED")
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\nack:client\n\n\0SEND\ndestination:{queue}\n\nhello\0")
    message = client.message("hello")
    if version != "1.0":
        client.nack(message)
        message = client.message("hello")
    client.send("BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0BEGIN\ntransaction:t\n\n\0")
    client.ack(message, "transaction:t\n")
    client.send("COMMIT\ntransaction:t\n\n\0UNSUBSCRIBE\nid:s\n\n\0DISCONNECT\nreceipt:r\n\n\0")
    client.receipt("r")
    client.closed()
