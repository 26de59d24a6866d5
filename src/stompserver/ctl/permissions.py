"""`stompctl can`: may somebody do something, and which line says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stompserver.config import Config
from stompserver.config.permissions import VERBS
from stompserver.ctl.client import Client
from stompserver.ctl.live import CONNECTING, client_of
from stompserver.ctl.shown import one_line


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
