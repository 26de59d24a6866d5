"""A socket client that knows no STOMP but how frames end.

Nothing here imports stompserver: a client that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from typing import NamedTuple

LIMIT = 20.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)


class Frame(NamedTuple):
    """A frame as it is on the wire: nothing unescaped, nothing merged."""

    command: str
    headers: list[tuple[str, str]]
    body: str

    def __getitem__(self, name: str) -> str:  # type: ignore[override]  # a header, not a place
        """The first header of that name, as STOMP 1.2 wants it."""
        return next(value for each, value in self.headers if each == name)

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self.headers)


class Client:
    """Literal bytes out, frames in. It speaks 1.2, or another version; ``more`` are header lines of its CONNECT."""

    def __init__(self, port: int, more: str = "", version: str = "1.2") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.early: list[Frame] = []  # messages that came before a receipt
        self._data = b""
        self.send(f"CONNECT\naccept-version:{version}\nhost:h\n{more}\n\0")
        self.expect("CONNECTED")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def frame(self) -> Frame:
        """The next frame on the wire, after those that came early."""
        while True:
            at = 0
            while self._data[at : at + 1] == b"\n":
                at += 1
            blank = self._data.find(b"\n\n", at)
            if blank >= 0:
                command, *lines = self._data[at:blank].decode().split("\n")
                headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
                end = blank + 2 + int(dict(headers).get("content-length", "0"))
                if len(self._data) > end:
                    assert self._data[end] == 0
                    body = self._data[blank + 2 : end].decode()
                    self._data = self._data[end + 1 :]
                    return Frame(command, headers, body)
            octets = self.socket.recv(1 << 16)
            assert octets, f"closed; unread: {self._data!r}"
            self._data += octets

    def expect(self, command: str) -> Frame:
        if command == "MESSAGE" and self.early:
            return self.early.pop(0)
        frame = self.frame()
        assert frame.command == command, frame
        return frame

    def receipt(self, text: str) -> Frame:
        """Send a frame, written without its receipt, and wait for that; messages may come before it."""
        command, _, rest = text.partition("\n")
        number = f"r{next(numbers)}"
        self.send(f"{command}\nreceipt:{number}\n{rest}")
        while (frame := self.frame()).command == "MESSAGE":
            self.early.append(frame)
        assert frame.command == "RECEIPT", frame
        assert frame["receipt-id"] == number
        return frame

    def subscribe(self, destination: str, id: str = "0", more: str = "", ack: str = "auto") -> Frame:
        return self.receipt(f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nack:{ack}\n{more}\n\0")

    def publish(self, destination: str, body: str, more: str = "") -> Frame:
        return self.receipt(f"SEND\ndestination:{destination}\n{more}\n{body}\0")

    def take(self, count: int) -> list[Frame]:
        """That many messages, and no more by now."""
        frames = [self.expect("MESSAGE") for _ in range(count)]
        self.nothing()
        return frames

    def bodies(self, count: int) -> list[str]:
        return [frame.body for frame in self.take(count)]

    def nothing(self) -> None:
        """Nothing has come by now."""
        self.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
        assert not self.early, self.early

    def error(self) -> Frame:
        """The ERROR that comes, after which the connection ends."""
        frame = self.expect("ERROR")
        while self.socket.recv(1 << 16):
            pass
        return frame

    def close(self) -> None:
        self.socket.close()

    def part(self) -> None:
        """Close, and wait until the server has seen that; may be closed already."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(1 << 16):
                pass
        self.close()

    def leave(self) -> None:
        """DISCONNECT, and wait until the server is done with it."""
        self.receipt("DISCONNECT\n\n\0")
        assert self.socket.recv(1) == b""
        self.socket.close()


class StrictClient(Client):
    """One for which nothing may come before a receipt."""

    def receipt(self, text: str) -> Frame:
        frame = super().receipt(text)
        assert not self.early, self.early
        return frame
