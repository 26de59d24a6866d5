"""The pages of an LMDB file, read without LMDB: it has no checksums, and a page that is damaged may end the process.

Of a damaged file this finds what is whole, and which pages are not, with the keys that were in them.

A page (numbers in the machine's order) is its number (8 octets), 2 unused, flags (2), the end of the places (2), the
start of the nodes (2); then the places of the nodes in the page (2 each). A node is two halves of a number (2 each),
flags (2), length of the key (2), key, value. In a branch number and flags make the number of a page below, with keys
from this node's on. In a leaf the number is the length of the value; with the flag 1 the value is a page's number
(8), and what is meant lies there and on the pages behind it. Pages 0 and 1 are written in turns and say where the
trees begin.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stompserver.errors import StoreDamaged

BRANCH: Final = 0x01
LEAF: Final = 0x02
OVERFLOW: Final = 0x04
_KINDS: Final = 0x2F
"""What of the flags tells the kind of a page."""

_BIG: Final = 0x01
_TREE: Final = 0x02
"""Flags of nodes: the value lies elsewhere; the value is a tree."""

_ORDER: Final = "<" if sys.byteorder == "little" else ">"
_HEAD: Final = struct.Struct(_ORDER + "QHHHH")
_NODE: Final = struct.Struct(_ORDER + "HHHH")
_NUMBER: Final = struct.Struct(_ORDER + "Q")
_META: Final = struct.Struct(_ORDER + "IIQQ")
_ROOT: Final = struct.Struct(_ORDER + "IHHQQQQQ")
_END: Final = struct.Struct(_ORDER + "QQ")
_MAGIC: Final = 0xBEEFC0DE
_NONE: Final = (1 << 64) - 1
_LAST_KEY: Final = b"\xff" * 512
"""Above every key."""


class BadPage:
    """A page that cannot be read, or not all of it: its ``number``, the ``reason``, and the range of keys that it and
    the pages below it are for, from ``low`` on and below ``high``.
    """

    __slots__ = ("high", "low", "number", "reason")

    def __init__(self, number: int, reason: str, low: bytes, high: bytes) -> None:
        self.number: int = number
        self.reason = reason
        self.low = low
        self.high = high

    def __str__(self) -> str:
        return f"page {self.number}: {self.reason}"


class _BadPageError(Exception):
    """The text is the reason."""


class Pages:
    """The last commit in the file ``path``, whose pages have ``size`` octets. Nobody writes meanwhile.

    Raises StoreDamaged when it cannot be told where the trees begin, OSError when the file cannot be read. ``values``
    that lie on pages of their own are read only when it is set.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._last = 0
        try:
            newest = -1
            for number in (0, 1):
                page = os.pread(self._file, size, number * size)
                if len(page) == size and _META.unpack_from(page, _HEAD.size)[0] == _MAGIC:
                    at = _HEAD.size + _META.size
                    last, commit = _END.unpack_from(page, at + 2 * _ROOT.size)
                    if commit > newest:
                        newest, self._last = commit, last
                        self._free = _ROOT.unpack_from(page, at)[7]
                        self._main = _ROOT.unpack_from(page, at + _ROOT.size)[7]
            if newest < 0:
                raise StoreDamaged(f"{path} has no head")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file. May be called again."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def roots(self) -> dict[bytes, int]:
        """The pages where the trees begin, by the names of the databases. Raises StoreDamaged."""
        found: dict[bytes, int] = {}
        for each in self.walk(self._main):
            if isinstance(each, BadPage):
                raise StoreDamaged(f"{self._path}, {each}")
            if len(each[1]) == _ROOT.size:
                found[each[0]] = _ROOT.unpack(each[1])[7]
        return found

    def bad(self) -> list[BadPage]:
        """All bad pages. Values on pages of their own are not looked at: their records have checksums. Raises
        StoreDamaged.
        """
        free = self._walk(self._free, b"", _LAST_KEY, False, 0, True) if self._free != _NONE else ()
        found = [each for each in free if isinstance(each, BadPage)]
        for root in self.roots().values():
            found.extend(each for each in self.walk(root, False) if isinstance(each, BadPage))
        return found

    def walk(self, root: int, values: bool = True) -> Iterator[tuple[bytes, bytes] | BadPage]:
        """Keys and values of the tree that begins at the page ``root``, in the order of keys, and its bad pages.
        Without ``values`` those that lie on pages of their own are empty.
        """
        if root != _NONE:
            yield from self._walk(root, b"", _LAST_KEY, values, 0, False)

    def _walk(
        self, number: int, low: bytes, high: bytes, values: bool, depth: int, numbered: bool
    ) -> Iterator[tuple[bytes, bytes] | BadPage]:
        """As ``walk``, from a page at that ``depth`` on. Keys that are ``numbered`` (those of the free pages are) are
        in the order of the machine's numbers, and come out in the order of octets.
        """
        try:
            page, flags, places = self._page(number)
            if depth > 64:
                raise _BadPageError("it is below itself")
        except _BadPageError as problem:
            yield BadPage(number, str(problem), low, high)
            return
        nodes: list[tuple[bytes, bytes | int]] = []
        wrong = ""
        newest = low
        for at, place in enumerate(places):
            try:
                key, value = self._node(page, place, flags, at)
                if numbered and sys.byteorder == "little":
                    key = key[::-1]
                if flags == BRANCH and at == 0:
                    key = low
                elif not low <= key < high or (nodes and key <= newest):
                    raise _BadPageError("its keys are not in order")
                if values and flags == LEAF and isinstance(value, int):
                    value = self._value(*divmod(value, 1 << 32))
            except _BadPageError as problem:
                wrong = str(problem)
                continue
            newest = key
            nodes.append((key, value))
        if wrong:
            yield BadPage(number, wrong, low, high)
        for at, (key, value) in enumerate(nodes):
            if flags == BRANCH:
                assert isinstance(value, int)
                end = nodes[at + 1][0] if at + 1 < len(nodes) else high
                yield from self._walk(value, key, end, values, depth + 1, numbered)
            else:
                yield key, value if isinstance(value, bytes) else b""

    def _page(self, number: int) -> tuple[bytes, int, tuple[int, ...]]:
        """A page of a tree, its kind, and the places of its nodes."""
        size = self._size
        if not 1 < number <= self._last:
            raise _BadPageError("there is no page of that number")
        page = os.pread(self._file, size, number * size)
        if len(page) < size:
            raise _BadPageError("it is behind the end of the file")
        said, _, flags, lower, upper = _HEAD.unpack_from(page)
        flags &= _KINDS
        if (
            said != number
            or flags not in (BRANCH, LEAF)
            or not _HEAD.size <= lower <= upper <= size
            or lower % 2
        ):
            raise _BadPageError("its head is wrong")
        count = (lower - _HEAD.size) // 2
        places = struct.unpack_from(f"{_ORDER}{count}H", page, _HEAD.size)
        if not count or min(places) < upper or max(places) > size - _NODE.size:
            raise _BadPageError("places in it are wrong")
        return page, flags, places

    def _node(self, page: bytes, place: int, kind: int, at: int) -> tuple[bytes, bytes | int]:
        """The key of a node, and its value: octets, or the number of a page, in a leaf with the value's length above
        32 bits.
        """
        first, second, flags, length = _NODE.unpack_from(page, place)
        start = place + _NODE.size
        if start + length > len(page):
            raise _BadPageError("a node in it is wrong")
        key = page[start : start + length]
        start += length
        number = first | second << 16
        if kind == BRANCH:
            return key, number | flags << 32
        if flags & _BIG:
            if start + _NUMBER.size > len(page):
                raise _BadPageError("a node in it is wrong")
            (below,) = _NUMBER.unpack_from(page, start)
            if below >= 1 << 32 or not 1 < below <= self._last:
                raise _BadPageError("a value of it is on no page")
            return key, number << 32 | below
        if flags & ~_TREE or start + number > len(page):
            raise _BadPageError("a node in it is wrong")
        return key, page[start : start + number]

    def _value(self, length: int, number: int) -> bytes:
        """A value that lies on pages of its own."""
        found = os.pread(self._file, length, number * self._size + _HEAD.size)
        if len(found) < length:
            raise _BadPageError("a value of it is behind the end of the file")
        return found
