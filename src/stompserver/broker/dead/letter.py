"""What a message becomes in the dead letter queue."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import DATED, Message

ORIGIN: Final = "original-destination"
REASON: Final = "dead-letter-reason"
CAUSE: Final = "dead-letter-cause"
COUNT: Final = "delivery-count"
FIRST: Final = "first-failure"
LAST: Final = "last-failure"
ACTIVEMQ: Final = "dlqDeliveryFailureCause"

_EXPIRES: Final = "expires"
_SPANS: Final = ("expiration", "ttl", "x-message-ttl")
_TIMES: Final = {name: "original-" + name for name in (_EXPIRES, *_SPANS)}
"""Headers that say when a message expires, and what they are called on a dead letter: it does not, nor does it when
somebody sends it on with its headers.
"""

ADDED: Final = frozenset((ORIGIN, REASON, CAUSE, ACTIVEMQ, COUNT, FIRST, LAST, *_TIMES.values()))
"""The headers that a dead letter has and the message did not."""

EXPIRED: Final = "expired"
REJECTED: Final = "rejected"
SPENT: Final = "max-redeliveries"
OVERFLOW: Final = "overflow"

SILENT: Final = frozenset(("dropped", "purged", "replaced"))
"""Reasons for which nobody wants to see a message again."""

FIRST_QUEUE: Final = "x-first-death-queue"
FIRST_REASON: Final = "x-first-death-reason"
FIRST_EXCHANGE: Final = "x-first-death-exchange"
"""What RabbitMQ says of the first time that a message became a dead letter."""

_REASONS: Final = {SPENT: "delivery_limit", OVERFLOW: "maxlen"}
"""Its words for reasons, where they are others."""

_FIRST: Final = "dead-first"
"""Of what became a dead letter more than once: why the first time, and from where."""
_GROUP: Final = "dead-group"
_SHOWN: Final = "dead-destination"
"""The destination that the message had: its queue's, or the topic's that fed that queue."""
_HOPS: Final = "dead-hops"
"""How often in a row the message became a dead letter without a consumer that had it."""


def letter(message: Message, grave: str, origin: str, reason: str, cause: str, now: int) -> Message:
    """A copy of ``message`` for the dead letter queue ``grave`` that says from which queue it came, and why; ``now``
    is Unix time in ms.

    It is tried and counted anew, and does not expire.
    """
    dead = message.copy()
    dead.address(grave)
    dead.expires = 0
    extras = dict(message.extras) if message.extras is not None else {}
    extras.pop(DATED, "")
    extras[_SHOWN] = message.destination
    if message.group:
        # Dead letters of a group need not wait for each other; who sends them back puts them into it again.
        dead.group = ""
        extras[_GROUP] = message.group
    dead.extras = extras
    if reason in (EXPIRED, OVERFLOW):
        extras[_HOPS] = str(hops(message) + 1)
    else:
        forget_hops(dead)
    said = message.headers
    if REASON in said and ORIGIN in said:
        extras.setdefault(_FIRST, said[REASON] + " " + said[ORIGIN])
    headers = {_TIMES.get(name, name): value for name, value in said.items()}
    headers[ORIGIN] = origin
    headers[REASON] = reason
    if cause:
        headers[CAUSE] = cause
    headers[ACTIVEMQ] = cause or reason
    headers[COUNT] = str(message.tried)
    if message.failed:
        headers[FIRST] = str(message.failed)
    headers[LAST] = str(now)
    dead.headers = headers
    return dead


def first_death(message: Message) -> dict[str, str]:
    """What RabbitMQ says of a dead letter in headers: the first time that it became one."""
    said = message.headers
    first = message.extras.get(_FIRST, "") if message.extras is not None else ""
    if not first:
        first = said.get(REASON, "") + " " + said.get(ORIGIN, "")
    reason, _, origin = first.partition(" ")
    topic = origin.startswith("/topic/")
    return {
        FIRST_EXCHANGE: "amq.topic" if topic else "",
        FIRST_QUEUE: origin.removeprefix("/topic/" if topic else "/queue/"),
        FIRST_REASON: _REASONS.get(reason, reason),
    }


def hops(message: Message) -> int:
    """How often in a row it became a dead letter by its time, or for want of room: no consumer had it meanwhile."""
    return int(message.extras.get(_HOPS, "0")) if message.extras is not None else 0


def forget_hops(message: Message) -> None:
    """It begins anew."""
    if message.extras is not None and message.extras.pop(_HOPS, ""):
        message.extras = message.extras or None


def revived(message: Message, now: int, moved: int = 0) -> Message:
    """A copy of a dead letter as it was before, for the queue it came from. How long it may wait counts anew from
    ``now`` (Unix ms), ``moved`` being by how much the clock was set since it came; a time at which it was to expire
    is one again if it is yet to come, else it is no more.
    """
    twin = message.copy()
    twin.failed = 0
    forget_hops(twin)
    shown = message.destination
    if twin.extras is not None:
        twin.group = twin.extras.pop(_GROUP, "")
        twin.extras.pop(_FIRST, "")
        # One of an older storage has its destination still.
        shown = twin.extras.pop(_SHOWN, shown)
        twin.extras = twin.extras or None
    twin.address(shown)
    said = message.headers
    headers = {name: value for name, value in said.items() if name not in ADDED}
    for name in _SPANS:
        span = said.get(_TIMES[name])
        if span is not None:
            headers[name] = span
            end: int = now - moved + _ms(span)
            if _ms(span) and (not twin.expires or end < twin.expires):
                twin.expires = end
    time: int = _ms(said.get(_TIMES[_EXPIRES], ""))
    if time > now:
        headers[_EXPIRES] = said[_TIMES[_EXPIRES]]
        if not twin.expires or time < twin.expires + moved:
            twin.expires = time
            twin.extras = {**(twin.extras or {}), DATED: "1"}
    twin.headers = headers
    return twin


def _ms(text: str) -> int:
    """The milliseconds that a header of a SEND which was taken says; 0 for none."""
    digits = text.strip().partition(".")[0].removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else 0
