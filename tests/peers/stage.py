"""What a scenario plays on: connections to one broker, literal frames out, and what comes back as one line of text.

Nothing here imports stompserver: a client that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

LIMIT = 20.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)
RUN = f"{os.getpid():x}"
CONNECT = "CONNECT\naccept-version:{version}\nhost:/\nlogin:guest\npasscode:guest\n{more}\n\0"


class SetupError(Exception):
    """Something came that a scenario only wanted on its way to what it asks."""


class Frame(NamedTuple):
    """A frame as it is on the wire: nothing unescaped, nothing merged."""

    command: str
    headers: list[tuple[str, str]]
    body: str

    def __getitem__(self, name: str) -> str:  # type: ignore[override]  # a header, not a place
        """The first header of that name, as STOMP 1.2 wants it."""
        return next(value for each, value in self.headers if each == name)

    def get(self, name: str) -> str:
        """As ``frame[name]``, and empty without one."""
        return next((value for each, value in self.headers if each == name), "")

    def all(self, name: str) -> str:
        """All values of a header, in quotes; ``none`` without one."""
        return " and ".join(f"'{value}'" for each, value in self.headers if each == name) or "none"


def frame_of(octets: bytes) -> tuple[Frame | None, bytes]:
    """The first whole frame, or None, and what is behind it."""
    octets = octets.lstrip(b"\r\n")
    head, found, rest = octets.partition(b"\n\n")
    if not found:
        return None, octets
    command, *lines = head.decode("utf-8", "backslashreplace").split("\n")
    headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
    length = next((int(value) for name, value in headers if name == "content-length"), None)
    end = rest.find(b"\0") if length is None else length
    if end < 0 or len(rest) <= end:
        return None, octets
    body = rest[:end].decode("utf-8", "backslashreplace")
    return Frame(command, headers, body), rest[end + 1 :]


class Line:
    """One connection. ``quiet`` is how long nothing must come until nothing more is expected, in seconds; with 0 the
    broker promises that what it has to say comes before the RECEIPT of a later SEND."""

    def __init__(self, port: int, quiet: float) -> None:
        self.quiet = quiet
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = Frame("", [], "")
        self._early: list[Frame] = []
        self._data = b""
        self._ended = False

    def say(self, text: str | bytes) -> None:
        """These octets; whether anybody listens is found when hearing."""
        with suppress(OSError):
            self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def _read(self, seconds: float) -> Frame | None:
        """The next frame within that time; None when none came, or the connection ended (``_ended``)."""
        until = time.monotonic() + seconds
        while True:
            frame, self._data = frame_of(self._data)
            if frame:
                return frame
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                octets = self.socket.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                octets = b""
            if not octets:
                self._ended = True
                return None
            self._data += octets

    def beat(self, seconds: float) -> bool:
        """Whether a line end comes within that time, where nothing else is to come."""
        self._data = b""
        self.socket.settimeout(seconds)
        with suppress(TimeoutError):
            return self.socket.recv(1 << 16).strip(b"\r\n") == b""
        return False

    def frame(self) -> Frame:
        """The next frame, which must come."""
        if self._early:
            return self._early.pop(0)
        frame = self._read(LIMIT)
        if frame is None:
            raise SetupError(f"no frame, {'closed' if self._ended else 'silence'}; unread: {self._data!r}")
        return frame

    def message(self) -> Frame:
        """The next frame, which must be a MESSAGE."""
        frame = self.frame()
        if frame.command != "MESSAGE":
            raise SetupError(f"not a MESSAGE: {frame}")
        return frame

    def messages(self, count: int) -> list[Frame]:
        return [self.message() for _ in range(count)]

    def receipt(self, text: str) -> Frame:
        """Send a frame, written without its receipt, and wait for that; messages may come before it."""
        command, _, rest = text.partition("\n")
        number = f"r{next(numbers)}"
        self.say(f"{command}\nreceipt:{number}\n{rest}")
        early = []
        while (frame := self._read(LIMIT)) and frame.command == "MESSAGE":
            early.append(frame)
        self._early += early
        if frame is None or frame.command != "RECEIPT" or frame["receipt-id"] != number:
            raise SetupError(f"not the receipt of {text!r}: {frame}")
        return frame

    def frames(self) -> list[Frame]:
        """All that comes until nothing more is to be expected, or the connection ends."""
        found, self._early = self._early, []
        fence = f"fence{next(numbers)}"
        if not self.quiet:
            self.say(f"SEND\ndestination:/topic/nobody.listens\nreceipt:{fence}\n\n\0")
        while not self._ended:
            frame = self._read(self.quiet or LIMIT)
            if frame is None and not self._ended:
                if not self.quiet:
                    raise SetupError(f"no answer; so far: {found}")
                break
            if frame is not None and frame.get("receipt-id") == fence and frame.command == "RECEIPT":
                break
            if frame is not None:
                found.append(frame)
                if frame.command == "ERROR" and not self.quiet:
                    # Behind it the connection ends; the fence is not looked at any more.
                    self._read(LIMIT)
        return found

    def hear(self, *shown: str) -> str:
        """All that comes by now: bodies of messages with these headers, RECEIPT, ERROR, and whether it is closed."""
        parts = [self._text(frame, shown) for frame in self.frames()]
        parts += ["closed"] * self._ended
        return ", ".join(parts) or "nothing"

    @staticmethod
    def _text(frame: Frame, shown: Sequence[str]) -> str:
        if frame.command != "MESSAGE":
            return "RECEIPT with a warning" if frame.get("warning") else frame.command
        headers = [
            f"{name}:{frame[name]}" for name in shown if any(name == each for each, _ in frame.headers)
        ]
        return f"{frame.body} ({', '.join(headers)})" if headers else frame.body

    def subscribe(self, destination: str, ack: str = "auto", more: str = "", id: str = "0") -> None:
        self.receipt(f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nack:{ack}\n{more}\n\0")

    def send(self, destination: str, *bodies: str, more: str = "") -> None:
        for body in bodies:
            self.receipt(f"SEND\ndestination:{destination}\n{more}\n{body}\0")

    def cut(self) -> None:
        """Close, as a program that dies does, and wait until the broker has seen that."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(LIMIT)
            while self.socket.recv(1 << 16):
                pass
        self.socket.close()
        # The peers close first and give back afterwards.
        time.sleep(self.quiet)

    def leave(self) -> None:
        """DISCONNECT with a receipt, and close."""
        self.receipt("DISCONNECT\n\n\0")
        self.cut()


