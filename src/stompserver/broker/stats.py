"""What an observer may know: frozen numbers, taken at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stompserver.broker.queue import Queue


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


def stats_of(queue: Queue) -> QueueStats:
    """A queue at this moment; what it passed on as it came counts as well."""
    return QueueStats(
        queue.name,
        queue.waiting,
        queue.unacked,
        queue.bytes,
        len(queue.subscriptions),
        queue.enqueued + queue.passed,
        queue.dequeued + queue.passed,
    )
