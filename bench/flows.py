"""Rates: messages from producers to consumers, each one's number checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack

from bench import frames
from bench.case import (
    PREFETCH,
    SUBSCRIPTIONS_PER_CONNECTION,
    Sample,
    check_order,
    marker_of,
    open_link,
    sample_of,
    stream_of,
    subscribe_headers,
)
from bench.frames import DIGITS, Stream
from bench.generator import Port, exchange, settle
from bench.link import Link
from bench.receiver import CUMULATIVE, BodySkipper, CountError, FrameCounter, check_collected
from bench.target import Target


def one_queue(
    metric: str,
    body: int,
    *,
    ack: str = "auto",
    receipts: bool = False,
    persistent: bool = False,
    transaction: int = 0,
    window: int = 5000,
    queue: str = "bench",
) -> Callable[[Target, int], Sample]:
    """One producer, one queue, one consumer; `ack="client"` is STOMP 1.1's, cumulative."""

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.queue_prefix}{queue}".encode()
        stream = stream_of(
            (destination,),
            body,
            receipts,
            persistent=persistent,
            transaction=transaction,
            protocol=target.subject.protocol,
        )
        with ExitStack() as stack:
            consumer = open_link(stack, target, "1.1" if ack == "client" else "")
            producer = open_link(stack, target)
            consumer.subscribe(destination, 1, ack, subscribe_headers(target, PREFETCH))
            return through_queue(
                metric, target, stream, destination, messages, producer, consumer, ack=ack, window=window
            )

    return run


def through_queue(
    metric: str,
    target: Target,
    stream: Stream,
    destination: bytes,
    messages: int,
    producer: Link,
    consumer: Link,
    *,
    ack: str,
    ack_frame: bytes = b"",
    window: int = 5000,
) -> Sample:
    """Measure `messages` of `stream` from a connected producer to a consumer that has subscribed in the mode `ack`.

    It acknowledges by `ack_frame`, which is as in `receiver.FrameCounter`.
    """
    messages = stream.whole_chunks(messages)
    # One number more than is sent inside the clock: the marker's.
    total = messages + 1
    receiver = (
        BodySkipper(total)
        if len(stream.body) >= frames.LARGE_BODY
        else FrameCounter(
            total,
            acks=ack == "client-individual",
            cumulative=CUMULATIVE if ack == "client" else 0,
            ack=ack_frame,
        )
    )
    paid = FrameCounter(messages, header=b"receipt-id") if stream.receipts else None
    inbound, outbound = Port(consumer.sock, receiver), Port(producer.sock, paid)

    def progress() -> int:
        return receiver.count if paid is None else min(receiver.count, paid.count)

    patience = target.subject.patience
    cpu = target.cpu_seconds()
    ports = (inbound, outbound)
    outcome = exchange(stream, outbound, ports, progress, messages, window=window, stall=patience)
    sample = sample_of(metric, target, cpu, outcome, messages)
    outbound.write((marker_of(target, destination, messages),))
    settle(ports, lambda: receiver.count == total, patience)
    consumer.goodbye()
    if ack != "auto":
        _nothing_left(target, destination)
    return sample


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
        stream = stream_of((destination,), body, protocol=target.subject.protocol)
        messages = stream.whole_chunks(messages)
        patience = target.subject.patience
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
            outcome = exchange(stream, outbound, ports, progress, messages, window=window, stall=patience)
            sample = sample_of(metric, target, cpu, outcome, messages, copies=subscribers)
            outbound.write((marker_of(target, destination, messages),))
            settle(ports, lambda: all(receiver.count == total for receiver in receivers), patience)
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
            patience = target.subject.patience
            outcome = exchange(stream, outbound, ports, progress, messages, window=window, stall=patience)
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


def crowd(
    metric: str, producers: int, consumers: int, queues: int, *, per_chunk: int, block: int = 10_000
) -> Callable[[Target, int], Sample]:
    """Many producers, each sending `per_chunk` messages at a time, and many consumers, spread over `queues`."""

    def run(target: Target, messages: int) -> Sample:
        names = [f"{target.subject.queue_prefix}crowd-{index}".encode() for index in range(queues)]
        # A chunk has one destination, so that a consumer gets what was sent together at one go, too.
        order = [name for name in names for _ in range(per_chunk)] if queues > 1 else names
        stream = stream_of(tuple(order), 100, per_chunk=per_chunk, block=block)
        messages = stream.whole_chunks(messages)
        with ExitStack() as stack:
            links = [open_link(stack, target) for _ in range(consumers)]
            outbound = [Port(open_link(stack, target).sock, None) for _ in range(producers)]
            for place, link in enumerate(links):
                link.subscribe(names[place % queues], 1, "auto", subscribe_headers(target, PREFETCH))
            receivers = [FrameCounter(None) for _ in links]
            inbound = [Port(link.sock, receiver) for link, receiver in zip(links, receivers, strict=True)]

            def progress() -> int:
                return sum([receiver.count for receiver in receivers])

            cpu = target.cpu_seconds()
            outcome = exchange(
                stream,
                outbound,
                [*inbound, *outbound],
                progress,
                messages,
                window=max(5000, 2 * producers * per_chunk),
                stall=target.subject.patience,
            )
            sample = sample_of(metric, target, cpu, outcome, messages)
            found = [digits for receiver in receivers for digits in receiver.found]
            check_collected(found, [b"%0*d" % (DIGITS, number) for number in range(messages)], metric)
            if queues > 1:
                for receiver in receivers:
                    check_order(receiver.found, messages, order, len(order))
            # A message that came twice would be in the place of this receipt.
            for link in links:
                link.goodbye()
        return sample

    return run