class Stage:
    """One broker, and names that no other scenario has."""

    def __init__(self, port: int, words: str, quiet: float) -> None:
        self.port = port
        self.quiet = quiet
        self.words = words
        """``rabbitmq`` or ``activemq``: whose words this broker understands."""
        self.name = f"p{RUN}x{next(numbers)}"
        self.queue = f"/queue/{self.name}"
        self.topic = f"/topic/{self.name}"
        self._lines: list[Line] = []

    def either(self, rabbitmq: str, activemq: str) -> str:
        """The words of this broker."""
        return rabbitmq if self.words == "rabbitmq" else activemq

    def dial(self) -> Line:
        """A connection on which nothing was said yet."""
        self._lines.append(line := Line(self.port, self.quiet))
        return line

    def connect(self, version: str = "1.2", more: str = "") -> Line:
        line = self.dial()
        line.say(CONNECT.format(version=version, more=more))
        line.connected = line.frame()
        if line.connected.command != "CONNECTED":
            raise SetupError(f"not connected: {line.connected}")
        return line

    def left(self, destination: str = "", *shown: str) -> str:
        """What a newcomer gets of the queue, which is empty then."""
        line = self.connect()
        line.subscribe(destination or self.queue)
        heard = line.hear(*shown)
        line.cut()
        return heard

    def wait(self, seconds: float) -> None:
        """Let time go by where that is what the scenario is about: both servers have clocks of their own."""
        time.sleep(seconds)

    def plain(self, text: str) -> str:
        """Without what is different each time."""
        return re.sub(rf"{self.name}", "q", text)

    def close(self) -> None:
        for line in self._lines:
            with suppress(OSError):
                line.socket.close()
