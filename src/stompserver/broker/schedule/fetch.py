"""Single messages out of a store, by their keys."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker.queues.window import Reader, Window

if TYPE_CHECKING:
    from stompserver.broker.message import Message

MOST: Final = 256
"""Messages in one read."""

NEAR: Final = 4
"""Keys with no more than that between them are read in one go, with what lies between."""

BYTES: Final = 4 << 20
"""Bytes in one read."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Taker(metaclass=ABCMeta):
    """Who wanted messages by their keys."""

    __slots__ = ()

    @abstractmethod
    def taken(self, messages: list[Message], lost: list[int]) -> None:
        """Take ``messages``; those with the keys ``lost`` are not in the store, or cannot be read."""


class Fetch(Reader):
    """Reads what a taker wants of one queue in the order of the keys. All of it must be durable."""

    __slots__ = ("_asked", "_at", "_keys", "_taker", "_window")

    def __init__(self, name: str, window: Window, taker: Taker) -> None:
        super().__init__(name)
        self._window = window
        self._taker = taker
        self._keys: list[int] = []
        self._at: int = 0
        self._asked: list[int] = []
        """What came while a read was on its way, which knows nothing of it."""

    def ask(self, keys: list[int]) -> None:
        """Have the messages with ``keys`` read, after those that are still on their way."""
        if not keys:
            return
        self._asked.extend(keys)
        if not self.asking:
            self._go_on()

    def after(self) -> int:
        """Just below the next that is wanted."""
        return self._keys[self._at] - 1

    def room(self) -> tuple[int, int]:
        """As many as lie close together."""
        keys = self._keys
        first: int = self._at
        last: int = first
        while (
            last + 1 < len(keys)
            and keys[last + 1] - keys[last] <= NEAR
            and keys[last + 1] - keys[first] < MOST
        ):
            last += 1
        return keys[last] - keys[first] + 1, BYTES

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Give the taker those of ``messages`` that it wants."""
        self.asking = False
        found = {message.key: message for message in messages}
        taken: list[Message] = []
        missing: list[int] = []
        keys = self._keys
        while self._at < len(keys) and keys[self._at] <= last:
            message = found.get(keys[self._at])
            if message is not None:
                taken.append(message)
            else:
                missing.append(keys[self._at])
            self._at += 1
        self._go_on()
        self._taker.taken(taken, missing)

    def all_read(self) -> None:
        """Tell the taker that the messages it still waits for are not in the store."""
        self.asking = False
        missing = self._keys[self._at :]
        self._at = len(self._keys)
        self._go_on()
        self._taker.taken([], missing)

    def _go_on(self) -> None:
        if self._asked:
            self._keys = sorted(self._keys[self._at :] + self._asked)
            self._at = 0
            self._asked = []
        if self._at < len(self._keys):
            self.want(self._window)
        else:
            self._keys = []
            self._at = 0
