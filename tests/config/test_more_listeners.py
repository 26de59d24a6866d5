"""More than one address to listen on, each with its dialect: the server header of CONNECTED, strict or lenient."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stompserver.config import Loaded, load
from stompserver.errors import ConfigError

StartServer = Callable[..., Any]
NO_HOST = b"CONNECT\naccept-version:1.2\n\n\0"
FILE = """\
listeners:
  - {port: 0, name: apache, strict: yes, server-header: apache-activemq/5.11}
  - port: 0
    name: lenient
    strict: no
"""


def loaded(directory: Path, file: str) -> Loaded:
    (directory / "stompserver.conf").write_text(file)
    return load([], {}, directory)


def answer(port: int, octets: bytes = NO_HOST) -> bytes:
    """All the server says until it closes; it is asked to by DISCONNECT."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(octets + b"DISCONNECT\n\n\0")
        return b"".join(iter(lambda: client.recv(65536), b""))


def server_header(said: bytes) -> str:
    assert said.startswith(b"CONNECTED\n")
    (found,) = re.findall(rb"^server:(.*)$", said, re.MULTILINE)
    return str(found.decode())


def ports(server: Any) -> dict[str, int]:
    """By name, once the last one has been announced."""
    server.wait_for_log(r"port \d+ \(lenient\)")
    return {
        name or "": int(port)
        for port, name in re.findall(r"handler starting on \S+ port (\d+)(?: \((\w+)\))?", server.log())
    }


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_port_has_its_dialect(start_server: StartServer, tmp_path: Path, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    (tmp_path / "stompserver.conf").write_text(FILE)
    server = start_server("--loop", loop, directory=tmp_path)
    at = ports(server)
    with_host = b"CONNECT\naccept-version:1.2\nhost:x\n\n\0"
    assert server_header(answer(at["apache"], with_host)) == "apache-activemq/5.11"
    assert answer(at["apache"]).startswith(b"ERROR\n")
    assert server_header(answer(at["lenient"])).startswith("stompserver/")
    assert server_header(answer(at[""])).startswith("stompserver/")


def test_they_share_their_queues(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(FILE)
    at = ports(start_server(directory=tmp_path))
    sent = answer(at["lenient"], NO_HOST + b"SEND\ndestination:/queue/a\nreceipt:1\n\nhello\0")
    assert b"receipt-id:1" in sent
    with socket.create_connection(("127.0.0.1", at["apache"]), 10) as client:
        client.sendall(
            b"CONNECT\naccept-version:1.2\nhost:x\n\n\0SUBSCRIBE\nid:0\ndestination:/queue/a\n\n\0"
        )
        got = b""
        while not got.endswith(b"hello\0\n"):
            chunk = client.recv(65536)
            assert chunk
            got += chunk


def test_what_is_not_said_is_as_on_the_first_port(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text("listeners:\n- {port: 0, name: lenient}\n")
    server = start_server("--strict", "--server-header", "my server", directory=tmp_path)
    for port in ports(server).values():
        assert answer(port).startswith(b"ERROR\n")
        said = answer(port, b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        assert server_header(said) == "my server"


def test_sighup_changes_the_dialect_but_not_the_address(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "stompserver.conf"
    file.write_text(FILE)
    server = start_server(directory=tmp_path)
    at = ports(server)
    file.write_text(FILE.replace("5.11", "6.0").replace("strict: yes", "strict: no"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again; changed: listeners")
    assert server_header(answer(at["apache"])) == "apache-activemq/6.0"
    file.write_text("debug: true\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("changed, but only a restart puts it in force: listeners")
    server.wait_for_log("configuration and users read again; changed: debug")
    assert server_header(answer(at["apache"])) == "apache-activemq/6.0"


def test_an_address_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "stompserver.conf").write_text(f"port: 0\nlisteners:\n- port: {port}\n")
        command = [sys.executable, "-m", "stompserver"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: address already in use" in ended.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("listeners:\n- {prot: 1}\n", "line 2: listeners: item 1: unknown option 'prot'; did you mean port?"),
        (
            "listeners:\n- port: 1\n- port: 77777\n",
            "line 3: listeners: item 2: port: must be at most 65535, not ",
        ),
        (
            "listeners:\n- port: 61613\n",
            "line 2: listeners: item 1: 127.0.0.1 port 61613 is already that of the opt",
        ),
        (
            "listeners:\n- port: 1\n- port: 1\n",
            "item 2: 127.0.0.1 port 1 is already that of listeners: item 1 in ",
        ),
        ("listeners:\n- {strict: yes}\n", "line 2: listeners: item 1: needs a port"),
        ("listeners:\n- {port: 1, strict: 2}\n", "item 1: strict: '2' is neither true nor false"),
        ("listeners:\n- {port: 1, port: 2}\n", "item 1: port is there already, in stompserver.conf line 2"),
        (
            "listeners: {port: 1}\n",
            "line 1: listeners: expected a list, each item beginning with '- port: NUMBER'",
        ),
        ("listeners: [5]\n", "line 1: listeners: item 1: expected indented lines, each an option"),
        ("listeners:\n- {port: 1, name: !!python/name:os 1}\n", "name: tags such as "),
    ],
)
def test_refusals(tmp_path: Path, file: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, file)
    assert text in str(caught.value)


def test_an_empty_list_is_none_more(tmp_path: Path) -> None:
    assert loaded(tmp_path, "listeners:\n").config.listeners == ()
    assert loaded(tmp_path, "listeners: []\n").config.listeners == ()
