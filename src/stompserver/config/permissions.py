"""What the sections ``permissions`` and ``groups`` of the file may say, and how it is written."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stompserver.config import values
from stompserver.config.contents import Given, Section
from stompserver.config.option import folded
from stompserver.config.policies import check_pattern, meaning_of
from stompserver.config.sections import patterns
from stompserver.errors import ConfigError

VERBS: Final = ("send", "consume", "browse", "create", "durable", "manage", "view")

OTHER_WORDS: Final = {
    "configure": "create",
    "publish": "send",
    "read": "consume",
    "receive": "consume",
    "subscribe": "consume",
    "write": "send",
}
"""What other brokers call these."""

DEFAULTS: Final[dict[str, tuple[str, ...]]] = {
    "browse": ("consume",),
    "create": ("send", "consume"),
    "durable": ("consume",),
    "view": ("manage",),
}
"""Where no pattern sets the verb: who may do one of these may do it."""

EVERYBODY: Final = "everybody"
NOBODY: Final = "nobody"
SELF: Final = "%u"
"""Of who: the login that the level ``%u`` of the pattern stands for."""

PermissionEntries = tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...]
"""Patterns in the order of the file: the text, its origin, and of each verb its name, who, and where that stands."""

GroupEntries = tuple[tuple[str, str, str], ...]
"""Groups in the order of the file: the name, the members, the origin."""

_NAME = re.compile(r"[^\s,@%]+")


class Who(NamedTuple):
    """One of those who may: a login, ``@group``, ``everybody``, ``nobody`` or ``%u``; only ``network`` if not ""."""

    name: str
    network: str = ""


def verb_key(name: str) -> str:
    """The verb of any spelling, or ""."""
    key = folded(name)
    return key if key in VERBS else ""


def parse_who(text: str) -> list[Who]:
    """Who a text means: logins and the like, with commas between them. Raises ValueError for what cannot be meant."""
    found = []
    for part in text.split(","):
        words = [_unquoted(word) for word in part.split()]
        if not words:
            continue
        name, network = words[0], ""
        if len(words) == 3 and words[1] == "from":
            try:
                network = str(ipaddress.ip_network(words[2]))
            except ValueError as error:
                raise ValueError(
                    f"{values.shown(words[2])} is no network such as 10.0.0.0/8: {error}"
                ) from None
        elif len(words) > 1:
            raise ValueError(
                f"{values.shown(part.strip())} is not one login; put commas between them, and write a network"
                " behind from: alice from 10.0.0.0/8"
            )
        if name != SELF and not _NAME.fullmatch(name.removeprefix("@")):
            raise ValueError(f"{values.shown(name)} is no login and no group")
        if name == NOBODY and network:
            raise ValueError("nobody is nobody, from anywhere")
        found.append(Who(name, network))
    if not found:
        raise ValueError(f"says nobody; write {NOBODY} if you mean that, or {EVERYBODY}, logins, @groups")
    if Who(NOBODY) in found and len(found) > 1:
        raise ValueError(f"{NOBODY} stands alone")
    return found


def _unquoted(word: str) -> str:
    """Without quotes around it: YAML keeps those that are not at the beginning of a line's value."""
    return word[1:-1] if len(word) > 2 and word[0] in "\"'" and word[-1] == word[0] else word


def groups_of(given: Given) -> GroupEntries:
    """The groups in the order of the file. Raises ConfigError with the line, for circles as well."""
    found: list[tuple[str, str, str]] = []
    members: dict[str, list[str]] = {}
    for name, (text, origin) in given.items():
        where = f"{origin}: groups: {values.bare(name)}"
        if not _NAME.fullmatch(name) or name in (EVERYBODY, NOBODY):
            raise ConfigError(
                f"{where}: a group is one word without @, %, commas and blanks, and not {NOBODY}"
            )
        try:
            who = parse_who(text or "") if (text or "").strip() else []
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
        for each in who:
            if each.network:
                raise ConfigError(f"{where}: a group is of logins; say from where in permissions")
            if each.name in (EVERYBODY, NOBODY, SELF):
                raise ConfigError(f"{where}: {each.name} is no member of a group; name logins and @groups")
            if each.name.startswith("@") and each.name[1:] not in given:
                near = values.suggestion(each.name[1:], given)
                raise ConfigError(f"{where}: there is no group {each.name}{near}")
        members[name] = [each.name[1:] for each in who if each.name.startswith("@")]
        found.append((name, ", ".join(each.name for each in who), origin))
    for name in members:
        circle = _circle(members, name)
        if circle:
            raise ConfigError(
                f"{given[name][1]}: groups: {values.bare(name)}: is in itself: " + " -> ".join(circle)
            )
    return tuple(found)


def _circle(members: dict[str, list[str]], name: str) -> list[str]:
    """The way from a group back to it, or nothing."""
    ways = [[name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for each in members[way[-1]]:
            if each == name:
                return [*way, name]
            if each not in seen:
                seen.add(each)
                ways.append([*way, each])
    return []


def permissions_of(sections: Sequence[Section], groups: Iterable[str]) -> tuple[PermissionEntries, list[str]]:
    """The permissions in the order of the file, and warnings. Raises ConfigError with the line."""
    known = set(groups)
    found = []
    warnings = []
    for each, where in patterns("permissions", sections, check_permission_pattern, _meaning):
        if not each.given:
            raise ConfigError(f"{each.origin}: {where}: sets nothing; write for example send: {EVERYBODY}")
        grants = []
        for verb, (text, origin) in each.given.items():
            try:
                who = parse_who(text or "")
                _check_who(who, each.name, known)
            except ValueError as error:
                raise ConfigError(f"{origin}: {where}: {verb}: {error}") from None
            grants.append((verb, ", ".join(map(written, who)), origin))
        if each.name[0] not in "/*>#$":
            warnings.append(
                f"{each.origin}: {where}: means names without /queue/ or /topic/ before them; did you mean"
                f" /queue/{each.name}?"
            )
        found.append((each.name, each.origin, tuple(grants)))
    return tuple(found), warnings


def written(who: Who) -> str:
    """As a person would write it."""
    return f"{who.name} from {who.network}" if who.network else who.name


def has_level(pattern: str) -> bool:
    """Whether a level of the pattern is ``%u``."""
    return SELF in pattern and SELF in re.split("[./]", pattern)


def check_permission_pattern(text: str) -> None:
    """Raises ValueError for what cannot be meant as a pattern of permissions."""
    check_pattern(text)
    for level in re.split("[./]", text):
        if SELF in level and level != SELF:
            raise ValueError(
                f"{values.shown(level)} is not a whole level; {SELF} stands for one between . or /"
            )


def _check_who(who: list[Who], pattern: str, groups: set[str]) -> None:
    for each in who:
        if each.name.startswith("@") and each.name[1:] not in groups:
            near = values.suggestion(each.name[1:], groups)
            fix = near or "; name it in groups, with nothing behind it where accounts say who is in it"
            raise ValueError(f"there is no group {each.name}{fix}")
        if each.name == SELF and not has_level(pattern):
            raise ValueError(
                f"{SELF} is the login that a level {SELF} of the pattern stands for; it has none"
            )


def _meaning(pattern: str) -> str:
    """The same text for patterns that mean the same destinations."""
    if has_level(pattern):
        # As a pattern, in which . and / are equal.
        return meaning_of(pattern + "/>")
    return meaning_of(pattern)
