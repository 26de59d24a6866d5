"""The LMDB store: its map, damage, foreign files."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import lmdb
import pytest
from hypothesis import settings

import stompserver.stores.lmdb.store
from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place
from stompserver.stores.lmdb.store import LmdbStore
from stompserver.testing import Double, StoreConformance, StoreMachine, drop, mark, message, put, remove
from stompserver.testing.double import EVERYTHING


class TestConformance(StoreConformance):
    kind = "lmdb"
    largest = 100 << 20
    queues = 10_000


class Machine(StoreMachine):
    kind = "lmdb"


TestMachine = Machine.TestCase
if settings.default is not None and settings.default.max_examples <= 100:
    TestMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def open_at(directory: Path, limit: int = 0) -> LmdbStore:
    return LmdbStore(Place(directory / "storage", directory / "etc", limit))


def double(directory: Path, limit: int = 0) -> Double:
    return Double(lambda: open_at(directory, limit))


def damages(store: LmdbStore) -> list[Damage]:
    return [each for _, each in store.scan() if isinstance(each, Damage)]


class Behind:
    """The environment of a closed store, opened behind its back."""

    def __init__(self, directory: Path) -> None:
        self.env = lmdb.open(str(directory / "storage" / "lmdb"), max_dbs=8, map_size=1 << 30)

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self.env.close()

    def keys(self, database: bytes) -> list[bytes]:
        with self.env.begin() as txn:
            return [bytes(key) for key, _ in txn.cursor(db=self.env.open_db(database, txn))]

    def put(self, database: bytes, key: bytes, value: bytes | None) -> None:
        opened = self.env.open_db(database)
        with self.env.begin(write=True) as txn:
            if value is None:
                assert txn.delete(key, db=opened)
            else:
                txn.put(key, value, db=opened)


# The map and the room in it


def test_the_map_grows_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stompserver.stores.lmdb.store, "MAP", 1 << 20)
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1, b"x" * (10 << 20))))
    both.commit(*[put("/queue/a", message(key, b"x" * 5000)) for key in range(2, 2000)])
    both.commit(*[mark("/queue/a", key, 1) for key in range(2, 2000)])
    both.commit(*[remove("/queue/a", message(key, b"x" * 5000)) for key in range(2, 2000, 2)])
    both.check()
    both.reopen()
    both.check()
    both.close()


def test_the_map_grows_for_removals_past_the_limit(tmp_path: Path) -> None:
    limit = 2 << 20
    both = double(tmp_path, limit)
    # Two to a page, so that a large batch of every other one copies all pages at once.
    made = [message(key, b"x" * 1800) for key in range(1, 10_000)]
    with suppress(StoreFull):
        for start in range(0, len(made), 20):
            both.commit(*[put("/queue/a", each) for each in made[start : start + 20]])
    assert len(both.model["/queue/a"]) > 300
    both.commit(*[remove("/queue/a", each) for each in made[: len(both.model["/queue/a"]) : 2]])
    both.check()
    both.commit(*[remove("/queue/a", each) for each in made[1 : 2 * len(both.model["/queue/a"]) : 2]])
    assert both.reopen() == []
    both.commit(put("/queue/a", made[0]))
    both.close()


def test_compact_gives_space_back(tmp_path: Path) -> None:
    both = double(tmp_path)
    file = tmp_path / "storage" / "lmdb" / "data.mdb"
    both.commit(*[put("/queue/a", message(key, b"x" * 3000)) for key in range(1, 3000)])
    both.commit(*[remove("/queue/a", message(key, b"x" * 3000)) for key in range(10, 3000)])
    size = file.stat().st_size
    assert both.store.compact() == (size, file.stat().st_size)
    assert file.stat().st_size < size / 20
    assert sorted(os.listdir(file.parent)) == ["data.mdb", "lock.mdb", "starts"]
    both.check()
    both.reopen()
    both.check()
    both.close()


def test_forgotten_queues_leave_nothing(tmp_path: Path) -> None:
    both = double(tmp_path)
    for number in range(50):
        both.commit(put(f"/queue/reply/{number}", message(number + 1, persistent=number % 2 > 0)))
        both.commit(mark(f"/queue/reply/{number}", number + 1, 1))
        if number % 5:
            both.commit(remove(f"/queue/reply/{number}", message(number + 1, persistent=number % 2 > 0)))
        else:
            both.commit(drop(f"/queue/reply/{number}"))
    both.close()
    with Behind(tmp_path) as behind:
        for database in (b"messages", b"marks", b"transient", b"names", b"counts"):
            assert behind.keys(database) == []


# Damage


def test_a_record_with_a_wrong_octet_is_damage_and_harms_no_other(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(*[put("/queue/a", message(key)) for key in (1, 2, 3, 4)])
    both.close()
    with Behind(tmp_path) as behind:
        keys = behind.keys(b"messages")
        with behind.env.begin() as txn:
            record = bytearray(txn.get(keys[1], db=behind.env.open_db(b"messages", txn)) or b"")
        record[-1] ^= 1
        behind.put(b"messages", keys[1], bytes(record))
        behind.put(b"messages", keys[2], b"short")
    both.store = open_at(tmp_path)
    both.check_counts(both.store.load())
    found = both.store.read("/queue/a", 0, 10, EVERYTHING)
    assert [each.key for each in found] == [1, 2, 3, 4]
    assert [str(each) for each in found if isinstance(each, Damage)] == [
        f"{tmp_path}/storage/lmdb/data.mdb, queue '/queue/a', message 2: checksum does not fit",
        f"{tmp_path}/storage/lmdb/data.mdb, queue '/queue/a', message 3: "
        "record of 5 bytes is shorter than its head",
    ]
    assert [each.key for each in damages(both.store)] == [2, 3]
    both.commit(*[remove("/queue/a", message(key)) for key in (2, 3)])
    both.reopen()
    both.check()
    both.close()


def test_scan_finds_what_does_not_fit_together(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(*[put("/queue/a", message(key)) for key in (1, 2, 3)], put("/queue/b", message(4)))
    both.close()
    with Behind(tmp_path) as behind:
        keys = behind.keys(b"messages")
        behind.put(b"messages", keys[1], None)
        behind.put(b"messages", (77).to_bytes(8, "big") + keys[0][8:], b"stray")
        behind.put(b"marks", keys[1], b"\0\0\0\1")
        behind.put(b"transient", keys[0][:8] + (9).to_bytes(8, "big"), bytes(8))
    store = open_at(tmp_path)
    found = "\n".join(map(str, damages(store)))
    store.close()
    assert f"3 messages of {3 * message(1).size} bytes are counted, 2 of {2 * message(1).size}" in found
    assert "messages of queue 77, without a name" in found
    assert "mark for a message that is not there" in found
    assert "note for a message that is not there" in found


CUT = """
import sys
from pathlib import Path
from stompserver.errors import StoreDamaged
from stompserver.stores.base import Damage, Message, Place
from stompserver.stores.lmdb.store import LmdbStore

