"""What a client can make the parser hold or do: every limit one under and one over, memory, and work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from stompserver.wire.parser import Limits, Parser

MakeParser = Callable[..., Parser]
LIMITS = Limits(max_body=50, max_headers=5, max_header_bytes=100)


def header_block(octets: int, end: bytes) -> bytes:
    """A command and one header of ``octets`` in all, then the empty line."""
    start = b"SEND" + end + b"a:"
    return start + b"x" * (octets - len(start)) + end + end


def body(octets: int, counted: bool) -> bytes:
    length = b"content-length:%d\n" % octets if counted else b""
    return b"SEND\n" + length + b"\n" + b"x" * octets


def pieces(octets: bytes, size: int) -> Iterable[bytes]:
    return [octets[i : i + size] for i in range(0, len(octets), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(header_block(100, b"\n"), None, id="bytes of headers"),
        pytest.param(header_block(101, b"\n"), "Headers too long", id="one byte of headers too many"),
        # The CR of the last line counts, the empty line does not.
        pytest.param(header_block(99, b"\r\n"), None, id="bytes of CR LF headers"),
        pytest.param(header_block(100, b"\r\n"), "Headers too long", id="one byte of CR LF headers too many"),
        pytest.param(b"A\n" + b"b:c\n" * 5 + b"\n", None, id="headers"),
        pytest.param(b"A\r\n" + b"b:c\r\n" * 5 + b"\r\n", None, id="CR LF headers"),
        pytest.param(b"A\n" + b"b:c\n" * 6 + b"\n", "Too many headers", id="one header too many"),
        pytest.param(
            b"A\nb:1\nc:2\nd:3\ne:4\nf:5\ng:6\n\n", "Too many headers", id="one other header too many"
        ),
        pytest.param(body(50, True), None, id="body, counted"),
        pytest.param(body(51, True), "Body too long", id="one byte of body too many, counted"),
        pytest.param(body(50, False), None, id="body"),
        pytest.param(body(51, False), "Body too long", id="one byte of body too many"),
    ],
)
def test_limit(make_parser: MakeParser, octets: bytes, error: str | None, size: int) -> None:
    """The same answer however the octets arrive, and with the NUL in the same piece or not."""
    for stream in (octets + b"\0", octets):
        parser = make_parser("1.2", LIMITS)
        frames = [frame for piece in pieces(stream, size) for frame in parser.feed(piece)]
        if error is None:
            assert parser.error is None
            assert len(frames) == stream.endswith(b"\0")
        else:
            assert frames == []
            assert parser.error is not None
            assert parser.error.summary.startswith(error)
            assert "option" in parser.error.fix


@pytest.mark.parametrize("size", [1, 1000])
def test_a_body_too_long_is_refused_before_it_comes(make_parser: MakeParser, size: int) -> None:
    parser = make_parser("1.2", LIMITS)
    for piece in pieces(b"SEND\ncontent-length:51\n\n", size):
        assert parser.feed(piece) == []
    assert parser.error is not None
    assert parser.error.summary == "Body too long"
    assert "51 bytes" in parser.error.where


def test_the_option_that_is_named_depends_on_the_login(make_parser: MakeParser) -> None:
    for version, option in (("connect", "(max-body-before-login)"), ("1.2", "(max-body)")):
        parser = make_parser(version, LIMITS)
        parser.feed(b"CONNECT\n\n" + b"x" * 51)
        assert parser.error is not None
        assert option in parser.error.rule


@pytest.mark.parametrize("version", ["connect", "1.0", "1.2"])
@pytest.mark.parametrize("size", [1, 64, 65, 1000])
def test_noise_is_not_waited_for(make_parser: MakeParser, version: str, size: int) -> None:
    """A line that is too long for a command is refused before it ends."""
    parser = make_parser(version)
    for piece in pieces(b"x" * 65, size):
        parser.feed(piece)
    assert parser.error is not None
    assert parser.error.summary == "No STOMP command found"


# Memory

ENDLESS = {
    "header lines": (b"SEND\n", b"a:b\n"),
    "one header line": (b"SEND\na:", b"x" * 50),
    "one name": (b"SEND\n", b"x" * 50),
    "the same header": (b"SEND\n", b"content-length:1\n"),
    "a command": (b"", b"S"),
    "CR LF header lines": (b"SEND\r\n", b"a:b\r\n"),
    "almost empty lines": (b"SEND\n", b"\r"),
    "a body": (b"SEND\n\n", b"x" * 50),
    "a counted body": (b"SEND\ncontent-length:999\n\n", b"x" * 50),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS.keys())
def test_endless(make_parser: MakeParser, start: bytes, more: bytes) -> None:
    limits = Limits(1000, 100, 2000)
    parser = make_parser("1.2", limits)
    parser.feed(start)
    most = 0
    for _ in range(2010):
        if parser.error is not None:
            break
        parser.feed(more)
        most = max(most, parser.pending)
    if "content-length:999" not in start.decode():
        assert parser.error is not None
    assert most <= 2000 + 2
    assert parser.error is None or parser.pending == 0


@pytest.mark.parametrize("octets", [b"\n", b"\r\n", b"\n" * 1000, b" \0\t"])
def test_endless_line_ends_are_not_kept(make_parser: MakeParser, octets: bytes) -> None:
    parser = make_parser("1.2")
    for _ in range(1000):
        assert parser.feed(octets) == []
        assert parser.pending == 0
    assert parser.error is None
    assert parser.offset == 1000 * len(octets)


@pytest.mark.long
def test_a_million_frames_leave_nothing(make_parser: MakeParser) -> None:
    """Pieces that end anywhere in a frame: never more than the frame's octets are kept."""
    frame = b"A\nb:c\n\nd\0"
    stream = frame * 10_000
    parser = make_parser("1.2")
    count = 0
    for turn in range(100):
        cut = turn * 997
        for piece in (stream[:cut], stream[cut:]):
            count += len(parser.feed(piece))
            assert parser.pending < len(frame)
    assert count == 1_000_000
    assert parser.pending == 0


