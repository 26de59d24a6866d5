"""What headers take in memory is counted, not only their text."""

from __future__ import annotations

import pytest

from stompserver.wire.alike import LEARN
from stompserver.wire.frame import FEW, HEADER, AnyFrame, Frame, PlainSend
from stompserver.wire.headers import TEXT_12
from stompserver.wire.parser import Limits, Parser


def parsed(block: bytes, times: int = 1) -> AnyFrame:
    """The last of so many frames with that header block, all of them learned."""
    parser = Parser(Limits(1000, 100, 1 << 16))
    parser.open(TEXT_12, Limits(1000, 100, 1 << 16))
    for _ in range(times):
        (frame,) = parser.feed(block + b"\n\nx\0")
        if isinstance(frame, Frame) and parser.due():
            parser.learn(frame.block)
    return frame


@pytest.mark.parametrize("length", ["", "\ncontent-length:1"])
def test_many_short_headers(length: str) -> None:
    block = ("SEND\ndestination:/queue/q" + length + "".join(f"\nh{n}:{n}" for n in range(90))).encode()
    headers = 91 + bool(length)
    expected = len(block) + (headers - FEW) * HEADER
    assert parsed(block).length == expected
    learned = parsed(block, LEARN + 2)
    assert isinstance(learned, PlainSend)
    assert learned.length == expected, "the same, whichever way it was read"
    escaped = block + b"\na:\\c\xc3\xa9"
    for times in (1, LEARN + 2):
        assert parsed(escaped, times).length == len(escaped) + (headers + 1 - FEW) * HEADER


@pytest.mark.parametrize(("text", "times"), [("a", 1), ("é", 1), ("Ж", 2), ("\u20ac", 2), ("\U0001f600", 4)])
def test_text_with_one_rare_character(text: str, times: int) -> None:
    """Python keeps all of a text in characters of the size of its largest."""
    block = b"SEND\ndestination:/queue/q\na:" + b"x" * 5000 + text.encode()
    assert parsed(block).length == len(block) * times
    learned = parsed(block, LEARN + 2)
    assert isinstance(learned, PlainSend)
    assert learned.length == len(block) * times
