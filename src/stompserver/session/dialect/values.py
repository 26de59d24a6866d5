"""Header values as numbers, times and choices. What cannot be obeyed raises ProtocolError and says why."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import NORMAL
from stompserver.broker.names.policy import Policy, Value
from stompserver.broker.schedule.plan import ENDLESS, Plan
from stompserver.errors import ProtocolError
from stompserver.session.dialect import headers as dialect

_LARGEST: Final = 1 << 53
"""More than any time in ms or size in bytes that means something."""

_TRUE: Final = ("true", "1", "yes")
_FALSE: Final = ("false", "0", "no")

_MULTIPLIER: Final = 5.0
"""ActiveMQ's factor where back-off is asked for without one."""


def first(headers: dict[str, str], names: tuple[str, ...]) -> str | None:
    """The value under the first of ``names`` that is there."""
    for name in names:
        value = headers.get(name)
        if value is not None:
            return value
    return None


def named(headers: dict[str, str], names: tuple[str, ...]) -> str:
    """The first of ``names`` that is there; "" without any."""
    for name in names:
        if name in headers:
            return name
    return ""


def truth(value: str | None, default: bool) -> bool:
    """A boolean as the field writes them: true, True, 1, false, False, 0. Anything else is ``default``."""
    if value is None:
        return default
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return default


def is_truth(value: str) -> bool:
    """Whether that is a boolean."""
    word = value.strip().lower()
    return word in _TRUE or word in _FALSE


def number(headers: dict[str, str], name: str) -> int:
    """A whole number, which may have a fraction of no weight. Raises ProtocolError for anything else."""
    found = whole(headers[name])
    if found is None:
        raise ProtocolError(
            f"Header {name} is not a number {headers[name][:40]!r}",
            where="header " + name,
            rule="Its value is a whole number in decimal",
            fix="Send the number alone, without a unit.",
        )
    return found


def count(headers: dict[str, str], names: tuple[str, ...]) -> int:
    """The whole number under the first of ``names`` that is there; 0 without any. Raises ProtocolError."""
    name = named(headers, names)
    return number(headers, name) if name else 0


def whole(value: str) -> int | None:
    """The number that a text is; None when it is none."""
    word = value.strip()
    sign: int = 1
    if word.startswith("-") or word.startswith("+"):
        sign = -1 if word[0] == "-" else 1
        word = word[1:]
    digits, dot, fraction = word.partition(".")
    if not digits.isascii() or not digits.isdigit() or (dot and fraction.strip("0123456789")):
        return None
    return sign * (int(digits) if len(digits) < 16 else _LARGEST)


def prefetch(headers: dict[str, str], default: int) -> int:
    """Messages that a SUBSCRIBE asks to have unsettled at once; 0 means without limit.

    Apollo's ``credit`` may have a second number (bytes). Raises ProtocolError when it is no number.
    """
    asked = first(headers, dialect.PREFETCH)
    if asked is None:
        # Artemis' window of nothing is one message at a time.
        window = first(headers, dialect.WINDOW)
        return 1 if window is not None and whole(window) == 0 else default
    word = asked.partition(",")[0].strip()
    if word == "-1":
        return 0
    if not word.isascii() or not word.isdigit() or len(word) > 9:
        raise ProtocolError(
            f"Prefetch is not a number {asked[:40]!r}",
            where="header " + named(headers, dialect.PREFETCH),
            rule="A count of messages; 0 or -1 for no limit",
            fix="Send for example prefetch-count:10.",
        )
    return int(word)


def window(headers: dict[str, str]) -> int:
    """Bytes that a SUBSCRIBE asks to have unsettled at most; 0 means without limit."""
    asked: int = 0
    name = named(headers, dialect.WINDOW)
    if name:
        asked = number(headers, name)
    credit = headers.get("credit")
    if credit is not None and "," in credit:
        asked = number({"credit": credit.partition(",")[2]}, "credit")
    return max(asked, 0)


def exceptions(headers: dict[str, str]) -> int:
    """The original's ``max-exceptions``: returns a message may survive; -1 when absent or no number."""
    asked = headers.get("max-exceptions")
    if asked is None:
        return -1
    word = asked.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else -1


def expires(headers: dict[str, str]) -> int:
    """When a message is of no use any more, as Unix time in ms; 0: never."""
    return _positive(headers, "expires") if "expires" in headers else 0


def lifetime(headers: dict[str, str]) -> int:
    """How long a message may wait (ms), the shortest of what is said; -1 when nothing is."""
    shortest: int = -1
    for name in dialect.RELATIVE:
        if name in headers:
            life = _positive(headers, name)
            # Apollo's ttl of nothing is none; RabbitMQ's expiration is over at once.
            if (life or name != "ttl") and (shortest < 0 or life < shortest):
                shortest = life
    return shortest


def priority(headers: dict[str, str]) -> int:
    """0 to 9; -1 for what is no number. RabbitMQ's go up to 255, and all above 9 are 9 here."""
    asked = headers.get("priority")
    if asked is None:
        return NORMAL
    found = whole(asked)
    if found is None:
        return -1
    return min(max(found, 0), 9)


