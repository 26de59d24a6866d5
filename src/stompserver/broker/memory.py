"""How much of the machine's memory the broker holds, against its limit."""

from __future__ import annotations

from typing import Final

from stompserver.errors import Refused

NEVER: Final = 1 << 60

PARTS: Final = 32
"""A share is so many of these parts of the limit."""

LEAST: Final = 16
"""Producers never wait while messages, without all shares, take less than one part in LEAST of the limit."""

MESSAGES: Final = 8
"""One part in MESSAGES of the limit is not for shares, however many of them are full."""

GRANT: Final = 256 * 1024
"""Bytes that a client is given at a time."""

LEAST_GRANT: Final = 4 * 1024
"""The same when very much is unsent: whoever reads gets on even then."""

UNREAD: Final = 4
"""What is unsent shall be one part in UNREAD of the memory limit at most."""

ALIKE: Final = 4
"""A client is given one part in ALIKE of what is left of that."""


class Share:
    """What one kind of thing may take of the memory, as a part of the limit: things that no consumer takes, and that
    stay until their time has come or somebody takes them away. What is in a share counts as memory too.
    """

    __slots__ = ("_fixed", "_memory", "_parts", "most", "used")

    def __init__(self, memory: Memory, parts: int, fixed: bool = False) -> None:
        self._memory = memory
        self._parts: int = parts
        self._fixed = fixed
        """Whether these are no messages."""
        self.used: int = 0
        self.resize()

    def resize(self) -> None:
        """The memory has another limit."""
        self.most: int = self._memory.limit * self._parts // PARTS
        """Bytes that it may take."""

    def fits(self, bytes: int) -> bool:
        """Whether there is room for so many more."""
        memory = self._memory
        return self.used + bytes <= self.most and memory.lent + bytes <= memory.lendable

    @property
    def exceeded(self) -> bool:
        """Whether it has more than it may."""
        return self.used > self.most

    def take(self, bytes: int) -> None:
        """So many more are in use, whether there is room or not."""
        memory = self._memory
        self.used += bytes
        memory.lent += bytes
        if self._fixed:
            memory.fixed += bytes
        else:
            memory.used += bytes

    def give(self, bytes: int) -> None:
        """So many are free again."""
        self.take(-bytes)


class Unsent:
    """``total`` bytes wait for clients whose sockets take no more, and count as memory. A client is given ``grant``
    bytes at a time: less when many do not read, so that what all together have stays about a part of the memory,
    however many they are (Choudhury and Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches,
    1998).
    """

    __slots__ = ("_memory", "grant", "total")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.total: int = 0
        self.grant: int = GRANT

    def change(self, bytes: int) -> None:
        """So many more wait, or fewer where that is below 0."""
        memory = self._memory
        memory.used += bytes
        self.total += bytes
        grant: int = (max(memory.limit // UNREAD, ALIKE * GRANT) - self.total) // ALIKE
        self.grant = LEAST_GRANT if grant < LEAST_GRANT else (GRANT if grant > GRANT else grant)


class Memory:
    """Bytes in use, by messages (``used``) and by what there is without them, such as queues and subscriptions
    (``fixed``), and four marks: up to ``ample``, queues keep in memory what nobody has asked for yet; producers are
    paused above ``high`` and go on below ``low``; ``limit`` is where even a client that must not be paused (it owes
    ACKs, or a COMMIT) is refused.

    ``lent`` is what all shares hold, ``lendable`` what they may. Whoever wants more than his share has is refused, so
    that all of them together can never keep producers waiting for good. ``unsent`` is what clients have not read.
    """

    __slots__ = (
        "ample",
        "duplicates",
        "durables",
        "fixed",
        "groups",
        "high",
        "histories",
        "idle",
        "lendable",
        "lent",
        "limit",
        "low",
        "retained",
        "schedule",
        "strict",
        "subscriptions",
        "transactions",
        "unsent",
        "used",
    )

    def __init__(self, limit: int) -> None:
        self.used: int = 0
        self.fixed: int = 0
        self.lent: int = 0
        self.unsent = Unsent(self)
        self.strict: int = NEVER
        """``used`` above which who is handed a message is looked at: whether there is room for another."""
        self._resize(limit)
        self.histories = Share(self, 8)
        self.retained = Share(self, 4)
        self.schedule = Share(self, 6)
        self.transactions = Share(self, 8)
        self.duplicates = Share(self, 2)
        self.subscriptions = Share(self, 3, True)
        self.durables = Share(self, 2, True)
        self.idle = Share(self, 2, True)
        self.groups = Share(self, 2, True)

    def resize(self, limit: int) -> None:
        """Take another limit, in bytes, while running."""
        self._resize(limit)
        for share in (
            self.histories,
            self.retained,
            self.schedule,
            self.transactions,
            self.duplicates,
            self.subscriptions,
            self.durables,
            self.idle,
            self.groups,
        ):
            share.resize()

    def _resize(self, limit: int) -> None:
        self.limit: int = limit
        self.lendable: int = limit - limit // MESSAGES
        self.ample: int = limit // 2
        self.high: int = limit * 4 // 5
        self.low: int = limit * 7 // 10
        self.unsent.change(0)

    def check(self, bytes: int) -> None:
        """Raises Refused when so many more, copies of one message or all of a transaction, are above the limit."""
        if self.used + self.fixed + bytes <= self.limit:
            return
        when = "" if bytes > self.limit else " when messages were consumed"
        raise Refused(
            "Out of memory for messages",
            where="header destination",
            rule=f"This server holds {self.limit} bytes of messages (memory-limit), and the copies for all"
            f" destinations and durable subscriptions have {bytes}",
            fix=f"Send it again{when} to fewer at once, or ask the administrator to raise that option.",
        )

    @property
    def spare(self) -> int:
        """Bytes that are left for what consumers have not settled: up to ``low``, so that producers never wait for
        those who settle nothing. Messages, without all shares, always have one part in LEAST of the limit.
        """
        used: int = self.used
        return max(self.low - used - self.fixed, self.limit // LEAST - (used - self.lent))

    def watch(self) -> None:
        """What is delivered comes from a store, and may stay there: look at who is handed a message when half of the
        limit is in use. To be called now and then, because what is ``fixed`` changes.
        """
        self.strict = max(self.ample - self.fixed, self.limit // LEAST)

    @property
    def full(self) -> bool:
        """Whether more than the limit is in use."""
        return self.used + self.fixed > self.limit

    def scarce(self, aside: int) -> bool:
        """Whether producers have to wait, when ``aside`` bytes do not count."""
        used: int = self.used + self.fixed - aside
        return used > self.high and used - self.lent > self.limit // LEAST

    def eased(self, aside: int) -> bool:
        """Whether producers that waited may go on, likewise."""
        used: int = self.used + self.fixed - aside
        return used <= self.low or used - self.lent <= self.limit // LEAST * 3 // 4
