"""A subscription's way through the histories of its topics, from where it asked to start up to now."""

from __future__ import annotations

from typing import Final

from stompserver.broker.history import History, number_of
from stompserver.broker.message import Message
from stompserver.errors import Refused

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
                    mend="Write one of these; offset=N takes the x-stream-offset of a MESSAGE.",
                )
            self.kind = _TIME
            self.value = now - ago

    def place(self, history: History) -> int:
        """The place in ``history`` after which the replay starts."""
        kind: int = self.kind
        if kind == _FIRST:
            return 0
        if kind == _LAST:
            return history.before_last()
        if kind == _OFFSET:
            return history.before_offset(self.value)
        if kind == _TIME:
            return history.before_time(self.value)
        return history.newest()


class Cursor:
    """How far a replay is in one history."""

    __slots__ = ("history", "place")

    def __init__(self, history: History, place: int) -> None:
        self.history = history
        self.place: int = place


class Replay:
    """Goes through histories in the order in which messages were sent to all of them together.

    What is sent meanwhile is found at the end of the histories, so nobody needs to deliver it.
    """

    __slots__ = ("cursors",)

    def __init__(self, start: Start, histories: list[History]) -> None:
        self.cursors: list[Cursor] = [Cursor(history, start.place(history)) for history in histories]

    def covers(self, history: History) -> bool:
        """Whether what is sent to the topic of ``history`` comes by this replay."""
        return history in [cursor.history for cursor in self.cursors]

    def take(self, most: int, now: int) -> list[Message]:
        """The next messages, up to ``most``; none at the end."""
        found: list[Message] = []
        for cursor in self.cursors:
            found.extend(cursor.history.after(cursor.place, most, now))
        found.sort(key=number_of)
        del found[most:]
        last: int = found[-1].number if found else 0
        for cursor in self.cursors:
            cursor.place = max(cursor.place, last)
        return found


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
