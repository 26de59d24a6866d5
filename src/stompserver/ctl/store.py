"""`stompctl store`: what a server has stored, while it is down."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import click

from stompserver import migrate
from stompserver.broker.message import Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.oplog import PUT, Op
from stompserver.config import Config
from stompserver.ctl import exchange
from stompserver.ctl.shown import one_line
from stompserver.errors import StoreError
from stompserver.server.build import first_number
from stompserver.stores.base import Damage, Place, Store, Stored, open_store
from stompserver.stores.lock import Lock
from stompserver.stores.memory import MemoryStore
from stompserver.stores.sql import database

BATCH: Final = 1000
"""Messages, and below ``BATCH_BYTES`` bytes, in one commit of an import."""
BATCH_BYTES: Final = 16 << 20

Configured = Callable[[], Config]


@click.group()
def store() -> None:
    """What a server has stored. The server must be down."""


@contextmanager
def opened(config: Config) -> Iterator[tuple[Store, list[Stored]]]:
    """The configured store, locked, and its queues. Raises StoreError and its kin."""
    _must_store(config)
    if not config.storage.exists():
        raise StoreError(f"there is no storage {config.storage}")
    lock = Lock(config.storage)
    try:
        there = open_store(config.queue, Place(config.storage, config.etcdir))
        try:
            yield there, there.load()
        finally:
            there.close()
    finally:
        lock.release()


def _must_store(config: Config) -> None:
    if config.queue == "memory":
        raise StoreError(
            "the queue type is memory, which stores nothing; name the stored one with -q, or the server's"
            " configuration with -C"
        )


@contextmanager
def progress(label: str, count: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr while something long runs; call what it gives for each message."""
    with click.progressbar(
        length=count, label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), update_min_steps=500
    ) as bar:
        yield lambda: bar.update(1)


@contextmanager
def counting(label: str) -> Iterator[Callable[[], None]]:
    """A count on stderr of what there is no knowing the number of; call what it gives for each message."""
    shown = sys.stderr.isatty()
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if shown and count % 1000 == 0:
            click.echo(f"\r{label} {count:,} messages", nl=False, err=True)

    yield step
    if shown and count >= 1000:
        click.echo(err=True)


@store.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def stats(configured: Configured, as_json: bool) -> None:
    """Queues, and how many messages and bytes they hold."""
    with opened(configured()) as (_, found):
        # What the server remembers for itself is nobody's queue.
        queues = [queue for queue in found if not queue.name.startswith(SYSTEM)]
    queues.sort(key=lambda queue: queue.name)
    if as_json:
        rows: dict[str, Any] = {q.name: {"messages": q.count, "bytes": q.bytes} for q in queues}
        click.echo(json.dumps({"queues": rows}))
        return
    click.echo(f"{'messages':>12} {'bytes':>16}  queue")
    for queue in queues:
        click.echo(f"{queue.count:>12,} {queue.bytes:>16,}  {one_line(queue.name)}")
    click.echo(
        f"{sum(q.count for q in queues):>12,} {sum(q.bytes for q in queues):>16,}  in {len(queues)} queues"
    )


@store.command()
@click.pass_obj
def check(configured: Configured) -> None:
    """Read everything and name what cannot be read. Exit code 1 when there is something."""
    damages: list[Damage] = []
    found = 0
    with opened(configured()) as (there, queues), progress("checking", sum(q.count for q in queues)) as step:
        for queue, each in there.scan():
            step()
            if isinstance(each, Damage):
                damages.append(each)
                click.echo(one_line(f"{queue or '(no queue)'}: {each}"))
            else:
                found += 1
    click.echo(f"{found:,} messages can be read, {len(damages):,} damages")
    if damages:
        sys.exit(1)


@store.command()
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=False))
@click.pass_obj
def export(configured: Configured, file: TextIO) -> None:
    """Write all messages to FILE (- is the standard output) as JSON lines, for import into any kind of storage.

    What cannot be read is named, left out, and makes the exit code 1.
    """
    written = lost = 0
    with opened(configured()) as (there, queues), progress("exporting", sum(q.count for q in queues)) as step:
        file.write(json.dumps(exchange.HEAD) + "\n")
        for queue, each in there.scan():
            step()
            if isinstance(each, Damage):
                lost += 1
                click.echo(one_line(f"left out: {queue or '(no queue)'}: {each}"), err=True)
            else:
                written += 1
                file.write(exchange.line(queue, each) + "\n")
        file.flush()
    click.echo(f"{written:,} messages written, {lost:,} left out", err=True)
    if lost:
        sys.exit(1)


