"""The places of accounts that a configuration names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stompserver.config import Config, values
from stompserver.config.options import ACCOUNTS
from stompserver.errors import ConfigError

if TYPE_CHECKING:
    from stompserver.security.account import Elsewhere, Source
    from stompserver.security.accounts import Here
    from stompserver.security.users import Users

log = logging.getLogger("stompserver")

Complain = Callable[[str], None]

PASSWD: Final = ".passwd"
TOKENS: Final = ".tokens"
"""Files in etcdir."""


def files_of(config: Config) -> list[Path]:
    """The files of accounts that are read again when they change; ``.passwd`` is read at SIGHUP alone, as always."""
    files = []
    if "tokens" in config.accounts:
        files.append(config.etcdir / TOKENS)
    return files


async def load(config: Config, complain: Complain) -> Source:
    """All places of the option accounts, ready to be asked. Raises ConfigError."""
    # In a thread, since the decoy hash takes a while; connections go on meanwhile.
    users, here, warnings = await asyncio.to_thread(read, config)
    for warning in warnings:
        log.warning("%s", warning, extra={"event": "users"})
    if users is not None:
        log.info("Client authorization enabled, %d logins", len(users), extra={"event": "users"})
        if config.accounts == ("passwd",):
            return users
    from stompserver.security.accounts import Accounts

    text = "Client authorization by %s"
    log.info(text, ", ".join(config.accounts), extra={"event": "users"})
    loop = asyncio.get_running_loop()
    elsewhere = [_elsewhere(name, config) for name in config.accounts if name not in _HERE]
    return Accounts(
        users, here, elsewhere, config.accounts_timeout, config.accounts_cache, loop.time, complain
    )


_HERE: Final = ("passwd", "tokens")


def check(config: Config) -> tuple[list[str], tuple[str, ...] | None]:
    """What there is to be said about the places of accounts, without asking anybody, and all logins, None where they
    are not all known here. Raises ConfigError.
    """
    users, _, warnings = read(config)
    for name in config.accounts:
        if name not in _HERE:
            _elsewhere(name, config)
    only = users is not None and config.accounts == ("passwd",)
    return warnings, users.logins if only and users is not None else None


def read(config: Config) -> tuple[Users | None, list[Here], list[str]]:
    """What answers at once, and what there is to be said about it. Raises ConfigError."""
    users: Users | None = None
    here: list[Here] = []
    warnings: list[str] = []
    if "passwd" in config.accounts:
        from stompserver.security.users import Users

        users = Users.load(config.etcdir / PASSWD)
        warnings += users.warnings
    for name in config.accounts:
        if name == "tokens":
            from stompserver.security.tokens import Tokens

            tokens = Tokens.load(config.etcdir / TOKENS)
            warnings += tokens.warnings
            here.append(tokens)
    return users, here, warnings


def _elsewhere(name: str, config: Config) -> Elsewhere:
    near = values.suggestion(name, ACCOUNTS)
    raise ConfigError(f"accounts: unknown place {values.shown(name)}; known: {', '.join(ACCOUNTS)}{near}")
