"""From one really started server to another, with the command, or one of the servers, killed in the middle."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import LIMIT, Wire

COUNT = 600
HELD = 200
"""Messages that the new server's queue takes: whoever sends more waits, so it is in the middle then."""


def client(server: Any) -> Wire:
    wire = Wire(socket.create_connection(("127.0.0.1", server.port), LIMIT), [])
    wire.say("CONNECT\naccept-version:1.2\nhost:h\n\n\0")
    wire.expect("CONNECTED")
    return wire


def fill(server: Any, count: int) -> None:
    wire = client(server)
    for n in range(count):
        wire.say(f"SEND\ndestination:/queue/x\nn:{n}\n\nbody {n}\0")
    wire.say("DISCONNECT\nreceipt:r\n\n\0")
    wire.expect("RECEIPT")
    wire.socket.close()


def subscribe(server: Any, name: str) -> Wire:
    wire = client(server)
    wire.say(f"SUBSCRIBE\nid:0\ndestination:{name}\nack:client-individual\nprefetch-count:1\nreceipt:r\n\n\0")
    wire.expect("RECEIPT")
    return wire


def take(wire: Wire, count: int) -> list[str]:
    bodies = []
    for _ in range(count):
        _, headers, body = wire.expect("MESSAGE")
        assert body.decode() == f"body {headers['n']}"
        bodies.append(headers["n"])
        wire.say(f"ACK\nid:{headers['ack']}\n\n\0")
    return bodies


def drain(server: Any, name: str) -> list[str]:
    """All that waits there, acknowledged: a marker sent behind it says that there is no more."""
    wire = subscribe(server, name)
    wire.say(f"SEND\ndestination:{name}\nn:end\n\nbody end\0")
    bodies: list[str] = []
    while not bodies or bodies[-1] != "end":
        bodies += take(wire, 1)
    wire.say("DISCONNECT\nreceipt:r\n\n\0")
    wire.expect("RECEIPT")
    wire.socket.close()
    return bodies[:-1]


@pytest.fixture(params=["memory", "lmdb"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start_kind(start_server: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``start_kind(kind, name)``: a server with that storage, the same storage for the same name."""

    def start(kind: str, name: str) -> Any:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        text = (
            ""
            if name == "old"
            else f"policies:\n  /queue/y:\n    max-messages: {HELD}\n    overflow: block\n"
        )
        (directory / "stompserver.conf").write_text(text)
        return start_server("-q", kind, directory=directory)

    return start


@pytest.fixture
def moving() -> Iterator[Callable[..., Any]]:
    """``moving(old, new, *words)`` is the command as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(old: Any, new: Any, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from stompserver.ctl.main import run; run()", "move", *words]
        command += ["--from", f"stomp://127.0.0.1:{old.port}", "--to", f"stomp://127.0.0.1:{new.port}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("STOMP", "PYTHON"))}
        command += ["--idle", "0.5"]
        started.append(
            subprocess.Popen(
                [*command, "/queue/x=/queue/y"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_all_of_a_queue_in_its_order(
    kind: str, start_kind: Callable[..., Any], moving: Callable[..., Any]
) -> None:
    old, new = start_kind(kind, "old"), start_kind(kind, "new")
    fill(old, HELD)
    process = moving(old, new)
    out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err) == (0, f"{HELD:>12}  /queue/x to /queue/y\n", "")
    assert drain(new, "/queue/y") == [str(n) for n in range(HELD)]
    assert drain(old, "/queue/x") == []


def go_on(
    old: Any, new: Any, moving: Callable[..., Any], wire: Wire, seen: list[str], *words: str
) -> list[str]:
    """The same command again, until it ends; all that came to the new queue, with what was seen before."""
    process = moving(old, new, *words)
    seen = list(seen)
    missing = {str(n) for n in range(COUNT)} - set(seen)
    while missing:
        got = take(wire, 1)
        seen += got
        missing -= set(got)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, out + err
    wire.socket.close()
    assert drain(old, "/queue/x") == []
    return seen + drain(new, "/queue/y")


@pytest.mark.parametrize("words", [(), ("--dedup",)], ids=["plain", "dedup"])
def test_the_command_is_killed(
    kind: str, words: tuple[str, ...], start_kind: Callable[..., Any], moving: Callable[..., Any]
) -> None:
    old, new = start_kind(kind, "old"), start_kind(kind, "new")
    fill(old, COUNT)
    first = moving(old, new, *words)
    wire = subscribe(new, "/queue/y")
    seen = take(wire, 10)
    first.kill()
    first.communicate()
    seen = go_on(old, new, moving, wire, seen, *words)
    assert set(seen) == {str(n) for n in range(COUNT)}
    assert len(seen) <= COUNT + 100
    if words:
        assert len(seen) == COUNT


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_server_is_killed(which: str, start_kind: Callable[..., Any], moving: Callable[..., Any]) -> None:
    old, new = start_kind("lmdb", "old"), start_kind("lmdb", "new")
    fill(old, COUNT)
    first = moving(old, new)
    wire = subscribe(new, "/queue/y")
    seen = take(wire, 10)
    (old if which == "old" else new).kill()
    out, err = first.communicate(timeout=LIMIT)
    assert first.returncode == 1, out + err
    assert f"the {which} broker at 127.0.0.1:" in err
    assert "Traceback" not in err
    if which == "old":
        old = start_kind("lmdb", "old")
    else:
        wire.socket.close()
        new = start_kind("lmdb", "new")
        wire = subscribe(new, "/queue/y")
    assert set(go_on(old, new, moving, wire, seen)) == {str(n) for n in range(COUNT)}
