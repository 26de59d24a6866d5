"""CONNECT: the version, the heart-beats, who the client is; and the welcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.session import clients, dialect, faults, values
from stompserver.session.heartbeat import agree, parse
from stompserver.session.state import AUTHENTICATING, CONNECTED
from stompserver.session.versions import V10, negotiate
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, encode_frame

if TYPE_CHECKING:
    from stompserver.session.session import Session


def connect(session: Session, frame: Frame) -> int:
    """CONNECT or STOMP: settle the version, then welcome the client or have its login checked."""
    headers = frame.headers
    version = negotiate(headers.get("accept-version"), session.settings.strict)
    if version is None:
        raise faults.no_version(headers["accept-version"])
    session.version = version
    if version is V10:
        headers = {name.strip(): value.strip() for name, value in headers.items()}
        if session.receipt is not None:
            session.receipt = session.receipt.strip()
    if version.beats:
        session.requested = parse(headers.get("heart-beat"), session.settings.strict)
        if values.first(headers, dialect.HOST) is None:
            if session.settings.strict:
                raise faults.no_host(version)
            session.sin("no-host")
        if " " in headers["accept-version"]:
            session.sin("blanks")
    session.login = headers.get("login")
    session.passcode = headers.get("passcode")
    session.client_id = headers.get("client-id", "")
    session.request = headers.get("request-id")
    if session.settings.authenticate:
        session.state = AUTHENTICATING
        return 0
    welcome(session)
    return 0


def welcome(session: Session) -> None:
    """CONNECTED: the client may speak."""
    settings = session.settings
    version = session.version
    session.passcode = None
    if session.client_id:
        clients.claim(session, session.client_id)
    headers = [("version", version.number), ("session", session.id), ("server", settings.server)]
    if version.beats:
        ours, asked = settings.heart_beat
        headers.append(("heart-beat", f"{ours},{asked}"))
        beat = agree(session.requested, settings.heart_beat)
        if beat.send or beat.expect:
            session.beat = beat
    if session.receipt is not None:
        # No RECEIPT frame answers CONNECT; ActiveMQ's clients look for this header (dialects.md 1.13).
        headers.append(("receipt-id", session.receipt))
        session.receipt = None
    if session.request is not None:
        headers.append(("response-id", session.request))
    session.write(encode_frame("CONNECTED", headers, b"", RAW))
    session.parser.open(session.text(), settings.limits)
    session.state = CONNECTED
    session.ready = True
    session.notes.append(("connected", version.number))
