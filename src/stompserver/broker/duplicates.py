"""Which messages came already, by the ids that their senders gave them."""

from __future__ import annotations

from typing import Final

from stompserver.broker.destination import SYSTEM
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog

ID: Final = "dedup"
"""In a message's extras: the id by which it is known."""

QUEUE: Final = SYSTEM + "duplicates"

_AT: Final = "at"
_SIZE: Final = 200


class Duplicates:
    """The ids of each destination, the oldest first; kept in the store, so that a window survives a restart."""

    __slots__ = ("_log", "_windows")

    def __init__(self, log: OpLog) -> None:
        self._log = log
        self._windows: dict[str, dict[str, Message]] = {}

    def seen(self, destination: str, id: str, now: int, time: int) -> bool:
        """Whether a message with that id came, in the last ``time`` ms (0: ever), as far as is remembered."""
        window = self._windows.get(destination)
        if window is None:
            return False
        note = window.get(id)
        return note is not None and not 0 < time <= now - _time(note)

    def note(self, destination: str, id: str, number: int, now: int, count: int) -> None:
        """Remember that id, and not more than ``count`` of the destination. ``number`` is a fresh message number."""
        if count <= 0:
            return
        note = Message(destination, {}, b"", _SIZE, plain=True)
        note.number = note.key = number
        note.extras = {ID: id, _AT: str(now)}
        window = self._windows.setdefault(destination, {})
        old = window.pop(id, None)
        if old is not None:
            self._log.remove(QUEUE, old)
        window[id] = note
        self._log.put(QUEUE, note)
        while len(window) > count:
            first = next(iter(window))
            self._log.remove(QUEUE, window.pop(first))

    def restore(self, messages: list[Message]) -> None:
        """Take back what the store has of an earlier run, in the order of the keys."""
        for message in messages:
            message.stored = True
            extras = message.extras
            if extras is not None and ID in extras:
                self._windows.setdefault(message.destination, {})[extras[ID]] = message


def _time(note: Message) -> int:
    extras = note.extras
    return int(extras[_AT]) if extras is not None else 0
