"""Reads the original's queue type ``activerecord``: rows of ``ar_messages`` in SQLite, PostgreSQL or MySQL.

SQLite is read with the standard library and never written: when another program left it in the middle of a
transaction, a copy is put right and read. The servers need the extra ``sql``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreForeign
from stompserver.migrate import ruby_yaml
from stompserver.migrate.frame import decode, from_yaml
from stompserver.migrate.original import Notes, Queue, check_name, item
from stompserver.migrate.unreadable import Unreadable

if TYPE_CHECKING:
    from sqlalchemy import Inspector

    from stompserver.stores.sql.database import Database

TABLE: Final = "ar_messages"
ASIDE: Final = "ar_messages_original"
"""The name under which the original's table is kept where this server's own is in the same database."""

COLUMNS: Final = frozenset(("id", "stomp_id", "frame"))

_LONGEST: Final = 1 << 30
_PAGE: Final = 256

Row = tuple[object, object, object]
"""id, stomp_id, frame."""


def read(rows: Iterator[Row], notes: Notes) -> list[Queue]:
    """The queues that ``rows`` (in the order of their ids) belong to, as the original grouped them."""
    queues: dict[str, Queue] = {}
    for key, stomp_id, text in rows:
        place = f"row {key}"
        name = ""
        try:
            if not isinstance(text, bytes):
                raise Unreadable(0, f"a frame that is {type(text).__name__}, not text")
            found = from_yaml(ruby_yaml.load(text))
            name = found.text(b"destination")
            if not name:
                raise Unreadable(0, "a frame without a destination")
            check_name(name)
            id = decode(stomp_id) if isinstance(stomp_id, bytes) else ""
            one = item(id or found.text(b"message-id") or place, name, found, 0, notes)
            queues.setdefault(name, Queue(name)).items.append(one)
        except Unreadable as problem:
            notes.left(name, str(problem), place)
    return list(queues.values())


def glance(path: Path) -> str:
    """The identity of the original's messages in a SQLite file; empty when there are none, or nobody can tell."""
    try:
        with closing(Sqlite(path, "ro")) as database:
            return database.identity()
    except StoreForeign:
        return ""
    except sqlite3.Error:
        return "damaged"


