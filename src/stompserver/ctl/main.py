"""The command `stompctl`: its options, and errors as one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from stompserver import __version__
from stompserver.config import Config, load
from stompserver.ctl.shown import one_line
from stompserver.errors import ConfigError, StompserverError


class Group(click.Group):
    """A group whose errors are one line on stderr: exit code 2 for options, 1 for everything else."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.UsageError(one_line(" ".join(str(error).split()))) from error
        except StompserverError as error:
            raise click.ClickException(one_line(" ".join(str(error).split()))) from error


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="stompctl %(version)s")
@click.option("-C", "--config", metavar="FILE", help="The server's configuration file.")
@click.option("-w", "--working-dir", metavar="DIR", help="The server's working directory.")
@click.option("-s", "--storage", metavar="DIR", help="The folder of stored messages.")
@click.option("-q", "--queuetype", metavar="TYPE", help="The kind of storage.")
@click.pass_context
def main(
    context: click.Context,
    config: str | None,
    working_dir: str | None,
    storage: str | None,
    queuetype: str | None,
) -> None:
    """Look after a stompserver. It finds what it needs as the server does: in the configuration file, the
    environment (STOMPSERVER_...) and these options, which mean what they mean for stompserver.
    """
    words: list[str] = []
    for flag, value in (
        ("--config", config),
        ("--working_dir", working_dir),
        ("--storage", storage),
        ("--queuetype", queuetype),
    ):
        if value is not None:
            words.append(f"{flag}={value}")
    context.obj = lambda: _config(words)


def _config(words: list[str]) -> Config:
    loaded = load(words, os.environ, Path.cwd())
    for warning in loaded.warnings:
        click.echo(f"stompctl: {warning}", err=True)
    return loaded.config


def run() -> None:
    """The entry point."""
    from stompserver.ctl.convert import convert
    from stompserver.ctl.live import COMMANDS
    from stompserver.ctl.move import move
    from stompserver.ctl.permissions import can, permissions
    from stompserver.ctl.store import store
    from stompserver.ctl.token import token

    for command in (store, move, convert, can, permissions, token, *COMMANDS):
        main.add_command(command)
    try:
        main(prog_name="stompctl")
    except BrokenPipeError:
        # Whoever read our output (head) has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
