"""SENDs that differ in values alone: what their header blocks have in common is learned, and then read in one step.

A producer says the same in each SEND, but for destination, receipt and other values. After some that needed nothing
special the parser knows the newest one's *shape*, and ``like`` of ``native`` takes those of that shape: no dictionary
is made of their headers, and the lines go on to consumers as they came (bench: auto).

A shape is octets, three and then some for each header name:

    0          1                     2                  3
    +----------+---------------------+------------------+--------+----------------+--------+----- ...
    | blanks   | content-length is   | receipt is line  | length | name and colon | \\x01   | the next line
    | are      | line number ..., as | number ..., 0    | (1     | of line 1:     | a value|
    | refused  | destination is 1    | when none is     | octet) | destination:   | follows|
    +----------+---------------------+------------------+--------+----------------+--------+----- ...

A line of which the value counts too (``persistent:true``) stands there as a whole, with \\x00 behind it: no value
follows. The length counts neither itself nor that last octet. For a SEND with destination and content-length:

    00 02 00  0c "destination:" 01  0f "content-length:" 01
"""

from __future__ import annotations

from typing import Final

from stompserver.wire.frame import weight

LEARN: Final = 8
"""After this many plain SENDs the shape of the newest is learned. ``like`` takes long for a new shape, so the number
doubles each time: a client that alternates between shapes soon stops paying for it.
"""

MOST: Final = 100
"""Lines, and octets of a name, in a header block that has a shape."""


def shape(block: bytes, no_blanks: bool) -> bytes:
    """The shape of a header ``block``, with ``no_blanks`` of blocks without a blank or tab in a value; empty for one
    that does not begin with the destination of a SEND, or has no content-length.
    """
    names = [line.partition(b":")[0] for line in block.split(b"\n")]
    if names[:2] != [b"SEND", b"destination"] or b"content-length" not in names:
        return b""
    if len(names) > MOST or max([len(name) for name in names]) > MOST:
        return b""
    places = [names.index(b"content-length"), names.index(b"receipt") if b"receipt" in names else 0]
    # Another value would mean something else.
    lines = [b"persistent:true\0" if name == b"persistent" else name + b":\1" for name in names[1:]]
    return bytes((no_blanks, *places)) + b"".join([bytes((len(line) - 1,)) + line for line in lines])


class Alike:
    """What was learned of one client's SENDs: ``shape`` is that of the newest, empty before; ``more`` is how many
    bytes of memory the header blocks of that shape take beside their octets.
    """

    __slots__ = ("_due", "_seen", "more", "shape")

    def __init__(self) -> None:
        self.shape = b""
        self.more: int = 0
        self._seen: int = 0
        """Plain SENDs since a shape was learned."""
        self._due: int = LEARN
        """How many of them it takes to learn the next."""

    def see(self, block: bytes, no_blanks: bool) -> None:
        """A SEND with this header ``block`` needed nothing special."""
        self._seen += 1
        if self._seen >= self._due:
            self._seen = 0
            self._due *= 2
            self.shape = shape(block, no_blanks)
            self.more = weight(block, block.count(b"\n")) - len(block)
