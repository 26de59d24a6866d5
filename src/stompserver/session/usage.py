"""What one login has at once, and sends in a second, over all of its connections, where that is limited."""

from __future__ import annotations

from typing import Final

BURST: Final = 1.0
"""Seconds whose share may be used at once by who used less before."""


class Rate:
    """So much ``each`` second may be used, on average; 0: as much as one likes. Who uses more waits until it is paid.
    ``now`` is any clock in s that only goes forward, the same for all calls.
    """

    __slots__ = ("_at", "_left", "each")

    def __init__(self, each: float, now: float) -> None:
        self.each: float = each
        self._left: float = each * BURST
        self._at: float = now

    def keep(self, each: float) -> None:
        """Have another rate from now on."""
        if self.each <= 0:
            self._left = each * BURST
        self.each = each

    def use(self, amount: float, now: float) -> float:
        """Use ``amount``, and return how many seconds to wait before more is used; 0 when there is no need to."""
        each: float = self.each
        if each <= 0:
            return 0.0
        self._left = min(each * BURST, self._left + max(0.0, now - self._at) * each) - amount
        self._at = now
        return -self._left / each if self._left < 0 else 0.0


class Usage:
    """The limits of one login (0: none), how much of them is used, and by how many connections. ``connections`` and
    ``subscriptions`` are those that there are now, of all of its connections.
    """

    __slots__ = (
        "bytes",
        "connections",
        "login",
        "max_connections",
        "max_subscriptions",
        "messages",
        "subscriptions",
    )

    def __init__(self, login: str, now: float) -> None:
        self.login = login
        self.connections: int = 0
        self.subscriptions: int = 0
        self.max_connections: int = 0
        self.max_subscriptions: int = 0
        self.messages = Rate(0.0, now)
        self.bytes = Rate(0.0, now)

    def limit(self, connections: int, subscriptions: int, messages: float, bytes: float) -> None:
        """Have these limits from now on; what is there already stays."""
        self.max_connections = connections
        self.max_subscriptions = subscriptions
        self.messages.keep(messages)
        self.bytes.keep(bytes)

    @property
    def rated(self) -> bool:
        """Whether there is a rate to keep."""
        return self.messages.each > 0 or self.bytes.each > 0

    def use(self, messages: int, octets: int, now: float) -> float:
        """So much was sent; return how many seconds to wait before more is."""
        return max(self.messages.use(messages, now), self.bytes.use(octets, now))
