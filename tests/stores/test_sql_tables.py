"""What is in the tables: ours, the original's, a newer version's, and what others did to them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stompserver import migrate
from stompserver.broker.message import Message
from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreForeign, StoreFull, StoreLocked
from stompserver.stores.base import Damage, Place
from stompserver.stores.sql import database
from stompserver.stores.sql.store import SqlStore
from stompserver.testing import Double, message, put, remove

ORIGINAL = "CREATE TABLE ar_messages (id {id}, stomp_id varchar(255) NOT NULL, frame text NOT NULL)"
IDS = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", "postgresql": "serial PRIMARY KEY",
       "mysql": "int AUTO_INCREMENT PRIMARY KEY"}  # fmt: skip

Execute = Callable[[str], list[Any]]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place in each kind of database."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_place")
    return request.getfixturevalue(request.param).place(tmp_path)


@pytest.fixture
def execute(place: Place) -> Execute:
    """Runs a statement in the place's database, as another program would."""

    def run(statement: str) -> list[Any]:
        settings = database.read(place, {})
        if settings.path is not None:
            with sqlite3.connect(settings.path) as connection:
                found = connection.execute(statement).fetchall()
            connection.close()
            return found
        options = settings.options
        engine = sa.create_engine(
            sa.URL.create(
                {"PostgreSQL": "postgresql+psycopg", "MySQL": "mysql+pymysql"}[settings.kind],
                options["username"], options.get("password"), options["host"], settings.port, options["database"],
            ),
            poolclass=sa.NullPool,
        )  # fmt: skip
        with engine.begin() as connection:
            done = connection.exec_driver_sql(statement)
            return [tuple(row) for row in done] if done.returns_rows else []

    run.dialect = {"SQLite": "sqlite", "PostgreSQL": "postgresql", "MySQL": "mysql"}[
        database.read(place, {}).kind
    ]
    return run


def open_both(place: Place) -> Double:
    return Double(lambda: SqlStore(place))


def test_the_columns_of_the_man_page_come_first(place: Place, execute: Execute) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", Message("/queue/a", {"x": "1"}, b"hello", 1000)))
    both.close()
    first = execute("SELECT * FROM ar_messages")[0][:3]
    assert first == (
        0, "0",
        '---\ncommand: MESSAGE\nheaders:\n  destination: "/queue/a"\n  message-id: "0"\n  x: "1"\nbody: "hello"\n',
    )  # fmt: skip


# The original's table


def make_original(execute: Any, rows: int) -> None:
    execute(ORIGINAL.format(id=IDS[execute.dialect]))
    for row in range(rows):
        frame = f"--- !ruby/object:StompServer::StompFrame\nbody: b{row}\nheaders:\n  destination: /queue/o\n"
        execute(f"INSERT INTO ar_messages (stomp_id, frame) VALUES ('vm-1-1-{row}', '{frame}')")


def test_an_empty_table_made_as_the_man_page_says_becomes_ours(place: Place, execute: Execute) -> None:
    make_original(execute, 0)
    both = open_both(place)
    both.commit(put("/queue/a", message(2**40)))
    both.reopen()
    both.check()
    both.close()


def test_the_originals_messages_are_not_touched(place: Place, execute: Execute) -> None:
    make_original(execute, 3)
    before = execute("SELECT * FROM ar_messages")
    with pytest.raises(
        StoreForeign, match=r"holds 3 messages of the original .*: stompctl store import-original /"
    ):
        SqlStore(place)
    assert execute("SELECT * FROM ar_messages") == before


def test_ours_takes_the_place_of_one_set_aside(place: Place, execute: Execute) -> None:
    make_original(execute, 3)
    assert migrate.set_aside(database.read(place, {}))
    both = open_both(place)
    both.commit(put("/queue/a", message(1)))
    both.reopen()
    both.check()
    both.close()
    assert len(execute("SELECT * FROM ar_messages_original")) == 3


# Versions and strangers


def test_a_newer_format_is_refused(place: Place, execute: Execute) -> None:
    open_both(place).close()
    execute("UPDATE stompserver_meta SET value = '3' WHERE name = 'format'")
    with pytest.raises(StoreForeign, match="format 3; this version knows 2"):
        SqlStore(place)


