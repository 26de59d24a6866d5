"""The reader of the queue type activerecord."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreForeign
from stompserver.migrate import activerecord, found, read, set_aside
from stompserver.migrate.original import Notes, Original
from stompserver.stores.base import Place
from stompserver.stores.sql import database

VARIANTS = ["activerecord/ruby18", "activerecord/debian31"]

SCHEMA = (
    'CREATE TABLE ar_messages ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,'
    ' "stomp_id" varchar(255) NOT NULL, "frame" text NOT NULL)'
)
FRAME = """--- !ruby/object:StompServer::StompFrame
command: MESSAGE
headers:
  destination: "%s"
  message-id: h-1-2-3
body: %s
"""


def bodies(original: Original) -> dict[str, list[bytes]]:
    return {queue.name: [item.message.body for item in queue.items] for queue in original.queues}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes a SQLite file with rows."""

    def make(*frames: Any, name: str = "stompserver_development", schema: str = SCHEMA) -> Path:
        path = tmp_path / name
        with sqlite3.connect(path) as one:
            one.execute(schema)
            rows = [(f"id-{number}", frame) for number, frame in enumerate(frames, 1)]
            one.executemany("INSERT INTO ar_messages (stomp_id, frame) VALUES (?, ?)", rows)
        one.close()
        return path

    return make


def test_rows_by_id_grouped_by_destination(made: Any) -> None:
    path = made(FRAME % ("/queue/b", 1), FRAME % ("/queue/a", 2), FRAME % ("/queue/b", 3))
    for source in (path, path.parent):
        original = read(source)
        assert bodies(original) == {"/queue/b": [b"1", b"3"], "/queue/a": [b"2"]}
        assert [item.id for item in original.queues[0].items] == ["id-1", "id-3"]
        assert original.notes == []


def test_rows_that_are_no_frames_are_named_and_left(made: Any) -> None:
    good = FRAME % ("/queue/a", "good")
    bad = [
        7,
        b"\xff\xfe",
        "",
        good[:60],
        "--- !ruby/object:Gem::Installer\ni: x\n",
        good.replace("destination", "nowhere"),
        FRAME % ("/topic/a", "x"),
        FRAME % ("/queue/monitor", "x"),
    ]
    original = read(made(good, *bad))
    assert bodies(original) == {"/queue/a": [b"good"]}
    places = [place for note in original.notes for place in note.places]
    assert sorted(places) == [f"row {number}" for number in range(2, 10)]
    assert {note.kind for note in original.notes} == {"left"}


def test_nothing_is_written_beside_it(made: Any) -> None:
    path = made(FRAME % ("/queue/a", 1))
    before = path.read_bytes()
    read(path)
    found(path.parent)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_transaction_that_a_crash_cut_off_is_undone_in_a_copy(made: Any, tmp_path: Path) -> None:
    path = made(*[FRAME % ("/queue/a", n) for n in range(50)])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with sqlite3.connect(path, isolation_level=None) as one:
        one.execute("PRAGMA cache_size = 1")
        one.execute("BEGIN")
        one.execute("UPDATE ar_messages SET frame = frame || frame || frame || frame")
        for part in (path, path.with_name(path.name + "-journal")):
            (crashed / part.name).write_bytes(part.read_bytes())
        one.execute("ROLLBACK")
    one.close()
    before = {part.name: part.read_bytes() for part in crashed.iterdir()}
    assert len(before) == 2
    assert bodies(read(crashed)) == {"/queue/a": [b"%d" % n for n in range(50)]}
    assert {part.name: part.read_bytes() for part in crashed.iterdir()} == before


def test_around_a_damaged_page_all_else_is_taken(made: Any) -> None:
    path = made(*[FRAME % ("/queue/a", "x" * 900) for _ in range(400)])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(bytes(data))
    original = read(path)
    ids = [int(item.id.removeprefix("id-")) for item in original.queues[0].items]
    assert 300 < len(ids) < 400
    assert ids == sorted(ids)
    assert (ids[0], ids[-1]) == (1, 400)
    assert {(note.kind, "damaged" in note.reason) for note in original.notes} == {("left", True)}
    assert [one.kind for one in found(path.parent)] == ["activerecord"]


