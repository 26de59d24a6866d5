"""Damaged pages of an LMDB file: they cost the messages that are on them, and nothing else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from stompserver.errors import StoreDamaged
from stompserver.stores.base import Damage, Place
from stompserver.stores.lmdb.pages import BadPage, Pages
from stompserver.stores.lmdb.store import LmdbStore
from stompserver.testing import Double, mark, message, put

QUEUES = ["/queue/a", "/queue/b", "/queue/c"]
MESSAGES = 300
PAGE = os.sysconf("SC_PAGE_SIZE")

KINDS: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda page: bytes(len(page)),
    "ones": lambda page: b"\xff" * len(page),
    "noise": lambda page: random.Random(7).randbytes(len(page)),
    "half": lambda page: page[: len(page) // 2] + bytes(len(page) // 2),
    "head": lambda page: page[:16] + random.Random(8).randbytes(len(page) - 16),
    "places": lambda page: page[:16] + b"\xfe\xff" * 30 + page[76:],
}


def file_of(directory: Path) -> Path:
    return directory / "storage" / "lmdb" / "data.mdb"


def filled(directory: Path) -> None:
    """Three queues, each on several pages of its own, in a file without any unused page."""
    both = Double(lambda: LmdbStore(Place(directory / "storage", directory / "etc")))
    key = 0
    for queue in QUEUES:
        for _ in range(MESSAGES):
            key += 1
            both.commit(put(queue, message(key, b"%s %d " % (queue.encode(), key) + bytes(key % 500))))
    both.store.compact()
    both.close()


def damage(directory: Path, kind: str, key: int) -> None:
    """Spoil the page on which the message ``key`` is."""
    file = file_of(directory)
    octets = file.read_bytes()
    queue = QUEUES[(key - 1) // MESSAGES]
    at = octets.index(b"%s %d \0" % (queue.encode(), key)) // PAGE * PAGE
    file.write_bytes(octets[:at] + KINDS[kind](octets[at : at + PAGE]) + octets[at + PAGE :])


CHILD = """
import json, logging, sys
from pathlib import Path
from stompserver.broker.message import Message
from stompserver.stores.base import Place
from stompserver.stores.lmdb.store import LmdbStore
from stompserver.testing import message, put, remove

logging.basicConfig(stream=sys.stderr)
store = LmdbStore(Place(Path(sys.argv[1]) / "storage", Path(sys.argv[1]) / "etc"))
store.load()
for queue in sys.argv[2:]:
    after = -1
    while chunk := store.read(queue, after, 50, 1 << 40):
        after = chunk[-1].key
        keys = [each.key for each in chunk if isinstance(each, Message) and each.key < 9_000]
        print(json.dumps([queue, keys]), flush=True)
        store.commit([remove(queue, each) for each in chunk[::2]], True)
        store.commit([put(queue, message(10_000 + after))], True)
        if after > 9_000:
            break
