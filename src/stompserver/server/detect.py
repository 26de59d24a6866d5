"""What a client speaks, by its first octets: STOMP, or HTTP, by which WebSocket begins."""

from __future__ import annotations

from typing import Final

METHODS: Final = (
    b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT ",
)  # fmt: skip
"""How a request of HTTP begins (RFC 9110, 9). STOMP's CONNECT has a line end in place of the blank."""


def is_http(octets: bytes) -> bool | None:
    """Whether that is the beginning of a request of HTTP; None where it may be one."""
    for method in METHODS:
        if octets.startswith(method):
            return True
        if method.startswith(octets):
            return None
    return False


class Undecided:
    """A carrier that carries nothing: of a client of which it is not known what it speaks. ``head`` is what it has
    said, some octets of a word that may be HTTP's.
    """

    __slots__ = ("head",)

    ended: Final = False
    fault: Final = None
    more: Final = False
    holds: Final = 0
    credentials: Final = None

    def __init__(self, head: bytes = b"") -> None:
        self.head = head

    def greeting(self) -> bytes:
        """Who connects speaks first."""
        return b""

    def received(self, data: bytes) -> bytes:
        """Nothing of it is known to be STOMP: it waits in ``head``."""
        return b""

    def wrapped(self, pieces: list[bytes]) -> list[bytes]:
        """As they are: clients of STOMP are told why they are refused before they say anything."""
        return pieces

    def tick(self, now: float, beats: bool) -> float | None:
        """Nothing is due."""
        return None

    def grow(self, limit: int) -> None:
        """Nothing has limits."""

    def farewell(self, error: object, ours: bool) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Nothing is open."""


UNDECIDED: Final = Undecided()
"""Stands for all that have said nothing."""