def read_sqlite(path: Path, notes: Notes) -> tuple[list[Queue], str]:
    """The queues in a SQLite file, and its identity. Raises StoreForeign or StoreDamaged."""
    try:
        with closing(Sqlite(path, "ro")) as database:
            return read(database.rows(notes), notes), database.identity()
    except sqlite3.Error:
        pass
    # Most often the journal of a transaction that a crash cut off; only a writer may undo it, in a copy.
    with TemporaryDirectory(prefix="stompserver-import-") as folder:
        try:
            for suffix in ("", "-journal", "-wal"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    copyfile(part, Path(folder, path.name + suffix))
            with closing(Sqlite(Path(folder, path.name), "rw")) as database:
                return read(database.rows(notes), notes), database.identity()
        except (sqlite3.Error, OSError) as problem:
            raise StoreDamaged(f"{path} cannot be read as a SQLite database: {problem}") from None


class Sqlite:
    """A SQLite file of the original, open in ``mode`` ro or rw. Raises StoreForeign when it is none, and
    sqlite3.Error.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self.path = path
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
        try:
            self._database.text_factory = bytes
            # Nothing that a hostile schema could call is called.
            self._database.execute("PRAGMA trusted_schema = OFF")
            self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            self.table = self._find()
        except BaseException:
            self.close()
            raise

    def _find(self) -> str:
        for table in (ASIDE, TABLE):
            kind = self._database.execute(
                "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,)
            ).fetchone()
            # No views and no virtual tables: what they give is computed.
            if kind is None or kind[0] != b"table" or not bytes(kind[1]).upper().startswith(b"CREATE TABLE"):
                continue
            columns = {
                bytes(row[1]).decode() for row in self._database.execute(f"PRAGMA table_info({table})")
            }
            if columns == COLUMNS:
                return table
        raise StoreForeign(f"{self.path} has no table {TABLE} of the original stompserver")

    def identity(self) -> str:
        """The file's name, how many messages, and the highest id; empty when there are none."""
        try:
            count, highest = self._database.execute(f"SELECT count(*), max(id) FROM {self.table}").fetchone()
        except sqlite3.Error:
            return "damaged"
        return f"{self.path.name.replace(' ', '_')}:{count}:{highest}" if count else ""

    def rows(self, notes: Notes) -> Iterator[Row]:
        """All rows by id. Around a damaged page come those before it, then those behind it."""
        select = f"SELECT id, stomp_id, frame FROM {self.table} "
        last: object = None
        try:
            for row in self._database.execute(select + "ORDER BY id"):
                last = row[0]
                yield row
            return
        except sqlite3.Error as problem:
            notes.left("", f"{self.path.name} is damaged: {problem}", f"after row {last}")
        behind: list[Row] = []
        condition = "" if last is None else "WHERE id > ? "
        try:
            for row in self._database.execute(
                select + condition + "ORDER BY id DESC", () if last is None else (last,)
            ):
                behind.append(row)  # noqa: PERF402 - what came before an error stays
        except sqlite3.Error as problem:
            first = behind[-1][0] if behind else "the last"
            notes.left("", f"{self.path.name} is damaged: {problem}", f"before row {first}")
        yield from reversed(behind)

    def close(self) -> None:
        """Let go of it."""
        self._database.close()


def read_server(database: Database, notes: Notes) -> tuple[list[Queue], str]:
    """The queues in a server's database, and its identity. Raises StoreAway, StoreForeign or StoreError."""
    try:
        import sqlalchemy as sa

        from stompserver.stores.sql.kinds import KINDS
    except ImportError as missing:
        raise StoreError(f"reading {database} needs the extra stompserver[sql]: {missing}") from missing
    kind = KINDS[database.kind](database, 0)
    try:
        with kind.engine.connect() as connection:
            there = sa.inspect(connection)
            table = _find(there)
            if table is None:
                raise StoreForeign(f"{database} has no table {TABLE} of the original stompserver")
            texts = sa.table(table, sa.column("id"), sa.column("stomp_id"), sa.column("frame"))
            rows = connection.execution_options(yield_per=_PAGE).execute(
                sa.select(texts.c.id, texts.c.stomp_id, texts.c.frame).order_by(texts.c.id)
            )
            found = list(_octets(rows))
    except sa.exc.SQLAlchemyError as problem:
        cause = getattr(problem, "orig", None) or problem
        raise StoreAway(f"{database}: {' '.join(str(cause).split())}") from None
    finally:
        kind.close()
    name = database.options["database"].replace(" ", "_")
    return read(iter(found), notes), f"{name}:{len(found)}:{found[-1][0]}" if found else ""


def set_aside(database: Database) -> bool:
    """Rename the original's table, for this server's own to take its place in the same database; false when there
    is nothing to rename. Both names are known to the readers, so it may be interrupted. Raises StoreError and kin.
    """
    import sqlalchemy as sa

    from stompserver.stores.sql.kinds import KINDS

    if database.path is not None and not database.path.exists():
        return False
    kind = KINDS[database.kind](database, 0)
    try:
        with kind.engine.begin() as connection:
            there = sa.inspect(connection)
            if _find(there) != TABLE:
                return False
            connection.execute(sa.text(f"ALTER TABLE {TABLE} RENAME TO {ASIDE}"))
        return True
    except sa.exc.SQLAlchemyError as problem:
        cause = getattr(problem, "orig", None) or problem
        raise StoreAway(f"{database}: {' '.join(str(cause).split())}") from None
    finally:
        kind.close()


def _find(there: Inspector) -> str | None:
    for table in (ASIDE, TABLE):
        if there.has_table(table) and {one["name"] for one in there.get_columns(table)} == COLUMNS:
            return table
    return None


def _octets(rows: Iterable[Any]) -> Iterator[Row]:
    for key, stomp_id, text in rows:
        yield key, _encode(stomp_id), _encode(text)


def _encode(value: object) -> object:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
