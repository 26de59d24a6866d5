"""A connection that says literal octets, reads whatever comes, and gives up when its time is over."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

KEPT = 1 << 18
"""Octets of what came that are kept to be searched."""

MARK = re.compile(rb"\nack:([^\n]*-|)\d+\n")

HELLO = {
    "1.0": b"CONNECT\n%b\n\0",
    "1.1": b"CONNECT\naccept-version:1.1\nhost:h\n%b\n\0",
    "1.2": b"CONNECT\naccept-version:1.2\nhost:h\n%b\n\0",
}


READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


def ready(file: int, seconds: float, events: int = select.POLLIN) -> int:
    """Wait for `events` of a file: which came. (`select` knows no files above 1,023.)"""
    poll = select.poll()
    poll.register(file, events)
    found = poll.poll(max(0.0, seconds) * 1000)
    return found[0][1] if found else 0


class NoAnswer(Exception):
    """What was waited for did not come in time."""


class RefusedByServer(Exception):
    """The server answered with an ERROR, or closed the connection; the text is its summary."""


class Wire:
    """Connects and logs in. `until` is the time (monotonic) at which all waiting ends, with NoAnswer."""

    def __init__(
        self,
        port: int,
        until: float,
        *,
        version: str = "1.2",
        headers: bytes = b"",
        deaf: bool = False,
        hello: bool = True,
    ) -> None:
        self.until = until
        self.came = 0
        self.tail = b""
        self.sock = socket.socket()
        if deaf:
            # A small window: what is not read fills the server's side soon.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(max(0.1, until - time.monotonic()))
        try:
            self.sock.connect(("127.0.0.1", port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setblocking(False)
            if hello:
                self.say(HELLO[version] % headers)
                self.wait(b"CONNECTED\n")
        except OSError as error:
            self.sock.close()
            raise NoAnswer(f"no connection: {error}") from error
        except BaseException:
            self.sock.close()
            raise

    def say(self, *pieces: bytes) -> None:
        """Send all of it, reading what comes meanwhile."""
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[self.sock.send(rest) :]
                    continue
                except BlockingIOError:
                    pass
                except OSError:
                    self._look()
                    raise RefusedByServer(self.error() or "the server closed the connection") from None
                left = self.until - time.monotonic()
                if left <= 0:
                    raise NoAnswer(f"{len(rest):,} octets were not taken")
                if ready(self.sock.fileno(), min(left, 1.0), select.POLLIN | select.POLLOUT) & READABLE:
                    self._look()

    def pour(self, frames: Iterable[bytes], octets: int = 1 << 18) -> None:
        """Send many small frames, some at a time."""
        gathered: list[bytes] = []
        size = 0
        for frame in frames:
            gathered.append(frame)
            size += len(frame)
            if size >= octets:
                self.say(b"".join(gathered))
                gathered.clear()
                size = 0
        self.say(b"".join(gathered))

    def _look(self) -> None:
        """Read what is there."""
        with suppress(BlockingIOError, OSError):
            while True:
                data = self.sock.recv(1 << 18)
                if not data:
                    raise RefusedByServer(self.error() or "the server closed the connection")
                self.came += len(data)
                self.tail = (self.tail + data)[-KEPT:]

    def error(self) -> str:
        """The summary of an ERROR that came; empty when none did."""
        at = self.tail.find(b"ERROR\nmessage:")
        return self.tail[at + 14 :].partition(b"\n")[0].decode("utf-8", "replace")[:100] if at >= 0 else ""

    def wait(self, wanted: bytes) -> None:
        """Until `wanted` came; it is forgotten then, with all before it."""
        while True:
            _, found, after = self.tail.partition(wanted)
            if found:
                self.tail = after
                return
            self._more(wanted.decode("utf-8", "replace").strip())

    def mark(self) -> bytes:
        """What this connection's ack headers have before the number that counts up from 1; nothing is forgotten."""
        while True:
            found = MARK.search(self.tail)
            if found:
                return found.group(1)
            self._more("ack header")

    def _more(self, wanted: str) -> None:
        """Read what comes within a second."""
        if self.error():
            raise RefusedByServer(self.error())
        left = self.until - time.monotonic()
        if left <= 0:
            raise NoAnswer(f"no {wanted!r}")
        if ready(self.sock.fileno(), min(left, 1.0)):
            self._look()

    def done(self, frame: bytes) -> None:
        """Send a frame, written without its receipt, and wait for that."""
        command, _, rest = frame.partition(b"\n")
        self.say(command + b"\nreceipt:done\n" + rest)
        self.wait(b"receipt-id:done\n")

    def drain(self, seconds: float) -> None:
        """Read away what is there, and what comes for so long."""
        self._look()
        end = min(self.until, time.monotonic() + seconds)
        while (left := end - time.monotonic()) > 0:
            if ready(self.sock.fileno(), left):
                self._look()

    def close(self, hard: bool = False) -> None:
        if hard:
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


def send(destination: bytes, body: bytes = b"x", more: bytes = b"") -> bytes:
    return b"SEND\ndestination:%b\n%bcontent-length:%d\n\n%b\0" % (destination, more, len(body), body)


def subscribe(destination: bytes, id: int = 1, more: bytes = b"", ack: bytes = b"auto") -> bytes:
    return b"SUBSCRIBE\nid:%d\ndestination:%b\nack:%b\n%b\n\0" % (id, destination, ack, more)
