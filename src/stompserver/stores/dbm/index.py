"""What the dbm store knows without looking into a database: which messages there are, and in which file each is.

Beside each database lies a file with the keys in it, so that a restart reads neither messages nor hashes: ``sdbk``,
CRC-32 of the rest (4), and then for each queue: length of its name (4), count (8), name, keys (8 each, ascending),
sizes (8 each, the highest bit set for messages that are not to outlive the run). All big-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from hashlib import blake2b
from pathlib import Path
from typing import Final
from zlib import crc32

from stompserver.errors import StoreDamaged
from stompserver.stores.disk import refused

FORGET: Final = 1 << 63

_MAGIC: Final = b"sdbk"
_CHECK: Final = struct.Struct(">I")
_QUEUE: Final = struct.Struct(">IQ")
_KEY: Final = struct.Struct(">Q")

PLACE: Final = 16
"""Octets of a key in a database: digest of the queue's name (8), key of the message (8)."""


class Queue:
    """The messages of a queue: ``keys``, ascending, and ``segments``, the file of each (0: the log). Both begin at
    ``start``. ``fresh`` has those in the log: key -> place, length, size (with FORGET).
    """

    __slots__ = ("bytes", "digest", "fresh", "keys", "name", "segments", "start")

    def __init__(self, name: str) -> None:
        self.name = name
        self.digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        self.bytes: int = 0
        self.start: int = 0
        self.keys: array[int] = array("Q")
        self.segments: array[int] = array("I")
        self.fresh: dict[int, tuple[int, int, int]] = {}

    def __len__(self) -> int:
        return len(self.keys) - self.start

    def find(self, key: int) -> int:
        """Index of ``key``, -1 when it is not there."""
        at = bisect_left(self.keys, key, self.start)
        return at if at < len(self.keys) and self.keys[at] == key else -1

    def place(self, key: int) -> bytes:
        """The key of a message in a database."""
        return self.digest + _KEY.pack(key)

    def add(self, key: int, segment: int) -> None:
        """Put a key that is not there; at the end at best."""
        keys = self.keys
        if len(keys) == self.start or key > keys[-1]:
            keys.append(key)
            self.segments.append(segment)
        else:
            at = bisect_left(keys, key, self.start)
            keys.insert(at, key)
            self.segments.insert(at, segment)

    def extend(self, keys: array[int], segment: int) -> None:
        """Put many ascending keys that are not there."""
        if not keys:
            return
        segments = array("I", [segment]) * len(keys)
        if len(self) and keys[0] < self.keys[-1]:
            both = [*zip(self.keys, self.segments, strict=True), *zip(keys, segments, strict=True)]
            both.sort()
            keys = array("Q", [key for key, _ in both])
            segments = array("I", [each for _, each in both])
            self.keys, self.segments = keys, segments
        else:
            self.keys.extend(keys)
            self.segments.extend(segments)

    def take(self, at: int) -> None:
        """Remove the key at an index; the first ones cost nothing."""
        keys, segments, start = self.keys, self.segments, self.start
        if at - start < len(keys) - at:
            if at > start:
                keys[start + 1 : at + 1] = keys[start:at]
                segments[start + 1 : at + 1] = segments[start:at]
            start += 1
            if start > 1024 and start * 2 > len(keys):
                del keys[:start]
                del segments[:start]
                start = 0
            self.start = start
        else:
            del keys[at]
            del segments[at]


class Segment:
    """A database, never changed: its ``number``, the library that wrote it (name in ENGINES), ``size`` of its files.

    ``total`` messages are in it, ``live`` of them are not removed; ``gone`` has the places of the others.
    """

    __slots__ = ("engine", "gone", "live", "number", "size", "total")

    def __init__(self, number: int, engine: str, size: int, gone: bytes = b"") -> None:
        self.number: int = number
        self.engine = engine
        self.size: int = size
        self.gone = bytearray(gone)
        self.total: int = 0
        self.live: int = 0

    def gone_places(self) -> set[bytes]:
        """``gone`` as a set."""
        gone = bytes(self.gone)
        return {gone[at : at + PLACE] for at in range(0, len(gone), PLACE)}


def write_keys(path: Path, held: dict[str, list[tuple[int, int]]]) -> None:
    """Write the file of keys: for each queue, keys with sizes, ascending. Raises OSError."""
    parts: list[bytes] = []
    for name, pairs in held.items():
        octets = name.encode("utf-8", "surrogateescape")
        parts.append(_QUEUE.pack(len(octets), len(pairs)))
        parts.append(octets)
        parts.append(_swapped(array("Q", [key for key, _ in pairs])).tobytes())
        parts.append(_swapped(array("Q", [size for _, size in pairs])).tobytes())
    octets = b"".join(parts)
    path.touch(0o600)
    path.write_bytes(_MAGIC + _CHECK.pack(crc32(octets)) + octets)


def read_keys(path: Path) -> list[tuple[str, array[int], array[int]]]:
    """For each queue its name, keys and sizes. Raises StoreDamaged, StoreError."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        raise StoreDamaged(f"{path} is missing") from None
    except OSError as problem:
        raise refused(problem, f"read {path}") from problem
    start = len(_MAGIC) + _CHECK.size
    whole = octets[: len(_MAGIC)] == _MAGIC and len(octets) >= start
    if not whole or _CHECK.unpack_from(octets, len(_MAGIC))[0] != crc32(octets[start:]):
        raise StoreDamaged(f"{path}: checksum does not fit")
    found = []
    at = start
    while at < len(octets):
        length, count = _QUEUE.unpack_from(octets, at)
        at += _QUEUE.size
        name = octets[at : at + length].decode("utf-8", "surrogateescape")
        at += length
        keys, sizes = array("Q"), array("Q")
        keys.frombytes(octets[at : at + 8 * count])
        sizes.frombytes(octets[at + 8 * count : at + 16 * count])
        at += 16 * count
        found.append((name, _swapped(keys), _swapped(sizes)))
    return found


def _swapped(numbers: array[int]) -> array[int]:
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
