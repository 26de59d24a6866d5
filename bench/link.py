"""A blocking connection for what happens outside the clock: CONNECT, SUBSCRIBE, DISCONNECT."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Sequence

from bench import frames
from bench.receiver import CountError


def dial(port: int, timeout: float) -> socket.socket:
    """A blocking connection to `port` of this machine whose reads give up after `timeout` seconds."""
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The kernel's time limit: Python's `settimeout` would add a poll() to every receive.
    limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    return sock


class Link:
    """A connected client that waits for answers; its socket is handed to the generator afterwards."""

    def __init__(
        self, port: int, version: str, headers: Sequence[tuple[str, str]], timeout: float = 10.0
    ) -> None:
        """Connect and log in; raises OSError when nobody listens, CountError without a CONNECTED."""
        self.sock = dial(port, timeout)
        try:
            self.buffer = b""
            self.sock.sendall(frames.connect(version, headers))
            self.connected = self.expect(b"CONNECTED")
        except BaseException:
            self.sock.close()
            raise

    def next_frame(self) -> bytes:
        """The next frame without line ends before it and without its NUL (bodies hold no NUL here)."""
        while True:
            frame, nul, rest = self.buffer.lstrip(b"\n").partition(b"\0")
            if nul:
                self.buffer = rest
                return frame
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                raise CountError(f"no answer in time; so far: {self.buffer[-300:]!r}") from None
            if not data:
                raise CountError(f"the server closed the connection; last bytes: {self.buffer[-300:]!r}")
            self.buffer += data

    def expect(self, command: bytes) -> bytes:
        """The next frame, which must be a `command`."""
        frame = self.next_frame()
        if not frame.startswith(command + b"\n"):
            raise CountError(f"expected {command.decode()}, got {frame[:300]!r}")
        return frame

    def subscribe(self, destination: bytes, id: int, ack: str, headers: Sequence[tuple[str, str]]) -> None:
        """Subscribe and wait until the server has done it."""
        self.ask(frames.subscribe(destination, id, ack, f"sub-{id}", headers))

    def ask(self, frame: bytes) -> None:
        """Send a frame that asks for a receipt, and wait for it."""
        self.sock.sendall(frame)
        self.expect(b"RECEIPT")

    def subscribe_all(self, destinations: Sequence[bytes], headers: Sequence[tuple[str, str]]) -> None:
        """Many automatic subscriptions, one receipt for the last of them."""
        last = len(destinations) - 1
        self.sock.sendall(
            b"".join(
                frames.subscribe(destination, id, "auto", "sub-all" if id == last else "", headers)
                for id, destination in enumerate(destinations)
            )
        )
        self.expect(b"RECEIPT")

    def server_name(self) -> str:
        """The `server` header of CONNECTED, or an empty string."""
        found = re.search(rb"\nserver:([^\n]*)", self.connected)
        return found[1].decode() if found else ""

    def goodbye(self) -> None:
        """DISCONNECT, wait for its receipt, close; raises CountError for a message instead: a duplicate."""
        self.sock.setblocking(True)
        self.sock.sendall(b"DISCONNECT\nreceipt:goodbye\n\n\0")
        self.expect(b"RECEIPT")
        self.sock.close()

    def close(self) -> None:
        self.sock.close()
