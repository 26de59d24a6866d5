"""The ``frame`` column of ``ar_messages``: a frame as YAML of plain types, for Rails' ``serialize :frame``.

One line for each thing, strings in double quotes with JSON's escapes (which YAML has too), octets that are no
text as ``!binary``. Ruby's YAML.safe_load and Psych of every age read it; this module reads that form fast and
any other YAML of the same shape (a row that Rails saved again) slowly.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import lru_cache
from json import JSONDecoder, JSONEncoder
from typing import Final

import yaml

from stompserver.errors import StoreDamaged

_encode: Final = JSONEncoder(ensure_ascii=False).encode
_decode: Final = JSONDecoder().raw_decode

_HEAD: Final = "---\ncommand: MESSAGE\nheaders:"
_LONGEST_KEY: Final = 1000
"""YAML wants a key longer than 1024 characters to be announced by ``?``."""

_Parser: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_MAPS: Final = (None, "!", "tag:yaml.org,2002:map")
_TEXTS: Final = (None, "!", "tag:yaml.org,2002:str", "!str")
_BINARIES: Final = ("!binary", "tag:yaml.org,2002:binary")

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML takes for a line end, a mark or an error, beyond what JSON escapes."""

_WORD: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ENTRY: Final = re.compile(
    r'(?:body|  (?P<name>[a-z][a-z0-9-]*|"(?:[^"\\]|\\.)*")): (?P<binary>!binary )?(?=")'
)


def dump(headers: dict[str, str], body: bytes | None) -> str:
    """The YAML of a MESSAGE frame; ``body`` is None where it is kept elsewhere."""
    parts = [_HEAD]
    if not headers:
        parts.append(" {}")
    for name, value in headers.items():
        parts.append(_key(name))
        parts.append(_quoted(value))
    if body is not None:
        parts.append("\nbody: ")
        parts.append(_text_or_binary(body))
    parts.append("\n")
    return "".join(parts)


@lru_cache(4096)
def _key(name: str) -> str:
    if _WORD.fullmatch(name) and len(name) < _LONGEST_KEY and name not in _RESERVED:
        return f"\n  {name}: "
    quoted = _quoted(name)
    return f"\n  {quoted}: " if len(quoted) < _LONGEST_KEY else f"\n  ? {quoted}\n  : "


def _quoted(text: str) -> str:
    if text.isascii() and "\x7f" not in text:
        return _encode(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Octets of a STOMP 1.0 header that are no UTF-8.
        return _binary(text.encode("utf-8", "surrogateescape"))
    return _UNPRINTABLE.sub(_escape, _encode(text))


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _binary(octets: bytes) -> str:
    return f'!binary "{b64encode(octets).decode()}"'


def _text_or_binary(body: bytes) -> str:
    if b"\0" in body:
        return _binary(body)
    try:
        quoted = _quoted(body.decode())
    except UnicodeDecodeError:
        return _binary(body)
    # Text full of control characters would grow sixfold.
    return quoted if len(quoted) <= 2 * len(body) + 64 else _binary(body)


def load(text: str) -> tuple[dict[str, str], bytes | None]:
    """The headers and the body (None where the YAML has none). Raises StoreDamaged when it is no such frame."""
    found = _load_own(text)
    return _load_any(text) if found is None else found


def _load_own(text: str) -> tuple[dict[str, str], bytes | None] | None:
    """What ``dump`` wrote; None when it is not exactly that."""
    if not text.startswith(_HEAD):
        return None
    lines = text[len(_HEAD) :].split("\n")
    if lines.pop() or not lines or lines[0] not in ("", " {}"):
        return None
    body: bytes | None = None
    headers: dict[str, str] = {}
    try:
        if lines[-1].startswith("body: "):
            body = _entry(lines.pop())[1]
        for line in lines[1:]:
            name, value = _entry(line)
            if name is None:
                return None
            headers[name] = value.decode("utf-8", "surrogateescape")
    except ValueError:
        return None
    return headers, body


def _entry(line: str) -> tuple[str | None, bytes]:
    """The header name (None: it is the body) and the octets of a line. Raises ValueError for another form."""
    start = _ENTRY.match(line)
    if start is None:
        raise ValueError
    name: str | None = start["name"]
    if name is not None and name.startswith('"'):
        name = str(_decode(name)[0])
    value, end = _decode(line, start.end())
    if end != len(line):
        raise ValueError
    return name, b64decode(value, validate=True) if start["binary"] else value.encode()


def _load_any(text: str) -> tuple[dict[str, str], bytes | None]:
    """Any YAML of a map with ``headers`` and ``body``; all scalars are text, whatever they look like."""
    try:
        # Events, because nothing is to be constructed and the depth is the writer's choice.
        found = _frame(iter(yaml.parse(text, _Parser)))
    except UnicodeEncodeError:
        raise StoreDamaged("the frame is no UTF-8 text") from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise StoreDamaged(f"the frame is no YAML: {problem.problem}{where}") from None
    except (yaml.YAMLError, ValueError):
        raise StoreDamaged("the frame is no YAML") from None
    headers, body = found.get("headers"), found.get("body")
    if not isinstance(headers, dict):
        raise StoreDamaged("the frame has no headers")
    if isinstance(body, dict):
        raise StoreDamaged("the body of the frame is no text")
    read = {_text(name): _text(value) for name, value in headers.items()}
    return read, body.encode() if isinstance(body, str) else body


def _frame(events: Iterator[yaml.Event]) -> dict[str | bytes, str | bytes | dict[str | bytes, str | bytes]]:
    for event in events:
        if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            break
    else:
        raise StoreDamaged("the frame is empty")
    if not isinstance(event, yaml.MappingStartEvent) or event.tag not in _MAPS:
        raise StoreDamaged(f"the frame is no map of plain types{_line(event)}")
    frame: dict[str | bytes, str | bytes | dict[str | bytes, str | bytes]] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        name, value = _scalar(event), next(events)
        if isinstance(value, yaml.MappingStartEvent) and value.tag in _MAPS:
            frame[name] = _map(events)
        else:
            frame[name] = _scalar(value)
    return frame


def _map(events: Iterator[yaml.Event]) -> dict[str | bytes, str | bytes]:
    found: dict[str | bytes, str | bytes] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        found[_scalar(event)] = _scalar(next(events))
    return found


def _scalar(event: yaml.Event) -> str | bytes:
    if isinstance(event, yaml.ScalarEvent):
        if event.tag in _TEXTS:
            return str(event.value)
        if event.tag in _BINARIES:
            return b64decode(event.value)
    raise StoreDamaged(f"the frame has something else than text{_line(event)}")


def _line(event: yaml.Event) -> str:
    tag = getattr(event, "tag", None)
    return (f", {tag}" if tag else "") + (
        f", in line {event.start_mark.line + 1}" if event.start_mark else ""
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
