"""Reads a database of GNU dbm (1.8 to 1.23; also the ``.pag`` file of its ndbm side) without the library.

Layout: gdbmdefs.h. The sizes of its numbers are those of the machine that wrote it: 32 and 64 bit file offsets, the
latter also as a 32 bit machine packs them, and both byte orders are known. Every bucket is read once, whatever the
directory says, and all values together cannot be larger than the file.
"""

from __future__ import annotations

import struct
from typing import Final

from stompserver.migrate.pairs import Octets, Pairs
from stompserver.migrate.unreadable import Unreadable

MAGICS: Final = frozenset((0x13579ACD, 0x13579ACE, 0x13579ACF, 0x13579AD0, 0x13579AD1))
"""First four bytes of a file. Since 1.9 they tell the size of file offsets; the header's numbers always do."""

_SPARE: Final = 6
"""Free blocks that a bucket remembers."""


class Layout:
    """Where things are for one byte order, file offsets of 4 or 8 bytes, and ``spare``: how many bytes each free
    block that a bucket remembers takes.
    """

    __slots__ = ("element", "head", "offset", "table_at")

    def __init__(self, order: str, wide: bool, spare: int) -> None:
        sign = "Q" if wide else "I"
        # Magic, block size, directory (offset, size, bits), bucket size, elements in a bucket, next free block.
        self.head = struct.Struct(order + "II" + sign + "iiii" + sign)
        self.offset = struct.Struct(order + sign)
        # Hash value, first octets of the key, where the key and the value are, their sizes.
        self.element = struct.Struct(order + "i4s" + sign + "ii")
        # In front of the table: how many free blocks, these, the bucket's bits, how many elements are in use.
        self.table_at: int = (8 if spare == 16 else 4) + _SPARE * spare + 8


def order(data: Octets) -> str | None:
    """The byte order that the first four bytes tell; None when it is no GNU dbm file."""
    for sign in "<>":
        if len(data) >= 4 and struct.unpack_from(sign + "I", data)[0] in MAGICS:
            return sign
    return None


def read(data: Octets) -> Pairs:
    """All keys with their values. Raises Unreadable when the header is not sound."""
    sign = order(data)
    if sign is None:
        raise Unreadable(0, "this is no GNU dbm database")
    problem = Unreadable(0, "not read")
    for wide, spare in ((True, 16), (True, 12), (False, 8)):
        try:
            return _Reader(data, Layout(sign, wide, spare)).read()
        except Unreadable as found:
            problem = min(problem, found, key=lambda one: -one.at)
    raise problem


class _Reader:
    __slots__ = ("_buckets", "_budget", "_data", "_elements", "_layout", "_pairs", "_room")

    def __init__(self, data: Octets, layout: Layout) -> None:
        self._data = data
        self._layout = layout
        head = layout.head
        if len(data) < head.size:
            raise Unreadable(0, f"cut off in the header: {len(data)} bytes")
        _, block, at, size, bits, self._room, self._elements, _ = head.unpack_from(data)
        offset = layout.offset
        if not 0 < block <= 1 << 26 or not 0 <= bits < 32 or size != offset.size << bits:
            raise Unreadable(
                4, f"a header with blocks of {block} bytes, a directory of {size} and {bits} bits"
            )
        if self._elements < 1 or self._elements != (self._room - layout.table_at) // layout.element.size:
            raise Unreadable(4, f"buckets of {self._room} bytes with {self._elements} elements")
        if at + size > len(data):
            raise Unreadable(8, f"cut off: the directory is at byte {at} of {len(data)}")
        self._buckets = sorted({bucket for (bucket,) in offset.iter_unpack(data[at : at + size])})
        self._pairs = Pairs()
        self._budget = len(data)

    def read(self) -> Pairs:
        for bucket in self._buckets:
            if bucket + self._room > len(self._data):
                self._pairs.damage(f"byte {bucket}: cut off: a bucket should be there")
            else:
                self._read(bucket)
        return self._pairs

    def _read(self, bucket: int) -> None:
        layout = self._layout
        element = layout.element
        table = self._data[
            bucket + layout.table_at : bucket + layout.table_at + self._elements * element.size
        ]
        for number, (hash, start, at, key_size, size) in enumerate(element.iter_unpack(table)):
            if hash == -1:
                continue
            place = bucket + layout.table_at + number * element.size
            total = key_size + size
            if key_size < 0 or size < 0 or at + total > len(self._data):
                self._pairs.damage(f"byte {place}: an element of {key_size} and {size} bytes at byte {at}")
                continue
            self._budget -= total
            if self._budget < 0:
                self._pairs.damage(f"byte {place}: elements that share their bytes")
                return
            key = self._data[at : at + key_size]
            if key[:4] != start[: min(4, key_size)]:
                self._pairs.damage(f"byte {place}: an element whose key at byte {at} is another")
                continue
            self._pairs.add(key, self._data[at + key_size : at + total])
