"""A frame as the original stored it, from Marshal or YAML."""

from __future__ import annotations

from typing import Final

from stompserver.migrate.marshal import Object, Symbol, Value
from stompserver.migrate.ruby_yaml import Document
from stompserver.migrate.unreadable import Unreadable

CLASS: Final = "StompFrame"
"""Last part of the class's name (StompServer::StompFrame, also in the fork)."""


class Frame:
    """Headers in the order in which they were stored, and the body; both as octets."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: dict[bytes, bytes], body: bytes) -> None:
        self.headers = headers
        self.body = body

    def text(self, name: bytes) -> str:
        """The value of one header, empty when it is not there."""
        return decode(self.headers.get(name, b""))


def decode(octets: bytes) -> str:
    """Header text, as this server's parser reads it from a STOMP 1.0 client."""
    return octets.decode("utf-8", "surrogateescape")


def from_marshal(value: Value, at: int = 0) -> Frame:
    """The frame that a Marshal stream at offset ``at`` gave. Raises Unreadable."""
    if not isinstance(value, Object) or value.name.rpartition("::")[2] != CLASS:
        what = (
            f"an object of class {value.name}" if isinstance(value, Object) else f"a {type(value).__name__}"
        )
        raise Unreadable(at, f"{what[:80]}, not a {CLASS}")
    headers = value.fields.get("@headers")
    if not isinstance(headers, dict):
        raise Unreadable(at, "a frame without headers")
    return Frame(
        {_octets(name, at): _octets(text, at) for name, text in headers.items()},
        _octets(value.fields.get("@body"), at),
    )


def _octets(value: Value, at: int) -> bytes:
    """What Ruby would have written into a frame for a simple value."""
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, Symbol):
        return value.encode("utf-8", "surrogateescape")
    raise Unreadable(at, "a header or body that is no text")


def from_yaml(document: Document) -> Frame:
    """The frame that a row's text gave. Raises Unreadable."""
    if document.name and document.name.rpartition("::")[2] != CLASS:
        raise Unreadable(0, f"an object of class {document.name[:60]}, not a {CLASS}")
    headers = document.fields.get(b"headers")
    body = document.fields.get(b"body", b"")
    if not isinstance(headers, dict):
        raise Unreadable(0, "a frame without headers")
    if not isinstance(body, bytes):
        raise Unreadable(0, "a body that is no text")
    return Frame(headers, body)
