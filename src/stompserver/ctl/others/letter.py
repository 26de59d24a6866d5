"""What of a message goes from one broker to another."""

from __future__ import annotations

import hashlib
from typing import Final

from stompserver.session.dialect.headers import DUPLICATE, PERSISTENT, SCHEDULE
from stompserver.wire.frame import Frame
from stompserver.wire.headers import Text

Headers = list[tuple[str, str]]

STAYS: Final = frozenset(
    (
        # What STOMP has for this one delivery.
        "ack",
        "content-length",
        "destination",
        "message-id",
        "receipt",
        "receipt-id",
        "redelivered",
        "subscription",
        "transaction",
        # What brokers add to it: counts, places, and what the name of a queue is there.
        "JMSXDeliveryCount",
        "JMSXGroupFirstForConsumer",
        "browser",
        "delivery-count",
        "destination-type",
        "scheduledJobId",
        "x-delivery-count",
        "x-sanitized",
        "x-stream-offset",
        # It has to be the login of the one who sends, and that is another one now.
        "user-id",
        # Said anew, below.
        *PERSISTENT,
        # It is due, or it would not have been delivered: nobody shall delay it again.
        *SCHEDULE,
    )
)
"""Headers of a MESSAGE that belong to the broker that sent it."""

PRIVATE: Final = ("/temp-queue/", "/temp-topic/")
"""With these a name of ``reply-to`` would become one of our own connection at the new broker."""


def headers_for(message: Frame, destination: str, dedup: bool) -> Headers:
    """The headers with which ``message`` is sent to ``destination``; ``dedup`` adds an id to tell its doubles by."""
    said = message.headers
    headers = [("destination", destination)]
    for name, value in said.items():
        if name in STAYS or (name == "expires" and value.strip() == "0"):
            continue
        if name == "reply-to" and value.startswith(PRIVATE):
            name = "original-reply-to"
        headers.append((name, value))
    # Without the header some brokers keep a message over a restart, and others do not: what is moved is kept.
    kept = not any(said.get(name, "").strip().lower() == "false" for name in PERSISTENT)
    headers.append(("persistent", "true" if kept else "false"))
    if dedup and not any(name in said for name in DUPLICATE):
        headers.append(("dedup-id", identity(message)))
    # ActiveMQ and Artemis take a message with a length for bytes, and one without for text: leave it what it was.
    if "content-length" in said or b"\0" in message.body:
        headers.append(("content-length", str(len(message.body))))
    return headers


def identity(message: Frame) -> str:
    """An id that is the same when the old broker delivers the same message again, if its message-id is the same then.

    The content is in it too, because there are brokers that begin to count at 1 again after a restart.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(message.headers):
        if name == "message-id" or name not in STAYS:
            text = f"{name}\0{message.headers[name]}\0"
            digest.update(text.encode("utf-8", "surrogateescape"))
    digest.update(b"\0" + message.body)
    return "moved-" + digest.hexdigest()


def changed_by(text: Text, headers: Headers) -> bool:
    """Whether a header holds something that this version of STOMP can only replace."""
    for name, value in headers:
        if text.loses(name, value) or "\0" in name + value:
            return True
        if not text.octets and any("\ud800" <= letter <= "\udfff" for letter in name + value):
            return True
    return False
