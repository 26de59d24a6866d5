"""The conversation: what every command does in every state and version. A cell that nobody thought of fails."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.session.state import NAMES, SERVER_COMMANDS, TABLE, table
from stompserver.session.versions import VERSIONS

NUMBERS = ("1.0", "1.1", "1.2")
EVERY = dict.fromkeys(NUMBERS, "RECEIPT")
CLIENT = ("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT")
SERVER = ("CONNECTED", "MESSAGE", "RECEIPT", "ERROR")

# What comes back: a frame's command, nothing (""), or ERROR and how its message begins.
EXPECTED: dict[str, dict[str, Any]] = {
    "connecting": {
        "CONNECT": "CONNECTED",
        "STOMP": "CONNECTED",
        **dict.fromkeys(CLIENT, "ERROR Not connected"),
        **dict.fromkeys(SERVER, "ERROR Unknown command"),
    },
    "connected": {
        "CONNECT": "ERROR Already connected",
        "STOMP": "ERROR Already connected",
        **dict.fromkeys(CLIENT, "RECEIPT"),
        "NACK": {**EVERY, "1.0": "ERROR Unknown command"},
        **dict.fromkeys(SERVER, "ERROR Unknown command"),
    },
    **{
        state: dict.fromkeys(("CONNECT", "STOMP", *CLIENT, *SERVER), "")
        for state in ("authenticating", "leaving", "failed", "gone")
    },
}
FRAMES = {
    "CONNECT": b"CONNECT\naccept-version:%s\nhost:h\n\n\0",
    "STOMP": b"STOMP\naccept-version:%s\nhost:h\n\n\0",
    "SEND": b"SEND\ndestination:/queue/other\nreceipt:r\n\nbody\0",
    "SUBSCRIBE": b"SUBSCRIBE\nid:other\ndestination:/queue/none\nreceipt:r\n\n\0",
    "UNSUBSCRIBE": b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0",
    "ACK": b"ACK\nid:1-1\nmessage-id:1\nsubscription:s\nreceipt:r\n\n\0",
    "NACK": b"NACK\nid:1-1\nmessage-id:1\nsubscription:s\nrequeue:false\nreceipt:r\n\n\0",
    "BEGIN": b"BEGIN\ntransaction:new\nreceipt:r\n\n\0",
    "COMMIT": b"COMMIT\ntransaction:open\nreceipt:r\n\n\0",
    "ABORT": b"ABORT\ntransaction:open\nreceipt:r\n\n\0",
    "DISCONNECT": b"DISCONNECT\nreceipt:r\n\n\0",
    **{command: command.encode() + b"\nreceipt:r\n\n\0" for command in SERVER},
}
CELLS = [
    (version.number, NAMES[state], command)
    for version in VERSIONS
    for state in TABLE
    for command in sorted({c for cells in TABLE.values() for c in cells} | SERVER_COMMANDS)
]


def into(new_world: Any, state: str, version: str, strict: bool = False) -> Any:
    """A peer whose session is in ``state``."""
    if state == "connecting":
        return new_world().stranger()
    if state == "authenticating":
        peer = new_world(authenticate=True).stranger()
        assert peer.ask(FRAMES["CONNECT"].replace(b"%s", version.encode())) == []
        return peer
    peer = new_world(strict=strict).connect(version)
    peer.publish("/queue/q", b"1")
    peer.subscribe("/queue/q", "client")
    peer.send(b"BEGIN\ntransaction:open\n\n\0")
    if state == "leaving":
        peer.send(b"DISCONNECT\n\n\0")
    elif state == "failed":
        peer.send(b"\x01")
    elif state == "gone":
        peer.session.lost()
    peer.read()
    return peer


@pytest.mark.parametrize(("version", "state", "command"), CELLS)
def test_cell(new_world: Any, version: str, state: str, command: str) -> None:
    assert command in EXPECTED.get(state, {}), f"what should {command} do when {state}?"
    expected = EXPECTED[state][command]
    if isinstance(expected, dict):
        expected = expected[version]
    peer = into(new_world, state, version)
    assert peer.state == state
    replies = peer.ask(FRAMES[command].replace(b"%s", version.encode()))
    if not expected:
        assert replies == []
        assert peer.state == state
        return
    (reply,) = replies
    what, _, begins = expected.partition(" ")
    assert reply.command == what
    if what == "RECEIPT":
        assert reply["receipt-id"] == "r"
        assert peer.state == ("leaving" if command == "DISCONNECT" else "connected")
    elif what == "CONNECTED":
        assert reply["version"] == version
    else:
        assert reply["message"].startswith(begins)
        assert peer.state == "failed"
        assert peer.session.closing


def test_the_versions_are_those_we_know() -> None:
    assert sorted(version.number for version in VERSIONS) == list(NUMBERS)
    assert set(EXPECTED) == set(NAMES)
    assert set(NAMES) == {NAMES[state] for state in TABLE}


REQUIRED: dict[str, dict[str, tuple[str, ...]]] = {
    "SEND": dict.fromkeys(NUMBERS, ("destination",)),
    "SUBSCRIBE": {"1.0": ("destination",), "1.1": ("destination", "id"), "1.2": ("destination", "id")},
    "UNSUBSCRIBE": {"1.0": (), "1.1": ("id",), "1.2": ("id",)},
    "ACK": {"1.0": ("message-id",), "1.1": ("message-id", "subscription"), "1.2": ("id",)},
    "NACK": {"1.0": (), "1.1": ("message-id", "subscription"), "1.2": ("id",)},
    "BEGIN": dict.fromkeys(NUMBERS, ("transaction",)),
    "COMMIT": dict.fromkeys(NUMBERS, ("transaction",)),
    "ABORT": dict.fromkeys(NUMBERS, ("transaction",)),
    "DISCONNECT": dict.fromkeys(NUMBERS, ()),
}


@pytest.mark.parametrize(
    ("version", "command", "header"),
    [(v, c, h) for c, versions in REQUIRED.items() for v, headers in versions.items() for h in headers],
)
def test_required_header(new_world: Any, version: str, command: str, header: str) -> None:
    """In strict mode: otherwise some other headers of ACK and NACK will do."""
    peer = into(new_world, "connected", version, strict=True)
    lines = FRAMES[command].split(b"\n")
    frame = b"\n".join(line for line in lines if not line.startswith(header.encode() + b":"))
    error = peer.fails(frame)
    assert error["message"] == f"{command} without {header}"
    assert error["receipt-id"] == "r"


@pytest.mark.parametrize(("version", "command"), [(v, c) for c in REQUIRED for v in NUMBERS])
def test_no_other_header_is_required(new_world: Any, version: str, command: str) -> None:
    if (version, command) == ("1.0", "NACK"):
        return
    peer = into(new_world, "connected", version)
    needed = {*REQUIRED[command][version], "receipt"} | ({"id"} if command == "UNSUBSCRIBE" else set())
    lines = FRAMES[command].split(b"\n")
    kept = [line for line in lines if b":" not in line or line.partition(b":")[0].decode() in needed]
    assert peer.ask(b"\n".join(kept))[-1].command == "RECEIPT"


@pytest.mark.parametrize("version", NUMBERS)
@pytest.mark.parametrize(
    "command",
    [b"FETCH", b"send", b"Send", b"SEND ", b"SENDS", b"stomp", b"\xc3\xa4", b"\xff", b"S" * 70, b"S\\nD"],
)
def test_unknown_commands(new_world: Any, version: str, command: bytes) -> None:
    """1.0 clients of the original wrote commands in lower case and with blanks behind; nobody else may."""
    peer = into(new_world, "connected", version)
    frame = command + b"\ndestination:/queue/x\nreceipt:r\n\n\0"
    if version == "1.0" and command.strip().upper() == b"SEND":
        peer.get(frame)
    else:
        peer.fails(frame)


@pytest.mark.parametrize("command", REQUIRED)
def test_any_case_in_1_0(new_world: Any, command: str) -> None:
    """Each command, so that no handler trips over how it was written."""
    for written in (command.lower(), command.title(), command + " "):
        peer = into(new_world, "connected", "1.0")
        frame = FRAMES[command].replace(command.encode(), written.encode(), 1)
        if command == "NACK":
            peer.fails(frame)
        else:
            peer.get(frame)
        strict = new_world(strict=True).connect("1.0")
        strict.fails(frame)


@pytest.mark.parametrize("octets", [b"connect\n\n\0", b"Connect \n\n\0", b"connect\nlogin : me \n\n\0"])
def test_connect_in_any_case_is_1_0(new_world: Any, octets: bytes) -> None:
    peer = new_world().stranger()
    assert peer.get(octets, "CONNECTED")["version"] == "1.0"


@pytest.mark.parametrize(
    "octets",
    [b"connect\naccept-version:1.2\n\n\0", b"stomp\n\n\0", b"CONNECTED\n\n\0", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_no_other_beginning(new_world: Any, octets: bytes) -> None:
    peer = new_world().stranger()
    error = peer.fails(octets)
    assert ("HTTP" in error["message"]) == (b"HTTP" in octets)


def test_the_table_can_be_printed() -> None:
    for state in NAMES:
        assert state in table()