def test_a_file_cut_or_turned_anywhere_is_read_or_refused(fixtures: Any, tmp_path: Path) -> None:
    source = fixtures.path("activerecord/ruby18").read_bytes()
    path = tmp_path / "stompserver_development"
    whole = {item.id for queue in read(fixtures.path("activerecord/ruby18")).queues for item in queue.items}
    for number in range(60):
        data = bytearray(source)
        if number % 2:
            data = data[: number * len(source) // 60]
        else:
            for at in range(number, len(data), 4096 + 97 * number):
                data[at] ^= 0x55
        path.write_bytes(bytes(data))
        found(tmp_path)
        try:
            original = read(path)
        except (StoreForeign, StoreDamaged):
            continue
        assert number % 2 == 0 or {item.id for queue in original.queues for item in queue.items} <= whole


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE VIEW ar_messages AS SELECT 1 AS id, 'a' AS stomp_id, 'b' AS frame",
        "CREATE VIRTUAL TABLE ar_messages USING fts4(id, stomp_id, frame)",
        "CREATE TABLE ar_messages (id INTEGER PRIMARY KEY, stomp_id, frame, queue_id)",
        "CREATE TABLE messages (id INTEGER PRIMARY KEY, stomp_id, frame)",
    ],
)
def test_other_databases_are_refused(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "stompserver_development"
    with sqlite3.connect(path) as one:
        one.execute(schema)
    one.close()
    with pytest.raises(StoreForeign, match="no table ar_messages of the original"):
        read(path)
    assert found(tmp_path) == []
    with pytest.raises(StoreForeign, match="no storage of the original"):
        read(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stompserver_development"
    for content in (b"", b"text", b"SQLite format 3\0" + bytes(200)):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            read(path)


def test_of_several_databases_the_default_counts_and_others_must_be_named(made: Any) -> None:
    made(FRAME % ("/queue/a", 1), name="one.sqlite3")
    path = made(FRAME % ("/queue/a", 2), name="two.sqlite3")
    with pytest.raises(StoreForeign, match=r"name one of them: one\.sqlite3, two\.sqlite3"):
        read(path.parent)
    assert bodies(read(path)) == {"/queue/a": [b"2"]}
    made(FRAME % ("/queue/a", 3))
    assert bodies(read(path.parent)) == {"/queue/a": [b"3"]}


def test_database_yml_names_the_file(made: Any, tmp_path: Path) -> None:
    path = made(FRAME % ("/queue/a", 1), name="production.db")
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "database.yml").write_text(f"adapter: sqlite3\ndatabase: {path}\n")
    assert bodies(read(etc)) == {"/queue/a": [b"1"]}


def server(path: Path) -> database.Database:
    """The same reader that servers have, over SQLite."""
    return database.Database(database.SQLITE, "test", {"database": path.name}, path)


@pytest.mark.parametrize("name", VARIANTS)
def test_through_sqlalchemy_the_same_is_read(fixtures: Any, tmp_path: Path, name: str) -> None:
    path = fixtures.copy(name, tmp_path)
    notes = Notes()
    queues, identity = activerecord.read_server(server(path), notes)
    assert bodies(Original("", "", queues, [], "")) == bodies(read(path))
    assert identity == f"{path.name}:222:225"
    assert notes.all() == []


def test_a_server_that_does_not_answer_is_away(tmp_path: Path) -> None:
    (tmp_path / "database.yml").write_text("adapter: postgresql\ndatabase: x\nhost: 127.0.0.1\nport: 1\n")
    with pytest.raises(StoreAway, match="PostgreSQL database x on 127"):
        read(tmp_path)


def test_a_database_without_the_table_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "x").close()
    with pytest.raises(StoreForeign, match="no table ar_messages"):
        activerecord.read_server(server(tmp_path / "x"), Notes())


def test_set_aside_makes_room_and_is_read_under_its_new_name(made: Any, tmp_path: Path) -> None:
    path = made(FRAME % ("/queue/a", 1), FRAME % ("/queue/a", 2))
    before = bodies(read(path))
    there = database.read(Place(tmp_path, tmp_path / "etc"))
    assert there.path == path
    assert set_aside(there)
    assert not set_aside(there)
    assert bodies(read(path)) == before
    assert [one.kind for one in found(tmp_path)] == ["activerecord"]
    assert not set_aside(database.Database(database.SQLITE, "test", {}, tmp_path / "missing"))
    assert not (tmp_path / "missing").exists()
