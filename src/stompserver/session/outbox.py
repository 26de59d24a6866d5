"""Octets for one client, in the order in which they are to be written."""

from __future__ import annotations

from typing import Final

HIGH: Final = 256 * 1024
"""Bytes in an outbox above which queues hold their messages back until the socket took some."""


class Outbox:
    """Pieces of frames; ``bytes`` is what they have together, or some less, and ``answers`` what of it is no message:
    what the client asked for faster than it reads.
    """

    __slots__ = ("answers", "bytes", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.bytes: int = 0
        self.answers: int = 0

    def answer(self, octets: bytes) -> None:
        """Append octets that are no message."""
        length: int = len(octets)
        self.pieces.append(octets)
        self.bytes += length
        self.answers += length

    def take(self, large: int) -> list[bytes]:
        """All octets; bodies of ``large`` bytes or more are pieces of their own, what is between them is in one.
        Empties the outbox.
        """
        out = self.pieces
        taken: list[bytes] = []
        # Where four pieces a message are small on average it takes no look at each.
        if self.bytes < large // 4 * len(out):
            if out:
                taken.append(b"".join(out))
        else:
            small: list[bytes] = []
            for piece in out:
                if len(piece) < large:
                    small.append(piece)
                else:
                    if small:
                        taken.append(b"".join(small))
                        small.clear()
                    taken.append(piece)
            if small:
                taken.append(b"".join(small))
        out.clear()
        self.bytes = 0
        self.answers = 0
        return taken
