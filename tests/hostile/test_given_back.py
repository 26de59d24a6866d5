"""Messages that are settled are given back at once, however long their time or their lease would have been: from
outside, by the memory of the process.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")

DAY = 86_400_000
COUNT = 250
BODY = b"x" * 20_000
ROUNDS = 20
"""Of COUNT messages each: 100 MB in all, of which never more than 5 MB are unsettled."""
MOST = 50 << 20


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        self.read_until(b"CONNECTED")

    def read_until(self, word: bytes) -> None:
        """Read lines up to one that begins with ``word``."""
        while not (line := self.file.readline()).lstrip(b"\0").startswith(word):
            assert line and not line.startswith(b"ERROR"), line

    def subscribe(self, more: bytes) -> None:
        self.socket.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\nreceipt:s\n%b\n\0" % more)
        self.read_until(b"receipt-id:s")

    def send(self, more: bytes) -> None:
        frame = b"SEND\ndestination:/queue/a\n%b\n%b\0" % (more, BODY)
        self.socket.sendall(frame * (COUNT - 1) + frame.replace(b"\n", b"\nreceipt:r\n", 1))

    def settle(self) -> None:
        """Take all that was sent, acknowledge it, and unsubscribe."""
        for number in range(COUNT):
            while not (line := self.file.readline()).startswith(b"ack:"):
                assert line
            if number % 10 == 9:
                self.socket.sendall(b"ACK\nid:%b\n\n\0" % line[4:].strip())
        self.socket.sendall(b"UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0")
        self.read_until(b"receipt-id:u")


@pytest.mark.parametrize("store", ["memory", pytest.param("lmdb", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["ttl", "lease"])
def test_memory_of_what_was_settled(start_server: Any, store: str, kind: str) -> None:
    if store == "lmdb":
        pytest.importorskip("lmdb")
    server = start_server("-q", store, "--memory-limit", "64M")
    sender, taker = Client(server.port), Client(server.port)
    lease = b"ack-timeout:%d\n" % DAY if kind == "lease" else b""
    time = b"ttl:%d\n" % DAY if kind == "ttl" else b""
    before = 0
    for number in range(ROUNDS):
        # It waits, so that its time is one of the deadlines.
        sender.send(time)
        sender.read_until(b"receipt-id:r")
        taker.subscribe(lease)
        taker.settle()
        if number == 1:
            before = resident(server.process.pid)
    assert resident(server.process.pid) - before < MOST
    for client in (sender, taker):
        client.file.close()
        client.socket.close()
