"""Messages that are settled are given back at once, however long their time or their lease would have been: from
outside, by the memory of the process.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
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


def test_memory_of_empty_queues_that_only_a_pattern_subscribes_to(
    start_server: Any, talk: Callable[..., Any]
) -> None:
    """No more of them are kept than of idle ones: otherwise one pattern would keep all that ever were. What waits,
    and what somebody else subscribes to, stays; and what is sent to one that was forgotten comes all the same.
    """
    few, many = 50, 2000
    server = start_server(f"--idle-queues={few}")
    taker, other, sender = talk(server.port), talk(server.port), talk(server.port)
    taker.done("SUBSCRIBE\nid:1\ndestination:/queue/p.>\n\n\0")
    other.done("SUBSCRIBE\nid:2\ndestination:/queue/p.kept\nack:client-individual\n\n\0")
    other.done("SUBSCRIBE\nid:1\ndestination:/queue/p.own\n\n\0")
    sender.done("SUBSCRIBE\nid:1\ndestination:/queue/answers\n\n\0")
    kept = "SEND\ndestination:/queue/p.kept\n\nkept\0"
    sender.send(kept * 2)
    assert taker.frame().endswith("\n\nkept") and other.frame().endswith("\n\nkept")
    for number in range(many):
        sender.send(f"SEND\ndestination:/queue/p.{number}\n\n{number}\0")
    for number in range(many):
        assert taker.frame().endswith(f"\n\n{number}")

    def queues() -> list[str]:
        sender.send(
            "SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/queue/answers\n\n\0"
        )
        return [each["queue"] for each in json.loads(sender.frame().partition("\n\n")[2])["queues"]]

    # They are left in slices.
    until = time.monotonic() + 30
    while len(found := queues()) > 3 * few and time.monotonic() < until:
        pass
    assert len(found) <= 3 * few, len(found)
    assert {"/queue/p.kept", "/queue/p.own"} <= set(found)
    sender.send("SEND\ndestination:/queue/p.0\n\nagain\0")
    assert taker.frame().endswith("\n\nagain")
