"""ActiveMQ's BROWSE of the schedule: each message that waits for its time, sent to who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import Message
from stompserver.broker.schedule.fetch import Fetch, Taker
from stompserver.broker.schedule.plan import NAMES
from stompserver.broker.schedule.schedule import JOB, SCHEDULE, Entry
from stompserver.errors import Refused
from stompserver.manage.jobs import Job

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

STEP: Final = 200
"""Messages in one go; other work comes between."""


class BrowseSchedule(Taker):
    """Sends copies of what is due from ``start`` to ``end`` (Unix ms), for destinations that are ``seen``, to
    ``destination``, by their times; what is asked to be done ``then`` is done behind the last.
    """

    __slots__ = (
        "_broker",
        "_correlation",
        "_destination",
        "_fetch",
        "_order",
        "_page",
        "_read",
        "_then",
        "_wanted",
    )

    def __init__(
        self,
        broker: Broker,
        destination: str,
        correlation: str,
        start: int,
        end: int,
        seen: Callable[[str], bool] | None = None,
    ) -> None:
        self._broker = broker
        self._destination = destination
        self._correlation = correlation
        self._order: _Order | None = _Order(broker, start, end, self, seen)
        """Has it, as the fetch has: at the end both are let go."""
        self._page: list[Entry] = []
        self._wanted: set[int] = set()
        self._read: dict[int, Message] = {}
        self._then: Callable[[], None] | None = None
        self._fetch: Fetch | None = None
        if broker.window is not None:
            self._fetch = Fetch(SCHEDULE, broker.window, self)

    def start(self, then: Callable[[], None] | None = None) -> None:
        """Begin."""
        self._then = then
        if self._order is not None:
            self._order.go_on()

    def show(self, page: list[Entry]) -> None:
        """Send these, or have those read first that are only in the store."""
        self._page = page
        known = self._broker.schedule.entries
        keys = [entry.key for entry in page if entry.message is None and entry.key in known]
        if keys and self._fetch is not None:
            self._wanted = set(keys)
            self._fetch.ask(keys)
        else:
            self._send()

    def taken(self, messages: list[Message], lost: list[int]) -> None:
        """What was read from the store."""
        for message in messages:
            self._wanted.discard(message.key)
            self._read[message.key] = message
        self._wanted.difference_update(lost)
        if not self._wanted:
            self._send()

    def _send(self) -> None:
        read = self._read
        self._read = {}
        known = self._broker.schedule.entries
        for entry in self._page:
            message = entry.message or read.get(entry.key)
            if message is not None and entry.key in known:
                try:
                    self._broker.send(self._shown(entry, message))
                except Refused:
                    # There is no room for more, or the one who asked is gone.
                    self._end()
                    return
        if self._order is None or self._order.over:
            self._end()
        else:
            self._order.later()

    def _end(self) -> None:
        self._order = None
        self._fetch = None
        then = self._then
        self._then = None
        if then is not None:
            then()

    def _shown(self, entry: Entry, message: Message) -> Message:
        twin = message.copy()
        twin.address(self._destination)
        twin.persistent = False
        twin.expires = 0
        twin.group = ""
        twin.headers = {
            **message.headers,
            JOB: str(entry.job),
            "original-destination": message.destination,
            "AMQ_SCHEDULED_TIME": str(entry.due),
        }
        plan = entry.plan
        if plan is not None:
            if plan.cron:
                twin.headers["AMQ_SCHEDULED_CRON"] = plan.cron
            if plan.repeat:
                twin.headers["AMQ_SCHEDULED_PERIOD"] = str(plan.period)
                twin.headers["AMQ_SCHEDULED_REPEAT"] = str(plan.repeat)
        if self._correlation:
            twin.headers["correlation-id"] = self._correlation
        extras = twin.extras if twin.extras is not None else {}
        for name in NAMES:
            extras.pop(name, None)
        twin.extras = extras or None
        return twin


class _Order(Job):
    """Finds what is due from ``start`` to ``end``, by the times, and gives it to ``browse`` page by page."""

    __slots__ = ("_at", "_browse", "_end", "_keys", "_merged", "_runs", "_seen", "_start")

    def __init__(
        self,
        broker: Broker,
        start: int,
        end: int,
        browse: BrowseSchedule,
        seen: Callable[[str], bool] | None,
    ) -> None:
        super().__init__(broker)
        self._start: int = start
        self._end: int = end
        self._browse = browse
        self._seen = seen
        self._keys = list(broker.schedule.entries)
        self._at: int = 0
        self._runs: list[list[tuple[int, int]]] = []
        """Sorted parts: what each slice found, as the time and the key."""
        self._merged: Iterator[tuple[int, int]] | None = None

    def step(self, budget: int) -> bool:
        """Sort a slice of them, or show a page; then it waits until that is done."""
        entries = self.broker.schedule.entries
        if self._at < len(self._keys):
            found: list[tuple[int, int]] = []
            keys = self._keys[self._at : self._at + budget]
            self._at += len(keys)
            for key in keys:
                entry = entries.get(key)
                if entry is None or not self._start <= entry.due <= self._end:
                    continue
                if self._seen is None or self._seen(entry.destination):
                    found.append((entry.due, key))
            found.sort()
            self._runs.append(found)
            if self._at < len(self._keys):
                return True
        if self._merged is None:
            self._merged = merge(*self._runs)
        places = list(islice(self._merged, STEP))
        if len(places) < STEP:
            self.end()
        self._browse.show([entries[key] for _, key in places if key in entries])
        return False
