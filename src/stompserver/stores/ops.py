"""Ops as octets: the one form in which changes are written one after the other, in a log or to another place.

This is version 1 of the layout. A payload does not say so itself: what it stands in has a number (``sdb1``, with
which a batch in the log of the dbm store begins). All numbers are big-endian. A payload is entries, each with what
follows it:

    +----------+---------+-----------+----------+
    | kind (1) | key (8) | value (8) | size (8) |   25 octets
    +----------+---------+-----------+----------+

    kind           key             value                   size            what follows
    1 PUT          the message's   length of its record    the message's   the record (see record.py)
    2 MARK         the message's   attempts                0
    3 REMOVE       the message's   0                       the message's
    4 DROP         0               0                       0
    5 TRANSIENT    as PUT, of a message that is not to outlive this run of the server
    9 NAME         0               length of the name      0               the name (UTF-8)

NAME tells the queue of the entries up to the next NAME, so it is the first. Names that came in as octets that are no
UTF-8 (STOMP 1.0) go out as the same. All ops of a payload are done together or not at all, so the groups of
transactions are not in it.
"""

from __future__ import annotations

import struct
from typing import Final

from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op
from stompserver.errors import StoreDamaged
from stompserver.stores.record import encode

TRANSIENT: Final = 5
NAME: Final = 9

_ENTRY: Final = struct.Struct(">BQQQ")
_KINDS: Final = frozenset((PUT, MARK, REMOVE, DROP, TRANSIENT))

Entry = tuple[int, str, int, int, int, int]
"""Kind, queue, key, value, size, and where in the payload the record is."""


def encode_ops(ops: list[Op]) -> tuple[bytes, list[Entry]]:
    """``ops`` as a payload, and as its entries."""
    parts: list[bytes] = []
    entries: list[Entry] = []
    at = 0
    queue: str | None = None
    pack = _ENTRY.pack
    head = _ENTRY.size
    for op in ops:
        if op.queue != queue:
            queue = op.queue
            name = queue.encode("utf-8", "surrogateescape")
            parts.append(pack(NAME, 0, len(name), 0))
            parts.append(name)
            at += head + len(name)
        at += head
        kind = op.kind
        if kind == PUT:
            message = op.message
            assert message is not None
            record = encode(message)
            kind = PUT if message.persistent else TRANSIENT
            parts.append(pack(kind, op.key, len(record), message.size))
            parts.append(record)
            entries.append((kind, queue, op.key, len(record), message.size, at))
            at += len(record)
        else:
            value = op.attempts if kind == MARK else 0
            size = op.size if kind == REMOVE else 0
            parts.append(pack(kind, op.key, value, size))
            entries.append((kind, queue, op.key, value, size, at))
    return b"".join(parts), entries


def decode_ops(payload: bytes) -> list[Entry]:
    """The entries of a payload; records are not looked into (``decode`` of record.py does that). Raises StoreDamaged
    with the place, in octets of the payload.
    """
    entries: list[Entry] = []
    at = 0
    end = len(payload)
    queue: str | None = None
    while at < end:
        start = at
        if at + _ENTRY.size > end:
            raise StoreDamaged(f"entry at octet {start} is cut short")
        kind, key, value, size = _ENTRY.unpack_from(payload, at)
        at += _ENTRY.size
        if kind in (PUT, TRANSIENT, NAME) and value > end - at:
            raise StoreDamaged(
                f"entry at octet {start} should have {value} octets behind it; {end - at} are there"
            )
        if kind == NAME:
            queue = payload[at : at + value].decode("utf-8", "surrogateescape")
            at += value
            continue
        if kind not in _KINDS:
            raise StoreDamaged(f"entry at octet {start} is of an unknown kind, {kind}")
        if queue is None:
            raise StoreDamaged(f"entry at octet {start} has no queue: no name comes before it")
        entries.append((kind, queue, key, value, size, at))
        if kind in (PUT, TRANSIENT):
            at += value
    return entries
