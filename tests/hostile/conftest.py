"""What tests of hostile clients share: a client that is only a socket and sends literal bytes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

LIMIT = 30.0
"""Seconds after which a missing answer is a failure; never waited for when all is well."""


class Talker:
    """Literal octets out, frames in, as they are on the wire and without their NUL. Bodies must hold no NUL."""

    def __init__(self, port: int, more: str = "", version: str = "1.2") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.data = bytearray()
        self.send(f"CONNECT\naccept-version:{version}\nhost:h\n{more}\n\0")
        assert self.frame().startswith("CONNECTED\n")

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def frame(self) -> str:
        """The next frame."""
        while True:
            while self.data[:1] == b"\n":
                del self.data[:1]
            frame, nul, _ = self.data.partition(b"\0")
            if nul:
                del self.data[: len(frame) + 1]
                return frame.decode()
            octets = self.socket.recv(1 << 20)
            assert octets, f"closed after {bytes(self.data[:300])!r}"
            self.data += octets

    def ask(self, text: str) -> str:
        """Send a frame, written without its receipt and with its NUL, and return the next frame."""
        command, _, rest = text.partition("\n")
        self.send(f"{command}\nreceipt:r\n{rest}")
        return self.frame()

    def done(self, text: str) -> None:
        """Send a frame that is to get its RECEIPT."""
        answer = self.ask(text)
        assert answer.startswith("RECEIPT\nreceipt-id:r\n"), answer

    def echo(self) -> None:
        """Send itself a message: the server is there for others."""
        self.done("SUBSCRIBE\nid:echo\ndestination:/topic/echo\n\n\0")
        self.send("SEND\ndestination:/topic/echo\n\nhello\0")
        assert self.frame().endswith("\n\nhello")
        self.done("UNSUBSCRIBE\nid:echo\n\n\0")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def closing() -> Iterator[Callable[[Any], Any]]:
    """``closing(client)`` is that client, which is closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda client: stack.enter_context(contextlib.closing(client))


@pytest.fixture
def talk(closing: Callable[[Talker], Talker]) -> Callable[..., Talker]:
    """``talk(port, more header lines, version)`` connects a client."""
    return lambda port, more="", version="1.2": closing(Talker(port, more, version))
