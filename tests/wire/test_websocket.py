"""WebSocket frames, by literal octets: the leaf and its twin, and both beside the library that says what is right."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import BINARY, TEXT
from websockets.protocol import SERVER, Protocol

from stompserver.wire import leaf as leaf_in_python
from stompserver.wire import websocket
from stompserver.wire.websocket import Codec, Truth, close_frame, frame_end, frame_head, messages


def frame(opening: int, payload: bytes, mask: bytes = b"\x12\x34\x56\x78", wide: int = 0) -> bytes:
    """A frame of a client, as RFC 6455, 5.2 draws it; ``wide``: at least that form of the length (1 or 2)."""
    size = len(payload)
    if size < 126 and not wide:
        head = struct.pack("!BB", opening, 0x80 | size)
    elif size < 65536 and wide < 2:
        head = struct.pack("!BBH", opening, 0xFE, size)
    else:
        head = struct.pack("!BBQ", opening, 0xFF, size)
    return head + mask + bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))


def make() -> Truth:
    return cast(Truth, Protocol(SERVER, max_size=None))


def codec(strict: bool = False) -> Codec:
    return Codec(make, strict, False)


def test_the_example_of_the_specification(leaf: ModuleType) -> None:
    # RFC 6455, 5.7: a single-frame masked text message.
    hello = bytes.fromhex("818537fa213d7f9f4d5158")
    assert leaf.unframe(hello, 0) == (b"Hello", 11, 1)
    assert leaf.unframe(b"xx" + hello + hello, 2) == (b"HelloHello", 24, 1)
    assert leaf.unmask(bytes.fromhex("7f9f4d5158"), bytes.fromhex("37fa213d")) == b"Hello"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 125, 126, 127, 65535, 65536, 70001])
def test_all_lengths(leaf: ModuleType, size: int) -> None:
    payload = bytes(index * 7 % 256 for index in range(size))
    octets = frame(0x82, payload, b"\xff\x00\x80\x01")
    assert leaf.unframe(octets + b"\x82", 0) == (payload, len(octets), 2)
    for cut in {1, 2, 5, len(octets) - 1}:
        if cut < len(octets):
            assert leaf.unframe(octets[:cut], 0) == (b"", 0, 0)


NOT_PLAIN = {
    "a fragment": frame(0x01, b"x"),
    "a continuation": frame(0x80, b"x"),
    "compressed": frame(0xC1, b"x"),
    "a reserved bit": frame(0xA1, b"x"),
    "a reserved opcode": frame(0x83, b"x"),
    "a ping": frame(0x89, b"x"),
    "a close": frame(0x88, b""),
    "not masked": b"\x81\x01x",
    "a length in too many octets": frame(0x81, b"x", wide=1),
    "a length in far too many octets": frame(0x81, b"x" * 300, wide=2),
    "a length of 64 bits": b"\x81\xff" + b"\xff" * 8 + bytes(20),
    "nothing": b"",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_is_not_taken(leaf: ModuleType, name: str) -> None:
    assert leaf.unframe(NOT_PLAIN[name], 0) == (b"", 0, 0)
    before = frame(0x81, b"ab")
    assert leaf.unframe(before + NOT_PLAIN[name], 0) == (b"ab", len(before), 1)


@given(octets=st.binary(max_size=300), start=st.integers(0, 310))
@example(b"\x81\xfe\x00", 0)
@example(b"\x81\xff\x00\x00\x00", 0)
def test_the_leaf_and_its_twin_say_the_same(leaf_in_c: ModuleType, octets: bytes, start: int) -> None:
    for opening in (b"", b"\x81", b"\x82\x85", b"\x81\x80\0\0\0\0"):
        told = leaf_in_python.unframe(opening + octets, start)
        assert leaf_in_c.unframe(opening + octets, start) == told
    mask = (octets + b"abcd")[:4]
    assert leaf_in_c.unmask(octets, mask) == leaf_in_python.unmask(octets, mask)
    assert leaf_in_c.unmask(leaf_in_c.unmask(octets, mask), mask) == octets


def test_wrong_arguments(leaf_in_c: ModuleType) -> None:
    for wrong in ((), (b"",), ("", 0), (b"", "")):
        with pytest.raises(TypeError):
            leaf_in_c.unframe(*wrong)
    with pytest.raises(ValueError, match="before"):
        leaf_in_c.unframe(b"", -1)
    for wrong in ((), (b"x",), (b"x", b"abc"), (b"x", b"abcde"), ("x", b"abcd")):
        with pytest.raises(TypeError):
            leaf_in_c.unmask(*wrong)


# Codec and library


def judged(octets: bytes) -> tuple[bytes, list[bytes], int, bytes | None]:
    """What the library alone makes of a stream: payloads, answers, the code it fails with, the client's Close."""
    library = Protocol(SERVER, max_size=None)
    library.receive_data(octets)
    found = library.events_received()
    payloads = b"".join(bytes(each.data) for each in found if not each.opcode & 8)  # type: ignore[union-attr]
    closed = [bytes(each.data) for each in found if each.opcode == 8]  # type: ignore[union-attr]
    written = library.data_to_send()
    if library.parser_exc is not None:
        assert library.close_sent is not None
        return payloads, written[:-2], library.close_sent.code, None
    if closed:
        return payloads, written[:-2], 0, closed[0]
    return payloads, written, 0, None


