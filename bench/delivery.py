"""Whether the server's CPU time for a message grows: with durable subscriptions, what waits for its time, what a
selector passes over, and message groups.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count

from bench.case import Sample
from bench.frames import body_of
from bench.growth import cpu_ratio
from bench.link import Link
from bench.receiver import CountError
from bench.target import Target

BODY = body_of(100)
DURABLES = 1000
DELAYED = 100_000
DELAYED_FEW = 1000
DELAY = 30_000
"""Milliseconds in which so many can be sent."""
PASSED_OVER = 1_000_000
RARE = 1000
"""One message in so many matches the selector."""
GROUPS = 10_000
FEW = 10

DURABLES_METRIC = f"CPU, {DURABLES:,} durables / {FEW}"
DELAYED_METRIC = f"CPU, {DELAYED:,} delayed / {DELAYED_FEW:,}"
SELECTOR_METRIC = f"CPU, selector on {PASSED_OVER:,} / a tenth"
GROUPS_METRIC = f"CPU, {GROUPS:,} groups / {FEW}"

_runs = count(1)


def _frame(destination: str, headers: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{headers}content-length:{len(BODY)}\n\n".encode() + BODY + b"\0"


def _take(link: Link, wanted: int, what: str) -> None:
    """Read `wanted` MESSAGE frames; raises CountError for anything else, or when they do not come."""
    found = link.buffer.count(b"\0")
    first = link.buffer.lstrip(b"\n")
    link.buffer = b""
    while found < wanted:
        try:
            data = link.sock.recv(1 << 20)
        except BlockingIOError:
            raise CountError(f"{found:,} of {wanted:,} {what} came") from None
        if not data or data.startswith(b"ERROR"):
            raise CountError(f"{found:,} of {wanted:,} {what} came, then {data[:300]!r}")
        first = first or data.lstrip(b"\n")
        found += data.count(b"\0")
    if found > wanted or (wanted and not first.startswith(b"MESSAGE\n")):
        raise CountError(f"{found:,} instead of {wanted:,} {what}, the first {first[:300]!r}")


def _measured(target: Target, amount: int, act: Callable[[], None]) -> Sample:
    """What `act` costs, for each of `amount` messages."""
    cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
    act()
    seconds = time.perf_counter() - start
    # The system counts in hundredths of a second.
    spent = max(0.005, target.cpu_seconds() - cpu)
    own = time.process_time() - own
    return Sample({}, amount, seconds, own / seconds, spent / seconds)


def _flow(producer: Link, consumer: Link, frames: Sequence[bytes], at_once: int, copies: int = 1) -> None:
    """Send `frames`, so many at once, and wait each time until all their copies have come."""
    for start in range(0, len(frames), at_once):
        some = frames[start : start + at_once]
        producer.sock.sendall(b"".join(some))
        _take(consumer, len(some) * copies, "messages")


def _two(stack: ExitStack, target: Target) -> tuple[Link, Link]:
    """A producer and a consumer with patience for what is long in coming."""
    links = target.connect(patience=120.0), target.connect(patience=120.0)
    for link in links:
        stack.callback(link.close)
    return links


def durables(subscriptions: int) -> Callable[[Target, int], Sample]:
    """A message to a topic with so many durable subscriptions that listen; for each copy."""

    def run(target: Target, messages: int) -> Sample:
        topic = f"/topic/durables.{next(_runs)}"
        rounds = max(1, messages // subscriptions)
        with ExitStack() as stack:
            producer, consumer = _two(stack, target)
            names = [f"{topic}.{number}" for number in range(subscriptions)]
            for name in names:
                consumer.sock.sendall(
                    f"SUBSCRIBE\nid:{name}\ndestination:{topic}\ndurable:true\nreceipt:r\n\n\0".encode()
                )
                consumer.expect(b"RECEIPT")
            frames = [_frame(topic)] * rounds
            at_once = max(1, 10_000 // subscriptions)
            sample = _measured(
                target,
                rounds * subscriptions,
                lambda: _flow(producer, consumer, frames, at_once, subscriptions),
            )
            for name in names:
                consumer.sock.sendall(f"UNSUBSCRIBE\nid:{name}\ndurable:true\nreceipt:r\n\n\0".encode())
                consumer.expect(b"RECEIPT")
            return sample

    return run


def delayed(together: int) -> Callable[[Target, int], Sample]:
    """Messages that wait for their time, so many of them together, from SEND to MESSAGE."""

    def run(target: Target, messages: int) -> Sample:
        queue = f"/queue/delayed.{next(_runs)}"
        at_once = min(together, messages)
        frame = _frame(queue, f"AMQ_SCHEDULED_DELAY:{max(100, DELAY * at_once // DELAYED)}\n")
        total = messages // at_once * at_once
        with ExitStack() as stack:
            producer, consumer = _two(stack, target)
            consumer.subscribe(queue.encode(), 1, "auto", ())
            return _measured(target, total, lambda: _flow(producer, consumer, [frame] * total, at_once))

    return run


def selected(share: int) -> Callable[[Target, int], Sample]:
    """A selector that matches one in a thousand of the messages that wait; for each that it looks at."""

    def run(target: Target, messages: int) -> Sample:
        queue = f"/queue/selected.{next(_runs)}"
        total = max(1, messages // share // RARE) * RARE
        thousand = [_frame(queue, "kind:frequent\n")] * (RARE - 1) + [_frame(queue, "kind:rare\nreceipt:r\n")]
        with ExitStack() as stack:
            producer, consumer = _two(stack, target)
            for _ in range(total // RARE):
                producer.sock.sendall(b"".join(thousand))
                producer.expect(b"RECEIPT")

            def act() -> None:
                consumer.subscribe(queue.encode(), 1, "auto", (("selector", "kind = 'rare'"),))
                _take(consumer, total // RARE, "matches")

            return _measured(target, total, act)

    return run


def groups(names: int) -> Callable[[Target, int], Sample]:
    """Messages of so many groups in turn, to ten consumers."""

    def run(target: Target, messages: int) -> Sample:
        queue = f"/queue/groups.{next(_runs)}"
        messages = max(names, messages // names * names)
        turns = [_frame(queue, f"JMSXGroupID:g{number}\n") for number in range(names)]
        with ExitStack() as stack:
            producer, consumer = _two(stack, target)
            for number in range(10):
                consumer.subscribe(queue.encode(), number, "auto", ())
            frames = turns * (messages // names)
            return _measured(target, messages, lambda: _flow(producer, consumer, frames, 1000))

    return run


with_durables = cpu_ratio(DURABLES_METRIC, durables(FEW), durables(DURABLES))
with_delayed = cpu_ratio(DELAYED_METRIC, delayed(DELAYED_FEW), delayed(DELAYED))
with_selector = cpu_ratio(SELECTOR_METRIC, selected(10), selected(1))
with_groups = cpu_ratio(GROUPS_METRIC, groups(FEW), groups(GROUPS))
