"""The sections ``policies``, ``listeners`` and ``users`` of the file, made into values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import ValidationError

from stompserver.config import dialects, values
from stompserver.config.contents import Section
from stompserver.config.listeners import ListenerOptions
from stompserver.config.option import Table, attribute_of
from stompserver.config.options import Config
from stompserver.config.policies import (
    PolicyEntries,
    PolicyOptions,
    check_pattern,
    contradiction,
    meaning_of,
    value_as_text,
)
from stompserver.config.users import UserEntries, UserOptions
from stompserver.errors import ConfigError

Made = TypeVar("Made", bound=Table)


def patterns(
    word: str, sections: Sequence[Section], check: Callable[[str], None], meaning: Callable[[str], str]
) -> Iterator[tuple[Section, str]]:
    """Each section whose name is a pattern, with what an error calls it; ``word`` is the section they are in.

    Raises ConfigError, with the line, for what ``check`` raises ValueError, and for two of the same ``meaning``.
    """
    seen: dict[str, Section] = {}
    for each in sections:
        where = f"{word}: {values.bare(each.name)}"
        try:
            check(each.name)
        except ValueError as error:
            raise ConfigError(f"{each.origin}: {word}: pattern {values.shown(each.name)}: {error}") from None
        other = seen.setdefault(meaning(each.name), each)
        if other is not each:
            raise ConfigError(
                f"{each.origin}: {where}: means the same as {values.bare(other.name)} in {other.origin};"
                " put both together"
            )
        yield each, where


def policies(sections: Sequence[Section]) -> tuple[PolicyEntries, list[str]]:
    """The policies in the order of the file, and warnings. Raises ConfigError with the line."""
    found = []
    warnings = []
    for each, where in patterns("policies", sections, check_pattern, meaning_of):
        made = _made(PolicyOptions, each, where, value_as_text)
        problem = contradiction(each.name, made)
        if problem is not None:
            key, text = problem
            origin = each.given[key][1] if key in each.given else each.origin
            raise ConfigError(f"{origin}: {where}: {key}: {text}")
        if each.name[0] not in "/*>#":
            text = f"means names without /queue/ or /topic/ before them; did you mean /queue/{each.name}?"
            warnings.append(f"{each.origin}: {where}: {text}")
        found.append((each.name, made))
    return tuple(found), warnings


def with_dialect(section: Section) -> Section:
    """A listener, and below what it sets itself what its dialect does."""
    text, origin = section.given.get("dialect", (None, ""))
    word = (text or "").strip().lower()
    row = dialects.of_listener(word)
    rest = {
        key: (value, f"dialect {word}, {origin}") for key, value in row.items() if key not in section.given
    }
    return Section(section.name, section.origin, {**section.given, **rest})


def listeners(sections: Sequence[Section]) -> tuple[ListenerOptions, ...]:
    """The listeners in the order of the file. Raises ConfigError with the line."""
    found = []
    for each in sections:
        if "port" not in each.given and "unix" not in each.given:
            raise ConfigError(f"{each.origin}: {each.name}: needs a port (or unix, the path of a socket)")
        for key in ("host", "port"):
            if key in each.given and "unix" in each.given:
                raise ConfigError(f"{each.given[key][1]}: {each.name}: {key}: a Unix socket has none")
        found.append(_made(ListenerOptions, each, each.name, None))
    return tuple(found)


def users(sections: Sequence[Section]) -> UserEntries:
    """The limits of logins in the order of the file. Raises ConfigError with the line."""
    found: dict[str, UserOptions] = {}
    for each in sections:
        where = f"users: {values.bare(each.name)}"
        if not each.name:
            raise ConfigError(f"{each.origin}: users: a login is missing before the colon")
        if each.name in found:
            raise ConfigError(f"{each.origin}: {where}: is there already; put both together")
        found[each.name] = _made(UserOptions, each, where, None)
    return tuple(found.items())


def check_addresses(config: Config, sections: Sequence[Section]) -> None:
    """Raises ConfigError for a listener on an address that another one has; the system would blame a stranger."""
    taken: dict[tuple[object, ...], str] = {(config.host, config.port): "the options host and port"}
    for section, each in zip(sections, config.listeners, strict=True):
        address: tuple[object, ...] = (config.host if each.host is None else each.host, each.port)
        if each.unix is not None:
            address = (each.unix,)
        if (each.port or each.unix is not None) and address in taken:
            where = f"{section.origin}: {section.name}"
            named = f"{address[0]} port {each.port}" if each.unix is None else str(each.unix)
            raise ConfigError(f"{where}: {named} is already that of {taken[address]}")
        taken[address] = f"{section.name} in {section.origin}"


def check_fronts(config: Config, origins: Mapping[str, str], sections: Sequence[Section]) -> None:
    """Raises ConfigError for options of TLS or proxies that do not go together."""
    problem = _odd_front(config, False)
    if problem is not None:
        key, text = problem
        raise ConfigError(f"{origins[key]}: {key}: {text}")
    for number, (section, each) in enumerate(zip(sections, config.listeners, strict=True), 1):
        problem = _odd_front(config.of_listener(number), each.unix is not None)
        if problem is not None:
            key, text = problem
            origin = section.given[key][1] if key in section.given else section.origin
            raise ConfigError(f"{origin}: {section.name}: {key}: {text}")


def fronts_fit(config: Config) -> bool:
    """Whether the options of TLS and proxies go together for all listeners."""
    unix = [False, *[each.unix is not None for each in config.listeners]]
    return all(_odd_front(config.of_listener(number), unix[number]) is None for number in range(len(unix)))


def _odd_front(given: Config, unix: bool) -> tuple[str, str] | None:
    """What cannot be meant: the option and what is wrong with it. ``unix``: it is a Unix socket."""
    if given.tls != "no" and given.tls_cert is None:
        return (
            "tls",
            "needs a certificate: set tls-cert (stompserver --make-certificate makes one for a first try)",
        )
    if given.tls_client_cert != "no" and given.tls_client_ca is None:
        return "tls-client-cert", "needs tls-client-ca, the CAs that sign the certificates of clients"
    if given.tls_login != "no" and given.tls_client_cert == "no":
        return "tls-login", "needs tls-client-cert: want or need"
    if given.tls_crl is not None and given.tls_client_ca is None:
        return "tls-crl", "needs tls-client-ca, the CAs that revoke"
    if given.proxy_protocol and not given.proxy_networks and not unix:
        return "proxy-protocol", "needs proxy-networks: else anybody could say that he comes from anywhere"
    return None


def _made(
    model: type[Made], section: Section, where: str, written: Callable[[str, object], str] | None
) -> Made:
    try:
        return model.model_validate(
            {attribute_of(key): text if text is not None else "" for key, (text, _) in section.given.items()}
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]).replace("_", "-")
        problem = values.problem_of(first, (lambda value: written(key, value)) if written else None)
        raise ConfigError(f"{section.given[key][1]}: {where}: {key}: {problem}") from None
