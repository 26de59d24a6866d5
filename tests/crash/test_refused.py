"""Storages that a server must not touch: one line says why, the exit code is 1, the disk stays as it is."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest


def _snapshot(directory: Path) -> dict[str, bytes]:
    """All files with what is in them; locks and the reserve, written by whoever looks, do not count."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in ("lock", "lock.mdb", "reserve")
    }


def test_a_second_server_on_the_same_storage_ends_and_names_the_first(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], refused: Callable[..., str]
) -> None:
    server = restart(kind)
    client = connect(server)
    client.put("/queue/kept", ["before"])
    line = refused(kind, "--pidfile=another.pid")
    assert f"in use by process {server.process.pid}" in line
    client.put("/queue/kept", ["after"])
    server.kill()
    # The lock of a process that was killed holds nobody off.
    assert connect(restart(kind)).bodies("/queue/kept") == ["before", "after"]


def test_a_newer_format_is_refused(
    kind: str,
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    server = restart(kind)
    connect(server).put("/queue/kept", ["old"])
    server.stop()
    storage = tmp_path / ".stompserver"
    known = FORMATS[kind](storage, 9)
    before = _snapshot(tmp_path)
    line = refused(kind)
    assert re.search(rf"format 9[,;].* knows {known}\b", line)
    assert str(storage) in line
    assert _snapshot(tmp_path) == before
    FORMATS[kind](storage, known)
    assert connect(restart(kind)).bodies("/queue/kept") == ["old"]


def _lmdb_format(storage: Path, format: int) -> int:
    """Write it into the store; the one that was there."""
    with lmdb.open(str(storage / "lmdb"), max_dbs=8) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True) as txn:
            old = txn.replace(b"format", b"%d" % format, db=meta)
    return int(old)


def _file_format(storage: Path, format: int) -> int:
    file = storage / "file/format"
    old = int(file.read_text())
    file.write_text(f"{format}\n")
    return old


def _dbm_format(storage: Path, format: int) -> int:
    state = storage / "dbm/state"
    first, space, rest = state.read_bytes().partition(b" dbm ")
    old, _, rest = rest.partition(b" ")
    state.write_bytes(b"%b%b%d %b" % (first, space, format, rest))
    return int(old)


def _sqlite_format(storage: Path, format: int) -> int:
    with contextlib.closing(sqlite3.connect(storage / "stompserver_development")) as database:
        ((old,),) = database.execute("SELECT value FROM stompserver_meta WHERE name = 'format'")
        database.execute("UPDATE stompserver_meta SET value = ? WHERE name = 'format'", (str(format),))
        database.commit()
    return int(old)


FORMATS = {
    "lmdb": _lmdb_format,
    "file": _file_format,
    "dbm": _dbm_format,
    "activerecord": _sqlite_format,
}


@pytest.mark.parametrize(
    "garbage",
    [b"", b"not a database\n", 65536 * b"\xa5", bytes(8192)],
    ids=["empty", "text", "noise", "zeros"],
)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("lmdb", "lmdb/data.mdb"),
        ("file", "file/format"),
        ("dbm", "dbm/state"),
        pytest.param("activerecord", "stompserver_development", marks=pytest.mark.long),
    ],
)
def test_garbage_is_refused(
    kind: str,
    name: str,
    garbage: bytes,
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    if kind == "activerecord" and not garbage:
        return  # An empty file is how SQLite itself begins.
    server = restart(kind)
    connect(server).put("/queue/kept", ["old"])
    server.stop()
    storage = tmp_path / ".stompserver"
    file = storage / name
    assert file.is_file(), sorted(storage.rglob("*"))
    file.write_bytes(garbage)
    before = _snapshot(tmp_path)
    line = refused(kind)
    assert str(file.name) in line
    assert "Traceback" not in line
    assert _snapshot(tmp_path) == before


def test_a_storage_that_cannot_be_made_is_refused(
    kind: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    line = refused(kind, "-s", "file/storage")
    assert str(tmp_path / "file/storage") in line
