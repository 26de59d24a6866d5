"""Records of most messages, of which nothing has to be escaped: what a profile of a store shows first (bench: fill).

``_leaf.c`` has the same functions in C, and compiled servers run those. What they do not take, ``record`` does.
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

HEAD: Final = struct.Struct(">BBiIQQIQ")
CHECK: Final = struct.Struct(">I")
WHOLE: Final = struct.Struct(HEAD.format + "I")
START: Final = HEAD.size + CHECK.size

LENGTH: Final = b"content-length:"

PLAIN: Final = 1
PERSISTENT: Final = 2


def encode_relayed(
    destination: str,
    lines: bytes,
    body: bytes,
    flags: int,
    exceptions: int,
    attempts: int,
    number: int,
    size: int,
) -> bytes | None:
    """The record, of format 1, of a message whose header ``lines`` are as its sender wrote them, content-length among
    them; the numbers are as in the record's head. None when something in it wants a closer look: a backslash, a NUL,
    a line that has not just one colon, a destination that came in as no UTF-8.

    Raises OverflowError, or struct.error, for a number that the head has no room for.
    """
    if "\0" in destination or b"\0" in lines or b"\\" in lines:
        return None
    parts = lines.split(b"\n")
    if parts.pop() != b"":
        return None
    for at, line in enumerate(parts):
        if line.startswith(LENGTH):
            if line.count(b":") != 1:
                return None
            del parts[at]
            break
    else:
        return None
    for line in parts:
        if line.count(b":") != 1:
            return None
    try:
        text = destination.encode()
    except UnicodeEncodeError:
        return None
    if parts:
        text = b"%b\0%b" % (text, b"\0".join(parts).replace(b":", b"\0"))
    head = HEAD.pack(1, flags, exceptions, attempts, number, size, len(text), len(body))
    check = crc32(body, crc32(text, crc32(head)))
    return b"".join((head, CHECK.pack(check), text, body))


def decode_plain(record: bytes, known: str) -> tuple[str, bytes, bytes, bool, int, int, int, int] | None:
    """What is in the record of a plain message: destination, header lines with a content-length, body, whether it is
    persistent, exceptions, attempts, number, size. A destination that is ``known`` is that object.

    None when it wants a closer look: it is damaged, of another format, not ASCII, not plain, or has more beside it.
    """
    if len(record) < START:
        return None
    format, flags, exceptions, attempts, number, size, text_length, body_length, check = WHOLE.unpack_from(
        record
    )
    if format != 1 or flags & ~PERSISTENT != PLAIN or len(record) != START + text_length + body_length:
        return None
    if check != crc32(record[START:], crc32(record[: HEAD.size])):
        return None
    end = START + text_length
    text = record[START:end]
    if not text.isascii() or b"\n" in text or b"\r" in text or b":" in text or b"\\" in text:
        return None
    parts = text.split(b"\0")
    if len(parts) % 2 == 0:
        return None
    lines = [b"content-length:%d\n" % body_length]
    for at in range(1, len(parts), 2):
        if parts[at] == b"content-length":
            return None
        lines.append(b"%b:%b\n" % (parts[at], parts[at + 1]))
    destination = parts[0].decode()
    return (
        known if destination == known else destination,
        b"".join(lines),
        record[end:],
        flags & PERSISTENT != 0,
        exceptions,
        attempts,
        number,
        size,
    )
