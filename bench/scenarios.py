"""What is measured.  Each scenario is one or more cases; a case gives one or more numbers per round.

A rate counts messages at the receivers, after each one's number was checked; messages that are lost,
repeated, reordered or cut short end the run with CountError.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench import frames
from bench.backlog import fill_then_drain, one_backlog, spread_backlog
from bench.case import (
    PREFETCH,
    QUEUES,
    RATE,
    SUBSCRIPTIONS_PER_CONNECTION,
    Case,
    Metric,
    Sample,
    Scenario,
    check_order,
    open_link,
    sample_of,
    stream_of,
    subscribe_headers,
)
from bench.frames import DIGITS
from bench.generator import Port, exchange, settle
from bench.machine import on_cores
from bench.receiver import BodySkipper, CountError, FrameCounter, check_collected
from bench.target import Target

IDLE_CONNECTIONS = 5000
BACKLOG = 200_000


def one_queue(
    metric: str, body: int, *, ack: str = "auto", receipts: bool = False, window: int = 5000
) -> Callable[[Target, int], Sample]:
    """One producer, one queue, one consumer."""

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.queue_prefix}bench".encode()
        stream = stream_of((destination,), body, receipts)
        messages = stream.whole_chunks(messages)
        with ExitStack() as stack:
            consumer = open_link(stack, target)
            producer = open_link(stack, target)
            consumer.subscribe(destination, 1, ack, subscribe_headers(target, PREFETCH))
            # One number more than is sent inside the clock: the marker's.
            total = messages + 1
            receiver = (
                BodySkipper(total) if body >= frames.LARGE_BODY else FrameCounter(total, acks=ack != "auto")
            )
            paid = FrameCounter(messages, header=b"receipt-id") if receipts else None
            inbound, outbound = Port(consumer.sock, receiver), Port(producer.sock, paid)

            def progress() -> int:
                return receiver.count if paid is None else min(receiver.count, paid.count)

            cpu = target.cpu_seconds()
            outcome = exchange(stream, outbound, (inbound, outbound), progress, messages, window=window)
            sample = sample_of(metric, target, cpu, outcome, messages)
            outbound.write((frames.marker(destination, messages),))
            settle((inbound, outbound), lambda: receiver.count == total)
            consumer.goodbye()
            if ack != "auto":
                _nothing_left(target, destination)
        return sample

    return run


def _nothing_left(target: Target, destination: bytes) -> None:
    """After all was acknowledged, the next message of the queue must be the one sent now."""
    with ExitStack() as stack:
        consumer = open_link(stack, target)
        consumer.sock.sendall(frames.marker(destination, 0))
        consumer.sock.sendall(
            frames.subscribe(destination, 1, "auto", "", subscribe_headers(target, PREFETCH))
        )
        frame = consumer.expect(b"MESSAGE")
        if b"\nseq:" + b"0" * DIGITS not in frame or not frame.endswith(b"\n\nend"):
            raise CountError(f"the queue still held a message that had been acknowledged: {frame[:300]!r}")
        consumer.goodbye()


def fan_out(
    metric: str, subscribers: int, body: int = 100, window: int = 2000
) -> Callable[[Target, int], Sample]:
    """One producer, one topic, each message to every subscriber; counts deliveries."""

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.topic_prefix}bench".encode()
        stream = stream_of((destination,), body)
        messages = stream.whole_chunks(messages)
        with ExitStack() as stack:
            links = [open_link(stack, target) for _ in range(subscribers)]
            producer = open_link(stack, target)
            for link in links:
                link.subscribe(destination, 1, "auto", target.subject.subscribe_headers)
            total = messages + 1
            receivers = [FrameCounter(total) for _ in links]
            outbound = Port(producer.sock, None)
            ports = [Port(link.sock, receiver) for link, receiver in zip(links, receivers, strict=True)] + [
                outbound
            ]

            def progress() -> int:
                return min([receiver.count for receiver in receivers])

            cpu = target.cpu_seconds()
            outcome = exchange(stream, outbound, ports, progress, messages, window=window)
            sample = sample_of(metric, target, cpu, outcome, messages, copies=subscribers)
            outbound.write((frames.marker(destination, messages),))
            settle(ports, lambda: all(receiver.count == total for receiver in receivers))
            for link in links:
                link.goodbye()
        return sample

    return run


def many_queues(
    metric: str, queues: int, body: int = 100, window: int = 5000
) -> Callable[[Target, int], Sample]:
    """One producer, `queues` queues in a fixed random order, one subscription each, 1,000 a connection."""

    def run(target: Target, messages: int) -> Sample:
        names = [f"{target.subject.queue_prefix}bench-{index}".encode() for index in range(queues)]
        parts = [
            names[at : at + SUBSCRIPTIONS_PER_CONNECTION]
            for at in range(0, queues, SUBSCRIPTIONS_PER_CONNECTION)
        ]
        owner = {name: part for part, members in enumerate(parts) for name in members}
        order = names.copy()
        random.Random(2).shuffle(order)
        stream = stream_of(tuple(order), body)
        messages = stream.whole_chunks(messages)
        wanted: list[list[bytes]] = [[] for _ in parts]
        for number in range(messages):
            wanted[owner[order[number % queues]]].append(b"%0*d" % (DIGITS, number))
        with ExitStack() as stack:
            links = [open_link(stack, target) for _ in parts]
            producer = open_link(stack, target)
            for link, members in zip(links, parts, strict=True):
                link.subscribe_all(members, subscribe_headers(target, PREFETCH))
            receivers = [FrameCounter(None) for _ in links]
            outbound = Port(producer.sock, None)
            ports = [Port(link.sock, receiver) for link, receiver in zip(links, receivers, strict=True)] + [
                outbound
            ]

            def progress() -> int:
                return sum([receiver.count for receiver in receivers])

            cpu = target.cpu_seconds()
            outcome = exchange(stream, outbound, ports, progress, messages, window=window)
            sample = sample_of(metric, target, cpu, outcome, messages)
            outbound.write([frames.marker(members[0], messages + part) for part, members in enumerate(parts)])
            settle(ports, lambda: progress() >= messages + len(parts))
            for part, receiver in enumerate(receivers):
                check_collected(
                    receiver.found, [*wanted[part], b"%0*d" % (DIGITS, messages + part)], f"connection {part}"
                )
                check_order(receiver.found, messages, order, queues)
            for link in links:
                link.goodbye()
        return sample

    return run


def one_at_a_time(target: Target, messages: int) -> Sample:
    """Send one message, wait until the consumer has it, send the next: two connections, blocking sockets.

    Both sides share the server's core: they never work at the same time, and waking a second core costs
    more than a fast server needs (60 us of 75 here), which would make all servers look alike.
    """
    destination = f"{target.subject.queue_prefix}bench".encode()
    stream = stream_of((destination,), 100, single=True)
    sends = [stream.chunk(index)[0] for index in range(messages)]
    times = [0] * messages
    with ExitStack() as stack:
        stack.enter_context(on_cores(target.cores))
        consumer = open_link(stack, target)
        producer = open_link(stack, target)
        consumer.subscribe(destination, 1, "auto", target.subject.subscribe_headers)
        send, receive, clock = producer.sock.sendall, consumer.sock.recv, time.perf_counter_ns
        cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
        for index, frame in enumerate(sends):
            data = b""
            begin = clock()
            try:
                send(frame)
                while b"\0" not in data:
                    more = receive(65536)
                    if not more:
                        raise CountError(
                            f"the server closed the connection after {index:,} messages: {data[-300:]!r}"
                        )
                    data += more
            except BlockingIOError:
                raise CountError(f"message {index:,} did not come in time: it is lost") from None
            times[index] = clock() - begin
            if b"\nseq:%012d\n" % index not in data or data.count(b"\0") != 1:
                raise CountError(f"message {index:,} was due, got {data[:300]!r}")
        seconds = time.perf_counter() - start
        own = time.process_time() - own
        server = target.cpu_seconds() - cpu
        consumer.goodbye()
    times.sort()
    values = {"latency p50": percentile(times, 0.5) / 1000, "latency p99": percentile(times, 0.99) / 1000}
    return Sample(values, messages, seconds, own / seconds, server / seconds)


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of the sorted values do not exceed."""
    return ordered[max(0, min(len(ordered) - 1, int(len(ordered) * share + 0.999999) - 1))]


