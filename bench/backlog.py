"""Queues that nobody reads for a while: how fast they fill and empty, what they cost, what a restart takes."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import pairwise

from bench import frames
from bench.case import (
    PREFETCH,
    SUBSCRIPTIONS_PER_CONNECTION,
    Sample,
    check_order,
    open_link,
    sample_of,
    stream_of,
    subscribe_headers,
)
from bench.flows import one_queue
from bench.frames import DIGITS
from bench.generator import Outcome, Port, exchange, settle
from bench.receiver import FrameCounter, check_collected
from bench.target import Target

BODY = 1024
"""Bytes of a message in a backlog."""


def _fill(
    target: Target,
    destinations: tuple[bytes, ...],
    body: int,
    messages: int,
    window: int,
    persistent: bool = True,
    each: int = 0,
    note: Callable[[], None] = lambda: None,
    receipt_each: int = 1,
) -> Outcome:
    """Send `messages` (whole chunks) to queues without consumers, a receipt for every `receipt_each`-th.

    `note` is called whenever `each` more have been paid.
    """
    due = each

    def progress() -> int:
        nonlocal due
        done = paid.count * receipt_each
        if each and done >= due:
            due += each
            note()
        return done

    with ExitStack() as stack:
        producer = open_link(stack, target)
        paid = FrameCounter(messages if receipt_each == 1 else None, header=b"receipt-id")
        port = Port(producer.sock, paid)
        stream = stream_of(destinations, body, True, persistent=persistent, receipt_each=receipt_each)
        patience = max(30.0, target.subject.patience)
        outcome = exchange(stream, port, (port,), progress, messages, window=window, stall=patience)
        if receipt_each > 1:
            wanted = [b"%0*d" % (DIGITS, at) for at in range(receipt_each - 1, messages, receipt_each)]
            check_collected(paid.found, wanted, "receipts")
        producer.goodbye()
    return outcome


def _subscribe(target: Target, destinations: Sequence[bytes], skip: int = 0) -> bytes:
    """Automatic subscriptions to all but the first `skip`, without receipts, which messages would overtake."""
    headers = subscribe_headers(target, PREFETCH)
    return b"".join(
        frames.subscribe(destination, id, "auto", "", headers)
        for id, destination in enumerate(destinations)
        if id >= skip
    )


def fill_then_drain(
    metric: str, *, drain: bool, persistent: bool = False, window: int = 5000
) -> Callable[[Target, int], Sample]:
    """Fill a queue without a consumer, then let one take all; the clock is for one of both."""

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.queue_prefix}bench".encode()
        stream = stream_of((destination,), 100, True, persistent=persistent)
        messages = stream.whole_chunks(messages)
        patience = target.subject.patience
        cpu = target.cpu_seconds()
        outcome = _fill(target, (destination,), 100, messages, window, persistent)
        if not drain:
            sample = sample_of(metric, target, cpu, outcome, messages)
        with ExitStack() as stack:
            consumer = open_link(stack, target)
            # One number more than was sent: the marker's, which must be what comes next.
            receiver = FrameCounter(messages + 1)
            port = Port(consumer.sock, receiver)
            cpu = target.cpu_seconds()
            gc.collect()
            gc.disable()
            try:
                own, start = time.process_time(), time.perf_counter()
                port.write((_subscribe(target, (destination,)),))
                settle((port,), lambda: receiver.count >= messages, patience)
                outcome = Outcome(time.perf_counter() - start, time.process_time() - own)
            finally:
                gc.enable()
            if drain:
                sample = sample_of(metric, target, cpu, outcome, messages)
            port.write((frames.marker(destination, messages),))
            settle((port,), lambda: receiver.count > messages, patience)
            consumer.goodbye()
        return sample

    return run


def _first_message(port: Port, subscriptions: bytes, receiver: FrameCounter) -> float:
    """Seconds from SUBSCRIBE until a message is here."""
    start = time.perf_counter()
    port.write((subscriptions,))
    settle((port,), lambda: receiver.count > 0, 120)
    return time.perf_counter() - start


def _take_all(port: Port, subscriptions: bytes, receiver: FrameCounter, wanted: int) -> None:
    port.write((subscriptions,))
    settle((port,), lambda: receiver.count >= wanted)


def one_backlog(target: Target, messages: int) -> Sample:
    """One queue with `messages` of 1 KB: the server's own memory, then a restart, and all must still be there."""
    destination = f"{target.subject.queue_prefix}bench".encode()
    messages = stream_of((destination,), BODY, True, persistent=True).whole_chunks(messages)
    cpu = target.cpu_seconds()
    outcome = _fill(target, (destination,), BODY, messages, 5000)
    share = (target.cpu_seconds() - cpu) / outcome.seconds
    memory = target.own_memory()
    listening = target.restart()
    with ExitStack() as stack:
        consumer = open_link(stack, target)
        receiver = FrameCounter(messages)
        port = Port(consumer.sock, receiver)
        first = _first_message(port, _subscribe(target, (destination,)), receiver)
        settle((port,), lambda: receiver.count >= messages, target.subject.patience)
        emptied = target.own_memory()
        consumer.goodbye()
    values = {
        "backlog memory": memory / 1e6,
        "memory after draining": emptied / 1e6,
        "backlog listening": listening,
        "backlog first message": first,
    }
    return Sample(values, messages, outcome.seconds, outcome.cpu / outcome.seconds, share)


