"""What is wrong with a store: full, away or broken; what is refused meanwhile, and when it is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.oplog import FOREVER
from stompserver.errors import StoreAway, StoreError
from stompserver.server.storage.reserve import Reserve

log = logging.getLogger("stompserver.storage")

RETRY: Final = 1.0
"""Seconds until a full store is tried again."""

FIRST_RETRY: Final = 0.1
LAST_RETRY: Final = 10.0
"""Seconds until a database that went away is tried again: from FIRST_RETRY, doubling, to LAST_RETRY."""

MARGIN: Final = 1 << 20
"""Bytes left on the disk below which new messages are refused."""

LEAST: Final = 64 << 10
"""Room for messages, in bytes, below which the store counts as full."""


class Space:
    """What a store can take: ``free`` bytes of the disk, FOREVER where the disk is not ours, and ``spare`` bytes of
    messages in what the store has of the disk already.
    """

    __slots__ = ("free", "spare")

    def __init__(self, free: int = FOREVER, spare: int = 0) -> None:
        self.free: int = free
        self.spare: int = spare


class Trouble:
    """The state of a store as its pump knows it: ``full`` or ``away``, neither when all is well.

    While it is full or broken, ``broker.room`` is 0 and new messages are refused. ``swell`` is the store's. ``retry``
    is called when the batch that failed is to be tried again, ``failed`` when the store broke, and ``look`` once a
    second while somebody is refused; after it ``measure`` is to be called.
    """

    def __init__(
        self,
        broker: Broker,
        reserve: Reserve | None,
        swell: int,
        retry: Callable[[], None],
        look: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._reserve = reserve
        self._swell = swell
        self._retry = retry
        self._look = look
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._retry_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._wait = FIRST_RETRY
        self._room = FOREVER
        """As it was measured."""
        self._lacking = 0
        """Bytes of the smallest message that was refused though the store is not full; 0 for none."""
        self._told = 0
        """Of these, the one that the log has."""
        self.full = False
        self.away = False
        self.ended = False
        """Whether nothing is to be committed any more: it broke, or the server has ended."""

    @property
    def waiting(self) -> bool:
        """Whether the batch that failed waits for its next try."""
        return self._retry_timer is not None

    def store_full(self, why: str) -> None:
        """Refuse new messages until ``measure`` finds room."""
        self._broker.room = 0
        if not self.full:
            self.full, self.away = True, False
            log.error("No room for messages, producers are refused: %s", why, extra={"event": "storage_full"})
        self._look_later()

    def refused(self, size: int) -> None:
        """A message of ``size`` bytes was refused for want of room."""
        if self.full or self.ended:
            return
        if not self._lacking or size <= self._told // 2:
            self._told = size
            text = "No room for a message, its producer is refused: it has %d bytes, and there is room for %d"
            log.error(text, size, self._broker.room, extra={"event": "storage_short"})
        self._lacking = min(size, self._lacking or size)
        self._look_later()

    def store_away(self, problem: StoreAway) -> None:
        """Try again, each time later; producers wait meanwhile."""
        if not self.away:
            self.full, self.away = False, True
            log.error("The database is away, producers wait: %s", problem, extra={"event": "storage_away"})
        self.try_later(self._wait)
        self._wait = min(2 * self._wait, LAST_RETRY)

    def store_broken(self, problem: StoreError) -> None:
        """No more receipts, and the server ends: a promise that cannot be kept is not made."""
        if self.ended:
            return
        self.ended = True
        self._broker.room = 0
        log.critical("The store failed: %s", problem, extra={"event": "storage_failed"})
        self._failed()

    def committed(self) -> None:
        """The store took a batch: a database that was away is back."""
        if self.away:
            self.away = False
            self._wait = FIRST_RETRY
            log.info("The database is back", extra={"event": "storage_back"})

    def measure(self, space: Space, pending: bool) -> None:
        """Tell the broker how much the store can take. ``pending``: something accepted could not be written yet."""
        if self.ended:
            return
        if pending and self.full:
            self.store_full("what was accepted still waits")
            return
        room = self._room = FOREVER if self._reserve is None else self._measured(self._reserve, space)
        if room < LEAST:
            self.store_full("the disk has no space left")
            return
        self._broker.room = room
        if self.full or (self._lacking and room >= self._lacking):
            self.full = False
            self._lacking = 0
            log.info("There is room for messages again", extra={"event": "storage_back"})
        elif self._lacking:
            self._look_later()

    def _measured(self, reserve: Reserve, space: Space) -> int:
        """Bytes of messages that there is room for: on the disk, and in what the store has of it already."""
        free = space.free
        if not reserve.held and free > reserve.bytes and reserve.hold():
            free -= reserve.bytes
        if self.full and not reserve.held:
            # What the disk has belongs to the reserve first.
            free = 0
        spare = space.spare if reserve.held else space.spare - min(reserve.bytes, space.spare // 2)
        return max(0, free - MARGIN) // self._swell + spare

    def spend(self, waiting: int) -> None:
        """Have what is accepted, ``waiting`` bytes, not be promised twice while there is no reserve for it."""
        if self._reserve is not None and not self._reserve.held and not self.full:
            self._broker.room = max(0, self._room - waiting)

    def try_later(self, seconds: float) -> None:
        """Have ``retry`` called in so many seconds, unless it is going to be."""
        if self._retry_timer is None and not self.ended:
            self._retry_timer = self._loop.call_later(seconds, self._try_again)

    def end(self) -> None:
        """Try nothing any more."""
        self.ended = True
        for timer in (self._retry_timer, self._look_timer):
            if timer is not None:
                timer.cancel()

    def _try_again(self) -> None:
        self._retry_timer = None
        self._retry()

    def _look_later(self) -> None:
        if self._look_timer is None and not self.ended:
            self._look_timer = self._loop.call_later(RETRY, self._look_again)

    def _look_again(self) -> None:
        self._look_timer = None
        if not self.ended:
            self._look()
