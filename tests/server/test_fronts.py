"""What comes before STOMP on a listener: PROXY headers, Unix sockets, sockets that somebody else opened."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from papers import Papers

LOOPS = ("asyncio", "uvloop")
each_loop = pytest.mark.parametrize("loop", LOOPS)
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
MAGIC = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 61613\r\n"
V2 = MAGIC + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 198, 51, 100, 1]) + struct.pack(">HH", 56324, 443)
LOCAL = MAGIC + b"\x20\x00\x00\x00"
MANAGE = (
    b"SUBSCRIBE\nid:m\ndestination:/temp-queue/m\n\n\0"
    b"SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/temp-queue/m\n\n\0"
)
StartServer = Callable[..., Any]


def until(sock: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        data = sock.recv(65536)
        assert data, got
        got += data
    return got


def rest(sock: socket.socket) -> bytes:
    got = b""
    try:
        while data := sock.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def connect(port: int, first: bytes = b"", address: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection((address, port), timeout=20)
    sock.sendall(first)
    return sock


@pytest.fixture
def behind(start_server: StartServer) -> StartServer:
    """`behind(*options)` starts a server that takes connections of a proxy on 127.0.0.1."""

    def start(*options: str) -> Any:
        return start_server("--proxy-protocol", "--proxy-networks", "127.0.0.1", *options)

    return start


# PROXY


@each_loop
@pytest.mark.parametrize(
    ("header", "who"),
    [(V1, "192.0.2.7"), (V2, "192.0.2.8"), (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")],
)
def test_a_proxy_says_who_is_connected(behind: StartServer, loop: str, header: bytes, who: str) -> None:
    server = behind("--loop", loop)
    with connect(server.port, header + HELLO) as client:
        assert until(client, b"\0").startswith(b"CONNECTED\n")
    server.wait_for_log(f"Connected {who} with STOMP")


@each_loop
def test_the_header_may_come_in_pieces(behind: StartServer, loop: str) -> None:
    server = behind("--loop", loop)
    with connect(server.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in V2 + HELLO:
            client.sendall(bytes([octet]))
        assert until(client, b"\0").startswith(b"CONNECTED\n")
    server.wait_for_log("Connected 192.0.2.8 with STOMP")


@each_loop
def test_the_header_comes_before_tls(behind: StartServer, papers: Papers, loop: str) -> None:
    server = behind("--loop", loop, "--tls", "--tls-cert", str(papers.server))
    with papers.connect(server.port, first=V1) as client:
        client.sendall(HELLO)
        assert until(client, b"\0").startswith(b"CONNECTED\n")
    server.wait_for_log("Connected 192.0.2.7 with STOMP")


@each_loop
def test_without_a_header_nobody_is_let_in(behind: StartServer, loop: str) -> None:
    server = behind("--loop", loop)
    with connect(server.port, HELLO) as client:
        got = rest(client)
    assert got.startswith(b"ERROR\nmessage:No PROXY header\n")
    assert b"Have the proxy send it" in got
    server.wait_for_log("Refused 127.0.0.1: No PROXY header")


def test_the_header_is_believed_of_proxies_alone(start_server: StartServer) -> None:
    server = start_server("--proxy-protocol", "--proxy-networks", "10.0.0.0/8, 127.0.0.2")
    with connect(server.port, V1 + HELLO) as stranger:
        assert rest(stranger) == b""
    server.wait_for_log("Refused 127.0.0.1: not one of proxy-networks")


def test_a_plain_listener_does_not_take_a_header(start_server: StartServer) -> None:
    server = start_server()
    with connect(server.port, V1 + HELLO) as client:
        assert rest(client).startswith(b"ERROR\n")


def test_limits_are_those_of_the_client_behind_the_proxy(behind: StartServer) -> None:
    server = behind("--max-connections-per-address", "1")
    # Not known yet who these are.
    silent = [connect(server.port) for _ in range(3)]
    with connect(server.port, V1 + HELLO) as first, connect(server.port, V2 + HELLO) as other:
        assert until(first, b"\0").startswith(b"CONNECTED\n")
        assert until(other, b"\0").startswith(b"CONNECTED\n")
        with connect(server.port, V1 + HELLO) as second:
            got = rest(second)
        assert b"message:Too many connections from your address\n" in got
        assert b"Where: 192.0.2.7\n" in got
    for sock in silent:
        sock.close()


def test_management_is_not_local_for_whom_a_proxy_brings(behind: StartServer) -> None:
    server = behind()
    with connect(server.port, V1 + HELLO + MANAGE) as client:
        assert b"ERROR\n" in rest(client)
    near = b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n"
    for header in (near, LOCAL):
        with connect(server.port, header + HELLO + MANAGE) as client:
            assert b"MESSAGE\n" in until(client, b"destination:/temp-queue/m")


def test_a_proxy_that_says_nothing_is_cut(behind: StartServer) -> None:
    server = behind("--login-timeout", "0.3")
    with connect(server.port, b"PROXY ") as client:
        assert rest(client) == b""
    server.wait_for_log("Closing 127.0.0.1, which said nothing within 0.3 s")


# Unix sockets


def configured(start_server: StartServer, directory: Path, text: str, *options: str, **more: Any) -> Any:
    file = directory / "stompserver.conf"
    file.write_text(text)
    return start_server("-C", str(file), *options, directory=directory, **more)


def unix(path: Path, first: bytes = b"") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    sock.sendall(first)
    return sock


@each_loop
def test_a_unix_socket(start_server: StartServer, tmp_path: Path, loop: str) -> None:
    group = os.getegid()
    text = (
        f"listeners:\n  - unix: broker.sock\n    unix-mode: 600\n    unix-group: '{group}'\n    name: here\n"
    )
    server = configured(start_server, tmp_path, text, "--loop", loop)
    path = tmp_path / "broker.sock"
    server.wait_for_log(rf"Stomp protocol handler starting on the Unix socket {path} \(here\)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_gid == group
    with unix(path, HELLO + MANAGE) as client:
        assert b"MESSAGE\n" in until(client, b"destination:/temp-queue/m"), "it is of this machine"
    server.wait_for_log(f"Connected unix:{os.geteuid()} with STOMP 1.2")
    server.stop()
    assert not path.exists()


@each_loop
def test_tls_and_a_proxy_over_a_unix_socket(
    start_server: StartServer, papers: Papers, tmp_path: Path, loop: str
) -> None:
    text = f"tls-cert: {papers.server}\nlisteners:\n  - unix: s\n    tls: true\n    proxy-protocol: true\n"
    server = configured(start_server, tmp_path, text, "--loop", loop)
    sock = unix(tmp_path / "s", V1)
    with papers.context().wrap_socket(sock, server_hostname="localhost") as client:
        client.sendall(HELLO)
        assert until(client, b"\0").startswith(b"CONNECTED\n")
    server.wait_for_log("Connected 192.0.2.7 with STOMP")


def test_what_a_killed_server_left_is_taken_away(start_server: StartServer, tmp_path: Path) -> None:
    text = "listeners:\n  - unix: s\n"
    first = configured(start_server, tmp_path, text)
    first.kill()
    assert (tmp_path / "s").exists()
    configured(start_server, tmp_path, text)
    with unix(tmp_path / "s", HELLO) as client:
        assert until(client, b"\0").startswith(b"CONNECTED\n")


def start_once(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stompserver", "-p", "0", "-w", str(directory), *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text("listeners:\n  - unix: s\n")
    (tmp_path / "s").write_text("precious")
    done = start_once(tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on the Unix socket {tmp_path}/s: file exists (that is no socket" in done.stderr
    assert (tmp_path / "s").read_text() == "precious"


def test_a_socket_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text("listeners:\n  - unix: run/s\n")
    done = start_once(tmp_path)
    assert done.returncode == 1
    assert f"Unix socket {tmp_path}/run/s: there is no folder {tmp_path}/run; make it" in done.stderr


def test_a_socket_of_a_server_that_runs(start_server: StartServer, tmp_path: Path) -> None:
    text = "pidfile:\nlisteners:\n  - unix: s\n"
    configured(start_server, tmp_path, text)
    done = start_once(tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on the Unix socket {tmp_path}/s: address already in use" in done.stderr
    with unix(tmp_path / "s", HELLO) as client:
        assert until(client, b"\0").startswith(b"CONNECTED\n")


# Sockets of somebody else

GIVEN = """
import os, socket, sys
sockets = []
for each in sys.argv[1].split(","):
    family = socket.AF_UNIX if each.startswith("/") else socket.AF_INET
    sock = socket.socket(family)
    sock.bind(each if each.startswith("/") else ("127.0.0.1", int(each)))
    sock.listen()
    sockets.append(sock.detach())
