"""What a message becomes in the dead letter queue."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message

ORIGIN: Final = "original-destination"
REASON: Final = "dead-letter-reason"
CAUSE: Final = "dead-letter-cause"
COUNT: Final = "delivery-count"
FIRST: Final = "first-failure"
LAST: Final = "last-failure"
ACTIVEMQ: Final = "dlqDeliveryFailureCause"

EXPIRED: Final = "expired"
REJECTED: Final = "rejected"
SPENT: Final = "max-redeliveries"
OVERFLOW: Final = "overflow"

SILENT: Final = frozenset(("dropped", "purged", "replaced"))
"""Reasons for which nobody wants to see a message again."""

_GROUP: Final = "dead-group"

_AWKWARD: Final = "\\\r\n:\0"


def letter(message: Message, origin: str, reason: str, cause: str, now: int) -> Message:
    """A copy of ``message`` that says from which queue it came, and why; ``now`` is Unix time in ms.

    It is tried and counted anew, and does not expire.
    """
    dead = message.copy()
    dead.head = None
    dead.variants = None
    dead.expires = 0
    if message.group:
        # Dead letters of a group need not wait for each other; who sends them back puts them into it again.
        dead.group = ""
        extras = dict(message.extras) if message.extras is not None else {}
        extras[_GROUP] = message.group
        dead.extras = extras
    headers = dict(message.headers)
    headers[ORIGIN] = origin
    headers[REASON] = reason
    if cause:
        headers[CAUSE] = cause
    headers[ACTIVEMQ] = cause or reason
    headers[COUNT] = str(message.attempts)
    if message.failed:
        headers[FIRST] = str(message.failed)
    headers[LAST] = str(now)
    dead.headers = headers
    if dead.plain:
        for mark in _AWKWARD:
            if mark in origin or mark in cause:
                dead.plain = False
    return dead


def revived(message: Message) -> Message:
    """A copy of a dead letter as it was before, for the queue it came from."""
    twin = message.copy()
    twin.head = None
    twin.variants = None
    twin.failed = 0
    if twin.extras is not None:
        twin.group = twin.extras.pop(_GROUP, "")
        twin.extras = twin.extras or None
    twin.headers = {name: value for name, value in message.headers.items() if name not in _ADDED}
    return twin


_ADDED: Final = frozenset((ORIGIN, REASON, CAUSE, ACTIVEMQ, COUNT, FIRST, LAST))
