"""Fills a store until there is no room, empties it, and does so again: ``KIND DIRECTORY LIMIT FILE_SIZE SHARE``.

LIMIT is the store's own (0: none), FILE_SIZE how many bytes more than now a file of this process may have (0: any).
On a small file system both may be 0. SHARE of the messages is removed before the store is filled again: not each can
use the room of less. Prints how many messages fitted each time; fails by an AssertionError.
"""

from __future__ import annotations

import random
import resource
import sys
from pathlib import Path

from stompserver.broker.oplog import Op
from stompserver.errors import StoreFull
from stompserver.stores.base import Place, open_store
from stompserver.testing import Double, drop, mark, message, put, remove

BODY = b"x" * 3000
MARKS = 400
"""In one commit: SQLite writes a page for each, and its room for that is bounded."""


def fill(both: Double, key: int, queue: str) -> int:
    """Put until nothing fits, not even one; the last key tried."""
    for length in (20, 1):
        full = False
        while not full:
            made = [message(key + each + 1, BODY) for each in range(length)]
            try:
                both.commit(*[put(queue, each) for each in made])
            except StoreFull:
                full = True
            key += length
    return key


def take_out(both: Double, chance: random.Random, queue: str, share: float) -> None:
    """Remove in any order, one by one and in batches, with marks; all of this must go when nothing fits."""
    keys = [key for key in both.model.get(queue, ()) if chance.random() < share]
    chance.shuffle(keys)
    while keys:
        ops: list[Op] = []
        for _ in range(min(len(keys), chance.choice([1, 50]))):
            key = keys.pop()
            ops.append(remove(queue, message(key, BODY)))
            if keys:
                ops.append(mark(queue, keys[-1], 3))
        both.commit(*ops)


def main(kind: str, directory: str, limit: int, file_size: int, share: float) -> None:
    place = Place(Path(directory) / "storage", Path(directory) / "etc", limit)
    both = Double(lambda: open_store(kind, place))
    if file_size:
        now = max([path.stat().st_size for path in place.storage.rglob("*") if path.is_file()], default=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (now + file_size, now + file_size))
    chance = random.Random(11)
    key = 0
    for cycle in range(4):
        key = fill(both, key, "/queue/a")
        both.check()
        some = list(both.model["/queue/a"])[::3]
        for start in range(0, len(some), MARKS):
            both.commit(*[mark("/queue/a", each, cycle + 1) for each in some[start : start + MARKS]])
        print(len(both.model["/queue/a"]), flush=True)
        take_out(both, chance, "/queue/a", share)
        both.check()
        # What was freed is of use, if not all of it.
        before = len(both.model.get("/queue/a", ()))
        key = fill(both, key, "/queue/b")
        assert len(both.model.get("/queue/b", ())) > before // 4, (
            before,
            len(both.model.get("/queue/b", ())),
        )
        both.reopen()
        both.check()
        if cycle % 2 and kind != "activerecord":
            # In one transaction, for which SQLite on a full disk may have no room.
            both.commit(drop("/queue/a"), drop("/queue/b"))
        else:
            take_out(both, chance, "/queue/b", 1)
            take_out(both, chance, "/queue/a", 1)
        assert both.reopen() == []
    both.commit(put("/queue/a", message(key + 1, BODY)))
    both.check()
    if limit:
        total = sum([path.stat().st_blocks * 512 for path in place.storage.rglob("*") if path.is_file()])
        print("took", total, file=sys.stderr)
    both.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