@store.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--renumber", is_flag=True, help="Give every message a new number, behind all that are stored.")
@click.pass_obj
def import_(configured: Configured, file: Path, renumber: bool) -> None:
    """Add the messages of FILE, which `stompctl store export` wrote, to the storage.

    FILE is read once before anything is written, so that a bad line changes nothing. Messages keep their
    numbers and places; importing the same file again adds nothing. Where another message has a number
    already nothing is imported, unless --renumber puts all behind what is there.
    """
    config = configured()
    config.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(file, encoding="utf-8") as lines:
        count = sum(1 for _ in exchange.parse(lines))
    with opened(config) as (there, queues), progress("importing", count) as step:
        if renumber:
            last = max((queue.highest for queue in queues), default=0)
        else:
            last = -1
            with open(file, encoding="utf-8") as lines:
                _check_numbers(there, queues, exchange.parse(lines))
        batch: list[Op] = []
        size = 0
        with open(file, encoding="utf-8") as lines:
            for queue, message in exchange.parse(lines):
                if last >= 0:
                    last += 1
                    message.key = message.number = last
                batch.append(Op(PUT, queue, message.key, message, message.size))
                size += message.size
                if len(batch) >= BATCH or size >= BATCH_BYTES:
                    there.commit(batch, True)
                    batch, size = [], 0
                step()
        if batch:
            there.commit(batch, True)
    click.echo(f"{count:,} messages imported")


def _check_numbers(there: Store, queues: list[Stored], messages: Iterator[tuple[str, Message]]) -> None:
    """Raise StoreError where a number of the file belongs to another message in the storage already."""
    if not queues:
        return
    # A digest each, not the messages: a file may be larger than memory.
    wanted = {message.key: _digest(queue, message) for queue, message in messages}
    for queue, each in there.scan():
        if isinstance(each, Message) and wanted.get(each.key, b"") not in (b"", _digest(queue, each)):
            raise StoreError(
                f"number {each.key} of the file is another message's in {queue} already; nothing was imported;"
                " --renumber puts all behind what is there"
            )


def _digest(queue: str, message: Message) -> bytes:
    text = "\0".join(
        [
            queue,
            message.destination,
            *[part for pair in message.headers.items() for part in pair],
            *[part for pair in (message.kept() or {}).items() for part in pair],
        ]
    )
    return hashlib.blake2b(
        text.encode("utf-8", "surrogateescape") + b"\0" + message.body, digest_size=16
    ).digest()


@store.command("import-original")
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be taken, repaired and left.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.pass_obj
def import_original(configured: Configured, directory: Path, dry_run: bool, as_json: bool) -> None:
    """Take over what Ruby's stompserver left in DIRECTORY: its storage, its SQLite file, or the folder of its
    database.yml.

    All or nothing; the original's files are only read. May be repeated: what was taken before is not taken again.
    """
    config = configured()
    with counting("reading") as step:
        original = migrate.read(directory, step)
    if dry_run:
        here = MemoryStore(Place(config.storage, config.etcdir))
        report = migrate.into(original, here, 1, migrate.Ledger(config.storage), dry=True)
    else:
        _must_store(config)
        config.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config.queue == "activerecord":
            # The original's table may be in the very database that this server will use.
            migrate.set_aside(database.read(Place(config.storage, config.etcdir)))
        click.echo(f"writing {original.count:,} messages", err=True)
        with opened(config) as (there, queues):
            last = max((queue.highest for queue in queues), default=0)
            first = max(last + 1, first_number(time.time()))
            report = migrate.into(original, there, first, migrate.Ledger(config.storage))
    click.echo(json.dumps(report.data()) if as_json else str(report))


@store.command()
@click.pass_obj
def compact(configured: Configured) -> None:
    """Give space that is not used any more back to the system."""
    with opened(configured()) as (there, _):
        before, after = there.compact()
    click.echo(f"{before:,} bytes before, {after:,} bytes after")
