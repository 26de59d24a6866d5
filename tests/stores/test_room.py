"""A full disk: of a refused commit nothing is done, what is there can be taken out, and then there is room again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stompserver.errors import StoreError
from stompserver.stores.base import store_class

SMALL = 24 << 20
CHILD = Path(__file__).with_name("room_child.py")


def run(kind: str, directory: Path, limit: int, file_size: int) -> list[int]:
    """How many messages fitted, each of the four times."""
    command = [sys.executable, str(CHILD), kind, str(directory), str(limit), str(file_size), "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("kind", ["lmdb", "file"])
def test_the_limit_of_the_place(kind: str, quick_path: Path) -> None:
    limit = 1_500_000
    fitted = run(kind, quick_path, limit, 0)
    assert 150 < min(fitted) <= max(fitted) < limit // 3000
    assert min(fitted) > 0.9 * fitted[0]


def test_a_file_that_may_not_grow(quick_path: Path) -> None:
    # RLIMIT_FSIZE, as a quota or a full disk: writing behind that size fails.
    fitted = run("lmdb", quick_path, 0, 5_000_000)
    assert 600 < min(fitted) <= max(fitted) < 5_000_000 // 3000
    assert min(fitted) > 0.9 * fitted[0]


LARGE = """
import resource, sys
from pathlib import Path
from stompserver.errors import StoreFull
from stompserver.stores.base import Place, open_store
from stompserver.testing import Double, mark, message, put, remove

directory = Path(sys.argv[1])
both = Double(lambda: open_store("file", Place(directory, directory)))
both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for sync in (True, False):
    try:
        both.store.commit([
            put("/queue/a", message(3)), put("/queue/b", message(4, b"x" * 100_000)), remove("/queue/a", message(1))
        ], sync)
    except StoreFull as problem:
        assert "File too large" in str(problem), problem
    else:
        raise AssertionError("a file of 100,000 bytes was written")
    both.check()
both.commit(put("/queue/a", message(3)), mark("/queue/a", 1, 1), remove("/queue/a", message(2)))
both.check()
both.reopen()
both.check()
"""


def test_a_message_too_large_for_the_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "share"),
    [("lmdb", 0.5), ("file", 0.5), ("activerecord", 0.5), ("dbm", 1)],  # dbm gives back what is nearly empty.
)
def test_a_small_file_system(kind: str, share: float, tmp_path: Path) -> None:
    try:
        store_class(kind)
    except StoreError as missing:
        pytest.skip(str(missing))
    mount = f'mount -t tmpfs -o size={SMALL},mode=0700 tmpfs "$0" && echo mounted && exec "$@"'
    child = [sys.executable, str(CHILD), kind, str(tmp_path), "0", "0", str(share)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, str(tmp_path), *child],
        capture_output=True,
        text=True,
        check=False,
    )
    said, *lines = done.stdout.split() or [""]
    if said != "mounted":
        pytest.skip(f"this user may not mount a small file system: {done.stderr}")
    assert done.returncode == 0, done.stderr
    fitted = [int(line) for line in lines]
    print(fitted)
    assert 1000 < min(fitted) <= max(fitted) < SMALL // 3000
