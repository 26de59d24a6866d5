"""The grammar: one table of octets and what they are in each version, however the octets are cut."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stompserver.wire.alike import LEARN
from stompserver.wire.frame import Frame, PlainSend
from stompserver.wire.parser import Limits, Parser

ALL = ("1.0", "1.1", "1.2")
ESCAPING = ("1.1", "1.2")
STRICT = ("1.0 strict", "1.1 strict", "1.2 strict")
ANY_OCTETS = bytes(range(256))

# name, versions, octets, frames, how the summary of the error after them begins
CASES: list[tuple[str, tuple[str, ...], bytes, list[tuple[str, dict[str, str], bytes]], str | None]] = [
    # Frames and lines
    ("no header", ALL, b"DISCONNECT\n\n\0", [("DISCONNECT", {}, b"")], None),
    ("a body", ALL, b"SEND\na:b\n\nbody\0", [("SEND", {"a": "b"}, b"body")], None),
    ("line feeds in a body", ALL, b"SEND\n\n\n\nx\n\0", [("SEND", {}, b"\n\nx\n")], None),
    ("CR LF", ALL, b"SEND\r\na:b\r\n\r\nx\0", [("SEND", {"a": "b"}, b"x")], None),
    (
        "CR LF and LF in a frame",
        ALL,
        b"SEND\r\na:b\nc:d\r\n\nx\0",
        [("SEND", {"a": "b", "c": "d"}, b"x")],
        None,
    ),
    ("LF, then an empty CR LF line", ALL, b"SEND\na:b\n\r\nx\0", [("SEND", {"a": "b"}, b"x")], None),
    ("CR LF after the empty line", ALL, b"SEND\na:b\n\n\r\nx\0", [("SEND", {"a": "b"}, b"\r\nx")], None),
    (
        "frames that end lines in two ways",
        ALL,
        b"A\n\n\0B\r\n\r\n\0C\r\nd:e\r\n\r\n\r\n\r\n\0D\n\n\0E\n\n\0",
        [("A", {}, b""), ("B", {}, b""), ("C", {"d": "e"}, b"\r\n\r\n"), ("D", {}, b""), ("E", {}, b"")],
        None,
    ),
    (
        "CR LF is text when strict",
        ("1.1 strict",),
        b"SEND\r\na:b\r\n\n\0",
        [("SEND\r", {"a": "b\r"}, b"")],
        None,
    ),
    (
        "line ends between frames",
        ALL + STRICT,
        b"\n\nA\n\n\0\n\r\n\nB\n\n\0\n",
        [("A", {}, b""), ("B", {}, b"")],
        None,
    ),
    (
        "blanks and NULs between frames",
        ALL,
        b" A\n\n\0\0\t \0B\n\n\0",
        [("A", {}, b""), ("B", {}, b"")],
        None,
    ),
    (
        "a NUL too many when strict",
        STRICT,
        b"A\n\n\0\0B\n\n\0",
        [("A", {}, b"")],
        "Unexpected octet between frames",
    ),
    (
        "a control octet between frames",
        ALL,
        b"A\n\n\0\x01",
        [("A", {}, b"")],
        "Unexpected octet between frames",
    ),
    ("no empty line", ALL, b"SEND\na:b\n\0", [], "NUL inside the headers"),
    ("NUL in the command", ALL, b"SE\0ND\n\n\0", [], "NUL inside the headers"),
    ("NUL in a value", ALL, b"SEND\na:b\0c\n\n\0", [], "NUL inside the headers"),
    ("commands are not judged here", ALL, b"what is this\n\n\0", [("what is this", {}, b"")], None),
    # Headers
    ("an empty value", ALL, b"A\nb:\n\n\0", [("A", {"b": ""}, b"")], None),
    ("colons in a value", ALL, b"A\nb:c:d::\n\n\0", [("A", {"b": "c:d::"}, b"")], None),
    ("a value of a colon", ALL, b"A\nb::\n\n\0", [("A", {"b": ":"}, b"")], None),
    ("no colon", ALL, b"A\nbc\n\n\0", [], "Header line without a colon"),
    ("no name", ALL, b"A\n:b\n\n\0", [], "Header line without a name"),
    ("a name of blanks", ("1.0",), b"A\n \t:b\n\n\0", [], "Header line without a name"),
    ("a name of blanks is a name", ESCAPING, b"A\n :b\n\n\0", [("A", {" ": "b"}, b"")], None),
    ("blanks around", ("1.0",), b"A\n b : c d\t\n\n\0", [("A", {"b": "c d"}, b"")], None),
    ("blanks belong to the text", ESCAPING, b"A\n b : c d\t\n\n\0", [("A", {" b ": " c d\t"}, b"")], None),
    ("names differ by case", ALL, b"A\nb:1\nB:2\n\n\0", [("A", {"b": "1", "B": "2"}, b"")], None),
    ("the first of repeated ones", ALL, b"A\nb:1\nc:2\nb:3\n\n\0", [("A", {"b": "1", "c": "2"}, b"")], None),
    ("repeated after unescaping", ESCAPING, b"A\n\\c:1\n\\c:2\n\n\0", [("A", {":": "1"}, b"")], None),
    ("UTF-8", ALL, "A\nä:ö\n\n\0".encode(), [("A", {"ä": "ö"}, b"")], None),
    (
        "other line ends of Unicode are text",
        ALL,
        "A\nb:c\u2028d\x0b\x85\n\n\0".encode(),
        [("A", {"b": "c\u2028d\x0b\x85"}, b"")],
        None,
    ),
    ("not UTF-8", ESCAPING, b"A\nb:\xff\n\n\0", [], "Header text is not UTF-8"),
    ("octets", ("1.0",), b"A\nb:\xff\n\n\0", [("A", {"b": "\udcff"}, b"")], None),
    ("CR in a line", ("1.0", "1.1"), b"A\nb:c\rd\n\n\0", [("A", {"b": "c\rd"}, b"")], None),
    (
        "CR in a line of 1.2",
        ("1.2", "1.2 strict"),
        b"A\nb:c\rd\n\n\0",
        [],
        "A carriage return inside a header",
    ),
    ("two CRs at a line's end", ("1.2",), b"A\nb:c\r\r\n\n\0", [], "A carriage return inside a header"),
    (
        "a colon in a value when strict",
        ("1.1 strict", "1.2 strict"),
        b"A\nb:c:d\n\n\0",
        [],
        "A colon inside a header value",
    ),
    ("an escaped one", ("1.1 strict", "1.2 strict"), b"A\nb:c\\cd\n\n\0", [("A", {"b": "c:d"}, b"")], None),
    ("a colon of 1.0", ("1.0 strict",), b"A\nb:c:d\n\n\0", [("A", {"b": "c:d"}, b"")], None),
    # Escapes
    ("1.0 has none", ("1.0",), b"A\nb:\\n\\c\\\\\\t\\\n\n\0", [("A", {"b": "\\n\\c\\\\\\t\\"}, b"")], None),
    ("what 1.1 has", ESCAPING, b"A\n\\cb:\\n\\c\\\\\n\n\0", [("A", {":b": "\n:\\"}, b"")], None),
    ("carriage return", ("1.2",), b"A\nb:\\r\n\n\0", [("A", {"b": "\r"}, b"")], None),
    ("none in 1.1", ("1.1",), b"A\nb:\\r\n\n\0", [], "Undefined escape \\r in a header"),
    ("an undefined one", ESCAPING, b"A\nb:\\t\n\n\0", [], "Undefined escape \\t in a header"),
    ("an undefined one in a name", ESCAPING, b"A\n\\x:b\n\n\0", [], "Undefined escape \\x in a header"),
    ("a lone backslash", ESCAPING, b"A\nb:c\\\n\n\0", [], "Undefined escape \\ in a header"),
    ("a lone backslash before CR LF", ("1.2",), b"A\nb:c\\\r\n\r\n\0", [], "Undefined escape \\ in a header"),
    ("one pass", ESCAPING, b"A\nb:\\\\n\\\\\\n\n\n\0", [("A", {"b": "\\n\\\n"}, b"")], None),
    # Bodies
    ("counted", ALL, b"SEND\ncontent-length:3\n\na\0b\0", [("SEND", {"content-length": "3"}, b"a\0b")], None),
    (
        "counted, of nothing",
        ALL,
        b"SEND\ncontent-length:0\n\n\0",
        [("SEND", {"content-length": "0"}, b"")],
        None,
    ),
    (
        "counted, leading zeros",
        ALL,
        b"SEND\ncontent-length:007\n\n1234567\0",
        [("SEND", {"content-length": "007"}, b"1234567")],
        None,
    ),
    (
        "counted, on any command",
        ALL,
        b"ACK\ncontent-length:2\n\nx\0\0",
        [("ACK", {"content-length": "2"}, b"x\0")],
        None,
    ),
    (
        "counted by the first",
        ALL,
        b"SEND\ncontent-length:1\ncontent-length:2\n\na\0",
        [("SEND", {"content-length": "1"}, b"a")],
        None,
    ),
    (
        "all octets",
        ALL,
        b"SEND\ncontent-length:256\n\n" + ANY_OCTETS + b"\0",
        [("SEND", {"content-length": "256"}, ANY_OCTETS)],
        None,
    ),
    (
        "octets, not characters",
        ALL,
        "SEND\ncontent-length:2\n\nä\0".encode(),
        [("SEND", {"content-length": "2"}, "ä".encode())],
        None,
    ),
    ("counted too short", ALL, b"SEND\ncontent-length:1\n\nab\0", [], "No NUL after the body"),
    ("counted too long", ALL, b"SEND\ncontent-length:3\n\nab\0A\n\n\0", [], "No NUL after the body"),
    (
        "counted, blanks tolerated",
        ("1.1", "1.2"),
        b"SEND\ncontent-length: 1 \n\na\0",
        [("SEND", {"content-length": " 1 "}, b"a")],
        None,
    ),
    (
        "counted, blanks",
        ("1.1 strict",),
        b"SEND\ncontent-length: 1\n\na\0",
        [],
        "content-length",
    ),
    *(
        (
            f"counted by {number!r}",
            ALL,
            f"SEND\ncontent-length:{number}\n\na\0".encode(),
            [],
            "content-length",
        )
        for number in ("", "-1", "+1", "1.0", "0x1", "1e3", "one", "1_0", "٣", "²", "1,2")
    ),
    # Before CONNECTED
    (
        "no escapes in CONNECT",
        ("connect",),
        b"CONNECT\npasscode:\\t\\n\\\n\n\0",
        [("CONNECT", {"passcode": "\\t\\n\\"}, b"")],
        None,
    ),
    (
        "octets in CONNECT",
        ("connect",),
        b"CONNECT\nlogin:\xff\n\n\0",
        [("CONNECT", {"login": "\udcff"}, b"")],
        None,
    ),
    ("CR LF in CONNECT", ("connect",), b"STOMP\r\nhost:a\r\n\r\n\0", [("STOMP", {"host": "a"}, b"")], None),
    (
        "a body of CONNECT",
        ("connect",),
        b"CONNECT\ncontent-length:1\n\n\0\0\n",
        [("CONNECT", {"content-length": "1"}, b"\0")],
        None,
    ),
    # A content-length that a client repeats from the MESSAGE which it answers
    *[
        (
            f"no body, whatever is said: {command.strip()}",
            ALL,
            f"{command}\ncontent-length:{count}\n\n\0\nSEND\n\nx\0".encode(),
            [(command, {"content-length": count}, b""), ("SEND", {}, b"x")],
            None,
        )
        for command, count in (
            *[(each, "5") for each in ("ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT")],
            ("SUBSCRIBE", "1"),
            ("UNSUBSCRIBE", "9"),
            ("ack", "5"),
            # As many octets as come, so that it could be meant.
            ("ACK", "9"),
            # More than is taken of any body.
            ("ACK", "9" * 14),
        )
    ],
    (
        "the count of a SEND holds",
        ALL + STRICT,
        b"SEND\ncontent-length:9\n\n\0SEND\n\nx\0\0",
        [("SEND", {"content-length": "9"}, b"\0SEND\n\nx\0")],
        None,
    ),
    (
        "in whatever case it is written",
        ALL,
        b"Send \ncontent-length:9\n\n\0SEND\n\nx\0\0",
        [("Send ", {"content-length": "9"}, b"\0SEND\n\nx\0")],
        None,
    ),
    *[
        (
            f"so does that of {command}, which is nobody's to send without",
            ALL,
            f"{command}\ncontent-length:9\n\n\0SEND\n\nx\0\0".encode(),
            [(command, {"content-length": "9"}, b"\0SEND\n\nx\0")],
            None,
        )
        for command in ("MESSAGE", "ERROR", "RECEIPT", "CONNECT", "FETCH")
    ],
    (
        "and of a command without a body that has one",
        ALL + STRICT,
        b"ACK\ncontent-length:8\n\nSEND\n\nx\0\0",
        [("ACK", {"content-length": "8"}, b"SEND\n\nx\0")],
        None,
    ),
    (
        "and of all when strict",
        STRICT,
        b"ACK\ncontent-length:9\n\n\0SEND\n\nx\0\0",
        [("ACK", {"content-length": "9"}, b"\0SEND\n\nx\0")],
        None,
    ),
    ("no body and no NUL", ALL, b"ACK\ncontent-length:2\n\nabc\0", [], "No NUL after the body"),
    ("more than is taken, and no NUL", ALL, b"ACK\ncontent-length:99999999\n\na", [], "Body too long"),
    (
        "no body when strict",
        STRICT,
        b"ACK\ncontent-length:2\n\n\0SEND\n\nx\0",
        [],
        "No NUL after the body",
    ),
    (
        "a TLS client",
        ("connect",),
        b"\x16\x03\x01\x02\0",
        [],
        "This looks like a TLS handshake, and this port speaks plain STOMP",
    ),
]
ROWS = [
    pytest.param(version, octets, frames, error, id=f"{name}, {version}")
    for name, versions, octets, frames, error in CASES
    for version in versions
]


@pytest.mark.parametrize(("version", "octets", "frames", "error"), ROWS)
class TestTable:
    def test_whole(
        self, parse: Any, version: str, octets: bytes, frames: list[Any], error: str | None
    ) -> None:
        assert parse([octets], version).matches(frames, error)

    def test_byte_by_byte(
        self, parse: Any, version: str, octets: bytes, frames: list[Any], error: str | None
    ) -> None:
        assert parse([octets[i : i + 1] for i in range(len(octets))], version).matches(frames, error)

    def test_every_cut(
        self, parse: Any, version: str, octets: bytes, frames: list[Any], error: str | None
    ) -> None:
        for cut in range(len(octets) + 1):
            assert parse([octets[:cut], b"", octets[cut:]], version).matches(frames, error), cut

    def test_with_trailing_bytes(
        self, parse: Any, version: str, octets: bytes, frames: list[Any], error: str | None
    ) -> None:
        """What follows a frame changes nothing about it; nothing follows an error."""
        outcome = parse([octets + b"\nSTOMP\nx:y\n\n\0STO"], version)
        assert outcome.matches(frames + [("STOMP", {"x": "y"}, b"")] * (error is None), error)


def test_a_frame_that_is_not_complete(parse: Any) -> None:
    octets = b"A\n\n\0SEND\ncontent-length:3\n\nabc\0"
    for end in range(4, len(octets)):
        assert parse([octets[:end]], "1.2") == ([("A", {}, b"")], None)


@pytest.mark.parametrize("version", ["connect", *ALL])
@pytest.mark.parametrize("digits", [15, 16, 19, 40, 5000])
def test_a_content_length_beyond_all_bounds(parse: Any, version: str, digits: int) -> None:
    frames, error = parse([b"CONNECT\ncontent-length:" + b"9" * digits + b"\n\na\0"], version)
    assert frames == []
    assert error.startswith("Body too long")


# Random streams: pieces that mean something, put together in ways that mostly do not.

# fmt: off
PIECES = st.one_of(
    st.sampled_from([
        b"\n", b"\r", b"\0", b":", b"\\", b" ", b"\n\n", b"\r\n", b"\n\r\n", b"\\n", b"\\c", b"\\r", b"\0\n",
        b"SEND\n", b"CONNECT\n", b"a:b\n", b"content-length:", b"0", b"1", b"3\n\n", b"12", b"\xff", b"\xc3\xa4",
        b"ACK\ncontent-length:", b"ACK\nid:1\n\n\0", b"SEND\r\nx:y\r\n\r\nbody\0",
        b"SEND\ncontent-length:2\n\n\0\0\0",
    ]),
    st.binary(max_size=3),
)
# fmt: on
STREAMS = st.lists(PIECES, max_size=25).map(b"".join)
FRAMES = st.lists(
    st.sampled_from([octets for _, _, octets, frames, error in CASES if frames and error is None]), max_size=4
).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(octets), *(c for c in cuts if c < len(octets))})
    return [octets[i:j] for i, j in itertools.pairwise(edges)]


@given(st.one_of(STREAMS, FRAMES), CUTS, st.sampled_from(ALL + STRICT))
def test_random_splits(parse: Any, octets: bytes, cuts: list[int], version: str) -> None:
    """The frames, and whether there is an error, do not depend on how the octets arrive.

    (A command that never seems to end is refused before it ends: that is for the tests of limits.)
    """
    assume(max(map(len, octets.split(b"\n"))) < 64)
    whole = parse([octets], version)
    pieces = parse(cut(octets, cuts), version)
    single = parse([octets[i : i + 1] for i in range(len(octets))], version)
    assert pieces.frames == single.frames == whole.frames
    assert (pieces.error is None) == (single.error is None) == (whole.error is None)


def _plain(frame: Any) -> tuple[str, dict[str, str], bytes]:
    if not isinstance(frame, Frame):
        frame = frame.read()
    return frame.command, frame.headers, frame.body


@given(st.one_of(STREAMS, FRAMES), CUTS, st.integers(1, 3), st.sampled_from(ALL + STRICT))
def test_few_frames_at_a_time(
    make_parser: Any, octets: bytes, cuts: list[int], most: int, version: str
) -> None:
    """A limit of frames changes neither these nor where an error is; octets may come before all is taken."""
    assume(max(map(len, octets.split(b"\n"))) < 64)
    whole = make_parser(version)
    expected = [_plain(frame) for frame in whole.feed(octets)]
    parser = make_parser(version)
    found: list[Any] = []
    for piece in cut(octets, cuts):
        frames = parser.feed(piece, most)
        assert len(frames) <= most
        found += frames
    while parser.more:
        held = parser.pending
        frames = parser.feed(b"", most)
        assert len(frames) <= most
        assert parser.pending < held or not parser.more
        found += frames
    assert [_plain(frame) for frame in found] == expected
    assert (parser.error is None) == (whole.error is None)
    if not cuts and whole.error is not None:
        assert str(parser.error) == str(whole.error)


LESSONS = (
    b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:1\nn:0",
    b"SEND\ndestination:/queue/a\nreceipt:1\ncontent-length:1\npersistent:true",
    b"SEND\ng:1\nn:0\ntransaction:t\ndestination:/queue/a",
)
VALUES = st.one_of(
    st.sampled_from(
        [
            b"",
            b"1",
            b"1",
            b"1",
            b"0",
            b"01",
            b" 1",
            b"1 ",
            b"-1",
            b"1\r",
            b"a:b",
            b"\\c",
            b"http\\c//a\\\\b\\n",
            b"\\r",
            b"\\x",
            b"\xff",
            b"\xc3\xbc",
            b"\xf0\x9f\x8c\x8d",
        ]
    ),
    st.sampled_from([b"9" * 16, b"1" * 15, b"\0", b"\t", b"\n", b"\x7f", b"/queue/a"]),
)
ALIKE = st.builds(
    lambda place, colour, length, number, body: (
        b"SEND\ndestination:%b\ncolour:%b\ncontent-length:%b\nn:%b\n\n%b\0"
        % (place, colour, length, number, body)
    ),
    VALUES,
    VALUES,
    VALUES,
    VALUES,
    st.sampled_from([b"x", b"x", b"x", b"", b"\0", b"\n"]),
)
ASKING = st.builds(
    lambda place, receipt, length, kept, body: (
        b"SEND\ndestination:%b\nreceipt:%b\ncontent-length:%b\npersistent:%b\n\n%b\0"
        % (place, receipt, length, kept, body)
    ),
    VALUES,
    VALUES,
    VALUES,
    st.sampled_from([b"true", b"true", b"false", b"true ", b""]),
    st.sampled_from([b"x", b"x", b"\0"]),
)
UNSIZED = st.builds(
    lambda *values: b"SEND\ng:%b\nn:%b\ntransaction:%b\ndestination:%b\n\n%b\0" % values,
    VALUES,
    VALUES,
    VALUES,
    VALUES,
    st.sampled_from([b"x", b"x", b"", b"\n", b"y" * 300]),
)
ACKS = st.builds(
    lambda id, end: b"ACK\nid:" + id + end,
    st.one_of(VALUES, st.integers(0, 10**22).map(lambda number: b"%d" % number)),
    st.sampled_from(
        [b"\n\n\0", b"\n\n\0", b"\n\n\0\n", b"\n\nx\0", b"\r\n\r\n\0", b"\nreceipt:1\n\n\0", b"\n\n"]
    ),
)


def teach(parser: Parser, block: bytes) -> None:
    """Let it learn the shape of a SEND's header block."""
    for number in range(1, LEARN + 1):
        assert parser.due() == (number == LEARN)
    parser.learn(block, {b"persistent"}, b"g")
    assert parser.learned


