"""Reads the original's queue type ``dbm``: an index, and a database of messages for each queue."""

from __future__ import annotations

import os
import stat
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from stompserver.migrate import berkeley, gnu, marshal
from stompserver.migrate.frame import decode, from_marshal
from stompserver.migrate.order import gathered, stamp
from stompserver.migrate.original import Item, Notes, Queue, check_name, item
from stompserver.migrate.pairs import Octets, Pairs
from stompserver.migrate.qinfo import Index, Listed, flat, home
from stompserver.migrate.unreadable import Unreadable
from stompserver.stores.originals import PREFIX

SUFFIXES: Final = (".db", ".pag", "")
"""Ruby's dbm on Berkeley DB, on GNU dbm, and its bdb and gdbm, which add nothing."""

_OTHERS: Final = {
    b"[depot]": "QDBM",
    b"SQLite ": "SQLite",
}
_OLD_BERKELEY: Final = (0x061561).to_bytes(4, "big"), (0x061561).to_bytes(4, "little")


def databases(directory: Path) -> dict[str, Path]:
    """The databases of queues by their names without suffix."""
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith(PREFIX) and not path.is_dir() and path.suffix != ".dir":
            name = decode(os.fsencode(path.name))
            for suffix in SUFFIXES:
                if name.endswith(suffix):
                    found.setdefault(name.removesuffix(suffix), path)
                    break
    return found


def pairs(path: Path) -> Pairs:
    """All of one database. Raises Unreadable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode) or not os.fstat(file).st_size:
                raise Unreadable(0, "empty, or no file")
            with mmap(file, 0, access=ACCESS_READ) as data:
                return _pairs(data)
        finally:
            os.close(file)
    except (OSError, ValueError) as problem:
        raise Unreadable(0, f"cannot be read: {getattr(problem, 'strerror', problem)}") from None


def _pairs(data: Octets) -> Pairs:
    if berkeley.order(data) is not None:
        return berkeley.read(data)
    if gnu.order(data) is not None:
        return gnu.read(data)
    start = bytes(data[:16])
    if start[:4] in _OLD_BERKELEY:
        raise Unreadable(
            0, "a hash file of Berkeley DB 1.85: turn it into a new one with db_dump185 and db_load"
        )
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise Unreadable(0, f"a database of {name}, which stompserver never used for queues")
    raise Unreadable(0, "a database neither of Berkeley DB (hash) nor of GNU dbm")


def read(directory: Path, index: Index, notes: Notes) -> list[Queue]:
    """All messages, in the order of ``index``. Keys of consumed messages, which the original never deletes, are
    told from messages that an old index does not know by the index's other half: it remembers the consumed ones.
    """
    return _Reader(directory, index, notes).read()


class _Reader:
    def __init__(self, directory: Path, index: Index, notes: Notes) -> None:
        self._index = index
        self._notes = notes
        self._paths = databases(directory)
        self._open: dict[str, dict[bytes, bytes]] = {}
        """By database the pairs that no message came from yet."""
        self._known: dict[str, set[str]] = {}
        """By database the message-ids that the index knows, waiting or consumed."""

    def read(self) -> list[Queue]:
        for name, path in self._paths.items():
            self._open[name] = self._look(path)
        # Taken first: what is left is not listed.
        listed = [(each.name, self._listed(each)) for each in self._index.queues]
        return gathered(listed, self._unlisted())

    def _look(self, path: Path) -> dict[bytes, bytes]:
        try:
            found = pairs(path)
        except Unreadable as problem:
            self._notes.left("", str(problem), path.name)
            return {}
        for damage in found.damages:
            self._notes.left("", f"{path.name} is damaged; what can be read is taken", damage)
        if found.more:
            self._notes.left(
                "", f"{path.name} is damaged; what can be read is taken", f"{found.more} more places"
            )
        return found.values

    def _listed(self, listed: Listed) -> list[Item]:
        name = flat(listed.name)
        known = self._known.setdefault(name, set())
        known.update(listed.returns, listed.ids)
        try:
            check_name(listed.name)
        except Unreadable as problem:
            self._notes.left(listed.name, problem.reason, f"{len(listed.ids)} messages")
            return []
        values = self._open.get(name, {})
        items: list[Item] = []
        for id in listed.ids:
            value = values.pop(id.encode("utf-8", "surrogateescape"), None)
            if value is None:
                self._notes.left(listed.name, "listed in qinfo, but not in the database", id)
                continue
            try:
                found = from_marshal(marshal.load(value))
                items.append(item(id, listed.name, found, listed.returns.get(id, 0), self._notes))
            except Unreadable as problem:
                self._notes.left(listed.name, str(problem), id)
        return items

    def _unlisted(self) -> dict[str, list[Item]]:
        items: dict[str, list[Item]] = {}
        for folder, values in self._open.items():
            known = self._known.get(folder, set())
            for key, value in sorted(values.items(), key=lambda pair: stamp(decode(pair[0]))):
                id = decode(key)
                if id in known:
                    self._notes.left("", f"{self._paths[folder].name}: keys of consumed messages", id)
                    continue
                try:
                    found = from_marshal(marshal.load(value))
                    name = home(folder, found)
                    check_name(name)
                    items.setdefault(name, []).append(item(id, name, found, 0, self._notes))
                    self._notes.repaired(name, "unknown to qinfo, which is older; may have been consumed", id)
                except Unreadable as problem:
                    self._notes.left("", str(problem), f"{self._paths[folder].name}: {id}")
        return items