for number, descriptor in enumerate(sockets):
    os.dup2(descriptor, 50 + number, False)
for number in range(len(sockets)):
    os.dup2(50 + number, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, "-m", "stompserver", *sys.argv[3:]])
"""


@each_loop
def test_sockets_that_are_inherited(
    tmp_path: Path, start_server: StartServer, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    """As systemd gives them: by the name of a listener, or by the address; what nobody wants is told and closed."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "stompserver.conf").write_text(
        f"host: 127.0.0.1\nport: {port}\nloop: {loop}\n"
        f"listeners:\n  - unix: {tmp_path}/other\n    name: inside\n  - port: 0\n    name: own\n"
    )
    wanted = [str(port), f"{tmp_path}/given", f"{tmp_path}/nobody"]
    command = [sys.executable, "-c", GIVEN, ",".join(wanted), ":inside:x", "-w", str(tmp_path)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    log = ""
    while "(own)" not in log:
        line = process.stderr.readline()
        assert line, log
        log += line
    try:
        assert (
            f"the socket x on {tmp_path}/nobody was given to this process, and no listener has that name"
            in log
        )
        assert f"starting on 127.0.0.1 port {port}\n" in log
        assert f"starting on the Unix socket {tmp_path}/given (inside)" in log
        with connect(port, HELLO) as client:
            assert until(client, b"\0").startswith(b"CONNECTED\n")
        with unix(tmp_path / "given", HELLO) as client:
            assert until(client, b"\0").startswith(b"CONNECTED\n")
        # Nobody reads from it any more, and its file is not ours.
        with pytest.raises(ConnectionRefusedError):
            unix(tmp_path / "nobody")
    finally:
        process.terminate()
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()
    assert (tmp_path / "given").exists(), "it belongs to who opened it"


def test_sockets_for_another_process_are_left_alone(start_server: StartServer) -> None:
    server = start_server(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    with connect(server.port, HELLO) as client:
        assert until(client, b"\0").startswith(b"CONNECTED\n")
