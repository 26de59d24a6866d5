"""Heart-beats: what was agreed, and when something is due (STOMP 1.1 and 1.2, Heart-beating)."""

from __future__ import annotations

from typing import Final

from stompserver.errors import ProtocolError

LONGEST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds above which an interval is as good as a week: no timer is set for longer."""


class HeartBeat:
    """The agreed intervals in seconds, 0 for none: ``send`` from us, ``expect`` from the client."""

    __slots__ = ("expect", "send")

    def __init__(self, send: float, expect: float) -> None:
        self.send = send
        self.expect = expect

    def patience(self) -> float:
        """Seconds of silence after which the client is dead: max(2n, n + 5)."""
        return max(2.0 * self.expect, self.expect + 5.0)


def parse(value: str | None, strict: bool = False) -> tuple[int, int]:
    """The two numbers (ms) of a ``heart-beat`` header; (0, 0) without one; blanks are tolerated unless
    ``strict``.

    Raises ProtocolError for anything but two non-negative integers with a comma.
    """
    if value is None:
        return 0, 0
    left, comma, right = value.partition(",")
    if not strict:
        left, right = left.strip(" "), right.strip(" ")
    for word in (left, right):
        if not comma or not word.isascii() or not word.isdigit():
            raise ProtocolError(
                f"heart-beat {value[:40]!r} is not two numbers",
                where="header heart-beat",
                rule="STOMP 1.1 and 1.2, Heart-beating: two non-negative integers with a comma, in ms",
                fix="Send for example heart-beat:10000,10000, or heart-beat:0,0 for none.",
            )
    return _bounded(left), _bounded(right)


def _bounded(digits: str) -> int:
    return min(int(digits), LONGEST) if len(digits) < 12 else LONGEST


def agree(client: tuple[int, int], server: tuple[int, int]) -> HeartBeat:
    """What follows from the client's (can send, wants) and ours, all in ms; 0 on either side means none."""
    can, wants = client
    ours, asked = server
    send = max(ours, wants) / 1000.0 if ours and wants else 0.0
    expect = max(can, asked) / 1000.0 if can and asked else 0.0
    return HeartBeat(send, expect)
