"""Bodies large enough to be read in parts and written uncopied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.server.connection import FULL, GATHERED, SINGLE

MakeShell = Callable[..., Any]
LENGTHS = [
    0, 1, 100, GATHERED - 1, GATHERED, GATHERED + 1, 4 * GATHERED,
    SINGLE - 1, SINGLE, SINGLE + 1, 100, 0, 600_000, 1,
]  # fmt: skip
MIXED = [b"%06d" % i + b"x" * length for i, length in enumerate(LENGTHS)]


def send(destination: str, body: bytes, more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def subscribe(destination: str, ack: str = "auto") -> bytes:
    return f"SUBSCRIBE\nid:1\ndestination:{destination}\nack:{ack}\nprefetch-count:0\n\n\0".encode()


class Gathering:
    """A transport that is of asyncio's shape without being of its class, as uvloop's are."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.lines: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)

    def writelines(self, pieces: list[bytes]) -> None:
        self.lines.append(len(pieces))
        self.wire.write(b"".join(pieces))


def gather(wire: Any) -> Gathering:
    """Have the connection of ``wire``, which is open, take its transport for uvloop's."""
    connection = wire.protocol
    connection.transport = Gathering(wire)
    connection._gathers = True
    return connection.transport  # type: ignore[no-any-return]


@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize("ack", ["auto", "client-individual"])
@pytest.mark.parametrize("destination", ["/queue/a", "/topic/a"])
def test_large_and_small_ones_arrive_in_order(
    shell: MakeShell, gathers: bool, ack: str, destination: str
) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe(destination, ack))
    transport = gather(consumer) if gathers else None
    octets = b"".join(send(destination, body) for body in MIXED)
    for size in (len(octets), 300_000, 70_001):
        consumer.got = b""
        producer.send(*[octets[pos : pos + size] for pos in range(0, len(octets), size)])
        assert consumer.bodies() == MIXED
    assert transport is None or transport.lines
    consumer.drop()


@pytest.mark.parametrize("gathers", [False, True])
def test_what_a_full_socket_held_arrives_in_order(shell: MakeShell, gathers: bool) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a"))
    if gathers:
        gather(consumer)
    consumer.stalled = True
    for body in MIXED:
        producer.send(send("/queue/a", body))
    assert consumer.bodies() == []
    while consumer.stalled:
        consumer.read(50_000 if consumer.buffer else None)
    assert consumer.bodies() == MIXED
    consumer.drop()


@pytest.mark.parametrize("gathers", [False, True])
def test_a_receipt_comes_after_the_large_message_before_it(shell: MakeShell, gathers: bool) -> None:
    here = shell()
    client = here.connect()
    client.send(subscribe("/queue/a"))
    if gathers:
        gather(client)
    client.got = b""
    body = b"x" * 500_000
    client.send(send("/queue/a", body, "receipt:2\n") + b"DISCONNECT\nreceipt:3\n\n\0")
    assert client.bodies() == [body]
    assert client.receipts() == [b"2", b"3"]
    assert client.got.rindex(b"MESSAGE") < client.got.index(b"receipt-id:3")
    client.drop()


def test_the_parts_of_a_body_are_read_without_a_pause(shell: MakeShell) -> None:
    """Nothing can be written to anybody meanwhile, and each pause costs calls of the system."""
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a"))
    part = b"x" * (FULL + 1)
    head = b"SEND\ndestination:/queue/a\ncontent-length:%d\n\n" % (4 * len(part))
    for _ in range(2):
        producer.send(head)
        for _ in range(3):
            producer.protocol.data_received(part)
            assert producer.reading
        producer.protocol.data_received(part + b"\0")
    assert not producer.reading
    here.turn(4)
    assert producer.reading
    assert consumer.bodies() == [part * 4] * 2


def test_a_turn_has_two_full_reads_of_large_messages(shell: MakeShell) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/topic/a"))
    chunk = send("/topic/a", b"x" * 16_384) * 16
    for _ in range(3):
        producer.protocol.data_received(chunk)
        assert producer.reading
        producer.protocol.data_received(chunk)
        assert not producer.reading
        here.turn(2)
        assert producer.reading
    assert consumer.bodies() == [b"x" * 16_384] * 96
