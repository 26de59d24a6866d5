"""SENDs that differ in values alone: what their header blocks have in common is learned, and then read in one step.

A producer says the same in each SEND, but for destination, receipt and other values. After some that could be read so
the parser knows the *shape* of the newest, and ``like`` of ``native`` takes those of that shape: no dictionary is
made of their headers, and the lines go on to consumers as they came (bench: auto, clients).

A shape is octets, one and then some for each header line:

    0          1
    +----------+--------+----------------+------+----- ...
    | as in    | length | name and colon | what | the next line
    | STOMP    | (1     | of line 1:     | line | ...
    | 1.0      | octet) | destination:   | it is|
    +----------+--------+----------------+------+----- ...

As in STOMP 1.0 no value begins or ends with a blank, and a backslash is a backslash. What a line is: 1 any, 2
content-length, 3 destination, 4 receipt, 5 transaction, 6 message group; 0 one of which the value counts too
(``persistent:true``) and that stands there as a whole. The length counts neither itself nor the octet behind the
text. For a SEND with destination and content-length:

    00  0c "destination:" 03  0f "content-length:" 02
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from stompserver.wire.frame import FEW, HEADER, Lesson
from stompserver.wire.leaf import GROUP, LENGTH, PLACE, RECEIPT, TRANSACTION, VALUE, WHOLE

LEARN: Final = 8
"""After this many SENDs that could be read in one step the shape of the newest is learned. ``like`` takes long for a
new shape, so the number doubles each time: a client that never says the same soon stops paying for it.
"""

KEPT: Final = 4
"""Shapes of one client that are known at a time."""

LARGEST: Final = 1000
"""Octets of a shape: that is more than clients of the field need, and no limit of memory sees what is learned."""

MOST: Final = 100
"""Lines, and octets of a name or a line that counts as a whole, in a header block that has a shape."""


_KINDS: Final = {
    b"content-length": LENGTH,
    b"destination": PLACE,
    b"receipt": RECEIPT,
    b"transaction": TRANSACTION,
}


def shape(block: bytes, no_blanks: bool, whole: Set[bytes] = frozenset(), group: bytes = b"") -> bytes:
    """The shape of a header ``block``, in which the values of the names in ``whole`` count, and the one of the name
    ``group`` is told; with ``no_blanks`` as in STOMP 1.0. Empty for what is no SEND with a destination, or has a name
    that is not plain.
    """
    lines = block.split(b"\n")
    names = [line.partition(b":")[0] for line in lines]
    if names[0] != b"SEND" or b"destination" not in names or len(names) > MOST:
        return b""
    if len(set(names)) < len(names):
        return b""
    parts = [bytes((no_blanks,))]
    for name, line in zip(names[1:], lines[1:], strict=True):
        if not b" " < name[:1] < b"\x7f" or not b" " < name[-1:] < b"\x7f":
            return b""
        part, kind = name + b":", _KINDS.get(name, VALUE)
        if name in whole:
            part, kind = line, WHOLE
        elif name == group:
            kind = GROUP
        if len(part) > MOST or b"\\" in part or b"\r" in part or not part.isascii():
            return b""
        parts.append(bytes((len(part),)) + part + bytes((kind,)))
    octets = b"".join(parts)
    return octets if len(octets) <= LARGEST else b""


class Learned:
    """A shape: ``more`` is how many bytes of memory the header blocks of that shape take beside their octets."""

    __slots__ = ("lesson", "more", "octets")

    def __init__(self, octets: bytes, lesson: Lesson | None) -> None:
        self.octets = octets
        self.lesson = lesson
        headers: int = 0
        at: int = 1
        while at < len(octets):
            headers += 1
            at += octets[at] + 2
        self.more: int = HEADER * (headers - FEW) if headers > FEW else 0


_NO_SHAPE: Final = Learned(b"", None)
_NOTHING: Final[list[Learned]] = []


class Alike:
    """What was learned of one client's SENDs: ``learned`` are shapes, ``first`` is the first of them, ``known`` their
    octets.
    """

    __slots__ = ("_due", "_next", "_seen", "first", "known", "learned")

    def __init__(self) -> None:
        self.known: tuple[bytes, ...] = ()
        # Most connections never learn: these are the same objects for all.
        self.learned = _NOTHING
        self.first = _NO_SHAPE
        self._seen: int = 0
        """SENDs that could have been read in one step since a shape was learned."""
        self._due: int = LEARN
        """How many of them it takes to learn the next."""
        self._next: int = 0
        """Which shape gives way to the next."""

    def due(self) -> bool:
        """There was a SEND that is of no known shape. Whether its shape is to be learned."""
        self._seen += 1
        if self._seen < self._due:
            return False
        self._seen = 0
        self._due *= 2
        return True

    def learn(self, octets: bytes, lesson: Lesson | None) -> None:
        """Know the shape of those octets from now on."""
        if not octets:
            return
        learned = Learned(octets, lesson)
        if octets in self.known:
            # What it means may have changed.
            self.learned[self.known.index(octets)] = learned
        elif len(self.learned) < KEPT:
            self.learned = [*self.learned, learned]
        else:
            self.learned[self._next] = learned
            self._next = (self._next + 1) % KEPT
        self.first = self.learned[0]
        self.known = tuple([each.octets for each in self.learned])


NOTHING_LEARNED: Final = Alike()
"""Of clients that send nothing, which are most (bench: idle). It never learns."""
