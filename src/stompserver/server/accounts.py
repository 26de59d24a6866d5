"""The places of accounts that a configuration names."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stompserver.config import Config, values
from stompserver.config.options import ACCOUNTS
from stompserver.errors import ConfigError

if TYPE_CHECKING:
    from stompserver.security.account import Elsewhere, Source
    from stompserver.security.accounts import Here
    from stompserver.security.users import Users
    from stompserver.security.web_tokens import WebTokens

log = logging.getLogger("stompserver")

Complain = Callable[[str], None]

MODULES: Final = {
    "passwd": ("stompserver.security.users", ""),
    "tokens": ("stompserver.security.tokens", ""),
    "jwt": ("stompserver.security.web_tokens", "jwt"),
}
"""By place what it is made of, and the extra that brings the library."""

PASSWD: Final = ".passwd"
TOKENS: Final = ".tokens"
"""Files in etcdir."""


def files_of(config: Config) -> list[Path]:
    """The files of accounts that are read again when they change; ``.passwd`` is read at SIGHUP alone, as always."""
    files = []
    if "tokens" in config.accounts:
        files.append(config.etcdir / TOKENS)
    if "jwt" in config.accounts:
        files += [path for path in (config.jwt_key, config.jwt_keys) if path is not None]
    return files


def prepare(config: Config) -> None:
    """Import what the places of accounts need. Raises ConfigError where it is not installed."""
    for name in config.accounts:
        module, extra = MODULES.get(name, ("", ""))
        if not module:
            continue
        try:
            import_module(module)
        except ModuleNotFoundError as missing:
            if not extra or (missing.name or "").startswith("stompserver"):
                raise
            raise ConfigError(
                f"accounts: {name} needs the library {missing.name}: pip install 'stompserver[{extra}]'"
            ) from None


async def load(config: Config, complain: Complain) -> Source:
    """All places of the option accounts, ready to be asked. Raises ConfigError."""
    # In a thread, since the decoy hash takes a while; connections go on meanwhile.
    users, here, warnings = await asyncio.to_thread(read, config, complain)
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


_HERE: Final = ("passwd", "tokens", "jwt")


def check(config: Config) -> tuple[list[str], tuple[str, ...] | None]:
    """What there is to be said about the places of accounts, without asking anybody, and all logins, None where they
    are not all known here. Raises ConfigError.
    """
    users, _, warnings = read(config, log.warning)
    for name in config.accounts:
        if name not in _HERE:
            _elsewhere(name, config)
    only = users is not None and config.accounts == ("passwd",)
    return warnings, users.logins if only and users is not None else None


def read(config: Config, complain: Complain) -> tuple[Users | None, list[Here], list[str]]:
    """What answers at once, and what there is to be said about it. Raises ConfigError."""
    prepare(config)
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
        elif name == "jwt":
            here.append(_web_tokens(config, warnings, complain))
    return users, here, warnings


def _web_tokens(config: Config, warnings: list[str], complain: Complain) -> WebTokens:
    from stompserver.security.web_tokens import WebTokens, algorithms_of, key_set, one_key

    algorithms = algorithms_of(config.jwt_algorithms)
    if (config.jwt_key is None) == (config.jwt_keys is None):
        raise ConfigError("jwt in accounts needs one of jwt-key and jwt-keys")
    if config.jwt_key is not None:
        keys = one_key(config.jwt_key, algorithms)
    else:
        assert config.jwt_keys is not None
        keys = key_set(config.jwt_keys, algorithms)
    if not config.jwt_audience:
        warnings.append("jwt-audience is empty: tokens that were made for other services are taken, too")
    return WebTokens(
        keys,
        algorithms,
        config.jwt_login,
        config.jwt_groups,
        config.jwt_audience,
        config.jwt_issuer,
        time.time,
        complain,
    )


def _elsewhere(name: str, config: Config) -> Elsewhere:
    near = values.suggestion(name, ACCOUNTS)
    raise ConfigError(f"accounts: unknown place {values.shown(name)}; known: {', '.join(ACCOUNTS)}{near}")
