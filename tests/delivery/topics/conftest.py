"""A started server that is killed in the middle, and a socket client that knows no STOMP but how frames end.

Nothing here imports stompserver: a client that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

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
    """Literal bytes out, frames in. It speaks 1.2, with a client-id if it has one."""

    def __init__(self, port: int, client_id: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self._data = b""
        more = f"client-id:{client_id}\n" if client_id else ""
        self.send(f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0")
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
        frame = self.frame()
        assert frame.command == command, frame
        return frame

    def receipt(self, text: str) -> Frame:
        """Send a frame, written without its receipt, and wait for that; nothing may come before it."""
        command, _, rest = text.partition("\n")
        number = f"r{next(numbers)}"
        self.send(f"{command}\nreceipt:{number}\n{rest}")
        frame = self.expect("RECEIPT")
        assert frame["receipt-id"] == number
        return frame

    def subscribe(self, destination: str, id: str = "0", more: str = "", ack: str = "auto") -> Frame:
        return self.receipt(f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nack:{ack}\n{more}\n\0")

    def publish(self, destination: str, *bodies: str, more: str = "") -> None:
        for body in bodies:
            self.receipt(f"SEND\ndestination:{destination}\n{more}\n{body}\0")

    def take(self, count: int) -> list[Frame]:
        """That many messages, and no more."""
        frames = [self.expect("MESSAGE") for _ in range(count)]
        self.publish("/topic/nobody.listens", "")
        return frames

    def bodies(self, count: int) -> list[str]:
        return [frame.body for frame in self.take(count)]

    def places(self, count: int) -> list[tuple[str, str]]:
        return [(frame["destination"], frame.body) for frame in self.take(count)]

    def ack(self, frame: Frame) -> None:
        self.send(f"ACK\nid:{frame['ack']}\n\n\0")

    def close(self) -> None:
        self.socket.close()

    def leave(self) -> None:
        """DISCONNECT, and wait until the server is done with it."""
        self.receipt("DISCONNECT\n\n\0")
        assert self.socket.recv(1) == b""
        self.socket.close()


class House:
    """A server with one kind of storage. Where that keeps anything, ``restart`` kills it and starts it again."""

    def __init__(
        self, start: Callable[..., Any], kind: str, directory: Path, policies: str, options: str
    ) -> None:
        self.keeps = kind != "memory"
        self._start = start
        self._options = ["-q", kind, "--monitor-interval=0", "--linger=0.1", *options.split()]
        if policies:
            path = directory / "server.conf"
            path.write_text("policies:\n" + policies)
            self._options += ["-C", str(path)]
        self._directory = directory
        self._clients: list[Client] = []
        self.server = start(*self._options, directory=directory)

    def connect(self, client_id: str = "") -> Client:
        self._clients.append(Client(self.server.port, client_id))
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
    """With the policies, and the options, that the test's mark says."""
    marker = request.node.get_closest_marker("policies")
    policies, options, *_ = (*marker.args, "", "") if marker else ("", "")
    made = House(start_server, request.param, tmp_path, policies, options)
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "policies(text, options): of the server's configuration file, and for it"
    )
