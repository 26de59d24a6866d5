"""Which database: ``database.yml``, flat as the original's or by environment as Rails has it.

Nothing in the file is executed or constructed: all its values are text. An environment is chosen as Rails
chooses it: RAILS_ENV, else RACK_ENV, else ``development``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import yaml

from stompserver.errors import StoreError
from stompserver.stores.base import Place

FILE: Final = "database.yml"
DEFAULT: Final = "stompserver_development"
"""The original's SQLite file where database.yml names none (the original's lay in etc, Debian's in storage)."""

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
MYSQL: Final = "MySQL"

_ADAPTERS: Final = {
    "sqlite3": SQLITE,
    "sqlite": SQLITE,
    "jdbcsqlite3": SQLITE,
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
    "postgis": POSTGRESQL,
    "jdbcpostgresql": POSTGRESQL,
    "mysql": MYSQL,
    "mysql2": MYSQL,
    "trilogy": MYSQL,
    "mariadb": MYSQL,
    "jdbcmysql": MYSQL,
    "jdbcmariadb": MYSQL,
}

_PORTS: Final = {POSTGRESQL: 5432, MYSQL: 3306}
_SOCKETS: Final = ("/run/mysqld/mysqld.sock", "/tmp/mysql.sock", "/var/lib/mysql/mysql.sock")
"""Where mysql2 finds a server on ``localhost`` when the file does not say."""

KEYS: Final = frozenset(
    (
        "adapter",
        "connect_timeout",
        "database",
        "host",
        "password",
        "port",
        "schema_search_path",
        "socket",
        "ssl_mode",
        "sslca",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "timeout",
        "url",
        "username",
    )
)

_RAILS_ONLY: Final = """
    advisory_locks allow_concurrency application_name charset checkout_timeout collation connection_retries
    database_tasks default_transaction_mode encoding flags gssencmode idle_timeout insert_returning intervalstyle
    keepalive keepalives keepalives_count keepalives_idle keepalives_interval max_connections max_queries
    migrations_paths min_connections min_messages owner pool pool_jitter prepared_statements query_cache
    read_timeout reaping_frequency reconnect replica retry_deadline schema_cache_path schema_dump seeds
    statement_limit statement_timeout strict tablespace template use_metadata_table variables verify_timeout
    wait_timeout write_timeout
"""
_IGNORED: Final = frozenset(_RAILS_ONLY.split())
"""What Rails knows and this server decides by itself: its one connection always speaks UTF-8, for instance."""


