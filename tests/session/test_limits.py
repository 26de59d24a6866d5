"""What one client may take from the others: memory, and time to read."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.session.outbox import OUTBOX_HIGH

# Memory


def test_no_message_above_the_limit(new_world: Any) -> None:
    """A client that cannot be made to wait, because it has to acknowledge, is told so."""
    world = new_world(Rules(memory_limit=50_000))
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="prefetch-count:1\n")
    while world.broker.memory.used <= 50_000:
        peer.publish("/queue/q", b"x" * 5000)
    sent = world.broker.enqueued
    error = peer.fails(b"SEND\ndestination:/queue/q\nreceipt:r\n\nx\0")
    assert error["message"] == "Out of memory for messages"
    assert error["receipt-id"] == "r"
    assert b"memory-limit" in error.body
    assert world.broker.enqueued == sent


def test_acknowledging_makes_room(new_world: Any) -> None:
    world = new_world(Rules(memory_limit=20_000))
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="prefetch-count:0\n")
    while world.broker.memory.used <= 20_000:
        peer.publish("/queue/q", b"x" * 5000)
    *_, last = peer.read()
    peer.get(f"ACK\nid:{last['ack']}\nreceipt:r\n\n\0".encode())
    assert world.broker.memory.used == 0
    peer.get(b"SEND\ndestination:/queue/p\nreceipt:r\n\nx\0")


def test_nothing_is_left_of_who_is_gone(new_world: Any) -> None:
    """Subscriptions of every kind, deliveries, transactions, unread messages of topics."""
    world = new_world(lag=10 << 20)
    for _ in range(3):
        peer = world.connect("1.2")
        peer.subscribe("/topic/t", "auto", id="a")
        peer.subscribe("/topic/t", "client", id="b", more="prefetch-count:1\n")
        peer.subscribe("/queue/q", "client", id="c")
        peer.send(b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/q\ntransaction:t\n\nx\0")
        peer.publish("/topic/t", *[b"x" * 100_000] * 8)
        peer.publish("/queue/q", b"y")
        assert world.broker.memory.used > 100_000
        peer.session.lost()
        assert world.broker.memory.used == world.broker.queues["/queue/q"].bytes
        assert world.broker.topics == {}
    drain = world.connect("1.0")
    drain.subscribe("/queue/q")
    assert world.broker.memory.used == 0
    assert len(drain.messages()) == world.broker.queues["/queue/q"].enqueued


# A client that does not read


@pytest.mark.parametrize("ack", ["auto", "client-individual"])
def test_a_queue_keeps_what_is_not_read(world: Any, ack: str) -> None:
    """Also with ack:auto the outbox does not grow; all comes, in order, when it is read."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", ack, more="prefetch-count:0\n")
    producer = world.connect("1.2")
    bodies = [b"%d" % n + b"x" * 10_000 for n in range(100)]
    producer.publish("/queue/q", *bodies)
    assert peer.session.outbox_bytes <= OUTBOX_HIGH + 11_000
    assert not peer.session.ready
    got: list[bytes] = []
    while more := peer.messages():
        got += more
        peer.session.resume()
    assert got == bodies


@pytest.mark.parametrize("end", [b"DISCONNECT\n\n\0", b"\x01"])
def test_who_is_leaving_gets_nothing_more(world: Any, end: bytes) -> None:
    """Neither from queues nor from topics, although it is not gone yet."""
    peer, producer = world.connect("1.2"), world.connect("1.2")
    peer.subscribe("/queue/q", id="a")
    peer.subscribe("/topic/t", id="b")
    peer.ask(end)
    producer.publish("/queue/q", b"1")
    producer.publish("/topic/t", b"2")
    peer.session.resume()
    assert peer.read() == []
    assert world.broker.queues["/queue/q"].waiting == 1


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_slow_subscriber_of_a_topic_is_told_so(new_world: Any, version: str) -> None:
    """What it did not read is let go, but for what is on its way already: whole frames only."""
    world = new_world(Rules(lag=1 << 20), lag=1 << 20)
    slow, fast, producer = (world.connect(version) for _ in range(3))
    slow.subscribe("/topic/t")
    fast.subscribe("/topic/t")
    for _ in range(100):
        producer.publish("/topic/t", b"x" * 50_000)
        assert len(fast.messages()) == 1
        if slow.session.behind:
            # As the shell does when the socket takes nothing.
            slow.session.judge()
        if slow.state != "connected":
            break
    assert 20 <= world.broker.enqueued <= 24
    assert slow.session.outbox_bytes < 1000
    (error,) = slow.read()
    assert error.command == "ERROR"
    assert error["message"].startswith("Too slow for topic /topic/t")
    assert not error.has("receipt-id")
    assert slow.session.closing
    producer.publish("/topic/t", b"y")
    assert slow.read() == []
    slow.session.lost()
    assert fast.messages() == [b"y"]
    assert world.broker.memory.used == 0


def test_a_slow_subscriber_that_acknowledges(new_world: Any) -> None:
    """Its messages wait in the broker: the same limit, the same words."""
    world = new_world(Rules(lag=100_000), lag=100_000)
    slow, producer = world.connect("1.2"), world.connect("1.2")
    slow.subscribe("/topic/t", "client", more="prefetch-count:1\n")
    slow.get(b"SEND\ndestination:/topic/other\nreceipt:r\n\n\0")
    for _ in range(100):
        producer.publish("/topic/t", b"x" * 10_000)
        if slow.state != "connected":
            break
    assert 9 <= world.broker.enqueued <= 13
    (error,) = slow.read()
    assert error["message"].startswith("Too slow for topic /topic/t")
    assert not error.has("receipt-id")
    slow.session.lost()
    assert world.broker.memory.used == 0


def test_one_large_message_is_no_lag(new_world: Any) -> None:
    world = new_world(Rules(lag=100_000), lag=100_000)
    producer = world.connect("1.2")
    for ack in ("auto", "client"):
        peer = world.connect("1.2")
        peer.subscribe("/topic/t", ack)
        producer.publish("/topic/t", b"x" * 500_000)
        assert [len(body) for body in peer.messages()] == [500_000]
