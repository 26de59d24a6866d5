"""`stompctl can`: may somebody do something, and which line says so; `stompctl permissions import`: what another
broker says of that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from stompserver.config import Config
from stompserver.config.permissions import VERBS
from stompserver.ctl.client import Client
from stompserver.ctl.live import CONNECTING, client_of
from stompserver.ctl.others import activemq_grants, artemis_grants, mosquitto_grants, rabbitmq_grants, tree
from stompserver.ctl.others.fragment import NotReadable
from stompserver.ctl.others.grants import Grants
from stompserver.ctl.shown import one_line
from stompserver.errors import StompserverError


def connecting(command: Callable[..., None]) -> Callable[..., None]:
    """The options that tell where a server is."""
    for option in reversed(CONNECTING):
        command = option(command)
    return command


@click.command()
@click.argument("who", metavar="LOGIN")
@click.argument("verb", type=click.Choice(VERBS), metavar="VERB")
@click.argument("destination")
@click.option("--from", "address", metavar="ADDRESS", default="", help="Where the client connects from.")
@click.option("--running", is_flag=True, help="Ask the running server, whose file may have changed.")
@connecting
@click.pass_context
def can(
    context: click.Context,
    /,
    who: str,
    verb: str,
    destination: str,
    address: str,
    running: bool,
    **where: Any,
) -> None:
    """Whether LOGIN may do VERB with DESTINATION, and the line of the configuration that decides it.

    VERB is send, consume, browse, create, durable, manage or view. LOGIN is "" for clients without one. Without
    --running the file is read, and no server is asked. The exit code is 1 for no.
    """
    if running:
        with client_of(context.obj, **where) as client:
            allowed, why = _asked(client, who, verb, destination, address)
    else:
        allowed, why = _read(context.obj(), who, verb, destination, address)
    click.echo(one_line(f"{'yes' if allowed else 'no'}: {why}"))
    if not allowed:
        context.exit(1)


def _asked(client: Client, who: str, verb: str, destination: str, address: str) -> tuple[bool, str]:
    answer = client.ask("can", who=who, verb=verb, queue=destination, address=address)
    return answer["allowed"], answer["why"]


def _read(config: Config, who: str, verb: str, destination: str, address: str) -> tuple[bool, str]:
    from stompserver.server.permissions import permissions_of
    from stompserver.session.dialect import naming

    permissions = permissions_of(config)
    if permissions is None:
        return True, "there is no section permissions: everybody may do everything"
    name = naming.resolve(destination, naming.Speaker("stompctl", who, config.bare_destination)).name
    # Without auth a login is what a client says, and nobody has found it to be true.
    login = who if config.auth and who else None
    allowed, why = permissions.rights(login, address).verdict(verb, name, [])
    if who and not config.auth:
        why += " (without auth nobody is found to be a login)"
    if not allowed and permissions.observes:
        why += " (observed: it is done nevertheless)"
    return allowed, why


LARGEST: Final = 64 << 20
"""Bytes of a file that is read."""


@click.group()
def permissions() -> None:
    """Who may do what, as other brokers say it."""


@permissions.command("import")
@click.option("--vhost", metavar="NAME", default="", help="RabbitMQ's virtual host. [default: the only one]")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def permissions_import(file: Path, vhost: str) -> None:
    """Print what FILE says of rights as sections groups and permissions for this server.

    FILE is RabbitMQ's exported definitions (definitions.json), ActiveMQ's activemq.xml, Artemis' broker.xml, or an
    acl file of Mosquitto. What has no equal is listed in comments, with the reason. Put it into stompserver.conf,
    with permissions-mode: observe at first, and see with stompserver --check who holds what.
    """
    if file.stat().st_size > LARGEST:
        raise StompserverError(f"{file.name}: larger than {LARGEST >> 20} MiB")
    content = file.read_bytes()
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if vhost and start != b"{":
        raise click.UsageError("--vhost is for RabbitMQ's definitions")
    try:
        grants = _grants(content, start, vhost)
    except NotReadable as problem:
        raise StompserverError(f"{file.name}: {problem}") from None
    click.echo(str(grants))


def _grants(content: bytes, start: bytes, vhost: str) -> Grants:
    if start == b"{":
        return rabbitmq_grants.convert(_json(content), vhost)
    if start == b"<":
        root = tree.parse(content)
        if root.first("security-setting") is not None:
            return artemis_grants.convert(root)
        return activemq_grants.convert(root)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotReadable("not UTF-8 text") from None
    return mosquitto_grants.convert(text)


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise NotReadable(f"not JSON: {problem}") from None
    assert isinstance(found, dict)
    return found
