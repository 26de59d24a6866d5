"""The sections ``policies`` and ``listeners`` of the file, made into values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from stompserver.errors import ConfigError

Made = TypeVar("Made", bound=Table)


def policies(sections: Sequence[Section]) -> tuple[PolicyEntries, list[str]]:
    """The policies in the order of the file, and warnings. Raises ConfigError with the line."""
    found = []
    warnings = []
    seen: dict[str, Section] = {}
    for each in sections:
        where = f"policies: {values.bare(each.name)}"
        try:
            check_pattern(each.name)
        except ValueError as error:
            raise ConfigError(
                f"{each.origin}: policies: pattern {values.shown(each.name)}: {error}"
            ) from None
        other = seen.setdefault(meaning_of(each.name), each)
        if other is not each:
            raise ConfigError(
                f"{each.origin}: {where}: means the same as {values.bare(other.name)} in {other.origin};"
                " put both together"
            )
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
        if "port" not in each.given:
            raise ConfigError(f"{each.origin}: {each.name}: needs a port")
        found.append(_made(ListenerOptions, each, each.name, None))
    return tuple(found)


def check_addresses(config: Config, sections: Sequence[Section]) -> None:
    """Raises ConfigError for a listener on an address that another one has; the system would blame a stranger."""
    taken = {(config.host, config.port): "the options host and port"}
    for section, each in zip(sections, config.listeners, strict=True):
        address = (config.host if each.host is None else each.host, each.port)
        if each.port and address in taken:
            where = f"{section.origin}: {section.name}"
            raise ConfigError(f"{where}: {address[0]} port {each.port} is already that of {taken[address]}")
        taken[address] = f"{section.name} in {section.origin}"


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
