"""The one timer for all that the broker does at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.deadlines import JUMP
from stompserver.server.hearing import after_hearing

LONGEST: Final = 1.0
"""Seconds after which the timer fires in any case: the clock may have been set, or the machine may have slept, and
nobody tells.
"""

PROMPT: Final = 0.01
"""Seconds in which two clocks are to be looked at, so that what they show belongs together."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


# Looked at for each packet: no function around it (bench: latency).
steady: Final[Callable[[], float]] = time.monotonic if _CLOCK is None else partial(time.clock_gettime, _CLOCK)
"""Seconds by a clock that nobody sets, and that goes on while the machine sleeps, where the system has one."""


class Alarm:
    """Tells ``broker`` the time, and calls it when something is due; ``rang`` is called after that.

    ``wall`` is Unix time in s, which may jump; ``pace`` (s) does not.
    """

    def __init__(self, broker: Broker, loop: asyncio.AbstractEventLoop, rang: Callable[[], None]) -> None:
        self._broker = broker
        self._loop = loop
        self._rang = rang
        self._due: int = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ringing = False
        self._stopped = False
        self._base: int = 0
        """What is added to ``pace`` in ms, so that both showed the same at the beginning."""
        self.go_by(time.time, steady)

    def go_by(self, wall: Callable[[], float], pace: Callable[[], float]) -> None:
        """Take the time from these clocks from now on, as if it had been so ever since."""
        self.wall = wall
        self.pace = pace
        now = int(wall() * 1000)
        known = self._broker.clock.known
        self._base = now - int(pace() * 1000) - known
        self._broker.look(now, now - known)

    def look(self) -> None:
        """Tell the broker the time."""
        now = int(self.wall() * 1000)
        pace = int(self.pace() * 1000) + self._base
        if not -JUMP < now - pace - self._broker.clock.known < JUMP:
            # It was set; or this process was stopped between the two.
            before = 0.0
            after = PROMPT
            while after - before >= PROMPT:
                before = self.pace()
                now = int(self.wall() * 1000)
                after = self.pace()
            pace = int(after * 1000) + self._base
        self._broker.look(now, pace)

    def set(self) -> None:
        """Set the timer to the earliest deadline that the broker has."""
        due = self._broker.deadlines.next()
        if due is None or self._ringing or self._stopped:
            return
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        delay = (due - int(self.pace() * 1000) - self._base) / 1000
        self._timer = self._loop.call_later(min(max(delay, 0.0), LONGEST), self._ring)

    def stop(self) -> None:
        """Stop the timer."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        # A lease that is over may have been settled in time.
        self._timer = None
        self._ringing = True
        after_hearing(self._loop, self._run)

    def _run(self) -> None:
        self._ringing = False
        if self._stopped:
            return
        self.look()
        self._broker.tick(self._broker.clock.now)
        self.set()
        self._rang()
