"""What the load tests share: a client that is only a socket, and how large the server's process is.

Frames are written and read as literal bytes, many at once; nothing here imports stompserver.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

LIMIT = 30.0  # seconds after which a missing answer is a failure; never waited for when all is well
MIB = 1024 * 1024
CONNECT = b"CONNECT\naccept-version:1.2\nhost:localhost\n%b\n\0"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
numbers = itertools.count(1)


class Client:
    """Literal bytes out, literal bytes in. ``data`` is what was read and not taken yet."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(LIMIT)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()

    def connect(self, headers: bytes = b"") -> Client:
        self.send(CONNECT % headers)
        assert self.frame().startswith(b"CONNECTED\n")
        return self

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def offer(self, data: bytes) -> int:
        """Send as much as goes at once; the octets sent."""
        self.socket.setblocking(False)
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        finally:
            self.socket.settimeout(LIMIT)

    def read(self) -> bool:
        """Read once; False at the end of the stream, be it a reset."""
        try:
            octets = self.socket.recv(1 << 20)
        except ConnectionError:
            return False
        self.data += octets
        return bool(octets)

    def frame(self) -> bytes:
        """The next frame, without its NUL and the line ends around it (bodies must not hold NUL)."""
        while True:
            while self.data[:1] == b"\n":
                del self.data[:1]
            frame, nul, _ = self.data.partition(b"\0")
            if nul:
                del self.data[: len(frame) + 1]
                return bytes(frame)
            assert self.read(), f"closed after {bytes(self.data[:300])!r}"

    def receipt(self, number: str) -> None:
        frame = self.frame()
        assert frame == b"RECEIPT\nreceipt-id:%b\n\n" % number.encode(), frame[:500]

    def barrier(self) -> None:
        """Wait until all that was sent is processed; no other frame may come."""
        number = f"barrier{next(numbers)}"
        self.send(f"SEND\ndestination:/topic/nobody.listens\nreceipt:{number}\n\n\0".encode())
        self.receipt(number)

    def subscribe(self, destination: str, ack: str = "auto", more: str = "") -> Client:
        frame = f"SUBSCRIBE\nid:1\ndestination:{destination}\nack:{ack}\n{more}receipt:subscribed\n\n\0"
        self.send(frame.encode())
        self.receipt("subscribed")
        return self

    def body(self) -> bytes:
        frame = self.frame()
        assert frame.startswith(b"MESSAGE\n"), frame[:500]
        return frame.partition(b"\n\n")[2]

    def exchange(self, data: bytes, until: Callable[[], bool]) -> None:
        """Send all of ``data`` while reading, and read until ``until()``, which looks at ``data``."""
        rest = memoryview(data)
        until_time = time.monotonic() + 10 * LIMIT
        self.socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while rest or not until():
                assert time.monotonic() < until_time, f"{len(rest)} octets not taken"
                if not rest:
                    selector.modify(self.socket, selectors.EVENT_READ)
                for _, events in selector.select(1):
                    if events & selectors.EVENT_WRITE:
                        with contextlib.suppress(BlockingIOError):
                            rest = rest[self.socket.send(rest[:MIB]) :]
                    if events & selectors.EVENT_READ:
                        assert self.read(), f"closed after {bytes(self.data[-500:])!r}"
        self.socket.settimeout(LIMIT)

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        with contextlib.suppress(TimeoutError):
            while self.read():
                pass
            rest = bytes(self.data)
            self.data.clear()
            return rest
        raise AssertionError(f"not closed; last: {bytes(self.data[-500:])!r}")

    def error(self) -> str:
        """The text of the ERROR that ends the stream; whatever frames come before it are whole."""
        rest = self.rest()
        frames = [frame.lstrip(b"\n") for frame in rest.split(b"\0")]
        assert frames[-1] == b"", f"a frame is cut: {frames[-1][-300:]!r}"
        assert frames[-2].startswith(b"ERROR\n"), f"no ERROR at the end: {rest[-500:]!r}"
        return frames[-2].decode()

    def reset(self) -> None:
        """Close as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def frame(destination: str, body: bytes = b"", more: str = "") -> bytes:
    """A SEND frame."""
    head = f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n"
    return head.encode() + body + b"\0"


class Steady:
    """A well-behaved client beside others: it sends to itself through a queue and acknowledges, in order."""

    def __init__(self, client: Client) -> None:
        self._client = client.subscribe("/queue/steady", "client-individual")
        self._count = 0

    def exchange(self, times: int = 1) -> None:
        for _ in range(times):
            self._count += 1
            self._client.send(b"SEND\ndestination:/queue/steady\n\n%d\0" % self._count)
            frame = self._client.frame()
            head, _, body = frame.partition(b"\n\n")
            assert head.startswith(b"MESSAGE\n") and int(body) == self._count, frame
            self._client.send(b"ACK\nid:%b\n\n\0" % head.partition(b"\nack:")[2].partition(b"\n")[0])


class Watched:
    """A started server, and what its process takes from the machine."""

    def __init__(self, server: Any, clients: list[Client]) -> None:
        self.server = server
        self.port = server.port
        self.process = psutil.Process(server.process.pid)
        self.log = server.log
        self.wait_for_log = server.wait_for_log
        self.stop = server.stop
        self._clients = clients

    def open(self, receive_buffer: int = 0) -> Client:
        client = Client(self.port, receive_buffer)
        self._clients.append(client)
        return client

    def connect(self, headers: bytes = b"", receive_buffer: int = 0) -> Client:
        return self.open(receive_buffer).connect(headers)

    def steady(self) -> Steady:
        return Steady(self.connect())

    @property
    def memory(self) -> float:
        """MiB that the process holds now (RSS)."""
        return self.process.memory_info().rss / MIB

    @property
    def most_memory(self) -> float:
        """MiB that it ever held (VmHWM)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
        assert found
        return int(found[1]) / 1024

    @property
    def files(self) -> int:
        """Open file descriptors."""
        return self.process.num_fds()

    def reload(self, *lines: str, until: str = "read again") -> None:
        """Give the server these lines as its configuration file, and have it read them."""
        (self.server.directory / "stompserver.conf").write_text("".join(f"{line}\n" for line in lines))
        before = self.log().count(until)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log(f"(?s)({until}.*){{{before + 1}}}")

    def quiet(self) -> None:
        """Log no connections and subscriptions, of which there will be many."""
        # What needs a restart is a warning: it shows that the file was read.
        self.reload("log-level: warning", "checkpoint: 1", until="only a restart")

    def settle(self, files: int) -> None:
        """Wait until the server has closed what its clients closed: it has ``files`` descriptors again."""
        until = time.monotonic() + LIMIT
        probe = self.connect()
        while self.files > files + 1:
            assert time.monotonic() < until, f"{self.files} descriptors, {files} expected"
            probe.barrier()
        probe.close()


@pytest.fixture
def watch(start_server: Any) -> Iterator[Callable[..., Watched]]:
    """`watch(*options)` starts a server. Its clients are closed before it is stopped."""
    clients: list[Client] = []

    def start(*options: str, **more: Any) -> Watched:
        return Watched(start_server(*options, **more), clients)

    yield start
    for client in clients:
        client.close()
