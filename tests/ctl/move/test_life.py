"""Connections that live for long: heart-beats; and those in TLS."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Wire

from stompserver.ctl.others import link

PEM = Path(__file__).parents[2] / "server/localhost.pem"


def quiet(wire: Wire) -> None:
    wire.greet()
    wire.expect("DISCONNECT")


def test_signs_of_life_are_sent(
    scripted: Any, stompctl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BEAT", 100)

    def old(wire: Wire) -> None:
        assert wire.greet(more="heart-beat:0,100\n")["heart-beat"] == "100,100"
        wire.subscribed()
        beats = b""
        while len(beats) < 3:
            beats += wire.socket.recv(1)
        assert beats == b"\n\n\n"
        os.kill(os.getpid(), signal.SIGTERM)
        wire.goodbye()

    words = ("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--follow", "/queue/x")
    stompctl(*words, "--to", f"stomp://127.0.0.1:{scripted(quiet).port}")


def test_a_silent_broker_is_given_up(
    scripted: Any, stompctl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BEAT", 100)
    monkeypatch.setattr(link, "GRACE", 0.1)
    monkeypatch.setattr("stompserver.ctl.others.carrier.GOODBYE", 0.1)

    def new(wire: Wire) -> None:
        wire.greet(more="heart-beat:100,0\n")
        with pytest.raises(EOFError):
            wire.hear()

    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        wire.goodbye()

    words = ("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--follow", "/queue/x")
    ended = stompctl(*words, "--to", f"stomp://127.0.0.1:{scripted(new).port}", code=1)
    assert "has not been heard for" in ended.stderr


@pytest.mark.parametrize(("trusted", "code"), [(True, 0), (False, 1)])
def test_tls(
    trusted: bool, code: int, scripted: Any, stompctl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    body = "x" * 300_000

    def old(wire: Wire) -> None:
        if not trusted:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(wire.socket, server_side=True)
            return
        with context.wrap_socket(wire.socket, server_side=True) as inside:
            inside.settimeout(20)
            wire.socket = inside
            wire.greet()
            wire.subscribed()
            wire.say(f"MESSAGE\nsubscription:move-0\nack:1\nmessage-id:1\ndestination:/queue/x\n\n{body}\0")
            wire.expect("ACK")
            wire.goodbye()

    def new(wire: Wire) -> None:
        wire.greet()
        _, headers, sent = wire.expect("SEND")
        assert sent.decode() == body
        wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
        wire.expect("DISCONNECT")

    words = ("--from", f"stomps://localhost:{scripted(old).port}", "--idle", "0.1", "/queue/x")
    to = f"stomp://127.0.0.1:{scripted(new).port}" if trusted else "stomp://127.0.0.1:1"
    ended = stompctl(*words, "--to", to, code=code)
    if not trusted:
        assert "no TLS" in ended.stderr
        assert "certificate verify failed" in ended.stderr
