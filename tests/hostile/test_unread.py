"""Clients that do not read, and are many: what waits for them is in memory once, or is bounded for all together. From
outside, by the memory of the process.
"""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")

MIB = 1 << 20
LIMIT = 16 * MIB
"""memory-limit of these servers."""
COUNT = 200
MOST = 40 * MIB
"""Bytes by which the process may grow; they were 58 to 176 MiB, but for large messages on uvloop."""
PATIENCE = 20.0

HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


def peak(pid: int) -> int:
    """Bytes of memory that a process had at most."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def send(destination: str, body: bytes) -> bytes:
    return f"SEND\ndestination:{destination}\ncontent-length:{len(body)}\n\n".encode() + body + b"\0"


def read_until(sock: socket.socket, wanted: bytes) -> None:
    got = b""
    while wanted not in got:
        data = sock.recv(1 << 16)
        assert data, got
        got += data


def pour(sock: socket.socket, frames: bytes, seconds: float) -> int:
    """Send until all is sent, or the server took nothing for so long; how many octets were taken."""
    sock.setblocking(False)
    rest = memoryview(frames)
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    while rest and poll.poll(seconds * 1000):
        rest = rest[sock.send(rest) :]
    sock.settimeout(PATIENCE)
    return len(frames) - len(rest)


def is_there(port: int) -> None:
    """For others, and what was due is done."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as other:
        other.sendall(HELLO)
        for number in range(10):
            other.sendall(b"SUBSCRIBE\nid:%d\ndestination:/queue/other\nreceipt:s%d\n\n\0" % (number, number))
            read_until(other, b"receipt-id:s%d\n" % number)


@pytest.fixture
def deaf() -> Iterator[Callable[[int], socket.socket]]:
    """``deaf(port)`` logs in with a small window, and is closed after the test."""
    with ExitStack() as stack:

        def connect(port: int) -> socket.socket:
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", port))
            sock.sendall(HELLO)
            read_until(sock, b"\0")
            return sock

        yield connect


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("size", [2_000, 10_000])
def test_subscribers_that_do_not_read_take_no_memory_each(
    start_server: Any, deaf: Callable[[int], socket.socket], loop: str, size: int
) -> None:
    """What a topic's message is for one of them, it is for all."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    server = start_server("--loop", loop, "--memory-limit", str(LIMIT))
    for _ in range(COUNT):
        sock = deaf(server.port)
        sock.sendall(b"SUBSCRIBE\nid:1\ndestination:/topic/slow\nreceipt:s\n\n\0")
        read_until(sock, b"RECEIPT")
    before = resident(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as producer:
        producer.sendall(HELLO)
        read_until(producer, b"\0")
        pour(producer, send("/topic/slow", bytes(size)) * (8 * MIB // size), 2.0)
    grown = peak(server.process.pid) - before
    assert grown < MOST, f"{grown / MIB:.0f} MiB"
    is_there(server.port)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_replays_that_nobody_reads(
    start_server: Any, deaf: Callable[[int], socket.socket], loop: str, tmp_path: Path
) -> None:
    """Each is of the same messages."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    file = tmp_path / "stompserver.conf"
    file.write_text("policies:\n  /topic/kept:\n    history-messages: 1000\n")
    server = start_server("--loop", loop, "--memory-limit", str(LIMIT), "--config", str(file))
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as producer:
        producer.sendall(HELLO)
        read_until(producer, b"\0")
        frames = send("/topic/kept", bytes(10_000)) * 300
        producer.sendall(frames + b"SEND\ndestination:/topic/kept\nreceipt:sent\n\nx\0")
        read_until(producer, b"receipt-id:sent")
    socks = [deaf(server.port) for _ in range(500)]
    before = resident(server.process.pid)
    for sock in socks:
        sock.sendall(b"SUBSCRIBE\nid:1\ndestination:/topic/kept\nx-stream-offset:first\n\n\0")
    for sock in socks:
        # Its replay has begun.
        sock.recv(1, socket.MSG_PEEK)
    is_there(server.port)
    grown = peak(server.process.pid) - before
    assert grown < MOST, f"{grown / MIB:.0f} MiB"
