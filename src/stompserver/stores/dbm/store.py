"""Messages in dbm databases: ``STORAGE/dbm``.

- ``log.N``: what was committed lately (see log.py); it holds whole messages, and is read from meanwhile
- ``N.db`` (Berkeley DB), ``N.gdbm``, ``N.ndbm*``: a segment: when the log has grown to ROLL, its messages are
  moved to a new database, which is synced and never changed again (place -> record, see index.py and record.py)
- ``N.keys``: which messages are in segment N
- ``state``: which segments and which log count; what was removed from segments, and marks. It is written aside and
  renamed, so that a crash at any moment leaves the old state or the new one; what it does not name is waste.

GNU dbm and ndbm can lose a whole file when the process dies in a write. Because no database here is written to
once it counts, that can not happen. A segment goes when all its messages are removed; where few are left
they move on to the next one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.oplog import MARK, PUT, REMOVE, Op
from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place, Stored
from stompserver.stores.dbm.engines import Engine, available
from stompserver.stores.dbm.files import Files, State
from stompserver.stores.dbm.index import FORGET, Queue, Segment, read_keys
from stompserver.stores.dbm.log import STEP, Log
from stompserver.stores.disk import made_whole, refused
from stompserver.stores.ops import TRANSIENT, Entry, decode_ops, encode_ops
from stompserver.stores.record import decode

ROLL: Final = 16 << 20
"""Octets of log after which a segment is made of it."""

RESERVE: Final = 4 << 20
"""Octets of log kept for removals."""

_BESIDE: Final = 64 << 10
"""Octets of a database of few messages, and of the state."""

_WORTH: Final = 64 << 10
"""Octets of removed messages in the log that make it worth a try to get room by a new one."""

_NAME, _ENGINE = available()  # while the module is imported, so that store_class says what is missing

_Source = tuple[bytes, int, int, int]
"""Where a message to move is: its place, segment (0: the log), where in the log, length."""


class DbmStore:
    """Messages in dbm files. ``engine`` (a name in ENGINES) writes the new ones; by itself it takes the first that
    is there. ``description`` says which it is, for people. Raises as Store says.
    """

    keeps = True
    local = True
    most = 20_000
    swell = 2

    def __init__(
        self, place: Place, engine: str | None = None, using: Engine | None = None, roll: int = ROLL
    ) -> None:
        if engine is None:
            engine, using = _NAME, _ENGINE
        self.engine = engine
        self._directory = place.storage / "dbm"
        self._files = Files(self._directory, {} if using is None else {engine: using})
        self.description = f"dbm store: {self._files.library(engine).product}"
        self._limit = place.limit
        self._reserve = min(RESERVE, place.limit // 4) if place.limit else RESERVE
        self._step = min(STEP, place.limit // 16) if place.limit else STEP
        self._roll = min(roll, place.limit // 4) if place.limit else roll
        self._log: Log | None = None
        try:
            if not self._directory.exists():
                self._create()
            self._open()
        except OSError as problem:
            raise refused(problem, f"open the store {self._directory}") from problem

    # Opening

    def _create(self) -> None:
        with made_whole(self._directory) as aside:
            Files(aside, {}).write_state(State([], [], 1, 1))

    def _open(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._forget: list[tuple[str, int, int, int]] = []
        self._again = 0
        self._alive = 0
        self._tried = -_WORTH
        state = self._files.read_state()
        self._segments = {each.number: each for each in state.segments}
        self._marks = {Queue(name).place(key): (name, key, attempts) for name, key, attempts in state.marks}
        self._log_number: int = state.log
        self._next: int = state.following
        self._files.clean(self._segments, self._log_number)
        for segment in self._segments.values():
            self._files.library(segment.engine)
            self._read_segment(segment)
        self._log = log = Log(self._directory / f"log.{self._log_number}", self._step)
        try:
            for place, payload in log.batches():
                self._apply(self._understood(log, place, payload), place)
        except BaseException:
            self.close()
            raise
        for queue in self._queues.values():
            self._forget += [
                (queue.name, key, size & ~FORGET, 0)
                for key, (_, _, size) in queue.fresh.items()
                if size & FORGET
            ]
        if self._queues:
            self._take_reserve(log)

    def _understood(self, log: Log, place: int, payload: bytes) -> list[Entry]:
        try:
            return decode_ops(payload)
        except StoreDamaged as problem:
            raise StoreDamaged(f"{log.path}: batch at octet {place}: {problem}") from problem

    def _read_segment(self, segment: Segment) -> None:
        gone = segment.gone_places()
        for name, keys, sizes in read_keys(self._files.keys(segment.number)):
            segment.total += len(keys)
            queue = self._queues.get(name) or Queue(name)
            total = sum(sizes)
            if gone or total >= FORGET:
                held = [
                    pair
                    for pair in zip(keys, sizes, strict=True)
                    if not gone or queue.place(pair[0]) not in gone
                ]
                keys = array("Q", [key for key, _ in held])
                total = sum([size & ~FORGET for _, size in held])
                number = segment.number
                self._forget += [(name, key, size & ~FORGET, number) for key, size in held if size & FORGET]
            if keys:
                segment.live += len(keys)
                queue.extend(keys, segment.number)
                queue.bytes += total
                self._queues[name] = queue

    # What a store does

    def load(self) -> list[Stored]:
        """The queues; takes out the transient messages of an earlier run."""
        forget, self._forget = self._forget, []
        if forget:
            ops = []
            for name, key, size, number in forget:
                queue = self._queues.get(name)
                at = -1 if queue is None else queue.find(key)
                if queue is not None and at >= 0 and queue.segments[at] == number:
                    ops.append(Op(REMOVE, name, key, None, size))
            self.commit(ops, False)
        return [
            Stored(each.name, len(each), max(each.bytes, 0), each.keys[each.start], each.keys[-1])
            for each in self._queues.values()
        ]

    def commit(self, ops: list[Op], sync: bool) -> None:
        """One batch in the log. Now and then the log becomes a segment."""
        log = self._opened()
        if ops:
            payload, entries = encode_ops(ops)
            if any(entry[0] in (PUT, TRANSIENT) for entry in entries):
                self._make_room(log, len(payload) + 64)
                log = self._opened()
            place = log.append(payload)
            if sync:
                self.sync()
            self._apply(entries, place)
            self._tidy(log)
        elif sync:
            self.sync()

    def sync(self) -> None:
        """Flush the log."""
        log = self._opened()
        try:
            log.sync()
        except OSError as problem:
            # Too late to say that there is no room: what was committed is there, but not known to be safe.
            raise StoreError(f"cannot sync {log.path}: {problem.strerror}") from problem

    def verify(self) -> None:
        """Whether state and log are those that are open."""
        self._files.verify()
        self._opened().verify()

    def spare(self) -> int:
        """What was taken ahead for the log. A log of which much is removed by now becomes a segment, which gives the
        rest back to the disk.
        """
        log = self._opened()
        waste = log.end - self._alive
        if log.end >= _WORTH and waste >= self._tried + _WORTH and waste >= log.end // 2:
            self._tried = waste
            with suppress(StoreFull):
                self._make_segment(self._sparse())
        return max(0, self._opened().ahead - self._reserve - (64 << 10))

    def _apply(self, entries: list[Entry], base: int) -> None:
        """Do a batch of the log in the index."""
        name: str | None = None
        queue: Queue | None = None
        for kind, named, key, value, size, at in entries:
            if named != name:
                name = named
                queue = self._queues.get(name)
            if kind in (PUT, TRANSIENT):
                if queue is None:
                    queue = self._queues[named] = Queue(named)
                if queue.find(key) < 0:
                    queue.add(key, 0)
                    queue.fresh[key] = (base + at, value, size | FORGET if kind == TRANSIENT else size)
                    queue.bytes += size
                    self._alive += value
                    if self._marks:
                        self._marks.pop(queue.place(key), None)
            elif queue is None:
                continue
            elif kind == MARK:
                if queue.find(key) >= 0:
                    self._marks[queue.place(key)] = (named, key, value)
            else:
                if kind == REMOVE:
                    found = queue.find(key)
                    if found >= 0:
                        self._take(queue, found, key, size)
                else:
                    self._empty(queue)
                if not len(queue):
                    del self._queues[named]
                    queue = None

    def _take(self, queue: Queue, at: int, key: int, size: int) -> None:
        number = queue.segments[at]
        queue.take(at)
        if number:
            segment = self._segments[number]
            segment.live -= 1
            segment.gone += queue.place(key)
        else:
            _, length, size = queue.fresh.pop(key)
            size &= ~FORGET
            self._alive -= length
        queue.bytes -= size
        if self._marks:
            self._marks.pop(queue.place(key), None)

    def _empty(self, queue: Queue) -> None:
        for key, number in zip(queue.keys[queue.start :], queue.segments[queue.start :], strict=True):
            if number:
                segment = self._segments[number]
                segment.live -= 1
                segment.gone += queue.place(key)
            if self._marks:
                self._marks.pop(queue.place(key), None)
        queue.keys, queue.segments, queue.start = array("Q"), array("I"), 0
        self._alive -= sum([length for _, length, _ in queue.fresh.values()])

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """Look up the messages of ``queue`` above ``after``."""
        self._opened()
        known = self._queues.get(queue)
        if known is None or limit < 1:
            return []
        at = bisect_right(known.keys, after, known.start)
        found: list[Message | Damage] = []
        held = 0
        while at < len(known.keys) and len(found) < limit and (not found or held < room):
            message = self._message(known, known.keys[at], known.segments[at])
            if isinstance(message, Message):
                held += message.size
            found.append(message)
            at += 1
        return found

    def _message(self, queue: Queue, key: int, number: int) -> Message | Damage:
        place = queue.place(key)
        try:
            if number:
                record = self._files.record(self._segments[number], place)
            else:
                start, length, _ = queue.fresh[key]
                record = self._opened().read(start, length)
            if record is None:
                raise StoreDamaged("the record is not there")
            message = decode(key, record)
        except (OSError, StoreDamaged, StoreForeign, ValueError) as problem:
            file = self._files.base(number, self._segments[number].engine) if number else self._opened().path
            return Damage(key, f"{file}, queue {queue.name!r}, message {key}", str(problem))
        mark = self._marks.get(place)
        if mark is not None:
            message.attempts = mark[2]
        return message

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """All messages; then sizes and files that do not fit."""
        for name in sorted(self._queues):
            after, size = -1, 0
            whole = True
            while chunk := self.read(name, after, 1000, 8 << 20):
                for each in chunk:
                    if isinstance(each, Message):
                        size += each.size
                    else:
                        whole = False
                    yield name, each
                after = chunk[-1].key
            queue = self._queues.get(name)
            if whole and queue is not None and size != queue.bytes and after == queue.keys[-1]:
                told = f"{queue.bytes} bytes are counted in queue {name!r}, {size} are there"
                yield name, Damage(0, str(self._directory), told)
        for path in self._files.strays(self._segments, self._log_number):
            yield "", Damage(0, str(path), "a file that belongs to nothing")

    def compact(self) -> tuple[int, int]:
        """Move what is left in segments that something was removed from into new ones."""
        before = self._files.used()
        worn = [segment for segment in self._segments.values() if segment.gone]
        while worn:
            group, size = [worn.pop()], 0
            while worn and size < self._roll:
                group.append(worn.pop())
                size = sum(each.size * each.live // max(each.total, 1) for each in group)
            self._make_segment(group)
        if self._opened().end:
            self._make_segment([])
        return before, self._files.used()

    def close(self) -> None:
        """Close all files."""
        self._files.close()
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def _opened(self) -> Log:
        if self._log is None:
            raise StoreError(f"{self._directory} is closed")
        return self._log

    # Segments and room

    def _make_room(self, log: Log, need: int) -> None:
        """Take room for a batch with PUTs. Raises StoreFull."""
        try:
            self._fit(log, need)
        except StoreFull:
            # The log may hold much that is removed by now. Not tried again until there is more of that.
            waste = log.end - self._alive
            if log.end < _WORTH or waste < self._tried + _WORTH:
                raise
            self._tried = waste
            self._make_segment(self._sparse())
            self._fit(self._opened(), need)

    def _fit(self, log: Log, need: int) -> None:
        if self._limit:
            # The log is there twice while it becomes a segment.
            once = log.end + need
            used = sum(each.size for each in self._segments.values()) + once + self._reserve + self._step
            used += int(once * self._files.library(self.engine).swell) + _BESIDE
            if used > self._limit:
                raise StoreFull(f"{self._directory} has reached its limit of {self._limit} bytes")
        log.reserve(need, self._reserve)

    def _tidy(self, log: Log) -> None:
        """After a commit: make a segment of a long log, drop empty segments. Lack of room puts it off."""
        try:
            if log.end >= max(self._roll, self._again):
                self._again = log.end + self._roll // 4
                self._make_segment(self._sparse())
            elif any(not each.live for each in self._segments.values()):
                self.sync()
                self._keep([each for each in self._segments.values() if each.live], self._log_number)
        except StoreFull:
            pass

    def _sparse(self) -> list[Segment]:
        few = [each for each in self._segments.values() if 0 < each.live * 4 < each.total]
        return few[:8]

    def _make_segment(self, moving: list[Segment]) -> None:
        """Make a database of the log and of what is left in ``moving``. Raises StoreFull, StoreError."""
        log = self._opened()
        held: dict[str, list[tuple[int, int]]] = {}
        sources: list[_Source] = []
        left: dict[int, Segment] = {number: each for number, each in self._segments.items() if each.live}
        for segment in moving:
            if segment.live and self._gather(segment, held, sources):
                del left[segment.number]
        for queue in self._queues.values():
            if queue.fresh:
                pairs = held.setdefault(queue.name, [])
                for key, (at, length, size) in queue.fresh.items():
                    pairs.append((key, size))
                    sources.append((queue.place(key), 0, at, length))
        kept = list(left.values())
        if sources:
            for pairs in held.values():
                pairs.sort()
            sources.sort()
            made = self._written(log, held, sources)
            kept.append(made)
        self._keep(kept, self._log_number + 1)
        if sources:
            for name, pairs in held.items():
                queue = self._queues[name]
                queue.fresh.clear()
                for key, _ in pairs:
                    queue.segments[queue.find(key)] = made.number
        log.close()
        self._again = 0
        self._alive = 0
        self._tried = -_WORTH
        self._log = Log(self._directory / f"log.{self._log_number}", self._step)
        self._take_reserve(self._log)

    def _take_reserve(self, log: Log) -> None:
        """Take the room that removals need before somebody else fills the disk."""
        with suppress(StoreError):
            log.reserve(0, self._reserve)

    def _gather(
        self, segment: Segment, held: dict[str, list[tuple[int, int]]], sources: list[_Source]
    ) -> bool:
        """Add what is left in ``segment``; false, with nothing added, when that cannot all be read."""
        found: list[tuple[Queue, int, int, int]] = []
        try:
            for name, keys, sizes in read_keys(self._files.keys(segment.number)):
                queue = self._queues.get(name)
                if queue is not None:
                    for key, size in zip(keys, sizes, strict=True):
                        at = queue.find(key)
                        if at >= 0 and queue.segments[at] == segment.number:
                            record = self._files.record(segment, queue.place(key))
                            if record is None:
                                return False
                            found.append((queue, key, size, len(record)))
        except (OSError, StoreDamaged):
            return False
        for queue, key, size, length in found:
            held.setdefault(queue.name, []).append((key, size))
            sources.append((queue.place(key), segment.number, 0, length))
        return True

    def _written(self, log: Log, held: dict[str, list[tuple[int, int]]], sources: list[_Source]) -> Segment:
        number = self._next
        self._next += 1
        octets = sum([length for _, _, _, length in sources])

        def items() -> Iterator[tuple[bytes, bytes]]:
            for place, segment, at, length in sources:
                record = (
                    self._files.record(self._segments[segment], place) if segment else log.read(at, length)
                )
                if record is None:
                    raise StoreDamaged(f"segment {segment}: a message to move is not there")
                yield place, record

        size = self._files.write(number, self.engine, items(), held, octets)
        segment = Segment(number, self.engine, size)
        segment.total = segment.live = len(sources)
        return segment

    def _keep(self, segments: list[Segment], log_number: int) -> None:
        """Make ``segments`` and that log what counts, and remove the rest."""
        marks = list(self._marks.values())
        state = State(segments, marks, log_number, self._next)
        try:
            self._files.write_state(state)
        except StoreFull:
            # What the log keeps for removals is lent: more than that comes back with what goes now.
            log = self._opened()
            log.trim()
            try:
                self._files.write_state(state)
            except StoreFull:
                self._take_reserve(log)
                raise
        self._segments = {each.number: each for each in segments}
        self._log_number = log_number
        with suppress(OSError):
            self._files.clean(self._segments, log_number)
