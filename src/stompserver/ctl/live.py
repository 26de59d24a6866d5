"""`stompctl server`, `queue`, `schedule`, `durable` and `redrive`: what a running server is asked, or told to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec

import click

from stompserver.config import Config
from stompserver.ctl.client import Client
from stompserver.ctl.shown import one_line

Configured = Callable[[], Config]
P = ParamSpec("P")

ANY: Final = ("", "*", "0.0.0.0", "::", "localhost")

CONNECTING: Final = (
    click.option("-H", "--host", metavar="HOST", help="Where the server is. [default: as configured]"),
    click.option("-p", "--port", metavar="PORT", type=int, help="Its port. [default: as configured]"),
    click.option("-l", "--login", metavar="NAME", envvar="STOMPCTL_LOGIN", help="With auth: who you are."),
    click.option(
        "--passcode",
        metavar="SECRET",
        envvar="STOMPCTL_PASSCODE",
        help="And how you show it; asked for otherwise.",
    ),
)


def client_of(configured: Configured, host: Any, port: Any, login: Any, passcode: Any) -> Client:
    """A connection to the server that the options mean."""
    if host is None or port is None:
        config = configured()
        port = config.port if port is None else port
        if host is None:
            host = "127.0.0.1" if config.host in ANY else config.host
    if login is not None and passcode is None:
        passcode = click.prompt("Passcode", hide_input=True, err=True)
    return Client(host, port, login, passcode)


def asking(command: Callable[Concatenate[Client, P], None]) -> Callable[..., None]:
    """Give ``command`` a connection to the server, made with the options that all of these commands have."""

    def run(
        *args: P.args,
        **words: P.kwargs,
    ) -> None:
        where = {name: words.pop(name) for name in ("host", "port", "login", "passcode")}
        with client_of(click.get_current_context().obj, **where) as client:
            command(client, *args, **words)

    made: Callable[..., None] = update_wrapper(run, command)
    for option in reversed(CONNECTING):
        made = option(made)
    return made


QUEUES: Final = {"messages": 12, "unacked": 9, "bytes": 15, "subscriptions": 13, "paused": 6, "queue": 0}
SCHEDULED: Final = {"id": 18, "due": 25, "bytes": 12, "destination": 0}
DURABLES: Final = {
    "messages": 12,
    "unacked": 9,
    "subscriptions": 13,
    "name": 0,
    "way": 0,
    "client_id": 0,
    "id": 0,
    "topic": 0,
    "selector": 0,
}
"""The columns that are shown of each, with their widths; the names are those of ``manage.fields``."""

as_json = click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
limit = click.option("--limit", type=click.IntRange(0), default=1000, show_default=True, help="Rows at most.")


def say(answer: dict[str, Any], as_json: bool, text: str) -> None:
    """The answer of the server, or what it means."""
    click.echo(json.dumps(answer) if as_json else one_line(text))


def table(answer: dict[str, Any], what: str, columns: dict[str, int], as_json: bool) -> None:
    """Rows of the answer: for each column its name in the answer and the width, to the right above 0."""
    if as_json:
        click.echo(json.dumps(answer))
        return
    rows = answer[what]
    click.echo("  ".join(name.rjust(width) for name, width in columns.items()))
    for row in rows:
        click.echo("  ".join(_text(row.get(name)).rjust(width) for name, width in columns.items()))
    if len(rows) < answer["count"]:
        click.echo(f"{len(rows):,} of {answer['count']:,}; --limit shows more", err=True)


def _text(value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value))


@click.command()
@asking
@as_json
def server(client: Client, as_json: bool) -> None:
    """A running server as a whole.

    How much memory it uses, how many queues it has, what was sent, and what of that went to nobody.
    """
    answer = client.ask("server")
    del answer["action"]
    if as_json:
        click.echo(json.dumps({"action": "server", **answer}))
        return
    for name, value in answer.items():
        click.echo(f"{name:<13}  {_text(value):>15}")


@click.group()
def queue() -> None:
    """Queues of a running server."""


@queue.command("list")
@asking
@as_json
@limit
def queue_list(client: Client, as_json: bool, limit: int) -> None:
    """What queues there are, and how many messages they hold."""
    table(client.ask("queues", limit=str(limit)), "queues", QUEUES, as_json)


@queue.command("pause")
@click.argument("name")
@asking
@as_json
def queue_pause(client: Client, name: str, as_json: bool) -> None:
    """Let queue NAME deliver nothing until it is resumed, also after a restart; what is sent to it waits."""
    answer = client.ask("pause", queue=name)
    say(answer, as_json, f"{answer['queue']} is paused")


@queue.command("resume")
@click.argument("name")
@asking
@as_json
def queue_resume(client: Client, name: str, as_json: bool) -> None:
    """Let queue NAME deliver again."""
    answer = client.ask("resume", queue=name)
    say(answer, as_json, f"{answer['queue']} delivers")


@queue.command("purge")
@click.argument("name")
@click.confirmation_option(prompt="Remove all messages that wait in it?")
@asking
@as_json
def queue_purge(client: Client, name: str, as_json: bool) -> None:
    """Remove all messages that wait in queue NAME. What is delivered and not acknowledged stays."""
    answer = client.ask("purge", queue=name)
    say(answer, as_json, f"{answer['removed']:,} messages removed from {answer['queue']}")


@queue.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the queue with all its messages?")
@asking
@as_json
def queue_delete(client: Client, name: str, as_json: bool) -> None:
    """Delete queue NAME with all its messages. One that somebody is subscribed to is left."""
    answer = client.ask("delete", queue=name)
    say(answer, as_json, f"{answer['queue']} and {answer['removed']:,} messages deleted")


@click.command()
@click.argument("name", default="")
@click.option("--id", "number", metavar="MESSAGE-ID", type=int, help="Only that message.")
@click.option("--count", type=click.IntRange(1), help="Only so many, the oldest.")
@asking
@as_json
def redrive(client: Client, name: str, number: int | None, count: int | None, as_json: bool) -> None:
    """Send dead letters back to where they came from.

    NAME is the dead letter queue, the configured one without it. Messages that say no origin, whose durable
    subscription is no more, or whose queue is full, stay, and are listed.
    """
    headers = {"queue": name} if name else {}
    if number is not None:
        headers["id"] = str(number)
    if count is not None:
        headers["count"] = str(count)
    answer = client.ask("redrive", **headers)
    say(answer, as_json, f"{answer['moved']:,} messages went back, {answer['left']:,} could not")
    if not as_json:
        for row in answer.get("stayed", ()):
            click.echo(one_line(f"{row['id']} stays: {row['reason']}"))


@click.group()
def schedule() -> None:
    """Delayed and scheduled messages of a running server."""


@schedule.command("list")
@asking
@as_json
@limit
def schedule_list(client: Client, as_json: bool, limit: int) -> None:
    """What waits for its time, the earliest first."""
    answer = client.ask("schedule-list", limit=str(limit))
    if not as_json:
        for row in answer["messages"]:
            row["due"] = datetime.fromtimestamp(row["due"] / 1000).astimezone().isoformat(" ", "seconds")
            row["again"] = row.get("cron", "")
            if "period" in row:
                times = "for ever" if row["repeat"] < 0 else f"{row['repeat']:,} times"
                row["again"] = f"{row['again']} {times} each {row['period']:,} ms".strip()
    table(answer, "messages", {**SCHEDULED, "again": 0}, as_json)


@schedule.command("cancel")
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All that is scheduled.")
@asking
@as_json
def schedule_cancel(client: Client, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Forget scheduled messages: those with these IDs, as list shows them and their deliveries carry them
    (scheduledJobId).
    """
    if everything == bool(ids):
        raise click.UsageError("name IDs, or --all")
    if everything:
        answer = client.ask("schedule-cancel", all="true")
    else:
        answer = {"action": "schedule-cancel", "cancelled": 0}
        for each in ids:
            answer["cancelled"] += client.ask("schedule-cancel", id=str(each))["cancelled"]
    say(answer, as_json, f"{answer['cancelled']:,} messages cancelled")


@click.group()
def durable() -> None:
    """Durable subscriptions of a running server."""


@durable.command("list")
@asking
@as_json
@limit
def durable_list(client: Client, as_json: bool, limit: int) -> None:
    """What durable subscriptions there are, and what waits for them."""
    table(client.ask("durables", limit=str(limit)), "durables", DURABLES, as_json)


@durable.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the subscription with all that waits for it?")
@asking
@as_json
def durable_delete(client: Client, name: str, as_json: bool) -> None:
    """Delete the durable subscription NAME, as list shows it.

    Its id is enough where no other has it. One in use is left.
    """
    answer = client.ask("durable-delete", name=name)
    say(answer, as_json, f"{answer['name']} deleted")


COMMANDS: Final = (server, queue, redrive, schedule, durable)
