"""The cases of the Autobahn test suite for WebSocket servers, by their numbers, where STOMP stands for the echo."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
NAMES = iter(range(1 << 30))

Frame = Callable[..., bytes]


@pytest.fixture
def page(server: Any, browse: Any) -> Any:
    """A WebSocket that is connected by STOMP."""
    return browse(server.port, b"/ws")


def send(body: bytes, more: bytes = b"") -> bytes:
    return b"SEND\ndestination:/queue/none\nreceipt:r\n%bcontent-length:%d\n\n%b\0" % (more, len(body), body)


def echo(page: Any, framed: Callable[[bytes], list[bytes]], body: bytes, kind: int = TEXT) -> bytes:
    """Send a body and get it back."""
    name = b"/topic/echo-%d" % next(NAMES)
    page.send(page.masked(b"SUBSCRIBE\nid:1\ndestination:%b\nreceipt:s\n\n\0" % name))
    assert page.frame().payload == b"RECEIPT\nreceipt-id:s\n\n\0\n"
    page.send(*framed(b"SEND\ndestination:%b\ncontent-length:%d\n\n%b\0" % (name, len(body), body)))
    got = page.frame()
    assert got.first == FIN | kind
    assert got.payload.startswith(b"MESSAGE\n") and got.payload.endswith(b"\0\n")
    page.send(page.masked(b"UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0"))
    assert page.frame().payload == b"RECEIPT\nreceipt-id:u\n\n\0\n"
    return bytes(got.payload.partition(b"\n\n")[2][:-2])


def alive(page: Any) -> bool:
    page.send(page.masked(send(b"x")))
    return bool(page.frame().payload == b"RECEIPT\nreceipt-id:r\n\n\0\n")


def ended(page: Any, code: int) -> str:
    """The server says what was wrong in an ERROR, then in a Close frame, then it ends; the ERROR."""
    got = page.frame()
    assert got.payload.startswith(b"ERROR\n"), got
    assert page.frame().close[0] == code
    assert page.rest() == b""
    return got.payload.decode()


# 1 Framing, 9 Limits and performance


@pytest.mark.parametrize("size", [0, 1, 30, 125, 126, 127, 128, 65400, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("first", [FIN | TEXT, FIN | BINARY], ids=["text", "binary"])
def test_1_sizes(page: Any, frame: Frame, size: int, first: int) -> None:
    body = b"*" * size
    assert echo(page, lambda octets: [frame(octets, first)], body) == body


@pytest.mark.parametrize("cut", [997, 65521])
def test_1_in_chops(page: Any, frame: Frame, cut: int) -> None:
    def framed(octets: bytes) -> list[bytes]:
        whole = frame(octets)
        return [whole[at : at + cut] for at in range(0, len(whole), cut)]

    assert echo(page, framed, b"*" * 65535) == b"*" * 65535


@pytest.mark.long
@pytest.mark.parametrize("mib", [4, 8])
@pytest.mark.parametrize("part", [64, 4096, 65536, 0])
def test_9_large_messages_in_frames_of_many_sizes(page: Any, frame: Frame, mib: int, part: int) -> None:
    def framed(octets: bytes) -> list[bytes]:
        if not part:
            return [frame(octets)]
        cuts = [octets[at : at + part] for at in range(0, len(octets), part)]
        last = len(cuts) - 1
        return [
            b"".join(
                frame(each, (FIN if number == last else 0) | (CONT if number else TEXT))
                for number, each in enumerate(cuts)
            )
        ]

    body = b"*" * ((mib << 20) - 1000)
    assert echo(page, framed, body) == body


# 2 Pings and pongs


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125])
def test_2_a_ping_is_answered(page: Any, frame: Frame, payload: bytes) -> None:
    page.send(frame(payload, FIN | PING))
    assert page.frame() == (FIN | PONG, payload)


def test_2_5_a_ping_that_is_too_long(page: Any) -> None:
    page.send(b"\x89\xfe\0\x7e\0\0\0\0" + b"\xfe" * 126)
    assert "frame" in ended(page, 1002)


def test_2_6_a_ping_octet_by_octet(page: Any, frame: Frame) -> None:
    octets = frame(b"\xfe" * 125, FIN | PING)
    page.send(*[octets[at : at + 1] for at in range(len(octets))])
    assert page.frame() == (FIN | PONG, b"\xfe" * 125)


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
def test_2_7_a_pong_nobody_asked_for(page: Any, frame: Frame, payload: bytes) -> None:
    page.send(frame(payload, FIN | PONG))
    assert alive(page)


def test_2_10_ten_pings(page: Any, frame: Frame) -> None:
    page.send(b"".join(frame(b"%d" % number, FIN | PING) for number in range(10)))
    assert [page.frame().payload for _ in range(10)] == [b"%d" % number for number in range(10)]


# 3 Reserved bits, 4 opcodes, 5.1 masks


@pytest.mark.parametrize("bits", [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_3_reserved_bits(page: Any, frame: Frame, bits: int, opcode: int) -> None:
    page.send(frame(send(b"first")) + frame(b"x" * 20, FIN | bits | opcode))
    got = page.frame().payload
    receipt, error = b"RECEIPT\nreceipt-id:r\n\n\0\n", b"ERROR\nmessage:Broken WebSocket frames"
    assert got.startswith(receipt), "what came before it is done"
    # In the same message, where it is of the same turn of the loop.
    assert (got[len(receipt) :] or page.frame().payload).startswith(error)
    assert page.frame().close[0] == 1002
    assert page.rest() == b""


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x" * 10])
def test_4_opcodes_that_are_none(page: Any, frame: Frame, opcode: int, payload: bytes) -> None:
    page.send(frame(payload, FIN | opcode))
    ended(page, 1002)


@pytest.mark.parametrize("octets", [b"\x81\x05Hello", b"\x82\x00", b"\x89\x00", b"\x88\x00"])
def test_a_frame_without_a_mask(page: Any, octets: bytes) -> None:
    page.send(octets)
    assert "mask" in ended(page, 1002)


# 5 Fragmentation


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_5_1_control_frames_come_whole(page: Any, frame: Frame, opcode: int) -> None:
    page.send(frame(b"fragment1", opcode) + frame(b"fragment2", FIN | CONT))
    ended(page, 1002)


@pytest.mark.parametrize("cut", [0, 1])
def test_5_3_a_message_in_fragments(page: Any, frame: Frame, cut: int) -> None:
    def framed(octets: bytes) -> list[bytes]:
        all = frame(octets[:50], TEXT) + frame(octets[50:60], CONT) + frame(b"", CONT)
        all += frame(octets[60:], FIN | CONT)
        return [all[at : at + cut] for at in range(0, len(all), cut)] if cut else [all]

    assert echo(page, framed, b"fragment" * 10) == b"fragment" * 10


@pytest.mark.parametrize("cut", [0, 1])
def test_5_6_a_ping_between_fragments(page: Any, frame: Frame, cut: int) -> None:
    octets = send(b"in two")
    all = frame(octets[:20], TEXT) + frame(b"ping", FIN | PING) + frame(octets[20:], FIN | CONT)
    page.send(*([all[at : at + cut] for at in range(0, len(all), cut)] if cut else [all]))
    assert page.frame() == (FIN | PONG, b"ping")
    assert page.frame().payload == b"RECEIPT\nreceipt-id:r\n\n\0\n"


@pytest.mark.parametrize(
    "frames",
    [
        [(FIN | CONT, b"x")],
        [(CONT, b"x"), (FIN | TEXT, b"y")],
        [(TEXT, b"\n"), (FIN | TEXT, b"\n")],
        [(TEXT, b"\n"), (BINARY, b"\n")],
        [(TEXT, b"\n"), (FIN | CONT, b"\n"), (FIN | CONT, b"\n")],
        [(TEXT, b"\n"), (FIN | CLOSE, b"\x03\xe8")],
    ],
)  # 5.9 to 5.18
def test_5_fragments_in_a_wrong_order(page: Any, frame: Frame, frames: list[tuple[int, bytes]]) -> None:
    page.send(b"".join(frame(payload, first) for first, payload in frames))
    ended(page, 1002)


def test_5_20_pings_between_many_fragments(page: Any, frame: Frame) -> None:
    octets = send(b"x" * 40)
    parts = [octets[at : at + 20] for at in range(0, len(octets), 20)]
    all = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        all += frame(part, (FIN if last else 0) | (CONT if number else TEXT)) + frame(
            b"%d" % number, FIN | PING
        )
    page.send(all)
    got = [page.frame() for _ in range(len(parts) + 1)]
    assert [each.payload for each in got if each.first == FIN | PONG] == [
        b"%d" % at for at in range(len(parts))
    ]
    assert [each.payload for each in got if each.first == FIN | TEXT] == [b"RECEIPT\nreceipt-id:r\n\n\0\n"]


# 6 UTF-8

GOOD = [
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u0080\u07ff\u0800\uffff\U00010000\U0010ffff\ud7ff\ue000\ufffd",
    "\ufffe\uffff\U0001fffe",
]
BAD = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\x80",
    b"\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc3",
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("strict", [False, True])
def test_6_valid_text_in_any_cut(servers: Any, browse: Any, frame: Frame, text: str, strict: bool) -> None:
    page = browse(servers("--strict" if strict else "--no-strict").port, b"/ws")

    def octet_by_octet(octets: bytes) -> list[bytes]:
        last = len(octets) - 1
        return [
            b"".join(
                frame(octets[at : at + 1], (FIN if at == last else 0) | (CONT if at else TEXT))
                for at in range(len(octets))
            )
        ]

    assert echo(page, octet_by_octet, text.encode()).decode() == text
    assert echo(page, lambda octets: [frame(octets)], text.encode()).decode() == text


@pytest.mark.parametrize("octets", BAD)
def test_6_text_that_is_none(servers: Any, browse: Any, frame: Frame, octets: bytes) -> None:
    """Tolerated, as RabbitMQ's and other clients in the field send it; it comes back as binary, which it is."""
    page = browse(servers("--no-strict").port, b"/ws")
    assert echo(page, lambda framed: [frame(framed)], octets, BINARY) == octets
    page = browse(servers("--strict").port, b"/ws")
    page.send(frame(send(octets)))
    assert "UTF-8" in ended(page, 1007)
    page = browse(servers("--strict").port, b"/ws")
    page.send(frame(b"\n" + octets[:1], TEXT) + frame(octets[1:], FIN | CONT))
    ended(page, 1007)


