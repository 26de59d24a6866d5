"""Two servers, on memory and on lmdb, for all tests here, and a client that says literal octets.

Each test stands for a report somebody made to another project; its docstring begins with that report, and
docs/explanation/reported-elsewhere.md has the row.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.delivery.wire import LIMIT, Client, Frame
from tests.session.conftest import World

numbers = itertools.count(1)


class Visitor(Client):
    """A client that says what the test says, CONNECT too."""

    version = ""

    def __init__(self, port: int, hello: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.early = []
        self._data = b""
        self.send(hello)

    def pieces(self, text: str) -> None:
        """Octet by octet, each in a packet of its own as far as a socket allows."""
        for octet in text.encode():
            self.socket.sendall(bytes([octet]))

    def settle(self, frame: Frame, command: str = "ACK", more: str = "") -> Frame:
        """ACK, or another command, of this MESSAGE in the words of the version; its RECEIPT."""
        if self.version == "1.2":
            name = f"id:{frame['ack']}\n"
        else:
            name = f"message-id:{frame['message-id']}\nsubscription:{frame['subscription']}\n"
        return self.receipt(f"{command}\n{name}{more}\n\0")

    def rest(self) -> bytes:
        """All octets until the server closes."""
        octets = self._data
        while more := self.socket.recv(1 << 16):
            octets += more
        return octets


class Place:
    """Names that no other test has, on a server that others use, too."""

    def __init__(self, port: int) -> None:
        number = next(numbers)
        self.port = port
        self.name = f"place{number}"
        self.queue = f"/queue/place{number}"
        self.topic = f"/topic/place{number}"
        self._clients: list[Client] = []

    def visit(self, hello: str = "") -> Visitor:
        """A connection on which this was said."""
        self._clients.append(visitor := Visitor(self.port, hello))
        return visitor

    def connect(self, version: str = "1.2", more: str = "") -> Visitor:
        visitor = self.visit(f"CONNECT\naccept-version:{version}\nhost:h\n{more}\n\0")
        assert visitor.expect("CONNECTED")["version"] == version
        visitor.version = version
        return visitor

    def left(self) -> list[str]:
        """What is in the queue; it is empty then."""
        client = self.connect()
        client.subscribe(self.queue)
        client.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
        bodies = [frame.body for frame in client.early]
        client.early.clear()
        return bodies

    def close(self) -> None:
        for client in self._clients:
            client.part()


@pytest.fixture(scope="session")
def ports(start_shared_server: Any) -> Callable[[str], int]:
    """The port of the server with this storage."""
    started: dict[str, Any] = {}

    def find(kind: str) -> int:
        if kind not in started:
            started[kind] = start_shared_server("-q", kind, "--monitor-interval=0", "--linger=0.1")
        return int(started[kind].port)

    return find


@pytest.fixture
def new_place() -> Iterator[Callable[[int], Place]]:
    """``new_place(port)`` is one on a server of the test's own."""
    made: list[Place] = []

    def make(port: int) -> Place:
        made.append(Place(port))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=["memory", "lmdb"])
def place(request: pytest.FixtureRequest, ports: Callable[[str], int]) -> Iterator[Place]:
    made = Place(ports(request.param))
    yield made
    made.close()


@pytest.fixture
def new_world() -> Callable[..., World]:
    """Sessions in this process: ``new_world(**settings)``."""
    return World
