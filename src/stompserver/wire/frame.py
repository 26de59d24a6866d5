"""One STOMP frame as a small value: a command, its headers and its body."""

from __future__ import annotations

from typing import Final

LOGGED_BODY: Final = 64
"""Octets of a body that the log form shows."""

SECRET: Final = frozenset(("passcode", "authorization", "token", "x-authorization"))
"""Headers (lower case) whose values never reach a log."""


class Frame:
    """A parsed frame. ``headers`` holds the first entry of each name (STOMP 1.2, Repeated Header Entries).

    ``plain`` is true when the header block holds nothing that any version would escape, so that it can be
    written to receivers of every version as it stands. ``length`` counts the octets of the header block.
    ``block`` is that header block where it was read without a closer look, else empty.

    A SEND to ``destination`` that says nothing but what one before it did, with other values, has its ``receipt`` and
    its other header ``lines`` as they came, each with its line end, and no ``headers`` until ``read`` is called.
    """

    __slots__ = ("block", "body", "command", "destination", "headers", "length", "lines", "plain", "receipt")

    def __init__(
        self, command: str, headers: dict[str, str], body: bytes, plain: bool = False, length: int = 0
    ) -> None:
        self.command = command
        self.headers = headers
        self.body = body
        self.plain = plain
        self.length: int = length
        self.block = b""
        self.destination = ""
        self.receipt: str | None = None
        self.lines = b""

    def read(self) -> None:
        """Make ``headers`` of ``lines``, if there are any."""
        if self.lines:
            headers = {"destination": self.destination}
            for line in self.lines.decode().split("\n"):
                name, colon, value = line.partition(":")
                if colon:
                    headers[name] = value
            if self.receipt is not None:
                headers["receipt"] = self.receipt
            self.headers = headers
            self.lines = b""

    def __str__(self) -> str:
        """The form for logs: one line, secrets masked, the body cut to ``LOGGED_BODY`` octets."""
        shown = [
            repr(name)[1:-1] + ":" + ("***" if name.strip().lower() in SECRET else repr(value)[1:-1])
            for name, value in self.headers.items()
        ]
        body = repr(self.body[:LOGGED_BODY])[2:-1]
        if len(self.body) > LOGGED_BODY:
            body += f"... ({len(self.body)} bytes)"
        return " ".join([self.command, *shown]) + (" | " + body if body else "")
