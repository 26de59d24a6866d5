"""Header blocks to text and back, where nothing is escaped: what a profile of the server shows first (bench: auto).

``_leaf.c`` has the same functions in C, and compiled servers run those.
"""

from __future__ import annotations

import re
from typing import Final


def end(octets: bytes, start: int) -> int:
    """Where the empty line after a header block begins, at ``start`` (0 or more) or later; -1 if there is none."""
    return octets.find(b"\n\n", start)


def whole(text: str) -> int:
    """The number that ``text`` is in up to 15 digits; -1 when it is anything else."""
    return int(text) if text.isdigit() and text.isascii() and len(text) < 16 else -1


def split(block: bytes, max_headers: int, no_blanks: bool) -> tuple[str, dict[str, str]] | None:
    """The command and headers of a block that needs no decoding beyond UTF-8; None when it wants a closer look.

    That is when it has more than ``max_headers``, or with ``no_blanks`` a blank or tab anywhere.
    """
    try:
        head: str = block.decode()
        # Containment in a str costs a tenth of that in bytes; exactly one colon a line makes it plain.
        if "\r" in head or "\\" in head or "\0" in head:
            return None
        lines = head.split("\n")
        command = lines[0]
        del lines[0]
        headers: dict[str, str] = {}
        for line in lines:
            name, value = line.split(":")
            headers[name] = value
    except ValueError:
        # Includes UnicodeDecodeError.
        return None
    count: int = len(lines)
    if count != len(headers) or count > max_headers or "" in headers:
        return None
    if no_blanks and (" " in head or "\t" in head):
        return None
    return command, headers


SHAPES: Final = 512
"""Patterns kept: one takes as long to make as hundreds of frames to read, and clients choose them."""

_patterns: dict[bytes, re.Pattern[bytes]] = {}


def shape(block: bytes, no_blanks: bool) -> bytes:
    """What ``like`` wants to know of frames that differ from the one of header ``block`` in values alone; empty for a
    block that does not begin with the destination of a SEND, or has no content-length.

    An octet for ``no_blanks``, one for the place of content-length among the names, then each name and its colon,
    a line each.
    """
    names = [line.partition(b":")[0] + b":\n" for line in block.split(b"\n")]
    if names[:2] != [b"SEND:\n", b"destination:\n"] or b"content-length:\n" not in names or len(names) > 100:
        return b""
    return bytes((no_blanks, names.index(b"content-length:\n"))) + b"".join(names[1:])


def like(
    octets: bytes, start: int, shape: bytes, max_header: int, max_body: int
) -> tuple[int, str, bytes, bytes] | None:
    """The frame at ``start`` if it is of that ``shape``, whole, and wants no decoding: where it ends, destination,
    other header lines as they are, and body. At most ``max_header`` and ``max_body`` bytes are taken.
    """
    pattern = _patterns.get(shape)
    if pattern is None:
        pattern = _pattern(shape)
    found = pattern.match(octets, start)
    if found is None:
        return None
    place, lines, digits = found.groups()
    body: int = found.end()
    length: int = int(digits)
    stop: int = body + length
    if stop >= len(octets) or octets[stop] or body - start - 2 > max_header or length > max_body:
        return None
    return stop + 1, place.decode(), lines, octets[body:stop]


def ack(octets: bytes, start: int) -> tuple[int, str] | None:
    """Where the ACK frame at ``start`` ends, and its id, if it is whole and has just an id of up to 20 digits."""
    if not octets.startswith(b"ACK\nid:", start):
        return None
    stop: int = octets.find(b"\n\n\0", start + 7, start + 30)
    if stop < 0:
        return None
    name = octets[start + 7 : stop]
    return (stop + 3, name.decode()) if name.isdigit() else None


def _pattern(shape: bytes) -> re.Pattern[bytes]:
    none = rb"\n:\\\r\0\x80-\xff" + (rb" \t" if shape[0] else b"")
    lines = [re.escape(name) + rb"[^%b]*+\n" % none for name in shape[2:].split(b"\n")[:-1]]
    lines[shape[1] - 1] = rb"content-length:(0|[1-9][0-9]{0,14})\n"
    pattern = re.compile(rb"SEND\ndestination:([^%b]++)\n(%b)\n" % (none, b"".join(lines[1:])))
    if len(_patterns) >= SHAPES:
        del _patterns[next(iter(_patterns))]
    _patterns[shape] = pattern
    return pattern


def relayed(destination: str, number: int, lines: bytes) -> bytes:
    """The header lines of message ``number``, those behind its destination as they came, and the empty line."""
    return b"destination:%b\nmessage-id:%d\n%b\n" % (destination.encode(), number, lines)


def message(prefix: bytes, ack: int, destination: str, number: int, lines: bytes, body: bytes) -> bytes:
    """The same as a whole frame that begins with ``prefix``; with an ``ack`` header unless that is 0."""
    if ack:
        prefix = b"%back:%d\n" % (prefix, ack)
    return b"%bdestination:%b\nmessage-id:%d\n%b\n%b\0\n" % (
        prefix,
        destination.encode(),
        number,
        lines,
        body,
    )


def head(destination: str, number: int, length: int, headers: dict[str, str]) -> bytes:
    """The header lines of message ``number`` with a body of ``length`` bytes, nothing escaped, and the empty line.

    Raises UnicodeEncodeError for text that is no UTF-8.
    """
    parts = [f"destination:{destination}\nmessage-id:{number}\ncontent-length:{length}\n"]
    parts.extend([f"{name}:{value}\n" for name, value in headers.items()])
    parts.append("\n")
    return "".join(parts).encode()
