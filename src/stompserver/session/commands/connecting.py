"""CONNECT: what a client asks for with it, and CONNECTED, the answer."""

from __future__ import annotations

from typing import Final

from stompserver.session.client import Client
from stompserver.session.commands import expiring
from stompserver.session.dialect import faults, values
from stompserver.session.dialect import headers as dialect
from stompserver.session.heartbeat import parse
from stompserver.session.reply import Reply
from stompserver.session.versions import V10, negotiate
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, encode_frame

LONGEST: Final = 1024
"""Characters of a login or client-id: they are kept as long as the connection."""


class Hello:
    """What CONNECTED needs of a CONNECT: ``beats`` are the client's heart-beats (can send, wants; ms), ``receipt``
    and ``request`` what it wants to get back, ``passcode`` what proves its login. ``size``: the CONNECT's
    octets.
    """

    __slots__ = ("beats", "passcode", "receipt", "request", "size")

    def __init__(self) -> None:
        self.beats: tuple[int, int] = (0, 0)
        self.passcode: str | None = None
        self.receipt: str | None = None
        self.request: str | None = None
        self.size: int = 0


def read(client: Client, frame: Frame, reply: Reply) -> Hello:
    """CONNECT or STOMP: settle the version, and who the client says it is. What it wants back is in CONNECTED, so
    ``reply`` has nothing more to give.

    Raises ProtocolError where there is no common version, or something is wrong with a header.
    """
    headers = frame.headers
    strict = client.settings.strict
    version = negotiate(headers.get("accept-version"), strict)
    if version is None:
        raise faults.no_version(headers["accept-version"])
    client.version = version
    hello = Hello()
    if version is V10:
        headers = {name.strip(): value.strip() for name, value in headers.items()}
        if reply.receipt is not None:
            reply.receipt = reply.receipt.strip()
    if version.beats:
        hello.beats = parse(headers.get("heart-beat"), strict)
        if values.first(headers, dialect.HOST) is None:
            if strict:
                raise faults.no_host(version)
            client.tolerate("no-host")
        if " " in headers["accept-version"]:
            client.tolerate("blanks")
    hello.size = frame.length
    client.login = headers.get("login")
    client.client_id = headers.get("client-id", "")
    for name in ("login", "client-id"):
        if len(headers.get(name, "")) > LONGEST:
            raise faults.long_name(name, LONGEST)
    hello.passcode = headers.get("passcode")
    hello.request = headers.get("request-id")
    hello.receipt = reply.receipt
    return hello


def connected(client: Client, hello: Hello) -> bytes:
    """CONNECTED, in answer to ``hello``."""
    settings = client.settings
    version = client.version
    headers = [("version", version.number), ("session", client.id), ("server", settings.server)]
    if version.beats:
        ours, asked = settings.heart_beat
        headers.append(("heart-beat", f"{ours},{asked}"))
    left = expiring.left(client)
    if left is not None:
        headers.append(("expires-in", str(int(left))))
    if hello.receipt is not None:
        # No RECEIPT frame answers CONNECT; ActiveMQ's clients look for this header (docs/reference/dialects.md).
        headers.append(("receipt-id", hello.receipt))
    if hello.request is not None:
        headers.append(("response-id", hello.request))
    return encode_frame("CONNECTED", headers, b"", RAW)
