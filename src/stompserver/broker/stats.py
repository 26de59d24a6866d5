"""What an observer may know: frozen numbers, taken at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A queue at one moment: ``size`` messages waiting, ``unacked`` delivered and not settled, ``bytes`` of
    both; ``enqueued`` and ``dequeued`` since the start.
    """

    name: str
    size: int
    unacked: int
    bytes: int
    subscriptions: int
    enqueued: int
    dequeued: int


@dataclass(frozen=True, slots=True)
class TopicStats:
    """A topic at one moment: its subscriptions, and the messages sent to it since somebody subscribed."""

    name: str
    subscriptions: int
    enqueued: int


@dataclass(frozen=True, slots=True)
class BrokerStats:
    """The broker at one moment; ``memory`` in bytes, as counted against ``memory_limit``."""

    queues: tuple[QueueStats, ...]
    topics: tuple[TopicStats, ...]
    memory: int
    memory_limit: int
    enqueued: int
