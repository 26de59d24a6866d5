"""Putting messages into a store: all or nothing, never twice, whenever it is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.errors import StoreAway, StoreDamaged, StoreError, StoreFull
from stompserver.migrate import Ledger, Original, found, into, read, set_aside
from stompserver.stores import base
from stompserver.stores.base import Place, open_store
from stompserver.stores.originals import LEDGER
from stompserver.stores.sql import database


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def original(fixtures: Any) -> Original:
    """A storage as read."""
    return read(fixtures.path("file/debian31"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The ledger of a storage that does not exist yet."""
    return Ledger(tmp_path / "storage")


def taken(store: Any) -> dict[str, list[bytes]]:
    return {name: [found[key].body for key in sorted(found)] for name, found in store.queues.items()}


def wanted(original: Original) -> dict[str, list[bytes]]:
    return {queue.name: [item.message.body for item in queue.items] for queue in original.queues}


def test_all_in_one_commit_numbered_from_the_first(original: Original, store: Any, ledger: Ledger) -> None:
    report = into(original, store, 1000, ledger)
    assert store.commits == 1
    assert taken(store) == wanted(original)
    numbers = [key for found in store.queues.values() for key in found]
    assert numbers == list(range(1000, 1164))
    assert all(one.number == key for found in store.queues.values() for key, one in found.items())
    assert (report.taken, report.already, report.dry) == (164, 0, False)


def test_a_dry_run_writes_nothing(original: Original, store: Any, ledger: Ledger) -> None:
    report = into(original, store, 1, ledger, dry=True)
    assert report.taken == 164
    assert report.dry
    assert store.commits == 0
    assert not ledger.path.parent.exists()


def test_again_takes_nothing_even_what_was_consumed(fixtures: Any, store: Any, ledger: Ledger) -> None:
    source = fixtures.path("dbm/ruby18")
    into(read(source), store, 1, ledger)
    assert store.consume() == 164
    for number in (2, 3):
        report = into(read(source), store, 1000 * number, ledger)
        assert (report.taken, report.already) == (0, 164)
    assert store.consume() == 0
    assert into(read(source), store, 1, ledger, dry=True).taken == 0


def test_what_came_since_is_taken(
    fixtures: Any, ruby: Any, store: Any, ledger: Ledger, tmp_path: Path
) -> None:
    made = fixtures.copy("file/ruby18_checkpoint60", tmp_path)
    into(read(made), store, 1, ledger)
    (made / "_queue_cp/vm-1795403540-000000-5").write_bytes(
        ruby.file("/queue/cp", "vm-1795403540-000000-5", b"cp-5")
    )
    report = into(read(made), store, 100, ledger)
    assert (report.taken, report.already) == (1, 3)
    assert taken(store) == {"/queue/cp": [b"cp-2", b"cp-3", b"cp-4", b"cp-5"]}
    assert into(read(made), store, 200, ledger).taken == 0


@pytest.mark.parametrize("fail", [StoreFull("full"), StoreAway("away"), StoreError("broken"), Crash()])
@pytest.mark.parametrize("late", [False, True])
def test_interrupted_in_the_commit_and_repeated(
    fixtures: Any, store: Any, ledger: Ledger, fail: BaseException, late: bool
) -> None:
    source = fixtures.path("file/ruby18")
    store.fail, store.late = fail, late
    with pytest.raises(type(fail)):
        into(read(source), store, 1, ledger)
    assert sum(map(len, store.queues.values())) == (164 if late else 0)
    report = into(read(source), store, 1000, ledger)
    assert report.taken == (0 if late else 164)
    assert taken(store) == wanted(read(source))
    assert into(read(source), store, 2000, ledger).taken == 0


def test_a_server_settles_an_interrupted_import_before_anything_is_consumed(
    fixtures: Any, store: Any, ledger: Ledger
) -> None:
    source = fixtures.path("file/ruby18")
    store.fail, store.late = Crash(), True
    with pytest.raises(Crash):
        into(read(source), store, 1, ledger)
    assert ledger.settle(store)
    assert not ledger.settle(store)
    store.consume()
    assert into(read(source), store, 1000, ledger).taken == 0


def test_other_messages_under_the_same_numbers_prove_nothing(
    fixtures: Any, store: Any, ledger: Ledger
) -> None:
    source = fixtures.path("file/ruby18")
    store.fail = Crash()
    with pytest.raises(Crash):
        into(read(source), store, 1, ledger)
    # A server that does not know of the import uses the numbers for other messages.
    for queue in wanted(read(source)):
        for key in range(1, 170):
            other = Message(queue, {}, b"other", 1000)
            other.key = other.number = key
            store.queues.setdefault(queue, {})[key] = other
    assert into(read(source), store, 1000, ledger).taken == 164


def test_some_of_it_consumed_still_proves_that_it_was_taken(
    fixtures: Any, store: Any, ledger: Ledger
) -> None:
    source = fixtures.path("file/ruby18")
    store.fail, store.late = Crash(), True
    with pytest.raises(Crash):
        into(read(source), store, 1, ledger)
    for queue in list(store.queues):
        if queue != "/queue/orders":
            del store.queues[queue]
    for key in sorted(store.queues["/queue/orders"])[:-1]:
        del store.queues["/queue/orders"][key]
    assert into(read(source), store, 1000, ledger).taken == 0