def said(pieces: list[bytes], strict: bool = False) -> tuple[bytes, list[bytes], int, bytes | None]:
    """What the codec makes of it."""
    own = codec(strict)
    payloads = b"".join(own.received(piece) for piece in pieces)
    return payloads, own.answers, own.code, own.closing if own.ended and not own.fault else None


def text(size: int) -> bytes:
    return bytes(ord("a") + index % 26 for index in range(size))


frames = st.one_of(
    st.builds(frame, st.sampled_from([0x81, 0x82]), st.binary(max_size=200)),
    st.builds(frame, st.sampled_from([0x01, 0x02, 0x00, 0x80]), st.binary(max_size=200)),
    st.builds(frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=125)),
    st.builds(
        lambda size, wide: frame(0x82, text(size), wide=wide), st.integers(0, 70_000), st.integers(0, 2)
    ),
    st.builds(
        lambda code: frame(0x88, struct.pack("!H", code) + b"why"), st.sampled_from([1000, 1001, 3000, 5])
    ),
)
broken = st.one_of(
    st.builds(frame, st.integers(0, 255), st.binary(max_size=130)),
    st.binary(max_size=20),
)


@given(
    octets=st.builds(
        lambda good, bad: b"".join([*good, *bad]), st.lists(frames, max_size=6), st.lists(broken, max_size=1)
    ),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=8),
)
@example(b"\x83\x80", [])
@example(b"\x8b\x80", [1])
def test_the_codec_says_what_the_library_says(octets: bytes, cuts: list[int]) -> None:
    """However the stream is cut. What the library has not seen to its end, it cannot judge: only that is let through
    before.
    """
    payloads, answers, code, closed = judged(octets)
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    pieces = [octets[a:b] for a, b in itertools.pairwise(places)]
    got, written, failed, ended = said(pieces)
    assert got.startswith(payloads)
    assert (written, ended) == (answers, closed)
    if code:
        assert failed == code
        assert got == payloads
    elif failed:
        # The beginning of a frame told what the library would have found at its end.
        rest = Protocol(SERVER, max_size=None)
        rest.receive_data(octets + bytes(200))
        assert rest.parser_exc is not None or octets[-20:].find(b"\xff") >= 0


