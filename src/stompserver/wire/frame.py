"""One STOMP frame as a small value: a command, its headers and its body."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from stompserver.wire.headers import TEXT_11

LOGGED_BODY: Final = 64
"""Octets of a body that the log form shows."""

SECRET: Final = frozenset(("passcode", "authorization", "token", "x-authorization"))
"""Headers (lower case) whose values never reach a log."""


_STRIPPED: Final = (
    "".join([chr(code) for code in range(33)])
    + ":\x7f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f"
    + "\u3000\ufeff"
)


def stripped(name: str) -> str:
    """A header's name as the most tolerant receiver reads it: without blanks and control characters around it, also
    those that stand for what its version cannot express.
    """
    return name.strip(_STRIPPED)


FEW: Final = 4
"""Headers of a frame that cost no more memory than their text: what a message takes beside it is counted for them."""

HEADER: Final = 150
"""Bytes of memory that each further one takes beside its text (measured: 100 to 150)."""


def weight(block: bytes, headers: int) -> int:
    """Bytes of memory that a header ``block`` with so many ``headers`` takes."""
    bytes: int = len(block)
    if headers > FEW:
        bytes += HEADER * (headers - FEW)
    if not block.isascii():
        # One character with many bits, and Python keeps all of its text in as many.
        highest: int = max(block)
        if highest >= 0xF0:
            bytes += 3 * len(block)
        elif highest > 0xC3:
            bytes += len(block)
    return bytes


class Lesson:
    """What the lines that are equal in all SENDs of a shape mean: the session's, which is told it again."""

    __slots__ = ()


@mypyc_attr(acyclic=True)
class Frame:
    """A parsed frame. ``headers`` holds the first entry of each name (STOMP 1.2, Repeated Header Entries).

    ``plain`` is true when the header block holds nothing that any version would escape, so that it can be
    written to receivers of every version as it stands. ``length`` is what the header block takes in memory, in bytes.
    ``block`` is that header block where it was read without a closer look, else empty. ``edged`` tells that some name
    begins or ends with what a receiver may strip off (see ``stripped``), which makes it another name.
    """

    __slots__ = ("block", "body", "command", "edged", "headers", "length", "plain")

    def __init__(
        self, command: str, headers: dict[str, str], body: bytes, plain: bool = False, length: int = 0
    ) -> None:
        self.command = command
        self.headers = headers
        self.body = body
        self.plain = plain
        self.length: int = length
        self.block = b""
        self.edged = False

    def __str__(self) -> str:
        """The form for logs: one line, secrets masked, the body cut to ``LOGGED_BODY`` octets."""
        shown = [
            repr(name)[1:-1] + ":" + ("***" if name.strip().lower() in SECRET else repr(value)[1:-1])
            for name, value in self.headers.items()
        ]
        body = repr(self.body[:LOGGED_BODY])[2:-1]
        if len(self.body) > LOGGED_BODY:
            body += f"... ({len(self.body)} bytes)"
        return " ".join([self.command, *shown]) + (" | " + body if body else "")


@mypyc_attr(acyclic=True)
class PlainSend:
    """A SEND that was read in one step, because it differs from one before it in values alone (see ``alike``).

    It has its ``destination``, its ``receipt`` (None if it asks for none), and all header ``lines`` but those of
    these and of a transaction as they came, each with its line end, and a content-length among them. ``others`` are
    its transaction and its message group, each None if it has none; None for those that have neither. ``lesson`` is
    what the session was told by those before it. ``escaped`` tells that in some value there is a colon, line end or
    backslash, escaped as in STOMP 1.1; all else about it is ``plain``. ``length`` is as in a frame.
    """

    __slots__ = ("body", "destination", "escaped", "length", "lesson", "lines", "others", "receipt")

    def __init__(
        self,
        destination: str,
        receipt: str | None,
        lines: bytes,
        body: bytes,
        length: int,
        escaped: bool,
        others: tuple[str | None, str | None] | None,
        lesson: Lesson | None,
    ) -> None:
        self.destination = destination
        self.receipt = receipt
        self.lines = lines
        self.body = body
        self.length: int = length
        self.escaped = escaped
        self.others = others
        self.lesson = lesson

    def read(self) -> Frame:
        """The same as a frame with headers."""
        headers = {"destination": self.destination}
        # Not by splitlines, which knows more line ends than STOMP does.
        for line in self.lines.decode().split("\n")[:-1]:
            name, _, value = line.partition(":")
            headers[name] = TEXT_11.unescape(value) if self.escaped else value
        if self.receipt is not None:
            headers["receipt"] = self.receipt
        others = self.others
        if others is not None and others[0] is not None:
            headers["transaction"] = others[0]
        return Frame("SEND", headers, self.body, not self.escaped, self.length)


@mypyc_attr(acyclic=True)
class PlainAck:
    """An ACK that was read in one step, because it says no more than these (each None where it does not), or nothing
    that means something. ``length`` is as in a frame.
    """

    __slots__ = ("id", "length", "message_id", "receipt", "subscription")

    def __init__(
        self,
        id: str | None,
        message_id: str | None,
        subscription: str | None,
        receipt: str | None,
        length: int,
    ) -> None:
        self.id = id
        self.message_id = message_id
        self.subscription = subscription
        self.receipt = receipt
        self.length: int = length

    def read(self) -> Frame:
        """The same as a frame with headers."""
        headers: dict[str, str] = {}
        if self.id is not None:
            headers["id"] = self.id
        if self.message_id is not None:
            headers["message-id"] = self.message_id
        if self.subscription is not None:
            headers["subscription"] = self.subscription
        if self.receipt is not None:
            headers["receipt"] = self.receipt
        return Frame("ACK", headers, b"", True, self.length)


AnyFrame = Frame | PlainSend | PlainAck
"""What the parser finds."""
