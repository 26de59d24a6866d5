"""`stompctl convert`: what another broker's configuration says, as policies of this server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from stompserver.ctl.others import activemq, rabbitmq, tree
from stompserver.ctl.others.fragment import NotReadable
from stompserver.errors import StompserverError

LARGEST: Final = 64 << 20
"""Bytes of a file that is read."""


@click.command()
@click.option("--vhost", metavar="NAME", default="", help="RabbitMQ's virtual host. [default: the only one]")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def convert(file: Path, vhost: str) -> None:
    """Print what FILE says as a configuration for this server.

    FILE is RabbitMQ's exported definitions (definitions.json) or ActiveMQ's activemq.xml. Limits, times, dead
    letter queues, redelivery and the like become policies; what has no equal is listed in comments, with the
    reason. Put it into stompserver.conf, and see with stompserver --check what holds.
    """
    if file.stat().st_size > LARGEST:
        raise StompserverError(f"{file.name}: larger than {LARGEST >> 20} MiB")
    content = file.read_bytes()
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    try:
        if start == b"<":
            if vhost:
                raise click.UsageError("--vhost is for RabbitMQ's definitions")
            fragment = activemq.convert(tree.parse(content))
        elif start == b"{":
            fragment = rabbitmq.convert(_json(content), vhost)
        else:
            raise NotReadable("neither JSON (RabbitMQ's definitions) nor XML (activemq.xml)")
    except NotReadable as problem:
        raise StompserverError(f"{file.name}: {problem}") from None
    click.echo(str(fragment))


def _json(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise NotReadable(f"not JSON: {problem}") from None
    assert isinstance(found, dict)
    return found
