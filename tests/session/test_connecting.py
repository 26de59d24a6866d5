"""CONNECT: versions, logins that take their time, and what comes in the same packet."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.errors import ProtocolError
from stompserver.session.events import Failed, Traced
from stompserver.session.principal import Principal

VERSIONS = ("1.0", "1.1", "1.2")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "1.0"),
        ("1.0", "1.0"),
        ("1.1", "1.1"),
        ("1.0,1.1,1.2", "1.2"),
        ("1.2,1.0", "1.2"),
        ("1.1,1.0,1.1", "1.1"),
        (" 1.1 , 1.0 ", "1.1"),
        ("0.9,1.3,2.0,1.1", "1.1"),
        ("", None),
        (",", None),
        ("1.3", None),
        ("1", None),
        ("1.10", None),
        ("v1.2", None),
        ("1.2;1.1", None),
    ],
)
def test_negotiation(world: Any, accept: str | None, chosen: str | None) -> None:
    peer = world.stranger()
    header = f"accept-version:{accept}\n" if accept is not None else ""
    (reply,) = peer.ask(f"CONNECT\n{header}host:h\n\n\0".encode())
    if chosen is not None:
        assert (reply.command, reply["version"]) == ("CONNECTED", chosen)
    else:
        assert (reply.command, reply["version"]) == ("ERROR", "1.0,1.1,1.2")
        assert reply["content-type"].startswith("text/plain")
        assert int(reply["content-length"]) == len(reply.body)
        assert b"1.0 1.1 1.2" in reply.body


@pytest.mark.parametrize("command", [b"CONNECT", b"STOMP"])
@pytest.mark.parametrize("version", VERSIONS)
def test_connected(new_world: Any, command: bytes, version: str) -> None:
    world = new_world(server="stompserver/9.9")
    peer = world.stranger()
    peer.send(command + b"\naccept-version:" + version.encode() + b"\nhost:\\t:\\\n\n\0")
    octets = peer.take()
    expected = f"CONNECTED\nversion:{version}\nsession:session-1\nserver:stompserver/9.9\n"
    if version != "1.0":
        expected += "heart-beat:1000,1000\n"
    assert octets == expected.encode() + b"\n\0\n"


def test_what_comes_behind_connect_is_read_by_its_version(world: Any) -> None:
    for version, body in ((b"1.0", b"\\n\\t"), (b"1.2", b"\\n")):
        peer = world.stranger()
        hello = b"CONNECT\naccept-version:%b\nhost:h\n\n\0" % version
        frames = b"\n\nSEND\ndestination:/queue/q\nx:%b\n\nbody\0" % body
        peer.send(hello + frames + frames)
        assert [reply.command for reply in peer.read()] == ["CONNECTED"]
    stored = [message.headers["x"] for message in world.broker.queues["/queue/q"].ready]
    assert stored == ["\\n\\t"] * 2 + ["\n"] * 2


def test_the_smaller_limits_are_for_those_who_are_not_in(world: Any) -> None:
    stranger = world.stranger()
    assert "Body too long" in stranger.fails(b"CONNECT\n\n" + b"x" * 70_000)["message"]
    peer = world.connect("1.2")
    peer.get(b"SEND\ndestination:/queue/q\nreceipt:r\n\n" + b"x" * 70_000 + b"\0")


def test_strict_wants_a_host(new_world: Any) -> None:
    world = new_world(strict=True)
    assert "host" in world.stranger().fails(b"CONNECT\naccept-version:1.2\n\n\0")["message"]
    world.stranger().get(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0", "CONNECTED")
    world.stranger().get(b"CONNECT\n\n\0", "CONNECTED")


@pytest.mark.parametrize(("octets", "ok"), [(b"SUBSCRIBE\nid:s\ndestination:/queue/q\n\nbody\0", False)])
def test_strict_wants_no_needless_body(new_world: Any, octets: bytes, ok: bool) -> None:
    assert "body" in new_world(strict=True).connect("1.2").fails(octets)["message"]
    peer = new_world().connect("1.2")
    assert peer.ask(octets) == []
    assert peer.state == "connected"


# Logins


def wait_for_login(new_world: Any, version: str = "1.2", **headers: str) -> Any:
    peer = new_world(authenticate=True).stranger()
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    assert peer.ask(f"CONNECT\naccept-version:{version}\nhost:h\n{lines}\n\0".encode()) == []
    assert peer.state == "authenticating"
    return peer


@pytest.mark.parametrize("version", VERSIONS)
def test_frames_wait_for_the_login(new_world: Any, version: str) -> None:
    """Those in the packet of CONNECT and those that come later, whole or torn."""
    peer = wait_for_login(new_world, version, login="me", passcode="sesame")
    assert peer.session.credentials == ("me", "sesame")
    send = b"SEND\ndestination:/queue/q\nreceipt:r\n\nx\0"
    connect = peer.session.unfinished
    assert connect > len("login:me passcode:sesame"), "the CONNECT, until it is answered"
    for piece in (send[:9], send[9:] + send, send[:3]):
        assert peer.ask(piece) == []
        assert peer.state == "authenticating"
    assert peer.session.unfinished == connect + 2 * len(send) + 3
    peer.session.authenticated(Principal("me"), peer.now)
    assert [reply.command for reply in peer.read()] == ["CONNECTED", "RECEIPT", "RECEIPT"]
    peer.get(send[3:])
    assert peer.session.credentials is None


def test_a_wrong_login(new_world: Any) -> None:
    peer = wait_for_login(new_world, login="me", passcode="sesame", receipt="r")
    peer.send(b"SEND\ndestination:/queue/q\n\nx\0")
    peer.session.authenticated(None, peer.now)
    (error,) = peer.read()
    assert error["message"] == "Invalid Login"
    assert b"sesame" not in error.body
    assert peer.session.credentials is None
    assert peer.session.broker.queues == {}
    assert peer.session.closing


def test_who_the_server_found_the_client_to_be_is_its_login(new_world: Any) -> None:
    """Also where that is another name than the frame's, as with a certificate."""
    peer = wait_for_login(new_world, login="x", passcode="sesame")
    found = Principal("me")
    peer.session.authenticated(found, peer.now)
    assert peer.session.principal is found
    peer.subscribe("/user/queue/a")
    peer.publish("/user/me/queue/a", b"hello")
    assert peer.read()[-1].body == b"hello"