@given(
    st.lists(st.one_of(ALIKE, ASKING, UNSIZED, ACKS, PIECES), max_size=8).map(b"".join),
    CUTS,
    st.sampled_from(ALL + STRICT),
    st.sampled_from(LESSONS),
)
def test_what_was_learned_changes_nothing(
    make_parser: Any, octets: bytes, cuts: list[int], version: str, lesson: bytes
) -> None:
    """A parser that knows the header names reads the same, to the last octet, as one that does not."""
    outcomes = []
    for taught in (True, False):
        parser = make_parser(version)
        if taught:
            teach(parser, lesson)
        frames: list[Any] = []
        for piece in cut(octets, cuts):
            for frame in parser.feed(piece):
                assert taught or not isinstance(frame, PlainSend)
                frame = frame if isinstance(frame, Frame) else frame.read()
                # These are taken from a SEND before anything else, and what is learned has a length.
                first = [frame.headers.pop(name, None) for name in ("receipt", "transaction", "destination")]
                if frame.command == "SEND" and frame.headers.get("content-length") == str(len(frame.body)):
                    del frame.headers["content-length"]
                rest = list(frame.headers.items())
                frames.append((frame.command, first, rest, frame.body, frame.plain, frame.length))
        error = parser.error and (parser.error.summary, parser.error.where, parser.error.receipt)
        outcomes.append((frames, error, parser.offset, parser.pending, parser.colons, parser.strays))
    assert outcomes[0] == outcomes[1]


