"""A started server that is killed in the middle, and a socket client that knows no STOMP but how frames end.

The client imports nothing of stompserver: one that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from stompserver.ctl.live import COMMANDS
from stompserver.ctl.main import main
from stompserver.ctl.store import store

LIMIT = 10.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)


class Frame(NamedTuple):
    """A frame as it is on the wire: nothing unescaped, nothing merged."""

    command: str
    headers: list[tuple[str, str]]
    body: str

    def __getitem__(self, name: str) -> str:  # type: ignore[override]
        return dict(self.headers)[name]

    def has(self, name: str) -> bool:
        return name in dict(self.headers)


class Client:
    """Literal bytes out, frames in. It speaks 1.2."""

    def __init__(self, port: int, login: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self._data = b""
        self._early: list[Frame] = []
        self.send(f"CONNECT\naccept-version:1.2\nhost:h\n{login}\n\0")
        self.expect("CONNECTED")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def frame(self) -> Frame:
        while True:
            self._data = self._data.lstrip(b"\n")
            head, blank, rest = self._data.partition(b"\n\n")
            if blank:
                command, *lines = head.decode().split("\n")
                headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
                length = int(dict(headers).get("content-length", "0"))
                if len(rest) > length:
                    assert rest[length] == 0
                    self._data = rest[length + 1 :]
                    return Frame(command, headers, rest[:length].decode())
            octets = self.socket.recv(1 << 20)
            assert octets, f"closed; unread: {self._data!r}"
            self._data += octets

    def expect(self, command: str) -> Frame:
        if command == "MESSAGE" and self._early:
            return self._early.pop(0)
        frame = self.frame()
        assert frame.command == command, frame
        return frame

    def receipt(self, text: str) -> None:
        """Send a frame, written without its receipt, and wait for that; messages may come before it."""
        command, _, rest = text.partition("\n")
        number = f"r{next(numbers)}"
        self.send(f"{command}\nreceipt:{number}\n{rest}")
        while (frame := self.frame()).command == "MESSAGE":
            self._early.append(frame)
        assert frame.command == "RECEIPT", frame
        assert frame["receipt-id"] == number

    def subscribe(self, destination: str, more: str = "", ack: str = "auto") -> None:
        self.receipt(f"SUBSCRIBE\nid:{destination}\ndestination:{destination}\nack:{ack}\n{more}\n\0")

    def publish(self, destination: str, body: str, more: str = "") -> None:
        self.receipt(f"SEND\ndestination:{destination}\n{more}\n{body}\0")

    def take(self, count: int) -> list[Frame]:
        """That many messages, and no more."""
        frames = [self.expect("MESSAGE") for _ in range(count)]
        self.nothing()
        return frames

    def bodies(self, count: int) -> list[str]:
        return [frame.body for frame in self.take(count)]

    def nothing(self) -> None:
        """Nothing has come by now."""
        self.publish("/topic/nobody.listens", "")
        assert not self._early, self._early

    def fails(self, text: str) -> str:
        """Send a frame that is answered by ERROR; what that says."""
        self.send(text)
        return self.expect("ERROR").body

    def manage(self, action: str, **headers: str) -> dict[str, Any]:
        """The answer to a frame for the server itself."""
        number = f"m{next(numbers)}"
        more = "".join(f"{name}:{value}\n" for name, value in headers.items())
        self.send(
            f"SEND\ndestination:/queue/stompserver.management\naction:{action}\n"
            f"reply-to:/temp-queue/answers\ncorrelation-id:{number}\n{more}\n\0"
        )
        frame = self.expect("MESSAGE")
        assert frame["correlation-id"] == number
        assert frame["content-type"] == "application/json"
        answer: dict[str, Any] = json.loads(frame.body)
        return answer

    def close(self) -> None:
        self.socket.close()


class House:
    """A server with one kind of storage. Where that keeps anything, ``restart`` kills it and starts it again."""

    def __init__(
        self, start: Callable[..., Any], kind: str, directory: Path, options: tuple[str, ...]
    ) -> None:
        self.keeps = kind != "memory"
        self._start = start
        self._options = ["-q", kind, "--monitor-interval=0", "--linger=0.1", *options]
        self._directory = directory
        self._clients: list[Client] = []
        self.server = start(*self._options, directory=directory)

    def connect(self) -> Client:
        self._clients.append(Client(self.server.port))
        return self._clients[-1]

    def restart(self) -> None:
        if self.keeps:
            self.server.kill()
            self.server = self._start(*self._options, directory=self._directory)
            self.close()

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(params=["memory", "lmdb"])
def house(request: pytest.FixtureRequest, start_server: Any, tmp_path: Path) -> Iterator[House]:
    """With the options of the server that the test's mark says."""
    marker = request.node.get_closest_marker("options")
    made = House(start_server, request.param, tmp_path, marker.args if marker else ())
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "options(*words): options of the started server")


@pytest.fixture
def new_client() -> Iterator[Callable[[int], Client]]:
    """``new_client(port)`` gives a connection that is closed after the test."""
    made: list[Client] = []

    def connect(port: int) -> Client:
        made.append(Client(port))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def stompctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """``stompctl(*words, code=)`` runs it; what it printed."""
    monkeypatch.chdir(tmp_path)
    for command in (store, *COMMANDS):
        main.add_command(command)

    def run(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(main, list(words), prog_name="stompctl")
        assert ended.exit_code == code, ended.output
        return ended.output

    return run
