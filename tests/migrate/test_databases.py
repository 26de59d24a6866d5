"""The reader of the queue type dbm."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stompserver.migrate import databases, read
from stompserver.migrate.original import Original
from stompserver.migrate.unreadable import Unreadable

VARIANTS = ["dbm/ruby18", "dbm/debian31"]
SUFFIX = {"dbm/ruby18": ".db", "dbm/debian31": ".pag"}


def bodies(original: Original) -> dict[str, list[bytes]]:
    return {queue.name: [item.message.body for item in queue.items] for queue in original.queues}


@pytest.mark.parametrize("name", VARIANTS)
def test_files_without_a_suffix_are_known_by_their_content(fixtures: Any, tmp_path: Path, name: str) -> None:
    made = fixtures.copy(name, tmp_path)
    for path in list(made.iterdir()):
        if path.suffix == ".dir":
            path.unlink()
        elif path.name != "qinfo":
            path.rename(path.with_suffix(""))
    assert bodies(read(made)) == bodies(read(fixtures.path(name)))


@pytest.mark.parametrize("name", VARIANTS)
def test_without_an_index_consumed_messages_come_back_and_are_named(
    fixtures: Any, tmp_path: Path, name: str
) -> None:
    made = fixtures.copy(name, tmp_path, "_queue_part" + SUFFIX[name])
    original = read(made)
    assert bodies(original)["/queue/part"] == [b"part-1 (will be consumed)", b"part-2", b"part-3"]
    assert [(one.kind, len(one.places)) for one in original.notes] == [("repaired", 1), ("repaired", 3)]
    assert "may have been consumed" in original.notes[1].reason


@pytest.mark.parametrize("name", VARIANTS)
def test_keys_newer_than_the_index_are_recovered_and_consumed_ones_not(
    fixtures: Any, ruby: Any, tmp_path: Path, name: str
) -> None:
    made = fixtures.copy(name, tmp_path, "_queue_part" + SUFFIX[name])
    one, two, _ = sorted(fixtures.manifest(name)["dbm_file_contents"]["_queue_part"])
    (made / "qinfo").write_bytes(ruby.qinfo({"/queue/part": [two]}, {one: 0}))
    original = read(made)
    assert bodies(original) == {"/queue/part": [b"part-2", b"part-3"]}
    assert [(note.kind, len(note.places)) for note in original.notes] == [("left", 1), ("repaired", 1)]


@pytest.mark.parametrize("name", VARIANTS)
def test_two_queues_in_one_database(fixtures: Any, ruby: Any, tmp_path: Path, name: str) -> None:
    made = fixtures.copy(name, tmp_path, "_queue_part" + SUFFIX[name])
    one, two, three = sorted(fixtures.manifest(name)["dbm_file_contents"]["_queue_part"])
    (made / ("_queue_part" + SUFFIX[name])).rename(made / ("_queue_a_b" + SUFFIX[name]))
    (made / "qinfo").write_bytes(ruby.qinfo({"/queue/a_b": [one], "/queue/a/b": [three, two]}))
    original = read(made)
    assert bodies(original) == {
        "/queue/a_b": [b"part-1 (will be consumed)"],
        "/queue/a/b": [b"part-3", b"part-2"],
    }
    assert original.notes == []


@pytest.mark.parametrize("name", VARIANTS)
def test_a_missing_database_is_named(fixtures: Any, tmp_path: Path, name: str) -> None:
    made = fixtures.copy(name, tmp_path, "qinfo", "_queue_part" + SUFFIX[name], "_queue_a_b" + SUFFIX[name])
    (made / ("_queue_a_b" + SUFFIX[name])).unlink()
    original = read(made)
    assert set(bodies(original)) == {"/queue/part"}
    missing = [note for note in original.notes if "not in the database" in note.reason]
    assert {note.queue for note in missing} >= {"/queue/a_b", "/queue/orders"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"some text", "neither"),
        (b"\x00\x06\x15\x61\x00\x00\x00\x02" + bytes(100), "1.85"),
        (b"[depot]\0\v" + bytes(100), "QDBM"),
        (b"SQLite format 3\0" + bytes(100), "SQLite"),
        (bytes(12) + b"\x61\x15\x06\x00\x09" + bytes(10), "cut off"),
        (bytes(12) + b"\x61\x15\x06\x00\x06" + bytes(600), "version 6"),
    ],
)
def test_other_databases_are_named_and_left(
    fixtures: Any, tmp_path: Path, content: bytes, words: str
) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path, "qinfo", "_queue_part.db")
    (made / "_queue_orders.db").write_bytes(content)
    original = read(made)
    assert set(bodies(original)) == {"/queue/part"}
    reasons = [note.reason for note in original.notes if note.places == ["_queue_orders.db"]]
    assert any(words in reason for reason in reasons)


def test_a_damaged_database_gives_what_can_be_read(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path)
    path = made / "_queue_many.db"
    data = bytearray(path.read_bytes())
    data[4096 + 8 : 4096 + 12] = b"\xff" * 4
    path.write_bytes(bytes(data))
    original = read(made)
    count = len(bodies(original)["/queue/many"])
    assert 0 < count < 150
    lost = [note for note in original.notes if "not in the database" in note.reason]
    assert [len(note.places) for note in lost] == [150 - count]
    assert any("is damaged" in note.reason and "page 1" in note.places[0] for note in original.notes)


def test_a_value_that_is_no_frame_is_left(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path, "qinfo", "_queue_orders.db")
    path = made / "_queue_orders.db"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x04\x08o:\x1cStompServer", b"\x04\x08c:\x1cStompServer", 1))
    original = read(made)
    assert len(bodies(original)["/queue/orders"]) == 5
    assert any("byte 2: a class" in note.reason for note in original.notes)


def test_links_and_directories_are_no_databases(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path, "_queue_part.db")
    (made / "_queue_orders.db").symlink_to(made / "_queue_part.db")
    shutil.copy(made / "_queue_part.db", made / "_queue_zzz")
    with pytest.raises(Unreadable, match="cannot be read"):
        databases.pairs(made / "_queue_orders.db")
    assert set(databases.databases(made)) == {"_queue_orders", "_queue_part", "_queue_zzz"}


@pytest.fixture
def storage(tmp_path: Path, ruby: Any, gnu_file: Any) -> Any:
    """Makes a storage: an index (by queue the ids), and pairs by database."""

    def make(index: dict[str, list[str]], files: dict[str, dict[str, bytes]]) -> Path:
        (tmp_path / "qinfo").write_bytes(ruby.qinfo(index))
        for name, pairs in files.items():
            content = gnu_file({id.encode(): value for id, value in pairs.items()})
            (tmp_path / (name + ".pag")).write_bytes(content)
        return tmp_path

    return make


def test_dead_letters_the_monitor_and_what_has_no_destination(storage: Any, ruby: Any) -> None:
    def frame(queue: bytes) -> bytes:
        return bytes(ruby.frame({b"destination": queue}, queue))

    original = read(
        storage(
            {"/queue/monitor": ["h-1-1-1"], "/queue/a": ["h-1-1-2"]},
            {
                "_queue_monitor": {"h-1-1-1": frame(b"/queue/monitor")},
                "_queue_a": {
                    "h-1-1-2": frame(b"/queue/a"),
                    "h-1-1-3": frame(b"/topic/b"),
                    "h-1-1-4": frame(b""),
                    "h-1-1-5": b"\x04\x08c\x06X",
                },
                "_queue_deadletter": {"h-1-1-6": frame(b"/queue/a")},
            },
        )
    )
    assert bodies(original) == {"/queue/a": [b"/queue/a"], "/queue/deadletter": [b"/queue/a"]}
    assert {note.kind: note.places for note in original.notes if note.queue} == {
        "left": ["1 messages"],
        "repaired": ["h-1-1-6"],
    }
    left = {place for note in original.notes if not note.queue for place in note.places}
    assert left == {"h-1-1-1", "_queue_a.pag: h-1-1-3", "_queue_a.pag: h-1-1-4", "_queue_a.pag: h-1-1-5"}


def test_of_very_many_damages_the_rest_is_counted(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path, "qinfo", "_queue_many.db")
    path = made / "_queue_many.db"
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page + 26 : page + 200] = b"\xff" * 174
    path.write_bytes(bytes(data))
    (note,) = [note for note in read(made).notes if "is damaged" in note.reason]
    assert len(note.places) == 101
    assert note.places[-1].endswith("more places")
