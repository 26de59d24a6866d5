"""How much of each queue is in memory when a store holds the rest."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Final

from stompserver.broker.oplog import FOREVER

if TYPE_CHECKING:
    from stompserver.broker.message import Message

FULL: Final = 4096
"""Messages in a window while there is memory enough."""

SCARCE: Final = 64
"""Messages in a window when there is not."""

BYTES: Final = 16 << 20
"""Bytes of one queue in memory above which what comes is paged, however few messages they are."""


class Reader(metaclass=ABCMeta):
    """Who reads what a queue has in the store: the queue itself for its window, a selector or a browser on its way
    through, a sweep.

    ``name`` is the queue's. ``asking`` tells that it waits for messages; ``late`` is then the lowest key that was
    paged meanwhile: what was read from there on may lack it, and is read again.
    """

    __slots__ = ("asking", "late", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.asking = False
        self.late: int = FOREVER

    @abstractmethod
    def after(self) -> int:
        """The key above which it wants messages."""

    @abstractmethod
    def room(self) -> tuple[int, int]:
        """Messages and bytes that it can take."""

    @abstractmethod
    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what the store read: ``messages`` in the order of their keys, up to the key ``last``; those with the
        keys ``lost`` cannot be read.
        """

    @abstractmethod
    def all_read(self) -> None:
        """Hear that the store has nothing more above ``after``."""

    def want(self, window: Window) -> None:
        """Ask for messages, once."""
        if not self.asking:
            self.asking = True
            self.late = FOREVER
            window.asking.append(self)

    def passed_by(self, key: int) -> None:
        """A message with that key went to the store."""
        if self.asking and key < self.late:
            self.late = key


class Window:
    """Shared by the queues of a broker: ``count`` messages and ``bytes`` may be in memory for each (``full``
    when there is enough); ``asking`` are those that want more of what is in the store.
    """

    __slots__ = ("asking", "bytes", "count", "full")

    def __init__(self, count: int = FULL, bytes: int = BYTES) -> None:
        self.count: int = count
        self.full: int = count
        self.bytes: int = bytes
        self.asking: list[Reader] = []

    def adapt(self, scarce: bool) -> None:
        """Make windows small while memory is scarce; what they hold already stays."""
        self.count = min(SCARCE, self.full) if scarce else self.full

    def take_asking(self) -> list[Reader]:
        """Those that want messages, each once until it was given some."""
        asking = self.asking
        self.asking = []
        return asking