class Database:
    """The chosen database: ``kind`` (SQLITE, POSTGRESQL, MYSQL), the ``path`` of a SQLite file, or a server's
    ``options`` (the keys of database.yml, all text). ``source`` says for error texts where it was read.
    """

    __slots__ = ("kind", "options", "path", "source")

    def __init__(self, kind: str, source: str, options: dict[str, str], path: Path | None = None) -> None:
        self.kind = kind
        self.source = source
        self.options = options
        self.path = path

    def __str__(self) -> str:
        """For logs and errors; without the password."""
        if self.path is not None:
            return f"SQLite database {self.path}"
        where = self.options.get("socket") or self.options.get("host") or "this machine"
        return f"{self.kind} database {self.options['database']} on {where}"

    def number(self, key: str, default: int) -> int:
        """The option as a whole number. Raises StoreError."""
        text = self.options.get(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
            raise StoreError(f"{self.source}: {key}: {text!r} is not a whole number above 0")
        return int(text)

    @property
    def port(self) -> int:
        """The TCP port of a server. Raises StoreError."""
        return self.number("port", _PORTS[self.kind])


def read(place: Place, environ: Mapping[str, str] = os.environ) -> Database:
    """The database of ``place.etc``'s database.yml, or the default. Raises StoreError naming file and key."""
    file = place.etc / FILE
    try:
        content = file.read_text("utf-8-sig")
    except FileNotFoundError:
        return _settle({"adapter": "sqlite3"}, str(file), place)
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        raise StoreError(f"{file}: cannot be read: {reason}") from None
    found = _parse(content, str(file))
    source = str(file)
    if found and not ("adapter" in found or "database" in found or "url" in found):
        source, found = _environment(found, source, environ)
    else:
        found = {"adapter": "sqlite3"} | found if "url" not in found else found
    return _settle(_texts(found, source), source, place)


class _Loader(yaml.SafeLoader):
    """Every value is text, as it stands in the file; only the merge key and nothing mean something."""

    yaml_implicit_resolvers: dict[str, Any] = {
        letter: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] in ("merge", "null")]
        for letter, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _parse(content: str, source: str) -> dict[str, Any]:
    for number, line in enumerate(content.splitlines(), 1):
        if "<%" in line and not line.lstrip().startswith("#"):
            raise StoreError(
                f"{source} line {number}: ERB (<% %>) is not executed here; write the value itself, or have the"
                " file made from the template"
            )
    try:
        found = yaml.load(content, _Loader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        raise StoreError(f"{source}{where}: not YAML: {problem.problem or problem.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise StoreError(f"{source}: not YAML") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise StoreError(f"{source}: expected lines of the form 'key: value'")
    return _plain(found)


def _plain(mapping: dict[Any, Any]) -> dict[str, Any]:
    """Without the colons of Ruby's symbols, and without keys that have no value."""
    return {str(key).removeprefix(":"): value for key, value in mapping.items() if value is not None}


def _environment(
    found: dict[str, Any], source: str, environ: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    name = environ.get("RAILS_ENV") or environ.get("RACK_ENV") or "development"
    chosen = found.get(name)
    if chosen is None:
        known = ", ".join(key for key, value in found.items() if isinstance(value, dict | str)) or "none"
        raise StoreError(
            f"{source}: no environment {name!r} (there are: {known}); RAILS_ENV chooses one, or write the keys"
            " without environments"
        )
    if isinstance(chosen, str):
        chosen = {"url": chosen}
    if not isinstance(chosen, dict):
        raise StoreError(f"{source}: {name}: expected keys and values")
    chosen = _plain(chosen)
    if chosen and all(isinstance(value, dict) for value in chosen.values()):
        if "primary" not in chosen:
            raise StoreError(f"{source}: {name}: has several databases and none is named primary")
        name, chosen = f"{name}: primary", _plain(chosen["primary"])
    if "adapter" not in chosen and "url" not in chosen:
        raise StoreError(f"{source}: {name}: adapter: is missing")
    return f"{source}: {name}", chosen


def _texts(found: dict[str, Any], source: str) -> dict[str, str]:
    """The keys that say something to us. Raises StoreError for one that nobody knows: a slip of the pen in
    ``sslmode`` must not go unseen.
    """
    options: dict[str, str] = {}
    for key, value in found.items():
        name = "username" if key == "user" else key
        if name in _IGNORED:
            continue
        if name not in KEYS:
            raise StoreError(f"{source}: {key}: unknown key; known are {', '.join(sorted(KEYS))}")
        if not isinstance(value, str):
            raise StoreError(f"{source}: {key}: expected one value")
        if value.startswith(":") and name in ("adapter", "ssl_mode", "sslmode"):
            value = value[1:]
        options[name] = value
    return options


def _settle(options: dict[str, str], source: str, place: Place) -> Database:
    url = options.pop("url", None)
    if url is not None:
        options = options | _texts(dict(_from_url(url, source)), source)
    adapter = options.pop("adapter", "")
    kind = _ADAPTERS.get(adapter.lower())
    if kind is None:
        raise StoreError(
            f"{source}: adapter: {adapter!r} is not known; known are sqlite3, postgresql, mysql2 and trilogy"
        )
    if kind == SQLITE:
        return Database(kind, source, options, _sqlite_path(options.get("database", ""), source, place))
    if not options.get("database"):
        raise StoreError(f"{source}: database: is missing")
    if kind == MYSQL and options.get("host", "localhost") in ("", "localhost"):
        if "socket" not in options and "port" not in options:
            there = [path for path in _SOCKETS if os.path.exists(path)]
            options |= {"socket": there[0]} if there else {}
    elif kind == MYSQL:
        options.pop("socket", None)
    database = Database(kind, source, options)
    _ = database.port
    return database


def _from_url(url: str, source: str) -> list[tuple[str, str]]:
    """The parts of a Rails ``url``: adapter://user:password@host:port/database?key=value."""
    adapter, colon, rest = url.partition(":")
    if not colon or adapter.lower() not in _ADAPTERS:
        raise StoreError(f"{source}: url: expected adapter://user:password@host:port/database")
    found = [("adapter", adapter)]
    rest, _, query = rest.partition("?")
    if rest.startswith("//"):
        place, slash, path = rest[2:].partition("/")
        account, _, host = place.rpartition("@")
        user, colon, password = account.partition(":")
        name, port = _host_and_port(host)
        found += [("username", unquote(user))] if user else []
        found += [("password", unquote(password))] if colon else []
        found += [("host", unquote(name))] if name else []
        found += [("port", port)] if port else []
    else:
        slash, path = "", rest
    if _ADAPTERS[adapter.lower()] == SQLITE:
        path = slash + path
    if path:
        found.append(("database", unquote(path)))
    return found + parse_qsl(query)


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = text.partition(":")
    return host, port


def _sqlite_path(text: str, source: str, place: Place) -> Path:
    if text == ":memory:" or text.startswith("file:"):
        raise StoreError(f"{source}: database: {text!r} is not a file to keep messages in")
    path = place.storage / (text or DEFAULT)
    if not text and not path.exists() and (place.etc / DEFAULT).exists():
        return place.etc / DEFAULT
    if text and not Path(text).is_absolute() and not path.exists():
        # The original counted relative paths from its working directory, of which storage is a folder.
        old = place.storage.parent / text
        if old.exists():
            raise StoreError(
                f"{source}: database: {text!r} counts from {place.storage}, where it is not, but there is {old};"
                " write the whole path of the one that is meant"
            )
    return path
