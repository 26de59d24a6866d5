"""`stompctl move`: queues of another broker, with what is in them, come to this one."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

from stompserver.ctl.client import Unanswered
from stompserver.ctl.others.address import Address, parse
from stompserver.ctl.others.carrier import Carrier, Way
from stompserver.ctl.others.link import Link
from stompserver.ctl.shown import one_line

NO_QUEUES: Final = ("/topic/", "/exchange/", "/temp-queue/", "/temp-topic/", "topic://")
"""Names under which nothing waits that could be moved, or that would keep nothing."""


def _broker(context: click.Context, param: click.Parameter, value: str) -> Address:
    """The address in the URL of a broker."""
    try:
        return parse(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


def _ways(context: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Way, ...]:
    """The ways that are meant by queues, and by OLD=NEW."""
    ways = tuple(_way(value) for value in values)
    sources = [way.source for way in ways]
    for source in sources:
        if sources.count(source) > 1:
            raise click.BadParameter(f"{source} is there twice")
    return ways


def _way(value: str) -> Way:
    source, equals, target = value.partition("=")
    target = target if equals else source
    for name in (source, target):
        if not name or not name.isprintable():
            raise click.BadParameter(f"'{one_line(value)}' is not a queue, or OLD=NEW")
        if name.startswith(NO_QUEUES):
            raise click.BadParameter(f"{name} is no queue: nothing waits there")
    if not equals and not source.startswith("/"):
        raise click.BadParameter(
            f"what {source} means is not the same for all brokers; write /queue/{source}, or, if the old one"
            f" knows it only so, {source}=/queue/{source}"
        )
    return Way(source, target)


@contextmanager
def stopped_by_signals(carrier: Carrier) -> Iterator[None]:
    """While it runs, the first SIGINT or SIGTERM is a wish to end; the second ends it at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if carrier.stopped:
            raise KeyboardInterrupt
        carrier.stop()

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class Progress:
    """A line on stderr that says how far it is; only on a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = time.monotonic()
        self._line = ""

    def __call__(self, moved: int) -> None:
        """``moved`` messages by now."""
        if self._shown and moved:
            rate = moved / max(0.001, time.monotonic() - self._began)
            self._line = f"{moved:,} messages moved, {rate:,.0f} a second"
            click.echo(f"\r{self._line}  ", nl=False, err=True)

    def end(self) -> None:
        """Leave the line."""
        if self._line:
            click.echo(err=True)


@click.command()
@click.option(
    "--from",
    "old",
    metavar="URL",
    callback=_broker,
    required=True,
    envvar="STOMPCTL_FROM",
    help="The old broker.",
)
@click.option(
    "--to",
    "new",
    metavar="URL",
    callback=_broker,
    required=True,
    envvar="STOMPCTL_TO",
    help="The new broker.",
)
@click.option(
    "--idle",
    type=click.FloatRange(0.05, 86_400),
    default=5.0,
    show_default=True,
    help="End when nothing has come for so many seconds.",
)
@click.option("--follow", is_flag=True, help="Do not end when they are empty: go on until stopped.")
@click.option(
    "--prefetch",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Messages under way at most, for each queue.",
)
@click.option("--dedup", is_flag=True, help="Give messages a dedup-id, so that none is doubled.")
@click.option("--json", "as_json", is_flag=True, help="What was moved as one JSON object.")
@click.argument("ways", metavar="QUEUE...", callback=_ways, nargs=-1, required=True)
def move(
    old: Address,
    new: Address,
    idle: float,
    follow: bool,
    prefetch: int,
    dedup: bool,
    as_json: bool,
    ways: tuple[Way, ...],
) -> None:
    """Move queues, with what is in them, from one broker to another while both run.

    Brokers are named as stomp://user:pass@host:port/, with stomps:// for TLS; a virtual host of RabbitMQ goes
    behind the last slash. A QUEUE is /queue/x, or /queue/x=/queue/y to give it another name. Each message is
    acknowledged at the old broker only when the new one has it.

    Stop it by Ctrl-C or SIGTERM; the same command goes on. Exit code 0: all is moved (with --follow: until it was
    stopped). Exit code 1: not all, and a line says why; nothing is lost.
    """
    for address in (old, new):
        if address.login is not None and address.passcode is None:
            address.passcode = click.prompt(
                f"Passcode of {address.login} at {address}", hide_input=True, err=True
            )
    there = Link(old, "old")
    try:
        here = Link(new, "new")
        try:
            if there.place == here.place and any(way.source == way.target for way in ways):
                raise click.UsageError("both are the same broker: a queue cannot be moved to itself")
            progress = Progress()
            carrier = Carrier(there, here, list(ways), None if follow else idle, prefetch, dedup, progress)
            with stopped_by_signals(carrier):
                carrier.run()
            progress.end()
        finally:
            here.close()
    finally:
        there.close()
    _report(carrier, ways, follow, prefetch, as_json)


def _report(carrier: Carrier, ways: tuple[Way, ...], follow: bool, prefetch: int, as_json: bool) -> None:
    """What became of it. Raises Unanswered when it is not done."""
    if as_json:
        queues = [{"from": way.source, "to": way.target, "moved": way.moved} for way in ways]
        ended = "failed" if carrier.problem else "stopped" if carrier.stopped else "empty"
        answer = {"moved": carrier.moved, "ended": ended, "doubtful": carrier.doubtful, "queues": queues}
        click.echo(json.dumps(answer))
    else:
        for way in ways:
            click.echo(one_line(f"{way.moved:>12,}  {way.source} to {way.target}"))
    for remark in carrier.remarks:
        click.echo(one_line(f"stompctl: {remark}"), err=True)
    if carrier.doubtful:
        click.echo(
            f"stompctl: up to {prefetch * len(ways):,} messages may be in both brokers now, so that they come twice",
            err=True,
        )
    if carrier.problem:
        raise Unanswered(f"{carrier.problem}. Nothing is lost; the same command goes on where this one ended")
    if carrier.stopped and not follow:
        raise Unanswered("stopped; there may be more in the queues, and the same command goes on")
