"""What it costs to come by another way than plain TCP: CPU a message by that of plain TCP, memory of who is idle.

A producer and a consumer, a block of messages at a time: the next is sent when all have come, so that both ways do
the same work in the same order. They take turns, so that what else the machine does is the same for both.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Final

from bench import frames
from bench.case import Sample
from bench.link import dial
from bench.receiver import CountError
from bench.target import Target

BLOCK: Final = 200
"""Messages under way at once."""

TURNS: Final = 10
"""So often each way has its turn."""

WEBSOCKET_METRIC: Final = "WebSocket / plain TCP, CPU"
IDLE_METRIC: Final = "idle WebSocket RSS"
IDLE_CONNECTIONS: Final = 2000

UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
)


def framed(octets: bytes) -> bytes:
    """A frame of a client. Zeros as the mask spare the generator the work; the server does not look at them."""
    size = len(octets)
    head = bytes((0x82, 0x80 | size)) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + octets


def as_it_is(octets: bytes) -> bytes:
    """As plain TCP has it."""
    return octets


class Way:
    """A producer and a consumer of a queue, over WebSocket or not."""

    def __init__(self, stack: ExitStack, target: Target, name: str, websocket: bool) -> None:
        self._wrap = framed if websocket else as_it_is
        queue = f"{target.subject.queue_prefix}{name}".encode()
        self._producer = self._open(stack, target, websocket)
        self._consumer = self._open(stack, target, websocket)
        subscribe = frames.subscribe(queue, 1, "auto", "subscribed", target.subject.subscribe_headers)
        self._consumer.sendall(self._wrap(subscribe))
        _until(self._consumer, 1)
        body = frames.body_of(100)
        head = b"SEND\ndestination:%b\ncontent-length:%d\ncorrelation-id:c-%%d\n\n" % (queue, len(body))
        sends = [head % number + body + b"\0" for number in range(BLOCK)]
        self._block = b"".join(map(self._wrap, sends))

    def _open(self, stack: ExitStack, target: Target, websocket: bool) -> socket.socket:
        sock = stack.enter_context(dial(target.port, target.subject.patience))
        if websocket:
            upgrade(sock)
        sock.sendall(self._wrap(frames.connect(target.subject.version, target.subject.connect_headers)))
        _until(sock, 1)
        return sock

    def run(self, blocks: int) -> None:
        """Send and receive so many blocks."""
        for _ in range(blocks):
            self._producer.sendall(self._block)
            _until(self._consumer, BLOCK)


def upgrade(sock: socket.socket) -> None:
    """Make it WebSocket. Raises CountError when the server does not."""
    sock.sendall(UPGRADE)
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        data = sock.recv(4096)
        if not data:
            raise CountError(f"no WebSocket: {got[:200]!r}")
        got += data
    if not got.startswith(b"HTTP/1.1 101 "):
        raise CountError(f"no WebSocket: {got[:200]!r}")


def _until(sock: socket.socket, count: int) -> None:
    """Read so many frames of STOMP: bodies and what is around them hold no NUL followed by a line end but these."""
    found = 0
    last = b""
    while found < count:
        data = sock.recv(1 << 18)
        if not data:
            raise CountError("the server closed the connection")
        found += (last + data).count(b"\0\n")
        last = data[-1:] if data[-1:] == b"\0" else b""
    if found > count:
        raise CountError(f"{found} frames came, and {count} were due")


def by_websocket(target: Target, messages: int) -> Sample:
    """Server's CPU a message over WebSocket by that over plain TCP."""
    blocks = max(1, messages // BLOCK // TURNS)
    with ExitStack() as stack:
        ways = [Way(stack, target, "plain", False), Way(stack, target, "framed", True)]
        for way in ways:
            way.run(10)
        used = [0.0, 0.0]
        own, start = time.process_time(), time.perf_counter()
        for _ in range(TURNS):
            for number, way in enumerate(ways):
                cpu = target.cpu_seconds()
                way.run(blocks)
                used[number] += target.cpu_seconds() - cpu
        seconds = time.perf_counter() - start
        own = time.process_time() - own
    total = 2 * blocks * TURNS * BLOCK
    return Sample({WEBSOCKET_METRIC: used[1] / used[0]}, total, seconds, own / seconds, sum(used) / seconds)


def idle(target: Target, connections: int) -> Sample:
    """Memory of a WebSocket connection that logged in and does nothing, in KiB; heart-beats off."""
    connect = framed(frames.connect(target.subject.version, target.subject.connect_headers))

    def open(stack: ExitStack) -> None:
        sock = stack.enter_context(dial(target.port, target.subject.patience))
        upgrade(sock)
        sock.sendall(connect)
        _until(sock, 1)

    with ExitStack() as stack:
        for _ in range(50):
            open(stack)
    before, _ = target.memory()
    cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
    with ExitStack() as stack:
        for _ in range(connections):
            open(stack)
        seconds = time.perf_counter() - start
        own = time.process_time() - own
        server = target.cpu_seconds() - cpu
        after, _ = target.memory()
    value = (after - before) / connections / 1024
    return Sample({IDLE_METRIC: value}, connections, seconds, own / seconds, server / seconds)
