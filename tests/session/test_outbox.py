"""What is taken out of an outbox a part at a time, and what of it may still be let go."""

from __future__ import annotations

import pytest

from stompserver.session.outbox import Outbox

WHOLE = b"RECEIPT\nreceipt-id:1\n\n\0\n"
FOUR = [b"MESSAGE\nsubscription:1\n", b"destination:/topic/a\n\n", b"body" * 10, b"\0\n"]
# A body may look like the end of a frame, or of its header.
FIVE = [
    b"MESSAGE\nsubscription:2\n",
    b"redelivered:true\n",
    b"destination:/topic/a\n\n",
    b"\n\n\0\n",
    b"\0\n",
]
EMPTY = [b"MESSAGE\nsubscription:3\n", b"destination:/topic/a\n\n", b"", b"\0\n"]
FRAMES = [[WHOLE], FOUR, [b"\n"], FIVE, EMPTY, [WHOLE], FIVE, FOUR]


def filled() -> Outbox:
    outbox = Outbox()
    for frame in FRAMES:
        outbox.pieces += frame
        outbox.bytes += len(b"".join(frame))
    return outbox


OCTETS = b"".join(b"".join(frame) for frame in FRAMES)
ENDS = [sum(len(b"".join(frame)) for frame in FRAMES[:count]) for count in range(len(FRAMES) + 1)]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("large", [1, 20, 1 << 40])
@pytest.mark.parametrize("most", [1, 2, 3, 10, 25, 50, 1000])
def test_parts_are_the_whole(cut: bool, large: int, most: int) -> None:
    outbox = filled()
    got = b""
    while outbox.pieces:
        part = b"".join(outbox.take(large, most, cut))
        assert part
        assert not cut or len(part) <= most or len(OCTETS) <= most
        got += part
        assert outbox.bytes == len(OCTETS) - len(got)
    assert got == OCTETS
    assert outbox.take(large, most, cut) == []


@pytest.mark.parametrize("cut", [False, True])
def test_what_is_let_go_are_whole_frames(cut: bool) -> None:
    """However much was taken before, what comes next is the rest of a frame, and then something new."""
    for most in range(1, len(OCTETS)):
        outbox = filled()
        got = b"".join(outbox.take(1 << 40, most, cut))
        outbox.drop()
        assert outbox.bytes == outbox.begun
        outbox.answer(b"ERROR\n\n\0\n")
        rest = b"".join(outbox.take(1 << 40))
        end = next(end for end in ENDS if end >= len(got))
        assert got + rest == OCTETS[:end] + b"ERROR\n\n\0\n"
        assert outbox.bytes == 0