def test_limits_hold_for_what_was_learned(make_parser: Any) -> None:
    frame = b"SEND\ndestination:/queue/a\ncontent-length:5\n\nhello\0"
    for limits, summary in ((Limits(4, 9, 99), "Body too long"), (Limits(99, 9, 30), "Headers too long")):
        parser = make_parser("1.2", limits)
        teach(parser, frame.partition(b"\n\n")[0])
        assert parser.feed(frame) == []
        assert parser.error.summary == summary


@given(STREAMS, CUTS, st.sampled_from(["connect", "connect strict", *ALL, *STRICT]))
def test_total(parse: Any, octets: bytes, cuts: list[int], version: str) -> None:
    """Any octets are frames or one error; what raises something else fails here by itself."""
    parse(cut(octets, cuts), version)


@given(st.data(), FRAMES, CUTS, st.sampled_from(["connect", *ALL, *STRICT]))
def test_mutations(parse: Any, data: st.DataObject, octets: bytes, cuts: list[int], version: str) -> None:
    """Good streams with a few octets changed, dropped or doubled."""
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        if changed:
            at = data.draw(st.integers(0, len(changed) - 1))
            changed[at : at + data.draw(st.integers(0, 3))] = data.draw(PIECES)
    whole = parse([bytes(changed)], version)
    pieces = parse(cut(bytes(changed), cuts), version)
    if version != "connect" and max(map(len, changed.split(b"\n"))) < 64:
        assert pieces.frames == whole.frames
        assert (pieces.error is None) == (whole.error is None)


