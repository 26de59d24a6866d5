"""PostgreSQL, by psycopg 3."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from stompserver.errors import StoreAway, StoreError, StoreFull
from stompserver.stores.sql.kinds.kind import CONNECT_SECONDS, LOCK_SECONDS, Kind, text_of

SILENCE_SECONDS: Final = 30
"""How long sent data may be unacknowledged before the server counts as gone."""


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
        text = f"{self.database}: {text_of(problem)}"
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