# Work


class Counted(bytes):
    """Octets that count how many of them are looked at by searches, and how many are copied."""

    searched = 0
    copied = 0

    def _span(self, arguments: tuple[Any, ...], found: int) -> int:
        start, end, _ = slice(*(arguments[:2] if len(arguments) > 1 else (*arguments, None))).indices(
            len(self)
        )
        return (found if found >= 0 else end) - start

    def find(self, sub: bytes, *span: int) -> int:  # type: ignore[override]
        found = super().find(sub, *span)
        Counted.searched += self._span(span, found)
        return found

    def count(self, sub: bytes, *span: int) -> int:  # type: ignore[override]
        Counted.searched += self._span(span, -1)
        return super().count(sub, *span)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            return super().__getitem__(key)
        found = Counted(super().__getitem__(key))
        Counted.copied += len(found)
        return found

    def __add__(self, other: bytes) -> Counted:
        Counted.copied += len(self) + len(other)
        return Counted(super().__add__(other))

    def __radd__(self, other: bytes | bytearray) -> Counted:
        if isinstance(other, bytearray):
            return NotImplemented  # it grows in place
        Counted.copied += len(self) + len(other)
        return Counted(bytes(other) + bytes(self))


@pytest.fixture
def work(make_parser: MakeParser) -> Callable[..., tuple[int, int, int]]:
    """``work(pieces)``: frames found, octets searched, octets copied."""

    def run(stream: Iterable[bytes]) -> tuple[int, int, int]:
        parser = make_parser("1.2", Limits(100 << 20, 100, 64 << 10))
        Counted.searched = Counted.copied = 0
        frames = sum(len(parser.feed(Counted(piece))) for piece in stream)
        assert parser.error is None, parser.error
        return frames, Counted.searched, Counted.copied

    return run


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 16, 1000])
def test_headers_are_searched_once(work: Any, end: bytes, size: int) -> None:
    """64 KiB of headers in small pieces: a few octets about each seam are seen twice, not all from the start."""
    block = b"SEND" + end + b"".join(b"h%02d:%s%s" % (i, b"x" * 640, end) for i in range(99)) + end
    assert 60_000 < len(block) < 65_536
    frames, searched, _ = work([*pieces(block, size), b"\0"])
    assert frames == 1
    seams = len(block) // size + 1
    assert searched < 6 * len(block) + 100 * seams


@pytest.mark.parametrize("counted", [True, False])
def test_a_large_body_is_searched_and_copied_once(work: Any, counted: bool) -> None:
    """100 MiB in pieces of 64 KiB; the one copy more is the bytes object that the frame gets."""
    size = 100 << 20
    piece = b"x" * (64 << 10)
    head = b"SEND\ncontent-length:%d\n\n" % size if counted else b"SEND\n\n"
    frames, searched, copied = work([head, *[piece] * (size // len(piece)), b"\0\n"])
    assert frames == 1
    assert searched < (1000 if counted else size + 1000)
    assert copied < 1000


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mixed", [False, True])
def test_many_frames_in_one_piece(work: Any, end: bytes, mixed: bool) -> None:
    """No frame is searched to the end of what arrived, whichever line ends the client writes."""
    frame = b"SEND" + end + b"a:b" + end + end + b"body\0"
    if mixed:
        frame += b"SEND\na:b\n\nbody\0"
    stream = frame * 2000
    frames, searched, copied = work([stream])
    assert frames == 2000 * (1 + mixed)
    assert searched < 8 * len(stream)
    assert copied < 8 * len(stream)


def test_line_ends_that_change_once(work: Any) -> None:
    lf, crlf = b"SEND\na:b\n\nbody\0", b"SEND\r\na:b\r\n\r\nbody\0"
    for stream in (lf * 1000 + crlf * 1000, crlf * 1000 + lf * 1000, lf * 999 + crlf, crlf * 999 + lf):
        _, searched, copied = work([stream])
        assert searched < 8 * len(stream)
        assert copied < 12 * len(stream)
