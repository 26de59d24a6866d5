"""From what a person wrote (on the command line, in a file, in the environment) to a value.

Every function takes text, or a value that is already right, and returns the value; it raises ``ValueError``
with a text that finishes the sentence "KEY ..." or stands alone after "KEY: ".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import ErrorDetails

Value = TypeVar("Value")
Parse = Callable[[object], Any]

UNITS = {
    "": 1, "b": 1,
    "k": 1024, "kib": 1024, "kb": 1000,
    "m": 1024**2, "mib": 1024**2, "mb": 1000**2,
    "g": 1024**3, "gib": 1024**3, "gb": 1000**3,
    "t": 1024**4, "tib": 1024**4, "tb": 1000**4,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)
TIMES = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "1", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "n"})

NEVER = -1
"""Of redeliveries: a message that comes back is a dead letter at once."""


def shown(value: object) -> str:
    """The value as it appears in a message: quoted, one line, not longer than 60 characters."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def bare(text: str) -> str:
    """The text without quotes, but safe to print: one line, not longer than 60 characters."""
    return shown(text)[1:-1]


def suggestion(word: str, known: Iterable[str], mark: str = "") -> str:
    """``"; did you mean port?"`` for a near miss, else nothing; ``mark`` is put before the word."""
    near = nearest(word, known, 0.6)
    return f"; did you mean {mark}{near}?" if near else ""


def nearest(word: str, known: Iterable[str], likeness: float) -> str:
    """The one of ``known`` that is most like the word, or "" when none is as like (0 to 1) as wanted."""
    from difflib import get_close_matches  # nothing is misspelt in most starts

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=likeness)), "")


def problem_of(error: ErrorDetails, written: Callable[[object], str] | None = None) -> str:
    """What pydantic found wrong with a value, in words."""
    context = error["ctx"]
    if error["type"] == "value_error":
        return str(context["error"])
    word, bound = {"greater_than_equal": ("least", "ge"), "less_than_equal": ("most", "le")}[error["type"]]
    return f"must be at {word} {(written or as_text)(context[bound])}, not {shown(error['input'])}"


def whole_number(value: object) -> int:
    """Decimal digits, with a sign or ``_`` between them if you like."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 40 and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise ValueError(f"{shown(value)} is not a whole number")


def redeliveries(value: object) -> int:
    """How many redeliveries: a whole number, or ``never``, which is NEVER here."""
    if isinstance(value, str) and value.strip().lower() == "never":
        return NEVER
    count = whole_number(value)
    if count < 0:
        raise ValueError(f"{shown(value)} is no number of times; write never for none at all, and 0 for ever")
    return count


def redeliveries_as_text(count: int) -> str:
    """As ``redeliveries`` reads it."""
    return "never" if count == NEVER else str(count)


def number(value: object) -> float:
    """A decimal number such as ``10`` or ``2.5``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and len(value) <= 40 and _NUMBER.fullmatch(value.strip()):
        return float(value)
    raise ValueError(f"{shown(value)} is not a number")


def boolean(value: object) -> bool:
    """YAML 1.1's words for true and false, as Ruby's YAML reads them, and 1 and 0."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{shown(value)} is neither true nor false")


def size(value: object) -> int:
    """Bytes: a number with or without one of ``UNITS``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    if match is None or match[2].lower() not in UNITS:
        raise ValueError(f"{shown(value)} is not a size; write bytes, or a number with KiB, MiB or GiB")
    return _times(match[1], UNITS[match[2].lower()])


def _times(number: str, factor: int) -> int:
    """Exactly, rounded down."""
    from decimal import Decimal  # few starts have a size or a time with a unit

    return int(Decimal(number) * factor)


def share_of_memory(value: object) -> int:
    """Bytes: a size, or a percentage of the memory this process may use."""
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return size(value)
    percent = float(match[1])
    if not 0 < percent <= 100:
        raise ValueError(f"{shown(value)} is not between 0% and 100%")
    return int(memory_of_this_machine() * percent / 100)


def memory_of_this_machine() -> int:
    """Bytes of memory this process may use: the machine's, or less in a container (control group)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(place).read_text("utf-8").strip()
        except (OSError, ValueError):
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def duration(value: object) -> int:
    """Milliseconds: a number with or without one of ``TIMES``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    if match is None or match[2].lower() not in TIMES:
        raise ValueError(
            f"{shown(value)} is not a time; write a number with ms, s, m, h or d (alone it means milliseconds)"
        )
    return _times(match[1], TIMES[match[2].lower()])


def duration_as_text(value: int) -> str:
    """Milliseconds with the largest unit that leaves a whole number."""
    for unit in ("d", "h", "m", "s"):
        if value and value % TIMES[unit] == 0:
            return f"{value // TIMES[unit]}{unit}"
    return f"{value}ms" if value else "0"


