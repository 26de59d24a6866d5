"""Octets for one client, in the order in which they are to be written."""

from __future__ import annotations

from typing import Final

HIGH: Final = 256 * 1024
"""Bytes in an outbox that are no lag of a topic's subscriber yet."""

UNLIMITED: Final = 1 << 60
"""As many bytes as there are."""


class Outbox:
    """Pieces of frames: one is a whole frame and ends with NUL and a line end, or is a heart-beat, or a frame is four
    or five of them. The last of the header ends with the empty line, the body and the end come behind it. Bodies,
    and headers that all get alike, are the same objects for all clients, so they take no memory of their own here.

    ``bytes`` is what they have together, or a little less, and ``answers`` what of it is no message: what the client
    asked for faster than it reads.
    """

    __slots__ = ("_at", "_left", "answers", "bytes", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.bytes: int = 0
        self.answers: int = 0
        self._at: int = 0
        """How much of the first piece was taken."""
        self._left: int = 0
        """Pieces of a frame of which something was taken."""

    def answer(self, octets: bytes) -> None:
        """Append octets that are no message."""
        length: int = len(octets)
        self.pieces.append(octets)
        self.bytes += length
        self.answers += length

    def take(self, large: int, most: int = UNLIMITED, cut: bool = False, framed: bool = False) -> list[bytes]:
        """The next octets: all, or those of more than ``most`` bytes that are ``most`` or some more; with ``cut`` a
        large body is cut for that, with ``framed`` they end with a frame. Bodies of ``large`` bytes or more are
        pieces of their own, what is between them is in one.
        """
        out = self.pieces
        if self.bytes > most:
            return _joined(self._some(most, cut, framed), large)
        if self._left:
            out[0] = out[0][self._at :]
            self._at = 0
            self._left = 0
        taken: list[bytes] = []
        # Where four pieces a message are small on average it takes no look at each.
        if self.bytes >= large // 4 * len(out):
            taken = _joined(out, large)
        elif out:
            taken.append(b"".join(out))
        out.clear()
        self.bytes = 0
        self.answers = 0
        return taken

    def whole(self, large: int, most: int) -> bytes:
        """The same where it is one piece of at most ``most`` bytes, that begins with a frame; else nothing, and none
        is taken.
        """
        out = self.pieces
        count: int = len(out)
        if self._left or self.bytes > most or not count:
            return b""
        octets = out[0]
        if count > 1:
            # As in ``take``.
            if self.bytes >= large // 4 * count:
                return b""
            octets = b"".join(out)
        out.clear()
        self.bytes = 0
        self.answers = 0
        return octets

    def drop(self) -> None:
        """Let go of all frames of which nothing was taken."""
        del self.pieces[self._left :]
        self.bytes = self.begun
        self.answers = min(self.answers, self.bytes)

    @property
    def begun(self) -> int:
        """Bytes that are left of a frame of which something was taken."""
        return sum([len(piece) for piece in self.pieces[: self._left]]) - self._at

    def _some(self, most: int, cut: bool, framed: bool) -> list[bytes]:
        out = self.pieces
        some: list[bytes] = []
        size: int = 0
        at: int = 0
        while at < len(out) and (size < most or (framed and self._left > 0)):
            if not self._left:
                self._left = self._pieces_of_frame(at)
            piece = out[at]
            end: int = len(piece)
            if cut and end - self._at > most - size:
                end = self._at + most - size
            if self._at or end < len(piece):
                piece = piece[self._at : end]
            size += len(piece)
            some.append(piece)
            if end < len(out[at]):
                self._at = end
            else:
                self._at = 0
                self._left -= 1
                at += 1
        del out[:at]
        # What is left is to be seen.
        self.bytes = max(1, self.bytes - size) if out else 0
        self.answers = min(self.answers, self.bytes)
        return some

    def _pieces_of_frame(self, at: int) -> int:
        """How many pieces the frame has that begins there."""
        out = self.pieces
        if out[at].endswith(b"\0\n") or out[at] == b"\n":
            return 1
        return 4 if out[at + 1].endswith(b"\n\n") else 5


def _joined(pieces: list[bytes], large: int) -> list[bytes]:
    """The same octets; what is between pieces of ``large`` bytes or more is one piece."""
    taken: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) < large:
            small.append(piece)
        else:
            if small:
                taken.append(b"".join(small))
                small.clear()
            taken.append(piece)
    if small:
        taken.append(b"".join(small))
    return taken
