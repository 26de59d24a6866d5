"""The field's many header names, mapped to ours: the one table of aliases."""

from __future__ import annotations

from typing import Final

from stompserver.errors import ProtocolError

PREFETCH: Final = ("prefetch-count", "activemq.prefetchSize", "consumer.prefetchSize", "credit")
"""How many messages a subscription may have unsettled: RabbitMQ, ActiveMQ, a frequent misspelling, Apollo."""

PERSISTENT: Final = ("persistent", "persist")

HOST: Final = ("host", "vhost")

ACK_MODES: Final = {"auto": 0, "none": 0, "client": 1, "client-individual": 2}
"""``ack`` of SUBSCRIBE (Apollo knows ``none`` for ``auto``)."""

PRIVATE: Final = frozenset(
    (
        "ack",
        "content-length",
        "destination",
        "login",
        "message-id",
        "passcode",
        "receipt",
        "redelivered",
        "subscription",
        "transaction",
        "x-sanitized",
    )
)
"""Headers of a SEND that never reach a consumer: they are ours to set, or the sender's own affair."""


def first(headers: dict[str, str], names: tuple[str, ...]) -> str | None:
    """The value under the first of ``names`` that is there."""
    for name in names:
        value = headers.get(name)
        if value is not None:
            return value
    return None


def truth(value: str | None, default: bool) -> bool:
    """A boolean as the field writes them: true, True, 1, false, False, 0. Anything else is ``default``."""
    if value is None:
        return default
    word = value.strip().lower()
    if word in ("true", "1", "yes"):
        return True
    if word in ("false", "0", "no"):
        return False
    return default


def prefetch(headers: dict[str, str], default: int) -> int:
    """Messages that a SUBSCRIBE asks to have unsettled at once; 0 means without limit.

    Apollo's ``credit`` may have a second number (bytes). Raises ProtocolError when it is no number.
    """
    asked = first(headers, PREFETCH)
    if asked is None:
        return default
    word = asked.partition(",")[0].strip()
    if word == "-1":
        return 0
    if not word.isascii() or not word.isdigit() or len(word) > 9:
        raise ProtocolError(
            f"Prefetch is not a number {asked[:40]!r}",
            where="header " + next(name for name in PREFETCH if name in headers),
            rule="A count of messages; 0 or -1 for no limit",
            mend="Send for example prefetch-count:10.",
        )
    return int(word)


def exceptions(headers: dict[str, str]) -> int:
    """The original's ``max-exceptions``: returns a message may survive; -1 when absent or no number."""
    asked = headers.get("max-exceptions")
    if asked is None:
        return -1
    word = asked.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else -1
