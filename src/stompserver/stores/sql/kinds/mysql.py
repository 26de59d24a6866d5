"""MySQL and MariaDB, by PyMySQL."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from stompserver.errors import StoreAway, StoreError, StoreFull
from stompserver.stores.sql.kinds.kind import CONNECT_SECONDS, LOCK_SECONDS, Kind, text_of

ANSWER_SECONDS: Final = 300
"""How long the server may take for one answer; the driver cannot tell a dead peer from a slow one."""

_PACKET: Final = 8 << 20


class Mysql(Kind):
    """MySQL or MariaDB by PyMySQL, with InnoDB tables in utf8mb4."""

    one_by_one = True
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
        text = f"{self.database}: {text_of(problem)}"
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
