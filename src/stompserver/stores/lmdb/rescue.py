"""A new LMDB file of all that can be read in a damaged one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import lmdb

from stompserver.stores.lmdb.batch import NUMBER
from stompserver.stores.lmdb.pages import BadPage, Pages
from stompserver.stores.record import size_of

COUNT: Final = struct.Struct(">QQ")
"""Messages of a queue, and their bytes."""

_CHUNK: Final = 8 << 20
"""Bytes written in one transaction."""


class Rescue:
    """Copies what is readable of ``pages`` into a new file. ``bad`` are the pages that are not; by the prefixes of
    queues there are ``names``, ``there`` (messages that are copied, and their bytes) and ``told`` (messages counted).

    Raises StoreDamaged when not even the databases can be found, OSError, lmdb.Error.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._roots = pages.roots()
        self.bad: list[BadPage] = []
        self.names = {key: name.decode("utf-8", "surrogateescape") for key, name in self._of(b"names")}
        self.told = {
            key: COUNT.unpack(value)[0] for key, value in self._of(b"counts") if len(value) == COUNT.size
        }
        self.there: dict[bytes, list[int]] = {}

    def _of(self, database: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What of ``database`` can be read."""
        for each in self._pages.walk(self._roots[database]):
            if isinstance(each, BadPage):
                self.bad.append(each)
            else:
                yield each

    def write(self, directory: Path, map_size: int) -> None:
        """Make the new file in ``directory``, an empty one."""
        env = lmdb.open(str(directory), map_size=map_size, max_dbs=8, mode=0o600)
        try:
            for name in (b"messages", b"marks", b"transient", b"meta"):
                self._copy(env, name)
            names, counts = env.open_db(b"names"), env.open_db(b"counts")
            with env.begin(write=True) as txn:
                for prefix, (count, size) in self.there.items():
                    queue = self.names.get(prefix) or f"/queue/damaged-{NUMBER.unpack(prefix)[0]}"
                    txn.put(prefix, queue.encode("utf-8", "surrogateescape"), db=names)
                    txn.put(prefix, COUNT.pack(count, size), db=counts)
        finally:
            env.close()

    def _copy(self, env: lmdb.Environment, name: bytes) -> None:
        """Copy the database of that name."""
        chunk: list[tuple[bytes, bytes]] = []
        size = 0
        for key, value in self._of(name):
            if name == b"messages":
                if len(key) != 2 * NUMBER.size:
                    continue
                held = self.there.setdefault(key[: NUMBER.size], [0, 0])
                held[0] += 1
                held[1] += size_of(value)
            chunk.append((key, value))
            size += len(value)
            if size >= _CHUNK:
                self._put(env, name, chunk)
                chunk, size = [], 0
        self._put(env, name, chunk)

    def _put(self, env: lmdb.Environment, name: bytes, chunk: list[tuple[bytes, bytes]]) -> None:
        """Write a part of a database; of what belongs to messages only what is of those that are there."""
        into, messages = env.open_db(name), env.open_db(b"messages")
        with env.begin(write=True) as txn:
            if name in (b"marks", b"transient"):
                chunk = [pair for pair in chunk if txn.get(pair[0], db=messages) is not None]
            txn.cursor(db=into).putmulti(chunk, append=True)

    def report(self) -> list[str]:
        """What is lost, for the log: a line for each bad page and for each queue that lacks messages."""
        lines = [f"{page}, with {self.keys(page)}" for page in self.bad]
        for prefix, told in self.told.items():
            there = self.there.get(prefix, (0, 0))[0]
            if there < told:
                lines.append(f"{told - there} of {told} messages of {self._name(prefix)} cannot be read")
        return lines

    def keys(self, page: BadPage) -> str:
        """Which messages ``page`` has, as text."""
        low, high = page.low[: NUMBER.size], page.high[: NUMBER.size]
        names = [self._name(prefix) for prefix in sorted({*self.names, *self.there}) if low <= prefix <= high]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        if len(names) == 1 and low == high:
            first, last = (int.from_bytes(key[NUMBER.size :]) for key in (page.low, page.high))
            return f"messages of {shown} from {first} to below {last}"
        return f"a part of {shown or 'what the server notes'}"

    def _name(self, prefix: bytes) -> str:
        return repr(self.names.get(prefix) or f"queue {NUMBER.unpack(prefix)[0]}")
