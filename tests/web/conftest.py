"""A client of HTTP and WebSocket that is made of sockets and literal octets, and knows nothing of the server."""

from __future__ import annotations

import importlib.util
import socket
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests import octets

DEADLINE = 20.0
KEY = b"\x01\x02\x03\x04"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
REQUEST = (
    b"GET %b HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)
V12 = b"Sec-WebSocket-Protocol: v12.stomp\r\n"
CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


def frame(payload: bytes, first: int = 0x80 | TEXT, key: bytes = KEY) -> bytes:
    """A frame of a client."""
    return octets.masked(first, payload, key)


masked = frame


class Got(NamedTuple):
    """A frame of the server."""

    first: int
    payload: bytes

    @property
    def close(self) -> tuple[int, str]:
        assert self.first == 0x80 | CLOSE, self
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()


class Browser:
    """One connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=DEADLINE)
        self._read = b""

    def send(self, *octets: bytes) -> None:
        for each in octets:
            self.socket.sendall(each)

    def request(
        self, path: bytes = b"/ws", more: bytes = V12, host: bytes = b"localhost", rest: bytes = b""
    ) -> str:
        """Ask for a WebSocket; the head of the answer."""
        self.send(REQUEST % (path, host, more) + rest)
        return self.head()

    def head(self) -> str:
        while b"\r\n\r\n" not in self._read:
            data = self.socket.recv(65536)
            assert data, self._read
            self._read += data
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        return head.decode()

    def take(self, octets: int) -> bytes:
        while len(self._read) < octets:
            data = self.socket.recv(65536)
            assert data, f"ended behind {self._read!r}"
            self._read += data
        taken, self._read = self._read[:octets], self._read[octets:]
        return taken

    def frame(self) -> Got:
        """The next frame of the server, which masks none (RFC 6455, 5.1)."""
        first, length = self.take(2)
        assert not length & 0x80
        if length == 126:
            (length,) = struct.unpack("!H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.take(8))
        return Got(first, self.take(length))

    def rest(self) -> bytes:
        """All until the server's end."""
        while data := self.socket.recv(65536):
            self._read += data
        taken, self._read = self._read, b""
        return taken

    def stomp(self, *octets: bytes) -> bytes:
        """Send that in a text message, and take what the next message brings."""
        self.send(*[frame(each) for each in octets])
        return self.frame().payload

    masked = staticmethod(masked)

    def close(self) -> None:
        self.socket.close()


MakeBrowser = Callable[..., Browser]


@pytest.fixture
def browse() -> Iterator[MakeBrowser]:
    """`browse(port)` connects; `browse(port, path)` asks for a WebSocket, too, and is connected by STOMP."""
    opened: list[Browser] = []

    def make(port: int, path: bytes = b"", hello: bytes = CONNECT, host: str = "127.0.0.1") -> Browser:
        opened.append(Browser(port, host))
        if path:
            assert opened[-1].request(path).startswith("HTTP/1.1 101 ")
            assert opened[-1].stomp(hello).startswith(b"CONNECTED\n")
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture(name="frame")
def frame_of_a_client() -> Callable[..., bytes]:
    """`frame(payload, first=0x81)`: a frame of a client."""
    return frame


@pytest.fixture(scope="session")
def servers(start_shared_server: Any) -> Callable[..., Any]:
    """`servers(*options)`: one server for all tests that want these options."""
    return cache(start_shared_server)


@pytest.fixture
def shell(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """The server whose time is moved by hand, of tests/server, with clients that nobody knows yet (`arrive`), and
    such that have asked for a WebSocket (`browser`).
    """
    spec = importlib.util.spec_from_file_location(
        "hand_made", Path(__file__).parents[1] / "server" / "conftest.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Wire(module.Wire):  # type: ignore[name-defined,misc]
        def set_protocol(self, protocol: Any) -> None:
            self.protocol = protocol

    class Shell(module.Shell):  # type: ignore[name-defined,misc]
        def arrive(self, address: str = "127.0.0.1") -> Any:
            wire = Wire(self.loop, address)
            wire.protocol = self.server.open(0)
            wire.protocol.connection_made(wire)
            self.turn(2)
            return wire

        def browser(self) -> Any:
            wire = self.arrive()
            wire.send(REQUEST % (b"/ws", b"localhost", V12))
            assert wire.got.startswith(b"HTTP/1.1 101 "), wire.got
            wire.got = b""
            return wire

        def stomp(self, wire: Any) -> bytes:
            """What is in the messages that it got."""
            found, at = b"", 0
            while at < len(wire.got):
                first, length = wire.got[at], wire.got[at + 1]
                size = {126: 2, 127: 8}.get(length, 0)
                if size:
                    length = int.from_bytes(wire.got[at + 2 : at + 2 + size], "big")
                at += 2 + size + length
                if first & 15 in (CONT, TEXT, BINARY):
                    found += wire.got[at - length : at]
            return found

    shells: list[Any] = []

    def make(**options: Any) -> Any:
        shells.append(Shell(None, options))
        return shells[-1]

    yield make
    for each in shells:
        each.close()
