"""Recognises and reads a storage of the original, whichever of its queue types wrote it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from stompserver.errors import StoreDamaged, StoreError, StoreForeign
from stompserver.migrate import activerecord, databases, files, qinfo
from stompserver.migrate.ledger import Ledger
from stompserver.migrate.original import Notes, Original, Queue
from stompserver.migrate.qinfo import Index
from stompserver.migrate.unreadable import Unreadable
from stompserver.stores import originals
from stompserver.stores.base import Place
from stompserver.stores.sql import database

FILE: Final = "file"
DBM: Final = "dbm"
ACTIVERECORD: Final = "activerecord"


@dataclass(slots=True)
class Found:
    """A storage of the original at ``place`` (its directory, or its SQLite file), of queue type ``kind``.

    ``identity`` changes with its content; ``imported`` tells that all of it is in this server's storage already.
    """

    kind: str
    place: Path
    identity: str
    imported: bool = False

    def __str__(self) -> str:
        """What to tell the administrator."""
        return (
            f"{self.place} holds messages of the original stompserver (queue type {self.kind}), which this server"
            f" does not deliver; to take them over, stop it and run: {self.command}"
            " (with --dry-run it only says what it would do)"
        )

    @property
    def command(self) -> str:
        """The command that imports it."""
        return f"stompctl store import-original {shlex.quote(str(self.place))}"


def found(storage: Path, etc: Path | None = None) -> list[Found]:
    """Storages of the original in the directory ``storage``, and its SQLite file in ``etc``: looks at names, the
    index and the first octets only. Never raises.
    """
    there: list[Found] = []
    kind = _kind(storage)
    if kind:
        there.append(Found(kind, storage, qinfo.identity(storage)))
    for folder in dict.fromkeys((storage, etc or storage)):
        for path, identity in _sqlite_files(folder):
            there.append(Found(ACTIVERECORD, path, identity))
    if there:
        done = Ledger(storage).identities()
        for one in there:
            one.imported = (one.kind, one.identity) in done
    return there


def _kind(directory: Path) -> str:
    """``file`` or ``dbm`` when there is something to import, else nothing."""
    try:
        index = any((directory / name).is_file() for name in (originals.INDEX, originals.NEW_INDEX))
        if files.folders(directory):
            return FILE if index or _has_messages(directory) else ""
        if databases.databases(directory):
            return DBM if index or _has_pairs(directory) else ""
        if index and not _empty(directory):
            return FILE
    except OSError:
        pass
    return ""


def _has_messages(directory: Path) -> bool:
    """Without an index: whether directories named like queues hold what the original wrote."""
    for folder in files.folders(directory):
        for path in islice(folder.iterdir(), 10):
            with suppress(Unreadable):
                files.frame(path)
                return True
    return False


def _has_pairs(directory: Path) -> bool:
    for path in databases.databases(directory).values():
        with suppress(Unreadable):
            if databases.pairs(path).values:
                return True
    return False


def _empty(directory: Path) -> bool:
    """Whether the index says that nothing waits, as after all was consumed."""
    try:
        return not any(queue.ids for queue in qinfo.read(directory / originals.INDEX).queues)
    except (Unreadable, OSError):
        return False


def _sqlite_files(folder: Path) -> list[tuple[Path, str]]:
    """SQLite files with messages of the original, and their identities. Beside the one with the original's default
    name others are copies.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    there = [(path, activerecord.glance(path)) for path in paths if originals.is_sqlite(path)]
    there = [one for one in there if one[1]]
    return [one for one in there if one[0].name == database.DEFAULT] or there


def read(source: Path, step: Callable[[], None] = lambda: None) -> Original:
    """All messages in ``source``: the original's storage directory, its SQLite file, or a directory with its
    ``database.yml`` (its etc directory, for a database server). Raises StoreForeign when nothing of the original
    is there, and StoreError. Calls ``step`` for each message.
    """
    notes = Notes(step)
    kinds: list[str] = []
    identities: list[str] = []
    queues: dict[str, Queue] = {}

    def take(kind: str, found: list[Queue], identity: str) -> None:
        kinds.append(kind)
        identities.append(identity)
        for queue in found:
            queues.setdefault(queue.name, Queue(queue.name)).items.extend(queue.items)

    if not source.exists():
        raise StoreForeign(f"{source}: there is no such file or directory")
    if source.is_file():
        take(ACTIVERECORD, *activerecord.read_sqlite(source, notes))
        return Original(ACTIVERECORD, str(source), list(queues.values()), notes.all(), identities[0])
    try:
        kind = _kind(source)
        if kind:
            index = _index(source, notes)
            reader = files.read if kind == FILE else databases.read
            take(kind, reader(source, index, notes), qinfo.identity(source))
        sqlite = _sqlite_files(source)
        if len(sqlite) > 1:
            names = ", ".join(path.name for path, _ in sqlite)
            raise StoreForeign(f"{source} has several databases of the original; name one of them: {names}")
        for path, _ in sqlite:
            try:
                take(ACTIVERECORD, *activerecord.read_sqlite(path, notes))
            except StoreDamaged as problem:
                if not kinds:
                    raise
                notes.left("", str(problem), path.name)
    except OSError as problem:
        raise StoreError(f"{source} cannot be read: {problem.strerror}") from None
    if (source / database.FILE).is_file():
        configured = database.read(Place(source, source))
        if configured.path is None:
            take(ACTIVERECORD, *activerecord.read_server(configured, notes))
        elif configured.path.is_file() and configured.path not in [path for path, _ in sqlite]:
            take(ACTIVERECORD, *activerecord.read_sqlite(configured.path, notes))
    if not kinds:
        raise StoreForeign(
            f"{source} is no storage of the original stompserver: it has neither a {originals.INDEX} nor queues"
            f" ({originals.PREFIX}...), no SQLite database with a table {activerecord.TABLE}, and no {database.FILE}"
        )
    return Original(
        " and ".join(kinds), str(source), list(queues.values()), notes.all(), " ".join(identities)
    )


def _index(directory: Path, notes: Notes) -> Index:
    """The index; where it cannot be read the one that was about to replace it, or none."""
    try:
        return qinfo.read(directory / originals.INDEX)
    except (Unreadable, FileNotFoundError) as problem:
        reason = str(problem) if isinstance(problem, Unreadable) else "it is missing"
    try:
        index = qinfo.read(directory / originals.NEW_INDEX)
    except (Unreadable, FileNotFoundError):
        notes.repaired("", f"no index, order by message-id: {reason}", originals.INDEX)
        return Index([])
    notes.repaired("", f"the index of an interrupted save is used: {reason}", originals.NEW_INDEX)
    return index