def test_6_binary_may_be_anything(servers: Any, browse: Any, frame: Frame) -> None:
    page = browse(servers("--strict").port, b"/ws")
    assert echo(page, lambda octets: [frame(octets, FIN | BINARY)], b"\xff\xfe", BINARY) == b"\xff\xfe"


# 7 Close


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x03\xe8", b"\x03\xe8Hello", b"\x03\xe8" + b"*" * 123]
    + [
        code.to_bytes(2, "big")
        for code in (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    ],
)
def test_7_a_close_is_answered(page: Any, frame: Frame, payload: bytes) -> None:
    page.send(frame(send(b"last")) + frame(payload, FIN | CLOSE) + frame(b"behind it", FIN | PING))
    assert page.frame().payload == b"RECEIPT\nreceipt-id:r\n\n\0\n"
    assert page.frame() == (FIN | CLOSE, payload)
    assert page.rest() == b""


@pytest.mark.parametrize(
    "payload",
    [b"\x03"]
    + [code.to_bytes(2, "big") for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)],
)
def test_7_close_codes_that_are_none(page: Any, frame: Frame, payload: bytes) -> None:
    page.send(frame(payload, FIN | CLOSE))
    ended(page, 1002)


def test_7_3_6_a_close_that_is_too_long(page: Any) -> None:
    page.send(b"\x88\xfe\0\x7e\0\0\0\0\x03\xe8" + b"*" * 124)
    ended(page, 1002)


