"""Whether a client has left, of a connection that is not read and therefore does not show it."""

from __future__ import annotations

import select
from typing import Final

HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)
"""What poll tells of a client that sends no more. It may still read."""


def sends_no_more(number: int) -> bool:
    """Whether the client of the socket with that number has closed its half, or is gone. False when it is closed."""
    return bool(_state(number) & (HANG_UP | select.POLLHUP | select.POLLERR))


def is_gone(number: int) -> bool:
    """Whether nothing can reach the client of the socket with that number. False when it is closed."""
    return bool(_state(number) & (select.POLLHUP | select.POLLERR))


def _state(number: int) -> int:
    if number < 0:
        return 0
    poll = select.poll()
    poll.register(number, HANG_UP)
    return sum(events for _, events in poll.poll(0))
