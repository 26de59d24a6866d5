"""What waits for clients that do not read is counted from the first octet, and what their transports have of it is
bounded for all together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024
MakeShell = Callable[..., Any]


def send(destination: str, body: bytes, more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def subscribe(destination: str, id: str = "1") -> bytes:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\n\n\0".encode()


def buffered(wires: list[Any]) -> int:
    return sum(len(wire.buffer) for wire in wires)


def stalled(here: Any, count: int, destination: str) -> list[Any]:
    wires = [here.connect() for _ in range(count)]
    for wire in wires:
        wire.send(subscribe(destination))
        wire.stalled = True
    return wires


@pytest.mark.parametrize("destination", ["/queue/a", "/topic/a"])
def test_the_first_octet_counts(shell: MakeShell, destination: str) -> None:
    here = shell()
    wires = stalled(here, 10, destination)
    here.connect().send(send(destination, bytes(1000)) * 10)
    here.turn(5)
    assert here.used >= buffered(wires) > 10_000
    for wire in wires:
        wire.read()
    assert here.used == 0


@pytest.mark.parametrize("count", [20, 200])
def test_transports_have_a_part_of_the_memory_however_many_they_are(shell: MakeShell, count: int) -> None:
    here = shell(memory_limit=16 * MIB, slow_subscriber_limit=100 * MIB)
    wires = stalled(here, count, "/topic/a")
    producer = here.connect()
    producer.send(send("/topic/a", b"x" * 10_000) * 100)
    here.turn(100)
    # A part in four, and as much as each gets in any case.
    assert buffered(wires) <= 4 * MIB + count * 4096
    for wire in wires:
        wire.read()
    here.turn(50)
    for wire in wires:
        assert wire.bodies() == [b"x" * 10_000] * 100
    assert here.used == 0


def test_one_who_reads_goes_on_beside_them(shell: MakeShell) -> None:
    here = shell(memory_limit=16 * MIB, slow_subscriber_limit=100 * MIB)
    here.connect().send(send("/queue/b", b"y" * 50_000) * 10)
    stalled(here, 200, "/topic/a")
    here.connect().send(send("/topic/a", b"x" * 10_000) * 60)
    here.turn(100)
    reader = here.connect()
    reader.send(subscribe("/queue/b"))
    here.turn(20)
    assert reader.bodies() == [b"y" * 50_000] * 10


def test_an_id_counts_as_often_as_it_is_said(shell: MakeShell) -> None:
    """It is in each MESSAGE, and may be much longer than that."""
    here = shell(slow_subscriber_limit=100 * MIB)
    wire, producer = here.connect(), here.connect()
    wire.send(subscribe("/topic/a", "i" * 20_000))
    wire.stalled = True
    producer.send(send("/topic/a", b"x") * 100)
    here.turn(20)
    assert here.used >= 100 * 20_000
    assert len(wire.buffer) < 300_000
    wire.read()
    here.turn(10)
    assert len(wire.bodies()) == 100


def test_an_error_comes_behind_the_frame_that_was_begun(shell: MakeShell) -> None:
    here = shell(memory_limit=16 * MIB, slow_subscriber_limit=MIB, linger=60)
    wire, producer = here.connect(), here.connect()
    wire.send(subscribe("/topic/a"))
    wire.stalled = True
    for number in range(5):
        producer.send(send("/topic/a", b"%d" % number * 400_000))
        here.turn(5)
    while wire.stalled:
        wire.read(100_000 if wire.buffer else None)
    here.turn(10)
    assert wire.bodies() == [b"0" * 400_000]
    assert "slow-subscriber-limit" in wire.error()
    assert wire.half_closed


def test_a_large_message_on_its_way_is_no_lag(shell: MakeShell) -> None:
    here = shell(slow_subscriber_limit=MIB)
    wire, producer = here.connect(), here.connect()
    wire.send(subscribe("/topic/a"))
    wire.stalled = True
    producer.send(send("/topic/a", b"l" * 3 * MIB))
    producer.send(send("/topic/a", b"small"), send("/topic/a", b"small"))
    while wire.stalled:
        wire.read(100_000 if wire.buffer else None)
    here.turn(10)
    assert wire.bodies() == [b"l" * 3 * MIB, b"small", b"small"]


@pytest.mark.parametrize("reads", [True, False])
def test_who_leaves_with_much_unread(shell: MakeShell, reads: bool) -> None:
    """It gets all when it reads, and is cut when it does not; its transport is not given all at once."""
    here = shell(slow_subscriber_limit=100 * MIB, linger=2)
    wire, producer = here.connect(), here.connect()
    wire.send(subscribe("/topic/a"))
    wire.stalled = True
    producer.send(send("/topic/a", b"x" * 10_000) * 300)
    here.turn(20)
    wire.send(b"DISCONNECT\nreceipt:end\n\n\0")
    here.turn(5)
    assert len(wire.buffer) < 300_000
    assert not wire.half_closed
    if reads:
        while wire.stalled:
            wire.read(100_000 if wire.buffer else None)
        here.turn(10)
        assert len(wire.bodies()) == 300
        assert wire.receipts() == [b"end"]
        assert wire.half_closed
    else:
        here.advance(2.1)
        here.turn(5)
        assert wire.aborted
        assert here.used == 0


def test_one_who_reads_a_little_is_not_taken_for_one_who_does_not(shell: MakeShell) -> None:
    """Its transport is as full each time somebody looks."""
    here = shell(memory_limit=4 * MIB, slow_subscriber_limit=100 * MIB, linger=60)
    wire, producer = here.connect(), here.connect()
    wire.send(subscribe("/queue/a"))
    wire.stalled = True
    for _ in range(60):
        if producer.reading:
            producer.send(send("/queue/a", b"x" * 100_000))
    assert not producer.reading
    for _ in range(18):
        here.advance(1.1)
        wire.read(len(wire.buffer))
        wire.stalled = True
        here.turn(3)
    assert not wire.error() and not wire.lost
