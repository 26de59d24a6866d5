"""What a scenario is made of, and what all of them use: a rate, a stream, a connection, a check of order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

from bench import frames, nats
from bench.frames import Stream
from bench.generator import Outcome
from bench.link import Link
from bench.nats import NatsStream
from bench.receiver import CountError
from bench.target import Target

PREFETCH = 1000
SUBSCRIPTIONS_PER_CONNECTION = 1000
QUEUES = 10_000


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a case."""

    name: str
    unit: str
    more_is_better: bool = True


class Cannot(Exception):
    """What a server cannot do, found out by trying; the text is the reason."""


@dataclass(slots=True)
class Sample:
    """One round: the numbers by metric name, and how busy both sides were (CPU seconds per second)."""

    values: dict[str, float]
    messages: int
    seconds: float
    generator_share: float
    server_share: float
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)
    """(server, generator) for metrics that were measured at another time than the rest."""

    def cpu_each(self) -> float:
        """The server's CPU seconds per message."""
        return self.server_share * self.seconds / self.messages


@dataclass(frozen=True, slots=True)
class Case:
    """`run(target, messages)` measures once; `warm_up` messages are sent first to learn the rate."""

    name: str
    metrics: tuple[Metric, ...]
    run: Callable[[Target, int], Sample]
    warm_up: int = 10_000
    fixed: int | None = None
    """Amount that is not derived from --seconds (connections)."""
    adjustable: bool = False
    """--messages replaces `fixed`."""
    fresh: bool = False
    """A new server for every round."""
    lasting: bool = False
    """Its amount is --minutes."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    about: str
    cases: tuple[Case, ...]
    same_amount: bool = False
    """All cases get the number of messages of the first."""
    ratio: tuple[str, str, str] | None = None
    """(name, dividend, divisor): a further number made of two metrics of the same round."""
    asked: bool = False
    """Measured only when it is named, or by --peers."""
    alike: bool = False
    """All cases load a server in the same way: one that the first has warmed up is soon warm for the next."""


RATE = "msg/s"


def sample_of(
    metric: str, target: Target, cpu_before: float, outcome: Outcome, messages: int, copies: int = 1
) -> Sample:
    server = target.cpu_seconds() - cpu_before
    seconds = outcome.seconds
    rate = messages * copies / seconds
    return Sample({metric: rate}, messages, seconds, outcome.cpu / seconds, server / seconds)


@cache
def stream_of(
    destinations: tuple[bytes, ...],
    body: int,
    receipts: bool = False,
    single: bool = False,
    *,
    persistent: bool = False,
    receipt_each: int = 1,
    transaction: int = 0,
    block: int = 10_000,
    per_chunk: int = 0,
    protocol: str = "stomp",
) -> Stream:
    """Encoded once per process and shared by all servers and rounds."""
    kind = NatsStream if protocol == "nats" else Stream
    return kind(
        destinations,
        frames.body_of(body),
        receipts=receipts,
        single=single,
        persistent=persistent,
        receipt_each=receipt_each,
        transaction=transaction,
        block=block,
        per_chunk=per_chunk,
    )


def marker_of(target: Target, destination: bytes, number: int) -> bytes:
    """The one message outside the clock, in the server's protocol."""
    make = nats.marker if target.subject.protocol == "nats" else frames.marker
    return make(destination, number)


def subscribe_headers(target: Target, prefetch: int) -> tuple[tuple[str, str], ...]:
    return (*target.subject.subscribe_headers, (target.subject.prefetch_header, str(prefetch)))


def open_link(stack: ExitStack, target: Target, version: str = "") -> Link:
    link = target.connect(version)
    stack.callback(link.close)
    return link


def check_order(found: Sequence[bytes], messages: int, order: Sequence[bytes], queues: int) -> None:
    """Within each queue numbers must rise."""
    last: dict[bytes, int] = {}
    for digits in found:
        number = int(digits)
        if number >= messages:
            continue
        queue = order[number % queues]
        if number < last.get(queue, -1):
            raise CountError(f"{queue.decode()} delivered message {number:,} after {last[queue]:,}")
        last[queue] = number
