"""`stompctl token`: API tokens, with which programs log in."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from stompserver.config import Config
from stompserver.security import tokens
from stompserver.server.accounts import TOKENS
from stompserver.server.process.process import make_directory

Configured = Callable[[], Config]


@click.group()
def token() -> None:
    """API tokens of programs, in the file .tokens in etcdir. A running server takes changes over by itself."""


@token.command()
@click.argument("name")
@click.pass_obj
def add(configured: Configured, name: str) -> None:
    """Make a token and print it, this once: the file keeps only its hash. NAME is the login of who has it."""
    config = configured()
    make_directory(config.etcdir, None)
    made = tokens.add(config.etcdir / TOKENS, name)
    click.echo(made)
    if "tokens" not in config.accounts or not config.auth:
        wanted = ",".join(dict.fromkeys([*config.accounts, "tokens"]))
        click.echo(f"stompctl: no server takes it yet: set auth: true and accounts: {wanted}", err=True)
    if sys.stdout.isatty():
        click.echo("It is the passcode, with the name or nothing as login. It is not shown again.", err=True)


@token.command("list")
@click.pass_obj
def list_(configured: Configured) -> None:
    """The names of the tokens."""
    for name in tokens.names(configured().etcdir / TOKENS):
        click.echo(name)


@token.command()
@click.argument("name")
@click.pass_obj
def remove(configured: Configured, name: str) -> None:
    """Take a token away: nobody can log in with it any more. Who is connected stays until the connection ends."""
    tokens.remove(configured().etcdir / TOKENS, name)