def test_tables_of_the_first_format_are_upgraded(place: Place, execute: Execute) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2, b"x" * 5000)))
    both.store.close()
    execute("ALTER TABLE ar_messages DROP COLUMN kept")
    for step in range(2):
        # The second time as after an upgrade that a crash cut between its two statements.
        execute("UPDATE stompserver_meta SET value = '1' WHERE name = 'format'")
        both.reopen()
        both.check()
        both.commit(put("/queue/a", message(3 + step, kept={"priority": "8", "due": "5"})))
        both.reopen()
        both.check()
        assert execute("SELECT value FROM stompserver_meta WHERE name = 'format'") == [("2",)]
        both.store.close()


def test_what_is_kept_must_be_readable(place: Place, execute: Execute) -> None:
    both = open_both(place)
    both.commit(put("/queue/a", message(1, kept={"group": "g"})), put("/queue/a", message(2)))
    execute("UPDATE ar_messages SET kept = '[1]' WHERE id = 1")
    both.store.close()
    both.store = SqlStore(place)
    first, second = both.store.read("/queue/a", 0, 10, 1 << 30)
    assert isinstance(first, Damage) and first.key == 1 and "kept '[1]'" in first.reason
    assert isinstance(second, Message)
    both.close()


def test_a_start_that_ended_while_tables_were_made(place: Place, execute: Execute) -> None:
    open_both(place).close()
    for statement in (
        "DELETE FROM stompserver_meta",
        "DROP TABLE stompserver_meta",
        "DROP TABLE stompserver_pieces",
    ):
        execute(statement)
        both = open_both(place)
        both.commit(put("/queue/a", message(1)))
        both.commit(remove("/queue/a", message(1)))
        both.close()
    execute("DROP TABLE stompserver_meta")
    execute("ALTER TABLE ar_messages ADD COLUMN note int")
    with pytest.raises(StoreForeign, match="its table ar_messages is not stompserver's"):
        SqlStore(place)


def test_a_table_of_somebody_else(place: Place, execute: Execute) -> None:
    execute("CREATE TABLE ar_messages (id int, subject text)")
    with pytest.raises(StoreForeign, match="its table ar_messages is not stompserver's"):
        SqlStore(place)
    assert execute("SELECT * FROM ar_messages") == []


# What others do to rows


def test_rows_that_another_program_changed(place: Place, execute: Execute) -> None:
    both = open_both(place)
    both.commit(*[put("/queue/a", message(key, b"body", {"x": "1"})) for key in range(1, 8)])
    both.close()
    saved = "---\ncommand: MESSAGE\nheaders:\n  destination: /queue/b\nbody: saved by Rails\n"
    execute(f"UPDATE ar_messages SET frame = '{saved}' WHERE id = 1")
    execute("UPDATE ar_messages SET frame = '--- !ruby/object:Object {}' WHERE id = 2")
    execute("UPDATE ar_messages SET stomp_id = 'vm-1' WHERE id = 3")
    execute("UPDATE ar_messages SET frame = '---\nheaders: {}\nbody: x\n' WHERE id = 4")
    execute("UPDATE ar_messages SET frame = '---\nheaders:\n  destination: x\n' WHERE id = 5")
    execute("UPDATE ar_messages SET queue_id = 77 WHERE id = 6")
    store = SqlStore(place)
    assert [(stored.name, stored.count) for stored in store.load()] == [("/queue/a", 6)]
    first, *damages, last = store.read("/queue/a", 0, 10, 1 << 30)
    assert isinstance(first, Message) and isinstance(last, Message)
    assert (first.body, first.destination, first.headers) == (b"saved by Rails", "/queue/b", {})
    assert [(each.key, str(each)) for each in damages] == [
        (2, "ar_messages id 2: the frame is no map of plain types, !ruby/object:Object, in line 1"),
        (3, "ar_messages id 3: stomp_id 'vm-1' is no message number"),
        (4, "ar_messages id 4: the frame has no destination"),
        (5, "ar_messages id 5: the frame has no body"),
    ]  # fmt: skip
    found = [each for queue, each in store.scan() if isinstance(each, Damage) and not queue]
    assert [str(each) for each in found] == ["ar_messages id 6: its queue_id 77 is not in stompserver_queues"]
    assert len(list(store.scan())) == 7
    store.close()


