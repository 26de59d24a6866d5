"""Where a broker is and who logs in there, as one writes it: ``stomp://user:pass@host:port/vhost``."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

PORTS: Final = {"stomp": 61613, "stomps": 61614}
"""Schemes with the port that each means where none is written; ``stomps`` is STOMP in TLS."""


class Address:
    """A broker's address. ``vhost`` is the ``host`` header of CONNECT: RabbitMQ's virtual host, `/` without one."""

    __slots__ = ("host", "login", "passcode", "port", "tls", "vhost")

    def __init__(
        self, host: str, port: int, tls: bool, vhost: str, login: str | None, passcode: str | None
    ) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.vhost = vhost
        self.login = login
        self.passcode = passcode

    def __str__(self) -> str:
        """Without the passcode: this is for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(text: str) -> Address:
    """The address in a URL. Raises ValueError with what is wrong, in a text that shows no passcode."""
    if "?" in text or "#" in text:
        raise ValueError("the URL has a ? or # in it; write them as %3F and %23 in a name or passcode")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("the port of the URL is no number from 1 to 65535, or its host is none") from None
    if parts.scheme not in PORTS:
        raise ValueError("a URL begins stomp:// or stomps:// (TLS), as in stomp://user:pass@host:61613/")
    if not parts.hostname:
        raise ValueError("the URL names no host, as in stomp://user:pass@host:61613/")
    if port == 0:
        raise ValueError("the port of the URL is no number from 1 to 65535, or its host is none")
    return Address(
        parts.hostname,
        port or PORTS[parts.scheme],
        parts.scheme == "stomps",
        unquote(parts.path[1:]) or "/",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )
