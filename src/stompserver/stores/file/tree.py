"""The directories of the file store as they are: queues, their buckets, the names in them, and what is not synced."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from stompserver.broker.message import Message
from stompserver.stores.base import Damage, Stored
from stompserver.stores.disk import Threads, sync_directory, write_new
from stompserver.stores.file.names import (
    NAME,
    bucket_name,
    bucket_number,
    bucket_of,
    directory_of,
    parsed,
    queue_of,
)

LISTED: Final = 100_000
"""File names remembered."""

IDLE: Final = 256
"""Empty queues whose directories stay, so that a queue that is empty now and then costs no directory each time."""


class Queue:
    """A queue with a directory: messages and bytes in it, and how many messages each bucket has."""

    __slots__ = ("buckets", "bytes", "count", "directory", "name")

    def __init__(self, name: str, directory: str) -> None:
        self.name = name
        self.directory = directory
        self.count: int = 0
        self.bytes: int = 0
        self.buckets: dict[int, int] = {}


class Change:
    """What a batch makes of one message: its file's name ``old`` before and ``new`` after it ("" for none), and the
    ``message`` to write.
    """

    __slots__ = ("message", "new", "old")

    def __init__(self, old: str) -> None:
        self.old = old
        self.new = old
        self.message: Message | None = None


Batch = dict[tuple[str, int], Change]


class Tree:
    """What is below ``root``. ``queues`` are those with a directory, once ``loaded``; ``touched`` the directories,
    and ``unsynced`` the files by queue and key, that a power cut could still undo. Methods raise OSError.
    """

    def __init__(self, root: str, threads: Threads) -> None:
        self.root = root
        self._threads = threads
        self.loaded = False
        self.queues: dict[str, Queue] = {}
        self.touched: set[str] = set()
        self.unsynced: dict[tuple[str, int], str] = {}
        self._listings: OrderedDict[tuple[str, int], dict[int, str]] = OrderedDict()
        self._listed = 0
        self._idle: dict[str, None] = {}
        """Queues whose directories are empty, the longest empty first."""
        self._doomed: set[tuple[str, int]] = set()
        """Empty buckets that go when what emptied them is safe."""

    def load(self) -> list[Stored]:
        """Count by the names of the files. The first time, transient messages and empty directories go."""
        purge, self.loaded = not self.loaded, True
        self.queues.clear()
        self._listings.clear()
        self._listed = 0
        found = []
        for directory in Path(self.root, "queues").iterdir():
            name = queue_of(directory) if directory.is_dir() else None
            if name is None:
                if purge:
                    # Made by a commit that ended there; what holds anything stays.
                    with suppress(OSError):
                        directory.rmdir()
                continue
            queue = Queue(name, f"queues/{directory.name}")
            lowest, highest = -1, 0
            for bucket, names in self._buckets(queue):
                keys = self._count_bucket(queue, bucket, names, purge)
                if keys:
                    lowest = keys[0] if lowest < 0 else min(lowest, keys[0])
                    highest = max(highest, keys[-1])
            if queue.count:
                self.queues[name] = queue
                found.append(Stored(name, queue.count, queue.bytes, lowest, highest))
            elif purge:
                self._remove_directory(queue)
        return found

    def _buckets(self, queue: Queue) -> Iterator[tuple[int, list[str]]]:
        """The buckets in the queue's directory, with the names of what is in them."""
        path = f"{self.root}/{queue.directory}"
        for name in os.listdir(path):
            bucket = bucket_number(name)
            if bucket is not None:
                with suppress(NotADirectoryError):
                    yield bucket, os.listdir(f"{path}/{name}")

    def _count_bucket(self, queue: Queue, bucket: int, names: list[str], purge: bool) -> list[int]:
        path = f"{self.root}/{queue.directory}/{bucket_name(bucket)}"
        keys = []
        for name in names:
            known = parsed(name)
            if known is None:
                continue
            key, size, _, transient = known
            if transient and purge:
                os.unlink(f"{path}/{name}")
            else:
                keys.append(key)
                queue.bytes += size
        if keys or not purge:
            queue.buckets[bucket] = len(keys)
            queue.count += len(keys)
        else:
            with suppress(OSError):
                os.rmdir(path)
        return [min(keys), max(keys)] if keys else []

    def find(self, name: str, key: int) -> str:
        """The name of the message's file; empty when there is none."""
        queue = self.queues.get(name)
        if queue is None or bucket_of(key) not in queue.buckets:
            return ""
        return self.listing(queue, bucket_of(key)).get(key, "")

    def all(self, queue: Queue) -> Iterator[tuple[int, str]]:
        """Keys and file names of all messages of ``queue``."""
        for bucket in queue.buckets:
            yield from list(self.listing(queue, bucket).items())

    def after(self, name: str, key: int) -> Iterator[tuple[str, str]]:
        """Paths and names of the files of a queue's messages above ``key``, in order."""
        queue = self.queues.get(name)
        if queue is None:
            return
        for bucket in sorted([bucket for bucket in queue.buckets if bucket >= bucket_of(max(key, 0))]):
            listing = self.listing(queue, bucket)
            for each in sorted([each for each in listing if each > key]):
                yield f"{self.root}/{queue.directory}/{bucket_name(bucket)}/{listing[each]}", listing[each]

    def listing(self, queue: Queue, bucket: int) -> dict[int, str]:
        """The files of a bucket by key; remembered."""
        place = (queue.name, bucket)
        listing = self._listings.get(place)
        if listing is not None:
            self._listings.move_to_end(place)
            return listing
        listing = {}
        with suppress(FileNotFoundError):
            for name in os.listdir(f"{self.root}/{queue.directory}/{bucket_name(bucket)}"):
                known = parsed(name)
                if known is not None:
                    listing[known[0]] = name
        self._listings[place] = listing
        self._listed += len(listing)
        while self._listed > LISTED and len(self._listings) > 1:
            self._listed -= len(self._listings.popitem(last=False)[1])
        return listing

    def make_buckets(self, wanted: Iterable[tuple[str, int]], sync: bool) -> None:
        """Have directories for buckets of queues. What is made stays when the commit fails."""
        changed: dict[str, None] = {}
        for name, bucket in wanted:
            # What was about to go is needed again.
            self._doomed.discard((name, bucket))
            queue = self.queues.get(name)
            if queue is None:
                queue = Queue(name, f"queues/{directory_of(name)}")
                self._make_queue(queue, sync)
                self.queues[name] = queue
                self._idle[name] = None
                changed["queues"] = None
            if bucket not in queue.buckets:
                with suppress(FileExistsError):
                    os.mkdir(f"{self.root}/{queue.directory}/{bucket_name(bucket)}", 0o700)
                queue.buckets[bucket] = 0
                changed[queue.directory] = None
        if sync:
            self._sync(changed)
        else:
            self.touched.update(changed)

    def _make_queue(self, queue: Queue, sync: bool) -> None:
        path = f"{self.root}/{queue.directory}"
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        if "~" in queue.directory:
            aside = f"{self.root}/new/name"
            with suppress(FileNotFoundError):
                os.unlink(aside)
            write_new(aside, queue.name.encode("utf-8", "surrogateescape"), b"", sync)
            os.rename(aside, f"{path}/{NAME}")

    def _sync(self, directories: Iterable[str]) -> None:
        def one(directory: str) -> None:
            # Gone when its queue was dropped, which is synced in the directory above.
            with suppress(FileNotFoundError):
                sync_directory(f"{self.root}/{directory}")

        self._threads.each(one, list(directories))

    def sync_touched(self) -> None:
        """Make changes in directories survive a power cut; buckets that are empty by them go."""
        self._sync(self.touched)
        self.touched.clear()
        doomed, self._doomed = self._doomed, set()
        for name, bucket in doomed:
            queue = self.queues.get(name)
            if queue is not None and not queue.buckets.get(bucket, 1) and bucket != max(queue.buckets):
                self._remove_bucket(queue, bucket)

    def account(self, batch: Batch, dropped: Iterable[Queue], unsynced: set[tuple[str, int]]) -> None:
        """Count what was done."""
        for queue in dropped:
            for bucket in queue.buckets:
                self._listed -= len(self._listings.pop((queue.name, bucket), ()))
            del self.queues[queue.name]
            self._idle.pop(queue.name, None)
            for place in [place for place in self.unsynced if place[0] == queue.name]:
                del self.unsynced[place]
        emptied: dict[str, None] = {}
        for place, change in batch.items():
            name, key = place
            queue = self.queues[name]
            bucket = bucket_of(key)
            self._account_file(queue, bucket, key, change)
            if not change.new:
                self.unsynced.pop(place, None)
                if not queue.buckets[bucket]:
                    emptied[name] = None
            elif place in self.unsynced or place in unsynced:
                path = f"{self.root}/{queue.directory}/{bucket_name(bucket)}/{change.new}"
                self.unsynced[place] = path
            if queue.count:
                self._idle.pop(name, None)
        for name in emptied:
            self._tidy(self.queues[name])

    def _account_file(self, queue: Queue, bucket: int, key: int, change: Change) -> None:
        listing = self._listings.get((queue.name, bucket))
        for name, sign in ((change.old, -1), (change.new, 1)):
            if name:
                known = parsed(name)
                assert known is not None
                queue.count += sign
                queue.bytes += sign * known[1]
                queue.buckets[bucket] += sign
                if listing is not None:
                    self._listed += sign
        if listing is not None:
            if change.new:
                listing[key] = change.new
            else:
                del listing[key]

    def _tidy(self, queue: Queue) -> None:
        """Remove directories that are not needed any more: buckets but the last, and the longest empty queues."""
        if not queue.count:
            self._idle[queue.name] = None
        last = max(queue.buckets)
        for bucket in [bucket for bucket, count in queue.buckets.items() if not count and bucket != last]:
            if f"{queue.directory}/{bucket_name(bucket)}" in self.touched:
                self._doomed.add((queue.name, bucket))
            else:
                self._remove_bucket(queue, bucket)
        while len(self._idle) > IDLE:
            name = next(iter(self._idle))
            del self._idle[name]
            self._remove_directory(self.queues.pop(name))

    def remove_empty(self) -> None:
        """Remove all directories without messages."""
        for queue in list(self.queues.values()):
            for bucket in [bucket for bucket, count in queue.buckets.items() if not count]:
                self._remove_bucket(queue, bucket)
            if not queue.count:
                self._idle.pop(queue.name, None)
                self._remove_directory(self.queues.pop(queue.name))

    def _remove_bucket(self, queue: Queue, bucket: int) -> None:
        directory = f"{queue.directory}/{bucket_name(bucket)}"
        with suppress(OSError):
            if directory in self.touched:
                # Else a power cut could bring back both the directory and what was in it.
                sync_directory(f"{self.root}/{directory}")
                self.touched.discard(directory)
            os.rmdir(f"{self.root}/{directory}")
        self._listed -= len(self._listings.pop((queue.name, bucket), ()))
        queue.buckets.pop(bucket, None)

    def _remove_directory(self, queue: Queue) -> None:
        for bucket in list(queue.buckets):
            self._remove_bucket(queue, bucket)
        path = f"{self.root}/{queue.directory}"
        with suppress(OSError):
            if os.listdir(path) == [NAME]:
                os.unlink(f"{path}/{NAME}")
            os.rmdir(path)

    def strays(self) -> Iterator[tuple[str, Damage]]:
        """What is not a message, or not at its place."""
        for directory in sorted(Path(self.root, "queues").iterdir()):
            name = queue_of(directory) if directory.is_dir() else None
            if name is None:
                yield "", Damage(0, str(directory), "not the directory of a queue")
                continue
            for entry in sorted(directory.iterdir()):
                if bucket_number(entry.name) is None or not entry.is_dir():
                    if entry.name != NAME:
                        yield name, Damage(0, str(entry), "not a directory of messages")
                    continue
                keys: set[int] = set()
                for file in sorted(os.listdir(entry)):
                    known = parsed(file)
                    if known is None:
                        yield name, Damage(0, f"{entry}/{file}", "not the name of a message")
                    elif bucket_of(known[0]) != bucket_number(entry.name):
                        yield name, Damage(known[0], f"{entry}/{file}", "in the wrong directory")
                    elif known[0] in keys:
                        yield name, Damage(known[0], f"{entry}/{file}", "a second file for the same message")
                    else:
                        keys.add(known[0])
