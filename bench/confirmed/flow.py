"""The scenarios: messages that are confirmed one by one, with at most 1,000 under way."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

from bench.backlog import fill_then_drain
from bench.case import RATE, Case, Metric, Sample, Scenario, sample_of
from bench.confirmed.speaker import Requests, Session
from bench.confirmed.speakers import SPEAKERS
from bench.flows import one_queue
from bench.generator import Port, exchange, settle
from bench.target import Target

WINDOW = 1000
FILL = "confirmed fill"
BOTH = "confirmed"
SILENCE = 30.0
"""Seconds: a server that syncs a file now and then may stand still for some."""

_stomp_fill = fill_then_drain(FILL, drain=False, persistent=True, window=WINDOW)
_stomp_both = one_queue(BOTH, 100, ack="client-individual", receipts=True, persistent=True, window=WINDOW)


def fill(target: Target, messages: int) -> Sample:
    """Nobody consumes; afterwards, outside the clock, all are taken, counted and acknowledged."""
    if target.subject.protocol == "stomp":
        return _stomp_fill(target, messages)
    speaker = SPEAKERS[target.subject.protocol]
    requests = speaker.requests()
    messages = requests.whole_chunks(messages)
    total = messages + 1
    patience = max(SILENCE, target.subject.patience)
    with ExitStack() as stack:
        session = _open(stack, target)
        session.produce()
        paid = speaker.answers(total)
        port = Port(session.sock, paid)
        cpu = target.cpu_seconds()
        outcome = exchange(
            requests, port, (port,), lambda: paid.count, messages, window=WINDOW, stall=patience
        )
        sample = sample_of(FILL, target, cpu, outcome, messages)
        _mark(requests, port, messages)
        settle((port,), lambda: paid.count == total, patience)
        consumer = _open(stack, target)
        deliveries = speaker.deliveries(total)
        ask = consumer.consume(total)
        port = Port(consumer.sock, deliveries)
        port.write((ask,))
        settle((port,), deliveries.done, patience)
    _check(target, total)
    return sample


def both(target: Target, messages: int) -> Sample:
    """A producer whose messages are confirmed, and a consumer that acknowledges each.

    The clock stops when all messages have come and all are confirmed to the producer; that all
    acknowledgements took effect is checked afterwards.
    """
    if target.subject.protocol == "stomp":
        return _stomp_both(target, messages)
    speaker = SPEAKERS[target.subject.protocol]
    requests = speaker.requests()
    messages = requests.whole_chunks(messages)
    # One number more than is sent inside the clock: the marker's.
    total = messages + 1
    patience = max(SILENCE, target.subject.patience)
    with ExitStack() as stack:
        producer = _open(stack, target)
        producer.produce()
        consumer = _open(stack, target)
        paid, deliveries = speaker.answers(total), speaker.deliveries(total)
        ask = consumer.consume(total)
        inbound, outbound = Port(consumer.sock, deliveries), Port(producer.sock, paid)
        ports = (inbound, outbound)
        inbound.write((ask,))
        cpu = target.cpu_seconds()
        outcome = exchange(
            requests,
            outbound,
            ports,
            lambda: min(deliveries.count, paid.count),
            messages,
            window=WINDOW,
            stall=patience,
        )
        sample = sample_of(BOTH, target, cpu, outcome, messages)
        _mark(requests, outbound, messages)
        settle(ports, lambda: paid.count == total and deliveries.done(), patience)
    _check(target, total)
    return sample


def _open(stack: ExitStack, target: Target) -> Session:
    # What connects is chosen by the protocol, as the speaker is.
    session = cast(Session, target.connect())
    stack.callback(session.close)
    return session


def _mark(requests: Requests, port: Port, number: int) -> None:
    port.write((requests.single(number),))


def _check(target: Target, total: int) -> None:
    """On a new connection, when those of the run are gone."""
    with ExitStack() as stack:
        _open(stack, target).check_done(total)


SCENARIOS = (
    Scenario(
        "confirmed-fill",
        f"persistent messages, each confirmed, at most {WINDOW:,} under way, and nobody consumes",
        (Case(FILL, (Metric(FILL, RATE),), fill),),
        asked=True,
    ),
    Scenario(
        "confirmed",
        "the same with a consumer that acknowledges each",
        (Case(BOTH, (Metric(BOTH, RATE),), both),),
        asked=True,
    ),
)
