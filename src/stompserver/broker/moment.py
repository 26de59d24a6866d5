"""When a message came, which its number tells."""

from __future__ import annotations

from typing import Final

EPOCH: Final = 1577836800
"""Seconds: 2020-01-01, from which message numbers are counted so that they stay short."""

_FREE: Final = 16
"""Bits of a number that count messages; those above them are 1024ths of a second."""


def number_at(now: int) -> int:
    """The lowest number of a message that comes at ``now`` (Unix time in ms), as long as there are fewer than 67
    million a second; below 2**57 until the year 2088. Of an earlier time than EPOCH it is that of EPOCH.
    """
    since: int = now - EPOCH * 1000
    ticks: int = since * 1024 // 1000
    return max(1, ticks) << _FREE


def came_at(number: int) -> int:
    """When the message with that number came (Unix time in ms), where the broker looks at the clock for it
    (``Broker.dated``); else not before that, and not before its run of the server began.
    """
    ticks: int = number >> _FREE
    return EPOCH * 1000 + (ticks * 1000 + 1023) // 1024