def test_a_piece_is_missing(mariadb: Any, tmp_path: Path) -> None:
    place = mariadb.place(tmp_path)
    both = open_both(place)
    big = [message(key, bytes([key]) * (10 << 20)) for key in (1, 2, 3)]
    both.commit(*[put("/queue/a", each) for each in big], put("/queue/a", message(4)))
    both.check()
    both.commit(remove("/queue/a", big[0]))
    name = database.read(place, {}).options["database"]
    assert [
        row[0] for row in mariadb.execute("SELECT DISTINCT message_id FROM stompserver_pieces", name)
    ] == [2, 3]
    mariadb.execute("DELETE FROM stompserver_pieces WHERE message_id = 2 AND piece = 1", name)
    (damage, *_) = both.store.read("/queue/a", 0, 1, 1)
    assert str(damage) == "ar_messages id 2: a piece of the body is missing"
    both.store.commit([remove("/queue/a", big[1]), remove("/queue/a", big[2])], True)
    assert mariadb.execute("SELECT * FROM stompserver_pieces", name) == []
    both.close()


@pytest.mark.parametrize(
    "place",
    ["sqlite", *(pytest.param(name, marks=pytest.mark.long) for name in ("postgresql", "mariadb"))],
    indirect=True,
)
def test_a_long_lived_server_forgets_queues(place: Place, execute: Execute) -> None:
    both = open_both(place)
    both.commit(put("/queue/stays", message(10_000)))
    for start in range(0, 3000, 500):
        made = [message(start + at + 1) for at in range(500)]
        both.commit(*[put(f"/temp-queue/{each.key}", each) for each in made])
        both.commit(*[remove(f"/temp-queue/{each.key}", each) for each in made])
    assert execute("SELECT count(*) FROM stompserver_queues")[0][0] < 2000
    both.commit(put("/temp-queue/1", message(20_000)), put("/temp-queue/2999", message(20_001)))
    both.check()
    both.reopen()
    both.check()
    both.close()
    assert execute("SELECT count(*) FROM stompserver_queues") == [(3,)]


# SQLite alone


def test_a_file_that_is_no_database(sqlite_place: Place) -> None:
    (sqlite_place.storage / database.DEFAULT).write_bytes(b"something else " * 100)
    with pytest.raises(StoreDamaged, match="file is not a database"):
        SqlStore(sqlite_place)


def test_a_damaged_page_is_named_by_scan(sqlite_place: Place) -> None:
    both = open_both(sqlite_place)
    both.commit(*[put("/queue/a", message(key, b"x" * 3000)) for key in range(1, 200)])
    both.close()
    path = sqlite_place.storage / database.DEFAULT
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 5000)
    store = SqlStore(sqlite_place)
    found = [each for _, each in store.scan()]
    damaged = {each.key for each in found if isinstance(each, Damage)}
    whole = {each.key for each in found if isinstance(each, Message)}
    # Key 0: what SQLite says of its pages.
    assert damaged | whole == {*range(200)}
    assert 0 in damaged
    assert 1 < len(damaged) < 10
    both.store.close()
    store.close()


def test_two_servers_on_one_file(sqlite_place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other", tmp_path / "etc")
    (other.etc / "database.yml").write_text(f"database: {sqlite_place.storage / database.DEFAULT}\n")
    first = SqlStore(sqlite_place)
    with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()}"):
        SqlStore(other)
    first.close()
    SqlStore(other).close()


def test_another_program_writes_to_the_file(sqlite_place: Place) -> None:
    (sqlite_place.etc / "database.yml").write_text("adapter: sqlite3\ntimeout: 50\n")
    both = open_both(sqlite_place)
    both.commit(put("/queue/a", message(1)))
    rails = sqlite3.connect(sqlite_place.storage / database.DEFAULT, isolation_level=None)
    rails.execute("BEGIN IMMEDIATE")
    both.read("/queue/a")
    with pytest.raises(StoreAway, match="database is locked"):
        both.commit(put("/queue/a", message(2)))
    rails.execute("ROLLBACK")
    rails.execute("BEGIN")
    assert rails.execute("SELECT count(*) FROM ar_messages").fetchall() == [(1,)]
    for key in range(2, 30):
        # Beyond what the log may hold before it is moved, which the reader prevents.
        both.commit(put("/queue/a", message(key, b"x" * (1 << 18))))
    rails.close()
    both.check()
    both.close()


