"""Directories as released formats wrote them.

``python tests/stores/written.py KIND`` writes one with this version, to ``tests/stores/data/KIND-FORMAT.tar.gz``:
once for each new format, and never again.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from pathlib import Path

from stompserver.broker.oplog import Op
from stompserver.stores.base import Place, open_store
from stompserver.testing import mark, message, put, remove

DATA = Path(__file__).with_name("data")


def batches() -> list[list[Op]]:
    """What was committed; the transient message is gone when the directory is opened."""
    headers = {
        "destination": "/queue/a",
        "content-type": "text/plain",
        "\u00e9": "\u6d88\u606f",
        "octets": "\udcff",
    }
    every = bytes(range(256))
    first = [
        put("/queue/a", message(1, b"first", headers)),
        put("/queue/a", message(2, every * 40, {}, plain=True, exceptions=3, attempts=1, number=2**40)),
        put("/queue/a", message(3, persistent=False)),
        put("/queue/\udcff A/b_c", message(4, b"", {"": "empty name"}, destination="/queue/other")),
        put("/queue/" + "long" * 100, message(5)),
        put("/queue/a", message(6)),
        put("/queue/a", message(2**61, b"far")),
    ]
    return [first, [mark("/queue/a", 1, 2), mark("/queue/a", 2, 7)], [remove("/queue/a", message(6))]]


def write(kind: str) -> None:
    """Write the directory of this version's ``kind``."""
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory) / "storage", Path(directory) / "etc")
        store = open_store(kind, place)
        store.load()
        for ops in batches():
            store.commit(ops, True)
        store.compact()
        store.close()
        for path in place.storage.rglob("*"):
            if path.name in ("lock.mdb", "reserve"):
                path.unlink()
        octets = io.BytesIO()
        with tarfile.open(fileobj=octets, mode="w:gz") as tar:
            tar.add(place.storage, "storage")
        DATA.mkdir(exist_ok=True)
        DATA.joinpath(f"{kind}-1.tar.gz").write_bytes(octets.getvalue())


if __name__ == "__main__":
    write(sys.argv[1])
