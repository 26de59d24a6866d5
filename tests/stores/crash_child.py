"""What test_crash.py kills: a store with a row of batches that follows from a number alone.

``run KIND DIRECTORY SEED FIRST`` commits batches from FIRST on for ever and prints the number of each when it is
committed. ``points KIND DIRECTORY SEED COUNT`` dies at the first call that changes the disk, then at the second and
so on, each time with a store of its own, and prints what was committed and where the store is.
``power DIRECTORY SEED COUNT`` does the same for the file store at each sync, and leaves of the directory what a power
cut may leave (see Disk).
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stompserver.broker.oplog import Op
from stompserver.stores.base import Place, Store, open_store
from stompserver.testing import Model, drop, mark, message, put, remove

QUEUES = ["/queue/a", "/queue/a/b", "/queue/A", "/queue/" + "x" * 300]
CALLS = (
    "open", "write", "writev", "pwrite", "fsync", "fdatasync", "rename", "replace", "unlink", "mkdir", "rmdir",
    "truncate", "ftruncate", "posix_fallocate", "close",
)  # fmt: skip


def batches(seed: int) -> Iterator[tuple[list[Op], bool]]:
    """Batches and whether they are synced: of one op and of many, over all ops and over directories' borders."""
    chance = random.Random(seed)
    held: dict[tuple[str, int], bytes] = {}
    key = 4090
    while True:
        ops: list[Op] = []
        touched = set()
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            old = [place for place in held if place not in touched]
            if old and chance.random() < 0.5:
                place = chance.choice(old)
                touched.add(place)
                if chance.random() < 0.3:
                    ops.append(mark(*place, chance.randrange(1, 20)))
                else:
                    ops.append(remove(place[0], message(place[1], held.pop(place))))
            else:
                key += chance.choice([1, 1, 1, 3000])
                queue = chance.choice(QUEUES)
                held[queue, key] = b"%d " % key * chance.choice([0, 1, 20, 900])
                touched.add((queue, key))
                ops.append(put(queue, message(key, held[queue, key])))
        if chance.random() < 0.04:
            queue = chance.choice(QUEUES)
            ops.append(drop(queue))
            held = {place: body for place, body in held.items() if place[0] != queue}
        yield ops, chance.random() < 0.9


def model_after(seed: int, count: int) -> Model:
    """What is there after the first ``count`` batches."""
    model = Model()
    for _, (ops, _) in zip(range(count), batches(seed), strict=False):
        model.apply(ops)
    return model


def open_at(kind: str, directory: str | Path) -> Store:
    """The store of that kind in ``directory``."""
    return open_store(kind, Place(Path(directory) / "storage", Path(directory) / "etc"))


def run(kind: str, directory: str, seed: int, first: int) -> None:
    store = open_at(kind, directory)
    store.load()
    for number, (ops, sync) in enumerate(batches(seed)):
        if number >= first:
            store.commit(ops, sync)
            os.write(1, b"%d\n" % (number + 1))


def _wrap(calls: tuple[str, ...], before: Callable[[str, Any], None]) -> None:
    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            before(name, args)
            return function(*args, **keywords)

        return call

    for name in calls:
        setattr(os, name, wrapped(name, getattr(os, name)))


def _tell(write: Callable[[int, bytes], int], file: int, number: int) -> None:
    write(file, b"%d\n" % number)


def _each_point(child: Callable[[int, Callable[[int], None]], None]) -> None:
    """Fork a ``child`` for each point in turn, until one gets through; print what each said it committed."""
    for point in range(1, 10_000):
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            child(point, partial(_tell, os.write, writer))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            said = lines.read().split()
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 9):
            sys.exit(f"point {point} ended with status {status}")
        print(point, said[-1] if said else 0, flush=True)
        if status == 0:
            return


