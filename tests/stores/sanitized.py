"""The stores' leaf in C beside its twin in Python, on records that no store has: `sanitized.py MODULE SEED SECONDS`.

Run by test_leaf.py in a process of its own, see ``sanitized`` and ``compare`` of tests/leaves.py.
"""

from __future__ import annotations

import struct
from random import Random
from types import ModuleType

from tests.leaves import Call, compare

from stompserver.stores import leaf as twin

LINES = (
    b"content-length:2\n",
    b"n:7\ncontent-length:2\nx:\n",
    b"content-length:2\ncontent-length:3\n",
    b":\ncontent-length:\n",
    b"",
    b"a:b\n",
    "h\u00e9:\U0001f600\ncontent-length:0\n".encode(),
    b"content-length:1\n" + b"n" * 300 + b":" + b"v" * 300 + b"\n",
)
NAMES = ("/queue/a", "", "/queue/\u00fc", "\udcff", "a\0b", "/topic/" + "x" * 200)
SPICE = (b"\n", b":", b"\0", b"\\", b"\r", b"content-length:", b"content-length", b"\xff", b"\x01")
NUMBERS = (0, 1, 255, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)


def spiced(random: Random, octets: bytes) -> bytes:
    changed = bytearray(octets)
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        at = random.randrange(len(changed) + 1)
        if random.random() < 0.5:
            changed[at:at] = random.choice(SPICE)
        elif random.random() < 0.5:
            del changed[at : at + random.choice((1, 2, 10))]
        elif at < len(changed):
            changed[at] = random.randrange(256)
    return bytes(changed)


def resealed(record: bytes) -> bytes:
    """The same with lengths and checksum that fit, so that what is in it is looked at."""
    if len(record) < twin.START:
        return record
    text = min(int.from_bytes(record[26:30], "big"), len(record) - twin.START)
    head = record[:26] + struct.pack(">IQ", text, len(record) - twin.START - text)
    check = twin.crc32(record[twin.START :], twin.crc32(head))
    return head + twin.CHECK.pack(check) + record[twin.START :]


def calls(random: Random) -> list[Call]:
    name = random.choice(NAMES)
    lines = spiced(random, random.choice(LINES))
    body = random.randbytes(random.choice((0, 1, 2, 7, 8, 9, 100)))
    flags = random.choice((0, 1, 2, 3, 3, 3))
    numbers = (
        random.choice((-1, 0, (1 << 31) - 1)),
        random.choice(NUMBERS[:5]),
        *random.choices(NUMBERS, k=2),
    )
    encoded = ("encode_relayed", (name, lines, body, flags, *numbers))
    record = twin.encode_relayed(name, lines, body, flags, *numbers) or spiced(random, b"\1\3" + bytes(60))
    record = spiced(random, record)
    if random.random() < 0.7:
        record = resealed(record)
    return [encoded, ("decode_plain", (record, random.choice(NAMES)))]


def outcome(leaf: ModuleType, name: str, arguments: tuple[object, ...]) -> object:
    found: object = getattr(leaf, name)(*arguments)
    return found


if __name__ == "__main__":
    compare("stompserver.stores._leaf", twin, calls, outcome)
