"""Reads a hash database of Berkeley DB (versions 7 to 10 of the format) without the library.

Pages are read one after the other instead of by bucket: nothing can loop, and a damaged link hides nothing. Layout:
db_page.h and hash.h of Berkeley DB 5.3. What the original wrote: version 9, little-endian, no checksums.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

from stompserver.migrate.pairs import Octets, Pairs
from stompserver.migrate.unreadable import Unreadable

MAGIC: Final = 0x061561
_VERSIONS: Final = range(7, 11)

_META_SIZE: Final = 512
_HEAD_SIZE: Final = 26

# Types of pages.
_UNSORTED: Final = 2
_INTERNAL: Final = 3
_RECORD_INTERNAL: Final = 4
_LEAF: Final = 5
_RECORD_LEAF: Final = 6
_OVERFLOW: Final = 7
_DUPLICATES: Final = 12
_SORTED: Final = 13

_LEAVES: Final = (_DUPLICATES, _LEAF, _RECORD_LEAF)
_INTERNALS: Final = (_INTERNAL, _RECORD_INTERNAL)

# Types of items on a hash page, and on a leaf of a tree.
_PLAIN: Final = 1
_DUPLICATE: Final = 2
_OFF_PAGE: Final = 3
_OFF_DUPLICATE: Final = 4
_TREE_PLAIN: Final = 1
_TREE_OVERFLOW: Final = 3
_DELETED: Final = 0x80

_CHECKSUMS: Final = 0x01


def order(data: Octets) -> Literal["<", ">"] | None:
    """The byte order of a hash database that starts with ``data``; None when it is none."""
    if data[12:16] == MAGIC.to_bytes(4, "little"):
        return "<"
    if data[12:16] == MAGIC.to_bytes(4, "big"):
        return ">"
    return None


def read(data: Octets) -> Pairs:
    """All keys with their first value. Raises Unreadable when not even the first page is sound."""
    return _Reader(data).read()


class _Page:
    """The head of page ``number``: what kind it is, what follows it, its items."""

    __slots__ = ("entries", "high", "kind", "next", "number", "start")

    def __init__(self, number: int, start: int, next: int, entries: int, high: int, kind: int) -> None:
        self.number: int = number
        self.start: int = start
        self.next: int = next
        self.entries: int = entries
        self.high: int = high
        self.kind: int = kind


class _Reader:
    __slots__ = ("_data", "_head", "_item", "_long", "_size", "_used")

    def __init__(self, data: Octets) -> None:
        sign = order(data)
        if sign is None:
            raise Unreadable(12, "this is no hash database of Berkeley DB")
        if len(data) < _META_SIZE:
            raise Unreadable(0, f"cut off in the first page: {len(data)} bytes")
        version, self._size = struct.unpack_from(sign + "II", data, 16)
        if version not in _VERSIONS:
            raise Unreadable(
                16, f"version {version} of the hash format, not {_VERSIONS[0]} to {_VERSIONS[-1]}"
            )
        if self._size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            raise Unreadable(20, f"a page size of {self._size}")
        if data[24] or data[26] & _CHECKSUMS:
            raise Unreadable(24, "pages are encrypted or have checksums, which the original never asked for")
        self._data = data
        self._head = struct.Struct(sign + "IIIHHBB")
        self._item = struct.Struct(sign + "H")
        self._long = struct.Struct(sign + "I")
        # A sound file links to each page once; whoever comes back to one goes round in circles, or wants a few
        # pages to be many messages.
        self._used: set[int] = set()

    def read(self) -> Pairs:
        pairs = Pairs()
        size = self._size
        if len(self._data) % size:
            pairs.damage(f"byte {len(self._data)}: cut off inside page {len(self._data) // size}")
        last = self._long.unpack_from(self._data, 32)[0]
        if last >= -(-len(self._data) // size):
            pairs.damage(f"byte {len(self._data)}: cut off: pages up to {last} should be there")
        for number in range(1, -(-len(self._data) // size)):
            try:
                page = self._page(number)
                if page.kind in (_UNSORTED, _SORTED):
                    self._pairs(page, pairs)
            except Unreadable as problem:
                pairs.damage(f"page {number}: {problem}")
        return pairs

    def _page(self, number: int) -> _Page:
        start = number * self._size
        if number < 1 or start + _HEAD_SIZE > len(self._data):
            raise Unreadable(start, f"page {number} is not in the file")
        named, _, next, entries, high, _, kind = self._head.unpack_from(self._data, start + 8)
        if kind and named != number:
            raise Unreadable(start + 8, f"page {number} calls itself {named}")
        return _Page(number, start, next, entries, high, kind)

    def _use(self, number: int, *kinds: int) -> _Page:
        page = self._page(number)
        if page.kind not in kinds:
            raise Unreadable(page.start + 25, f"page {number} is of type {page.kind}, not {kinds[0]}")
        if number in self._used:
            raise Unreadable(page.start, f"page {number} is used twice")
        self._used.add(number)
        return page

    def _spot(self, page: _Page, index: int) -> int:
        """Where item ``index`` of ``page`` starts, from the page's first byte."""
        place = page.start + _HEAD_SIZE + 2 * index
        if place + 2 > min(page.start + self._size, len(self._data)):
            raise Unreadable(place, f"item {index} of {page.entries} has no room on its page")
        (spot,) = self._item.unpack_from(self._data, place)
        if not _HEAD_SIZE + 2 * page.entries <= spot < self._size:
            raise Unreadable(place, f"item {index} starts at {spot}")
        return int(spot)

    def _slice(self, start: int, length: int) -> bytes:
        octets = self._data[start : start + length]
        if len(octets) != length:
            raise Unreadable(start, f"cut off: {length} bytes should follow, {len(octets)} do")
        return octets

    def _pairs(self, page: _Page, pairs: Pairs) -> None:
        end = self._size
        key: bytes | None = None
        for index in range(page.entries):
            try:
                spot = self._spot(page, index)
                if spot >= end:
                    raise Unreadable(page.start + spot, f"item {index} overlaps the one before it")
                octets = self._slice(page.start + spot, end - spot)
                end = spot
                value = self._content(octets, page.start + spot)
            except Unreadable as problem:
                pairs.damage(f"page {page.number}: {problem}")
                value = None
            if index % 2 == 0:
                key = value
            elif key is not None and value is not None:
                pairs.add(key, value)
        if page.entries % 2:
            pairs.damage(f"page {page.number}: a key without a value")

    def _content(self, item: bytes, at: int) -> bytes:
        """What the item at byte ``at`` stands for; of duplicates the first, as the library's look-up gives."""
        kind = item[0]
        if kind == _PLAIN:
            return item[1:]
        if kind == _OFF_PAGE and len(item) == 12:
            return self._chain(self._long.unpack_from(item, 4)[0], self._long.unpack_from(item, 8)[0], at)
        if kind == _DUPLICATE and len(item) >= 5:
            (length,) = self._item.unpack_from(item, 1)
            if length + 5 <= len(item):
                return item[3 : 3 + length]
        if kind == _OFF_DUPLICATE and len(item) == 8:
            return self._first_leaf(self._long.unpack_from(item, 4)[0])
        raise Unreadable(at, f"an item of type {kind} and {len(item)} bytes")

    def _chain(self, number: int, length: int, at: int) -> bytes:
        """A big item: ``length`` bytes on overflow pages from page ``number`` on."""
        if length > len(self._data):
            raise Unreadable(at, f"an item of {length} bytes in a file of {len(self._data)}")
        parts: list[bytes] = []
        have = 0
        while number:
            page = self._use(number, _OVERFLOW)
            if page.high > self._size - _HEAD_SIZE:
                raise Unreadable(page.start + 22, f"{page.high} bytes on a page of {self._size}")
            parts.append(self._slice(page.start + _HEAD_SIZE, page.high))
            have += page.high
            number = page.next
        if have != length:
            raise Unreadable(at, f"an item of {length} bytes, of which {have} are there")
        return b"".join(parts)

    def _first_leaf(self, number: int) -> bytes:
        """The first of many duplicates of one key: the leftmost item of a tree of pages."""
        page = self._use(number, *_LEAVES, *_INTERNALS)
        while page.kind in _INTERNALS:
            spot = page.start + self._spot(page, 0)
            (number,) = self._long.unpack(self._slice(spot + (4 if page.kind == _INTERNAL else 0), 4))
            page = self._use(number, *_LEAVES, *_INTERNALS)
        while True:
            for index in range(page.entries):
                spot = page.start + self._spot(page, index)
                head = self._slice(spot, 3)
                if head[2] & _DELETED:
                    continue
                if head[2] == _TREE_PLAIN:
                    return self._slice(spot + 3, self._item.unpack_from(head)[0])
                if head[2] == _TREE_OVERFLOW:
                    item = self._slice(spot, 12)
                    return self._chain(
                        self._long.unpack_from(item, 4)[0], self._long.unpack_from(item, 8)[0], spot
                    )
                raise Unreadable(spot, f"an item of type {head[2]} in a tree")
            if not page.next:
                raise Unreadable(page.start, "a key without a value")
            page = self._use(page.next, *_LEAVES)
