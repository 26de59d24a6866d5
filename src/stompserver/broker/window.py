"""How much of each queue is in memory when a store holds the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stompserver.broker.queue import Queue

FULL: Final = 4096
"""Messages in a window while there is memory enough."""

SCARCE: Final = 64
"""Messages in a window when there is not."""

BYTES: Final = 16 << 20
"""Bytes of one queue in memory above which what comes is paged, however few messages they are."""


class Window:
    """Shared by the queues of a broker: ``count`` messages and ``bytes`` may be in memory for each (``full``
    when there is enough); ``hungry`` are the queues that want more of what they have in the store.
    """

    __slots__ = ("bytes", "count", "full", "hungry")

    def __init__(self, count: int = FULL, bytes: int = BYTES) -> None:
        self.count: int = count
        self.full: int = count
        self.bytes: int = bytes
        self.hungry: list[Queue] = []

    def adapt(self, scarce: bool) -> None:
        """Make windows small while memory is scarce; what they hold already stays."""
        self.count = min(SCARCE, self.full) if scarce else self.full

    def take_hungry(self) -> list[Queue]:
        """The queues that want messages, each once until it was fed."""
        hungry = self.hungry
        self.hungry = []
        return hungry
