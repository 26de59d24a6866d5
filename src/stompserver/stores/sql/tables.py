"""The tables of the SQL store, and the statements of a commit."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from stompserver.stores.sql.kinds.kind import Kind

_KEYS: Final = 1000
"""Keys in one statement."""


class Tables:
    """The tables, as this kind of database wants them."""

    def __init__(self, kind: Kind) -> None:
        self.metadata = metadata = sa.MetaData()
        key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
        options = kind.table_options
        self.messages = sa.Table(
            "ar_messages",
            metadata,
            sa.Column("id", key, primary_key=True, autoincrement=False),
            sa.Column("stomp_id", sa.String(255), nullable=False),
            sa.Column("frame", kind.longtext, nullable=False),
            sa.Column("queue_id", sa.BigInteger, nullable=False),
            sa.Column("size", sa.BigInteger, nullable=False),
            sa.Column("attempts", sa.BigInteger, nullable=False),
            sa.Column("exceptions", sa.BigInteger, nullable=False),
            sa.Column("persistent", sa.SmallInteger, nullable=False),
            sa.Column("plain", sa.SmallInteger, nullable=False),
            sa.Column("pieces", sa.Integer, nullable=False),
            sa.Column("destination", kind.longtext),
            # Since format 2. Null for most.
            sa.Column("kept", kind.longtext),
            # All that load counts, so that it reads no messages.
            sa.Index("ar_messages_order", "queue_id", "id", "size", "persistent"),
            **options,
        )
        self.queues = sa.Table(
            "stompserver_queues",
            metadata,
            sa.Column("id", key, primary_key=True, autoincrement=False),
            sa.Column("name", kind.longtext, nullable=False),
            **options,
        )
        self.pieces = sa.Table(
            "stompserver_pieces",
            metadata,
            sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("piece", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("data", kind.longbinary, nullable=False),
            **options,
        )
        # Made last: where it is, the others are.
        self.meta = sa.Table(
            "stompserver_meta",
            metadata,
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("value", sa.String(255), nullable=False),
            **options,
        )
        self.names = [table.name for table in (self.messages, self.queues, self.pieces, self.meta)]


class Statements:
    """The statements of a commit."""

    def __init__(self, kind: Kind, tables: Tables) -> None:
        messages, pieces = tables.messages, tables.pieces
        key: sa.BindParameter[int] = sa.bindparam("key")
        queue: sa.BindParameter[int] = sa.bindparam("queue")
        this = sa.and_(messages.c.id == key, messages.c.queue_id == queue)
        all_of = messages.c.queue_id == queue
        self.put = kind.insert(messages)
        self.mark = messages.update().where(this).values(attempts=sa.bindparam("tried"))
        self.remove = messages.delete().where(this)
        keys = messages.c.id.in_(sa.bindparam("keys", expanding=True))
        self.remove_many = messages.delete().where(keys, all_of) if kind.one_by_one else None
        self.drop = messages.delete().where(all_of)
        self.put_piece = kind.insert(pieces)
        self.remove_pieces = pieces.delete().where(
            pieces.c.message_id.in_(sa.select(messages.c.id).where(this))
        )
        self.drop_pieces = pieces.delete().where(
            pieces.c.message_id.in_(sa.select(messages.c.id).where(all_of))
        )


class Batch:
    """Ops of one commit, gathered by kind, because a statement for many rows costs little more than for one. What
    touches the same message twice is done in its order.
    """

    def __init__(self, connection: sa.Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        self._touched: set[int] = set()
        self._puts: list[dict[str, Any]] = []
        self._put_pieces: list[dict[str, Any]] = []
        self._marks: list[dict[str, Any]] = []
        self._removes: list[dict[str, Any]] = []
        self._pieces = False

    def put(self, row: dict[str, Any], pieces: list[dict[str, Any]]) -> None:
        """Insert a message that is not there yet."""
        self._touch(row["id"])
        self._puts.append(row)
        self._put_pieces.extend(pieces)

    def mark(self, queue: int, key: int, attempts: int) -> None:
        """Set the attempts of a message."""
        self._touch(key)
        self._marks.append({"key": key, "queue": queue, "tried": attempts})

    def remove(self, queue: int, key: int, pieces: bool) -> None:
        """Take a message out, and with ``pieces`` its pieces."""
        self._touch(key)
        self._pieces = self._pieces or pieces
        self._removes.append({"key": key, "queue": queue})

    def drop(self, queue: int, pieces: bool) -> None:
        """Take out all messages of a queue."""
        self.flush()
        if pieces:
            self._connection.execute(self._statements.drop_pieces, {"queue": queue})
        self._connection.execute(self._statements.drop, {"queue": queue})

    def _touch(self, key: int) -> None:
        if key in self._touched:
            self.flush()
        self._touched.add(key)

    def flush(self) -> None:
        """Execute what is gathered."""
        execute, statements = self._connection.execute, self._statements
        if self._removes and self._pieces:
            execute(statements.remove_pieces, self._removes)
        if statements.remove_many is not None:
            self._remove_many(statements.remove_many)
        for statement, rows in (
            (statements.remove, self._removes),
            (statements.mark, self._marks),
            (statements.put, self._puts),
            (statements.put_piece, self._put_pieces),
        ):
            if rows:
                execute(statement, rows)
                rows.clear()
        self._touched.clear()

    def _remove_many(self, statement: sa.Delete) -> None:
        """A statement for each queue instead of one for each message."""
        queues: dict[int, list[int]] = {}
        for row in self._removes:
            queues.setdefault(row["queue"], []).append(row["key"])
        self._removes.clear()
        for queue, keys in queues.items():
            for start in range(0, len(keys), _KEYS):
                self._connection.execute(statement, {"queue": queue, "keys": keys[start : start + _KEYS]})
