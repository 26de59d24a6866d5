"""One message as a file, in the form that the original's manual page tells: 8 hexadecimal digits with the length of
the headers, 8 with the length of the body, the headers as one serialised object, the body as it is.

The object is JSON, which every language reads and none executes: ``destination``, ``headers`` (in their order),
``number``, ``plain``, ``persistent``, ``exceptions``, ``attempts`` (when written; the file's name has the newest),
``size``, ``kept`` (what Message.kept tells, where there is any: such a frame has format 2), ``format``, and last
``checksum``, the CRC-32 of the object without it and of the body. Octets that came in as no UTF-8 are lone
surrogates ``\\udc80`` to ``\\udcff``, as Python's ``surrogateescape`` makes them.
"""

from __future__ import annotations

import json
from typing import Any, Final
from zlib import crc32

from stompserver.broker.message import Message
from stompserver.errors import StoreDamaged, StoreForeign

FORMAT: Final = 2

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_TAIL: Final = len(',"checksum":"01234567"}')
_PARTS: Final = 16


def encode(message: Message) -> tuple[bytes, bytes]:
    """What comes before the body, and the body."""
    body = message.body
    kept = message.kept()
    fields: dict[str, Any] = {
        "destination": message.destination,
        "headers": message.headers,
        "number": message.number,
        "plain": message.plain,
        "persistent": message.persistent,
        "exceptions": message.exceptions,
        "attempts": message.attempts,
        "size": message.size,
        "format": FORMAT if kept else 1,
    }
    if kept:
        fields["kept"] = kept
    text = _ENCODER.encode(fields).encode("ascii")
    check = crc32(body, crc32(text))
    length = len(text) - 1 + _TAIL
    return b'%08x%08x%b,"checksum":"%08x"}' % (length, len(body), text[:-1], check), body


def decode(key: int, attempts: int, octets: bytes) -> Message:
    """The message of a file. Raises StoreDamaged, or StoreForeign for a format of a newer version."""
    try:
        length, body_length = int(octets[:8], 16), int(octets[8:_PARTS], 16)
    except ValueError:
        raise StoreDamaged("the lengths at its start are no hexadecimal numbers") from None
    if len(octets) != _PARTS + length + body_length:
        raise StoreDamaged(f"{len(octets)} bytes, but its start tells {_PARTS + length + body_length}")
    text = octets[_PARTS : _PARTS + length]
    body = octets[_PARTS + length :]
    check = crc32(body, crc32(text[:-_TAIL] + b"}"))
    if text[-_TAIL:] != b',"checksum":"%08x"}' % check:
        raise StoreDamaged("checksum does not fit")
    fields: dict[str, Any] = json.loads(text)
    if not 0 < fields["format"] <= FORMAT:
        raise StoreForeign(f"frame format {fields['format']}; this version knows {FORMAT}")
    message = Message(
        fields["destination"],
        fields["headers"],
        body,
        fields["size"],
        fields["plain"],
        fields["persistent"],
        fields["exceptions"],
    )
    if "kept" in fields:
        message.regain(fields["kept"])
    message.key = key
    message.number = fields["number"]
    message.attempts = attempts
    message.stored = True
    return message
