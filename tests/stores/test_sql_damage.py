"""Damaged pages of a SQLite file: an index is made anew, and a message that cannot be read costs itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stompserver.stores.base import Damage, Place, Store, open_store
from stompserver.testing import message, put, remove

PAGE = 4096
LEAF_OF_INDEX = 10
QUEUES = ["/queue/a", "/queue/b", "/queue/c"]


def opened(directory: Path) -> Store:
    return open_store("activerecord", Place(directory / "storage", directory / "etc"))


def read_all(store: Store) -> dict[str, list[int]]:
    """The keys of what can be read in each queue."""
    found = {}
    for queue in QUEUES:
        read = store.read(queue, -1, 1000, 1 << 40)
        found[queue] = [each.key for each in read if not isinstance(each, Damage)]
    return found


@pytest.mark.parametrize("octet", [0x00, 0xA5], ids=["zeros", "noise"])
@pytest.mark.parametrize("first", ["load", "read", "commit"])
def test_a_damaged_index_is_made_anew(
    first: str, octet: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever comes to it first: a start, a read, or a commit."""
    store = opened(tmp_path)
    store.load()
    made = [
        (queue, message(at * 300 + number)) for at, queue in enumerate(QUEUES) for number in range(1, 301)
    ]
    store.commit([put(*each) for each in made], True)
    store.compact()
    store.close()
    (file,) = (tmp_path / "storage").glob("*_development")
    octets = bytearray(file.read_bytes())
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'ar_messages_order'"
        ((root,),) = database.execute(query)
    at = (root - 1) * PAGE
    # The last leaf of the index, to which the root points.
    leaf = int.from_bytes(octets[at + 8 : at + 12]) - 1
    assert octets[leaf * PAGE] == LEAF_OF_INDEX
    octets[leaf * PAGE : (leaf + 1) * PAGE] = bytes([octet]) * PAGE
    file.write_bytes(octets)

    store = opened(tmp_path)
    if first == "read":
        assert len(store.read("/queue/c", 800, 100, 1 << 40)) == 100
    elif first == "commit":
        store.commit([put("/queue/c", message(1000)), remove("/queue/c", message(900))], True)
        store.commit([remove("/queue/c", message(1000)), put("/queue/c", message(900))], True)
    assert {each.name: each.count for each in store.load()} == dict.fromkeys(QUEUES, 300)
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert str(file) in told
    assert "was made anew" in told
    assert read_all(store) == {
        queue: list(range(at * 300 + 1, at * 300 + 301)) for at, queue in enumerate(QUEUES)
    }
    store.commit([remove(queue, each) for queue, each in made[::2]], True)
    store.compact()
    assert [each for _, each in store.scan() if isinstance(each, Damage)] == []
    store.close()
