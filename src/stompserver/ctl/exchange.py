"""Messages as JSON lines: the form in which they move between stores.

The first line is ``{"stompserver-export": 1}``. Each further line is a message: queue, key, number, destination,
headers (pairs, in order), size (as it counts against the memory limit), body (text where it is UTF-8, else
``body64``), attempts, redelivered (it was delivered, and no attempt counts), persistent, exceptions, kept (what
Message.kept tells). Octets of headers that are no UTF-8 (STOMP 1.0) are lone surrogates, as JSON can write them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from stompserver.broker.message import OVERHEAD, SPARED, Message
from stompserver.errors import StoreError

VERSION: Final = 1
HEAD: Final = {"stompserver-export": VERSION}

_AWKWARD: Final = re.compile("[\\\\\r\n:\0\ud800-\udfff]")
"""What some version of STOMP escapes, and octets that were no UTF-8: such headers are encoded for each version."""


def line(queue: str, message: Message) -> str:
    """One message as a line of JSON, without its line end."""
    row: dict[str, Any] = {
        "queue": queue,
        "key": message.key,
        "number": message.number,
        "destination": message.destination,
        "headers": list(message.headers.items()),
        "size": message.size,
    }
    try:
        row["body"] = message.body.decode()
    except UnicodeDecodeError:
        row["body64"] = base64.b64encode(message.body).decode()
    if message.tried:
        row["attempts"] = message.tried
    elif message.attempts:
        row["redelivered"] = True
    if not message.persistent:
        row["persistent"] = False
    if message.exceptions >= 0:
        row["exceptions"] = message.exceptions
    kept = message.kept()
    if kept:
        row["kept"] = kept
    return json.dumps(row)


def parse(lines: Iterable[str]) -> Iterator[tuple[str, Message]]:
    """The messages of an export, one at a time. Raises StoreError naming the line that is not one."""
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (0, ""))
    try:
        version = json.loads(first)["stompserver-export"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            'line 1: not an export of stompctl, which begins {"stompserver-export": 1}'
        ) from None
    if version != VERSION:
        raise StoreError(f"line 1: export format {version!r}; this version knows {VERSION}")
    for number, text in numbered:
        if not text.strip():
            continue
        try:
            yield _message(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            what = f"{type(problem).__name__}: {problem}"
            raise StoreError(f"line {number}: not a message ({what})") from None


def _message(row: dict[str, Any]) -> tuple[str, Message]:
    body = base64.b64decode(row["body64"], validate=True) if "body64" in row else _text(row["body"]).encode()
    headers = {_text(name): _text(value) for name, value in row["headers"]}
    destination = _text(row["destination"])
    plain = not any(_AWKWARD.search(text) for text in (destination, *headers, *headers.values()))
    length = sum(len(name) + len(value) + 2 for name, value in headers.items()) + len(destination)
    message = Message(
        destination,
        headers,
        body,
        _count(row.get("size", length + len(body) + OVERHEAD), 0),
        plain,
        bool(row.get("persistent", True)),
        _count(row.get("exceptions", -1), -1),
    )
    message.regain({_text(name): _text(value) for name, value in row.get("kept", {}).items()})
    message.key = _count(row["key"], 1)
    message.number = _count(row["number"], 1)
    message.attempts = min(_count(row.get("attempts", 0), 0), SPARED - 1)
    if not message.attempts and row.get("redelivered", False):
        message.attempts = SPARED
    return _text(row["queue"]), message


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _count(value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 62:
        raise ValueError(f"{value!r} is not a whole number from {least}")
    return value
