"""One process at a time on a storage."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stompserver.errors import StoreError, StoreLocked
from stompserver.stores.lock import Lock

HOLDER = """
import sys
from pathlib import Path
from stompserver.stores.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def start_holder(directory: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    return holder


def test_the_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    with start_holder(tmp_path / "storage") as holder:
        with pytest.raises(StoreLocked, match=rf"storage is in use by process {holder.pid};"):
            Lock(tmp_path / "storage")
        holder.communicate(b"")
    Lock(tmp_path / "storage").release()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        holder.kill()
    lock = Lock(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_holds_within_one_process_too(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(StoreLocked, match=f"process {os.getpid()};"):
        Lock(tmp_path)
    other = Lock(tmp_path, "other")
    lock.release()
    lock.release()
    again = Lock(tmp_path)
    again.release()
    other.release()


def test_nobody_else_may_look(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        lock = Lock(tmp_path / "new" / "storage")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new" / "storage").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "storage" / "lock").stat().st_mode) == 0o600
    lock.release()


def test_a_storage_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError, match="cannot use the storage"):
        Lock(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot use the storage"):
        Lock(tmp_path / "file" / "below")
