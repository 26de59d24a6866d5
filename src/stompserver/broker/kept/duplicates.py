"""Which messages came already, by the ids that their senders gave them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import DUPLICATE, Message
from stompserver.broker.names.destination import SYSTEM

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

QUEUE: Final = SYSTEM + "duplicates"

_AT: Final = "at"
_SIZE: Final = 200

LONG: Final = 64
"""Characters of an id above which a digest of it is remembered instead."""

NOTE: Final = 350
"""Bytes of memory that an id takes beside its text (measured: 280 to 340)."""

WINDOW: Final = 500
"""Bytes of memory that a destination with ids takes beside its name (measured: 400 to 470)."""


class Note:
    """That a message with some id came at ``at`` (Unix ms); ``key`` is its place in the store."""

    __slots__ = ("at", "key")

    def __init__(self, key: int, at: int) -> None:
        self.key: int = key
        self.at: int = at


class Duplicates:
    """The ids of each destination, the oldest first; kept in the store, so that a window survives a restart.

    All of them have a share of the memory. Above it the destination that got none for longest forgets its oldest; or
    the one that got the newest, if it has more than half of the share.
    """

    __slots__ = ("_clock", "_log", "_share", "_windows")

    def __init__(self, desk: Desk) -> None:
        self._clock = desk.clock
        self._log = desk.log
        self._share = desk.memory.duplicates
        desk.restorers[QUEUE] = self._restore
        self._windows: dict[str, dict[str, Note]] = {}

    def seen(self, destination: str, id: str, now: int, time: int) -> bool:
        """Whether a message with that id came, in the last ``time`` ms (0: ever), as far as is remembered."""
        window = self._windows.get(destination)
        if window is None:
            return False
        note = window.get(_short(id))
        return note is not None and not 0 < time <= now - note.at - self._clock.moved(note.key)

    def note(self, destination: str, id: str, number: int, now: int, count: int) -> None:
        """Remember that id, and not more than ``count`` of the destination. ``number`` is a fresh message number."""
        if count <= 0:
            return
        id = _short(id)
        window = self._add(destination, id, Note(number, now))
        entry = Message(destination, {}, b"", _SIZE, plain=True)
        entry.number = entry.key = number
        entry.extras = {DUPLICATE: id, _AT: str(now)}
        self._log.put(QUEUE, entry)
        while len(window) > count:
            self._forget_oldest(destination)
        self._make_room()

    def forget(self, destination: str) -> None:
        """``destination`` is no more."""
        while destination in self._windows:
            self._forget_oldest(destination)

    def _add(self, destination: str, id: str, note: Note) -> dict[str, Note]:
        """Remember ``note`` as the newest of the destination that got one last; return all of that."""
        window = self._windows.pop(destination, None)
        if window is None:
            window = {}
            self._share.take(WINDOW + len(destination))
        self._windows[destination] = window
        old = window.pop(id, None)
        if old is None:
            self._share.take(NOTE + len(id))
        else:
            self._remove(destination, old)
        window[id] = note
        return window

    def _make_room(self) -> None:
        share = self._share
        while share.exceeded and self._windows:
            # The newest is the last.
            newest = next(reversed(self._windows))
            # Half of the share is enough for one, and the others need not go before it.
            greedy = 2 * NOTE * len(self._windows[newest]) > share.most
            self._forget_oldest(newest if greedy else next(iter(self._windows)))

    def _forget_oldest(self, destination: str) -> None:
        window = self._windows[destination]
        id = next(iter(window))
        self._remove(destination, window.pop(id))
        self._share.give(NOTE + len(id))
        if not window:
            del self._windows[destination]
            self._share.give(WINDOW + len(destination))

    def _remove(self, destination: str, note: Note) -> None:
        entry = Message(destination, None, b"", _SIZE)
        entry.key = note.key
        entry.stored = self._log.recording
        self._log.remove(QUEUE, entry)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run, in the order of the keys."""
        for message in messages:
            extras = message.extras
            if extras is not None and DUPLICATE in extras:
                at = extras.get(_AT, "")
                note = Note(message.key, int(at) if at.isascii() and at.isdigit() else 0)
                self._add(message.destination, _short(extras[DUPLICATE]), note)
        self._make_room()
        return []


def _short(id: str) -> str:
    """What is remembered of an id."""
    if len(id) <= LONG:
        return id
    return sha256(id.encode("utf-8", "surrogateescape")).hexdigest()
