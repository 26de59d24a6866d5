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

    That is when it has more than ``max_headers``, with ``no_blanks`` a value that begins or ends with a blank or tab,
    or a name that begins or ends with what some receivers do not take for a part of it.
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
            if no_blanks and value != value.strip(" \t"):
                return None
            headers[name] = value
    except ValueError:
        # Includes UnicodeDecodeError.
        return None
    count: int = len(lines)
    if count != len(headers) or count > max_headers:
        return None
    return command, headers


_ACK: Final = re.compile(rb"ACK\nid:([!-9;-\[\]-~]{1,40})\n\n\0")

ACK_HEADERS: Final = 7
"""So many headers an ACK of ``any_ack`` may have."""

ACK_MORE: Final = 10
"""Octets of a frame of ``plain_ack`` beside its id."""

_ESCAPED: Final = re.compile(r"[\\\r\n:\0\ud800-\udfff]")
"""What some version of STOMP escapes or cannot express, and octets that were no UTF-8."""

SHAPES: Final = 512
"""Patterns kept: one takes as long to make as hundreds of frames to read, and clients choose them."""

ESCAPED: Final = 4
WIDE: Final = 2
WIDER: Final = 1
"""Of what ``like`` finds, as a sum: its lines have something escaped; Python keeps text that is made of them in four
octets a character, in two where it could be one.
"""

WHICH: Final = 8
"""Times this, with the others added: of the first, second ... shape."""

_patterns: dict[bytes, re.Pattern[bytes]] = {}


def like(
    octets: bytes, start: int, shapes: tuple[bytes, ...], max_header: int, max_body: int
) -> tuple[int, int, str, str | None, bytes, bytes, tuple[str | None, str | None] | None] | None:
    """The frame at ``start`` if it is whole and of one of the ``shapes`` (see ``alike``): where it ends, which and
    what it is (see WHICH), destination, receipt, all other header lines as they are but for the one of a transaction,
    with a content-length, body, and transaction and group where its shape has one of these. At most ``max_header``
    and ``max_body`` bytes are taken.
    """
    if octets[start : start + 5] != b"SEND\n":
        return None
    for which, shape in enumerate(shapes):
        pattern = _patterns.get(shape)
        if pattern is None:
            pattern = _pattern(shape)
        match = pattern.match(octets, start)
        if match is None:
            continue
        values = match.groupdict()
        body: int = match.end()
        stop: int
        digits = values.get("digits")
        if digits is not None:
            length: int = int(digits)
            stop = body + length
            if length > max_body or stop >= len(octets) or octets[stop]:
                continue
        else:
            stop = octets.find(b"\0", body, body + max_body + 1)
            if stop < 0:
                continue
        if body - start - 2 > max_header:
            continue
        lines = values["a"] + values.get("b", b"") + values.get("c", b"") + values.get("d", b"")
        bits: int = ESCAPED if b"\\" in lines else 0
        if not lines.isascii():
            try:
                lines.decode()
            except UnicodeDecodeError:
                continue
            highest: int = max(lines)
            bits += WIDE if highest >= 0xF0 else WIDER if highest > 0xC3 else 0
        if digits is None:
            lines += b"content-length:%d\n" % (stop - body)
        receipt = _text_of(values.get("receipt"))
        others = _text_of(values.get("transaction")), _text_of(values.get("group"))
        return (
            stop + 1,
            WHICH * which + bits,
            values["place"].decode(),
            receipt,
            lines,
            octets[body:stop],
            None if others == (None, None) else others,
        )
    return None


def _text_of(octets: bytes | None) -> str | None:
    return octets.decode() if octets is not None else None


def plain_ack(octets: bytes, start: int) -> str | None:
    """The id of the ACK frame at ``start``, if it is whole and has just an id of up to 40 octets, which wants no
    decoding. Such a frame is as long as its id and ``ACK_MORE``, with its NUL.
    """
    found = _ACK.match(octets, start)
    return found.group(1).decode() if found is not None else None


_BARE: Final = re.compile(rb"[^\n:\\\r\0\x80-\xff]+")
_NOTHING: Final = frozenset((b"destination", b"content-type", b"content-length"))


