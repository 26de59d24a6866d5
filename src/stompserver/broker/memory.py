"""How much of the machine's memory the broker holds, against its limit."""

from __future__ import annotations


class Memory:
    """Bytes in use and four marks: up to ``ample``, queues keep in memory what nobody has asked for yet; producers
    are paused above ``high`` and go on below ``low``; ``limit`` is where even a client that must not be paused (it
    owes ACKs, or a COMMIT) is refused.
    """

    __slots__ = ("ample", "high", "limit", "low", "used")

    def __init__(self, limit: int) -> None:
        self.used: int = 0
        self.limit: int = limit
        self.ample: int = limit // 2
        self.high: int = limit * 4 // 5
        self.low: int = limit * 7 // 10

    def resize(self, limit: int) -> None:
        """Take another limit, in bytes, while running."""
        self.limit = limit
        self.ample = limit // 2
        self.high = limit * 4 // 5
        self.low = limit * 7 // 10
