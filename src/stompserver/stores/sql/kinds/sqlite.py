"""SQLite: a file, by default in the storage directory."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreFull
from stompserver.stores import disk
from stompserver.stores.lock import Lock
from stompserver.stores.sql.database import Database
from stompserver.stores.sql.kinds.kind import LOCK_SECONDS, Kind, text_of

_CHECKPOINT: Final = 4 << 20
"""Bytes of log after which they are moved into the file."""

_WAY_OUT: Final = _CHECKPOINT
"""Bytes of log that must stay possible: what is removed goes through it, too."""


class Sqlite(Kind):
    """A file in WAL mode. With ``sync`` each commit is synced (synchronous=FULL)."""

    relaxes = True

    def __init__(self, database: Database, limit: int) -> None:
        assert database.path is not None
        self.database = database
        self.path: Path = database.path
        self._sync: bool | None = None
        self._bytes: int = 0
        """About how many are in the log and not yet in the file."""
        self._anchor = disk.Anchor()
        self._lock = Lock(self.path.parent, self.path.name + ".lock")
        try:
            self._make()
            super().__init__(database, limit)
        except BaseException:
            self._lock.release()
            raise
        sa.event.listen(self.engine, "begin", self._begun)

    @property
    def _written_to(self) -> str:
        """The log, into which everything is written first."""
        return f"{self.path}-wal"

    def _make(self) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            disk.sync_directory(self.path.parent)
            self._anchor.hold(self.path)
        except OSError as problem:
            raise disk.refused(problem, f"use {self.database}") from None

    def url(self) -> sa.URL:
        return sa.URL.create("sqlite", database=str(self.path))

    def arguments(self) -> dict[str, Any]:
        # One thread at a time, but not always the one that opened it.
        return {
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": self.database.number("timeout", LOCK_SECONDS * 1000) / 1000,
        }

    def prepare(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        # Else one damaged text would hide its neighbours.
        driver.text_factory = _decode
        self._outside(connection, "PRAGMA journal_mode=WAL")
        # The last connection took its log along when it was closed.
        self._anchor.release(self._written_to)
        # Checkpoints are our own: SQLite keeps it to itself when they do not fit on the disk.
        self._outside(connection, "PRAGMA wal_autocheckpoint=0")
        self._outside(connection, f"PRAGMA journal_size_limit={16 * _CHECKPOINT}")
        if self.limit:
            pages = (self.limit - min(self.limit // 4, _WAY_OUT)) // self._number(connection, "page_size")
            self._outside(connection, f"PRAGMA max_page_count={max(1, pages)}")
        self._sync = None

    def _begun(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    def insert(self, table: sa.Table) -> sa.Insert:
        return sqlite.insert(table).on_conflict_do_nothing()

    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        return True

    def before(self, connection: sa.Connection, sync: bool, added: int) -> None:
        if sync is not self._sync:
            self._outside(connection, f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
            self._sync = sync
        if added and self._free() < _WAY_OUT + self._bytes + 3 * added:
            self._look_closely(connection, added)

    def _free(self) -> int:
        """Bytes that the file system, and the system's limit for a file, let us have."""
        status = os.statvfs(self.path.parent)
        free = status.f_bavail * status.f_frsize
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY:
            free = min(free, limit - max(self._sizes()) - self._bytes)
        return free

    def _look_closely(self, connection: sa.Connection, added: int) -> None:
        """There is room where the log can be used again from its start, or the file has free pages."""
        again = self._move(connection)
        unused = self._number(connection, "freelist_count") * self._number(connection, "page_size")
        log = _WAY_OUT + 2 * added - (self._sizes()[1] if again else 0)
        if self._free() < max(0, log) + max(0, self._bytes + 2 * added - unused):
            raise StoreFull(
                f"{self.database}: the disk has less than {(_WAY_OUT + 3 * added) >> 20} MiB left"
            )

    def _move(self, connection: sa.Connection) -> bool:
        """Move what is in the log into the file; whether all could be moved, which readers may prevent."""
        _, written, moved = self._outside(connection, "PRAGMA wal_checkpoint(PASSIVE)")[0]
        self._bytes = 0 if written == moved else self._bytes
        return bool(written == moved)

    def make_room(self, connection: sa.Connection) -> bool:
        try:
            return self._move(connection)
        except sa.exc.DBAPIError:
            return False

    def _number(self, connection: sa.Connection, name: str) -> int:
        return int(self._outside(connection, f"PRAGMA {name}")[0][0])

    def _sizes(self) -> list[int]:
        """Bytes of the file and of its log."""
        files = (self.path, f"{self.path}-wal")
        return [os.path.getsize(file) if os.path.exists(file) else 0 for file in files]

    def _outside(self, connection: sa.Connection, statement: str) -> list[Any]:
        """Execute what SQLite refuses inside a transaction."""
        driver: Any = connection.connection.driver_connection
        try:
            return list(driver.execute(statement))
        except sqlite3.Error as problem:
            raise sa.exc.DBAPIError(statement, None, problem) from None

    def committed(self, connection: sa.Connection, written: int) -> None:
        self._bytes += written
        if self._bytes >= _CHECKPOINT:
            self._move(connection)

    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        text = f"{self.database}: {text_of(problem)}"
        code = getattr(problem.orig, "sqlite_errorcode", 0)
        if code & 255 in (5, 6):  # SQLITE_BUSY, SQLITE_LOCKED: another program writes
            return StoreAway(text)
        if code & 255 == 13 or (code & 255 == 10 and self._no_room()):  # SQLITE_FULL, SQLITE_IOERR
            return StoreFull(text)
        if code & 255 in (11, 26):  # SQLITE_CORRUPT, SQLITE_NOTADB
            return StoreDamaged(text)
        return StoreError(text)

    def _no_room(self) -> bool:
        """Whether a failed write was for want of room: SQLite tells only ENOSPC, not a quota or a size limit."""
        probe = self.path.with_name(self.path.name + ".probe")
        try:
            file = os.open(probe, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, b"\1" * 65536, max(self._sizes()))
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as problem:
            return problem.errno in disk.NO_ROOM
        finally:
            probe.unlink(missing_ok=True)
        return False

    def verify(self) -> None:
        if not self._anchor.holds(self._written_to):
            # Not there where the file system knows no way to share memory, and then not needed.
            with contextlib.suppress(OSError):
                self._anchor.hold(self._written_to)
        self._lock.verify()
        self._anchor.verify()

    def spare(self, connection: sa.Connection) -> int:
        """A part of the free pages, as far as the log has room for what goes there."""
        unused = self._number(connection, "freelist_count") * self._number(connection, "page_size")
        free = self._free()
        through = max(0, free + self._sizes()[1] - _WAY_OUT) // 2
        return max(0, min(unused // 2, through) - free // 3)

    def mend(self, connection: sa.Connection, table: sa.Table) -> bool:
        # To drop or REINDEX them, SQLite would read the pages that are damaged: it is to forget them.
        connection.exec_driver_sql("PRAGMA writable_schema=ON")
        for index in table.indexes:
            connection.exec_driver_sql(
                "DELETE FROM sqlite_master WHERE type = 'index' AND name = ?", (str(index.name),)
            )
        connection.exec_driver_sql("PRAGMA writable_schema=RESET")
        for index in table.indexes:
            index.create(connection)
        return True

    def check(self, connection: sa.Connection) -> list[str]:
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [] if found == ["ok"] else [str(line) for line in found]

    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        return sum(self._sizes())

    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        self._outside(connection, "VACUUM")
        self._outside(connection, "PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        super().close()
        self._anchor.release()
        self._lock.release()


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
