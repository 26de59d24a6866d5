"""What SQLite, PostgreSQL and MySQL (or MariaDB) do differently: one class each, of the same shape."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import ssl
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreFull
from stompserver.stores.database import MYSQL, POSTGRESQL, SQLITE, Database
from stompserver.stores.lock import Lock

CONNECT_SECONDS: Final = 10
"""How long a server may take to answer a new connection, unless connect_timeout says otherwise."""

SILENCE_SECONDS: Final = 30
"""How long a server may be silent on the wire before it counts as gone (PostgreSQL: unacknowledged data)."""

ANSWER_SECONDS: Final = 300
"""How long MySQL may take for one answer; its driver cannot tell a dead peer from a slow one."""

LOCK_SECONDS: Final = 10
"""How long to wait for what somebody else has locked in the database."""

_CHECKPOINT: Final = 4 << 20
"""Bytes of log after which SQLite is to move them into its file."""

_PIECE: Final = 256 << 20
"""Below what the databases can have in one value (SQLite and PostgreSQL: 1 GB)."""

_PACKET: Final = 8 << 20


class Kind:
    """A kind of database. ``piece`` is how many bytes of a frame one statement may carry; ``relaxes`` tells whether
    commits without sync are less durable.
    """

    relaxes = False

    longtext: sa.types.TypeEngine[str] = sa.Text()
    longbinary: sa.types.TypeEngine[bytes] = sa.LargeBinary()
    table_options: dict[str, Any] = {}

    def __init__(self, database: Database, limit: int) -> None:
        self.database = database
        self.limit: int = limit
        self.piece: int = _PIECE
        self.engine = sa.create_engine(
            self.url(), poolclass=sa.NullPool, connect_args=self.arguments(), hide_parameters=True
        )

    def url(self) -> sa.URL:
        """SQLAlchemy's name for dialect and driver."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """What the driver's connect wants. Raises StoreError."""
        raise NotImplementedError

    def prepare(self, connection: sa.Connection) -> None:
        """Settings of a new connection."""

    def insert(self, table: sa.Table) -> sa.Insert:
        """An INSERT that leaves alone what is there already."""
        raise NotImplementedError

    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        """Keep other servers out for as long as ``connection`` lasts; false when another is in after that time."""
        raise NotImplementedError

    def session(self, connection: sa.Connection) -> int:
        """The server's number for this connection."""
        return 0

    def end_session(self, connection: sa.Connection, session: int) -> None:
        """End an earlier connection of ours that the server may not know to be dead."""

    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        """What a driver's error means. ``opening``: it is the first connection, so the settings may be wrong."""
        raise NotImplementedError

    def synchronous(self, connection: sa.Connection, sync: bool) -> None:
        """How durable the next commits are. A server decides that by its own settings."""

    def committed(self, connection: sa.Connection, bytes: int) -> None:
        """After a commit of about so many bytes."""

    def check(self, connection: sa.Connection) -> list[str]:
        """What the database itself finds wrong."""
        return []

    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        """Bytes that the tables take."""
        raise NotImplementedError

    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        """Give unused space back; ``connection`` is in autocommit."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is held beside the connection."""
        self.engine.dispose()


def _text(problem: sa.exc.DBAPIError) -> str:
    """One line of the driver's own words; never parameters, which are messages."""
    arguments = problem.orig.args if problem.orig is not None else ()
    return " ".join(str(arguments[-1] if arguments else problem.orig).split()) or type(problem.orig).__name__


