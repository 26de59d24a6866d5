"""Messages in a database that a Rails application can read (the original's ``activerecord`` queue type).

Table ``ar_messages`` has the original's three columns first: ``id`` (our key, the order), ``stomp_id`` (the message
number) and ``frame`` (frame_yaml.py); what else we need stands in further columns. Queue names are in
``stompserver_queues``; a body that one statement cannot carry is in ``stompserver_pieces``. To change the format give
it the next number in ``FORMAT`` and upgrade older ones in ``_upgrade``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import shlex
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from stompserver.broker.message import Message
from stompserver.broker.oplog import DROP, MARK, PUT, Op
from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreForeign, StoreFull, StoreLocked
from stompserver.stores.base import Damage, Place, Stored
from stompserver.stores.sql import database, frame_yaml
from stompserver.stores.sql.kinds import KINDS
from stompserver.stores.sql.tables import Batch, Statements, Tables

log = logging.getLogger("stompserver.storage")

FORMAT: Final = 2
ORIGINAL: Final = frozenset(("id", "stomp_id", "frame"))

_PATIENCE: Final = 5
"""Seconds that another server's lock may still be there at the start: that of one that was just killed."""

_PAGE: Final = 4096
"""Bytes of the smallest thing that databases write; neighbours share it."""

_SCAN: Final = 256
_SCAN_BYTES: Final = 16 << 20
_PRUNE: Final = 1000
"""Queues that may come up before those without messages are forgotten."""

_ODD: Final = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPE: Final = re.compile(r"\\u([0-9a-f]{4})")

T = TypeVar("T")


