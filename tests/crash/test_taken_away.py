"""A storage that is taken away while the server runs: no RECEIPT for what no start would find, and an end.

That is noticed at each commit, and by a server that has nothing to do within a second.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDERS = {"lmdb": "lmdb", "file": "file", "dbm": "dbm", "activerecord": "stompserver_development*"}


def _remove_all(storage: Path, kind: str) -> None:
    for path in storage.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_the_store(storage: Path, kind: str) -> None:
    for path in storage.glob(FOLDERS[kind]):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_the_files(storage: Path, kind: str) -> None:
    for directory, _, names in os.walk(storage):
        for name in names:
            Path(directory, name).unlink(missing_ok=True)


def _replace_by_a_copy(storage: Path, kind: str) -> None:
    shutil.copytree(storage, storage.with_name("copy"))
    storage.rename(storage.with_name("original"))
    storage.with_name("copy").rename(storage)


def _replace_the_store_by_a_copy(storage: Path, kind: str) -> None:
    for path in list(storage.glob(FOLDERS[kind])):
        copy = storage.with_name("copy")
        if path.is_dir():
            shutil.copytree(path, copy)
            shutil.rmtree(path)
        else:
            shutil.copy(path, copy)
            path.unlink()
        copy.rename(path)


def _remove_the_lock(storage: Path, kind: str) -> None:
    (storage / "lock").unlink()


def _move_away(storage: Path, kind: str) -> None:
    storage.rename(storage.with_name("away"))


DEEDS = (
    _remove_all,
    _remove_the_store,
    _remove_the_files,
    _replace_by_a_copy,
    _replace_the_store_by_a_copy,
    _remove_the_lock,
    _move_away,
)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__.strip("_"))
def test_no_receipt_is_given_for_what_is_not_on_the_disk(
    kind: str,
    deed: Callable[[Path, str], None],
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    until_gone: Callable[..., Any],
    tmp_path: Path,
) -> None:
    server = restart(kind, "--shutdown-timeout=1", "--storage-reserve=1MiB")
    client = connect(server)
    client.put("/queue/kept", ["first", "second"])
    storage = tmp_path / ".stompserver"
    deed(storage, kind)
    client.send("SEND\ndestination:/queue/kept\nreceipt:lost\n\nthird\0")
    # It ends by itself: a signal in its last moment would take its exit code.
    assert [frame for frame in until_gone(client) if frame.command == "RECEIPT"] == []
    server.process.wait(30)
    log = server.stop(expect=1)
    assert "CRITICAL The store failed: " in log
    assert str(storage) in log


@pytest.mark.every_kind
def test_a_server_without_work_notices_by_itself(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], tmp_path: Path
) -> None:
    server = restart(kind, "--shutdown-timeout=1", "--storage-reserve=1MiB")
    connect(server).put("/queue/kept", ["first"])
    _remove_the_store(tmp_path / ".stompserver", kind)
    server.process.wait(30)
    log = server.stop(expect=1)
    assert "CRITICAL The store failed: " in log
    assert "removed, moved or replaced while the server ran" in log
