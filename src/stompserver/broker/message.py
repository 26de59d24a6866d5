"""A message: what a SEND leaves with the broker."""

from __future__ import annotations

from typing import Final

OVERHEAD: Final = 1000
"""Bytes that a waiting message costs beside its body and header text (measured: 700 to 950)."""


class Message:
    """One message. Treated as unchangeable once sent, but for what the broker itself counts.

    ``number`` names it (the ``message-id`` header) and ``key`` is its place in the queue; both are given by
    the broker, once, for life. ``attempts`` counts deliveries that came back. ``exceptions`` is the
    original's ``max-exceptions`` (-1: none). ``size`` is in bytes, as counted against the memory limit;
    ``stored`` tells that the op log has it. ``head`` and ``variants`` are the consumer's: the encoded
    header block shared by all deliveries, opaque to the broker.
    """

    __slots__ = (
        "attempts",
        "body",
        "destination",
        "exceptions",
        "head",
        "headers",
        "key",
        "number",
        "persistent",
        "plain",
        "size",
        "stored",
        "variants",
    )

    def __init__(
        self,
        destination: str,
        headers: dict[str, str],
        body: bytes,
        size: int,
        plain: bool = False,
        persistent: bool = True,
        exceptions: int = -1,
    ) -> None:
        self.number: int = 0
        self.key: int = 0
        self.destination = destination
        self.headers = headers
        self.body = body
        self.size: int = size
        self.plain = plain
        self.persistent = persistent
        self.exceptions: int = exceptions
        self.attempts: int = 0
        self.stored = False
        self.head: bytes | None = None
        self.variants: dict[str, bytes] | None = None

    def copy(self) -> Message:
        """The same message for another queue, where it is tried and counted on its own; the body is shared."""
        twin = Message(
            self.destination, self.headers, self.body, self.size, self.plain, self.persistent, self.exceptions
        )
        twin.number = self.number
        twin.key = self.key
        twin.head = self.head
        twin.variants = self.variants
        return twin