@given(STREAMS, st.binary(min_size=1, max_size=9))
def test_nothing_follows_an_error(make_parser: Any, octets: bytes, more: bytes) -> None:
    parser = make_parser("1.2")
    parser.feed(octets)
    if parser.error is not None:
        error = parser.error
        assert parser.feed(more + b"\n\nA\n\n\0") == []
        assert parser.error is error
        assert parser.pending == 0


@pytest.mark.parametrize("cut_at", range(0, 60, 7))
@pytest.mark.parametrize(
    ("octets", "where"),
    [
        (b"A\n\n\0SEND\ncontent-length:2\n\nabc\0", "byte 29: expected 0x00 after 2 octets, found 0x63"),
        (b"\n\nA\n\n\0SEND\nb:\xc3\xa4\xff\n\n\0", "byte 15, octet 0xff"),
        (b"A\n\n\0\nSEND\nb:c\nde\n\n\0", "frame at byte 5, header line 2: 'de'"),
        (b"A\n\n\0\x01", "byte 4, octet 0x01"),
        (b"A\n\n\0SEND\nb:c\0", "byte 12"),
    ],
)
def test_errors_say_at_which_byte(make_parser: Any, octets: bytes, where: str, cut_at: int) -> None:
    """Counted from the beginning of the connection, however the octets arrive."""
    parser = make_parser("1.2")
    parser.feed(octets[:cut_at])
    parser.feed(octets[cut_at:])
    assert parser.error.where == where
    assert parser.error.rule
    assert parser.error.fix