def test_a_folder_that_cannot_be_written(sqlite_place: Place) -> None:
    (sqlite_place.storage / database.DEFAULT).mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        SqlStore(sqlite_place)


def test_the_limit_of_a_place(tmp_path: Path) -> None:
    place = Place(tmp_path / "storage", tmp_path / "etc", 8 << 20)
    full(place)
    assert sum(file.stat().st_size for file in place.storage.iterdir()) < 12 << 20


def full(place: Place) -> None:
    """Put until it is full, take all out, put again."""
    both = open_both(place)
    key = 0
    with contextlib.suppress(StoreFull):
        while key < 1000:
            batch = [message(key * 50 + at, b"x" * 2000) for at in range(1, 51)]
            both.commit(*[put("/queue/a", each) for each in batch])
            key += 1
    assert 5 < key < 1000
    both.check()
    for number in range(key):
        batch = [message(number * 50 + at, b"x" * 2000) for at in range(1, 51)]
        both.commit(*[remove("/queue/a", each) for each in batch])
    assert both.read("/queue/a") == []
    both.commit(put("/queue/a", message(1)))
    both.reopen()
    both.check()
    both.close()


CHILD = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from stompserver.stores.base import Place
from test_sql_tables import full
full(Place(Path({directory!r}, "storage"), Path({directory!r}, "etc")))
"""


@pytest.mark.parametrize("limit", [6 << 20, pytest.param(10 << 20, marks=pytest.mark.long)])
def test_a_file_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    here = str(Path(__file__).parent)
    program = CHILD.format(here=here, limit=limit, directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WRITER = """
import sys
from pathlib import Path
from stompserver.stores.base import Place
from stompserver.stores.sql.store import SqlStore
from stompserver.testing import message, put
store = SqlStore(Place(Path({directory!r}, "storage"), Path({directory!r}, "etc")))
first = max([each.highest for each in store.load()], default=0) + 1
for key in range(first, 1 << 30):
    store.commit([put("/queue/a", message(key, b"x" * (key * 37 % 9000)))], True)
    print(key, flush=True)
"""


LONG_AFTER = [pytest.param(after, marks=pytest.mark.long) for after in (1, 500, 1000)]


@pytest.mark.parametrize("after", [2, 50, *LONG_AFTER])
def test_killed_while_it_writes(tmp_path: Path, after: int) -> None:
    program = WRITER.format(directory=str(tmp_path))
    said = 0
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child.stdout as lines:
            for number, line in enumerate(lines):
                said = int(line)
                if number == after:
                    child.send_signal(signal.SIGKILL)
        child.wait()
        store = SqlStore(Place(tmp_path / "storage", tmp_path / "etc"))
        keys = [each.key for each in store.read("/queue/a", 0, 1 << 30, 1 << 60) if isinstance(each, Message)]
        # The last line may not have come through.
        assert keys == list(range(1, len(keys) + 1))
        assert said <= len(keys) <= said + 1
        assert all(not isinstance(each, Damage) for _, each in store.scan())
        store.close()


def test_the_disk_is_really_synced(tmp_path: Path) -> None:
    """Each synced commit makes the log durable before it returns; a relaxed one leaves that to sync."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here: apt-get install strace")
    program = (
        "import sys; from pathlib import Path\n"
        "from stompserver.stores.base import Place; from stompserver.stores.sql.store import SqlStore\n"
        "from stompserver.testing import message, put\n"
        f"store = SqlStore(Place(Path({str(tmp_path)!r}, 'storage'), Path({str(tmp_path)!r}, 'etc')))\n"
        "for key in range(1, 21):\n"
        "    print('commit', flush=True); store.commit([put('/queue/a', message(key))], key <= 10)\n"
        "print('sync', flush=True); store.sync()\n"
        "print('end', flush=True); store.close()\n"
    )
    trace = tmp_path / "trace"
    subprocess.run(
        [
            "strace",
            "-f",
            "-e",
            "trace=fdatasync,fsync,write",
            "-o",
            str(trace),
            sys.executable,
            "-c",
            program,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    steps = [
        part.count("sync(") for part in re.split(r'write\(1, "(?:commit|sync|end)', trace.read_text())[1:]
    ]
    assert all(steps[:10]), steps
    assert not any(steps[11:20]), steps
    assert steps[20], steps
