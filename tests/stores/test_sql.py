"""The SQL store over SQLite, PostgreSQL and MariaDB: what every store promises."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings

from stompserver.stores.base import Place
from stompserver.testing import StoreConformance, StoreMachine


class TestSqlite(StoreConformance):
    kind = "activerecord"


# What differs between the databases is in test_sql_tables.py and test_sql_away.py, which are not long.
@pytest.mark.long
class TestPostgresql(StoreConformance):
    kind = "activerecord"

    @pytest.fixture(autouse=True)
    def _server(self, postgresql: object) -> None:
        self.server = postgresql

    def place(self, directory: Path) -> Place:
        return self.server.place(directory)


@pytest.mark.long
class TestMariadb(StoreConformance):
    kind = "activerecord"
    # Beyond what one statement carries: kept in pieces.
    largest = 20 << 20

    @pytest.fixture(autouse=True)
    def _server(self, mariadb: object) -> None:
        self.server = mariadb

    def place(self, directory: Path) -> Place:
        return self.server.place(directory)


class SqliteMachine(StoreMachine):
    kind = "activerecord"


class ServerMachine(StoreMachine):
    kind = "activerecord"
    server: ClassVar[object]

    def place(self, directory: Path) -> Place:
        return self.server.place(directory)


class PostgresqlMachine(ServerMachine):
    pass


class MariadbMachine(ServerMachine):
    pass


@pytest.fixture
def postgresql_machine(postgresql: object) -> None:
    PostgresqlMachine.server = postgresql


@pytest.fixture
def mariadb_machine(mariadb: object) -> None:
    MariadbMachine.server = mariadb


TestSqliteMachine = SqliteMachine.TestCase

# Each example makes a database.
TestSqliteMachine.settings = settings(max_examples=6)


class LongSqliteMachine(SqliteMachine):
    pass


TestLongSqliteMachine = pytest.mark.long(LongSqliteMachine.TestCase)
TestPostgresqlMachine = pytest.mark.long(
    pytest.mark.usefixtures("postgresql_machine")(PostgresqlMachine.TestCase)
)
TestMariadbMachine = pytest.mark.long(pytest.mark.usefixtures("mariadb_machine")(MariadbMachine.TestCase))
TestLongSqliteMachine.settings = settings(max_examples=50)
TestPostgresqlMachine.settings = TestMariadbMachine.settings = settings(
    max_examples=20, stateful_step_count=30
)