def test_the_ledger_cut_anywhere_loses_or_doubles_nothing(fixtures: Any, store: Any, ledger: Ledger) -> None:
    source = fixtures.path("file/ruby18_checkpoint60")
    into(read(source), store, 1, ledger)
    whole = ledger.path.read_bytes()
    begun = whole.index(b"\n") + 1
    for length in range(begun, len(whole)):
        # Cut while "done" was written: the commit was made.
        ledger.path.write_bytes(whole[:length])
        assert into(read(source), store, 1000, ledger).taken == 0
        assert taken(store) == {"/queue/cp": [b"cp-2", b"cp-3", b"cp-4"]}
    for length in range(0, begun, 23):
        # Cut while "begun" was written: the commit was not.
        ledger.path.write_bytes(whole[:length])
        store.queues.clear()
        assert into(read(source), store, 1, ledger).taken == 3
        assert into(read(source), store, 1000, ledger).taken == 0


def test_a_ledger_that_is_damaged_inside_is_said_so(original: Original, store: Any, ledger: Ledger) -> None:
    into(original, store, 1, ledger)
    for line in (b"{}\n", b"[]\n", b"text\n", b'{"state":"odd"}\n', b"[" * 100_000 + b"\n"):
        ledger.path.write_bytes(line)
        with pytest.raises(StoreDamaged, match=rf"{LEDGER} line 1"):
            into(original, store, 1, ledger)
    assert store.commits == 1


def test_the_ledger_is_for_its_owner_only(original: Original, store: Any, ledger: Ledger) -> None:
    into(original, store, 1, ledger)
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert ledger.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_ledger_that_cannot_be_written_stops_the_import(
    original: Original, store: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        into(original, store, 1, Ledger(tmp_path / "file"))
    (tmp_path / LEDGER).mkdir()
    with pytest.raises(StoreError, match=LEDGER):
        into(original, store, 1, Ledger(tmp_path))
    assert store.commits == 0


def test_ids_of_any_octets(ruby: Any, store: Any, ledger: Ledger, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "_queue_a").mkdir(parents=True)
    (made / "qinfo").write_bytes(ruby.qinfo({}))
    (made / "_queue_a/h-1-1-1\udcff\udce9").write_bytes(ruby.file("/queue/a", "x", b"1"))
    assert into(read(made), store, 1, ledger).taken == 1
    assert into(read(made), store, 1, ledger).already == 1


def test_an_empty_original(fixtures: Any, store: Any, ledger: Ledger, tmp_path: Path) -> None:
    made = fixtures.copy("file/ruby18_checkpoint60", tmp_path, "qinfo")
    assert into(read(made), store, 1, ledger).taken == 0
    assert store.commits == 0


@pytest.mark.parametrize("kind", sorted(base.STORES.keys() - {"memory"}))
@pytest.mark.parametrize("name", ["file/ruby18", "dbm/debian31", "activerecord/ruby18"])
def test_every_store_gives_back_what_was_taken(fixtures: Any, tmp_path: Path, kind: str, name: str) -> None:
    place = Place(tmp_path / "storage", tmp_path / "etc")
    place.storage.mkdir()
    place.etc.mkdir()
    ledger = Ledger(place.storage)
    original = read(fixtures.path(name))
    store = open_store(kind, place)
    try:
        assert store.load() == []
        report = into(original, store, 7, ledger)
    finally:
        store.close()
    store = open_store(kind, place)
    try:
        assert sum(stored.count for stored in store.load()) == report.taken == original.count
        for queue in original.queues:
            messages = store.read(queue.name, 0, 1000, 1 << 30)
            for message, item in zip(messages, queue.items, strict=True):
                assert isinstance(message, Message)
                for field in ("key", "number", "destination", "body", "size", "plain", "persistent"):
                    assert getattr(message, field) == getattr(item.message, field)
                assert list(message.headers.items()) == list(item.message.headers.items())
                assert (message.exceptions, message.attempts) == (
                    item.message.exceptions,
                    item.message.attempts,
                )
        assert into(read(fixtures.path(name)), store, 1000, ledger).taken == 0
    finally:
        store.close()
    # What is ours is not taken for the original's.
    assert found(place.storage, place.etc) == []


def test_a_database_into_itself(fixtures: Any, tmp_path: Path) -> None:
    path = fixtures.copy("activerecord/debian31", tmp_path)
    path = path.rename(tmp_path / database.DEFAULT)
    place = Place(tmp_path, tmp_path)
    for taken in (222, 0):
        original = read(path)
        assert set_aside(database.read(place)) is (taken > 0)
        store = open_store("activerecord", place)
        try:
            first = 1 + max((one.highest for one in store.load()), default=0)
            assert into(original, store, first, Ledger(tmp_path)).taken == taken
            assert sum(one.count for one in store.load()) == 222
        finally:
            store.close()


@pytest.mark.parametrize("kind", sorted(base.STORES.keys() - {"memory"}))
@pytest.mark.parametrize("name", ["file/ruby18", "dbm/ruby18", "dbm/debian31"])
def test_every_store_can_be_in_the_originals_directory(
    fixtures: Any, tmp_path: Path, kind: str, name: str
) -> None:
    made = fixtures.copy(name, tmp_path)
    place = Place(made, tmp_path / "etc")
    for taken in (164, 0):
        store = open_store(kind, place)
        try:
            first = 1 + max((one.highest for one in store.load()), default=0)
            assert into(read(made), store, first, Ledger(made)).taken == taken
        finally:
            store.close()
        assert [(one.kind, one.imported) for one in found(made)] == [(name.partition("/")[0], True)]
    assert read(made).count == 164
