"""The configuration file: YAML, one ``key: value`` a line, with or without Ruby's colon before the key, and the
sections of ``contents.SECTIONS``.

Nothing is constructed from the YAML: its nodes are read as text, and a tag of Ruby or Python is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml

from stompserver.config import values
from stompserver.config.contents import SECTIONS, Contents, Given, Section
from stompserver.config.listeners import LISTENER_FIELDS, listener_key
from stompserver.config.option import folded
from stompserver.config.options import OPTIONS, key_of
from stompserver.config.policies import POLICY_FIELDS, policy_key
from stompserver.config.users import USER_FIELDS, user_key
from stompserver.errors import ConfigError

_YAML = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    _YAML + name for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)


def read(path: Path, shown: str, required: bool) -> Contents:
    """What the file says. ``shown`` names it in origins and warnings.

    A missing file is an empty one unless ``required``. Raises ConfigError with the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{shown}: no such configuration file") from None
        return Contents()
    except OSError as error:
        raise ConfigError(f"{shown}: cannot read the configuration file: {error.strerror}") from None
    return _entries(_mapping(content, shown), shown)


def _mapping(content: bytes, shown: str) -> list[tuple[yaml.Node, yaml.Node]]:
    try:
        text = content.decode("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown} line {line}: not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        problem = (error.problem or error.context or "").removeprefix("but ")
        anchored = (error.context or "") in ("while scanning an alias", "while scanning an anchor")
        unquoted = anchored or "'@'" in problem or "'%'" in problem
        hint = "; put what begins with @, %, * or & in quotes" if unquoted else ""
        raise ConfigError(f"{shown}{where}: not YAML: {problem}{hint}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{shown} line {line}: not YAML: a character that is not allowed in it") from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"{shown}: not YAML") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and _is_nothing(root)):
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{shown} line {root.start_mark.line + 1}: expected lines of the form 'key: value'")
    return list(root.value)


def _is_nothing(node: yaml.ScalarNode) -> bool:
    # Ruby's YAML library gave `false` for an empty file, and some tools write it back.
    return node.tag == _YAML + "null" or node.value == "false"


def _entries(mapping: list[tuple[yaml.Node, yaml.Node]], shown: str) -> Contents:
    contents = Contents()
    sections: dict[str, str] = {}
    given, warnings = contents.given, contents.warnings
    for key_node, value_node in mapping:
        origin = _line(key_node, shown)
        name = _text(key_node, origin) or ""
        section = folded(name)
        if section in SECTIONS:
            if section in sections:
                raise ConfigError(
                    f"{origin}: {section} is there already, in {sections[section]}; put both together"
                )
            sections[section] = origin
            if section == "policies":
                contents.policies = _policies(value_node, shown)
            elif section == "users":
                contents.users = _users(value_node, shown)
            elif section == "listeners":
                contents.listeners = _listeners(value_node, shown)
            elif section == "groups":
                contents.groups = _groups(value_node, shown)
            else:
                contents.permissions = _permissions(value_node, shown)
            continue
        key = key_of(name)
        if not key:
            near = values.suggestion(name.removeprefix(":"), [*OPTIONS, *SECTIONS])
            raise ConfigError(f"{origin}: unknown key {values.shown(name)}{near}")
        if key == "configfile":
            warnings.append(f"{origin}: {key} has no effect inside the configuration file")
            continue
        if key in given:
            warnings.append(f"{origin}: {key} is set again; this line counts, {given[key][1]} does not")
        given[key] = (_text(value_node, f"{origin}: {key}"), origin)
    return contents


def _line(node: yaml.Node, shown: str) -> str:
    return f"{shown} line {node.start_mark.line + 1}"


def _policies(node: yaml.Node, shown: str) -> list[Section]:
    found = []
    for key_node, value_node in _pairs(node, f"{_line(node, shown)}: policies", "a pattern of destinations"):
        origin = _line(key_node, shown)
        name = _text(key_node, f"{origin}: policies") or ""
        place = f"policies: {values.bare(name)}"
        found.append(Section(name, origin, _options(value_node, shown, place, policy_key, POLICY_FIELDS)))
    return found


def _users(node: yaml.Node, shown: str) -> list[Section]:
    found = []
    for key_node, value_node in _pairs(node, f"{_line(node, shown)}: users", "a login"):
        origin = _line(key_node, shown)
        name = _text(key_node, f"{origin}: users") or ""
        place = f"users: {values.bare(name)}"
        found.append(Section(name, origin, _options(value_node, shown, place, user_key, USER_FIELDS)))
    return found


