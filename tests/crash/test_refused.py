"""Storages that a server must not touch: one line says why, the exit code is 1, the disk stays as it is."""

from __future__ import annotations

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
    restart: Callable[..., Any], connect: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    server = restart("lmdb")
    connect(server).put("/queue/kept", ["old"])
    server.stop()
    _set_format(tmp_path, b"2")
    before = _snapshot(tmp_path)
    assert "format 2, of a newer version; this one knows 1" in refused("lmdb")
    assert _snapshot(tmp_path) == before
    _set_format(tmp_path, b"1")
    assert connect(restart("lmdb")).bodies("/queue/kept") == ["old"]


def _set_format(tmp_path: Path, format: bytes) -> None:
    with lmdb.open(str(tmp_path / ".stompserver/lmdb"), max_dbs=8) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True) as txn:
            txn.put(b"format", format, db=meta)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"not a database\n", 65536 * b"\xa5", bytes(8192)],
    ids=["empty", "text", "noise", "zeros"],
)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("lmdb", "lmdb/data.mdb"),
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
