"""Real proxies before the server, with the configuration that docs/how-to/behind-a-proxy.md shows."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from papers import Papers

PAGE = (Path(__file__).parents[2] / "docs/how-to/behind-a-proxy.md").read_text()
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
FRONT = {"haproxy": "61616", "nginx": "61617"}
MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

pytestmark = pytest.mark.interop


def shown(title: str) -> str:
    found = re.search(rf'^```\w+ title="{re.escape(title)}"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def command(name: str, directory: Path, text: str) -> list[str]:
    """What runs the proxy in the foreground."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian: {name})")
    if name == "haproxy":
        (directory / "haproxy.cfg").write_text(text)
        return ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")]
    if not MODULE.exists():
        pytest.skip(f"{MODULE} is not there (Debian: libnginx-mod-stream)")
    head = f"load_module {MODULE};\ndaemon off;\npid {directory}/pid;\nerror_log stderr;\nevents {{}}\n"
    (directory / "nginx.conf").write_text(head + text)
    return ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]


@pytest.fixture
def proxied(start_server: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., tuple[Any, int]]]:
    """`proxied(name, tls)` starts a server and that proxy before it: the server, and the port of the proxy."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, more: str = "") -> tuple[Any, int]:
        behind, front = free_port(), free_port()
        conf = shown("stompserver.conf").replace("61615", str(behind)).replace("port: 61613", "port: 0")
        (tmp_path / "stompserver.conf").write_text(conf + more)
        server = start_server("-C", str(tmp_path / "stompserver.conf"), directory=tmp_path)
        text = shown(f"{name}.{'cfg' if name == 'haproxy' else 'conf'}")
        text = text.replace("61615", str(behind)).replace(FRONT[name], str(front))
        process = subprocess.Popen(command(name, tmp_path, text), stdin=subprocess.DEVNULL)
        running.append(process)
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, f"{name} ended"
            try:
                socket.create_connection(("127.0.0.1", front), timeout=1).close()
                return server, front
            except OSError:
                assert time.monotonic() < deadline, f"{name} does not listen"
                time.sleep(0.02)

    yield start
    for process in running:
        process.terminate()
        process.wait(20)


def connected(sock: socket.socket) -> None:
    sock.sendall(HELLO)
    got = b""
    while b"\0" not in got:
        data = sock.recv(65536)
        assert data, got
        got += data
    assert got.startswith(b"CONNECTED\n")


@pytest.mark.parametrize("name", FRONT)
def test_the_server_knows_who_is_behind_the_proxy(proxied: Any, name: str) -> None:
    server, port = proxied(name)
    with socket.socket() as client:
        client.settimeout(20)
        # Another address than the proxy's own.
        client.bind(("127.0.0.9", 0))
        client.connect(("127.0.0.1", port))
        connected(client)
    server.wait_for_log(r"Connected 127\.0\.0\.9 with STOMP 1\.2")
    # Its checks, and who connects and says nothing, make no noise.
    assert "WARNING" not in server.stop()


@pytest.mark.parametrize("name", FRONT)
def test_tls_goes_through_the_proxy(proxied: Any, papers: Papers, name: str) -> None:
    certificate = papers.issue(f"through-{name}", "client.example", common_name="carol")
    server, port = proxied(
        name,
        f"    tls: true\n    tls-cert: {papers.server}\n    tls-client-cert: need\n"
        f"    tls-client-ca: {papers.ca}\n    tls-login: cn\n",
    )
    with papers.connect(port, certificate) as client:
        connected(client)
    server.wait_for_log("with STOMP 1.2 as carol")
