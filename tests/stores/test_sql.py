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


class TestPostgresql(StoreConformance):
    kind = "activerecord"

    @pytest.fixture(autouse=True)
    def _server(self, postgresql: object) -> None:
        self.server = postgresql

    def place(self, directory: Path) -> Place:
        return self.server.place(directory)


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
TestPostgresqlMachine = pytest.mark.usefixtures("postgresql_machine")(PostgresqlMachine.TestCase)
TestMariadbMachine = pytest.mark.usefixtures("mariadb_machine")(MariadbMachine.TestCase)

# Each example makes a database.
TestSqliteMachine.settings = settings(max_examples=10)
TestPostgresqlMachine.settings = TestMariadbMachine.settings = settings(
    max_examples=4, stateful_step_count=30
)


class LongSqliteMachine(SqliteMachine):
    pass


class LongPostgresqlMachine(PostgresqlMachine):
    pass


class LongMariadbMachine(MariadbMachine):
    pass


TestLongSqliteMachine = pytest.mark.long(LongSqliteMachine.TestCase)
TestLongPostgresqlMachine = pytest.mark.long(
    pytest.mark.usefixtures("postgresql_machine")(LongPostgresqlMachine.TestCase)
)
TestLongMariadbMachine = pytest.mark.long(
    pytest.mark.usefixtures("mariadb_machine")(LongMariadbMachine.TestCase)
)
TestLongSqliteMachine.settings = settings(max_examples=50)
TestLongPostgresqlMachine.settings = TestLongMariadbMachine.settings = settings(
    max_examples=20, stateful_step_count=30
)
