"""HTTP and WebSocket on the ports of STOMP: the options. The server has them, and a listener some of its own."""

from __future__ import annotations

from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from stompserver.config import values
from stompserver.config.option import Option

WEB: Final = "HTTP and WebSocket"

Protocol = Literal["detect", "stomp", "http"]
Http = Literal["local", "all", "off"]
Compression = Literal["off", "on", "context"]


def origins(value: object) -> tuple[str, ...]:
    """``https://example.com``, ``https://*.example.com`` or ``*``, with commas or blanks between them."""
    found: list[str] = []
    for word in value if isinstance(value, tuple) else values.words(value).replace(",", " ").split():
        text = word.lower()
        if text != "*" and text != "null":
            try:
                url = urlsplit(text)
                port = url.port
            except ValueError:
                url, port = urlsplit(""), None
            known = {"http": 80, "https": 443}.get(url.scheme)
            if (
                known is None
                or not url.hostname
                or url.path
                or url.query
                or url.fragment
                or "@" in url.netloc
            ):
                raise ValueError(
                    f"{values.shown(word)} is no origin: write for example https://www.example.com, https://*.example.com"
                    " or, for all, *"
                )
            if port == known:
                # Browsers leave it out.
                text = text.rpartition(":")[0]
        found.append(text)
    return tuple(found)


PROTOCOL: Final = Option(
    WEB, "What clients speak: stomp, http (WebSocket begins so) or detect, by the first octets of each",
    values.one_of(get_args(Protocol), "protocol"), "PROTOCOL",
)  # fmt: skip
HTTP: Final = Option(
    WEB, "Who is answered by HTTP and WebSocket: local (clients of this machine), all or off",
    values.one_of(get_args(Http), "choice"), "WHO",
)  # fmt: skip
WEBSOCKET_ORIGINS: Final = Option(
    WEB, "Pages of which origins may connect besides those of the server's own host: https://www.example.com,"
    " https://*.example.com, or * for all; programs have no origin, and may",
    origins, "ORIGINS",
)  # fmt: skip
WEBSOCKET_COMPRESSION: Final = Option(
    WEB, "permessage-deflate for clients that offer it: off, on (messages from 1 KiB, each alone) or context (all;"
    " takes 94 KiB a connection)",
    values.one_of(get_args(Compression), "choice"), "CHOICE",
)  # fmt: skip
WEBSOCKET_PING: Final = Option(
    WEB, "After how long a silent connection of WebSocket without heart-beats gets a PING, so that proxies keep it; 0"
    " is never",
    values.number, "SECONDS", "seconds",
)  # fmt: skip