def test_7_5_1_a_reason_that_is_not_utf8(page: Any, frame: Frame) -> None:
    page.send(frame(b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", FIN | CLOSE))
    ended(page, 1007)


def test_a_length_that_is_none(page: Any) -> None:
    page.send(b"\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0x")
    ended(page, 1002)


# 12 and 13 Compression

OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


class Deflating:
    """A WebSocket with compression, as its server wants it."""

    def __init__(self, page: Any, frame: Frame, head: str) -> None:
        self.page = page
        self.frame = frame
        (line,) = [line for line in head.splitlines() if line.startswith("Sec-WebSocket-Extensions")]
        self.alone = "server_no_context_takeover" in line
        wanted = re.search(r"client_max_window_bits=(\d+)", line)
        self.bits = int(wanted[1]) if wanted else 15
        self.unpacker = zlib.decompressobj(wbits=-15)

    def deflated(self, octets: bytes) -> bytes:
        """Each message alone, which a server with contexts understands as well: nothing in it refers to others."""
        packer = zlib.compressobj(wbits=-self.bits)
        return (packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def message(self) -> tuple[int, bytes]:
        """The next message: the first octet of its frame, and its octets."""
        got = self.page.frame()
        if not got.first & 0x40:
            return got.first, got.payload
        if self.alone:
            self.unpacker = zlib.decompressobj(wbits=-15)
        return got.first, self.unpacker.decompress(got.payload + b"\0\0\xff\xff")


@pytest.fixture(params=["on", "context"])
def deflating(request: pytest.FixtureRequest, servers: Any, browse: Any, frame: Frame) -> Deflating:
    """A WebSocket with compression, connected by STOMP."""
    page = browse(servers("--websocket-compression=" + request.param).port)
    head = page.request(b"/ws", OFFER)
    made = Deflating(page, frame, head)
    assert made.alone == (request.param == "on")
    page.send(frame(HELLO))
    assert made.message()[1].startswith(b"CONNECTED\n")
    return made


def deflated(octets: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-12)
    return (packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("size", [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072])
@pytest.mark.parametrize("parts", [1, 3])
def test_12_compressed_messages(deflating: Deflating, frame: Frame, size: int, parts: int) -> None:
    body = (b"%x" % random.Random(size).getrandbits(4 * size)).zfill(size)
    name = b"/topic/deflate-%d" % next(NAMES)
    words = b"SUBSCRIBE\nid:1\ndestination:%b\nreceipt:s\n\n\0" % name
    deflating.page.send(frame(deflating.deflated(words), 0xC1))
    assert deflating.message()[1] == b"RECEIPT\nreceipt-id:s\n\n\0\n"
    octets = deflating.deflated(b"SEND\ndestination:%b\ncontent-length:%d\n\n%b\0" % (name, size, body))
    step = len(octets) // parts + 1
    cuts = [octets[at : at + step] for at in range(0, len(octets), step)]
    last = len(cuts) - 1
    deflating.page.send(
        b"".join(
            frame(each, (FIN if at == last else 0) | (CONT if at else 0x40 | TEXT))
            for at, each in enumerate(cuts)
        )
    )
    first, message = deflating.message()
    assert first == (0xC1 if size >= 1024 or not deflating.alone else 0x81)
    assert message.startswith(b"MESSAGE\n") and message.endswith(b"\n\n" + body + b"\0\n")


def test_compression_is_off_where_nobody_asks_for_it(
    server: Any, servers: Any, browse: Any, frame: Frame
) -> None:
    assert "Extensions" not in browse(server.port).request(b"/ws", OFFER)
    assert "Extensions" not in browse(servers("--websocket-compression=on").port).request(b"/ws", b"")


@pytest.mark.parametrize("login", [False, True])
def test_a_message_that_grows_too_much(servers: Any, browse: Any, frame: Frame, login: bool) -> None:
    """Of octets that stand for a thousand times as many no more are made than a frame of STOMP may have."""
    page = browse(servers("--websocket-compression=on", "--max-body=1MB").port)
    page.request(b"/ws", OFFER)
    if login:
        page.send(frame(HELLO))
        assert page.frame().payload.startswith(b"CONNECTED\n")
    page.send(frame(deflated(b"\n" * (200 << 20)), 0xC2))
    assert "max-body" in ended(page, 1009)


def test_nobody_waits_for_what_becomes_very_much(servers: Any, browse: Any, frame: Frame) -> None:
    server = servers("--websocket-compression=on")
    page, other = browse(server.port), browse(server.port)
    for each in (page, other):
        each.request(b"/ws", OFFER)
        each.send(frame(HELLO))
        assert each.frame().payload.startswith(b"CONNECTED\n")
    page.send(frame(deflated(b"\n" * (30 << 20)), 0xC2) + frame(send(b"last")))
    assert alive(other)
    page.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        page.socket.recv(1)
    page.socket.settimeout(60)
    assert page.frame().payload == b"RECEIPT\nreceipt-id:r\n\n\0\n"


def test_compressed_octets_that_are_none(deflating: Deflating, frame: Frame) -> None:
    deflating.page.send(frame(b"\xff" * 50, 0xC1))
    assert deflating.message()[1].startswith(b"ERROR\nmessage:Broken WebSocket frames")
    assert deflating.page.frame().close[0] == 1002
    assert deflating.page.rest() == b""