def any_ack(octets: bytes, start: int) -> tuple[int, str | None, str | None, str | None, str | None] | None:
    """Where the ACK frame at ``start`` ends, its id, message-id, subscription and receipt, if it is whole, says none
    of them twice, and beside them nothing but what many clients write for no purpose. No value wants decoding.
    """
    if octets[start : start + 4] != b"ACK\n":
        return None
    stop: int = octets.find(b"\n\n", start)
    # Compiled, a slice that ends before it begins is a SystemError (mypyc 2.4.1), and not empty.
    if stop < start + 4 or octets[stop + 2 : stop + 3] != b"\0":
        return None
    said: dict[bytes, bytes] = {}
    for line in octets[start + 4 : stop].split(b"\n"):
        name, colon, value = line.partition(b":")
        if not colon or name in said or (name == b"content-length" and value != b"0"):
            return None
        if not _BARE.fullmatch(value) or value != value.strip(b" \t"):
            return None
        said[name] = value
    values = [_text_of(said.pop(name, None)) for name in (b"id", b"message-id", b"subscription", b"receipt")]
    if not said.keys() <= _NOTHING:
        return None
    id, message_id, subscription, receipt = values
    return stop + 3, id, message_id, subscription, receipt


WHOLE: Final = 0
VALUE: Final = 1
LENGTH: Final = 2
PLACE: Final = 3
RECEIPT: Final = 4
TRANSACTION: Final = 5
GROUP: Final = 6
"""What the line of a shape is; see ``alike``."""

_NAMES: Final = {PLACE: b"place", RECEIPT: b"receipt", TRANSACTION: b"transaction", GROUP: b"group"}


def _pattern(shape: bytes) -> re.Pattern[bytes]:
    bare = rb"[^\n:\\\r\0\x80-\xff]*+"
    free = rb"[^\n:\\\r\0]*+"
    if shape[0]:
        edge = rb"(?![ \t])"
        bare, free = edge + bare + rb"(?<![ \t])", edge + free + rb"(?<![ \t])"
    else:
        # What 1.1 and 1.2 both escape.
        free += rb"(?:\\[cn\\]" + free + rb")*+"
    parts = [b"SEND\n(?P<a>"]
    segments = iter((b"b", b"c", b"d"))
    at: int = 1
    while at < len(shape):
        end: int = at + 1 + shape[at]
        kind: int = shape[end]
        line = re.escape(shape[at + 1 : end])
        if kind == VALUE:
            line += free
        elif kind == LENGTH:
            line += rb"(?P<digits>0|[1-9][0-9]{0,14})"
        elif kind != WHOLE:
            line += b"(?P<%b>%b)" % (_NAMES[kind], (rb"(?!\n)" if kind == PLACE else b"") + bare)
        line += rb"\n"
        parts.append(
            b")%b(?P<%b>" % (line, next(segments)) if kind in (PLACE, RECEIPT, TRANSACTION) else line
        )
        at = end + 1
    parts.append(rb")\n")
    pattern = re.compile(b"".join(parts))
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


TEXT: Final = 1
BINARY: Final = 2
"""The opcodes of WebSocket messages (RFC 6455, 5.2)."""


def unmask(octets: bytes, mask: bytes) -> bytes:
    """The octets of a WebSocket frame's payload as they were before ``mask``, four octets, was put on them (RFC 6455,
    5.3).
    """
    size: int = len(octets)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(octets, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def unframe(octets: bytes, start: int) -> tuple[bytes, int, int]:
    """The payloads of the plain WebSocket frames that follow each other from ``start`` on, where they end, and the
    opcode of the first of them, 0 where there is none.

    Plain ones are whole messages of text or binary data, without extensions and masked, of which all has come.
    """
    payloads: list[bytes] = []
    first: int = 0
    at: int = start
    size: int = len(octets)
    while at + 6 <= size:
        opening: int = octets[at]
        length: int = octets[at + 1] - 0x80
        if (opening != 0x81 and opening != 0x82) or length < 0:
            break
        mask: int = at + 2
        if length == 126:
            mask = at + 4
            length = octets[at + 2] << 8 | octets[at + 3]
            if length < 126:
                break
        elif length == 127:
            mask = at + 10
            if mask > size:
                break
            length = int.from_bytes(octets[at + 2 : mask], "big")
            if length < 65536 or length > size:
                break
        end: int = mask + 4 + length
        if end > size:
            break
        payloads.append(unmask(octets[mask + 4 : end], octets[mask : mask + 4]))
        if not first:
            first = opening - 0x80
        at = end
    return b"".join(payloads), at, first
