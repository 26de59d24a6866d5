"""How long a message takes: one at a time, and at a steady rate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.case import Cannot, Sample, open_link, stream_of
from bench.generator import Port
from bench.machine import on_cores
from bench.receiver import CountError
from bench.target import Target

ENOUGH = 0.95
"""Share of a rate below which a server does not keep it."""
LATE = 0.2
"""Seconds that the last message may be late all the same."""


def one_at_a_time(target: Target, messages: int) -> Sample:
    """Send one message, wait until the consumer has it, send the next: two connections, blocking sockets.

    Both sides share the server's core: they never work at the same time, and waking a second core costs
    more than a fast server needs (60 us of 75 here), which would make all servers look alike.
    """
    destination = f"{target.subject.queue_prefix}bench".encode()
    stream = stream_of((destination,), 100, single=True, protocol=target.subject.protocol)
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


def at_rate(rate: int) -> Callable[[Target, int], Sample]:
    """`rate` messages/s on a timetable; times from when a message was due, so a late send counts as well.

    The generator looks at the clock and the socket all the time, on its own core.
    """

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.queue_prefix}pace".encode()
        stream = stream_of((destination,), 100, single=True)
        sends = [stream.chunk(index) for index in range(messages)]
        interval = 1_000_000_000 // rate
        times: list[int] = []
        with ExitStack() as stack:
            consumer = open_link(stack, target)
            producer = Port(open_link(stack, target).sock, None)
            consumer.subscribe(destination, 1, "auto", target.subject.subscribe_headers)
            consumer.sock.setblocking(False)
            receive, clock = consumer.sock.recv, time.perf_counter_ns
            find = re.compile(rb"\nseq:(\d{12})\n").findall
            silence = int(target.subject.patience * 1e9)
            cpu, own = target.cpu_seconds(), time.process_time()
            begin = last = clock()
            sent = 0
            rest = b""
            while len(times) < messages:
                now = clock()
                if sent < messages and now >= begin + sent * interval:
                    producer.write(sends[sent])
                    sent += 1
                elif producer.unsent:
                    producer.flush()
                try:
                    data = receive(65536)
                except BlockingIOError:
                    if now - last > silence:
                        raise CountError(
                            f"nothing came for {silence / 1e9:g} s after {len(times):,} messages"
                        ) from None
                    continue
                if not data:
                    raise CountError(f"the server closed the connection after {len(times):,} messages")
                last = clock()
                whole, nul, tail = (rest + data).rpartition(b"\0")
                rest = tail if nul else rest + data
                for digits in find(whole):
                    number = len(times)
                    if int(digits) != number:
                        raise CountError(f"message {int(digits):,} came when {number:,} was due")
                    times.append(last - begin - number * interval)
            seconds = (last - begin) / 1e9
            own = time.process_time() - own
            server = target.cpu_seconds() - cpu
            consumer.goodbye()
        if seconds > messages / rate / ENOUGH + LATE:
            raise Cannot(f"delivers {messages / seconds:,.0f} of {rate:,} messages/s")
        times.sort()
        values = {
            f"{rate:,}/s {name}": percentile(times, share) / 1000
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
        }
        return Sample(values, messages, seconds, own / seconds, server / seconds)

    return run