SESSION = (
    frame(0x81, b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
    + frame(0x89, b"beat")
    + frame(0x01, b"SEND\ndestination:/que")
    + frame(0x8A, b"")
    + frame(0x00, b"ue/a\n\n")
    + frame(0x80, "hällo\0".encode())
    + frame(0x82, text(300))
    + frame(0x81, b"")
    + frame(0x88, struct.pack("!H", 1000) + b"bye")
)


def test_every_cut_of_a_session() -> None:
    whole = judged(SESSION)
    assert whole[0].endswith(text(300)) and whole[3] == b"\x03\xe8bye" and len(whole[1]) == 1
    for cut in range(len(SESSION) + 1):
        assert said([SESSION[:cut], SESSION[cut:]]) == whole
    assert said([SESSION[at : at + 1] for at in range(len(SESSION))]) == whole


def test_nothing_waits_for_the_end_of_a_frame() -> None:
    """A frame of any length goes on as it comes, also as a part of a message."""
    for opening in (0x82, 0x01):
        own = codec()
        head = struct.pack("!BBQ", opening, 0xFF, 1 << 40) + b"\0\0\0\0"
        assert own.received(head + b"abc") == b"abc"
        assert own.received(b"d" * 100_000) == b"d" * 100_000
        assert own.received(b"e") == b"e"


def test_a_frame_after_others_ends_nothing(leaf: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each leaf."""
    monkeypatch.setattr(websocket, "unframe", leaf.unframe)
    own = codec()
    assert own.received(frame(0x81, b"a") + frame(0x89, b"") + frame(0x81, b"b")[:3]) == b"a"
    assert own.answers == [b"\x8a\x00"]
    assert own.received(frame(0x81, b"b")[3:]) == b"b"
    assert own.kind == 1


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"\x81\x01x", 1002),  # not masked
        (frame(0x91, b"x"), 1002),  # RSV3
        (frame(0xC1, b"x"), 1002),  # compressed, which was not agreed
        (frame(0x83, b""), 1002),  # reserved opcodes
        (frame(0x8B, b""), 1002),
        (frame(0x09, b""), 1002),  # a fragment of a control frame
        (frame(0x89, bytes(126)), 1002),  # a long one
        (b"\x89\xff" + b"\x7f" + b"\xff" * 7 + bytes(4), 1002),  # one that would never end
        (b"\x81\xff\x80" + bytes(7 + 4), 1002),  # a length of 64 bits
        (frame(0x80, b"x"), 1002),  # nothing to continue
        (frame(0x01, b"x") + frame(0x81, b"x"), 1002),  # something to continue
        (frame(0x88, b"\x03"), 1002),  # half a code
        (frame(0x88, struct.pack("!H", 1005)), 1002),  # codes that are not for frames
        (frame(0x88, struct.pack("!H", 999)), 1002),
        (frame(0x88, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
)
def test_what_is_wrong_is_found_and_said(octets: bytes, code: int) -> None:
    own = codec()
    before = frame(0x81, b"SEND")
    assert own.received(before + octets + frame(0x81, b"late")) in (b"SEND", b"SENDx")
    assert own.ended and own.code == code
    assert own.fault is not None and "RFC 6455" in own.fault.rule
    assert own.received(frame(0x81, b"more")) == b""


@pytest.mark.parametrize(
    ("payloads", "good"),
    [
        (["κόσμε".encode()], True),
        ([b"\xce", b"\xba"], True),  # a character in two frames
        ([b"\xf0\x9f\x98", b"\x80"], True),
        ([b"\xce"], False),  # the end is missing
        ([b"\xed\xa0\x80"], False),  # a surrogate
        ([b"\xf4\x90\x80\x80"], False),  # beyond Unicode
        ([b"\xc0\xaf"], False),  # too long
        ([b"a", b"\xff", b"b"], False),
    ],
)
def test_text_has_to_be_utf8_in_strict_mode(payloads: list[bytes], good: bool) -> None:
    octets = b""
    for index, payload in enumerate(payloads):
        last = index == len(payloads) - 1
        octets += frame((0x80 if last else 0) | (1 if index == 0 else 0), payload)
    for strict in (False, True):
        for pieces in ([octets], [octets[at : at + 1] for at in range(len(octets))]):
            got, _, code, _ = said(pieces, strict)
            if good or not strict:
                assert (got, code) == (b"".join(payloads), 0)
            else:
                assert code == 1007
    binary = frame(0x82, b"\xff")
    assert said([binary], True)[0] == b"\xff"


# Towards the client


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 33])
def test_the_head_of_a_frame(size: int) -> None:
    head = frame_head(0x81, size)
    if size < 126:
        assert head == bytes([0x81, size])
    elif size < 65536:
        assert head == b"\x81\x7e" + struct.pack("!H", size)
    else:
        assert head == b"\x81\x7f" + struct.pack("!Q", size)


def test_close_frames() -> None:
    assert close_frame(0) == b"\x88\x00"
    assert close_frame(1002, "no") == b"\x88\x04\x03\xeano"
    long = close_frame(1008, "ä" * 100)
    assert len(long) <= 2 + 125 and long.endswith(b"...")
    assert long[4:-3].decode() == "ä" * 60


FRAMES = [
    b"CONNECTED\nversion:1.2\n\n\0\n",
    b"MESSAGE\nmessage-id:1\ncontent-length:5\n\na\0b\0c\0\n",
    "MESSAGE\nmessage-id:2\ncontent-length:6\n\nhällo\0\n".encode(),
    b"MESSAGE\nmessage-id:3\ncontent-length:3\n\n\xff\0\n\0\n",
    b"RECEIPT\nreceipt-id:x\\ncontent-length:9\n\n\0\n",
]


@given(st.lists(st.sampled_from(FRAMES), max_size=6), st.booleans(), st.data())
def test_messages_are_whole_frames(chosen: list[bytes], beats: bool, data: Any) -> None:
    stream = (b"\n" if beats else b"") + b"".join(chosen)
    # Pieces end where bodies begin or end, or between frames.
    pieces = [(b"\n" if beats else b"") + b"".join(chosen[:2]), *chosen[2:]]
    pieces = [piece for piece in pieces if piece]
    for kind in (TEXT, BINARY):
        made = messages(list(pieces), int(kind))
        assert b"".join(b"".join(parts) for _, parts in made) == stream
        if beats:
            assert made.pop(0) == (int(kind), [b"\n"])
        for sent, parts in made:
            octets = b"".join(parts)
            assert octets.endswith(b"\0\n") and not octets.startswith(b"\n")
            if kind == BINARY:
                assert sent == 2
            else:
                assert (sent == 1) is (b"\xff" not in octets)
        if kind == BINARY or not any(b"\xff" in each for each in chosen):
            assert len(made) <= 1
        alone = messages(list(pieces), int(kind), True)
        sent = [b"".join(parts) for _, parts in alone]
        assert sent == ([b"\n"] if beats else []) + chosen


def test_where_frames_end() -> None:
    stream = b"".join(FRAMES)
    at = 0
    for each in FRAMES:
        end = frame_end(stream, at)
        assert stream[at:end] == each
        at = end


def test_what_was_asked_of_the_library_is_let_go() -> None:
    """Few clients send what it is needed for, and it takes more memory than all else."""
    made: list[Truth] = []

    def remembered() -> Truth:
        made.append(make())
        return made[-1]

    own = Codec(cast(Callable[[], Truth], remembered), False, False)
    own.received(frame(0x81, b"x") * 3)
    assert made == []
    own.received(frame(0x89, b""))
    assert len(made) == 1 and own.truth is None
    own.received(frame(0x01, b""))
    assert own.truth is not None
    own.close()
    assert own.truth is None and own.received(frame(0x81, b"x")) == b""
