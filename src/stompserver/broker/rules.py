"""What the broker was told: plain values from the configuration."""

from __future__ import annotations

from stompserver.broker.policy import Policies, Policy


class Rules:
    """What the broker was told: plain values from the configuration.

    ``bare`` as in Naming; ``deadletter`` names the dead letter queue; ``max_redeliveries`` counts how often a
    message may come back before it goes there (0: for ever); ``max_queues`` and ``idle_queues`` bound how many
    queues exist, and how many of those are empty and unused, ``max_durables`` how many durable subscriptions;
    ``max_scheduled`` how many messages wait for their time; ``lag`` is how many bytes a topic's subscriber may fall
    behind; ``memory_limit`` in bytes; ``policies`` say what holds for which destination.
    """

    __slots__ = (
        "bare",
        "deadletter",
        "idle_queues",
        "lag",
        "max_durables",
        "max_queues",
        "max_redeliveries",
        "max_scheduled",
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
    ) -> None:
        self.bare = bare
        self.deadletter = deadletter
        self.max_redeliveries: int = max_redeliveries
        self.max_durables: int = max_durables
        self.max_queues: int = max_queues
        self.max_scheduled: int = max_scheduled
        self.idle_queues: int = idle_queues
        self.lag: int = lag
        self.memory_limit: int = memory_limit
        if policies is None:
            base = Policy().changed({"max_redeliveries": max_redeliveries, "deadletter": deadletter})
            policies = Policies([], base)
        self.policies: Policies = policies
