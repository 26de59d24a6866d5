"""Consumers that acknowledge nothing: what a store keeps stays there when half of the memory is in use, others go on,
and nothing is lost. From outside, by the memory of the process and by what arrives.
"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
LIMIT = 16 * MIB
"""memory-limit of these servers."""
SIZE = 20_000
"""Octets of a body."""
COUNT = 3500
"""Messages: 67 MiB, four times the limit."""
QUIET = 1.0
"""Seconds without an octet after which a consumer has all that it gets; a RECEIPT that is asked for comes before."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def memory(pid: int) -> int:
    """Without the pages of lmdb's file, which the system takes back when it needs them."""
    found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def fill(talk: Callable[..., Any], port: int, queue: str, count: int = COUNT, more: str = "") -> None:
    producer = talk(port)
    head = f"SEND\ndestination:{queue}\ncontent-length:{SIZE}\n{more}\n".encode()
    for _ in range(count):
        producer.send(head + b"x" * SIZE + b"\0")
    producer.done("SEND\ndestination:/queue/filled\n\nx\0")


def drain(sockets: list[socket.socket]) -> dict[socket.socket, bytearray]:
    """What comes until nothing more does."""
    got = {sock: bytearray() for sock in sockets}
    while True:
        ready, _, _ = select.select(sockets, [], [], QUIET)
        if not ready:
            return got
        for sock in ready:
            data = sock.recv(MIB)
            assert data
            got[sock] += data


def acks(octets: bytes) -> list[bytes]:
    return re.findall(rb"\nack:([^\n]*)\n", octets)


CASES = {
    "any-number": (1, "ack:client-individual\nprefetch-count:0\n", ""),
    "cumulative": (1, "ack:client\nprefetch-count:0\n", ""),
    "many": (40, "ack:client-individual\nprefetch-count:1000\n", ""),
    "selector": (1, "ack:client-individual\nprefetch-count:0\nselector:kind = 'a'\n", "kind:a\n"),
    "group": (1, "ack:client-individual\nprefetch-count:0\n", "JMSXGroupID:g\n"),
}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_a_store_keeps_what_is_not_settled(case: str, start_server: Any, talk: Callable[..., Any]) -> None:
    """The limit holds, another consumer goes on meanwhile, and with the end of the first all is there again."""
    count, wish, more = CASES[case]
    server = start_server("-q", "lmdb", "--memory-limit", str(LIMIT))
    fill(talk, server.port, "/queue/long", more=more)
    clients = [talk(server.port) for _ in range(count)]
    before = memory(server.process.pid)
    for client in clients:
        client.send(f"SUBSCRIBE\nid:1\ndestination:/queue/long\n{wish}\n\0")
    got = drain([client.socket for client in clients])
    assert all(acks(got[client.socket]) for client in clients), "each has something"
    held = sum(len(acks(octets)) for octets in got.values())
    assert held < 0.8 * LIMIT / SIZE
    grown = memory(server.process.pid) - before
    assert grown < LIMIT + 16 * MIB, f"{grown / MIB:.0f} MiB"
    # Neither producers nor other consumers wait for them.
    other = talk(server.port)
    other.done("SUBSCRIBE\nid:1\ndestination:/queue/other\nack:client-individual\n\n\0")
    for number in range(200):
        other.send(f"SEND\ndestination:/queue/other\n\n{number}\0")
        frame = other.frame()
        assert frame.endswith(f"\n\n{number}")
        other.done(f"ACK\nid:{acks(frame.encode())[0].decode()}\n\n\0")
    # What is settled makes room for more.
    first = clients[0]
    names = acks(got[first.socket])
    if wish.startswith("ack:client-individual"):
        first.send(b"".join(b"ACK\nid:%b\n\n\0" % name for name in names))
    else:
        first.send(b"ACK\nid:%b\n\n\0" % names[-1])
    fresh = drain([first.socket])[first.socket]
    assert acks(fresh)
    # Nothing is lost.
    for client in clients:
        client.close()
    assert memory(server.process.pid) - before < LIMIT + 16 * MIB
    last = talk(server.port)
    last.send("SUBSCRIBE\nid:1\ndestination:/queue/long\nack:client-individual\nprefetch-count:100\n\n\0")
    wanted = COUNT - len(names)
    seen = 0
    while seen < wanted:
        frame = last.frame()
        seen += 1
        last.send(f"ACK\nid:{acks(frame.encode())[0].decode()}\n\n\0")
    last.done("UNSUBSCRIBE\nid:1\n\n\0")
    assert memory(server.process.pid) - before < LIMIT + 16 * MIB


def test_what_comes_goes_to_the_disk(start_server: Any, talk: Callable[..., Any]) -> None:
    """A producer does not wait for a consumer that is there and settles nothing, and its messages are delivered when
    that one is gone.
    """
    server = start_server("-q", "lmdb", "--memory-limit", str(LIMIT))
    consumer = talk(server.port)
    consumer.done("SUBSCRIBE\nid:1\ndestination:/queue/live\nack:client-individual\nprefetch-count:0\n\n\0")
    producer = talk(server.port)
    head = f"SEND\ndestination:/queue/live\ncontent-length:{SIZE}\n\n".encode()
    taken = 0
    for number in range(1500):
        producer.send(head + b"x" * SIZE + b"\0")
        if number % 50 == 49:
            producer.done("SEND\ndestination:/queue/filled\n\nx\0")
            readable, _, _ = select.select([consumer.socket], [], [], 0)
            while readable:
                taken += len(consumer.socket.recv(MIB))
                readable, _, _ = select.select([consumer.socket], [], [], 0)
    assert taken < 0.8 * LIMIT
    consumer.close()
    last = talk(server.port)
    last.done("SUBSCRIBE\nid:1\ndestination:/queue/live\n\n\0")
    for _ in range(1500):
        last.frame()
