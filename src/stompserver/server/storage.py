"""The pump between the broker's op log and a store: one thread, group commit, the watermark, the windows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.message import Message
from stompserver.broker.oplog import FOREVER, MARK, PUT, REMOVE, Op
from stompserver.broker.queue import Queue
from stompserver.broker.window import Reader
from stompserver.errors import StoreAway, StoreError, StoreFull
from stompserver.server.reserve import Reserve
from stompserver.stores.base import Damage, Store

log = logging.getLogger("stompserver.storage")

RETRY: Final = 1.0
"""Seconds until a full store is tried again."""

SOON: Final = 0.1
PATIENCE: Final = 10.0
"""Seconds until a database that went away is tried again: from SOON, doubling, to PATIENCE."""

MARGIN: Final = 1 << 20
"""Bytes left on the disk below which new messages are refused."""

UNDURABLE: Final = 64 << 20
"""Bytes that may wait for a commit before producers are paused; a quarter of memory-limit where that is less, because
a commit takes as much again.
"""

AWAY: Final = "away"
FULL_UP: Final = "full"

Feed = tuple[Reader, int, int, int]
"""Who wants messages of a queue: after which key, how many, how many bytes."""
Fed = list[tuple[Reader, list[Message | Damage]]]


class Pump:
    """Commits what gathered while the last commit ran: there is no timer, a quiet server commits at once and a
    busy one in large batches.

    ``resumed`` is called when something became durable or came from the store, ``failed`` when the store broke for
    good. ``checkpoint`` in s: above 0 receipts go after the write, and the disk is synced that often.
    ``thread`` runs one call after the other.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        reserve: Reserve | None,
        checkpoint: float,
        resumed: Callable[[], None],
        failed: Callable[[], None],
        thread: Executor | None = None,
    ) -> None:
        self._store = store
        self._broker = broker
        self._log = broker.log
        self._reserve = reserve
        self._checkpoint = checkpoint
        self._resumed = resumed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._thread = thread or ThreadPoolExecutor(1, "storage")
        self._busy = False
        self._closed = False
        self._batch: list[Op] = []
        """Drained from the log and not committed."""
        self._aside: list[Op] = []
        """The part of it that waits for room while the rest is tried alone."""
        self._number: int = broker.log.number
        self._feeds: list[Feed] = []
        self._trouble = ""
        self._wait = SOON
        self._retry: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._syncer: asyncio.TimerHandle | None = None
        self._unsynced = False
        self._idle = asyncio.Event()
        self._measure()

    @property
    def pausing(self) -> bool:
        """Whether producers must wait: too much is not durable yet, or the database is away."""
        return self._log.bytes > min(UNDURABLE, self._broker.memory.limit // 4) or self._trouble == AWAY

    def kick(self) -> None:
        """Start a commit, unless one runs or nothing is to be done. Called at the end of each loop turn."""
        if self._busy or self._closed:
            return
        if self._log.number != self._number:
            self._number, fresh = self._log.drain(self._store.most)
            self._batch = self._merged(fresh) if self._batch else fresh
        window = self._broker.window
        if window is not None:
            memory = self._broker.memory
            window.adapt(memory.used > memory.ample)
        if self._retry is None or self._trouble == FULL_UP:
            hungry = window.take_hungry() if window is not None else []
            self._feeds = self._shares(hungry)
        batch = self._batch if self._retry is None else []
        if batch or self._feeds:
            self._start(batch)
        elif not self._batch and self._log.durable != self._number:
            # What was logged cancelled itself, or asked not to be kept.
            self._log.committed(self._number, 0)
            self._resumed()

    def _shares(self, hungry: list[Reader]) -> list[Feed]:
        """What to read for each, so that all of them together do not take the memory that producers need."""
        if not hungry:
            return []
        memory = self._broker.memory
        share = max(1, max(memory.ample - memory.used, memory.limit // 64) // len(hungry))
        feeds = []
        pending = self._pending()
        for reader in hungry:
            most, room = reader.room()
            lowest = pending.get(reader.name)
            if lowest is not None:
                reader.passed_by(lowest)
            feeds.append((reader, reader.after(), most, min(room, share)))
        return feeds

    def _pending(self) -> dict[str, int]:
        """The lowest key in each queue of what only the log has and this commit does not take to the store."""
        ops = self._log.undrained() + self._aside
        if self._retry is not None:
            ops = ops + self._batch
        lowest: dict[str, int] = {}
        for op in ops:
            if op.kind == PUT and op.paged and op.key < lowest.get(op.queue, FOREVER):
                lowest[op.queue] = op.key
        return lowest

    def _start(self, batch: list[Op]) -> None:
        self._busy = True
        self._idle.clear()
        future = self._thread.submit(self._work, batch, self._feeds)
        future.add_done_callback(self._from_thread)

    def _work(self, batch: list[Op], feeds: list[Feed]) -> tuple[list[Op], Fed]:
        """In the storage thread: one commit, then what the windows want."""
        if batch:
            self._store.commit(batch, not self._checkpoint)
        return batch, [
            (reader, self._store.read(reader.name, after, most, room)) for reader, after, most, room in feeds
        ]

    def _from_thread(self, future: Future[tuple[list[Op], Fed]]) -> None:
        # A loop that is closed belongs to a server that was cut off.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._done, future)

    def _done(self, future: Future[tuple[list[Op], Fed]]) -> None:
        self._busy = False
        self._idle.set()
        try:
            batch, fed = future.result()
        except StoreError as problem:
            self._starve()
            self._troubled(problem)
            self._resumed()
            return
        except OSError as problem:
            self._broken(StoreError(str(problem)))
            return
        except Exception:
            log.exception("The store failed in a way it should not")
            self._broken(StoreError("internal error"))
            return
        self._feeds = []
        if batch:
            self._committed(batch)
        self._feed(fed)
        self._resumed()
        self.kick()

    def _committed(self, batch: list[Op]) -> None:
        size = sum([op.size for op in batch if op.kind == PUT])
        self._broker.memory.used -= sum([op.size for op in batch if op.paged])
        if self._aside:
            # The watermark stays: what is before these ops still waits.
            self._batch, self._aside = self._aside, []
            self._log.bytes -= size
            self._again(RETRY)
        else:
            self._batch = []
            self._log.committed(self._number, size)
            self._broker.schedule.relieve()
        if self._trouble == AWAY:
            self._trouble = ""
            self._wait = SOON
            log.info("The database is back", extra={"event": "storage_back"})
        if self._checkpoint:
            self._unsynced = True
            if self._syncer is None:
                self._syncer = self._loop.call_later(self._checkpoint, self._sync)
        self._measure()

    def _starve(self) -> None:
        """Reads that failed are asked for again."""
        window = self._broker.window
        if window is not None:
            window.hungry.extend([feed[0] for feed in self._feeds])
        self._feeds = []

    def _feed(self, fed: Fed) -> None:
        for reader, found in fed:
            messages = [each for each in found if isinstance(each, Message)]
            lost = [each.key for each in found if isinstance(each, Damage)]
            for each in found:
                if isinstance(each, Damage):
                    log.error(
                        "A stored message of %s cannot be read and stays where it is: %s",
                        reader.name,
                        each,
                        extra={"event": "damage", "destination": reader.name},
                    )
            if found:
                reader.load(messages, max([each.key for each in found]), lost)
            elif self._batch or self._log.number != self._number or self._log.undrained():
                # What it counts on may be on its way to the store.
                reader.load([], reader.after(), [])
            else:
                if isinstance(reader, Queue) and reader.paged:
                    log.error(
                        "%s: the store lacks %d messages that it counted",
                        reader.name,
                        reader.paged,
                        extra={"event": "damage", "destination": reader.name},
                    )
                reader.all_read()

    # Trouble

    def _troubled(self, problem: StoreError) -> None:
        if isinstance(problem, StoreFull):
            self._full(problem)
        elif isinstance(problem, StoreAway):
            self._away(problem)
        else:
            self._broken(problem)

    def _full(self, problem: StoreFull) -> None:
        self._fill_up(str(problem))
        if self._aside:
            # Not even what removes something fits.
            self._batch, self._aside = self._aside + self._batch, []
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
                self._batch = out
                self._start(out)
                return
        self._again(RETRY)

    def _fill_up(self, why: str) -> None:
        self._broker.room = 0
        if self._trouble != FULL_UP:
            self._trouble = FULL_UP
            log.error("No room for messages, producers are refused: %s", why, extra={"event": "storage_full"})
        if self._probe is None:
            self._probe = self._loop.call_later(RETRY, self._look)

    def _look(self) -> None:
        self._probe = None
        if not self._closed:
            self._measure()
            self.kick()

    def _away(self, problem: StoreAway) -> None:
        if self._trouble != AWAY:
            self._trouble = AWAY
            log.error("The database is away, producers wait: %s", problem, extra={"event": "storage_away"})
        self._again(self._wait)
        self._wait = min(2 * self._wait, PATIENCE)

    def _broken(self, problem: StoreError) -> None:
        """No more receipts, and the process ends: a promise that cannot be kept is not made."""
        self._closed = True
        self._broker.room = 0
        log.critical("The store failed: %s", problem, extra={"event": "storage_failed"})
        self._failed()

    def _again(self, seconds: float) -> None:
        if self._retry is None and not self._closed:
            self._retry = self._loop.call_later(seconds, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.kick()

    def _measure(self) -> None:
        """Tell the broker how much the store can take."""
        broker = self._broker
        reserve = self._reserve
        if self._batch and self._trouble == FULL_UP:
            self._fill_up("what was accepted still waits")
            return
        room = FOREVER
        if reserve is not None:
            held = self._trouble != FULL_UP or reserve.hold()
            try:
                room = max(0, reserve.free() - MARGIN) if held else 0
            except OSError as problem:
                self._broken(StoreError(f"the storage is gone: {problem}"))
                return
        if not room:
            self._fill_up("the disk has no space left")
            return
        broker.room = room
        if self._trouble == FULL_UP:
            self._trouble = ""
            log.info("There is room for messages again", extra={"event": "storage_back"})

    def _sync(self) -> None:
        self._syncer = None
        if self._unsynced and not self._closed:
            self._unsynced = False
            future = self._thread.submit(self._store.sync)
            future.add_done_callback(self._synced)

    def _synced(self, future: Future[None]) -> None:
        problem = future.exception()
        if problem is not None:
            self._loop.call_soon_threadsafe(self._broken, StoreError(str(problem)))

    async def close(self, deadline: float) -> bool:
        """Commit what is left, within ``deadline`` seconds, and close the store; whether all was committed."""
        end = self._loop.time() + deadline
        while not self._closed and self._loop.time() < end:
            self.kick()
            if self._busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), max(0.0, end - self._loop.time()))
            elif not self._batch:
                break
            else:
                await asyncio.sleep(SOON)
        complete = not self._busy and not self._batch and self._log.number == self._number
        self._closed = True
        for timer in (self._retry, self._probe, self._syncer):
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
        if self._trouble != FULL_UP:
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
