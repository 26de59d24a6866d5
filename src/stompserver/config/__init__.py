"""Configuration: defaults < file < environment < command line, each option declared once in ``options``.

``option`` says what is known about an option, ``dialects`` which ones a word sets, ``front`` has those of what comes
before STOMP. Texts come from ``command_line``
and ``file`` (as ``contents``), and become values in ``values``; ``sections`` reads the sections of the file whose
tables are in ``policies``, ``listeners``, ``users`` and ``permissions``; ``web`` has the options of HTTP and
WebSocket. ``page`` and ``policies_page`` write the reference pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from stompserver.config import command_line, dialects, sections, values
from stompserver.config.contents import SECTIONS, Contents, Given, Section
from stompserver.config.listeners import ListenerOptions
from stompserver.config.option import attribute_of
from stompserver.config.options import FIELDS, OPTIONS, Config, environment_name, key_of
from stompserver.errors import ConfigError

__all__ = ["Config", "Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and by canonical key the origin of each value and the text it was given as.

    ``policies``, ``listeners``, ``users``, ``groups`` and ``permissions`` are those sections as they were written.
    """

    config: Config
    origins: dict[str, str]
    texts: dict[str, str | None]
    warnings: list[str]
    policies: list[Section] = field(default_factory=list)
    listeners: list[Section] = field(default_factory=list)
    users: list[Section] = field(default_factory=list)
    groups: Given = field(default_factory=dict)
    permissions: list[Section] = field(default_factory=list)


