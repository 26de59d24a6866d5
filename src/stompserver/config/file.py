"""The configuration file: YAML, one ``key: value`` a line, with or without Ruby's colon before the key.

Nothing is constructed from the YAML: its nodes are read as text, and a tag of Ruby or Python is an error.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from stompserver.config import values
from stompserver.config.options import OPTIONS, key_of
from stompserver.errors import ConfigError

Given = dict[str, tuple[str | None, str]]
_YAML = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    _YAML + name for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)


def read(path: Path, shown: str, required: bool) -> tuple[Given, list[str]]:
    """Keys with (text, origin), and warnings. ``shown`` names the file in them.

    A missing file is an empty one unless ``required``. Raises ConfigError with the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{shown}: no such configuration file") from None
        return {}, []
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
        raise ConfigError(
            f"{shown}{where}: not YAML: {(error.problem or error.context or '').removeprefix('but ')}"
        ) from None
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


def _entries(mapping: list[tuple[yaml.Node, yaml.Node]], shown: str) -> tuple[Given, list[str]]:
    given: Given = {}
    warnings = []
    for key_node, value_node in mapping:
        origin = f"{shown} line {key_node.start_mark.line + 1}"
        name = _text(key_node, origin) or ""
        key = key_of(name)
        if not key:
            near = values.suggestion(name.removeprefix(":"), OPTIONS)
            raise ConfigError(f"{origin}: unknown key {values.shown(name)}{near}")
        if key == "configfile":
            warnings.append(f"{origin}: {key} has no effect inside the configuration file")
            continue
        if key in given:
            warnings.append(f"{origin}: {key} is set again; this line counts, {given[key][1]} does not")
        given[key] = (_text(value_node, f"{origin}: {key}"), origin)
    return given, warnings


def _text(node: yaml.Node, where: str) -> str | None:
    """The text of a scalar, the items of a list of scalars joined by commas, or None for nothing."""
    if node.tag not in _PLAIN_TAGS:
        raise ConfigError(f"{where}: tags such as {values.shown(node.tag)} are not taken")
    if isinstance(node, yaml.SequenceNode):
        return ",".join(_text(item, where) or "" for item in node.value)
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{where}: expected one value, not further keys")
    return None if node.tag == _YAML + "null" else str(node.value)
