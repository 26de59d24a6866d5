"""The original's rows in a real PostgreSQL or MariaDB, taken over into the same database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stompserver.migrate import Ledger, into, read, set_aside
from stompserver.stores.base import Place
from stompserver.stores.sql import database
from stompserver.stores.sql.kinds import KINDS
from stompserver.stores.sql.store import SqlStore

DATA = Path(__file__).parents[1] / "migrate/data/activerecord"

TABLES = {
    database.POSTGRESQL: "CREATE TABLE ar_messages (id serial PRIMARY KEY, stomp_id varchar(255) NOT NULL,"
    " frame text NOT NULL)",
    database.MYSQL: "CREATE TABLE ar_messages (id int NOT NULL auto_increment PRIMARY KEY,"
    " stomp_id varchar(255) NOT NULL, frame text NOT NULL)",
}


@pytest.fixture(params=["postgresql", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new database on a server."""
    server: Any = request.getfixturevalue(request.param)
    made: Place = server.place(tmp_path)
    return made


@pytest.mark.parametrize("name", ["ruby18", "debian31"])
def test_rows_of_a_server_are_read_and_taken_over_into_the_same_database(place: Place, name: str) -> None:
    there = sqlite3.connect(DATA / (name + ".sqlite3"))
    rows = there.execute("SELECT id, stomp_id, frame FROM ar_messages").fetchall()
    there.close()
    configured = database.read(place, {})
    kind = KINDS[configured.kind](configured, 0)
    with kind.engine.begin() as connection:
        connection.execute(sa.text(TABLES[configured.kind]))
        connection.execute(
            sa.text("INSERT INTO ar_messages (id, stomp_id, frame) VALUES (:id, :stomp_id, :frame)"),
            [{"id": key, "stomp_id": id, "frame": frame} for key, id, frame in rows],
        )
    kind.close()
    wanted = read(DATA / (name + ".sqlite3"))
    for taken in (222, 0):
        original = read(place.etc)
        assert original.notes == []
        assert [queue.name for queue in original.queues] == [queue.name for queue in wanted.queues]
        for queue, other in zip(original.queues, wanted.queues, strict=True):
            assert [item.id for item in queue.items] == [item.id for item in other.items]
            assert [item.message.headers for item in queue.items] == [
                item.message.headers for item in other.items
            ]
            assert [item.message.body for item in queue.items] == [item.message.body for item in other.items]
        assert set_aside(configured) is (taken > 0)
        store = SqlStore(place)
        try:
            first = 1 + max((one.highest for one in store.load()), default=0)
            assert into(original, store, first, Ledger(place.storage)).taken == taken
            assert sum(one.count for one in store.load()) == 222
        finally:
            store.close()
