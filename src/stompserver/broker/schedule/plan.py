"""When a message is to be delivered, and how often."""

from __future__ import annotations

from typing import Final

ENDLESS: Final = -1
"""As a count of repeats: without end."""

_AT: Final = "at"
_CRON: Final = "cron"
DATE: Final = "date"
"""In ``extras``: that it is due at a time of day, and not after so and so long."""

_DELAY: Final = "delay"
_DUE: Final = "due"
_JOB: Final = "job"
_PERIOD: Final = "period"
_REPEAT: Final = "repeat"
_TRANSIENT: Final = "transient"
_TTL: Final = "ttl"

NAMES: Final = (_AT, _CRON, DATE, _DELAY, _DUE, _JOB, _PERIOD, _REPEAT, _TRANSIENT, _TTL)
"""Under which a scheduled message keeps its plan, in ``extras``."""


class Plan:
    """``at`` (Unix time in ms; 0: not said) or ``delay`` ms from now; then ``repeat`` times more (ENDLESS: without
    end), every ``period`` ms, or at once where that is 0. With ``cron`` all of that happens each time when it says
    so. ``ttl`` is how long the message may wait for its consumer once it was delivered, in ms (0: for ever, or as
    the message itself says).
    """

    __slots__ = ("at", "cron", "delay", "period", "repeat", "ttl")

    def __init__(
        self, at: int = 0, period: int = 0, repeat: int = 0, cron: str = "", delay: int = 0, ttl: int = 0
    ) -> None:
        self.at: int = at
        self.period: int = period
        self.repeat: int = repeat
        self.cron = cron
        self.delay: int = delay
        self.ttl: int = ttl

    def together(self) -> int:
        """How many messages come at its first time: without a period all that are repeated."""
        return 1 if self.period else 1 + max(self.repeat, 0)

    def again(self) -> bool:
        """Whether it says more than one time."""
        return self.repeat != 0 or self.cron != ""

    def describe(self, extras: dict[str, str]) -> None:
        """Write it down in ``extras``, but for what is over once the first time is known."""
        if self.period:
            extras[_PERIOD] = str(self.period)
        if self.repeat:
            extras[_REPEAT] = str(self.repeat)
        if self.cron:
            extras[_CRON] = self.cron
            if self.delay:
                extras[_DELAY] = str(self.delay)
        if self.ttl:
            extras[_TTL] = str(self.ttl)


def regain(extras: dict[str, str]) -> Plan:
    """What ``describe`` wrote; a number that is none counts as 0."""
    return Plan(
        0,
        number(extras, _PERIOD),
        number(extras, _REPEAT),
        extras.get(_CRON, ""),
        number(extras, _DELAY),
        number(extras, _TTL),
    )


def number(extras: dict[str, str], name: str) -> int:
    """A number out of ``extras``, 0 where there is none."""
    try:
        return int(extras.get(name, "0"))
    except ValueError:
        return 0
