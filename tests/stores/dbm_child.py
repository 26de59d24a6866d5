"""What test_dbm.py kills: a store with a known row of batches. Run by itself (directory, library), it makes a store
in directory/1, and dies at the first call that changes a file; in directory/2, at the second; and so on, and prints
for each the last batch that was committed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stompserver.broker.oplog import Op
from stompserver.stores.base import Place
from stompserver.stores.dbm.store import DbmStore
from stompserver.testing import mark, message, put, remove

CALLS = ("pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "posix_fallocate", "ftruncate")


def open_at(directory: str | Path, engine: str) -> DbmStore:
    """A store that makes a segment every few batches."""
    place = Place(Path(directory) / "storage", Path(directory) / "etc")
    return DbmStore(place, engine, roll=12_000)


def _key(number: int, each: int) -> int:
    return number * 10 + each + 1


def ops_of(number: int) -> list[Op]:
    """Batch ``number``, from 0: five messages come, one of the batch before comes back, most of the oldest go."""
    ops = []
    for each in range(5):
        key = _key(number, each)
        ops.append(put(_queue(each), message(key, b"%d " % key * 100)))
    if number >= 1:
        ops.append(mark(_queue(2), _key(number - 1, 2), number))
    if number >= 3:
        last = 5 if number % 7 else 4
        for each in range(last):
            key = _key(number - 3, each)
            ops.append(remove(_queue(each), message(key, b"%d " % key * 100)))
    return ops


def _queue(each: int) -> str:
    return f"/queue/{each % 2}"


def due(last: int) -> list[tuple[str, int, int]]:
    """Queue, key and attempts of what is there after batch ``last``; -1 is before the first."""
    held: dict[tuple[str, int], int] = {}
    for number in range(last + 1):
        for op in ops_of(number):
            if op.message is not None:
                held[op.queue, op.key] = 0
            elif op.attempts:
                held[op.queue, op.key] = op.attempts
            else:
                del held[op.queue, op.key]
    return sorted((queue, key, attempts) for (queue, key), attempts in held.items())


def _die_at(call: int) -> None:
    left = call

    def wrap(function):  # type: ignore[no-untyped-def]
        def wrapped(*args, **keywords):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left < 1:
                os._exit(9)
            return function(*args, **keywords)

        return wrapped

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))


def _main(directory: str, engine: str) -> None:
    for call in range(1, 1000):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            (Path(directory) / str(call)).mkdir()
            _die_at(call)
            store = open_at(Path(directory) / str(call), engine)
            store.load()
            for number in range(13):
                store.commit(ops_of(number), True)
                os.write(writer, b"%d\n" % number)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            acked = lines.read().split()
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        print(acked[-1] if acked else -1)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
