"""One message as octets: the format that stores share, numbered, with a checksum.

A record is a fixed head, the text, the body. The head (big-endian): format (1 octet), flags (1: plain=1,
persistent=2, kept=4), exceptions (4, signed), attempts (4), number (8), size (8), length of text (4), length of body
(8), CRC-32 (4) of all before and after it. The text is destination, name, value, name, value ... joined by
NUL in UTF-8; octets that came in as no UTF-8 (STOMP 1.0) go out as the same. No header can hold a NUL: one that is
there in spite of that is written as a blank, as it is to clients.

With the flag kept=4 the record has format 2 and what Message.kept tells stands between destination and headers:
the number of its pairs, then name, value ... as the headers do. Messages without stay in format 1.

To change it: give the new layout the next number in ``FORMAT``, keep reading the old ones, and keep a record of
each in the tests.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from stompserver.broker.message import Message
from stompserver.errors import StoreDamaged, StoreForeign
from stompserver.stores.leaf import CHECK, HEAD, LENGTH, PERSISTENT, PLAIN, START, WHOLE
from stompserver.stores.native import decode_plain, encode_relayed

FORMAT: Final = 2

_KEPT: Final = 4


def encode(message: Message) -> bytes:
    """``message`` as a record; its key is not in it."""
    lines = message.lines
    kept = message.kept()
    if lines and not kept:
        whole = encode_relayed(
            message.destination,
            lines,
            message.body,
            (PLAIN if message.plain else 0) | (PERSISTENT if message.persistent else 0),
            message.exceptions,
            message.attempts,
            message.number,
            message.size,
        )
        if whole is not None:
            return whole
    parts = [message.destination]
    if kept:
        parts.append(str(len(kept)))
        for name, value in kept.items():
            parts.append(name)
            parts.append(value)
    if lines:
        text = _text(parts).encode("utf-8", "surrogateescape") + _joined(lines, message.plain)
    else:
        for name, value in message.headers.items():
            parts.append(name)
            parts.append(value)
        text = _text(parts).encode("utf-8", "surrogateescape")
    head = HEAD.pack(
        FORMAT if kept else 1,
        (PLAIN if message.plain else 0) | (PERSISTENT if message.persistent else 0) | (_KEPT if kept else 0),
        message.exceptions,
        message.attempts,
        message.number,
        message.size,
        len(text),
        len(message.body),
    )
    check = crc32(message.body, crc32(text, crc32(head)))
    return b"".join((head, CHECK.pack(check), text, message.body))


def _text(parts: list[str]) -> str:
    text = "\0".join(parts)
    if text.count("\0") >= len(parts):
        # Else what follows would be other names and values than it was.
        text = "\0".join([part.replace("\0", " ") for part in parts])
    return text


def _joined(lines: bytes, plain: bool) -> bytes:
    """Header lines without content-length as NUL, name, NUL, value ... (bench: persistent)."""
    at: int = 0 if lines.startswith(LENGTH) else lines.index(b"\n" + LENGTH) + 1
    rest = lines[:at] + lines[lines.index(b"\n", at) + 1 :]
    if not rest:
        return b""
    rest = b"\0" + rest[:-1].replace(b":", b"\0").replace(b"\n", b"\0")
    if plain or b"\\" not in rest:
        return rest
    parts = [part.replace(b"\\c", b":").replace(b"\\n", b"\n") for part in rest.split(b"\\\\")]
    return b"\\".join(parts)


def decode(key: int, record: bytes, known: str = "") -> Message:
    """The message of a record; its destination is the object ``known`` where it is the same text.

    Raises StoreDamaged, or StoreForeign for a format of a newer version.
    """
    found = decode_plain(record, known)
    if found is not None:
        destination, lines, body, persistent, exceptions, attempts, number, size = found
        message = Message(destination, None, body, size, True, persistent, exceptions)
        message.lines = lines
        message.key = key
        message.number = number
        message.attempts = attempts
        message.stored = True
        return message
    if len(record) < START:
        raise StoreDamaged(f"record of {len(record)} bytes is shorter than its head")
    format, flags, exceptions, attempts, number, size, text_length, body_length, check = WHOLE.unpack_from(
        record
    )
    if not 0 < format <= FORMAT:
        raise StoreForeign(f"record format {format}; this version knows {FORMAT}")
    if len(record) != START + text_length + body_length:
        raise StoreDamaged(f"record of {len(record)} bytes should have {START + text_length + body_length}")
    end = START + text_length
    if check != crc32(record[START:], crc32(record[: HEAD.size])):
        raise StoreDamaged("checksum does not fit")
    text = record[START:end]
    try:
        parts = text.decode().split("\0")
    except UnicodeDecodeError:
        parts = text.decode("utf-8", "surrogateescape").split("\0")
    destination = parts[0]
    start = 1
    count = len(parts)
    if flags & _KEPT:
        pairs = parts[1] if count > 1 else ""
        if not pairs.isascii() or not pairs.isdigit() or len(pairs) > 9:
            raise StoreDamaged(f"{pairs[:40]!r} pairs of what is kept beside the headers")
        start = 2 + 2 * int(pairs)
    if start > count or (count - start) % 2:
        raise StoreDamaged("a header without a value")
    # Compiled, a loop is twice as fast as dict(zip()) (bench: drain).
    headers: dict[str, str] = {}
    for i in range(start, count, 2):
        headers[parts[i]] = parts[i + 1]
    message = Message(
        destination,
        headers,
        record[end:],
        size,
        flags & PLAIN != 0,
        flags & PERSISTENT != 0,
        exceptions,
    )
    if start > 1:
        try:
            message.regain(dict(zip(parts[2:start:2], parts[3:start:2], strict=True)))
        except ValueError as problem:
            raise StoreDamaged(f"what is kept beside the headers: {problem}") from None
    message.key = key
    message.number = number
    message.attempts = attempts
    message.stored = True
    return message


def size_of(record: bytes) -> int:
    """The size of the message of a record, as far as that can be told; the record may be damaged."""
    return HEAD.unpack_from(record)[5] if len(record) >= HEAD.size else 0