def plan(headers: dict[str, str]) -> Plan | None:
    """When a SEND wants to be done; None when it says nothing about that. Raises ProtocolError for what is said
    and cannot be obeyed: a message is never just sent at another time.
    """
    if dialect.SCHEDULE.isdisjoint(headers):
        return None
    made = Plan()
    for name in dialect.AT:
        if name in headers:
            made.at = _positive(headers, name)
    for name in dialect.DELAY:
        if name in headers:
            made.delay = _positive(headers, name)
    for name in dialect.PERIOD:
        if name in headers:
            made.period = _positive(headers, name)
    for name in dialect.REPEAT:
        if name in headers:
            made.repeat = number(headers, name)
            if made.repeat < 0:
                made.repeat = ENDLESS
    made.cron = headers.get(dialect.CRON[0], "").strip()
    if made.repeat < 0 and not made.period:
        raise ProtocolError(
            "A series without end and without AMQ_SCHEDULED_PERIOD",
            where="header AMQ_SCHEDULED_REPEAT",
            rule="What is repeated without end needs the time between two of it; else all come at once",
            fix="Send AMQ_SCHEDULED_PERIOD with the milliseconds, or say how often more.",
        )
    if not made.cron and not made.at and not made.delay and not made.period and not made.repeat:
        # A delay of 0 is no delay.
        return None
    return made


def _positive(headers: dict[str, str], name: str) -> int:
    found = number(headers, name)
    if found < 0:
        raise ProtocolError(
            f"Header {name} is negative {headers[name][:40]!r}",
            where="header " + name,
            rule="Milliseconds from now, or since 1970 for a time; not before",
            fix="Send 0 or more, or leave it out.",
        )
    return found


def choice(headers: dict[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of ``words``, in whatever case; "" without the header. Raises ProtocolError for another word."""
    value = headers.get(name)
    if value is None:
        return ""
    for word in words:
        if value.strip().lower() == word.lower():
            return word
    raise ProtocolError(
        f"Header {name} has an unknown value {value[:40]!r}",
        where="header " + name,
        rule="It is one of " + ", ".join(words),
        fix="Send one of them, or leave it out.",
    )


def retain(headers: dict[str, str]) -> str:
    """What a topic is to do: ``set``, ``remove`` or "" (nothing)."""
    name = named(headers, dialect.RETAIN)
    if not name:
        return ""
    word = choice(headers, name, ("set", "true", "1", "last", "all", "remove", "false", "0"))
    if word == "remove":
        return word
    return "" if word in ("false", "0") else "set"


def properties(headers: dict[str, str]) -> dict[str, str] | None:
    """What a frame wants its queue to be; None for nothing."""
    wanted: dict[str, str] | None = None
    for name in dialect.PROPERTIES:
        value = headers.get(name)
        if value is not None:
            if wanted is None:
                wanted = {}
            wanted[name] = value
    return wanted


def replay(headers: dict[str, str]) -> str:
    """Where a topic's replay starts, in RabbitMQ's words; "" for none."""
    asked = headers.get("x-stream-offset")
    if asked is not None:
        return asked.strip()
    sequence = headers.get("from-seq")
    if sequence is None:
        return ""
    # Apollo's 0 is the head of what is kept, -1 its tail.
    word = sequence.strip()
    if word == "0":
        return "first"
    if word == "-1":
        return "next"
    return word


def redelivery(headers: dict[str, str], base: Policy) -> Policy | None:
    """``base`` with what a SUBSCRIBE says about redelivery in ActiveMQ's words; None when it says nothing."""
    if not named(headers, dialect.REDELIVERY):
        return None
    given: dict[str, Value] = {}
    name = dialect.MAXIMUM[0]
    if name in headers:
        # In ActiveMQ 0 is none and -1 without end; in a policy it is the other way round.
        times = number(headers, name)
        given["max_redeliveries"] = times if times > 0 else -1 if times == 0 else 0
    for name in reversed(dialect.FIRST_DELAY):
        if name in headers:
            given["redelivery_delay"] = _positive(headers, name)
    name = dialect.LONGEST_DELAY[0]
    if name in headers:
        given["max_redelivery_delay"] = max(number(headers, name), 0)
    backing = truth(headers.get(dialect.BACK_OFF[0]), dialect.MULTIPLIER[0] in headers)
    if backing:
        given["redelivery_multiplier"] = _factor(headers)
    elif dialect.BACK_OFF[0] in headers:
        given["redelivery_multiplier"] = 1.0
    name = dialect.JITTER[0]
    if name in headers:
        given["redelivery_jitter"] = min(_positive(headers, name), 100) / 100.0
    return base.changed(given)


def _factor(headers: dict[str, str]) -> float:
    name = dialect.MULTIPLIER[0]
    value = headers.get(name)
    if value is None:
        return _MULTIPLIER
    digits, _, fraction = value.strip().partition(".")
    word = digits + fraction
    if not word.isascii() or not word.isdigit() or len(word) > 15:
        raise ProtocolError(
            f"Header {name} is not a number {value[:40]!r}",
            where="header " + name,
            rule="The factor by which the delay grows, 1 or more",
            fix="Send for example 2 or 1.5.",
        )
    return max(float(digits + "." + (fraction or "0")) if digits else float("0." + fraction), 1.0)