def load(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Loaded:
    """The effective configuration of a server started in ``cwd`` with these words and environment.

    Paths come out absolute: working_dir from ``cwd``; storage, logdir, etcdir and Unix sockets from working_dir;
    logfile and pidfile from logdir; files of TLS from etcdir. Reads the configuration file and touches nothing.
    Raises ConfigError.
    """
    line = command_line.parse(argv)
    from_environment, warnings = _environment(environ)
    above: Given = {**from_environment, **line.given}
    named, origin = above.get("configfile", (str(FIELDS["configfile"].default), ""))
    try:
        chosen = values.path(named)
    except ValueError as error:
        raise ConfigError(f"{origin}: configfile: {error}") from None
    contents = _contents(cwd / chosen, str(chosen), required=bool(origin))
    from_file = contents.given
    warnings += contents.warnings + [f"ignored argument {values.shown(each)}" for each in line.arguments]
    warnings += _overruled(from_file, line.given)
    given = _with_dialect({**from_file, **above})
    policies, notes = sections.policies(contents.policies)
    warnings += notes
    contents.listeners = [sections.with_dialect(each) for each in contents.listeners]
    listeners = sections.listeners(contents.listeners)
    update: dict[str, object] = {
        "policies": policies,
        "listeners": listeners,
        "users": sections.users(contents.users),
    }
    if contents.groups or contents.permissions:
        from stompserver.config.permissions import groups_of, permissions_of

        update["groups"] = groups_of(contents.groups)
        update["permissions"], notes = permissions_of(contents.permissions, contents.groups)
        warnings += notes
    config = _validated(given).model_copy(update=update)
    config = _absolute(config, cwd)
    sections.check_addresses(config, contents.listeners)
    origins = {key: given[key][1] if key in given else "default" for key in OPTIONS}
    sections.check_fronts(config, origins, contents.listeners)
    warnings += _without_auth(config, given)
    return Loaded(
        config,
        origins,
        {key: text for key, (text, _) in given.items()},
        warnings,
        contents.policies,
        contents.listeners,
        contents.users,
        contents.groups,
        contents.permissions,
    )


def _contents(path: Path, shown: str, required: bool) -> Contents:
    """What the file says, if there is one."""
    try:
        path.lstat()
    except FileNotFoundError:
        if not required:
            return Contents()
    except OSError:
        pass  # reading it tells what is wrong
    # Not before there is a file: reading YAML is the larger part of all that is imported for a configuration.
    from stompserver.config import file

    return file.read(path, shown, required)


def _environment(environ: Mapping[str, str]) -> tuple[Given, list[str]]:
    """Values of ``STOMPSERVER_...``; an empty one counts as not set, a misspelt name is warned of."""
    given: Given = {}
    warnings = []
    known = {environment_name(key): key for key in OPTIONS}
    for name, text in environ.items():
        if name in known:
            if text:
                given[known[name]] = (text, f"environment {name}")
        elif name.removeprefix("STOMPSERVER_").lower() in SECTIONS and name.startswith("STOMPSERVER_"):
            warnings.append(f"environment {name}: only the configuration file can have that")
        elif name.startswith("STOMPSERVER_") and (near := values.nearest(name, known, 0.9)):
            warnings.append(f"environment {name}: no such option; did you mean {near}?")
    return given, warnings


def _without_auth(config: Config, given: Given) -> list[str]:
    """What somebody may believe to be protected, and is not."""
    if config.auth:
        return []
    found = []
    # What --check prints sets every option, most to the default.
    idle: list[str] = [key for key in _WITH_AUTH if key in given and _is_set(config, key)]
    if config.users:
        idle.append("users")
    if idle:
        found.append(f"without auth: true nobody needs a login, and these have no effect: {', '.join(idle)}")
    if "*" in config.websocket_origins or any(
        "*" in (each.websocket_origins or ()) for each in config.listeners
    ):
        found.append(
            "websocket-origins: * without auth: true: any page that somebody opens in a browser here may send and"
            " read everything; name the pages, or set auth"
        )
    return found


def _is_set(config: Config, key: str) -> bool:
    attribute = attribute_of(key)
    return bool(getattr(config, attribute) != FIELDS[key].default)


_WITH_AUTH: Final = (
    "accounts",
    "max-connections-per-user",
    "max-subscriptions-per-user",
    "max-message-rate",
    "max-byte-rate",
)


def _overruled(from_file: Given, from_line: Mapping[str, tuple[str, str]]) -> list[str]:
    """Where the original would have taken the file's value and we take the command line's."""
    return [
        f"{from_line[key][1]} overrules {from_file[key][1]} ({key}: {values.shown(from_file[key][0])}); "
        "the original let the file win"
        for key in OPTIONS
        if key in from_file and key in from_line and not _same(key, from_file[key][0], from_line[key][0])
    ]


def _same(key: str, one: str | None, other: str | None) -> bool:
    try:
        return bool(OPTIONS[key].parse(one) == OPTIONS[key].parse(other))
    except ValueError:
        return False


def _with_dialect(given: Given) -> Given:
    """What is given, and below it what its dialect sets."""
    word = (given["dialect"][0] or "").strip().lower() if "dialect" in given else ""
    row = dialects.of_server(word)
    return {**{key: (text, f"dialect {word}") for key, text in row.items()}, **given}


def _validated(given: Given) -> Config:
    try:
        return Config.model_validate({attribute_of(key): text for key, (text, _) in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = key_of(str(first["loc"][0]))
        origin = given[key][1] if key in given else "default"
        raise ConfigError(f"{origin}: {key}: {values.problem_of(first)}") from None


def _absolute(config: Config, cwd: Path) -> Config:
    working_dir = cwd / config.working_dir
    logdir = working_dir / config.logdir
    etcdir = working_dir / config.etcdir
    return config.model_copy(
        update={
            **_files_of_tls(config, etcdir),
            "listeners": tuple(
                each.model_copy(
                    update={
                        **_files_of_tls(each, etcdir),
                        "unix": working_dir / each.unix if each.unix is not None else None,
                    }
                )
                for each in config.listeners
            ),
            "configfile": cwd / config.configfile,
            "working_dir": working_dir,
            "storage": working_dir / config.storage,
            "etcdir": etcdir,
            "logdir": logdir,
            "audit": logdir / config.audit if config.audit else None,
            "logfile": logdir / config.logfile,
            "pidfile": logdir / config.pidfile if config.pidfile else None,
            **{
                name: etcdir / path
                for name in ("jwt_key", "jwt_keys", "http_accounts_ca", "ldap_ca", "ldap_bind_passcode")
                if (path := getattr(config, name)) is not None
            },
        }
    )


def _files_of_tls(given: Config | ListenerOptions, etcdir: Path) -> dict[str, object]:
    names = ("tls_cert", "tls_key", "tls_key_password_file", "tls_client_ca", "tls_crl")
    files: dict[str, object] = {
        name: etcdir / path for name in names if (path := getattr(given, name)) is not None
    }
    if given.tls_names:
        files["tls_names"] = tuple(
            ":".join(str(etcdir / part) for part in each.split(":")) for each in given.tls_names
        )
    return files
