"""Memory stays as it is over a million frames on one connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

BATCH = 1000
MARGIN = 3.0
"""MiB that the process may grow between the two looks: a leak of 16 bytes a frame is 12 MiB in the long run."""

# How many frames have passed at the first look, and at the second.
LOOKS = [
    pytest.param((8_000, 40_000), id="short"),
    pytest.param((200_000, 1_000_000), id="long", marks=pytest.mark.long),
]
looks = pytest.mark.parametrize("looks", LOOKS)


def stays_flat(server: Any, looks: tuple[int, int], batch: Callable[[int], None]) -> None:
    """``batch(n)`` passes the n-th BATCH frames and returns when the server has processed them."""
    sizes = []
    done = 0
    for look in looks:
        while done < look:
            batch(done // BATCH)
            done += BATCH
        sizes.append(server.memory)
    assert sizes[1] - sizes[0] < MARGIN, (
        f"{sizes[0]:.1f} MiB after {looks[0]}, {sizes[1]:.1f} after {looks[1]}"
    )


@looks
def test_sends_to_a_topic_that_nobody_reads(watch: Any, looks: tuple[int, int]) -> None:
    server = watch()
    client = server.connect()
    batch = b"SEND\ndestination:/topic/nobody\ntype:t\n\nhello\0\n" * BATCH

    def pass_batch(_: int) -> None:
        client.send(batch)
        client.barrier()

    stays_flat(server, looks, pass_batch)


@looks
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_sends_to_one_who_reads(watch: Any, looks: tuple[int, int], kind: str) -> None:
    server = watch()
    client = server.connect().subscribe(f"/{kind}/a")
    batch = b"SEND\ndestination:/%b/a\nkey:value\n\nhello\0" % kind.encode() * BATCH

    def pass_batch(_: int) -> None:
        client.exchange(batch, lambda: client.data.count(b"\0") >= BATCH)
        assert client.data.count(b"MESSAGE\n") == client.data.count(b"\0") == BATCH
        client.data.clear()

    stays_flat(server, looks, pass_batch)


@looks
@pytest.mark.parametrize(
    ("kind", "ack"),
    [
        ("queue", "client-individual"),
        ("topic", "client"),
        pytest.param("queue", "client", marks=pytest.mark.long),
        pytest.param("topic", "client-individual", marks=pytest.mark.long),
    ],
)
def test_sends_and_acks(watch: Any, looks: tuple[int, int], kind: str, ack: str) -> None:
    server = watch()
    client = server.connect().subscribe(f"/{kind}/a", ack, "prefetch-count:0\n")
    batch = b"SEND\ndestination:/%b/a\n\nhello\0" % kind.encode() * (BATCH // 2)

    def pass_batch(_: int) -> None:
        client.exchange(batch, lambda: client.data.count(b"\0") >= BATCH // 2)
        found = re.findall(rb"\nack:([^\n]+)\n", client.data)
        assert len(found) == BATCH // 2
        client.data.clear()
        if ack == "client":
            found = found[9::10]
        client.send(b"".join([b"ACK\nid:%b\n\n\0" % each for each in found]))
        client.barrier()

    stays_flat(server, looks, pass_batch)


@looks
def test_messages_that_come_back(watch: Any, looks: tuple[int, int]) -> None:
    server = watch()
    # At once, however often.
    client = server.connect().subscribe(
        "/queue/a", "client-individual", "activemq.initialRedeliveryDelay:0\n"
    )
    client.send(b"SEND\ndestination:/queue/a\n\nhello\0" * 100)

    def pass_batch(_: int) -> None:
        client.exchange(b"", lambda: client.data.count(b"\0") >= 100)
        for _ in range(BATCH // 100):
            found = re.findall(rb"\nack:([^\n]+)\n", client.data)
            assert len(found) == 100
            client.data.clear()
            nacks = b"".join([b"NACK\nid:%b\n\n\0" % each for each in found])
            client.exchange(nacks, lambda: client.data.count(b"\0") >= 100)

    stays_flat(server, looks, pass_batch)


@looks
def test_receipts(watch: Any, looks: tuple[int, int]) -> None:
    server = watch()
    client = server.connect()

    def pass_batch(number: int) -> None:
        first = number * BATCH
        frames = [b"SEND\ndestination:/topic/a\nreceipt:r%d\n\n\0" % (first + n) for n in range(BATCH)]
        client.exchange(b"".join(frames), lambda: client.data.count(b"\0") >= BATCH)
        assert re.findall(rb"receipt-id:r(\d+)\n", client.data) == [b"%d" % (first + n) for n in range(BATCH)]
        client.data.clear()

    stays_flat(server, looks, pass_batch)


@looks
def test_beats(watch: Any, looks: tuple[int, int]) -> None:
    server = watch()
    client = server.connect()

    def pass_batch(number: int) -> None:
        client.send((b"\n" if number % 2 else b"\r\n") * BATCH)
        client.barrier()

    stays_flat(server, looks, pass_batch)


@looks
@pytest.mark.parametrize("end", ["ABORT", "COMMIT"])
def test_transactions(watch: Any, looks: tuple[int, int], end: str) -> None:
    server = watch()
    client = server.connect()
    send = b"SEND\ndestination:/topic/a\ntransaction:%d\n\nhello\0"

    def pass_batch(number: int) -> None:
        first = number * BATCH
        frames = [
            b"BEGIN\ntransaction:%d\n\n\0" % n
            + send % n
            + send % n
            + b"%b\ntransaction:%d\n\n\0" % (end.encode(), n)
            for n in range(first, first + BATCH // 4)
        ]
        client.send(b"".join(frames))
        client.barrier()

    stays_flat(server, looks, pass_batch)


@looks
@pytest.mark.parametrize(
    ("kind", "ack"),
    [
        ("queue", "auto"),
        ("topic", "client"),
        pytest.param("queue", "client", marks=pytest.mark.long),
        pytest.param("topic", "auto", marks=pytest.mark.long),
    ],
)
def test_ever_new_destinations(watch: Any, looks: tuple[int, int], kind: str, ack: str) -> None:
    server = watch("--idle-queues=1000")
    server.quiet()
    client = server.connect()

    def pass_batch(number: int) -> None:
        first = number * BATCH
        frames = [
            f"SUBSCRIBE\nid:{n}\ndestination:/{kind}/{n}\nack:{ack}\n\n\0UNSUBSCRIBE\nid:{n}\n\n\0"
            for n in range(first, first + BATCH // 2)
        ]
        client.send("".join(frames).encode())
        client.barrier()

    stays_flat(server, looks, pass_batch)


@looks
def test_ever_new_queues_that_were_used(watch: Any, looks: tuple[int, int]) -> None:
    server = watch("--idle-queues=1000")
    server.quiet()
    client = server.connect()

    def pass_batch(number: int) -> None:
        first = number * BATCH
        frames = [
            f"SEND\ndestination:/queue/{n}\n\nhello\0SUBSCRIBE\nid:{n}\ndestination:/queue/{n}\n\n\0"
            f"SEND\ndestination:/queue/{n}\n\nhello\0UNSUBSCRIBE\nid:{n}\n\n\0"
            for n in range(first, first + BATCH // 4)
        ]
        client.exchange("".join(frames).encode(), lambda: client.data.count(b"\0") >= BATCH // 2)
        assert client.data.count(b"MESSAGE\n") == client.data.count(b"\0") == BATCH // 2
        client.data.clear()

    stays_flat(server, looks, pass_batch)
