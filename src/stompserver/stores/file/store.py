"""One frame, one file, below ``STORAGE/file``: readable with a pager, and no index beside the files.

::

    format                     the number of this layout
    journal                    the commit record (file_journal.py)
    reserve                    space for the way out of a full disk
    new/                       files being written, and directories being dropped
    queues/QUEUE/BUCKET/FILE   the messages (file_names.py, file_frame.py)

How a commit is all or nothing, at ``kill -9`` and at a power cut: what is in ``new`` is not there yet.

1. The files of all PUTs are written in ``new``, and synced.
2. A commit of one change is that change, and the file system does it whole or not: a file renamed to its place (PUT),
   renamed (MARK), unlinked (REMOVE), a directory renamed into ``new`` (DROP). Then the directory is synced.
3. A commit of several writes one record of its renames and unlinks into ``journal``, and syncs it: now it is
   committed. Then they are done. Their directories need no sync before the next commit takes the record away.

At the start a whole record is done again, which changes nothing that was done already; then whatever is left in
``new`` belongs to no commit and is deleted. So a body is written once, and one message costs two syncs.

The syncs of a batch run side by side in threads: a file system joins them in its own group commit. Listings of
buckets in use are remembered, up to a bound; nothing else grows with the number of messages.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.oplog import MARK, PUT, REMOVE, Op
from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place, Stored
from stompserver.stores.disk import (
    NO_ROOM,
    Anchor,
    Threads,
    allocate,
    made_whole,
    refused,
    sync_directory,
    sync_file,
    write_new,
)
from stompserver.stores.file import frame as file_frame
from stompserver.stores.file.journal import ROOM, Changes, Journal
from stompserver.stores.file.names import bucket_name, bucket_of, file_name, parsed
from stompserver.stores.file.tree import Batch, Change, Queue, Tree

FORMAT: Final = 1

RESERVE: Final = 1 << 20
"""Bytes given up when a directory needs a block for what removes something."""


class FileStore:
    """Messages as files. Raises as Store says."""

    keeps = True
    local = True
    most = 1_000
    swell = 1
    description = "file store: one file a message"

    def __init__(self, place: Place) -> None:
        self._directory = place.storage / "file"
        self._root = str(self._directory)
        self._limit = place.limit
        self._threads = Threads()
        self._tree = Tree(self._root, self._threads)
        self._unsynced = False
        """Whether a commit without sync came since the last sync."""
        self._broken = ""
        self._serial = 0
        self._journal: Journal | None = None
        self._anchor = Anchor()
        try:
            if not self._directory.exists():
                self._create()
            self._check_format()
            self._recover()
            self._reserved = self._hold_reserve()
            self._anchor.hold(
                self._directory, *[self._directory / name for name in ("format", "journal", "new", "queues")]
            )
        except OSError as problem:
            self.close()
            raise refused(problem, f"open the store {self._root}") from problem

    # Opening

    def _create(self) -> None:
        with made_whole(self._directory) as aside:
            for directory in (aside / "new", aside / "queues"):
                directory.mkdir(mode=0o700)
            write_new(str(aside / "format"), b"%d\n" % FORMAT, b"", True)
            journal = Journal(aside / "journal")
            try:
                journal.reserve(ROOM)
                journal.clear(True)
            finally:
                journal.close()

    def _check_format(self) -> None:
        try:
            format = (self._directory / "format").read_bytes().strip()
        except FileNotFoundError:
            raise StoreForeign(f"{self._root} has no file 'format': it is not a store of this kind") from None
        if not format.isdigit():
            raise StoreForeign(f"{self._root}/format is no number")
        if int(format) > FORMAT:
            raise StoreForeign(
                f"{self._root} has format {int(format)}, of a newer version; this one knows {FORMAT}"
            )
        for name in ("new", "queues"):
            if not (self._directory / name).is_dir():
                raise StoreDamaged(f"{self._root}/{name} is missing")

    def _recover(self) -> None:
        """Finish the batch that was committed and perhaps not done; forget those that were not committed."""
        self._journal = Journal(self._directory / "journal")
        changes = self._journal.read()
        if changes is not None:
            for directory in changes.puts:
                os.makedirs(f"{self._root}/{directory}", 0o700, exist_ok=True)
            changes.apply(self._root, again=True)
            for directory in changes.directories():
                with suppress(FileNotFoundError):
                    sync_directory(f"{self._root}/{directory}")
            self._journal.clear(True)
        self._sweep()

    def _sweep(self) -> None:
        with os.scandir(f"{self._root}/new") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)

    def _hold_reserve(self) -> bool:
        try:
            file = os.open(f"{self._root}/reserve", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                allocate(file, os.fstat(file).st_size, RESERVE)
            finally:
                os.close(file)
        except OSError as problem:
            if problem.errno in NO_ROOM:
                return False
            raise
        return True

    # What a store does

    def load(self) -> list[Stored]:
        """Count by the names of the files; take out the transient ones of an earlier run, and empty directories."""
        self._check_open()
        try:
            return self._tree.load()
        except OSError as problem:
            raise refused(problem, f"list {self._root}") from problem

    def commit(self, ops: list[Op], sync: bool) -> None:
        """Do ``ops`` as the module tells."""
        self._check_loaded()
        try:
            batch, dropped = self._planned(ops)
        except OSError as problem:
            raise refused(problem, f"list {self._root}") from problem
        if sync and self._unsynced:
            self.sync()
        if not batch and not dropped:
            return
        self._unsynced = not sync
        written: list[tuple[tuple[str, int], str]] = []
        try:
            self._make_room(batch)
            written = self._write_new(batch, sync)
            changes = self._changes(batch, dropped, dict(written))
            if len(changes) > 1:
                self._record(changes, sync, bool(written))
            elif self._journal is not None and self._journal.live:
                self._retire(sync)
        except OSError as problem:
            self._withdraw(written)
            raise refused(problem, f"write in {self._root}") from problem
        except BaseException:
            self._withdraw(written)
            raise
        try:
            self._finish(changes, sync)
        except OSError as problem:
            # Committed and not done: nobody may go on with this before a start has done it again.
            self._broken = f"{self._root} needs a new start after: {problem.strerror or problem}"
            raise StoreError(
                f"cannot finish a commit in {self._root}: {problem.strerror or problem}"
            ) from problem
        self._tree.account(batch, dropped, set() if sync else {place for place, _ in written})

    def _planned(self, ops: list[Op]) -> tuple[Batch, list[Queue]]:
        """What ``ops`` come to, message by message, and the queues to drop whole."""
        batch: Batch = {}
        dropped: dict[str, Queue] = {}
        for op in ops:
            kind = op.kind
            if kind in (PUT, MARK, REMOVE):
                change = batch.get((op.queue, op.key))
                if change is None:
                    old = "" if op.queue in dropped else self._tree.find(op.queue, op.key)
                    if (kind == PUT) == bool(old):
                        # There already, or not there.
                        continue
                    change = batch[(op.queue, op.key)] = Change(old)
                if kind == PUT and not change.new:
                    assert op.message is not None
                    message = change.message = op.message
                    change.new = file_name(op.key, message.size, message.attempts, not message.persistent)
                elif kind == MARK and change.new:
                    change.new = _marked(change.new, op.attempts)
                elif kind == REMOVE:
                    change.new, change.message = "", None
                continue
            for place in [place for place in batch if place[0] == op.queue]:
                del batch[place]
            if op.queue in self._tree.queues:
                dropped[op.queue] = self._tree.queues[op.queue]
        for name in {name for name, _ in batch}.intersection(dropped):
            # The directory is needed again at once, so it is emptied file by file.
            for key, file in self._tree.all(dropped.pop(name)):
                batch.setdefault((name, key), Change("")).old = file
                batch[name, key].new = batch[name, key].new if batch[name, key].message is not None else ""
        done = {
            place: change for place, change in batch.items() if change.message or change.old != change.new
        }
        return done, list(dropped.values())

    # A commit, step by step

    def _make_room(self, batch: Batch) -> None:
        """Refuse PUTs where what removes could not be done afterwards. Raises StoreFull."""
        more = [change.message.size for change in batch.values() if change.message is not None]
        if not more:
            return
        if (
            self._limit
            and sum(more) + sum([queue.bytes for queue in self._tree.queues.values()]) > self._limit
        ):
            raise StoreFull(f"{self._root} has reached its limit of {self._limit} bytes")
        if not self._reserved:
            self._reserved = self._hold_reserve()
            if not self._reserved:
                raise StoreFull(f"no room for more in {self._root}")

    def _write_new(self, batch: Batch, sync: bool) -> list[tuple[tuple[str, int], str]]:
        """Write the files of all PUTs in ``new``; their names there. Removes them again where one fails."""
        written: list[tuple[tuple[str, int], str]] = []
        work: list[tuple[str, Message]] = []
        for place, change in batch.items():
            if change.message is not None:
                self._serial += 1
                aside = f"{self._serial:x}"
                written.append((place, aside))
                work.append((f"{self._root}/new/{aside}", change.message))

        def write(pair: tuple[str, Message]) -> None:
            head, body = file_frame.encode(pair[1])
            write_new(pair[0], head, body, sync)

        try:
            self._tree.make_buckets({(name, bucket_of(key)): None for (name, key), _ in written}, sync)
            if sync:
                self._threads.each(write, work)
            else:
                for pair in work:
                    write(pair)
        except BaseException:
            self._withdraw(written)
            raise
        return written

    def _changes(
        self, batch: Batch, dropped: Iterable[Queue], written: dict[tuple[str, int], str]
    ) -> Changes:
        changes = Changes()
        for queue in dropped:
            self._serial += 1
            changes.drops.append((os.path.basename(queue.directory), f"{self._serial:x}"))
        for place, change in batch.items():
            name, key = place
            bucket = f"{self._tree.queues[name].directory}/{bucket_name(bucket_of(key))}"
            if change.message is not None:
                changes.puts.setdefault(bucket, []).append((written[place], change.new))
                if change.old and change.old != change.new:
                    changes.removes.setdefault(bucket, []).append(change.old)
            elif change.new:
                changes.renames.setdefault(bucket, []).append((change.old, change.new))
            else:
                changes.removes.setdefault(bucket, []).append(change.old)
        return changes

    def _record(self, changes: Changes, sync: bool, puts: bool) -> None:
        """Commit ``changes``: when this returns, a start will do them."""
        assert self._journal is not None
        if sync:
            # What the last record did must not need it any more; where its files came from is synced behind that.
            self._tree.sync_touched()
            if puts:
                sync_directory(f"{self._root}/new")
        record = changes.encode()
        try:
            try:
                self._journal.write(record, sync)
            except OSError as problem:
                if puts or problem.errno not in NO_ROOM or not self._give_up_reserve():
                    raise
                self._journal.write(record, sync)
        except OSError:
            # It may hold a part of the record, or all of it.
            try:
                self._journal.clear(sync)
            except OSError as problem:
                self._broken = f"{self._root} needs a new start after: {problem.strerror or problem}"
            raise

    def _finish(self, changes: Changes, sync: bool) -> None:
        """Do ``changes``, and make them safe where no record does."""
        single = len(changes) == 1
        try:
            changes.apply(self._root)
        except OSError as problem:
            if problem.errno not in NO_ROOM or not self._give_up_reserve():
                raise
            changes.apply(self._root, again=True)
        if single and sync:
            for directory in changes.directories():
                sync_directory(f"{self._root}/{directory}")
        else:
            self._tree.touched |= changes.directories()
        for _, aside in changes.drops:
            if single and sync:
                sync_directory(f"{self._root}/new")
            shutil.rmtree(f"{self._root}/new/{aside}", ignore_errors=True)

    def _withdraw(self, written: list[tuple[tuple[str, int], str]]) -> None:
        for _, aside in written:
            with suppress(OSError):
                os.unlink(f"{self._root}/new/{aside}")

    def _give_up_reserve(self) -> bool:
        """Give the reserve to the file system; whether there was one."""
        if not self._reserved:
            return False
        self._reserved = False
        with suppress(OSError):
            os.truncate(f"{self._root}/reserve", 0)
        return True

    def _retire(self, sync: bool) -> None:
        """Have no record: what it did is safe, or need not be."""
        assert self._journal is not None
        if sync:
            self._tree.sync_touched()
        self._journal.clear(sync)

    def sync(self) -> None:
        """Sync what commits without ``sync`` left."""
        self._check_open()
        try:
            self._threads.each(sync_file, list(self._tree.unsynced.values()))
            self._tree.unsynced.clear()
            if self._journal is not None and self._journal.live:
                self._retire(True)
            else:
                self._tree.sync_touched()
            self._unsynced = False
        except OSError as problem:
            raise StoreError(f"cannot sync {self._root}: {problem.strerror or problem}") from problem

    def verify(self) -> None:
        """Whether the directories, and the files that each start needs, are those of the start. A queue's own
        directory shows by itself when it is gone.
        """
        self._anchor.verify()

    def spare(self) -> int:
        """None: files give their space back by themselves."""
        return 0

    # Reading

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """Open the files that the names point out."""
        self._check_loaded()
        found: list[Message | Damage] = []
        held = 0
        try:
            for path, name in self._tree.after(queue, after):
                if len(found) >= limit or (found and held >= room):
                    break
                message = self._read(path, name)
                found.append(message)
                if isinstance(message, Message):
                    held += message.size
        except OSError as problem:
            raise refused(problem, f"list {self._root}") from problem
        return found

    def _read(self, path: str, name: str) -> Message | Damage:
        known = parsed(name)
        assert known is not None
        key, size, attempts, transient = known
        try:
            with open(path, "rb") as file:
                message = file_frame.decode(key, attempts, file.read())
            if (message.size, message.persistent) != (size, not transient):
                raise StoreDamaged("it is not what its name tells")
        except OSError as problem:
            return Damage(key, path, problem.strerror or str(problem))
        except (StoreError, ValueError, KeyError, TypeError) as problem:
            return Damage(key, path, str(problem))
        return message

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """All files, by the directories as they are; then what is not a message and in the wrong place."""
        self._check_loaded()
        for name in sorted(self._tree.queues):
            after, count = -1, 0
            while chunk := self.read(name, after, 100, 4 << 20):
                for each in chunk:
                    count += 1
                    yield name, each
                after = chunk[-1].key
            queue = self._tree.queues.get(name)
            if queue is not None and count != queue.count:
                told = f"{queue.count} messages are counted, {count} are there"
                yield name, Damage(0, f"{self._root}/{queue.directory}", told)
        try:
            yield from self._tree.strays()
        except OSError as problem:
            raise refused(problem, f"list {self._root}") from problem

    def compact(self) -> tuple[int, int]:
        """Remove empty directories; files give their space back by themselves."""
        self._check_open()
        try:
            before = _taken(self._root)
            self.sync()
            self._sweep()
            self._tree.remove_empty()
            return before, min(before, _taken(self._root))
        except OSError as problem:
            raise refused(problem, f"compact {self._root}") from problem

    def close(self) -> None:
        """Let go; a record that is still there is done again at the next start, which changes nothing."""
        self._threads.close()
        self._anchor.release()
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _check_loaded(self) -> None:
        self._check_open()
        if not self._tree.loaded:
            self.load()

    def _check_open(self) -> None:
        if self._broken:
            raise StoreError(self._broken)
        if self._journal is None:
            raise StoreError(f"{self._root} is closed")


def _marked(name: str, attempts: int) -> str:
    known = parsed(name)
    assert known is not None
    return file_name(known[0], known[1], attempts, known[3])


def _taken(path: str) -> int:
    """Bytes that the directory takes from the file system."""
    total = 0
    for directory, _, names in os.walk(path):
        for each in (directory, *[f"{directory}/{name}" for name in names]):
            with suppress(FileNotFoundError):
                total += os.lstat(each).st_blocks * 512
    return total
