"""The recommended store: one LMDB environment, ``STORAGE/lmdb``.

Its databases, all keys big-endian so that LMDB's order is ours:

- ``messages``: number of the queue (8 octets), key of the message (8) -> record (see record.py)
- ``marks``: the same key -> attempts (4 octets), so that a delivery that came back rewrites no body
- ``transient``: the same key -> size (8), for messages that are not to outlive this run
- ``names``: number of the queue -> its name; ``counts``: number -> messages (8), bytes (8). A queue has rows here
  while it holds messages, so that a restart reads no message, and forgotten queues leave nothing.
- ``meta``: ``format`` -> the number of this layout

LMDB never overwrites what the last commit refers to, so a crash at any moment leaves that commit whole and needs
no repair. Two flushes make a commit safe: data before the page that refers to it, then that page. A commit without
``sync`` saves the second one only: to drop the first could, at a power cut, cost the whole file and not just the
newest messages.

Damage: LMDB has no checksums for its pages. It may refuse all writes for one that is damaged, or end the process.
When it finds one, or the last two runs ended without closing the store and a damaged page is found, a new file is
made of what can be read (see rescue.py), and the old one stays as ``damaged-N.mdb``. ``starts`` counts such runs.

Room: removing copies pages before it frees others. PUTs are therefore refused while there is still room for
removals: blocks are taken from the file system ahead of their use, and some of them are kept back. At ``limit`` the
map may grow past it, but only by what removes something.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

import lmdb

from stompserver.broker.message import Message
from stompserver.broker.oplog import Op
from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place, Stored
from stompserver.stores.disk import NO_ROOM, Anchor, allocate, made_whole, refused, sync_directory
from stompserver.stores.lmdb.batch import ATTEMPTS, NUMBER, Queue, Step, gathered, planned
from stompserver.stores.lmdb.pages import BadPage, Pages
from stompserver.stores.lmdb.rescue import COUNT, Rescue
from stompserver.stores.record import decode

log = logging.getLogger("stompserver.storage")

FORMAT: Final = 1

MAP: Final = 256 << 20
"""Address space at the start; it doubles when it is used up, and costs no memory."""

DATABASES: Final = (b"messages", b"marks", b"transient", b"names", b"counts")

RESERVE: Final = (1 << 20, 64 << 20)
"""Bytes kept back for removals: a sixteenth of what is used, between these."""

UNCLEAN: Final = 2
"""Runs in a row that ended without closing the store, after which all pages are looked at."""

_LAST: Final = (1 << 64) - 1

_CHUNK: Final = 10_000
"""Transient messages taken out in one transaction."""


_ODD: Final = (lmdb.BadTxnError, lmdb.CursorFullError, lmdb.PageFullError)

T = TypeVar("T")


class _RepeatedError(Exception):
    """Some of the messages to put are there already."""


class LmdbStore:
    """Messages in LMDB. Raises as Store says; may be used from any thread, from one at a time."""

    keeps = True
    local = True
    most = 50_000
    swell = 2
    description = f"lmdb store: LMDB {'.'.join(map(str, lmdb.version()))}"

    def __init__(self, place: Place) -> None:
        self._directory = place.storage / "lmdb"
        self._file = self._directory / "data.mdb"
        self._limit = place.limit
        self._env: lmdb.Environment | None = None
        self._anchor = Anchor()
        self._purged = False
        try:
            if not self._directory.exists():
                self._create()
            self._open()
        except OSError as problem:
            raise refused(problem, f"open the store {self._directory}") from problem
        except lmdb.Error as problem:
            raise self._translated(problem, "open") from problem

    # Opening

    def _create(self) -> None:
        with made_whole(self._directory) as aside:
            env = lmdb.open(str(aside), map_size=MAP, max_dbs=8, mode=0o600)
            try:
                for name in DATABASES:
                    env.open_db(name)
                meta = env.open_db(b"meta")
                with env.begin(write=True) as txn:
                    txn.put(b"format", b"%d" % FORMAT, db=meta)
            finally:
                env.close()

    def _open(self) -> None:
        for name in ("compact", "rescue"):
            shutil.rmtree(self._directory / name, ignore_errors=True)
        if not self._file.is_file() or not self._file.stat().st_size:
            raise StoreDamaged(f"{self._file} is missing or empty")
        size = max(min(self._limit or MAP, MAP), self._file.stat().st_size)
        # LMDB wants whole pages, and says so only by failing later.
        size -= size % -65536
        env = lmdb.open(str(self._directory), map_size=size, max_dbs=8, mode=0o600, metasync=False)
        self._env = env
        try:
            self._anchor.hold(self._file)
            self._page = env.stat()["psize"]
            self._map: int = env.info()["map_size"]
            cut = self._lengthen(env)
            self._taken: int = self._file.stat().st_size
            self._check_format(env, cut)
            if self._count_start():
                return
            self._databases = [env.open_db(name, create=False) for name in DATABASES]
            self._messages, self._marks, self._transient, self._names, self._counts = self._databases
            try:
                self._read_queues(env)
            except (StoreDamaged, lmdb.Error) as problem:
                if not self._counts_alone():
                    raise
                # Messages can be counted again.
                self._rescue(StoreDamaged(f"{self._file}: {problem}"))
        except BaseException:
            self.close()
            raise

    def _lengthen(self, env: lmdb.Environment) -> bool:
        """To read behind the end of a file through its map kills the process, so a file that was cut gets its length
        back: what was cut off then reads as damage. Whether it did.
        """
        length = (env.info()["last_pgno"] + 1) * self._page
        if self._file.stat().st_size < length:
            os.truncate(self._file, length)
            return True
        return False

    def _count_start(self) -> bool:
        """Count this run, until it closes the store. When those before did not, one of them may have ended by a page
        that is damaged: then that is looked for first, and whether it was found, and the store opened anew.
        """
        starts = self._directory / "starts"
        try:
            count = int(starts.read_text())
        except (OSError, ValueError):
            count = 0
        bad: list[BadPage] = []
        if count >= UNCLEAN:
            bad = self._bad_pages()
            count = 0
        with suppress(OSError):
            starts.write_text(f"{count + 1}\n")
            starts.chmod(0o600)
        if bad:
            self._rescue(StoreDamaged(f"{self._file}, {bad[0]}"))
        return bool(bad)

    def _bad_pages(self) -> list[BadPage]:
        pages = Pages(self._file, self._page)
        try:
            return pages.bad()
        finally:
            pages.close()

    def _counts_alone(self) -> bool:
        """Whether pages with counts are damaged, and none with names."""
        pages = Pages(self._file, self._page)
        try:
            roots = pages.roots()
            names, counts = [
                any(isinstance(each, BadPage) for each in pages.walk(roots[name]))
                for name in (b"names", b"counts")
            ]
            return counts and not names
        finally:
            pages.close()

    def _rescue(self, damage: StoreDamaged) -> None:
        """Put a file with all that can be read in the place of the damaged one, which stays beside it under another
        name. Raises StoreDamaged where that cannot be done.
        """
        need = self._file.stat().st_size
        status = os.statvfs(self._directory)
        if status.f_bavail * status.f_frsize < need:
            raise StoreDamaged(f"{damage}. To set that aside, {need} bytes must be free on the disk")
        aside = self._directory / "rescue"
        try:
            aside.mkdir(mode=0o700)
            pages = Pages(self._file, self._page)
            try:
                rescue = Rescue(pages)
                rescue.write(aside, 2 * max(need - need % -65536, MAP))
            finally:
                pages.close()
            copy = aside / "data.mdb"
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            self.close()
            number = 1
            while (kept := self._directory / f"damaged-{number}.mdb").exists():
                number += 1
            os.link(self._file, kept)
            copy.replace(self._file)
            sync_directory(self._directory)
        except (OSError, lmdb.Error) as problem:
            raise StoreDamaged(f"{damage}. It cannot be set aside: {problem}") from problem
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        log.error(
            "%s. All that can be read was copied; the damaged file is %s",
            damage,
            kept,
            extra={"event": "damage"},
        )
        for line in rescue.report():
            log.error("%s, %s", kept, line, extra={"event": "damage"})
        self._open()

    def _mended(self, work: Callable[[], T], doing: str) -> T:
        """``work``, once more when it met damage and that was set aside."""
        try:
            return work()
        except StoreDamaged as problem:
            self._rescue(problem)
        except lmdb.Error as problem:
            trouble = self._translated(problem, doing)
            if isinstance(problem, _ODD):
                # So it says when what it found does not fit together, but also for a fault of ours.
                bad = self._bad_pages()
                trouble = StoreDamaged(f"{trouble}, {bad[0]}") if bad else trouble
            if not isinstance(trouble, StoreDamaged):
                raise trouble from problem
            self._rescue(trouble)
        try:
            return work()
        except lmdb.Error as problem:
            raise self._translated(problem, doing) from problem

    def _check_format(self, env: lmdb.Environment, cut: bool) -> None:
        try:
            meta = env.open_db(b"meta", create=False)
        except lmdb.NotFoundError:
            if cut:
                raise StoreDamaged(f"{self._file} was cut") from None
            raise StoreForeign(f"{self._directory} is an LMDB environment of something else") from None
        with env.begin() as txn:
            format = txn.get(b"format", db=meta)
        if format is None or not format.isdigit():
            raise StoreForeign(f"{self._directory} is an LMDB environment of something else")
        if int(format) > FORMAT:
            raise StoreForeign(
                f"{self._directory} has format {int(format)}, of a newer version; this one knows {FORMAT}"
            )

    def _read_queues(self, env: lmdb.Environment) -> None:
        self._queues: dict[str, Queue] = {}
        self._next = 1
        with env.begin() as txn:
            for key, name in txn.cursor(db=self._names):
                (number,) = NUMBER.unpack(key)
                counted = txn.get(key, db=self._counts)
                if counted is None or len(counted) != COUNT.size:
                    raise StoreDamaged(f"{self._file}: queue {number} has a name and no count")
                queue = Queue(_text(name), number, *COUNT.unpack(counted))
                self._queues[queue.name] = queue
                self._next = number + 1

    # What a store does

    def load(self) -> list[Stored]:
        """The queues and their counts; takes out the transient messages of an earlier run."""
        if not self._purged:
            self._mended(self._purge, "write")
            self._purged = True
        try:
            with self._opened().begin() as txn:
                cursor = txn.cursor(db=self._messages)
                return [self._stored(cursor, queue) for queue in self._queues.values()]
        except StoreDamaged:
            return self._stored_readable()
        except lmdb.Error as problem:
            trouble = self._translated(problem, "load")
            if not isinstance(trouble, StoreDamaged):
                raise trouble from problem
            return self._stored_readable()

    def _stored_readable(self) -> list[Stored]:
        """As ``load``, of a damaged file: from the pages that are whole."""
        found: dict[bytes, list[int]] = {}
        pages = Pages(self._file, self._page)
        try:
            for each in pages.walk(pages.roots()[b"messages"], False):
                if not isinstance(each, BadPage):
                    key = NUMBER.unpack(each[0][8:])[0]
                    found.setdefault(each[0][:8], [key, key])[1] = key
        finally:
            pages.close()
        return [
            Stored(queue.name, queue.count, queue.bytes, *found.get(queue.prefix, (0, 0)))
            for queue in self._queues.values()
        ]

    def _stored(self, cursor: lmdb.Cursor[bytes], queue: Queue) -> Stored:
        prefix = queue.prefix
        lowest = highest = 0
        if cursor.set_range(prefix) and cursor.key()[:8] == prefix:
            lowest = self._number(cursor)
            # The first key of the next queue, then one back.
            found = cursor.set_range(NUMBER.pack(queue.number + 1))
            if cursor.prev() if found else cursor.last():
                highest = self._number(cursor)
        return Stored(queue.name, queue.count, queue.bytes, lowest, highest)

    def _number(self, cursor: lmdb.Cursor[bytes]) -> int:
        """The message's key. Raises StoreDamaged for what is no key."""
        key = cursor.key()
        if len(key) != 16:
            raise StoreDamaged(f"{self._file}: a key of {len(key)} octets")
        return int.from_bytes(key[8:])

    def _purge(self) -> None:
        env = self._opened()
        by_number = {queue.prefix: queue for queue in self._queues.values()}
        while True:
            with env.begin() as txn:
                cursor = txn.cursor(db=self._transient)
                found = [item for item, _ in zip(cursor.iternext(), range(_CHUNK), strict=False)]
            if not found:
                return
            step = Step()
            for key, size in found:
                queue = by_number.get(key[:8]) or Queue("", NUMBER.unpack(key[:8])[0])
                step.removes[key] = (queue, NUMBER.unpack(size)[0])
            self._run([step], False)

    def commit(self, ops: list[Op], sync: bool) -> None:
        """One LMDB transaction for all of ``ops``. Its data is flushed when it returns; with ``sync`` the page that
        refers to it, as well.
        """
        self._mended(lambda: self._commit(ops), "write")
        if sync:
            self.sync()

    def _commit(self, ops: list[Op]) -> None:
        env = self._opened()
        fresh: dict[str, Queue] = {}
        steps = planned(ops, self._queues, fresh, self._next)
        puts = any(step.puts for step in steps)
        if puts:
            self._make_room(env, steps, len(fresh))
        self._run(steps, puts)
        self._next += len(fresh)

    def sync(self) -> None:
        """Flush the page that refers to the last commit's data."""
        try:
            self._opened().sync(True)
        except lmdb.Error as problem:
            # Too late to say that there is no room: what was committed is there, but not known to be safe.
            raise StoreError(f"cannot sync {self._file}: {problem}") from problem

    def verify(self) -> None:
        """Whether the file that is open is the one in the directory."""
        self._anchor.verify()

    def spare(self) -> int:
        """What ``_make_room`` would find without more of the disk."""
        env = self._opened()
        try:
            used = (env.info()["last_pgno"] + 1) * self._page
            taken = min(self._taken, self._limit or self._taken)
            room = taken - used + self._free(env, used) // 2 - self._kept_back(used) - 20 * self._page
        except lmdb.Error as problem:
            raise self._translated(problem, "read") from problem
        return max(0, room) // 2

    def _run(self, steps: list[Step], puts: bool) -> None:
        """Do ``steps`` in one transaction, with a larger map where it needs one."""
        env = self._opened()
        put: Callable[[lmdb.Transaction[bytes], Step, dict[Queue, list[int]]], None] = self._put_all
        while True:
            held: dict[Queue, list[int]] = {}
            try:
                with env.begin(write=True) as txn:
                    for step in steps:
                        if step.puts:
                            put(txn, step, held)
                        self._take(txn, step, held)
                    self._count(txn, held)
                break
            except _RepeatedError:
                put = self._put_each
            except lmdb.MapFullError:
                self._grow(env, puts)
        for queue, (count, size) in held.items():
            queue.count, queue.bytes = count, max(size, 0)
            if count:
                self._queues[queue.name] = queue
            else:
                self._queues.pop(queue.name, None)

    def _put_all(self, txn: lmdb.Transaction[bytes], step: Step, held: dict[Queue, list[int]]) -> None:
        cursor = txn.cursor(db=self._messages)
        # Told that they come last, LMDB fills its pages; else those of messages of a KB stay half empty.
        last = step.ordered and (not cursor.last() or cursor.key() < step.puts[0][0])
        _, added = cursor.putmulti(step.puts, overwrite=False, append=last)
        if added != len(step.puts):
            raise _RepeatedError
        for queue, (count, size) in step.gains.items():
            now = held.setdefault(queue, [queue.count, queue.bytes])
            now[0] += count
            now[1] += size
        if step.transient:
            txn.cursor(db=self._transient).putmulti(step.transient)

    def _put_each(self, txn: lmdb.Transaction[bytes], step: Step, held: dict[Queue, list[int]]) -> None:
        """As ``_put_all``, for the rare batch with messages that are there already: those change nothing."""
        transient = dict(step.transient)
        by_prefix = {queue.prefix: queue for queue in step.gains}
        for key, record in step.puts:
            if txn.put(key, record, overwrite=False, db=self._messages):
                queue = by_prefix[key[:8]]
                now = held.setdefault(queue, [queue.count, queue.bytes])
                now[0] += 1
                now[1] += decode(0, record).size
                if key in transient:
                    txn.put(key, transient[key], db=self._transient)

    def _take(self, txn: lmdb.Transaction[bytes], step: Step, held: dict[Queue, list[int]]) -> None:
        """The marks, removes and drop of ``step``."""
        messages, marks, transient = self._messages, self._marks, self._transient
        if step.marks:
            cursor = txn.cursor(db=messages)
            for key, attempts in step.marks.items():
                if cursor.set_key(key):
                    txn.put(key, attempts, db=marks)
        if step.removes:
            delete = txn.delete
            # Usually both are empty, and then a removal is one call.
            beside = [each for each in (marks, transient) if txn.stat(each)["entries"]]
            for key, (queue, size) in step.removes.items():
                if delete(key, b"", messages):
                    now = held.get(queue)
                    if now is None:
                        now = held[queue] = [queue.count, queue.bytes]
                    now[0] -= 1
                    now[1] -= size
                    for each in beside:
                        delete(key, b"", each)
        if step.drop is not None:
            held[step.drop] = [0, 0]
            for each in (messages, marks, transient):
                _clear(txn.cursor(db=each), step.drop.prefix)

    def _count(self, txn: lmdb.Transaction[bytes], held: dict[Queue, list[int]]) -> None:
        names, counts = self._names, self._counts
        for queue, (count, size) in held.items():
            if count > 0:
                txn.put(queue.prefix, COUNT.pack(count, max(size, 0)), db=counts)
                if not queue.count:
                    txn.put(queue.prefix, _octets(queue.name), db=names)
            else:
                txn.delete(queue.prefix, db=counts)
                txn.delete(queue.prefix, db=names)

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """Walk the messages of ``queue`` above ``after``."""
        return self._mended(lambda: self._read(queue, after, limit, room), "read")

    def _read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        known = self._queues.get(queue)
        if known is None or after >= _LAST or limit < 1:
            return []
        prefix = known.prefix
        with self._opened().begin() as txn:
            cursor = txn.cursor(db=self._messages)
            if not cursor.set_range(prefix + NUMBER.pack(max(after + 1, 0))):
                return []
            read = gathered(cursor.iternext(), prefix, limit, room)
            if txn.stat(self._marks)["entries"]:
                self._recall(txn, prefix, read)
            return [each if isinstance(each, Message) else self._damage(txn, queue, each) for each in read]

    def _recall(self, txn: lmdb.Transaction[bytes], prefix: bytes, read: list[Message | bytes]) -> None:
        """The attempts of those that came back."""
        for message in read:
            if isinstance(message, Message):
                attempts = txn.get(prefix + NUMBER.pack(message.key), db=self._marks)
                if attempts is not None:
                    (message.attempts,) = ATTEMPTS.unpack(attempts)

    def _damage(self, txn: lmdb.Transaction[bytes], queue: str, place: bytes) -> Damage:
        key = int.from_bytes(place[8:])
        reason = "it is gone"
        try:
            decode(key, txn.get(place, b"", db=self._messages))
        except (StoreError, ValueError) as problem:
            reason = str(problem)
        return Damage(key, f"{self._file}, queue {queue!r}, message {key}", reason)

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """All messages; then what the other databases say that does not fit them. Damaged pages come first, and then
        only what is in the others. Nothing is changed.
        """
        if self._bad_pages():
            yield from self._scan_readable()
            return
        for queue in sorted(self._queues.values(), key=lambda each: each.name):
            after, count, size = -1, 0, 0
            whole = True
            while chunk := self.read(queue.name, after, 1000, 8 << 20):
                for each in chunk:
                    count += 1
                    if isinstance(each, Message):
                        size += each.size
                    else:
                        whole = False
                    yield queue.name, each
                after = chunk[-1].key
            if count != queue.count or (whole and size != queue.bytes):
                told = f"{queue.count} messages of {queue.bytes} bytes are counted"
                yield queue.name, Damage(0, str(self._file), f"{told}, {count} of {size} bytes are there")
        yield from self._strays()

    def _scan_readable(self) -> Iterator[tuple[str, Message | Damage]]:
        pages = Pages(self._file, self._page)
        try:
            rescue = Rescue(pages)
            roots = pages.roots()
            marks = dict(each for each in pages.walk(roots[b"marks"]) if not isinstance(each, BadPage))
            told: set[int] = set()
            for each in pages.walk(roots[b"messages"]):
                if isinstance(each, BadPage):
                    told.add(each.number)
                    yield "", Damage(0, f"{self._file}, {each}", rescue.keys(each))
                    continue
                place, record = each
                name = rescue.names.get(place[:8], "")
                key = int.from_bytes(place[8:])
                try:
                    message = decode(key, record)
                except (StoreError, ValueError) as problem:
                    yield name, Damage(key, f"{self._file}, queue {name!r}, message {key}", str(problem))
                    continue
                if place in marks:
                    (message.attempts,) = ATTEMPTS.unpack(marks[place])
                yield name, message
            for page in pages.bad():
                if page.number not in told:
                    yield "", Damage(0, f"{self._file}, {page}", "not of messages")
        finally:
            pages.close()

    def _strays(self) -> Iterator[tuple[str, Damage]]:
        known = {queue.prefix for queue in self._queues.values()}
        found: list[tuple[str, Damage]] = []
        try:
            with self._opened().begin() as txn:
                cursor = txn.cursor(db=self._messages)
                there = cursor.first()
                while there:
                    prefix = cursor.key()[:8]
                    (number,) = NUMBER.unpack(prefix)
                    if prefix not in known:
                        found.append(
                            ("", Damage(0, str(self._file), f"messages of queue {number}, without a name"))
                        )
                    there = cursor.set_range(NUMBER.pack(number + 1))
                for database, word in ((self._marks, "mark"), (self._transient, "note")):
                    for place in txn.cursor(db=database).iternext(values=False):
                        if not cursor.set_key(place):
                            key = NUMBER.unpack(place[8:])[0]
                            found.append(
                                ("", Damage(key, str(self._file), f"{word} for a message that is not there"))
                            )
        except lmdb.Error as problem:
            raise self._translated(problem, "read") from problem
        yield from found

    def compact(self) -> tuple[int, int]:
        """Copy what is used into a new file, and put that in the place of the old one. Where pages are damaged, what
        can be read is copied.
        """
        before = self._file.stat().st_size
        if bad := self._bad_pages():
            self._rescue(StoreDamaged(f"{self._file}, {bad[0]}"))
            return before, self._file.stat().st_size
        aside = self._directory / "compact"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(mode=0o700)
            self._opened().copy(str(aside), compact=True)
            copy = aside / "data.mdb"
            copy.chmod(0o600)
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            self.close()
            copy.replace(self._file)
            sync_directory(self._directory)
            self._open()
        except OSError as problem:
            raise refused(problem, f"compact {self._file}") from problem
        except lmdb.Error as problem:
            raise self._translated(problem, "compact") from problem
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return before, self._file.stat().st_size

    def close(self) -> None:
        """Close the environment."""
        self._anchor.release()
        env, self._env = self._env, None
        if env is not None:
            env.close()
            with suppress(OSError):
                (self._directory / "starts").unlink()

    def _opened(self) -> lmdb.Environment:
        if self._env is None:
            raise StoreError(f"{self._directory} is closed")
        return self._env

    # Room

    def _make_room(self, env: lmdb.Environment, steps: list[Step], fresh: int) -> None:
        """Take blocks for PUTs, with the reserve still free behind them. Raises StoreFull."""
        need = 16 * self._page
        for step in steps:
            # Half-filled pages, and at most a page more than the record for a large one.
            need += 2 * sum([len(record) for _, record in step.puts]) + 128 * len(step.puts)
            need += 4 * self._page * len(step.gains)
        used = (env.info()["last_pgno"] + 1) * self._page
        end = used + need + self._kept_back(used)
        if self._limit:
            if end > self._limit and end - self._free(env, used) // 2 > self._limit:
                raise StoreFull(f"{self._file} has reached its limit of {self._limit} bytes")
            end = min(end, max(self._limit, used))
        if end > self._taken:
            self._allocate(env, used, end)
        while end > self._map and (not self._limit or self._map < self._limit):
            self._grow(env, True)

    def _kept_back(self, used: int) -> int:
        """Bytes that are for removals, where ``used`` are in use."""
        reserve = min(max(RESERVE[0], used // 16), RESERVE[1])
        return min(reserve, self._limit // 4) if self._limit else reserve

    def _allocate(self, env: lmdb.Environment, used: int, end: int) -> None:
        """Take blocks for the file up to ``end``. Raises StoreFull."""
        try:
            file = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            raise StoreError(f"{self._file} cannot be opened: {problem.strerror}") from problem
        try:
            ahead = end + min(max(1 << 20, used // 16), 64 << 20)
            for wanted in (min(ahead, self._limit) if self._limit else ahead, end):
                if wanted > self._taken:
                    with suppress(OSError):
                        allocate(file, self._taken, wanted)
                        self._taken = wanted
                        return
            # Nothing more from the system. Free pages in the file will do, for the reserve as well.
            end -= self._free(env, used) // 2
            allocate(file, self._taken, end)
            self._taken = max(self._taken, end)
        except OSError as problem:
            if problem.errno in NO_ROOM:
                raise StoreFull(f"no room for {self._file}: {problem.strerror}") from problem
            raise StoreError(f"cannot enlarge {self._file}: {problem.strerror}") from problem
        finally:
            os.close(file)

    def _free(self, env: lmdb.Environment, used: int) -> int:
        """Bytes of the file that nothing refers to."""
        with env.begin() as txn:
            pages = 3 + sum(
                stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
                for stat in map(txn.stat, self._databases)
            )
        return max(0, used - pages * self._page)

    def _grow(self, env: lmdb.Environment, puts: bool) -> None:
        """Double the map; for PUTs not above the limit, for removals so far as they need. Raises StoreFull."""
        size = 2 * self._map
        if self._limit and puts:
            size = min(size, self._limit - self._limit % -65536)
            if size <= self._map:
                raise StoreFull(f"{self._file} has reached its limit of {self._limit} bytes")
        env.set_mapsize(size)
        self._map = size

    def _translated(self, problem: lmdb.Error, doing: str) -> StoreError:
        text = f"cannot {doing} {self._file}: {problem}"
        # py-lmdb hands on the system's error as its text alone.
        no_room = any(os.strerror(number) in text for number in NO_ROOM)
        if no_room or isinstance(problem, lmdb.MapFullError):
            return StoreFull(text)
        if isinstance(problem, lmdb.VersionMismatchError):
            return StoreForeign(text)
        damage = (
            lmdb.CorruptedError,
            lmdb.PageNotFoundError,
            lmdb.InvalidError,
            lmdb.IncompatibleError,
            lmdb.NotFoundError,
        )
        return StoreDamaged(text) if isinstance(problem, damage) else StoreError(text)


def _clear(cursor: lmdb.Cursor[bytes], prefix: bytes) -> None:
    there = cursor.set_range(prefix)
    while there and cursor.key()[:8] == prefix:
        there = cursor.delete()


def _octets(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
