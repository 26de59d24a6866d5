"""A body that has not all arrived."""

from __future__ import annotations

from typing import Final

PIECE: Final = 16 * 1024
"""Octets from which a piece is kept as it came; smaller ones are put together first, or a client that sends octet by
octet would make us hold an object for each.
"""


class Body:
    """The pieces of a body; ``length`` is what they have together, in bytes."""

    __slots__ = ("_crumbs", "_pieces", "length")

    def __init__(self, begun: bytes) -> None:
        self.length: int = 0
        self._pieces: list[bytes] = []
        self._crumbs: bytearray | None = None
        """What came in small pieces after those."""
        self.add(begun)

    def add(self, piece: bytes) -> None:
        """Append ``piece``."""
        self.length += len(piece)
        crumbs = self._crumbs
        if len(piece) >= PIECE:
            if crumbs is not None:
                self._pieces.append(bytes(crumbs))
                self._crumbs = None
            self._pieces.append(piece)
        elif crumbs is None:
            self._crumbs = bytearray(piece)
        else:
            crumbs += piece
            if len(crumbs) >= PIECE:
                self._pieces.append(bytes(crumbs))
                self._crumbs = None

    def end(self, last: bytes) -> bytes:
        """The whole body, of which ``last`` is the end."""
        pieces = self._pieces
        if self._crumbs is not None:
            pieces.append(bytes(self._crumbs))
        pieces.append(last)
        # Once: each copy of a large body costs as much as all else that is done with it (bench: sizes).
        return b"".join(pieces)
