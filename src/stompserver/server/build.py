"""What a server stands on, made of a configuration: the broker, and the store behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.kept.jumps import JUMPS
from stompserver.broker.moment import number_at
from stompserver.broker.names.destination import MONITOR, SYSTEM
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.topics.durables import DURABLES
from stompserver.config import Config
from stompserver.server.cron import next_cron
from stompserver.server.process.logs import shortened
from stompserver.server.storage.pump import Pump
from stompserver.server.storage.recall import recall
from stompserver.server.storage.reserve import Reserve
from stompserver.server.terms import rules_of
from stompserver.stores import originals
from stompserver.stores.base import Place, Store, Stored, store_class
from stompserver.stores.lock import Lock

log = logging.getLogger("stompserver")

TOLD: Final = 1000
"""Queues of the store that are named in the log."""


def first_number(now: float) -> int:
    """The first message number of a run started at ``now`` (Unix time, s): above all of earlier runs as long as
    those sent fewer than 67 million messages a second. A server that was killed may be back within the same second.
    """
    return number_at(int(now * 1000))


class Storage:
    """An open store that keeps messages, and what belongs to it: the lock of its directory, the reserve on the disk
    (None for a store elsewhere), and the one thread that may touch it. ``checkpoint`` in s, as Pump has it.
    """

    __slots__ = ("checkpoint", "lock", "reserve", "store", "thread")

    def __init__(
        self, store: Store, lock: Lock, reserve: Reserve | None, thread: Executor, checkpoint: float
    ) -> None:
        self.store = store
        self.lock = lock
        self.reserve = reserve
        self.thread = thread
        self.checkpoint: float = checkpoint


class Parts:
    """A broker that knows what its store holds; ``storage`` is None where nothing is kept.

    Whoever has them closes them: a Server at its end, or ``close`` when there is to be no server.
    """

    __slots__ = ("broker", "storage")

    def __init__(self, broker: Broker, storage: Storage | None) -> None:
        self.broker = broker
        self.storage = storage

    def pump(self, resumed: Callable[[], None], failed: Callable[[], None]) -> Pump | None:
        """What commits the broker's ops, which closes the store too; None where nothing is kept."""
        storage = self.storage
        if storage is None:
            return None
        return Pump(
            storage.store,
            self.broker,
            storage.reserve,
            storage.checkpoint,
            resumed,
            failed,
            storage.thread,
            storage.lock,
        )

    def release(self) -> None:
        """Let others have the storage, when the pump has closed the store."""
        if self.storage is not None:
            self.storage.lock.release()

    def close(self) -> None:
        """Close what no pump was made for; returns when that is done."""
        if self.storage is not None:
            self.storage.thread.submit(self.storage.store.close)
            self.storage.thread.shutdown(wait=True)
            self.storage.lock.release()


async def build(config: Config) -> Parts:
    """Open the store of the options, and give a broker what it holds. All of it is done in the thread of the storage,
    so that the loop can go on with other things; until it is done nobody else has the broker.

    Raises StoreError and its kin; nothing is open then.
    """
    thread = ThreadPoolExecutor(1, "storage")
    opening = asyncio.get_running_loop().run_in_executor(thread, _open, config, thread)
    try:
        parts = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread cannot be stopped: what it opens is closed when it is done.
        opening.add_done_callback(_close_late)
        raise
    except BaseException:
        thread.shutdown(wait=False)
        raise
    if parts.storage is None:
        thread.shutdown(wait=False)
    return parts


def _close_late(opening: asyncio.Future[Parts]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _open(config: Config, thread: Executor) -> Parts:
    now = time.time()
    first = first_number(now)
    place = Place(Path(config.storage), Path(config.etcdir))
    if originals.perhaps(place.storage, place.etc):
        # Imported when there is something, like below: most starts find nothing.
        from stompserver.migrate import found

        for original in found(place.storage, place.etc):
            if not original.imported:
                log.warning("%s", original, extra={"event": "original_found"})
    kind = store_class(config.queue)
    if not kind.keeps:
        broker = Broker(rules_of(config), OpLog(), first)
        broker.clock.now = int(now * 1000)
        broker.schedule.next_cron = next_cron
        return Parts(broker, None)
    lock = Lock(place.storage)
    try:
        store = kind(place)
    except BaseException:
        lock.release()
        raise
    try:
        log.info("Queue initialized: %s", store.description, extra={"event": "store"})
        if originals.was_begun(place.storage):
            from stompserver.migrate import Ledger

            # An import that was killed at its very end is completed, so that it can never be done twice.
            Ledger(place.storage).settle(store)
        broker = Broker(rules_of(config), OpLog(True), first, Window())
        broker.clock.now = int(now * 1000)
        broker.schedule.next_cron = next_cron
        reserve = Reserve(place.storage, config.storage_reserve) if store.local else None
        _restore(broker, store)
        if reserve is not None and not reserve.hold():
            log.warning("No room for the reserve of %d bytes in %s", config.storage_reserve, place.storage)
    except BaseException:
        store.close()
        lock.release()
        raise
    return Parts(broker, Storage(store, lock, reserve, thread, config.checkpoint))


def _restore(broker: Broker, store: Store) -> None:
    """Let the broker know what the store holds, and read back what the server itself remembers."""
    remembered: list[Stored] = []
    told = 0
    untold = 0
    for stored in store.load():
        if stored.name.startswith(SYSTEM):
            remembered.append(stored)
            continue
        broker.restore(stored.name, stored.count, stored.lowest, stored.highest, stored.bytes)
        if stored.name == MONITOR:
            log.warning(
                "%s is no queue: its %d messages stay in the storage, for stompctl store export",
                MONITOR,
                stored.count,
            )
            continue
        if told < TOLD:
            told += 1
            log.info("%s has %d messages", shortened(stored.name), stored.count, extra={"event": "restored"})
        else:
            untold += 1
    if untold:
        log.info("%d more queues have messages", untold, extra={"event": "restored"})
    remembered.sort(key=_turn)
    recall(store, broker, remembered)


def _turn(stored: Stored) -> int:
    """Which is read back first: others ask how the clock was set, and what holds for a durable subscription's queue
    is for one that there is, also when it is empty.
    """
    return 0 if stored.name == JUMPS else 1 if stored.name == DURABLES else 2
