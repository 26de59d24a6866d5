"""A walk through what a queue has in the store, to take out what is not to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import Message
from stompserver.broker.queues.window import Reader, Window

if TYPE_CHECKING:
    from stompserver.broker.queues.backlog import Backlog

PAGE: Final = (1000, 4 << 20)
"""Messages and bytes at a time."""


class Sweep(Reader):
    """Takes out what expired."""

    __slots__ = ("_cursor", "_limit", "_queue", "_window")

    def __init__(self, queue: Backlog, window: Window) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self._window = window
        self._cursor: int = queue.tail
        self._limit: int = queue.last

    def after(self) -> int:
        """The key up to which it has seen the store, or the window's tail where that is higher."""
        return max(self._cursor, self._queue.tail)

    def room(self) -> tuple[int, int]:
        """Messages and bytes of a page."""
        return PAGE

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take out what expired in this page, and ask for the next."""
        self.asking = False
        queue = self._queue
        for message in messages:
            if message.key <= self._limit and queue.lapsed(message):
                queue.lose_paged(message, "expired")
            elif message.expires:
                queue.expect(queue.clock.expiry(message))
        self._cursor = max(self._cursor, last)
        if self._cursor < self._limit and queue.paged:
            self.want(self._window)
        else:
            queue.walker = None
            queue.keeper.emptied(queue.name)

    def all_read(self) -> None:
        """Nothing is left."""
        self.asking = False
        self._queue.walker = None
        self._queue.keeper.emptied(self._queue.name)
