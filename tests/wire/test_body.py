"""Bodies that come in pieces, around the sizes at which pieces are kept differently."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from stompserver.wire.body import PIECE

LENGTHS = [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7]
STEPS = [
    (1000,),
    (PIECE - 1,),
    (PIECE,),
    (PIECE + 1,),
    (2 * PIECE, 1, 1),
    (1, PIECE),
    (PIECE - 3, 2, 2, 5 * PIECE),
]


def pattern(length: int) -> bytes:
    """That many octets, none of them NUL, of which no part is like its neighbours."""
    return bytes(1 + (i * 7 + i // 251) % 255 for i in range(length))


def pieces_of(octets: bytes, steps: tuple[int, ...]) -> list[bytes]:
    found: list[bytes] = []
    pos = 0
    while pos < len(octets):
        step = steps[len(found) % len(steps)]
        found.append(octets[pos : pos + step])
        pos += step
    return found


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("declared", [True, False])
def test_any_pieces_make_the_same_frames(
    parse: Any, length: int, steps: tuple[int, ...], declared: bool
) -> None:
    body = pattern(length)
    line = {"content-length": str(length)} if declared else {}
    head = b"".join(b"%b:%b\n" % (name.encode(), value.encode()) for name, value in line.items())
    one = b"SEND\ndestination:a\n" + head + b"\n" + body + b"\0"
    frame = ("SEND", {"destination": "a", **line}, body)
    assert parse(pieces_of(one * 3, steps), "1.2").matches([frame] * 3, None)


@pytest.mark.parametrize("declared", [True, False])
def test_cuts_around_the_end_of_a_large_body(parse: Any, declared: bool) -> None:
    body = pattern(2 * PIECE)
    line = b"content-length:%d\n" % len(body) if declared else b""
    octets = b"SEND\n" + line + b"\n" + body + b"\0\r\n\nACK\nid:1\n\n\0"
    end = octets.index(b"\0")
    for cut in range(end - 3, len(octets) + 1):
        found = parse([octets[:PIECE], octets[PIECE:cut], octets[cut:]], "1.2")
        assert [(command, kept) for command, _, kept in found.frames] == [("SEND", body), ("ACK", b"")], cut
        assert found.error is None


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_an_error_after_a_large_body_says_at_which_byte(make_parser: Any, steps: tuple[int, ...]) -> None:
    octets = b"SEND\ncontent-length:40000\n\n" + pattern(40_000) + b"\0\n\nSEND\nno colon\n\n\0"
    parser = make_parser("1.2")
    for piece in pieces_of(octets, steps):
        parser.feed(piece)
    assert f"frame at byte {octets.rindex(b'SEND')}" in str(parser.error)


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_what_follows_the_octets_declared_must_be_nul(make_parser: Any, steps: tuple[int, ...]) -> None:
    octets = b"SEND\ncontent-length:40000\n\n" + pattern(40_001) + b"\0"
    parser = make_parser("1.2")
    for piece in pieces_of(octets, steps):
        assert not parser.feed(piece)
    assert f"byte {len(octets) - 2}:" in str(parser.error)


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_all_that_is_held_is_counted(make_parser: Any, steps: tuple[int, ...]) -> None:
    parser = make_parser("1.2")
    parser.feed(b"SEND\ncontent-length:100000\n\n")
    held = 0
    for piece in pieces_of(bytes(100_000), steps):
        parser.feed(piece)
        held += len(piece)
        assert parser.pending == held
    parser.feed(b"\0SEND")
    assert parser.pending == 4


def test_tiny_pieces_take_little_more_room_than_their_octets(make_parser: Any) -> None:
    parser = make_parser("1.2")
    parser.feed(b"SEND\ncontent-length:200000\n\n")
    tracemalloc.start()
    try:
        for i in range(0, 100_000, 2):
            parser.feed(b"%02d" % (i % 100))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.pending == 100_000
    assert held < 200_000