class Sqlite(Kind):
    """A file in WAL mode. With ``sync`` each commit is synced (synchronous=FULL)."""

    relaxes = True

    def __init__(self, database: Database, limit: int) -> None:
        assert database.path is not None
        self.path: Path = database.path
        self._sync: bool | None = None
        self._bytes: int = 0
        self._full = False
        self._lock = Lock(self.path.parent, self.path.name + ".lock")
        try:
            self._make()
            super().__init__(database, limit)
        except BaseException:
            self._lock.release()
            raise
        sa.event.listen(self.engine, "begin", self._begun)

    def _make(self) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(f"{self.path}: {problem.strerror}") from None
            raise StoreError(f"{self.database.source}: database: {self.path}: {problem.strerror}") from None

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
        self._outside(connection, "PRAGMA journal_mode=WAL")
        # Checkpoints are our own: SQLite keeps it to itself when they do not fit on the disk.
        self._outside(connection, "PRAGMA wal_autocheckpoint=0")
        self._outside(connection, f"PRAGMA journal_size_limit={16 * _CHECKPOINT}")
        if self.limit:
            page = self._outside(connection, "PRAGMA page_size")[0][0]
            self._outside(connection, f"PRAGMA max_page_count={max(1, self.limit // page)}")
        self._sync = None

    def _begun(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    def insert(self, table: sa.Table) -> sa.Insert:
        return sqlite.insert(table).on_conflict_do_nothing()

    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        return True

    def synchronous(self, connection: sa.Connection, sync: bool) -> None:
        if sync is not self._sync:
            self._outside(connection, f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
            self._sync = sync

    def _outside(self, connection: sa.Connection, statement: str) -> list[Any]:
        """Execute what SQLite refuses inside a transaction."""
        driver: Any = connection.connection.driver_connection
        try:
            return list(driver.execute(statement))
        except sqlite3.Error as problem:
            raise sa.exc.DBAPIError(statement, None, problem) from None

    def committed(self, connection: sa.Connection, bytes: int) -> None:
        self._bytes += bytes
        if self._bytes >= _CHECKPOINT:
            # A reader that holds it up is no trouble: the log grows meanwhile.
            self._outside(connection, "PRAGMA wal_checkpoint(PASSIVE)")
            self._bytes = 0

    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        text = f"{self.database}: {_text(problem)}"
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
        end = max(os.path.getsize(file) for file in self._files() if os.path.exists(file))
        try:
            file = os.open(probe, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, b"\1" * 65536, end)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as problem:
            return problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        finally:
            probe.unlink(missing_ok=True)
        return False

    def _files(self) -> list[str]:
        return [str(self.path), f"{self.path}-wal"]

    def check(self, connection: sa.Connection) -> list[str]:
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [] if found == ["ok"] else [str(line) for line in found]

    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        return sum([os.path.getsize(file) for file in self._files() if os.path.exists(file)])

    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        self._outside(connection, "VACUUM")
        self._outside(connection, "PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        super().close()
        self._lock.release()


class Postgresql(Kind):
    """PostgreSQL by psycopg 3; libpq's own files and variables (.pgpass, PGHOST ...) fill what is not said."""

    _AWAY: Final = ("08", "57", "55P03", "25006", "25P03", "40001", "40P01", "53200", "53300", "53400")
    """SQLSTATE (or its class): connection lost, shut down or cancelled, lock timeout, read-only after a failover,
    idle too long, deadlock, too little memory or connections."""

    _NOT_NOW: Final = ("starting up", "shutting down", "recovery", "not yet accepting", "too many", "slots")
    """Words of a refused connection that may work later."""

    def url(self) -> sa.URL:
        return sa.URL.create("postgresql+psycopg")

    def arguments(self) -> dict[str, Any]:
        options = self.database.options
        names = {
            "database": "dbname",
            "username": "user",
            "host": "host",
            "port": "port",
            "password": "password",
        }
        names |= {key: key for key in ("sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs")}
        return {
            "connect_timeout": self.database.number("connect_timeout", CONNECT_SECONDS),
            "tcp_user_timeout": SILENCE_SECONDS * 1000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "stompserver",
            "client_encoding": "UTF8",
        } | {name: options[key] for key, name in names.items() if options.get(key)}

    def prepare(self, connection: sa.Connection) -> None:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise StoreError(f"{self.database}: its encoding is {encoding}; it must be UTF8")
        for setting in (f"lock_timeout = '{LOCK_SECONDS}s'", "statement_timeout = 0"):
            connection.exec_driver_sql(f"SET {setting}")
        path = self.database.options.get("schema_search_path")
        if path:
            connection.execute(sa.text("SELECT set_config('search_path', :path, false)"), {"path": path})

    def insert(self, table: sa.Table) -> sa.Insert:
        return postgresql.insert(table).on_conflict_do_nothing()

    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        key = "hashtextextended('stompserver ' || current_schema(), 0)"
        if connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({key})").scalar():
            return True
        if not seconds:
            return False
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{seconds}s'")
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({key})")
        except sa.exc.DBAPIError as problem:
            if getattr(problem.orig, "sqlstate", None) == "55P03":
                return False
            raise
        return True

    def session(self, connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    def end_session(self, connection: sa.Connection, session: int) -> None:
        connection.execute(sa.text("SELECT pg_terminate_backend(:session)"), {"session": session})

    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        text = f"{self.database}: {_text(problem)}"
        state = getattr(problem.orig, "sqlstate", None)
        if state is None:
            driver = self.engine.dialect.dbapi
            if driver is not None and not isinstance(
                problem.orig, driver.OperationalError | driver.InterfaceError
            ):
                return StoreError(text)
            refused = opening and "FATAL" in text and not any(word in text for word in self._NOT_NOW)
            return StoreError(text) if refused else StoreAway(text)
        if state == "53100":
            return StoreFull(text)
        return StoreAway(text) if state.startswith(self._AWAY) else StoreError(text)

    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        sizes = [f"pg_total_relation_size('{table}')" for table in tables]
        return int(connection.exec_driver_sql("SELECT " + " + ".join(sizes)).scalar_one())

    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        for table in tables:
            connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table}")


class Mysql(Kind):
    """MySQL or MariaDB by PyMySQL, with InnoDB tables in utf8mb4."""

    longtext = mysql.LONGTEXT()
    longbinary = mysql.LONGBLOB()
    table_options = {
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
        "mariadb_engine": "InnoDB",
        "mariadb_charset": "utf8mb4",
        "mariadb_collate": "utf8mb4_bin",
    }

    _REFUSED: Final = (1044, 1045, 1049, 1130, 1251, 1524, 1698)
    """Wrong account or database: no use to try again."""

    _CONNECTION: Final = (1040, 1043, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927)
    """The server is full, shuts down, or lost the wire."""

    _CLIENT: Final = (2002, 2003, 2006, 2013, 2014, 2045, 2055, 4031)
    """The driver's words for the same."""

    _BUSY: Final = (1180, 1205, 1213, 1317, 1969, 3024)
    """Lock timeout, deadlock, killed, too slow."""

    _READ_ONLY: Final = (1290, 1792, 1836)
    """A failover made it somebody's copy."""

    _AWAY: Final = frozenset((*_CONNECTION, *_CLIENT, *_BUSY, *_READ_ONLY))

    _FULL: Final = frozenset((1021, 1114))

    def url(self) -> sa.URL:
        return sa.URL.create("mysql+pymysql")

    def arguments(self) -> dict[str, Any]:
        options = self.database.options
        found: dict[str, Any] = {
            "charset": "utf8mb4",
            "connect_timeout": self.database.number("connect_timeout", CONNECT_SECONDS),
            "read_timeout": ANSWER_SECONDS,
            "write_timeout": ANSWER_SECONDS,
            "port": self.database.port,
        }
        names = {"database": "database", "username": "user", "host": "host", "password": "password"}
        names |= {"socket": "unix_socket"}
        found |= {name: options[key] for key, name in names.items() if options.get(key)}
        context = self._tls(options)
        return found if context is None else found | {"ssl": context}

    def _tls(self, options: dict[str, str]) -> ssl.SSLContext | None:
        mode = options.get("ssl_mode", options.get("sslmode", "")).lower().replace("-", "_")
        mode = mode or ("verify_ca" if "sslca" in options else "preferred")
        if mode in ("disabled", "disable", "preferred", "prefer"):
            return None
        checks = {"required": 0, "require": 0, "verify_ca": 1, "verify_identity": 2, "verify_full": 2}
        if mode not in checks:
            raise StoreError(
                f"{self.database.source}: ssl_mode: {mode!r} is not known; known are disabled, preferred,"
                " required, verify_ca, verify_identity"
            )
        try:
            context = ssl.create_default_context(cafile=options.get("sslca"))
            context.check_hostname = checks[mode] == 2
            context.verify_mode = ssl.CERT_REQUIRED if checks[mode] else ssl.CERT_NONE
            if "sslcert" in options:
                context.load_cert_chain(options["sslcert"], options.get("sslkey"))
        except OSError as problem:
            raise StoreError(f"{self.database.source}: sslca, sslcert or sslkey: {problem}") from None
        return context

    def prepare(self, connection: sa.Connection) -> None:
        if "ssl" in self.arguments():
            cipher = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()[1]
            if not cipher:
                raise StoreError(f"{self.database}: ssl_mode: the server does not encrypt")
        # Strict: a value that does not fit is an error, never cut.
        connection.exec_driver_sql(
            f"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', wait_timeout = 2147483,"
            f" innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}"
        )
        packet = int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one())
        # The statement around it, and a backslash before each octet at worst.
        self.piece = min(_PACKET, (packet - 65536) // 4 if packet > 1 << 20 else packet // 8)

    def insert(self, table: sa.Table) -> sa.Insert:
        first = next(iter(table.primary_key))
        # IGNORE would also pass over values that do not fit.
        return mysql.insert(table).on_duplicate_key_update({first.name: first})

    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        name = "CONCAT('stompserver.', SHA1(DATABASE()))"
        return connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {seconds})").scalar() == 1

    def session(self, connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())

    def end_session(self, connection: sa.Connection, session: int) -> None:
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.exec_driver_sql(f"KILL {session}")

    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        text = f"{self.database}: {_text(problem)}"
        arguments = problem.orig.args if problem.orig is not None else ()
        code = arguments[0] if arguments else 0
        if code in self._FULL or (code in (3, 1026, 1030) and "28" in text):
            return StoreFull(text)
        if code in self._REFUSED:
            return StoreError(text) if opening else StoreAway(text)
        if code in self._AWAY or problem.connection_invalidated or not code:
            return StoreAway(text)
        return StoreError(text)

    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        names = ", ".join(f"'{table}'" for table in tables)
        self._each(connection, "ANALYZE TABLE", tables)
        return int(
            connection.exec_driver_sql(
                "SELECT COALESCE(SUM(data_length + index_length + data_free), 0) FROM information_schema.tables"
                f" WHERE table_schema = DATABASE() AND table_name IN ({names})"
            ).scalar_one()
        )

    def _each(self, connection: sa.Connection, command: str, tables: list[str]) -> None:
        for table in tables:
            connection.exec_driver_sql(f"{command} {table}").close()

    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        self._each(connection, "OPTIMIZE TABLE", tables)


KINDS: Final[dict[str, type[Kind]]] = {SQLITE: Sqlite, POSTGRESQL: Postgresql, MYSQL: Mysql}