def spread_backlog(queues: int, metric: str) -> Callable[[Target, int], Sample]:
    """The messages spread over many queues; a restart, until the first message of one of them."""

    def run(target: Target, messages: int) -> Sample:
        order = [f"{target.subject.queue_prefix}bench-{index}".encode() for index in range(queues)]
        random.Random(2).shuffle(order)
        messages = stream_of(tuple(order), BODY, True, persistent=True).whole_chunks(messages)
        cpu = target.cpu_seconds()
        outcome = _fill(target, tuple(order), BODY, messages, 5000)
        share = (target.cpu_seconds() - cpu) / outcome.seconds
        seconds = target.restart()
        with ExitStack() as stack:
            found: list[bytes] = []
            for at in range(0, queues, SUBSCRIPTIONS_PER_CONNECTION):
                members = order[at : at + SUBSCRIPTIONS_PER_CONNECTION]
                receiver = FrameCounter(None)
                port = Port(open_link(stack, target).sock, receiver)
                first = _first_message(port, _subscribe(target, members[:1]), receiver)
                if at == 0:
                    seconds += first
                wanted = sum(len(range(place, messages, queues)) for place in range(at, at + len(members)))
                _take_all(port, _subscribe(target, members, skip=1), receiver, wanted)
                check_order(receiver.found, messages, order, queues)
                found += receiver.found
            check_collected(found, [b"%0*d" % (DIGITS, number) for number in range(messages)], "all queues")
        return Sample({metric: seconds}, messages, outcome.seconds, outcome.cpu / outcome.seconds, share)

    return run


PAID = 100
"""Every so many messages of the million ask for a receipt."""
BESIDE = 100_000
"""Messages through another queue, before the backlog and beside it."""


def median_of(samples: Sequence[Sample]) -> Sample:
    """The one with the median CPU time per message."""
    return sorted(samples, key=Sample.cpu_each)[len(samples) // 2]


def million(target: Target, messages: int) -> Sample:
    """A queue with so many waiting: filling it, another queue beside it, a restart, draining it.

    A receipt for each message would make some servers wait for the disk as often, and the fill last for hours.
    """
    destination = f"{target.subject.queue_prefix}million".encode()
    stream = stream_of((destination,), BODY, True, persistent=True, receipt_each=PAID)
    messages = stream.whole_chunks(messages)
    part = stream.whole_chunks(messages // 10)
    beside = one_queue("beside", 100, queue="beside")
    amount = min(BESIDE, messages // 5)
    beside(target, amount)
    before = median_of([beside(target, amount) for _ in range(3)])
    start = time.perf_counter()
    costs: list[tuple[float, float]] = []
    cpu = target.cpu_seconds()
    outcome = _fill(
        target,
        (destination,),
        BODY,
        messages,
        5000,
        receipt_each=PAID,
        each=part,
        note=lambda: costs.append((time.perf_counter() - start, target.cpu_seconds() - cpu)),
    )
    filled = (target.cpu_seconds() - cpu) / outcome.seconds, outcome.cpu / outcome.seconds
    memory = target.own_memory()
    during = median_of([beside(target, amount) for _ in range(3)])
    seconds = target.restart()
    with ExitStack() as stack:
        consumer = open_link(stack, target)
        # Not every server keeps the order of a million over a restart; all must be there, though.
        receiver = FrameCounter(None)
        port = Port(consumer.sock, receiver)
        cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
        seconds += _first_message(port, _subscribe(target, (destination,)), receiver)
        settle((port,), lambda: receiver.count >= messages, target.subject.patience)
        drained = time.perf_counter() - start
        emptied = (target.cpu_seconds() - cpu) / drained, (time.process_time() - own) / drained
        wanted = [b"%0*d" % (DIGITS, number) for number in range(messages)]
        check_collected(receiver.found, wanted, "after the restart")
        consumer.goodbye()
    values = {
        "million fill": messages / outcome.seconds,
        "million memory": memory / 1e6,
        "million beside": during.values["beside"],
        "million beside, CPU / empty": during.cpu_each() / before.cpu_each(),
        "million fill, CPU last / first tenth": _last_to_first(costs),
        "million restart": seconds,
        "million drain": messages / drained,
    }
    shares = {
        "million fill": filled,
        "million beside": (during.server_share, during.generator_share),
        "million drain": emptied,
    }
    return Sample(values, messages, outcome.seconds, filled[1], filled[0], shares)


def _last_to_first(costs: Sequence[tuple[float, float]]) -> float:
    """CPU of the last tenth by that of the second: the first has the start of everything in it."""
    spent = [after[1] - before[1] for before, after in pairwise(costs)]
    return spent[-1] / spent[0] if len(spent) > 1 and spent[0] else 1.0
