"""The store that keeps nothing, and how stores are found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import FOREVER, PUT, Op, OpLog
from stompserver.errors import StoreError
from stompserver.stores import base
from stompserver.stores.base import Place, open_store, store_class
from stompserver.stores.memory import MemoryStore


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "storage", tmp_path / "etc")


def test_nothing_is_kept(place: Place) -> None:
    store = open_store("memory", place)
    assert not store.keeps
    store.commit([Op(PUT, "/queue/q", 1, Message("/queue/q", {}, b"", 1), 1)], True)
    store.sync()
    assert store.load() == []
    assert store.read("/queue/q", 0, 10, 1000) == []
    assert list(store.scan()) == []
    assert store.compact() == (0, 0)
    store.close()
    store.close()
    assert not place.storage.exists()


def test_nothing_is_logged_for_it(place: Place) -> None:
    """So its receipts wait for nothing."""
    log = OpLog(open_store("memory", place).keeps)
    broker = Broker(Rules(), log)
    broker.send(Message("/queue/q", {}, b"", 1))
    assert log.drain()[1] == []
    assert log.durable == FOREVER
    assert log.bytes == 0


def test_stores_are_found_by_name() -> None:
    assert store_class("memory") is MemoryStore


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setitem(base.STORES, "odd", "stompserver.stores.no_such_module:Store")
    with pytest.raises(
        StoreError, match=r"queue type odd needs a library that is not installed.*no_such_module"
    ):
        open_store("odd", place)