def idle(target: Target, connections: int) -> Sample:
    """Memory per connection that logged in and does nothing, in KiB; heart-beats off."""
    # First use of each code path loads and allocates things that later connections share.
    warm = [target.connect() for _ in range(50)]
    for link in warm:
        link.goodbye()
    rss_before, pss_before = target.memory()
    cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
    with ExitStack() as stack:
        for _ in range(connections):
            open_link(stack, target)
        seconds = time.perf_counter() - start
        own = time.process_time() - own
        server = target.cpu_seconds() - cpu
        rss, pss = target.memory()
    values = {
        "idle RSS": (rss - rss_before) / connections / 1024,
        "idle PSS": (pss - pss_before) / connections / 1024,
    }
    return Sample(values, connections, seconds, own / seconds, server / seconds)


def _rate(name: str, run: Callable[[Target, int], Sample], warm_up: int = 10_000) -> Case:
    return Case(name, (Metric(name, RATE),), run, warm_up)


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "auto",
            "one producer, one consumer, ack:auto, 100-byte bodies",
            (_rate("auto", one_queue("auto", 100)),),
        ),
        Scenario(
            "individual",
            f"as auto, but every message is acknowledged (client-individual, prefetch {PREFETCH:,})",
            (_rate("individual", one_queue("individual", 100, ack="client-individual")),),
        ),
        Scenario(
            "receipt",
            "as auto, and every SEND asks for a receipt",
            (_rate("receipt", one_queue("receipt", 100, receipts=True)),),
        ),
        Scenario(
            "fill",
            "a receipt for each SEND, and nobody consumes",
            (_rate("fill", fill_then_drain("fill", drain=False)),),
        ),
        Scenario(
            "drain",
            "one consumer, ack:auto, takes what fill left",
            (_rate("drain", fill_then_drain("drain", drain=True)),),
        ),
        Scenario(
            "fanout5",
            "one producer, a topic, five subscribers; deliveries are counted",
            (_rate("fanout5", fan_out("fanout5", 5), 5000),),
        ),
        Scenario(
            "latency",
            "one message at a time from send to receive",
            (
                Case(
                    "latency",
                    (Metric("latency p50", "us", False), Metric("latency p99", "us", False)),
                    one_at_a_time,
                    warm_up=1000,
                ),
            ),
        ),
        Scenario(
            "idle",
            f"memory for each of {IDLE_CONNECTIONS:,} connections that do nothing",
            (
                Case(
                    "idle",
                    (Metric("idle RSS", "KiB", False), Metric("idle PSS", "KiB", False)),
                    idle,
                    fixed=IDLE_CONNECTIONS,
                    fresh=True,
                ),
            ),
        ),
        Scenario(
            "queues",
            f"the same messages through 1 queue and spread over {QUEUES:,} queues",
            (
                _rate("1 queue", many_queues("1 queue", 1)),
                _rate(f"{QUEUES:,} queues", many_queues(f"{QUEUES:,} queues", QUEUES)),
            ),
            same_amount=True,
            ratio=("many / one", f"{QUEUES:,} queues", "1 queue"),
        ),
        Scenario(
            "sizes",
            "as auto with bodies of 16 KB and 1 MB",
            (
                _rate("16 KB bodies", one_queue("16 KB bodies", 16_384, window=500), 500),
                _rate("1 MB bodies", one_queue("1 MB bodies", 1 << 20, window=8), 30),
            ),
        ),
        Scenario(
            "backlog",
            f"memory and restart with {BACKLOG:,} messages (--messages changes it) of 1 KB in one queue, "
            f"and with {QUEUES * 10:,} in {QUEUES:,} queues",
            (
                Case(
                    "backlog",
                    (
                        Metric("backlog memory", "MB", False),
                        Metric("memory after draining", "MB", False),
                        Metric("backlog listening", "s", False),
                        Metric("backlog first message", "s", False),
                    ),
                    one_backlog,
                    fixed=BACKLOG,
                    adjustable=True,
                    fresh=True,
                ),
                Case(
                    f"restart, {QUEUES:,} queues",
                    (Metric(f"restart, {QUEUES:,} queues", "s", False),),
                    spread_backlog(QUEUES, f"restart, {QUEUES:,} queues"),
                    fixed=QUEUES * 10,
                    fresh=True,
                ),
            ),
        ),
    )
}
