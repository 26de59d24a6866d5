"""What holds for a destination: limits, redelivery, time, order and content."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import DATED, Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.wildcards import Wildcards

LONGEST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds: a delay that grows stops here where the policy has no bound."""

_REMEMBERED: Final = 10_000

AT_ONCE: Final = 3
FIRST_WAIT: Final = 10
LAST_WAIT: Final = 1000
"""Where nobody says how long a message that came back waits: so many times not at all, then so many ms at first and
at last. Nobody notices it where one fails a few times, and one that fails always does not keep the server busy.
"""

Value = bool | int | float | str

NAMES: Final = (
    "ack_timeout",
    "auto_delete",
    "deadletter",
    "duplicate_time",
    "duplicate_window",
    "exclusive",
    "expired",
    "group_rebalance",
    "history_age",
    "history_bytes",
    "history_messages",
    "idle_expiry",
    "last_value",
    "max_bytes",
    "max_messages",
    "max_priority",
    "max_redeliveries",
    "max_redelivery_delay",
    "max_ttl",
    "nack",
    "overflow",
    "prefetch",
    "priorities",
    "redelivery_delay",
    "redelivery_jitter",
    "redelivery_multiplier",
    "retain",
    "slow",
    "strict_order",
    "timestamp",
    "ttl",
    "user",
)


class Policy:
    """The rules of one queue or topic; plain values. Objects are shared by destinations: never change one.

    Redelivery: ``max_redeliveries`` (times, 0: for ever, below: never), ``redelivery_delay`` (ms, 0: none, below:
    nobody said) and ``max_redelivery_delay`` (ms, 0: none), ``redelivery_multiplier`` (of the delay, each time),
    ``redelivery_jitter`` (share of the delay, 0 to 1), ``deadletter`` (a queue's name, ``%`` in it stands for
    the origin's name without ``/queue/``; "" drops), ``nack`` (``again`` or ``deadletter``; "": as the consumer's
    listener has it), ``ack_timeout`` (ms, 0: none), ``strict_order`` (a message
    that waits for its redelivery holds back the whole queue).

    Time: ``ttl`` of messages that bring none and ``max_ttl`` (ms, 0: none), ``expired`` (``drop`` or
    ``deadletter``), ``idle_expiry`` (ms without use until an empty queue goes, 0: as the server likes),
    ``auto_delete`` (gone with its last subscription).

    Limits: ``max_messages``, ``max_bytes`` (0: none), ``overflow`` (``reject``, ``drop-head``, ``drop-tail``,
    ``dead-letter`` or ``block``), ``prefetch`` (messages, 0: the server's), ``slow`` (a topic's subscriber who
    falls behind: ``disconnect``, ``drop-oldest`` or ``block``).

    Order and content: ``priorities`` (the higher is served first, as in JMS), ``max_priority`` (the same as RabbitMQ
    has it, up to that one; 0: not so), ``exclusive`` (one active consumer), ``group_rebalance``, ``last_value`` (the
    header that is the key, "": not a last-value queue), ``duplicate_window`` (ids remembered, 0: no detection) and
    ``duplicate_time`` (ms, 0: only the count), ``retain`` (each message of a topic becomes the retained one),
    ``history_messages``, ``history_bytes``, ``history_age`` (ms; 0: no such bound, all three 0: no history),
    ``timestamp`` and ``user`` (the broker's time, the sender's login on MESSAGE).
    """

    __slots__ = NAMES

    def __init__(self) -> None:
        self.max_redeliveries: int = 0
        self.redelivery_delay: int = -1
        self.redelivery_multiplier: float = 1.0
        self.max_redelivery_delay: int = 0
        self.redelivery_jitter: float = 0.0
        self.deadletter: str = "/queue/deadletter"
        self.nack: str = ""
        self.ack_timeout: int = 0
        self.strict_order: bool = False
        self.ttl: int = 0
        self.max_ttl: int = 0
        self.expired: str = "drop"
        self.idle_expiry: int = 0
        self.auto_delete: bool = False
        self.max_messages: int = 0
        self.max_bytes: int = 0
        self.overflow: str = "reject"
        self.prefetch: int = 0
        self.slow: str = "disconnect"
        self.priorities: bool = False
        self.max_priority: int = 0
        self.exclusive: bool = False
        self.group_rebalance: bool = False
        self.last_value: str = ""
        self.duplicate_window: int = 10_000
        self.duplicate_time: int = 0
        self.retain: bool = False
        self.history_messages: int = 0
        self.history_bytes: int = 0
        self.history_age: int = 0
        self.timestamp: bool = False
        self.user: bool = False

    def changed(self, given: dict[str, Value]) -> Policy:
        """A copy with these options set. Raises AttributeError for one that does not exist."""
        copy = Policy()
        for name in NAMES:
            setattr(copy, name, getattr(self, name))
        for name, value in given.items():
            setattr(copy, name, value)
        return copy

    def limit_time(self, message: Message, now: int) -> None:
        """Let ``message`` expire when this says so; ``now`` is Unix time in ms."""
        if self.ttl and not message.expires:
            message.expires = now + self.ttl
        if self.max_ttl and (not message.expires or message.expires > now + self.max_ttl):
            message.expires = now + self.max_ttl
            if message.extras is not None:
                message.extras.pop(DATED, None)

    def redelivery(self, attempts: int, seed: int) -> int:
        """Milliseconds until the next delivery of a message that came back ``attempts`` times.

        The jitter is a share of the delay that ``seed`` decides, so that messages which failed together do not come
        back together.
        """
        first: int = self.redelivery_delay
        if first == 0:
            return 0
        most: int = self.max_redelivery_delay or LONGEST
        if first < 0:
            return min(slowed(attempts), most)
        wait = float(min(first, most))
        for _ in range(min(attempts, 100) - 1):
            wait *= self.redelivery_multiplier
            if wait >= most or self.redelivery_multiplier == 1.0:
                break
        wait = min(wait, float(most))
        if self.redelivery_jitter:
            # A multiplicative hash: numbers next to each other are spread over the whole range.
            spread = ((seed + attempts) * 2654435761) % 65536 / 65536.0
            wait += wait * self.redelivery_jitter * (2.0 * spread - 1.0)
        return max(1, int(wait))

    def deadletter_of(self, queue: str) -> str:
        """The dead letter queue for a message of this queue, or ""."""
        if "%" not in self.deadletter:
            return self.deadletter
        return self.deadletter.replace("%", queue.removeprefix("/queue/"))