directory = Path(sys.argv[1])
file = directory / "lmdb" / "data.mdb"
whole = file.read_bytes()
ends = {"whole": 0, "damaged": 0, "partly": 0}
for length in map(int, sys.argv[2:]):
    file.write_bytes(whole[:length])
    try:
        store = LmdbStore(Place(directory, directory))
    except StoreDamaged as problem:
        ends["damaged"] += 1
        assert str(file) in str(problem), problem
        continue
    try:
        store.load()
        found = [each for _, each in store.scan()]
        ends["partly" if any(isinstance(each, Damage) for each in found) else "whole"] += 1
        for each in found:
            assert isinstance(each, Damage) or set(each.body) <= {120}
    except StoreDamaged:
        ends["damaged"] += 1
    finally:
        store.close()
print(ends)
"""


def test_a_file_that_was_cut_is_damage_and_no_crash(tmp_path: Path) -> None:
    both = double(tmp_path)
    for start in range(1, 200, 20):
        made = [message(key, b"x" * (key * 100 % 9000)) for key in range(start, start + 20)]
        both.commit(*[put(f"/queue/{each.key % 3}", each) for each in made])
    both.store.compact()
    both.close()
    size = (tmp_path / "storage" / "lmdb" / "data.mdb").stat().st_size
    lengths = [0, 1, 100, 4095, 4096, 8191, 8192, 8193]
    lengths += list(range(12288, size, 4096 * 7)) + list(range(size - 4096 * 5, size + 1, 512))
    done = subprocess.run(
        [sys.executable, "-c", CUT, str(tmp_path / "storage"), *map(str, lengths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    ends = eval(done.stdout)
    assert ends["whole"] >= 1
    assert ends["damaged"] >= 5
    assert sum(ends.values()) == len(lengths)


def test_a_missing_or_empty_file_is_no_new_store(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    file = tmp_path / "storage" / "lmdb" / "data.mdb"
    file.write_bytes(b"")
    with pytest.raises(StoreDamaged, match="missing or empty"):
        open_at(tmp_path)
    file.write_bytes(b"x" * 100_000)
    with pytest.raises(StoreDamaged, match="cannot open"):
        open_at(tmp_path)
    file.unlink()
    with pytest.raises(StoreDamaged, match="missing or empty"):
        open_at(tmp_path)


def test_a_name_without_a_count_is_damage(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)))
    both.close()
    with Behind(tmp_path) as behind:
        behind.put(b"counts", behind.keys(b"counts")[0], None)
    with pytest.raises(StoreDamaged, match="queue 1 has a name and no count"):
        open_at(tmp_path)


# Foreign things


def test_other_environments_are_not_taken_for_a_store(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    with Behind(tmp_path) as behind:
        behind.put(b"meta", b"format", b"2")
    with pytest.raises(StoreForeign, match="format 2, of a newer version; this one knows 1"):
        open_at(tmp_path)
    with Behind(tmp_path) as behind:
        behind.put(b"meta", b"format", b"x")
    with pytest.raises(StoreForeign, match="something else"):
        open_at(tmp_path)
    with Behind(tmp_path) as behind:
        behind.put(b"meta", b"format", None)
    with pytest.raises(StoreForeign, match="something else"):
        open_at(tmp_path)


def test_an_environment_without_our_databases_is_foreign(tmp_path: Path) -> None:
    directory = tmp_path / "storage" / "lmdb"
    directory.mkdir(parents=True)
    env = lmdb.open(str(directory))
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    env.close()
    with pytest.raises(StoreForeign, match="something else"):
        open_at(tmp_path)


def test_a_store_that_could_not_be_made_is_made_anew(tmp_path: Path) -> None:
    aside = tmp_path / "storage" / "lmdb.new"
    aside.mkdir(parents=True)
    (aside / "data.mdb").write_bytes(b"torn")
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)))
    both.check()
    assert not aside.exists()
    both.close()


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file")
    with pytest.raises(StoreError, match="cannot open the store"):
        open_at(tmp_path)


def test_a_second_store_on_the_same_files_is_an_error(tmp_path: Path) -> None:
    store = open_at(tmp_path)
    with pytest.raises(StoreError, match="already open"):
        open_at(tmp_path)
    store.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)))
    both.close()
    with pytest.raises(StoreError, match="is closed"):
        both.store.commit([put("/queue/a", message(1))], True)
    with pytest.raises(StoreError, match="is closed"):
        both.store.read("/queue/a", 0, 1, 1)