def test_without_authentication_all_are_the_listeners_anybody(new_world: Any) -> None:
    anybody = Principal()
    peer = new_world(anybody=anybody).stranger()
    peer.ask(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:me\n\n\0")
    assert peer.session.principal is anybody
    assert (anybody.login, peer.session.login) == (None, "me")


def test_a_login_without_login(new_world: Any) -> None:
    peer = wait_for_login(new_world)
    assert peer.session.credentials == (None, None)


def test_a_1_0_login_is_trimmed(new_world: Any) -> None:
    peer = new_world(authenticate=True).stranger()
    peer.send(b"CONNECT\nlogin: me \npasscode : open sesame\n\n\0")
    assert peer.session.credentials == ("me", "open sesame")
    later = new_world(authenticate=True).stranger()
    later.send(b"CONNECT\naccept-version:1.2\nhost:h\nlogin: me \npasscode:\\n:\\\n\n\0")
    assert later.session.credentials == (" me ", "\\n:\\")


def test_an_answer_for_who_has_left(new_world: Any) -> None:
    peer = wait_for_login(new_world)
    peer.session.lost()
    peer.session.authenticated(Principal("me"), peer.now)
    assert peer.take() == b""
    assert peer.state == "gone"


# What the logs get


def test_the_trace_masks_passcodes(new_world: Any) -> None:
    world = new_world()
    peer = world.stranger(traced=True)
    peer.send(b"CONNECT\nlogin:me\npasscode:sesame\nPasscode :sesame\n\n\0")
    peer.send(
        b"SUBSCRIBE\ndestination:/queue/q\n\n\0SEND\ndestination:/queue/q\npasscode:sesame\n\n"
        + b"x" * 500
        + b"\0"
    )
    peer.send(b"SEND\nx:y\n\n\0")
    trace = [event.text for event in peer.events(Traced)]
    assert [line.split()[:2] for line in trace] == [
        ["received", "CONNECT"],
        ["sent", trace[1].split()[1]],
        ["received", "SUBSCRIBE"],
        ["received", "SEND"],
        ["sent", "MESSAGE"],
        ["received", "SEND"],
        ["sent", trace[6].split()[1]],
    ]
    assert "sesame" not in "\n".join(trace)
    assert b"sesame" not in peer.take()
    assert all(len(line) < 400 and line.isprintable() for line in trace)


def test_nothing_is_traced_unless_asked(world: Any) -> None:
    peer = world.connect("1.2")
    peer.get(b"SEND\ndestination:/queue/q\nreceipt:r\n\n\0")
    assert peer.events(Traced) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_teaches(world: Any, version: str) -> None:
    peer = world.connect(version)
    error = peer.fails(b"SEND\nreceipt:r\n\n\0")
    assert [name for name, _ in error.headers] == ["message", "receipt-id", "content-type", "content-length"]
    assert error.body.decode().splitlines()[0] == "SEND without destination"
    for label in ("Where: ", "Rule: ", "Fix: "):
        assert f"\n{label}" in error.body.decode()
    (failed,) = peer.events(Failed)
    assert failed.text == "SEND without destination (header destination)"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_is_no_way_to_write_headers(world: Any, version: str) -> None:
    """What the client sent may be named in the message, but only as text."""
    peer = world.connect(version)
    error = peer.fails(b"X\\nversion:9\\r\\c\r\ndestination:/queue/q\n\n\0")
    assert {name for name, _ in error.headers} == {"message", "content-type", "content-length"}


def test_the_first_end_counts(world: Any) -> None:
    """Neither a second fault nor the end of the stream adds a word to an ERROR."""
    peer = world.connect("1.2")
    peer.fails(b"\x01")
    peer.session.refuse(ProtocolError("second"))
    peer.session.end_of_stream()
    assert peer.read() == []
    assert peer.state == "failed"


@pytest.mark.parametrize(
    "hello",
    [
        b"accept-version:1.2, 1.1\nhost:h\nheart-beat:0, 0\n",
        b"accept-version:1.2\nhost:h\nheart-beat: 0,0\n",
        b"accept-version: 1.2\nhost:h\n",
    ],
)
def test_strict_tolerates_no_blanks(new_world: Any, hello: bytes) -> None:
    frame = b"CONNECT\n" + hello + b"\n\0"
    new_world().stranger().get(frame, "CONNECTED")
    new_world(strict=True).stranger().fails(frame)


@pytest.mark.parametrize(("version", "echoed"), [("1.0", "r"), ("1.1", " r "), ("1.2", " r ")])
def test_blanks_around_the_receipt_of_connect(world: Any, version: str, echoed: str) -> None:
    frame = f"CONNECT\naccept-version:{version}\nhost:h\nreceipt: r \n\n\0"
    assert world.stranger().get(frame.encode(), "CONNECTED")["receipt-id"] == echoed
