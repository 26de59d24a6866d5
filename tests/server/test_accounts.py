"""Who is let in by accounts of each kind, seen by clients of a running server."""

from __future__ import annotations

import hashlib
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

LIMIT = 20.0


class Client:
    """Speaks literal STOMP."""

    def __init__(self, server: Any) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        self._rest = b""

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\0")

    def hear(self) -> str:
        """The next frame, without heart-beats; "" at the end."""
        while b"\0" not in self._rest:
            data = self.socket.recv(65536)
            if not data:
                return ""
            self._rest += data
        frame, self._rest = self._rest.split(b"\0", 1)
        return frame.decode().lstrip("\n")

    def connect(self, login: str | None = None, passcode: str | None = None, more: str = "") -> str:
        headers = "".join(
            f"{name}:{value}\n"
            for name, value in (("login", login), ("passcode", passcode))
            if value is not None
        )
        self.say(f"CONNECT\naccept-version:1.2\nhost:h\n{headers}{more}\n")
        return self.hear()

    def close(self) -> None:
        self.socket.close()


Connect = Callable[..., Client]


@pytest.fixture
def client() -> Iterator[Callable[[Any], Client]]:
    with ExitStack() as stack:

        def make(server: Any) -> Client:
            made = Client(server)
            stack.callback(made.close)
            return made

        yield make


def etc(directory: Path, **files: str) -> None:
    folder = directory / "etc"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f".{name}"
        path.write_text(text)
        path.chmod(0o600)


def token_line(name: str, token: str) -> str:
    return f"{name}:$sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"


def login_of(answer: str, server: Any) -> str:
    """As whom the log says that the one who got that answer is connected."""
    assert answer.startswith("CONNECTED\n"), answer
    return str(server.wait_for_log(r"Connected \S+ with STOMP 1.2 as (\S+)")[1])


# Tokens


def test_a_token_is_a_passcode(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, tokens=token_line("grafana", "secret"))
    server = start_server("-a", "--accounts=tokens", directory=tmp_path)
    assert login_of(client(server).connect(None, "secret"), server) == "grafana"
    assert client(server).connect("grafana", "secret").startswith("CONNECTED")
    assert client(server).connect("", "secret").startswith("CONNECTED")
    for login, passcode in [("other", "secret"), ("grafana", "wrong"), ("grafana", ""), ("grafana", None)]:
        assert client(server).connect(login, passcode).startswith("ERROR\nmessage:Invalid Login\n")
    assert "secret" not in server.log()


def test_logins_and_tokens_stand_beside_each_other(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, passwd="alice:word\n", tokens=token_line("alice", "secret") + token_line("bob", "other"))
    server = start_server("-a", "--accounts=passwd,tokens", directory=tmp_path)
    for login, passcode in [("alice", "word"), ("alice", "secret"), (None, "other")]:
        assert client(server).connect(login, passcode).startswith("CONNECTED"), (login, passcode)
    assert client(server).connect("bob", "word").startswith("ERROR\nmessage:Invalid Login\n")


def test_tokens_are_not_asked_without_the_option(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, passwd="alice:word\n", tokens=token_line("bob", "other"))
    server = start_server("-a", directory=tmp_path)
    assert client(server).connect("bob", "other").startswith("ERROR\nmessage:Invalid Login\n")


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_changed_file_of_tokens_is_taken_over(
    start_server: Any, tmp_path: Path, client: Any, by_signal: bool
) -> None:
    etc(tmp_path, tokens=token_line("a", "one"))
    server = start_server("-a", "--accounts=tokens", directory=tmp_path)
    stays = client(server)
    assert stays.connect(None, "one").startswith("CONNECTED")
    etc(tmp_path, tokens=token_line("b", "two"))
    if by_signal:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("configuration and users read again")
    else:
        server.wait_for_log("a file of accounts changed, and was read again")
    assert client(server).connect(None, "two").startswith("CONNECTED")
    assert client(server).connect(None, "one").startswith("ERROR\nmessage:Invalid Login\n")
    stays.say("SEND\ndestination:/queue/a\nreceipt:r\n\n")
    assert stays.hear().startswith("RECEIPT")


def test_an_unknown_place_of_accounts_ends_the_start(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "stompserver", "-w", str(tmp_path), "-a", "--accounts=tokns", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "accounts: unknown place 'tokns'; known: passwd, tokens" in done.stderr
    assert "did you mean tokens?" in done.stderr