def slowed(attempts: int) -> int:
    """Milliseconds that a message which came back ``attempts`` times waits where nobody says how long."""
    if attempts <= AT_ONCE:
        return 0
    return min(FIRST_WAIT << min(attempts - AT_ONCE - 1, 10), LAST_WAIT)


class Policies:
    """Which policy holds for which destination: each option from the most specific pattern that sets it.

    ``given`` pairs patterns with the options they set; ``base`` has what no pattern sets. ``says_user`` tells whether
    any of them has the server say whose login a sender has.
    """

    __slots__ = ("_cache", "_graves", "_made", "_places", "_wildcards", "base", "given", "says_user")

    def __init__(
        self, given: list[tuple[Pattern, dict[str, Value]]] | None = None, base: Policy | None = None
    ) -> None:
        self.base: Policy = base if base is not None else Policy()
        self.given: list[tuple[Pattern, dict[str, Value]]] = sorted(given or [], key=_by_specificity)
        self.says_user = self.base.user or any(
            options.get("user", False) is True for _, options in self.given
        )
        self._places: dict[str, int] = {}
        self._wildcards = Wildcards()
        self._cache: dict[str, Policy] = {}
        self._made: dict[str, Policy] = {}
        self._graves: list[tuple[str, str, str]] = []
        names = [self.base.deadletter]
        names.extend([str(options["deadletter"]) for _, options in self.given if "deadletter" in options])
        for name in names:
            self._graves.append(name.partition("%"))
        for index, (pattern, _) in enumerate(self.given):
            self._places[pattern.text] = index
            if not pattern.exact:
                self._wildcards.add(pattern)

    def find(self, destination: str) -> Policy:
        """The policy of a destination; the same object for all to which the same patterns apply."""
        if not self.given:
            return self.base
        policy = self._cache.get(destination)
        if policy is None:
            policy = self._find(destination)
            # A client may use names without end, so what is remembered of them is bounded.
            if len(self._cache) >= _REMEMBERED:
                self._cache.clear()
            self._cache[destination] = policy
        return policy

    def deadletter_of(self, policy: Policy, queue: str) -> str:
        """The dead letter queue for a message of a queue with that policy, or "".

        A queue that is a dead letter queue itself has another only if a policy says which: else what failed twice
        would wander from one to the next.
        """
        name = policy.deadletter_of(queue)
        if policy.deadletter == self.base.deadletter or "%" in policy.deadletter:
            for before, percent, after in self._graves:
                if percent and before == "/queue/" and not after:
                    continue
                if queue == before or (percent and queue.startswith(before) and queue.endswith(after)):
                    return queue
        return name

    def _find(self, destination: str) -> Policy:
        fitting = [self._places[text] for text in self._wildcards.find(destination)]
        exact = self._places.get(destination, -1)
        if exact >= 0 and self.given[exact][0].exact:
            fitting.append(exact)
        if not fitting:
            return self.base
        fitting.sort()
        key = ",".join([str(index) for index in fitting])
        policy = self._made.get(key)
        if policy is None:
            options: dict[str, Value] = {}
            for index in fitting:
                options.update(self.given[index][1])
            policy = self.base.changed(options)
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            self._made[key] = policy
        return policy


def _by_specificity(entry: tuple[Pattern, dict[str, Value]]) -> tuple[int, int, int, int, str, str]:
    return (*entry[0].specificity, entry[0].text)
