"""A walk through what a queue has in the store, to take out what is not to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import Message
from stompserver.broker.window import Reader, Window

if TYPE_CHECKING:
    from stompserver.broker.backlog import Backlog

PAGE: Final = (1000, 4 << 20)
"""Messages and bytes at a time."""


class Sweep(Reader):
    """Takes out what expired, or with ``all`` everything that is there when it begins."""

    __slots__ = ("_all", "_cursor", "_limit", "_queue", "_window")

    def __init__(self, queue: Backlog, window: Window, all: bool) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self._window = window
        self._all = all
        self._cursor: int = queue.tail
        self._limit: int = queue.last

    def start(self) -> None:
        """Begin."""
        self.want(self._window)

    def after(self) -> int:
        """Behind what it has seen, and what the window has."""
        return max(self._cursor, self._queue.tail)

    def room(self) -> tuple[int, int]:
        """A page."""
        return PAGE

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take out, and go on."""
        self.hungry = False
        queue = self._queue
        for message in messages:
            if message.key <= self._limit and (self._all or queue.lapsed(message)):
                queue.lose_paged(message, "purged" if self._all else "expired")
            elif message.expires:
                queue.expect(message.expires)
        self._cursor = max(self._cursor, last)
        if self._cursor < self._limit and queue.paged:
            self.want(self._window)
        else:
            queue.sweep = None

    def all_read(self) -> None:
        """Nothing is left."""
        self.hungry = False
        self._queue.sweep = None
