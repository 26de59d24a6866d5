"""The places of accounts that a configuration names."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
    "http": ("stompserver.security.http_accounts", "http-accounts"),
    "ldap": ("stompserver.security.ldap_accounts", "ldap"),
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
    if "ldap" in config.accounts and config.ldap_bind_passcode is not None:
        files.append(config.ldap_bind_passcode)
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
    told: list[str] = []
    elsewhere = [_elsewhere(name, config, told) for name in config.accounts if name not in _HERE]
    for warning in told:
        log.warning("%s", warning, extra={"event": "users"})
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
            _elsewhere(name, config, warnings)
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


def _elsewhere(name: str, config: Config, warnings: list[str]) -> Elsewhere:
    """A place that is asked later. Raises ConfigError."""
    if name == "http":
        return _http(config, warnings)
    if name == "ldap":
        return _ldap(config, warnings)
    from stompserver.security.plug_ins import known, plug_in

    made = plug_in(name, config.etcdir)
    if made is None:
        names = [*ACCOUNTS, *known()]
        near = values.suggestion(name, names)
        raise ConfigError(f"accounts: unknown place {values.shown(name)}; known: {', '.join(names)}{near}")
    return made


def _http(config: Config, warnings: list[str]) -> Elsewhere:
    from stompserver.security.http_accounts import HttpAccounts

    url = config.http_accounts_url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"http-accounts-url: {values.shown(url)} is no URL with http:// or https://")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        warnings.append("http-accounts-url: passcodes go over the network in plain text; use https://")
    return HttpAccounts(url, config.http_accounts_method == "get", config.http_accounts_ca)


def _ldap(config: Config, warnings: list[str]) -> Elsewhere:
    from stompserver.security.ldap_accounts import Directory, LdapAccounts, Search

    url = config.ldap_url
    parts = urlsplit(url)
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname:
        raise ConfigError(f"ldap-url: {values.shown(url)} is no URL with ldap:// or ldaps://")
    if parts.scheme == "ldap" and not config.ldap_starttls and not _is_here(parts.hostname):
        warnings.append(
            "ldap-url: passcodes go over the network in plain text; use ldaps:// or ldap-starttls"
        )
    if config.ldap_user_dn and "%u" not in config.ldap_user_dn:
        raise ConfigError("ldap-user-dn: has no %u, where the login is to stand")
    if not config.ldap_user_dn and not config.ldap_user_base:
        raise ConfigError("ldap in accounts needs ldap-user-dn, or ldap-user-base to search in")
    if not config.ldap_user_dn and "%u" not in config.ldap_user_filter:
        raise ConfigError("ldap-user-filter: has no %u, where the login is to stand")
    passcode = ""
    if config.ldap_bind_dn:
        if config.ldap_bind_passcode is None:
            raise ConfigError("ldap-bind-dn needs ldap-bind-passcode, the file with its passcode")
        try:
            passcode = config.ldap_bind_passcode.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{config.ldap_bind_passcode}: cannot read ldap-bind-passcode: {error}"
            ) from None
    groups = Search(config.ldap_group_base, config.ldap_group_filter, config.ldap_group_name)
    return LdapAccounts(
        Directory(
            url,
            config.ldap_starttls,
            config.ldap_ca,
            config.ldap_user_dn,
            Search(config.ldap_user_base, config.ldap_user_filter),
            config.ldap_bind_dn,
            passcode,
            groups if config.ldap_group_base else None,
        )
    )


def _is_here(host: str) -> bool:
    """Whether what goes there stays on this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
