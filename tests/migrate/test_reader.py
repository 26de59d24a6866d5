"""Recognising the original's storages, and what is said about them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stompserver.errors import StoreError
from stompserver.migrate import Ledger, found, into, read

STORAGES = ["file/ruby18", "file/debian31", "file/ruby18_checkpoint60", "dbm/ruby18", "dbm/debian31"]


@pytest.mark.parametrize("name", STORAGES)
def test_storages_are_recognised(fixtures: Any, name: str) -> None:
    (one,) = found(fixtures.path(name))
    assert one.kind == name.partition("/")[0]
    assert not one.imported
    path = str(fixtures.path(name))
    assert path in str(one)
    assert f"stompctl store import-original {path}" in str(one)
    assert "--dry-run" in str(one)


def test_a_database_in_storage_or_etc_is_recognised(fixtures: Any, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    fixtures.copy("activerecord/ruby18", etc)
    (one,) = found(tmp_path, etc)
    assert (one.kind, one.place) == ("activerecord", etc / "ruby18.sqlite3")
    assert [one.kind for one in found(etc)] == ["activerecord"]
    assert [one.kind for one in found(etc, etc)] == ["activerecord"]


def test_names_are_quoted_for_the_shell(fixtures: Any, tmp_path: Path) -> None:
    odd = tmp_path / "it's old"
    odd.mkdir()
    made = fixtures.copy("file/ruby18_checkpoint60", odd)
    (one,) = found(made)
    assert one.command == f"""stompctl store import-original '{tmp_path}/it'"'"'s old/ruby18_checkpoint60'"""


def test_nothing_is_found_where_nothing_is(tmp_path: Path, ruby: Any) -> None:
    assert found(tmp_path) == []
    assert found(tmp_path / "missing", tmp_path / "nowhere") == []
    (tmp_path / "qinfo").write_bytes(ruby.qinfo({}))
    assert found(tmp_path) == []
    (tmp_path / "qinfo").write_bytes(ruby.qinfo({"/queue/a": []}))
    assert found(tmp_path) == []
    (tmp_path / "_queue_x").mkdir()
    (tmp_path / "qinfo").unlink()
    assert found(tmp_path) == []
    (tmp_path / "_queue_x/file").write_bytes(b"not a message")
    (tmp_path / "_queue_y").write_bytes(b"not a database")
    assert found(tmp_path) == []
    sqlite3.connect(tmp_path / "empty").close()
    os.mkfifo(tmp_path / "pipe")
    assert found(tmp_path) == []


def test_without_an_index_what_is_there_is_recognised(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("file/ruby18_checkpoint60", tmp_path, "_queue_cp")
    assert [one.kind for one in found(made)] == ["file"]
    made = fixtures.copy("dbm/debian31", tmp_path, "_queue_part.pag", "_queue_part.dir")
    assert [one.kind for one in found(made)] == ["dbm"]
    (made / "qinfo").write_bytes(b"damaged")
    assert [one.kind for one in found(made)] == ["dbm"]


def test_what_is_imported_is_known_until_it_changes(
    fixtures: Any, ruby: Any, store: Any, tmp_path: Path
) -> None:
    made = fixtures.copy("file/debian31", tmp_path)
    fixtures.copy("activerecord/debian31", made)
    original = read(made)
    assert original.kind == "file and activerecord"
    into(original, store, 1, Ledger(made))
    assert [(one.kind, one.imported) for one in found(made)] == [("file", True), ("activerecord", True)]
    (made / "qinfo").write_bytes(ruby.qinfo({"/queue/a": ["x"]}))
    assert [(one.kind, one.imported) for one in found(made)] == [("file", False), ("activerecord", True)]
    with sqlite3.connect(made / "debian31.sqlite3") as one:
        one.execute("DELETE FROM ar_messages WHERE id = 1")
    one.close()
    assert [one.imported for one in found(made)] == [False, False]
    Ledger(made).path.write_bytes(b"damaged\n")
    assert [one.imported for one in found(made)] == [False, False]


def test_a_storage_with_files_and_a_database_gives_both(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("dbm/ruby18", tmp_path, "qinfo", "_queue_part.db")
    fixtures.copy("activerecord/ruby18", made)
    original = read(made)
    (part,) = [queue.items for queue in original.queues if queue.name == "/queue/part"]
    assert [item.message.body for item in part] == [b"part-2", b"part-3", b"part-2", b"part-3"]


def test_a_directory_that_may_not_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StoreError):
        read(file / "inside")
    assert found(file) == []