def two_periods(value: object) -> tuple[int, int]:
    """``SEND,RECEIVE`` in milliseconds, as in STOMP's heart-beat header."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, (list, tuple)) and len(parts) == 2:
        numbers = whole_number(parts[0]), whole_number(parts[1])
        if all(0 <= each <= 86_400_000 for each in numbers):
            return numbers
    raise ValueError(f"{shown(value)} is not two numbers of milliseconds such as 1000,1000 (at most a day)")


def words(value: object) -> str:
    """Text on one line; nothing at all is the empty text."""
    text = "" if value is None else str(value)
    if not text.isprintable():
        raise ValueError(f"{shown(text)} has control characters in it")
    return text


def path(value: object) -> Path:
    """A file or a folder; an empty one is refused."""
    if isinstance(value, Path):
        return value
    if not (text := words(value)):
        raise ValueError("names no file or folder")
    return Path(text)


def optional_path(value: object) -> Path | None:
    """A file, or nothing."""
    return path(value) if value not in (None, "") else None


def certificates(value: object) -> tuple[str, ...]:
    """Files of certificates, ``CERT`` or ``CERT:KEY``, with commas between them."""
    parts = value if isinstance(value, tuple) else words(value).split(",")
    found = tuple(part.strip() for part in parts if part.strip())
    for each in found:
        if each.count(":") > 1 or not all(each.split(":")):
            raise ValueError(f"{shown(each)} is neither CERT nor CERT:KEY")
    return found


def networks(value: object) -> tuple[str, ...]:
    """Networks such as ``10.0.0.0/8``, or single addresses, with commas between them."""
    from ipaddress import ip_network  # few servers stand behind a proxy

    parts = value if isinstance(value, tuple) else words(value).split(",")
    found = []
    for part in parts:
        if not (text := part.strip()):
            continue
        try:
            found.append(str(ip_network(text)))
        except ValueError:
            raise ValueError(f"{shown(text)} is no network; write 10.0.0.0/8, or an address") from None
    return tuple(found)


def file_mode(value: object) -> int:
    """Permissions of a file, in octal as chmod takes them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = words(value).removeprefix("0o")
    if not text.isdecimal() or len(text) > 5 or set(text) - set("01234567") or int(text, 8) > 0o777:
        raise ValueError(f"{shown(text)} is no mode of a file; write three digits as for chmod, such as 660")
    return int(text, 8)


def file_mode_as_text(value: int) -> str:
    """As ``file_mode`` reads it."""
    return f"{value:o}"


def queue_destination(value: object) -> str:
    """The name of a queue: it starts with ``/queue``, as everything that is a queue does."""
    text = words(value)
    if not text.startswith("/queue") or text == "/queue":
        raise ValueError(f"{shown(text)} is not a queue; its name must start with /queue/")
    if text == "/queue/monitor":
        raise ValueError(f"{shown(text)} is no queue: the server sends its reports there")
    return text


def optional_queue_destination(value: object) -> str:
    """The name of a queue, or nothing."""
    return queue_destination(value) if value not in (None, "") else ""


def optional_words(value: object) -> str | None:
    """Text on one line, or None for what is not given."""
    return None if value is None else words(value)


def optional_boolean(value: object) -> bool | None:
    """True, false, or None for what is not given."""
    return None if value is None else boolean(value)


def optional(parse: Callable[[object], Value]) -> Callable[[object], Value | None]:
    """What ``parse`` makes of a value, or None for what is not given."""

    def parse_given(value: object) -> Value | None:
        return None if value is None else parse(value)

    return parse_given


def header_name(value: object) -> str:
    """The name of a STOMP header, or nothing."""
    text = words(value)
    if ":" in text or text != text.strip():
        raise ValueError(f"{shown(text)} is not the name of a header")
    return text


def one_of(known: Iterable[str], noun: str) -> Callable[[object], str]:
    """A parser for one of a few words, in any case."""
    names = tuple(known)

    def parse(value: object) -> str:
        text = words(value)
        if text.lower() in names:
            return text.lower()
        near = suggestion(text.lower(), names)
        raise ValueError(f"unknown {noun} {shown(text)}; known: {', '.join(names)}{near}")

    return parse


def words_of(known: Iterable[str], noun: str) -> Callable[[object], tuple[str, ...]]:
    """A parser for some of a few words, in any case, with commas between them; ``none`` or nothing for none."""
    names = tuple(known)
    parse_one = one_of((*names, "none"), noun)

    def parse(value: object) -> tuple[str, ...]:
        parts = value if isinstance(value, tuple) else words(value).split(",")
        found = {parse_one(str(part).strip()) for part in parts if str(part).strip()}
        if "none" in found and len(found) > 1:
            raise ValueError(f"{shown(value)} is none and something else")
        return tuple(name for name in names if name in found)

    return parse


def some_names(value: object) -> tuple[str, ...]:
    """Names as they are written, with commas between them, each once; nothing for none."""
    parts = value if isinstance(value, tuple) else words(value).split(",")
    return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


def some_words(value: object) -> str:
    """Text on one line that is not empty."""
    text = words(value).strip()
    if not text:
        raise ValueError("is empty")
    return text


def names(noun: str) -> Callable[[object], tuple[str, ...]]:
    """A parser for one or more names, with commas between them, in small letters and each once."""

    def parse(value: object) -> tuple[str, ...]:
        parts = value if isinstance(value, tuple) else words(value).split(",")
        found = tuple(dict.fromkeys(str(part).strip().lower() for part in parts if str(part).strip()))
        if not found:
            raise ValueError(f"names no {noun.removeprefix('a ')}")
        return found

    return parse


def optional_one_of(known: Iterable[str], noun: str) -> Callable[[object], str]:
    """A parser for one of a few words, in any case, or nothing."""
    parse = one_of(known, noun)
    return lambda value: parse(value) if value not in (None, "") else ""


def as_text(value: object) -> str:
    """A value as it would be written in a configuration file; parsing it gives the value back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def quoted(text: str) -> str:
    """The text as a YAML scalar, on one line."""
    safe = text[:1].isalnum() or text[:1] in ("/", ".", "")
    if (
        safe
        and text.isprintable()
        and not text.endswith(":")
        and not any(each in text for each in (": ", " #"))
    ):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def size_as_text(value: int) -> str:
    """Bytes with the largest unit that leaves a whole number."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        factor = UNITS[unit.lower()]
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)
