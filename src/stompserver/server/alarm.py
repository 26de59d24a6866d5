"""The one timer for all that the broker does at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import Broker

LONGEST: Final = 3600.0
"""Seconds until the clock is looked at again: what is due at a time of day must not miss that the clock was set."""


class Alarm:
    """Tells ``broker`` the time, by ``wall`` (Unix time in s), and calls it when something is due; ``rang`` is called
    after that.
    """

    def __init__(
        self,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        rang: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._loop = loop
        self.wall = wall
        self._rang = rang
        self._due: int = 0
        self._timer: asyncio.TimerHandle | None = None
        self.look()

    def look(self) -> None:
        """Have the broker know what time it is."""
        self._broker.clock.now = int(self.wall() * 1000)

    def set(self) -> None:
        """Be called when the earliest of what is due now is."""
        due = self._broker.deadlines.next()
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        delay = due / 1000 - self.wall()
        self._timer = self._loop.call_later(min(max(delay, 0.0), LONGEST), self._ring)

    def stop(self) -> None:
        """Be called no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self.look()
        self._broker.tick(self._broker.clock.now)
        self.set()
        self._rang()
