"""The next time that a cron line names, in the local time of this machine, as cron itself reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

FIELDS: Final = "minute hour day-of-month month day-of-week"

_LONGEST: Final = 200


class _Local(tzinfo):
    """The machine's time zone with its changes of the clock; datetime alone knows only today's offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        local = moment.replace(tzinfo=UTC).astimezone()
        bare = local.replace(tzinfo=None)
        # An hour that the clock repeats: the system's offset tells which of the two it is.
        return bare.replace(tzinfo=self, fold=int(bare.astimezone().utcoffset() != local.utcoffset()))


LOCAL: Final = _Local()


def next_cron(spec: str, after: int, zone: tzinfo = LOCAL) -> int:
    """When ``spec`` fires next after ``after`` (both Unix time in ms); 0 for never within 50 years.

    Raises ValueError, which says what is wrong, for what is no cron line of five fields.
    """
    if len(spec) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    count = len(spec.split())
    if count != 5:
        raise ValueError(f"{count} fields, not the five of cron: {FIELDS}")
    try:
        times = CronSim(spec, datetime.fromtimestamp(after / 1000, zone))
    except CronSimError as problem:
        raise ValueError(str(problem).lower()) from None
    for moment in times:
        # The hour that the clock repeats is given by its first pass.
        found = int(moment.timestamp()) * 1000
        if found > after:
            return found
    return 0
