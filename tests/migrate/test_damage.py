"""Whole storages with damage of every kind: what is read is what was there, and errors are ours."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stompserver.errors import StoreError
from stompserver.migrate import Ledger, found, into, read

PARTS = {
    "file": ("qinfo", "_queue_orders", "_queue_part", "_queue_requeued", "_queue_big"),
    "dbm": (
        "qinfo",
        *(
            f"_queue_{name}{suffix}"
            for name in ("orders", "part", "big")
            for suffix in (".db", ".pag", ".dir")
        ),
    ),
}
CUT, FLIP, REMOVE, ADD, RENAME, SWAP = range(6)

damages = st.lists(
    st.tuples(st.integers(CUT, SWAP), st.integers(0, 1 << 16), st.integers(0, 1 << 16), st.integers(1, 255)),
    min_size=1,
    max_size=4,
)


def spoil(directory: Path, kind: int, which: int, where: int, what: int) -> bool:
    """Do one damage; whether it can change what a message says."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    if not paths:
        return False
    path = paths[which % len(paths)]
    data = bytearray(path.read_bytes())
    at = where % (len(data) or 1)
    if kind == CUT:
        path.write_bytes(bytes(data[:at]))
    elif kind == FLIP and data:
        data[at] ^= what
        path.write_bytes(bytes(data))
        return True
    elif kind == REMOVE:
        path.unlink()
    elif kind == ADD:
        path.with_name(f"_queue_{what}").write_bytes(bytes(data[at:]))
    elif kind == RENAME:
        path.rename(path.with_name(f"{path.name}{what}"))
    elif kind == SWAP:
        other = paths[where % len(paths)]
        path.write_bytes(other.read_bytes())
    return False


@pytest.mark.parametrize("name", ["file/ruby18", "file/debian31", "dbm/ruby18", "dbm/debian31"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(damages=damages)
def test_damaged_storages(fixtures: Any, store: Any, tmp_path: Path, name: str, damages: Any) -> None:
    known = {
        (headers["message-id"], body)
        for messages in fixtures.delivered(name).values()
        for headers, body in messages
    } | {("", b"part-1 (will be consumed)")}
    bodies = {body for _, body in known}
    made = fixtures.copy(name, tmp_path, *PARTS[name.partition("/")[0]])
    try:
        changed = True in [spoil(made, *damage) for damage in damages]
        found(made)
        try:
            original = read(made)
        except StoreError:
            return
        report = into(original, store, 1, Ledger(tmp_path), dry=True)
        assert str(report)
        assert original.count <= 3 * 14
        for queue in original.queues:
            for item in queue.items:
                assert changed or item.message.body in bodies
        for note in original.notes:
            assert note.reason
            assert note.places
    finally:
        shutil.rmtree(made)