store.close()
"""


def runs(directory: Path) -> tuple[dict[str, set[int]], str]:
    """What is found in the queues, and the log of the first process that is not ended by LMDB."""
    found: dict[str, set[int]] = {queue: set() for queue in QUEUES}
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(directory), *QUEUES],
            capture_output=True,
            text=True,
            check=False,
        )
        for line in done.stdout.splitlines():
            queue, keys = json.loads(line)
            found[queue].update(keys)
        if done.returncode == 0:
            return found, done.stderr
        assert done.returncode < 0, done.stderr
    pytest.fail(f"ended at each start: {done.returncode} {done.stderr}")


@pytest.mark.parametrize(
    "key",
    [
        450,
        pytest.param(900, marks=pytest.mark.long),
        pytest.param(301, marks=pytest.mark.long),
        pytest.param(600, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_page_costs_its_messages_and_no_others(kind: str, key: int, tmp_path: Path) -> None:
    """Also where writes beside it, and at the end of the file, must touch it."""
    filled(tmp_path)
    damage(tmp_path, kind, key)
    hurt = QUEUES[(key - 1) // MESSAGES]
    found, log = runs(tmp_path)
    for at, queue in enumerate(QUEUES):
        lost = set(range(at * MESSAGES + 1, at * MESSAGES + MESSAGES + 1)) - found[queue]
        # A page has some of two queues where one ends; of each at most what fits on a page.
        assert len(lost) < 40
        assert not lost or queue == hurt or min(abs(each - key) for each in lost) < 40
    if "the damaged file is" not in log:
        return  # Only records in it were spoiled, which have checksums.
    assert str(file_of(tmp_path)) in log
    assert hurt in log
    assert (tmp_path / "storage/lmdb/damaged-1.mdb").stat().st_mode & 0o777 == 0o600
    # Later starts have nothing to do with it.
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    store.load()
    assert [each for _, each in store.scan() if isinstance(each, Damage)] == []
    store.close()


@pytest.mark.parametrize("kind", ["zeros", pytest.param("noise", marks=pytest.mark.long)])
@pytest.mark.parametrize("tree", ["counts", "marks", "transient", "free"])
def test_damage_in_what_the_store_notes_costs_no_message(tree: str, kind: str, tmp_path: Path) -> None:
    filled(tmp_path)
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    store.load()
    store.commit([put("/queue/a", message(5000, b"", persistent=False)), mark("/queue/a", 1, 3)], True)
    store.commit([put("/queue/a", message(9000))], True)
    store.close()
    pages = Pages(file_of(tmp_path), PAGE)
    root = pages._free if tree == "free" else pages.roots()[tree.encode()]
    pages.close()
    octets = file_of(tmp_path).read_bytes()
    at = root * PAGE
    file_of(tmp_path).write_bytes(octets[:at] + KINDS[kind](octets[at : at + PAGE]) + octets[at + PAGE :])
    found, log = runs(tmp_path)
    expected = {queue: set(range(at * 300 + 1, at * 300 + 301)) for at, queue in enumerate(QUEUES)}
    found["/queue/a"].discard(5000)
    assert found == expected
    assert "damaged-1.mdb" in log
    assert "cannot be read" not in log


def test_check_and_export_change_nothing_and_read_what_is_whole(tmp_path: Path) -> None:
    filled(tmp_path)
    damage(tmp_path, "zeros", 450)
    before = file_of(tmp_path).read_bytes()
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    assert {each.name: each.count for each in store.load()} == dict.fromkeys(QUEUES, MESSAGES)
    scanned = list(store.scan())
    store.close()
    assert file_of(tmp_path).read_bytes() == before
    told = [str(each) for _, each in scanned if isinstance(each, Damage)]
    assert len(told) == 1
    assert "messages of '/queue/b' from " in told[0]
    assert str(file_of(tmp_path)) in told[0]
    keys = [each.key for _, each in scanned if not isinstance(each, Damage)]
    assert keys == sorted(keys)
    assert {*range(1, 301), *range(601, 901)} < set(keys)
    assert 300 > len([key for key in keys if 300 < key <= 600]) > 200


def test_load_finds_the_ends_of_a_queue_behind_damaged_pages(tmp_path: Path) -> None:
    filled(tmp_path)
    damage(tmp_path, "noise", 301)
    damage(tmp_path, "noise", 900)
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    ends = {each.name: (each.lowest, each.highest) for each in store.load()}
    store.close()
    assert 1 == ends["/queue/a"][0] < 260 < ends["/queue/a"][1] <= 300
    assert 301 <= ends["/queue/b"][0] < 340
    assert ends["/queue/c"][1] < 900


def test_without_room_for_a_copy_the_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    damage(tmp_path, "noise", 450)
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    store.load()
    full = os.statvfs_result((4096, 4096, 100_000, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(StoreDamaged, match="bytes must be free on the disk"):
        store.read("/queue/b", 440, 50, 1 << 40)
    monkeypatch.undo()
    assert len(store.read("/queue/b", 0, 1000, 1 << 40)) > 200
    store.close()


def test_a_run_that_was_killed_is_not_taken_for_damage(tmp_path: Path) -> None:
    """Only the second one in a row makes a start look at all pages, which takes a while for a large file."""
    filled(tmp_path)
    starts = tmp_path / "storage/lmdb/starts"
    assert not starts.exists()
    for count in (1, 2, 1, 2):
        store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
        assert starts.read_text() == f"{count}\n"
        env = store._env
        assert env is not None
        env.close()
        store._env = None
    store = LmdbStore(Place(tmp_path / "storage", tmp_path / "etc"))
    store.close()
    assert not starts.exists()
    assert not list(tmp_path.glob("storage/lmdb/damaged*"))


def test_pages_are_read_as_lmdb_reads_them(tmp_path: Path) -> None:
    chosen = random.Random(3)
    env = lmdb.open(str(tmp_path), map_size=64 << 20, max_dbs=4)
    database = env.open_db(b"messages")
    env.open_db(b"empty")
    for _ in range(20):
        with env.begin(write=True) as txn:
            for _ in range(100):
                key = chosen.randbytes(chosen.choice([1, 8, 16, 300]))
                txn.put(key, chosen.randbytes(chosen.choice([0, 60, 500, 3000, 20_000])), db=database)
        with env.begin(write=True) as txn:
            cursor = txn.cursor(db=database)
            cursor.set_range(chosen.randbytes(1))
            for _ in range(30):
                cursor.delete()
    with env.begin() as txn:
        expected = list(txn.cursor(db=database))
    pages = Pages(tmp_path / "data.mdb", env.stat()["psize"])
    roots = pages.roots()
    assert pages.bad() == []
    assert list(pages.walk(roots[b"messages"])) == expected
    assert list(pages.walk(roots[b"empty"])) == []
    pages.close()
    # Whatever is spoiled, there is an answer, and keys come in order.
    octets = (tmp_path / "data.mdb").read_bytes()
    env.close()
    for _ in range(200):
        spoiled = bytearray(octets)
        for _ in range(5):
            at = chosen.randrange(2 * PAGE, len(octets) - 64)
            spoiled[at : at + 64] = chosen.randbytes(64)
        (tmp_path / "data.mdb").write_bytes(spoiled)
        pages = Pages(tmp_path / "data.mdb", PAGE)
        try:
            found = list(pages.walk(pages.roots()[b"messages"]))
        except (StoreDamaged, KeyError):
            continue
        finally:
            pages.close()
        keys = [each[0] for each in found if not isinstance(each, BadPage)]
        assert keys == sorted(set(keys))
