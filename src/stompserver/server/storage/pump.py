"""The pump between the broker's op log and a store: one thread, group commit, the watermark, the windows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.message import Message
from stompserver.broker.oplog import FOREVER, MARK, PUT, REMOVE, Op, weigh
from stompserver.broker.queues.queue import Queue
from stompserver.broker.queues.window import Reader
from stompserver.errors import StoreAway, StoreError, StoreFull
from stompserver.server.process.logs import shortened
from stompserver.server.storage.reserve import Reserve
from stompserver.server.storage.trouble import RETRY, Space, Trouble
from stompserver.stores.base import Damage, Store
from stompserver.stores.lock import Lock

log = logging.getLogger("stompserver.storage")

UNDURABLE: Final = 64 << 20
"""Bytes that may wait for a commit before producers are paused; a quarter of memory-limit where that is less, because
a commit takes as much again.
"""

SCARCE: Final = 256 << 20
"""Bytes left on the disk below which the store is asked for the room that it has inside."""

WATCH: Final = 0.5
"""Seconds between two looks, while nothing is committed, whether the storage is still where it was."""

POLL: Final = 0.1
"""Seconds between two looks, at the end of the server, whether a store that is full or away takes more."""


class Read:
    """What a reader wants of its queue: up to ``count`` messages above the key ``after`` that hold up to ``room``
    bytes. ``found`` is what the store had, once it was read.
    """

    __slots__ = ("after", "count", "found", "reader", "room")

    def __init__(self, reader: Reader, after: int, count: int, room: int) -> None:
        self.reader = reader
        self.after = after
        self.count = count
        self.room = room
        self.found: list[Message | Damage] = []


class Pump:
    """Commits what gathered while the last commit ran: there is no timer, a quiet server commits at once and a
    busy one in large batches.

    ``resumed`` is called when something became durable or came from the store, ``failed`` when the store broke for
    good. ``checkpoint`` in s: above 0 receipts go after the write, and the disk is synced that often.
    ``thread`` runs one call after the other. ``lock`` is that of the storage, where there is one.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        reserve: Reserve | None,
        checkpoint: float,
        resumed: Callable[[], None],
        failed: Callable[[], None],
        thread: Executor,
        lock: Lock | None = None,
    ) -> None:
        self._store = store
        self._broker = broker
        self._log = broker.log
        self._reserve = reserve
        self._checkpoint = checkpoint
        self._resumed = resumed
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._lock = lock
        self._busy = False
        self._trouble = Trouble(broker, reserve, store.swell, self.kick, self._look, failed)
        self._batch: list[Op] = []
        """Drained from the log and not committed."""
        self._aside: list[Op] = []
        """The part of it that waits for room while the rest is tried alone."""
        self._out: list[Op] = []
        """What is tried after that, where all of that rest was too much at a time."""
        self._removing = False
        """Whether the batch is such a rest, or a part of it."""
        self._position: int = broker.log.durable
        """Up to which the log was drained: not what was logged while the store was read at the start."""
        self._reads: list[Read] = []
        """Under way, or about to be."""
        self._syncer: asyncio.TimerHandle | None = None
        self._unsynced = False
        self._idle = asyncio.Event()
        self._watcher: asyncio.TimerHandle | None = None
        # The thread has nothing to do yet.
        self._trouble.measure(self._survey(), False)
        if store.local:
            self._watcher = self._loop.call_later(WATCH, self._watch)

    @property
    def pausing(self) -> bool:
        """Whether producers must wait: too much is not durable yet, or the database is away."""
        return self._log.bytes > min(UNDURABLE, self._broker.memory.limit // 4) or self._trouble.away

    def kick(self) -> None:
        """Start a commit, unless one runs or nothing is to be done. Called at the end of each loop turn."""
        trouble = self._trouble
        broker = self._broker
        if broker.lacked:
            trouble.refused(broker.lacked)
            broker.lacked = 0
        if self._log.bytes:
            trouble.spend(self._log.bytes)
        if self._busy or trouble.ended:
            return
        if self._log.position != self._position:
            self._position, fresh = self._log.drain(self._store.most)
            self._batch = self._merged(fresh) if self._batch else fresh
        window = self._broker.window
        if window is not None:
            memory = self._broker.memory
            window.adapt(memory.used > memory.ample)
            memory.watch()
            broker.restraint.look()
        if not trouble.waiting or trouble.full:
            self._reads = self._reads_for(window.take_asking()) if window is not None else []
        batch = [] if trouble.waiting else self._batch
        if batch or self._reads:
            self._start(batch)
        elif not self._batch and self._log.durable != self._position:
            # What was logged cancelled itself, or asked not to be kept.
            self._log.committed(self._position, 0)
            self._resumed()

    def _reads_for(self, readers: list[Reader]) -> list[Read]:
        """What to read for each, so that all of them together do not take the memory that producers need."""
        if not readers:
            return []
        memory = self._broker.memory
        share = max(1, max(memory.ample - memory.used, memory.limit // 64) // len(readers))
        reads = []
        pending = self._pending()
        for reader in readers:
            count, room = reader.room()
            lowest = pending.get(reader.name)
            if lowest is not None:
                reader.passed_by(lowest)
            reads.append(Read(reader, reader.after(), count, min(room, share)))
        return reads

    def _pending(self) -> dict[str, int]:
        """The lowest key in each queue of what only the log has and this commit does not take to the store."""
        ops = self._log.undrained() + self._aside
        if self._trouble.waiting:
            ops = ops + self._batch
        lowest: dict[str, int] = {}
        for op in ops:
            if op.kind == PUT and op.paged and op.key < lowest.get(op.queue, FOREVER):
                lowest[op.queue] = op.key
        return lowest

    def _start(self, batch: list[Op]) -> None:
        self._busy = True
        self._idle.clear()
        future = self._thread.submit(self._work, batch, self._reads)
        future.add_done_callback(self._from_thread)

    def _work(self, batch: list[Op], reads: list[Read]) -> tuple[list[Op], Space | None]:
        """In the storage thread: one commit, then what the readers want. After a commit also what room is left."""
        store = self._store
        if batch:
            store.commit(batch, not self._checkpoint)
            self._verify()
        for read in reads:
            read.found = store.read(read.reader.name, read.after, read.count, read.room)
        return batch, self._survey() if batch else None

    def _verify(self) -> None:
        """In the storage thread: whether what was written is where it will be looked for. Raises StoreError."""
        if self._lock is not None:
            self._lock.verify()
        self._store.verify()

    def _survey(self) -> Space:
        """In the storage thread: what the store can take. Raises StoreError, OSError."""
        if self._reserve is None:
            return Space()
        free = self._reserve.free()
        return Space(free, self._store.spare() if free < SCARCE else 0)

    def _watch(self) -> None:
        """See that the storage is still there, though nothing is committed."""
        self._watcher = None
        if self._trouble.ended:
            return
        if self._busy:
            self._watcher = self._loop.call_later(WATCH, self._watch)
        else:
            self._thread.submit(self._verify).add_done_callback(self._watched)

    def _watched(self, future: Future[None]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._seen, future)

    def _seen(self, future: Future[None]) -> None:
        problem = future.exception()
        if problem is not None:
            self._trouble.store_broken(StoreError(str(problem)))
        elif not self._trouble.ended:
            self._watcher = self._loop.call_later(WATCH, self._watch)

    def _from_thread(self, future: Future[tuple[list[Op], Space | None]]) -> None:
        # A loop that is closed belongs to a server that was cut off.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._done, future)

    def _done(self, future: Future[tuple[list[Op], Space | None]]) -> None:
        self._busy = False
        self._idle.set()
        try:
            batch, space = future.result()
        except StoreError as problem:
            self._ask_again()
            self._failed(problem)
            self._resumed()
            return
        except OSError as problem:
            self._trouble.store_broken(StoreError(str(problem)))
            return
        except Exception:
            log.exception("The store failed in a way it should not")
            self._trouble.store_broken(StoreError("internal error"))
            return
        reads, self._reads = self._reads, []
        if space is not None:
            self._committed(batch, space)
        for read in reads:
            self._hand_over(read)
        self._resumed()
        self.kick()

    def _committed(self, batch: list[Op], space: Space) -> None:
        size, paged = weigh(batch)
        self._broker.memory.used -= paged
        if self._out:
            self._start_part(len(batch))
        elif self._aside:
            # The watermark stays: what is before these ops still waits.
            self._batch, self._aside = self._aside, []
            self._removing = False
            self._log.bytes -= size
            self._trouble.try_later(RETRY)
        else:
            self._batch = []
            self._removing = False
            self._log.committed(self._position, size)
            self._broker.schedule.relieve()
        self._trouble.committed()
        if self._checkpoint:
            self._unsynced = True
            if self._syncer is None:
                self._syncer = self._loop.call_later(self._checkpoint, self._sync)
        self._trouble.measure(space, bool(self._batch))

    def _ask_again(self) -> None:
        """Have what could not be read be read by the next work of the thread."""
        window = self._broker.window
        if window is not None:
            window.asking.extend([read.reader for read in self._reads])
        self._reads = []

    def _hand_over(self, read: Read) -> None:
        """Give a reader what was found for it."""
        reader = read.reader
        messages: list[Message] = []
        lost: list[int] = []
        for each in read.found:
            if isinstance(each, Message):
                messages.append(each)
                continue
            lost.append(each.key)
            log.error(
                "A stored message of %s cannot be read and stays where it is: %s",
                shortened(reader.name),
                each,
                extra={"event": "damage", "destination": shortened(reader.name)},
            )
        if read.found:
            reader.load(messages, max([each.key for each in read.found]), lost)
        elif self._batch or self._log.position != self._position or self._log.undrained():
            # What it counts on may be on its way to the store.
            reader.load([], reader.after(), [])
        else:
            if isinstance(reader, Queue) and reader.paged:
                log.error(
                    "%s: the store lacks %d messages that it counted",
                    shortened(reader.name),
                    reader.paged,
                    extra={"event": "damage", "destination": shortened(reader.name)},
                )
            reader.all_read()

    def _failed(self, problem: StoreError) -> None:
        """A commit, or a read after it, was not done."""
        if self._trouble.ended:
            # It came to its end after the server had waited for it as long as it does.
            return
        if isinstance(problem, StoreFull):
            self._full(problem)
            return
        self._gather()
        if isinstance(problem, StoreAway):
            self._trouble.store_away(problem)
        else:
            self._trouble.store_broken(problem)

    def _full(self, problem: StoreFull) -> None:
        """Write what still fits, and try the rest later."""
        self._trouble.store_full(str(problem))
        if self._removing:
            if len(self._batch) > 1:
                # Less of it may fit: a database writes down what it is about to change.
                self._out = self._batch + self._out
                self._start_part(len(self._batch) // 2)
                return
            # Nothing that removes something fits.
            self._gather()
        elif self._reserve is not None and self._reserve.give_up():
            # What was accepted must still be written, and what is consumed removed: the reserve is for both.
            self.kick()
            return
        else:
            waiting = {op.key for op in self._batch if op.kind == PUT}
            out = [op for op in self._batch if op.kind != PUT and not op.group and op.key not in waiting]
            if out:
                # The way out is free for what is consumed, though nothing new fits.
                chosen = {id(op) for op in out}
                self._aside = [op for op in self._batch if id(op) not in chosen]
                self._removing = True
                self._out = out
                # All of these alone have just been too much where there was nothing else.
                self._start_part(len(out) if self._aside else max(1, len(out) // 2))
                return
        self._trouble.try_later(RETRY)

    def _gather(self) -> None:
        """Have in one batch again what was to be tried in parts, in its order."""
        self._batch, self._out, self._aside = self._batch + self._out + self._aside, [], []
        self._removing = False

    def _start_part(self, most: int) -> None:
        """Write up to ``most`` of those ops that remove something, while all else waits."""
        self._batch, self._out = self._out[:most], self._out[most:]
        self._start(self._batch)

    def _look(self) -> None:
        """Somebody was refused a while ago."""
        self._thread.submit(self._survey).add_done_callback(self._surveyed)

    def _surveyed(self, future: Future[Space]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._looked, future)

    def _looked(self, future: Future[Space]) -> None:
        problem = future.exception()
        if problem is not None:
            self._trouble.store_broken(StoreError(str(problem)))
            return
        self._trouble.measure(future.result(), bool(self._batch))
        self.kick()

    def _sync(self) -> None:
        self._syncer = None
        if self._unsynced and not self._trouble.ended:
            self._unsynced = False
            future = self._thread.submit(self._store.sync)
            future.add_done_callback(self._synced)

    def _synced(self, future: Future[None]) -> None:
        problem = future.exception()
        if problem is not None:
            self._loop.call_soon_threadsafe(self._trouble.store_broken, StoreError(str(problem)))

    async def close(self, deadline: float) -> bool:
        """Commit what is left, within ``deadline`` seconds, and close the store; whether all was committed."""
        end = self._loop.time() + deadline
        while not self._trouble.ended and self._loop.time() < end:
            self.kick()
            if self._busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), max(0.0, end - self._loop.time()))
            elif not self._batch:
                break
            else:
                await asyncio.sleep(POLL)
        complete = not self._busy and not self._batch and self._log.position == self._position
        self._trouble.end()
        for timer in (self._syncer, self._watcher):
            if timer is not None:
                timer.cancel()
        await self._loop.run_in_executor(self._thread, self._finish)
        self._thread.shutdown(wait=True)
        if not complete:
            log.error("Not everything could be stored before the end", extra={"event": "storage_incomplete"})
        return complete

    def _finish(self) -> None:
        try:
            if self._unsynced:
                self._store.sync()
        except StoreError as problem:
            log.error("The last sync failed: %s", problem, extra={"event": "storage_failed"})
        self._store.close()

    def _merged(self, fresh: list[Op]) -> list[Op]:
        """The batch that could not be committed, and what came since.

        A PUT and its REMOVE cancel here too, but only when nothing of the failed commit was done: a database
        that went away may have done all of it.
        """
        if not self._trouble.full:
            return self._batch + fresh
        waiting = {op.key: op for op in self._batch if op.kind == PUT and not op.group}
        gone: set[int] = set()
        kept: list[Op] = []
        for op in fresh:
            put = waiting.get(op.key)
            if put is None or op.group or op.kind not in (MARK, REMOVE):
                kept.append(op)
            elif op.kind == REMOVE:
                gone.add(op.key)
                self._log.bytes -= put.size
            # A MARK is in the message that the waiting PUT carries.
        return [op for op in self._batch if op.kind != PUT or op.key not in gone] + kept