def _groups(node: yaml.Node, shown: str) -> Given:
    given: Given = {}
    for key_node, value_node in _pairs(node, f"{_line(node, shown)}: groups", "a group"):
        origin = _line(key_node, shown)
        name = _text(key_node, f"{origin}: groups") or ""
        if name in given:
            raise ConfigError(f"{origin}: groups: {values.bare(name)} is there already, in {given[name][1]}")
        given[name] = (_text(value_node, f"{origin}: groups: {values.bare(name)}"), origin)
    return given


def _permissions(node: yaml.Node, shown: str) -> list[Section]:
    from stompserver.config.permissions import EVERYBODY, OTHER_WORDS, VERBS, verb_key

    found = []
    for key_node, value_node in _pairs(
        node, f"{_line(node, shown)}: permissions", "a pattern of destinations"
    ):
        origin = _line(key_node, shown)
        name = _text(key_node, f"{origin}: permissions") or ""
        place = f"permissions: {values.bare(name)}"
        if verb_key(name) and isinstance(value_node, yaml.ScalarNode) and not _is_empty(value_node):
            raise ConfigError(
                f"{origin}: {place}: stands below no pattern of destinations; write one in the line above it, in"
                " quotes when it begins with #, because YAML takes # for a comment"
            )
        found.append(Section(name, origin, _options(value_node, shown, place, verb_key, VERBS, OTHER_WORDS)))
    if not found:
        raise ConfigError(
            f"{_line(node, shown)}: permissions: is empty, and nobody could do anything; write at least a pattern"
            f" and who may what, such as /queue/#: and below it send: {EVERYBODY}, or take the section out"
        )
    return found


def _listeners(node: yaml.Node, shown: str) -> list[Section]:
    origin = _line(node, shown)
    if _is_empty(node):
        return []
    if not isinstance(node, yaml.SequenceNode) or node.tag not in _PLAIN_TAGS:
        raise ConfigError(f"{origin}: listeners: expected a list, each item beginning with '- port: NUMBER'")
    found = []
    for number, item in enumerate(node.value, 1):
        place = f"listeners: item {number}"
        found.append(
            Section(place, _line(item, shown), _options(item, shown, place, listener_key, LISTENER_FIELDS))
        )
    return found


_NO_WORDS: Mapping[str, str] = {}


def _options(
    node: yaml.Node,
    shown: str,
    place: str,
    key_of_option: Callable[[str], str],
    known: Iterable[str],
    other_words: Mapping[str, str] = _NO_WORDS,
) -> Given:
    """``other_words``: what users of other brokers write, and what that is called here."""
    given: Given = {}
    for key_node, value_node in _pairs(node, f"{_line(node, shown)}: {place}", "an option"):
        origin = _line(key_node, shown)
        name = _text(key_node, f"{origin}: {place}") or ""
        key = key_of_option(name)
        if not key:
            word = other_words.get(folded(name))
            near = f"; did you mean {word}?" if word else values.suggestion(folded(name), known)
            raise ConfigError(f"{origin}: {place}: unknown option {values.shown(name)}{near}")
        if key in given:
            raise ConfigError(f"{origin}: {place}: {key} is there already, in {given[key][1]}")
        given[key] = (_text(value_node, f"{origin}: {place}: {key}"), origin)
    return given


def _pairs(node: yaml.Node, where: str, noun: str) -> list[tuple[yaml.Node, yaml.Node]]:
    if _is_empty(node):
        return []
    if node.tag not in _PLAIN_TAGS:
        raise ConfigError(f"{where}: tags such as {values.shown(node.tag)} are not taken")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{where}: expected indented lines, each {noun}, a colon and what belongs to it")
    return list(node.value)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _YAML + "null"


def _text(node: yaml.Node, where: str) -> str | None:
    """The text of a scalar, the items of a list of scalars joined by commas, or None for nothing."""
    if node.tag not in _PLAIN_TAGS:
        raise ConfigError(f"{where}: tags such as {values.shown(node.tag)} are not taken")
    if isinstance(node, yaml.SequenceNode):
        return ",".join(_text(item, where) or "" for item in node.value)
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{where}: expected one value, not further keys")
    return None if node.tag == _YAML + "null" else str(node.value)
