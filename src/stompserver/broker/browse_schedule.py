"""ActiveMQ's BROWSE of the schedule: each message that waits for its time, sent to who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.fetch import Fetch, Taker
from stompserver.broker.message import Message
from stompserver.broker.plan import NAMES
from stompserver.broker.schedule import JOB, SCHEDULE, Entry
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

STEP: Final = 200
"""Messages in one go; other work comes between."""


class BrowseSchedule(Taker):
    """Sends copies of what is due from ``start`` to ``end`` (Unix ms) to ``destination``, by their times."""

    __slots__ = (
        "_at",
        "_broker",
        "_correlation",
        "_destination",
        "_entries",
        "_fetch",
        "_page",
        "_read",
        "_wanted",
    )

    def __init__(self, broker: Broker, destination: str, correlation: str, start: int, end: int) -> None:
        self._broker = broker
        self._destination = destination
        self._correlation = correlation
        self._entries: list[Entry] = broker.schedule.jobs(start, end)
        self._at: int = 0
        self._page: list[Entry] = []
        self._wanted: set[int] = set()
        self._read: dict[int, Message] = {}
        self._fetch: Fetch | None = None
        if broker.window is not None:
            self._fetch = Fetch(SCHEDULE, broker.window, self)

    def start(self) -> None:
        """Begin."""
        self.step()

    def step(self) -> None:
        """Send the next, or have those read first that are only in the store."""
        self._page = self._entries[self._at : self._at + STEP]
        self._at += len(self._page)
        known = self._broker.schedule.entries
        keys = [entry.key for entry in self._page if entry.message is None and entry.key in known]
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
                    return
        if self._at < len(self._entries):
            self._broker.deadlines.add(_Step(self._broker.now + 1, self))

    def _shown(self, entry: Entry, message: Message) -> Message:
        twin = message.copy()
        twin.head = None
        twin.variants = None
        twin.destination = self._destination
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
        twin.plain = False
        extras = twin.extras if twin.extras is not None else {}
        for name in NAMES:
            extras.pop(name, None)
        twin.extras = extras or None
        return twin


class _Step(Timed):
    __slots__ = ("_browse",)

    def __init__(self, when: int, browse: BrowseSchedule) -> None:
        super().__init__(when)
        self._browse = browse

    def due(self, now: int) -> None:
        self._browse.step()
