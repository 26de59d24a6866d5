"""A subscription's way through the histories of its topics, from where it asked to start up to now."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.topics.choice import Choice
from stompserver.broker.topics.history import History
from stompserver.errors import Refused

PLACING: Final = 4
"""Units of work that it counts for to find the place in a history."""

_FIRST: Final = 0
_LAST: Final = 1
_NEXT: Final = 2
_OFFSET: Final = 3
_TIME: Final = 4

_UNITS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "D": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "Y": 31_536_000_000,
}
_SECONDS: Final = 100_000_000_000
"""A time below it is in seconds (RabbitMQ), one above it in ms: in seconds it is the year 5138."""


class Start:
    """Where a replay starts: ``first``, ``last`` (the newest message), ``next`` (what is yet to come), ``offset=N``,
    ``timestamp=N`` (Unix time, in s or ms) or ``-10m`` (ms, s, m, h, d, w, M, Y ago). Raises Refused for all else.
    """

    __slots__ = ("kind", "value")

    def __init__(self, text: str, now: int) -> None:
        self.kind: int = _FIRST
        self.value: int = 0
        name, equals, rest = text.strip().partition("=")
        rest = rest.strip()
        if text in ("first", "last", "next"):
            self.kind = _FIRST if text == "first" else _LAST if text == "last" else _NEXT
        elif (name == "offset" and equals and _number(rest)) or (not equals and _number(name)):
            self.kind = _OFFSET
            self.value = int(rest or name)
        elif name == "timestamp" and equals and _number(rest):
            self.kind = _TIME
            self.value = int(rest) * (1000 if int(rest) < _SECONDS else 1)
        else:
            ago = _ago(text.strip())
            if ago < 0:
                raise Refused(
                    f"Nothing can be replayed from {text[:80]!r}",
                    where="header x-stream-offset",
                    rule="A replay starts at first, last, next, offset=N, timestamp=N or at a time ago such as -10m",
                    fix="Write one of these; offset=N takes the x-stream-offset of a MESSAGE.",
                )
            self.kind = _TIME
            self.value = now - ago

    def place(self, history: History, last: int) -> int:
        """The place in ``history`` after which the replay starts that was asked for when ``last`` was the number of
        the newest message.
        """
        kind: int = self.kind
        if kind == _FIRST:
            return 0
        if kind == _LAST:
            return history.before_last(last)
        if kind == _OFFSET:
            return history.before_offset(self.value, last)
        if kind == _TIME:
            return history.before_time(self.value, last)
        return last


PLACE: Final = 250
"""Bytes of memory that a replay takes for each history that it may be of (measured: 205 at its beginning)."""


class Cursor:
    """How far a replay is in one history."""

    __slots__ = ("history", "place")

    def __init__(self, history: History, place: int) -> None:
        self.history = history
        self.place: int = place


class Replay:
    """Goes through histories in the order in which messages were sent to all of them together; a step is a message,
    however many histories there are.

    What is sent meanwhile is found at the end of the histories, so nobody needs to deliver it. It is of those of
    ``histories`` that ``choice`` has (None: of all), from ``start`` on, as that was when ``last`` was the number of
    the newest message.
    """

    __slots__ = (
        "_choice",
        "_going",
        "_last",
        "_left",
        "_start",
        "_through",
        "_upto",
        "histories",
        "over",
        "steps",
        "weight",
    )

    def __init__(
        self, start: Start, last: int, histories: list[History], choice: Choice | None = None
    ) -> None:
        self.histories = set(histories)
        self.weight: int = PLACE * len(histories)
        """Bytes of memory that it takes, for its owner to count."""
        self._left = deque(histories)
        """Those that were not looked at yet."""
        self._choice = choice
        self._start = start
        self._last: int = last
        self._through: list[Cursor] = []
        """In histories that had nothing more when they were last looked at."""
        self._going: list[tuple[int, int, Cursor]] = []
        """A heap of the others, with the number of the message that each comes to, and one that no other has."""
        self._upto: int = last
        """Number up to which none of those that are through has anything."""
        self.over = False
        """Whether nothing was left at the end of the last ``take``."""
        self.steps: int = 0
        """How often a history was looked at."""

    def covers(self, history: History) -> bool:
        """Whether what is sent to the topic of ``history`` comes by this replay."""
        return history in self.histories

    def topics(self) -> list[str]:
        """Those that it is of, as far as that is known."""
        return [history.topic for history in self.histories.difference(self._left)]

    def add(self, histories: list[History]) -> None:
        """There are these, too."""
        self.histories.update(histories)
        self._left.extend(histories)

    def look(self, budget: int) -> bool:
        """See which histories it is of, with about ``budget`` units of work; whether that is known of all."""
        choice = self._choice
        left = self._left
        while left and budget > 0:
            history = left.popleft()
            budget -= PLACING
            if choice is not None:
                budget -= choice.effort(history.topic)
                if not choice.has(history.topic):
                    self.histories.discard(history)
                    continue
            self._line_up(Cursor(history, self._start.place(history, self._last)))
        return not left

    def take(self, most: int, now: int) -> list[Message]:
        """The next messages, up to ``most``, when all histories were looked at. None are no sign that it is ``over``:
        what has expired counts too.
        """
        self.over = False
        fresh = False
        found: list[Message] = []
        going = self._going
        while most > 0:
            if not going or going[0][0] > self._upto:
                if not fresh:
                    fresh = True
                    self._look_again()
                    continue
                self.over = True
                break
            cursor = heappop(going)[2]
            # As many as come before what any other has, or may have had since it was looked at.
            last: int = min(going[0][0] if going else self._upto, self._upto)
            run, cursor.place = cursor.history.between(cursor.place, last, most, now)
            found.extend(run)
            most -= max(1, len(run))
            self._line_up(cursor)
        return found

    def _look_again(self) -> None:
        """See what has come into the histories that had nothing more."""
        through = self._through
        self._through = []
        for cursor in through:
            self._line_up(cursor)
        for _, _, cursor in self._going:
            self._upto = max(self._upto, cursor.history.newest())

    def _line_up(self, cursor: Cursor) -> None:
        following: int = cursor.history.following(cursor.place)
        if following:
            self._push(cursor, following)
        else:
            self.steps += 1
            self._through.append(cursor)

    def _push(self, cursor: Cursor, number: int) -> None:
        self.steps += 1
        heappush(self._going, (number, self.steps, cursor))


def _number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 19


def _ago(text: str) -> int:
    """The ms of ``-10m`` or ``10m``; -1 for what is none."""
    text = text.removeprefix("-")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzDMY")
    unit = _UNITS.get(text[len(digits) :])
    if unit is None or not _number(digits):
        return -1
    return int(digits) * unit
