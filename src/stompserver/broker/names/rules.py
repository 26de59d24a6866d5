"""What the broker was told: plain values from the configuration."""

from __future__ import annotations

from stompserver.broker.names.destination import BYTES, LEVELS, WILDCARDS, Naming
from stompserver.broker.names.policy import Policies, Policy


class Rules:
    """What the broker was told: plain values from the configuration.

    ``bare`` as in Naming; ``deadletter`` names the dead letter queue. Where no ``policies`` are given,
    ``max_redeliveries`` counts how often a message may come back before it goes there (0: for ever).
    ``max_queues`` and ``idle_queues`` bound how many queues exist, and how many of those are empty and
    unused, ``max_durables`` how many durable subscriptions; ``max_scheduled`` how many messages wait for
    their time; ``max_bytes``, ``max_levels`` and ``max_wildcards`` are those of Naming; ``lag`` is how many
    bytes a topic's subscriber may fall behind; ``memory_limit`` in bytes; ``max_selector_cost`` is what all
    selectors of a connection may cost for one message (50,000 is 50 ms at the very worst), and those of a
    topic's durable subscriptions; ``policies`` say what holds for which destination; ``dated`` that a message's
    number is to tell when it came, from the first one on.
    """

    __slots__ = (
        "bare",
        "dated",
        "deadletter",
        "idle_queues",
        "lag",
        "max_bytes",
        "max_durables",
        "max_levels",
        "max_queues",
        "max_scheduled",
        "max_selector_cost",
        "max_wildcards",
        "memory_limit",
        "policies",
    )

    def __init__(
        self,
        bare: str = "topic",
        deadletter: str = "/queue/deadletter",
        max_redeliveries: int = 0,
        max_queues: int = 100_000,
        max_durables: int = 10_000,
        idle_queues: int = 10_000,
        lag: int = 16 << 20,
        memory_limit: int = 1 << 30,
        policies: Policies | None = None,
        max_scheduled: int = 1_000_000,
        max_bytes: int = BYTES,
        max_levels: int = LEVELS,
        max_wildcards: int = WILDCARDS,
        max_selector_cost: int = 50_000,
        dated: bool = False,
    ) -> None:
        self.bare = bare
        self.dated = dated
        self.deadletter = deadletter
        self.max_bytes: int = max_bytes
        self.max_durables: int = max_durables
        self.max_levels: int = max_levels
        self.max_queues: int = max_queues
        self.max_scheduled: int = max_scheduled
        self.max_selector_cost: int = max_selector_cost
        self.max_wildcards: int = max_wildcards
        self.idle_queues: int = idle_queues
        self.lag: int = lag
        self.memory_limit: int = memory_limit
        if policies is None:
            base = Policy().changed({"max_redeliveries": max_redeliveries, "deadletter": deadletter})
            policies = Policies([], base)
        self.policies: Policies = policies


def naming_of(rules: Rules) -> Naming:
    """What ``rules`` say of names."""
    return Naming(rules.bare, rules.max_bytes, rules.max_levels, rules.max_wildcards)
