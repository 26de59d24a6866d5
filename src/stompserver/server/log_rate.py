"""How many lines a client can put into the log: some, and then one that tells how many more there were."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

log = logging.getLogger("stompserver.connection")

WINDOW: Final = 10.0
"""Seconds that lines are counted together."""

TOLD: Final = 20
"""Clients that are named at the end of a window; the others are one line together."""


class LogRate:
    """Counts lines by who causes them, a connection or an address, and by their event, in windows of WINDOW."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._counts: dict[tuple[str, str], int] = {}
        self._over: dict[tuple[str, str], tuple[int, str]] = {}
        """Those with more lines than they may have: how many, and the client's address."""
        self._until = 0.0
        """When the window ends, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        """Where there is something to tell then."""

    def allows(self, who: str, event: str, most: int, address: str) -> bool:
        """Count a line about ``event`` that ``who`` at that address causes, and tell whether to write it: up to
        ``most`` in a window, and all of them where debug messages are on.
        """
        if log.isEnabledFor(logging.DEBUG):
            return True
        now = self._loop.time()
        if now >= self._until:
            self._end(now)
        key = (who, event)
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count <= most:
            return True
        self._over[key] = (count - most, address)
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._end, self._until)
        return False

    def close(self) -> None:
        """Tell what was left out; no line comes any more."""
        self._end(self._loop.time())

    def _end(self, now: float) -> None:
        """A window is over, and the next one begins."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._until = now + WINDOW
        self._counts.clear()
        over = sorted(self._over.items(), key=lambda each: each[1][0], reverse=True)
        self._over.clear()
        for (who, event), (count, address) in over[:TOLD]:
            fields = {"event": "omitted", "of": event, "count": count, "address": address}
            if who != address:
                fields["connection"] = who
            log.warning(
                "And %d more lines like it (%s) of %s within %g s",
                count,
                event,
                address,
                WINDOW,
                extra=fields,
            )
        if over[TOLD:]:
            lines = sum(count for _, (count, _) in over[TOLD:])
            text = "And %d more lines of %d other clients within %g s"
            fields = {"event": "omitted", "count": lines}
            log.warning(text, lines, len(over) - TOLD, WINDOW, extra=fields)