def test_the_rules_change_after_connect(make_parser: Any) -> None:
    """What waits behind CONNECT is read by the rules of the version that CONNECT settled."""
    from stompserver.wire.headers import TEXT_12
    from stompserver.wire.parser import Limits

    parser = make_parser("connect")
    (connect,) = parser.feed(b"CONNECT\na:\\n\n\n\0\nSEND\na:\\n\n\nx\0SEND\na:\\r\n\ny\0")
    assert connect.headers == {"a": "\\n"}
    parser.open(TEXT_12, Limits(10, 10, 1000))
    assert [f.headers for f in parser.feed(b"")] == [{"a": "\n"}, {"a": "\r"}]


def test_something_else_than_connect_is_not_waited_for(make_parser: Any) -> None:
    """HTTP has no NUL: its request line is told at once, not at the login timeout."""
    parser = make_parser("connect")
    (frame,) = parser.feed(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert frame.command == "GET / HTTP/1.1"
    assert parser.pending == 0


def test_plain_means_the_same_in_every_version(make_parser: Any) -> None:
    """``plain`` lets a header block be written to receivers of all versions as it stands."""
    for octets, plain in (
        (b"A\nb:c\n\n\0", True),
        ("A\nä:c d\n\n\0".encode(), True),
        (b"A\nb:c:d\n\n\0", False),
        (b"A\nb:\\n\n\n\0", False),
        (b"A\nb:c\r\n\n\0", False),
        (b"A\nb:\\\\\n\n\0", False),
    ):
        for version in ("1.1", "1.2"):
            (frame,) = make_parser(version).feed(octets)
            assert frame.plain is plain, (octets, version)
    for octets in (b"A\nb:\\n\n\n\0", b"A\nb:\xff\n\n\0", b"A\nb:c:d\n\n\0", b"A\nb:c\rd\n\n\0"):
        (frame,) = make_parser("1.0").feed(octets)
        assert frame.plain is False, octets


@pytest.mark.parametrize(
    ("before", "data", "sends"),
    [
        (b"", b"SEND\nx", True),
        (b"", b"\r\n\nSEND\nx", True),
        (b"", b"ACK\nid:1\n\n\0", False),
        (b"", b"\n", False),
        (b"S", b"END\n", True),
        (b"SEND\nd", b"est", True),
        (b"S", b"UBSCRIBE\n", False),
        (b"ACK\nid:1", b"\n\nSEND", False),
        (b"SEND\n\nbo", b"dy", True),
        (b"ACK\ncontent-length:3\n\nx", b"SEND", False),
        (b"ACK\n\n\0", b"SEND\n", True),
    ],
)
def test_whether_it_is_a_producer_that_speaks(
    make_parser: Any, before: bytes, data: bytes, sends: bool
) -> None:
    parser = make_parser("1.2")
    parser.feed(before)
    assert parser.sends(data) is sends