class SqlStore:
    """The store of the queue type ``activerecord``; which database it is says database.py.

    One connection, thrown away when it fails and made again by the next call; a lock on it keeps other servers out.
    """

    keeps = True
    most = 5_000
    swell = 3

    def __init__(self, place: Place) -> None:
        self._database = database.read(place)
        self.local = self._database.path is not None
        self.description = f"activerecord store: {self._database}"
        self._etc = place.etc
        self._kind = KINDS[self._database.kind](self._database, place.limit)
        self._tables = Tables(self._kind)
        self._connection: sa.Connection | None = None
        self._opening = True
        self._owner = secrets.token_hex(16)
        self._session: int = 0
        self._statements = Statements(self._kind, self._tables)
        self._queues: dict[str, int] | None = None
        """Ids by name; None while what the database has is not known."""
        self._last: int = 0
        """The highest id."""
        self._fresh: int = 0
        """Queues since the last look for those that are not used any more."""
        self._pieces = False
        """Whether there may be pieces."""
        self._syncs: int = 0
        try:
            self._transact(self._open)
        except BaseException:
            self.close()
            raise
        self._opening = False
        self._kind.verify()

    # The connection

    def _transact(self, work: Callable[[sa.Connection], T], sync: bool = True, added: int = 0) -> T:
        """Do ``work``, which adds so many bytes, in one transaction. Raises StoreError and its kin; of the
        transaction nothing is done then, or (StoreAway) perhaps all.
        """
        try:
            return self._try(work, sync, added)
        except StoreFull:
            connection = self._connection
            if added or connection is None or not self._kind.make_room(connection):
                raise
        return self._try(work, sync, added)

    def _try(self, work: Callable[[sa.Connection], T], sync: bool, added: int) -> T:
        try:
            connection = self._connect()
            self._kind.before(connection, sync, added)
            with connection.begin():
                return work(connection)
        except sa.exc.DBAPIError as problem:
            trouble = self._kind.trouble(problem, self._opening)
            if isinstance(trouble, StoreAway):
                self._disconnect()
            raise trouble from None
        except StoreFull:
            raise
        except BaseException:
            self._disconnect()
            raise

    def _connect(self) -> sa.Connection:
        if self._connection is None:
            try:
                connection = self._kind.engine.connect()
            except RuntimeError as problem:
                # PyMySQL lacks a library for the server's way to log in.
                raise StoreError(f"{self._database}: {problem}") from None
            try:
                self._settle(connection)
                connection.commit()
            except BaseException:
                self._throw_away(connection)
                raise
            self._connection = connection
        return self._connection

    def _settle(self, connection: sa.Connection) -> None:
        kind = self._kind
        kind.prepare(connection)
        if not kind.lock(connection, _PATIENCE if self._opening else 0):
            if not self._opening and self._owns(connection):
                # Nobody else was here: it is our own connection of before, which the server takes for alive.
                kind.end_session(connection, self._session)
                raise StoreAway(f"{self._database}: the lost connection still holds the lock")
            raise StoreLocked(f"{self._database} is in use by another stompserver")
        if not self._opening and not self._owns(connection):
            raise StoreLocked(f"{self._database} was used by another stompserver while it was away")
        self._session = kind.session(connection)

    def _owns(self, connection: sa.Connection) -> bool:
        meta = self._tables.meta
        owner = connection.execute(sa.select(meta.c.value).where(meta.c.name == "owner")).scalar()
        return owner == self._owner

    def _disconnect(self) -> None:
        self._queues = None
        connection, self._connection = self._connection, None
        if connection is not None:
            self._throw_away(connection)

    def _throw_away(self, connection: sa.Connection) -> None:
        # It may be dead in any way; what it says about that is of no interest.
        with contextlib.suppress(Exception):
            connection.invalidate()
        with contextlib.suppress(Exception):
            connection.close()

    def _mended(self, work: Callable[[], T]) -> T:
        """``work``, once more when it met damage that is in an index: that is made again from the table."""
        try:
            return work()
        except StoreDamaged as problem:
            damage = problem
        messages = self._tables.messages
        try:
            if not self._transact(lambda connection: self._kind.mend(connection, messages)):
                raise damage
        except StoreDamaged:
            raise damage from None
        log.error("%s. The index of %s was made anew", damage, messages.name, extra={"event": "damage"})
        return work()

    # The tables

    def _open(self, connection: sa.Connection) -> None:
        meta = self._tables.meta
        there = sa.inspect(connection)
        if not there.has_table(meta.name):
            self._look_for_others(connection, there)
        self._tables.metadata.create_all(connection, checkfirst=True)
        format = connection.execute(sa.select(meta.c.value).where(meta.c.name == "format")).scalar()
        if format is None:
            connection.execute(meta.insert().values(name="format", value=str(FORMAT)))
        elif format == "1":
            self._upgrade(connection)
        elif format != str(FORMAT):
            raise StoreForeign(f"{self._database}: format {format}; this version knows {FORMAT}")
        connection.execute(meta.delete().where(meta.c.name.in_(["owner", "syncs"])))
        rows = [{"name": "owner", "value": self._owner}, {"name": "syncs", "value": "0"}]
        connection.execute(meta.insert(), rows)

    def _upgrade(self, connection: sa.Connection) -> None:
        """Format 1 had no column ``kept``. May be done again: MySQL does not take a table's change back."""
        messages, meta = self._tables.messages, self._tables.meta
        there = {column["name"] for column in sa.inspect(connection).get_columns(messages.name)}
        if messages.c.kept.name not in there:
            kind = messages.c.kept.type.compile(connection.dialect)
            connection.execute(
                sa.text(f"ALTER TABLE {messages.name} ADD COLUMN {messages.c.kept.name} {kind}")
            )
        connection.execute(meta.update().where(meta.c.name == "format").values(value=str(FORMAT)))

    def _look_for_others(self, connection: sa.Connection, there: sa.Inspector) -> None:
        """An ``ar_messages`` that is not ours: the original's, with messages or made for us as its man page says."""
        table = self._tables.messages
        if not there.has_table(table.name):
            return
        columns = {column["name"] for column in there.get_columns(table.name)}
        count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        ours = {column.name for column in table.columns}
        if count == 0 and columns in (ORIGINAL, ours - {"kept"}):
            table.drop(connection)
        elif columns == ORIGINAL:
            raise StoreForeign(
                f"{self._database} holds {count} messages of the original stompserver; to take them over, run:"
                f" stompctl store import-original {shlex.quote(str(self._database.path or self._etc))}"
            )
        elif columns != ours or count:
            raise StoreForeign(f"{self._database}: its table {table.name} is not stompserver's")

    # Store

    def load(self) -> list[Stored]:
        """One GROUP BY over an index; reads no messages."""
        return self._mended(lambda: self._transact(self._load))

    def _load(self, connection: sa.Connection) -> list[Stored]:
        messages, queues, pieces = self._tables.messages, self._tables.queues, self._tables.pieces
        column = messages.c
        counting = sa.select(
            column.queue_id,
            column.persistent,
            sa.func.count(),
            sa.func.sum(column.size),
            sa.func.min(column.id),
            sa.func.max(column.id),
        ).group_by(column.queue_id, column.persistent)
        counted = connection.execute(counting).all()
        if any(not row.persistent for row in counted):
            connection.execute(messages.delete().where(column.persistent == 0))
        if self._pieces:
            kept = sa.select(column.id).where(column.pieces > 0)
            connection.execute(pieces.delete().where(pieces.c.message_id.not_in(kept)))
        names = {id: name for name, id in self._known(connection).items()}
        counted = [row for row in counted if row.persistent and row.queue_id in names]
        unused = [{"old": id} for id in names.keys() - {row.queue_id for row in counted}]
        if unused:
            connection.execute(queues.delete().where(queues.c.id == sa.bindparam("old")), unused)
        self._queues = {names[row.queue_id]: row.queue_id for row in counted}
        return [Stored(names[id], count, int(size), low, high) for id, _, count, size, low, high in counted]

    def _known(self, connection: sa.Connection) -> dict[str, int]:
        """The ids of the queues, read again after a lost connection: what its last commit did is not known."""
        if self._queues is None:
            queues, pieces = self._tables.queues, self._tables.pieces
            rows = connection.execute(sa.select(queues.c.id, queues.c.name)).all()
            self._queues = {_from_text(row.name): row.id for row in rows}
            self._last = max((row.id for row in rows), default=self._last)
            self._pieces = connection.execute(sa.select(pieces.c.piece).limit(1)).first() is not None
        return self._queues

    def commit(self, ops: list[Op], sync: bool) -> None:
        """One transaction of statements for many rows each."""
        if self._fresh > _PRUNE:
            self._transact(self._prune)
        added = sum([op.size for op in ops if op.kind == PUT])
        fresh = self._mended(
            lambda: self._transact(lambda connection: self._write(connection, ops), sync, added)
        )
        assert self._queues is not None and self._connection is not None
        self._queues.update(fresh)
        self._fresh += len(fresh)
        # What is committed stays so; a disk that is full shows at the next PUT.
        with contextlib.suppress(sa.exc.DBAPIError):
            self._kind.committed(self._connection, sum([max(op.size, _PAGE // 4) for op in ops]))

    def _write(self, connection: sa.Connection, ops: list[Op]) -> dict[str, int]:
        """Write ``ops``; returns the queues that are new."""
        known = self._known(connection)
        new = {op.queue: None for op in ops if op.kind == PUT and op.queue not in known}
        fresh = {name: self._last + at for at, name in enumerate(new, 1)}
        if fresh:
            rows = [{"id": id, "name": _to_text(name)} for name, id in fresh.items()]
            connection.execute(self._tables.queues.insert(), rows)
        batch = Batch(connection, self._statements)
        for op in ops:
            queue = known.get(op.queue, 0) or fresh.get(op.queue, 0)
            if op.kind == PUT:
                assert op.message is not None
                row, pieces = self._row(queue, op.message)
                self._pieces = self._pieces or bool(pieces)
                batch.put(row, pieces)
            elif op.kind == MARK:
                batch.mark(queue, op.key, op.attempts)
            elif op.kind == DROP:
                batch.drop(queue, self._pieces)
            else:
                batch.remove(queue, op.key, self._pieces)
        batch.flush()
        self._last += len(fresh)
        return fresh

    def _prune(self, connection: sa.Connection) -> None:
        """Forget queues without messages, of which a server that runs for years sees many."""
        known, queues = self._known(connection), self._tables.queues
        messages = sa.exists().where(self._tables.messages.c.queue_id == queues.c.id)
        unused = connection.execute(sa.select(queues.c.id).where(~messages)).scalars().all()
        if unused:
            rows = [{"old": id} for id in unused]
            connection.execute(queues.delete().where(queues.c.id == sa.bindparam("old")), rows)
        gone = frozenset(unused)
        self._queues = {name: id for name, id in known.items() if id not in gone}
        self._fresh = 0

    def _row(self, queue: int, message: Message) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row of a message, and the rows of its pieces."""
        headers = message.headers
        kept = message.kept()
        destination = None
        if "destination" in headers or "message-id" in headers:
            destination = _to_text(message.destination)
        else:
            headers = {"destination": message.destination, "message-id": str(message.number), **headers}
        most, body = self._kind.piece, message.body
        frame = frame_yaml.dump(headers, body) if len(body) <= most else ""
        pieces = []
        if not frame or len(frame) > most:
            frame = frame_yaml.dump(headers, None)
            pieces = [
                {"message_id": message.key, "piece": at // most, "data": body[at : at + most]}
                for at in range(0, len(body), most)
            ]
        row = {
            "id": message.key,
            "stomp_id": str(message.number),
            "frame": frame,
            "queue_id": queue,
            "size": message.size,
            "attempts": message.attempts,
            "exceptions": message.exceptions,
            "persistent": int(message.persistent),
            "plain": int(message.plain),
            "pieces": len(pieces),
            "destination": destination,
            "kept": json.dumps(kept) if kept else None,
        }
        return row, pieces

    def sync(self) -> None:
        """A commit that is synced takes those before it along; a database server decides for itself."""
        if self._kind.relaxes:
            # SQLite writes nothing, and syncs nothing, where a value stays as it is.
            self._syncs += 1
            meta = self._tables.meta
            touch = meta.update().where(meta.c.name == "syncs").values(value=str(self._syncs))
            self._transact(lambda connection: connection.execute(touch))

    def verify(self) -> None:
        """Whether the file is the one that is open; a database server sees to that by itself."""
        self._kind.verify()

    def spare(self) -> int:
        """Free pages of the file."""
        connection = self._connection
        try:
            return 0 if connection is None else self._kind.spare(connection)
        except sa.exc.DBAPIError as problem:
            raise self._kind.trouble(problem, False) from None

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """First the sizes, from the index; then no more rows than are wanted."""
        try:
            return self._transact(lambda connection: self._read(connection, queue, after, limit, room))
        except StoreDamaged:
            keys = self._mended(
                lambda: self._transact(lambda connection: self._keys(connection, queue, after, limit, room))
            )
            return [self._read_alone(queue, key) for key in keys]

    def _keys(self, connection: sa.Connection, queue: str, after: int, limit: int, room: int) -> list[int]:
        column = self._tables.messages.c
        wanted = sa.and_(column.queue_id == self._known(connection).get(queue, 0), column.id > after)
        keys: list[int] = []
        for key, size in connection.execute(
            sa.select(column.id, column.size).where(wanted).order_by(column.id).limit(limit)
        ).all():
            keys.append(key)
            room -= size
            if room <= 0:
                break
        return keys

    def _read(
        self, connection: sa.Connection, queue: str, after: int, limit: int, room: int
    ) -> list[Message | Damage]:
        keys = self._keys(connection, queue, after, limit, room)
        if not keys:
            return []
        table = self._tables.messages
        wanted = sa.and_(
            table.c.queue_id == self._known(connection)[queue], table.c.id.between(keys[0], keys[-1])
        )
        rows = connection.execute(sa.select(table).where(wanted).order_by(table.c.id)).all()
        return [self._message(connection, row) for row in rows]

    def _read_alone(self, queue: str, key: int) -> Message | Damage:
        """One message of those among which the database finds damage."""
        try:
            (found,) = self._transact(lambda connection: self._read(connection, queue, key - 1, 1, 1))
        except StoreDamaged as damage:
            return Damage(key, f"{self._tables.messages.name} id {key}", str(damage))
        return found

    def _message(self, connection: sa.Connection, row: sa.Row[Any]) -> Message | Damage:
        try:
            headers, body = frame_yaml.load(row.frame)
            if body is None:
                body = self._joined(connection, row.id, row.pieces)
            if row.destination is not None:
                destination = _from_text(row.destination)
            elif "destination" in headers:
                destination = headers.pop("destination")
                headers.pop("message-id", None)
            else:
                raise StoreDamaged("the frame has no destination")
            if not row.stomp_id.isdecimal():
                raise StoreDamaged(f"stomp_id {row.stomp_id!r} is no message number")
        except StoreDamaged as problem:
            return Damage(row.id, f"{self._tables.messages.name} id {row.id}", str(problem))
        message = Message(
            destination, headers, body, row.size, bool(row.plain), bool(row.persistent), row.exceptions
        )
        if row.kept is not None:
            try:
                message.regain(json.loads(row.kept))
            except (ValueError, TypeError, AttributeError):
                return Damage(row.id, f"{self._tables.messages.name} id {row.id}", f"kept {row.kept[:100]!r}")
        message.key = row.id
        message.number = int(row.stomp_id)
        message.attempts = row.attempts
        message.stored = True
        return message

    def _joined(self, connection: sa.Connection, key: int, count: int) -> bytes:
        pieces = self._tables.pieces.c
        # One at a time: an answer has a limit of its own.
        parts = [
            connection.execute(
                sa.select(pieces.data).where(pieces.message_id == key, pieces.piece == number)
            ).scalar()
            for number in range(count)
        ]
        if not parts or None in parts:
            raise StoreDamaged("the frame has no body" if not count else "a piece of the body is missing")
        return b"".join([bytes(part) for part in parts if part is not None])

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """Queue by queue, some at a time; what the database itself complains of comes first."""
        try:
            complaints = self._transact(self._kind.check)
        except StoreDamaged as damage:
            complaints = [str(damage)]
        for line in complaints:
            yield "", Damage(0, str(self._database), line)
        for name in sorted(self._transact(self._known)):
            after = -1
            try:
                while found := self.read(name, after, _SCAN, _SCAN_BYTES):
                    after = found[-1].key
                    for each in found:
                        yield name, each
            except StoreDamaged as damage:
                yield name, Damage(0, f"what comes after {after}", str(damage))
        for key, reason in self._transact(self._strays):
            yield "", Damage(key, f"{self._tables.messages.name} id {key}", reason)

    def _strays(self, connection: sa.Connection) -> list[tuple[int, str]]:
        messages, queues = self._tables.messages.c, self._tables.queues.c
        unknown = connection.execute(
            sa.select(messages.id, messages.queue_id).where(messages.queue_id.not_in(sa.select(queues.id)))
        )
        return [(row.id, f"its queue_id {row.queue_id} is not in stompserver_queues") for row in unknown]

    def compact(self) -> tuple[int, int]:
        """VACUUM, or what the server has for it; bytes of the tables before and after."""
        kind, names = self._kind, self._tables.names
        before = self._transact(lambda connection: kind.size(connection, names))
        try:
            with kind.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                kind.compact(connection, names)
        except sa.exc.DBAPIError as problem:
            raise kind.trouble(problem, False) from None
        return before, self._transact(lambda connection: kind.size(connection, names))

    def close(self) -> None:
        """The lock goes with the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()
        self._kind.close()


def _to_text(name: str) -> str:
    """Any name as text that every database keeps; for nearly all names the same."""
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", name)


def _from_text(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
