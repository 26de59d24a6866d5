"""The file store: the form of its files, torn writes, damage, names."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place
from stompserver.stores.file.frame import decode
from stompserver.stores.file.journal import Changes
from stompserver.stores.file.names import directory_of, queue_of
from stompserver.stores.file.store import FileStore
from stompserver.testing import Double, StoreConformance, StoreMachine, drop, mark, message, put, remove
from stompserver.testing.double import EVERYTHING, contents


class TestConformance(StoreConformance):
    kind = "file"


class Machine(StoreMachine):
    kind = "file"


TestMachine = Machine.TestCase
if settings.default is not None and settings.default.max_examples <= 100:
    TestMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


def open_at(directory: Path, limit: int = 0) -> FileStore:
    return FileStore(Place(directory / "storage", directory / "etc", limit))


def double(directory: Path, limit: int = 0) -> Double:
    return Double(lambda: open_at(directory, limit))


def files(directory: Path) -> list[Path]:
    return sorted((directory / "storage" / "file" / "queues").glob("*/*/*"))


# The form of the files


def test_a_file_has_the_form_of_the_manual_page(tmp_path: Path) -> None:
    store = open_at(tmp_path)
    body = b"\0\xffbody\n"
    headers = {"destination": "/queue/a", "z": "\u00e9", "a": "\udcff"}
    store.commit([put("/queue/a", message(77, body, headers))], True)
    store.commit([mark("/queue/a", 77, 3)], True)
    store.close()
    (path,) = files(tmp_path)
    assert path.relative_to(tmp_path) == Path(
        f"storage/file/queues/+queue+a/0000000000000/000000000000004d-{message(77, body, headers).size}-3"
    )
    octets = path.read_bytes()
    length, body_length = int(octets[:8], 16), int(octets[8:16], 16)
    assert octets[16 + length :] == body
    assert body_length == len(body)
    fields = json.loads(octets[16 : 16 + length])
    assert fields["destination"] == "/queue/a"
    assert list(fields["headers"].items()) == list(headers.items())
    assert (fields["number"], fields["persistent"], fields["exceptions"], fields["attempts"]) == (
        77,
        True,
        -1,
        0,
    )


def test_what_was_written_by_hand_is_read() -> None:
    # Written down when the format was made: it must stay readable.
    octets = (
        b'000000c200000003{"destination":"/queue/a","headers":{"destination":"/queue/a","name":"\\udcff"},'
        b'"number":7,"plain":true,"persistent":true,"exceptions":5,"attempts":2,"size":1024,"format":1,'
        b'"checksum":"00000000"}a\nb'
    )
    with pytest.raises(StoreDamaged, match="checksum"):
        decode(9, 2, octets)
    read = decode(9, 2, octets.replace(b'"00000000"', b'"232167cd"'))
    assert (read.key, read.attempts, read.headers["name"], read.body) == (9, 2, "\udcff", b"a\nb")


@given(st.text(max_size=300) | st.text("ab/_.%+~\udcff", max_size=300))
def test_each_queue_has_a_safe_directory_of_its_own(name: str) -> None:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return
    directory = directory_of(name)
    assert len(directory) <= 200
    assert "/" not in directory
    assert "\0" not in directory
    assert directory.isascii()
    assert directory == directory.lower()
    assert not directory.startswith(".")
    if "~" not in directory:
        assert queue_of(Path(directory)) == name


def test_directories_are_removed_when_nothing_is_in_them(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stompserver.stores.file.tree.IDLE", 16)
    both = double(quick_path)
    root = quick_path / "storage" / "file" / "queues"
    made = [message(key) for key in range(4000, 30_000, 1000)]
    both.commit(*[put("/queue/a", each) for each in made])
    for each in made[:-1]:
        both.commit(remove("/queue/a", each))
    assert len(list(root.glob("*/*"))) == 1
    for number in range(60):
        name = f"/queue/reply/{number}" if number % 2 else f"/queue/{'long' * 60}/{number}"
        both.commit(put(name, message(50_000 + number)), sync=False)
        both.commit(remove(name, message(50_000 + number)), sync=False)
    assert len(list(root.iterdir())) < 20
    both.reopen()
    assert len(list(root.iterdir())) == 1
    both.commit(remove("/queue/a", made[-1]))
    both.store.compact()
    assert list(root.iterdir()) == []
    both.check()
    both.close()


@pytest.mark.parametrize("more", [1, 2])
def test_a_directory_that_was_empty_is_there_for_what_comes_next(tmp_path: Path, more: int) -> None:
    # Priorities have buckets apart: one is emptied, and is to go with the next commit, which puts something into it:
    # a commit of one change, which ends the record of the last, or one with a record of its own.
    both = double(tmp_path)
    low, high = message(7), message(7 << 40)
    both.commit(put("/queue/a", low), put("/queue/a", high))
    both.commit(remove("/queue/a", low), put("/queue/a", message(8 << 40)))
    both.commit(*[put("/queue/a", message(9 + each)) for each in range(more)])
    both.check()
    both.close()


def test_listings_are_remembered_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stompserver.stores.file.tree.LISTED", 50)
    both = double(tmp_path)
    both.commit(*[put(f"/queue/{key % 3}", message(key * 100)) for key in range(1, 400)], sync=False)
    both.commit(*[mark(f"/queue/{key % 3}", key * 100, 1) for key in range(1, 400, 7)], sync=False)
    both.commit(*[remove(f"/queue/{key % 3}", message(key * 100)) for key in range(1, 400, 5)], sync=False)
    both.check()
    both.reopen()
    both.check()
    both.close()


# Torn writes


def test_a_record_torn_at_any_byte_is_no_commit(quick_path: Path) -> None:
    both = double(quick_path / "first")
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)), put("/queue/b", message(3)))
    before = both.model
    both.store.sync()
    both.close()
    root = quick_path / "first" / "storage" / "file"
    changes = Changes()
    bucket = "queues/+queue+a/0000000000000"
    (first, second, _) = files(quick_path / "first")
    changes.puts = {bucket: [("new-name", "0000000000000009-1023-0")]}
    changes.removes = {bucket: [first.name]}
    changes.renames = {bucket: [(second.name, second.name[:-1] + "7")]}
    shutil.copy(files(quick_path / "first")[2], root / "new" / "new-name")
    record = changes.encode()
    for length in range(len(record) + 1):
        shutil.rmtree(quick_path / "again", ignore_errors=True)
        shutil.copytree(quick_path / "first", quick_path / "again")
        journal = quick_path / "again" / "storage" / "file" / "journal"
        # Over an older record, as on a disk that wrote only a part.
        older = b"0" * 16 + b"x" * len(record)
        journal.write_bytes(record[:length] + older[length:])
        store = open_at(quick_path / "again")
        store.load()
        found = contents(store)
        store.close()
        if length < len(record):
            assert found == before, f"with {length} bytes of the record"
    assert sorted(found["/queue/a"]) == [2, 9]
    assert found["/queue/a"][2][-1] == 7


def test_a_file_torn_before_its_commit_is_removed(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)))
    octets = files(tmp_path)[0].read_bytes()
    both.close()
    new = tmp_path / "storage" / "file" / "new"
    for length in range(len(octets) + 1):
        (new / f"{length:x}").write_bytes(octets[:length])
    both.reopen()
    assert list(new.iterdir()) == []
    both.check()
    both.close()


def test_a_message_cut_at_any_byte_is_damage_and_harms_no_other(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(*[put("/queue/a", message(key)) for key in (1, 2, 3)])
    path = files(tmp_path)[1]
    octets = path.read_bytes()
    spoiled = [octets[:length] for length in range(len(octets))] + [octets + b"\0"]
    spoiled += [octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :] for at in range(len(octets))]
    for content in spoiled:
        path.write_bytes(content)
        first, damage, last = both.store.read("/queue/a", 0, 10, EVERYTHING)
        assert isinstance(damage, Damage)
        assert (first.key, damage.key, last.key) == (1, 2, 3)
        assert damage.place == str(path)
        assert damage.reason
    assert [each.key for _, each in both.store.scan() if isinstance(each, Damage)] == [2]
    # It can be taken out as any other, and put again.
    both.commit(mark("/queue/a", 2, 1))
    both.commit(remove("/queue/a", message(2)))
    both.commit(put("/queue/a", message(2)))
    both.check()
    both.close()


# Damage and foreign things


def test_a_file_under_a_name_that_is_not_its_own_is_damage(tmp_path: Path) -> None:
    both = double(tmp_path)
    made = message(1, b"x" * 10)
    both.commit(put("/queue/a", made))
    both.close()
    (path,) = files(tmp_path)
    path.rename(path.with_name(f"0000000000000001-{made.size + 1}-0"))
    store = open_at(tmp_path)
    (damage,) = store.read("/queue/a", -1, 9, EVERYTHING)
    assert isinstance(damage, Damage)
    assert damage.reason == "it is not what its name tells"
    store.close()


def test_a_file_that_went_away_is_damage(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(*[put("/queue/a", message(key)) for key in (1, 2)])
    assert both.read("/queue/a") == [1, 2]
    files(tmp_path)[0].unlink()
    damage, second = both.store.read("/queue/a", 0, 10, EVERYTHING)
    assert str(damage).endswith("No such file or directory")
    assert second.key == 2
    both.commit(mark("/queue/a", 1, 2), remove("/queue/a", message(1)))
    both.reopen()
    both.check()
    both.close()


def test_scan_names_what_does_not_belong_there(tmp_path: Path) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)), put("/queue/b", message(2)))
    root = tmp_path / "storage" / "file" / "queues"
    bucket = root / "+queue+a" / "0000000000000"
    strays = [
        root / "Foreign",
        root / "stray",
        root / "+queue+a" / "notes",
        bucket / "core",
        bucket / "x-1-1",
    ]
    strays.append(bucket / "0000000000001001-1029-0")
    for path in strays:
        path.write_text("stray")
    shutil.copy(files(tmp_path)[0], bucket / "0000000000000001-1029-5")
    both.close()
    store = open_at(tmp_path)
    store.load()
    found = {each.place for _, each in store.scan() if isinstance(each, Damage)}
    assert {str(path) for path in strays} <= found
    assert any("0000000000000001-1029-" in place for place in found)
    assert all(path.exists() for path in strays)
    store.close()


def test_other_directories_are_not_taken_for_a_store(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    root = tmp_path / "storage" / "file"
    (root / "format").write_text("2\n")
    with pytest.raises(StoreForeign, match="format 2, of a newer version; this one knows 1"):
        open_at(tmp_path)
    (root / "format").write_text("one\n")
    with pytest.raises(StoreForeign, match="no number"):
        open_at(tmp_path)
    (root / "format").unlink()
    with pytest.raises(StoreForeign, match="no file 'format'"):
        open_at(tmp_path)
    (root / "format").write_text("1\n")
    (root / "queues").rmdir()
    with pytest.raises(StoreDamaged, match="queues is missing"):
        open_at(tmp_path)


def test_a_store_that_could_not_be_made_is_made_anew(tmp_path: Path) -> None:
    aside = tmp_path / "storage" / "file.new"
    (aside / "new").mkdir(parents=True)
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)))
    both.check()
    assert not aside.exists()
    both.close()


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file")
    with pytest.raises(StoreError, match="cannot open the store"):
        open_at(tmp_path)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_at(tmp_path)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.commit([put("/queue/a", message(1))], True)
    with pytest.raises(StoreError, match="is closed"):
        store.read("/queue/a", 0, 1, 1)


# When the disk does not do what it is told


def test_a_commit_that_cannot_be_finished_is_finished_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = double(tmp_path)
    made = [message(key) for key in (1, 2, 3)]
    both.commit(*[put("/queue/a", each) for each in made])
    ops = [remove("/queue/a", made[0]), mark("/queue/a", 2, 4), remove("/queue/a", made[2])]
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", _fails)
        with pytest.raises(StoreError, match="cannot finish a commit") as raised:
            both.store.commit(ops, True)
    assert not isinstance(raised.value, StoreFull)
    with pytest.raises(StoreError, match="needs a new start"):
        both.store.commit([put("/queue/a", message(9))], True)
    both.store.close()
    store = open_at(tmp_path)
    store.load()
    assert {key: fact[-1] for key, fact in contents(store)["/queue/a"].items()} == {2: 4}
    store.close()


def _fails(*_: object) -> None:
    raise OSError(5, "Input/output error")


def test_a_commit_that_cannot_be_written_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)))
    for call in ("fsync", "writev"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _fails)
            with pytest.raises(StoreError, match="Input/output error"):
                both.store.commit(
                    [put("/queue/a", message(3)), drop("/queue/a"), put("/queue/b", message(4))], True
                )
        both.check()
    both.commit(put("/queue/a", message(3)), remove("/queue/a", message(1)))
    both.reopen()
    both.check()
    both.close()


def _full_once(call: str, patch: pytest.MonkeyPatch) -> None:
    """The next ``call`` finds no space left, those after it do."""
    true = getattr(os, call)

    def full(*args: Any) -> Any:
        patch.setattr(os, call, true)
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(os, call, full)


def test_the_reserve_is_given_up_for_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = double(tmp_path)
    reserve = tmp_path / "storage" / "file" / "reserve"
    both.commit(*[put("/queue/a", message(key)) for key in range(1, 9)])
    # The record, the directories.
    for key, call in ((1, "pwrite"), (3, "rename"), (5, "unlink")):
        assert reserve.stat().st_size == 1 << 20
        with monkeypatch.context() as patch:
            _full_once(call, patch)
            both.commit(mark("/queue/a", 8, key), remove("/queue/a", message(key)))
        assert reserve.stat().st_size == 0
        both.check()
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", _full)
            with pytest.raises(StoreFull, match="no room for more"):
                both.store.commit([put("/queue/a", message(10 + key))], True)
            both.commit(mark("/queue/a", 8, key + 1), remove("/queue/a", message(key + 1)))
        both.commit(put("/queue/a", message(10 + key)))
        both.check()
    with monkeypatch.context() as patch:
        _full_once("pwrite", patch)
        with pytest.raises(StoreFull, match="No space left"):
            both.store.commit([put("/queue/a", message(30)), put("/queue/a", message(31))], True)
    both.reopen()
    both.check()
    both.close()


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_keep_a_store_from_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)))
    both.close()
    (tmp_path / "storage" / "file" / "reserve").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", _full)
        both.reopen()
        both.commit(remove("/queue/a", message(1)))
        with pytest.raises(StoreFull):
            both.store.commit([put("/queue/a", message(3))], True)
    both.commit(put("/queue/a", message(3)))
    both.check()
    both.close()


def test_a_sync_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)), sync=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fails)
        with pytest.raises(StoreError, match="cannot sync"):
            both.store.sync()
    both.store.sync()
    both.commit(drop("/queue/a"), sync=False)
    both.reopen()
    both.check()
    both.close()


def test_after_a_record_that_may_be_written_a_new_start_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = double(tmp_path)
    both.commit(put("/queue/a", message(1)), put("/queue/a", message(2)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _fails)
        with pytest.raises(StoreError, match="Input/output error"):
            both.store.commit([put("/queue/a", message(3)), remove("/queue/a", message(1))], True)
    with pytest.raises(StoreError, match="needs a new start"):
        both.store.commit([put("/queue/a", message(9))], True)
    both.reopen()
    both.check()
    both.close()
