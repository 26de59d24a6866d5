"""Messages for later: what there are, and the end of some. Times are Unix times in ms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stompserver.errors import Refused
from stompserver.manage import fields
from stompserver.manage.fields import Field
from stompserver.manage.jobs import Job
from stompserver.manage.listing import UNLIMITED, Listing, order_of

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.schedule.schedule import Entry

NEVER: Final = 1 << 62


class Scheduled(Listing[int, "Entry"]):
    """Rows of what is due from ``start`` to ``end``, in the order of the times; of destinations that are ``seen``."""

    __slots__ = ("_end", "_seen", "_start")

    def __init__(
        self,
        broker: Broker,
        start: int = -NEVER,
        end: int = NEVER,
        shown: tuple[Field[Entry], ...] = fields.SCHEDULED,
        limit: int = UNLIMITED,
        seen: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(
            broker, list(broker.schedule.entries), shown, order_of(fields.SCHEDULED, "due"), False, limit
        )
        self._start: int = start
        self._end: int = end
        self._seen = seen

    def find(self, key: int) -> Entry | None:
        """The entry with that key."""
        entry = self.broker.schedule.entries.get(key)
        if entry is None or not self._start <= entry.due <= self._end:
            return None
        return entry if self._seen is None or self._seen(entry.destination) else None


class Cancel(Job):
    """Forgets what is due from ``start`` to ``end`` at destinations that are ``seen``; ``cancelled`` counts the
    messages. What is sent before its turn came was sent.
    """

    __slots__ = ("_at", "_end", "_keys", "_seen", "_start", "cancelled")

    def __init__(
        self,
        broker: Broker,
        start: int = -NEVER,
        end: int = NEVER,
        seen: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(broker)
        self.cancelled: int = 0
        self._start: int = start
        self._end: int = end
        self._keys = list(broker.schedule.entries)
        self._at: int = 0
        self._seen = seen

    def step(self, budget: int) -> bool:
        """Forget a slice of the messages."""
        if self.over:
            return False
        schedule = self.broker.schedule
        keys = self._keys[self._at : self._at + budget]
        self._at += len(keys)
        entries = schedule.entries
        due: list[int] = []
        for key in keys:
            entry = entries.get(key)
            if entry is None or not self._start <= entry.due <= self._end:
                continue
            if self._seen is None or self._seen(entry.destination):
                due.append(key)
        self.cancelled += schedule.forget(due)
        if self._at >= len(self._keys):
            self.end()
        return not self.over


def cancel(broker: Broker, job: int) -> int:
    """Forget the job with that scheduledJobId; return how many messages that were. Raises Refused when there is
    none.
    """
    count = broker.schedule.cancel(job)
    if not count:
        raise Refused(
            f"Nothing is scheduled under {job}",
            where="header id",
            rule="It is the scheduledJobId of a message that was not delivered for the last time",
            fix="Look with action:schedule-list.",
        )
    return count