def points(kind: str, directory: str, seed: int, count: int) -> None:
    def child(point: int, tell: Callable[[int], None]) -> None:
        left = point

        def die(name: str, args: Any) -> None:
            nonlocal left
            if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
                return
            left -= 1
            if left < 1:
                os._exit(9)

        _wrap(CALLS, die)
        store = open_at(kind, f"{directory}/{point}")
        store.load()
        for number, (ops, sync) in zip(range(count), batches(seed), strict=False):
            store.commit(ops, sync)
            tell(number + 1)

    _each_point(child)


class Disk:
    """What a power cut may leave of a directory: of each file what was there at its last sync, and of each directory
    its names at its last sync, or in either case what is there now, by chance and each by itself.
    """

    def __init__(self) -> None:
        self.files: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self._held: list[int] = []

    def synced(self, file: int) -> None:
        """A file or directory is being synced. It is held open, so that its number is used for no other."""
        number = os.fstat(file).st_ino
        self._held.append(os.dup(file))
        path = f"/proc/self/fd/{file}"
        if stat.S_ISDIR(os.fstat(file).st_mode):
            self.names[number] = _names(path)
        else:
            self.files[number] = Path(path).read_bytes()

    def cut(self, source: str, target: str, chance: random.Random) -> None:
        """Write to ``target`` what is left of ``source``."""
        paths = {os.stat(source).st_ino: source}
        for path, directories, names in os.walk(source):
            for name in directories + names:
                paths[os.lstat(f"{path}/{name}").st_ino] = f"{path}/{name}"
        now = {number for number in paths if chance.random() < 0.5}
        kept: dict[int, dict[str, int]] = {number: {} for number in paths if os.path.isdir(paths[number])}
        kept.update({number: dict(names) for number, names in self.names.items()})
        kept.update({number: _names(paths[number]) for number in now if os.path.isdir(paths[number])})
        # A rename is whole: what left one directory and is not in the other yet is still in the first.
        there = {number for names in kept.values() for number in names.values()}
        for number, names in self.names.items():
            for name, below in names.items():
                if below in paths and below not in there:
                    kept[number][name] = below
        self._leave(os.stat(source).st_ino, kept, {number: paths[number] for number in now}, target)

    def _leave(self, number: int, kept: dict[int, dict[str, int]], now: dict[int, str], target: str) -> None:
        if number in kept:
            os.makedirs(target, 0o700, exist_ok=True)
            for name, below in kept[number].items():
                self._leave(below, kept, now, f"{target}/{name}")
        elif number in now:
            shutil.copyfile(now[number], target)
        else:
            Path(target).write_bytes(self.files.get(number, b""))


def _names(path: str) -> dict[str, int]:
    with os.scandir(path) as entries:
        return {entry.name: entry.inode() for entry in entries}


def power(directory: str, seed: int, count: int) -> None:
    def child(point: int, tell: Callable[[int], None]) -> None:
        source, target = f"{directory}/live", f"{directory}/{point}"
        shutil.rmtree(source, ignore_errors=True)
        os.mkdir(source)
        disk = Disk()
        chance = random.Random(point)
        left = point
        walking = False

        def cut(name: str, args: Any) -> None:
            nonlocal left, walking
            if walking:
                return
            left -= 1
            if left < 1:
                walking = True
                disk.cut(source, target, chance)
                os._exit(9)
            if name in ("fsync", "fdatasync"):
                walking = True
                disk.synced(args[0])
                walking = False

        store = open_at("file", source)
        store.load()
        for path, directories, names in os.walk(source):
            for name in (".", *directories, *names):
                each = os.open(f"{path}/{name}", os.O_RDONLY)
                disk.synced(each)
                os.close(each)
        _wrap(("fsync", "fdatasync", "rename", "unlink", "rmdir"), cut)
        for number, (ops, _) in zip(range(count), batches(seed), strict=False):
            store.commit(ops, True)
            tell(number + 1)
        walking = True
        disk.cut(source, target, chance)

    # One thread: what is synced and what is not is then known at each call.
    import stompserver.stores.disk

    stompserver.stores.disk.THREADS = 1  # type: ignore[misc]
    _each_point(child)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1] == "points":
        points(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        power(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
