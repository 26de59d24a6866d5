"""Whether the CPU time for a message grows: with queues, with connections, with time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.case import QUEUES, SUBSCRIPTIONS_PER_CONNECTION, Sample
from bench.flows import crowd, many_queues, one_queue
from bench.target import Target

CONNECTIONS = 1000
RUN = 100
"""Messages that go to one connection at a time."""

CHUNK = 250
"""Messages that are sent at a time to many queues, and to one."""

Run = Callable[[Target, int], Sample]


def cpu_ratio(metric: str, few: Run, many: Run) -> Run:
    """Server CPU per message of `many` by that of `few`, measured before and after it on the same server."""

    def run(target: Target, messages: int) -> Sample:
        few(target, messages // 2)
        before = few(target, messages)
        grown = many(target, messages)
        after = few(target, messages)
        base = (before.cpu_each() + after.cpu_each()) / 2
        grown.values[metric] = grown.cpu_each() / base
        return grown

    return run


QUEUES_METRIC = f"CPU, {QUEUES:,} queues / 1"
CONNECTIONS_METRIC = f"CPU, {CONNECTIONS:,} connections / 1"
TIME_METRIC = "CPU, last / first quarter"
MEMORY_METRIC = "memory, last / first quarter"

# One queue for as many connections, or the cost of writing to them would be counted as that of queues.
with_queues = cpu_ratio(
    QUEUES_METRIC,
    crowd("few", 1, QUEUES // SUBSCRIPTIONS_PER_CONNECTION, 1, per_chunk=CHUNK),
    many_queues("many", QUEUES),
)
with_connections = cpu_ratio(
    CONNECTIONS_METRIC,
    crowd("few", 1, 1, 1, per_chunk=RUN, block=CONNECTIONS * RUN),
    crowd("many", 1, CONNECTIONS, CONNECTIONS, per_chunk=RUN, block=CONNECTIONS * RUN),
)


def long_run(target: Target, minutes: int) -> Sample:
    """`individual` for so many minutes, in pieces of some seconds; the last quarter by the first."""
    piece = one_queue("piece", 100, ack="client-individual")
    piece(target, 20_000)
    first = piece(target, 20_000)
    amount = int(20_000 / first.seconds * 5)
    costs: list[float] = []
    memory: list[int] = []
    samples: list[Sample] = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end or len(samples) < 4:
        sample = piece(target, amount)
        samples.append(sample)
        costs.append(sample.cpu_each())
        memory.append(target.own_memory())
    quarter = len(samples) // 4
    seconds = sum(sample.seconds for sample in samples)
    messages = sum(sample.messages for sample in samples)
    values = {
        "long rate": messages / seconds,
        TIME_METRIC: statistics.median(costs[-quarter:]) / statistics.median(costs[:quarter]),
        MEMORY_METRIC: statistics.median(memory[-quarter:]) / statistics.median(memory[:quarter]),
    }
    server = sum(sample.server_share * sample.seconds for sample in samples) / seconds
    own = sum(sample.generator_share * sample.seconds for sample in samples) / seconds
    return Sample(values, messages, seconds, own, server)
