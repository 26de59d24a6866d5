"""Databases that go away, come back, are locked, full or somebody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stompserver.errors import StoreAway, StoreError, StoreFull, StoreLocked
from stompserver.stores.base import Place
from stompserver.stores.sql.kinds import mysql, postgresql
from stompserver.stores.sql.store import SqlStore
from stompserver.testing import Double, mark, message, put, remove


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Any:
    """Each server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def place(server: Any, tmp_path: Path) -> Place:
    return server.place(tmp_path)


def open_both(place: Place) -> Double:
    return Double(lambda: SqlStore(place))


def until_it_works(work: Callable[[], object]) -> int:
    """Repeat what the pump repeats; how often the database was away."""
    away = 0
    while True:
        try:
            work()
            return away
        except StoreAway:
            away += 1
            assert away < 10_000


def database_of(place: Place) -> str:
    return str(options_of(place)["database"])


def options_of(place: Place) -> dict[str, str]:

    options: dict[str, str] = yaml.safe_load((place.etc / "database.yml").read_text())
    return options


# Killed and started again


@pytest.mark.parametrize("after", [1, pytest.param(40, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost_when_the_database_is_killed(
    server: Any, place: Place, after: int
) -> None:
    if not server.private:
        pytest.skip("not our server to kill")
    both = open_both(place)
    enough = threading.Event()
    threading.Thread(target=lambda: enough.wait() and server.kill()).start()
    away = key = 0
    try:
        while not away:
            # Some come, some go, some come back.
            ops = [put(f"/queue/{key % 7}", message(key * 100 + at, b"x" * 500)) for at in range(1, 51)]
            if key:
                old = key - 1
                ops += [
                    remove(f"/queue/{old % 7}", message(old * 100 + at, b"x" * 500)) for at in range(1, 30)
                ]
                ops += [mark(f"/queue/{old % 7}", old * 100 + 40, key)]
            key += 1
            if key == after:
                enough.set()
            try:
                both.commit(*ops)
            except StoreAway:
                away += 1
        with pytest.raises(StoreAway):
            both.store.commit(ops, True)
        with pytest.raises(StoreAway):
            both.store.read("/queue/0", 0, 1, 1)
    finally:
        enough.set()
        server.start()
    # Whether the last commit was done is not known: it is done again.
    until_it_works(lambda: both.commit(*ops))
    both.check()
    both.reopen()
    both.check()
    both.close()


def test_a_commit_that_was_done_can_be_done_again(place: Place) -> None:
    both = open_both(place)
    ops = [put("/queue/new", message(1)), put("/queue/new", message(2)), put("/queue/newer", message(3))]
    both.commit(*ops)
    cut_off(both.store)
    with pytest.raises(StoreAway):
        both.store.commit(ops, True)
    both.commit(*ops, mark("/queue/new", 1, 1), remove("/queue/new", message(2)))
    both.check()
    both.reopen()
    both.check()
    both.close()


def cut_off(store: Any) -> None:
    """The server ends the connection."""
    kind, connection = store._kind, store._connection
    session = kind.session(connection)
    connection.commit()
    with kind.engine.begin() as other:
        kind.end_session(other, session)


def test_the_server_ends_the_connection(place: Place) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    for work in (
        lambda: both.store.read("/queue/a", 0, 1, 1),
        lambda: both.store.load(),
        lambda: both.store.commit([mark("/queue/a", 1, 0)], True),
        lambda: list(both.store.scan()),
        lambda: both.store.compact(),
    ):
        cut_off(both.store)
        with pytest.raises(StoreAway):
            work()
        work()
    both.check()
    both.close()


def test_a_connection_that_only_we_know_to_be_dead(place: Place) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    dead = both.store._connection
    both.store._connection = both.store._queues = None
    with pytest.raises(StoreAway, match="the lost connection still holds the lock"):
        both.store.read("/queue/a", 0, 1, 1)
    assert until_it_works(lambda: both.read("/queue/a")) < 1000
    both.store._throw_away(dead)
    both.close()


def test_no_server(server: Any, place: Place) -> None:
    if not server.private:
        pytest.skip("not our server to kill")
    server.kill()
    try:
        with pytest.raises(StoreAway):
            SqlStore(place)
    finally:
        server.start()
    SqlStore(place).close()


# Two servers


def test_a_second_server_is_kept_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stompserver.stores.sql.store._PATIENCE", 1)
    first = SqlStore(place)
    with pytest.raises(StoreLocked, match="in use by another stompserver"):
        SqlStore(place)
    first.close()
    SqlStore(place).close()


def test_another_server_was_there_meanwhile(place: Place) -> None:
    first = SqlStore(place)
    cut_off(first)
    second = SqlStore(place)
    with pytest.raises(StoreAway):
        first.load()
    with pytest.raises(StoreLocked, match="in use by another stompserver"):
        first.load()
    second.close()
    with pytest.raises(StoreLocked, match="was used by another stompserver while it was away"):
        until_it_works(first.load)
    first.close()


def test_databases_of_one_server_do_not_lock_each_other(server: Any, tmp_path: Path) -> None:
    stores = [SqlStore(server.place(tmp_path / name)) for name in "ab"]
    for store in stores:
        store.close()


# Locks, failovers and full disks of the server


def test_who_locks_the_table_is_waited_for(
    server: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 1)
    monkeypatch.setattr(mysql, "LOCK_SECONDS", 1)
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    with both.store._kind.engine.connect() as other:
        if server.adapter == "postgresql":
            other.exec_driver_sql("LOCK TABLE ar_messages IN ACCESS EXCLUSIVE MODE")
        else:
            other.exec_driver_sql("LOCK TABLES ar_messages WRITE")
        with pytest.raises(StoreAway):
            both.commit(put("/queue/a", message(2)))
        other.exec_driver_sql("ROLLBACK" if server.adapter == "postgresql" else "UNLOCK TABLES")
    both.commit(put("/queue/a", message(2)))
    both.check()
    both.close()


def test_a_failover_leaves_us_with_a_copy(server: Any, place: Place) -> None:
    name = database_of(place)
    if server.adapter == "postgresql":
        begin = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        end = f"ALTER DATABASE {name} RESET default_transaction_read_only"
    else:
        # Who may administer the server may write all the same.
        server.execute(f"CREATE USER IF NOT EXISTS app_{name}@'127.0.0.1'")
        server.execute(f"GRANT ALL ON {name}.* TO app_{name}@'127.0.0.1'")
        text = (place.etc / "database.yml").read_text().replace(": root", f": app_{name}")
        (place.etc / "database.yml").write_text(text)
        begin, end = "SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    server.execute(begin)
    try:
        cut_off(both.store)
        for _ in range(2):
            with pytest.raises(StoreAway):
                both.commit(put("/queue/a", message(2)))
    finally:
        server.execute(end)
    until_it_works(lambda: both.commit(put("/queue/a", message(2))))
    both.check()
    both.close()


TROUBLES = {
    "postgresql": {
        "53100": StoreFull, "40001": StoreAway, "40P01": StoreAway, "57014": StoreAway, "57P05": StoreAway,
        "53200": StoreAway, "23514": StoreError, "42501": StoreError, "XX000": StoreError,
    },
    "mysql2": {"1114": StoreFull, "1021": StoreFull, "1213": StoreAway, "1205": StoreAway, "1644": StoreError},
}  # fmt: skip


def test_what_the_server_says_has_a_meaning(server: Any, place: Place) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    name = database_of(place)
    for code, meaning in TROUBLES[server.adapter].items():
        if server.adapter == "postgresql":
            server.execute(
                "CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'the\nserver says' USING ERRCODE = '{code}'; END $$",
                name,
            )
            make = "CREATE TRIGGER trouble BEFORE INSERT ON ar_messages EXECUTE FUNCTION trouble()"
            drop = "DROP TRIGGER trouble ON ar_messages"
        else:
            make = (
                "CREATE TRIGGER trouble BEFORE INSERT ON ar_messages FOR EACH ROW SIGNAL SQLSTATE 'HY000'"
                f" SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'the\nserver says'"
            )
            drop = "DROP TRIGGER trouble"
        server.execute(make, name)
        with pytest.raises(StoreError) as caught:
            both.commit(remove("/queue/a", message(1)), put("/queue/a", message(2, b"secret")))
        assert type(caught.value) is meaning, f"{code}: {caught.value!r}"
        assert str(caught.value).endswith(f"database {name} on 127.0.0.1: the server says")
        server.execute(drop, name)
        both.check()
    both.commit(put("/queue/a", message(2)))
    both.check()
    both.close()


# Settings that are wrong


@pytest.mark.parametrize("change", [{"database": "stompserver_nowhere"}, {"username": "nobody_at_all"}])
def test_no_use_to_wait_for_what_is_refused(server: Any, place: Place, change: dict[str, str]) -> None:

    options = options_of(place) | change
    (place.etc / "database.yml").write_text(yaml.safe_dump(options))
    with pytest.raises(StoreError) as caught:
        SqlStore(place)
    assert type(caught.value) is StoreError
    assert "\n" not in str(caught.value)


def test_a_database_that_cannot_hold_every_text(postgresql: Any, tmp_path: Path) -> None:
    place = postgresql.place(tmp_path)
    name = database_of(place)
    postgresql.execute(f"DROP DATABASE {name}")
    postgresql.execute(
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    with pytest.raises(StoreError, match="its encoding is LATIN1; it must be UTF8"):
        SqlStore(place)


def test_schemas_of_one_database(postgresql: Any, tmp_path: Path) -> None:
    place = postgresql.place(tmp_path)
    name = database_of(place)
    file = place.etc / "database.yml"
    text = file.read_text()
    stores = []
    for schema in "ab":
        postgresql.execute(f"CREATE SCHEMA {schema}", name)
        file.write_text(f"{text}schema_search_path: {schema},public\n")
        store = SqlStore(place)
        store.load()
        store.commit([put(f"/queue/{schema}", message(1))], True)
        stores.append(store)
    for store, schema in zip(stores, "ab", strict=True):
        assert [stored.name for stored in store.load()] == [f"/queue/{schema}"]
        store.close()


@pytest.mark.parametrize(
    ("lines", "meaning"),
    [("ssl_mode: required", "does not encrypt|SSL"), ("ssl_mode: loud", "ssl_mode: 'loud' is not known"),
     ("sslca: /no/such/file", "sslca, sslcert or sslkey: ")],
)  # fmt: skip
def test_mysql_without_encryption(mariadb: Any, tmp_path: Path, lines: str, meaning: str) -> None:
    place = mariadb.place(tmp_path)
    with open(place.etc / "database.yml", "a") as file:
        file.write(lines + "\n")
    with pytest.raises(StoreError, match=meaning):
        SqlStore(place)


def test_mysql_with_encryption(mariadb_tls: Any, tmp_path: Path) -> None:
    place = mariadb_tls.place(tmp_path)
    file = place.etc / "database.yml"
    text = file.read_text()
    cert = mariadb_tls.room / "cert.pem"
    for lines in ("ssl_mode: :required", f"sslca: {cert}", f"sslca: {cert}\nssl_mode: verify_ca"):
        file.write_text(f"{text}{lines}\n")
        SqlStore(place).close()
    for host, allowed in (("localhost", True), ("127.0.0.1", False)):
        named = text.replace("host: 127.0.0.1", f"host: {host}")
        file.write_text(f"{named}sslca: {cert}\nssl_mode: verify_identity\n")
        if allowed:
            SqlStore(place).close()
        else:
            with pytest.raises(StoreError, match="certificate verify failed"):
                SqlStore(place)
    file.write_text(f"{text}ssl_mode: verify_ca\n")
    with pytest.raises(StoreError, match="certificate verify failed"):
        SqlStore(place)
