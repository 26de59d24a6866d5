"""How the clock on the wall was set while the server ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.register import Register
from stompserver.broker.message import NUMBER, OVERHEAD, Message
from stompserver.broker.names.destination import SYSTEM

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

JUMPS: Final = SYSTEM + "clock"
"""The queue of the store that remembers them."""

MOST: Final = 100
"""Jumps that are remembered; a clock that is set more often is not to be trusted with anything."""

_AFTER: Final = "after"
_UPTO: Final = "upto"
_BY: Final = "by"


class Jumps:
    """Tells the clock of each jump, and of those of earlier runs: messages that came before one are still in the
    store, with times that were right then. So what came before the machine knew what day it is, is kept for as long
    as it was meant to be.
    """

    __slots__ = ("_desk", "_register")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._register = Register(desk, JUMPS, self._restore)

    def note(self, by: int) -> None:
        """The clock was set by ``by`` ms."""
        desk = self._desk
        upto: int = desk.number
        entry = Message("clock", {}, b"", OVERHEAD)
        desk.place(entry)
        entry.number = entry.key & NUMBER
        entry.extras = {_AFTER: str(desk.clock.first), _UPTO: str(upto), _BY: str(by)}
        with desk.log.transaction():
            self._register.set(str(entry.number), entry)
            entries = self._register.entries
            while len(entries) > MOST:
                self._register.remove(next(iter(entries)))
        self._tell()

    def _tell(self) -> None:
        self._desk.clock.jumps = [
            (number(entry, _AFTER), number(entry, _UPTO), number(entry, _BY))
            for entry in self._register.entries.values()
        ]

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of earlier runs."""
        self._register.restore(messages)
        self._tell()
        return []


def number(entry: Message, name: str) -> int:
    """A number that ``entry`` says under ``name``, 0 where it says none."""
    text = entry.extras.get(name, "") if entry.extras is not None else ""
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else 0
