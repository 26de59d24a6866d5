"""A started server and a socket client that knows no STOMP but how frames end.

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
        return dict(reversed(self.headers))[name]

    def has(self, name: str) -> bool:
        return name in dict(self.headers)


class Client:
    """Literal bytes out, frames in; STOMP 1.2."""

    def __init__(self, port: int, more: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self._data = b""
        self.send(f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0")
        self.connected = self.expect("CONNECTED")

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

    def publish(self, destination: str, body: str, more: str = "") -> Frame:
        return self.receipt(f"SEND\ndestination:{destination}\n{more}\n{body}\0")

    def message(self, body: str) -> Frame:
        frame = self.expect("MESSAGE")
        assert frame.body == body, frame
        return frame

    def nothing(self) -> None:
        self.publish("/topic/nobody.listens", "")

    def error(self) -> Frame:
        """The ERROR, after which the connection ends."""
        frame = self.expect("ERROR")
        while self.socket.recv(1 << 16):
            pass
        return frame

    def close(self) -> None:
        self.socket.close()


class House:
    """A server with one kind of storage. Where that keeps anything, ``restart`` kills it and starts it again."""

    def __init__(self, start: Callable[..., Any], kind: str, directory: Path) -> None:
        self.keeps = kind != "memory"
        self._start = start
        self._options = ["-q", kind, "--monitor-interval=0", "--linger=0.1"]
        self._directory = directory
        self._clients: list[Client] = []
        self.server = start(*self._options, directory=directory)

    def connect(self, more: str = "") -> Client:
        self._clients.append(Client(self.server.port, more))
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
    made = House(start_server, request.param, tmp_path)
    yield made
    made.close()
