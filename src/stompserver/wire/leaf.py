"""Header blocks to text and back, where nothing is escaped: what a profile of the server shows first (bench: auto).

``_leaf.c`` has the same functions in C, and compiled servers run those.
"""

from __future__ import annotations

import re
from typing import Final


def block_end(octets: bytes, start: int) -> int:
    """Where the empty line after a header block begins, at ``start`` (0 or more) or later; -1 if there is none."""
    return octets.find(b"\n\n", start)


def whole(text: str) -> int:
    """The number that ``text`` is in up to 15 digits; -1 when it is anything else."""
    return int(text) if text.isdigit() and text.isascii() and len(text) < 16 else -1


def split(block: bytes, max_headers: int, no_blanks: bool) -> tuple[str, dict[str, str]] | None:
    """The command and headers of a block that needs no decoding beyond UTF-8; None when it wants a closer look.

    That is when it has more than ``max_headers``, with ``no_blanks`` a blank or tab anywhere, or a name that
    begins or ends with what some receivers do not take for a part of it.
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
            if not " " < name[:1] < "\x7f" or not " " < name[-1:] < "\x7f":
                return None
            headers[name] = value
    except ValueError:
        # Includes UnicodeDecodeError.
        return None
    count: int = len(lines)
    if count != len(headers) or count > max_headers:
        return None
    if no_blanks and (" " in head or "\t" in head):
        return None
    return command, headers


_ACK: Final = re.compile(rb"ACK\nid:([!-9;-\[\]-~]{1,40})\n\n\0")

ACK_MORE: Final = 10
"""Octets of a frame of ``plain_ack`` beside its id."""

_ESCAPED: Final = re.compile(r"[\\\r\n:\0\ud800-\udfff]")
"""What some version of STOMP escapes or cannot express, and octets that were no UTF-8."""

SHAPES: Final = 512
"""Patterns kept: one takes as long to make as hundreds of frames to read, and clients choose them."""

_patterns: dict[bytes, re.Pattern[bytes]] = {}


def like(
    octets: bytes, start: int, shape: bytes, max_header: int, max_body: int
) -> tuple[int, str, str | None, bytes, bytes] | None:
    """The frame at ``start`` if it is of that ``shape`` (see ``alike``), whole, and wants no decoding: where it ends,
    destination, receipt, all other header lines as they are, and body. At most ``max_header`` and ``max_body`` bytes
    are taken.
    """
    pattern = _patterns.get(shape)
    if pattern is None:
        pattern = _pattern(shape)
    found = pattern.match(octets, start)
    if found is None:
        return None
    if pattern.groups == 3:
        place, lines, digits = found.groups()
        receipt = None
    else:
        place, lines, digits, name, after = found.group("place", "lines", "digits", "receipt", "after")
        receipt = name.decode()
        lines += after
    body: int = found.end()
    length: int = int(digits)
    stop: int = body + length
    if stop >= len(octets) or octets[stop] or body - start - 2 > max_header or length > max_body:
        return None
    return stop + 1, place.decode(), receipt, lines, octets[body:stop]


def plain_ack(octets: bytes, start: int) -> str | None:
    """The id of the ACK frame at ``start``, if it is whole and has just an id of up to 40 octets, which wants no
    decoding. Such a frame is as long as its id and ``ACK_MORE``, with its NUL.
    """
    found = _ACK.match(octets, start)
    return found.group(1).decode() if found is not None else None


def _pattern(shape: bytes) -> re.Pattern[bytes]:
    value = rb"[^\n:\\\r\0\x80-\xff%b]" % (rb" \t" if shape[0] else b"")
    lines: list[bytes] = []
    at: int = 3
    while at < len(shape):
        end: int = at + 1 + shape[at]
        lines.append(re.escape(shape[at + 1 : end]) + (value + rb"*+\n" if shape[end] else rb"\n"))
        at = end + 1
    lines[0] = rb"destination:(?P<place>" + value + rb"++)\n(?P<lines>"
    lines[shape[1] - 1] = rb"content-length:(?P<digits>0|[1-9][0-9]{0,14})\n"
    if shape[2]:
        lines[shape[2] - 1] = rb")receipt:(?P<receipt>" + value + rb"*+)\n(?P<after>"
    pattern = re.compile(b"SEND\n" + b"".join(lines) + rb")\n")
    if len(_patterns) >= SHAPES:
        del _patterns[next(iter(_patterns))]
    _patterns[shape] = pattern
    return pattern


def encode_relayed(destination: str, number: int, lines: bytes) -> bytes:
    """The header lines of message ``number``, those behind its destination as they came, and the empty line."""
    return b"destination:%b\nmessage-id:%d\n%b\n" % (destination.encode(), number, lines)


def encode_message(
    prefix: bytes, ack: int, destination: str, number: int, lines: bytes, body: bytes
) -> bytes:
    """A whole MESSAGE, relayed as it came: ``prefix`` (command and first header lines), ``ack`` and a line end unless
    that is 0 (``prefix`` ends within the ack header then), the header lines as ``encode_relayed`` makes them,
    ``body``, NUL and line end.
    """
    if ack:
        prefix = b"%b%d\n" % (prefix, ack)
    return b"%bdestination:%b\nmessage-id:%d\n%b\n%b\0\n" % (
        prefix,
        destination.encode(),
        number,
        lines,
        body,
    )


def encode_head(destination: str, number: int, length: int, headers: dict[str, str]) -> bytes | None:
    """The header lines of message ``number`` with a body of ``length`` bytes, nothing escaped, and the empty line.

    None when something in them would have to be escaped, or is no UTF-8: wherever a text came from, it does not
    become a line of its own.
    """
    for text in (destination, *headers, *headers.values()):
        if _ESCAPED.search(text):
            return None
    parts = [f"destination:{destination}\nmessage-id:{number}\ncontent-length:{length}\n"]
    parts.extend([f"{name}:{value}\n" for name, value in headers.items()])
    parts.append("\n")
    return "".join(parts).encode()
