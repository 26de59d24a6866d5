"""What one client may take from the others: memory, and time to read."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.session.outbox import HIGH
from stompserver.session.talk import ANSWERS_HIGH

# Memory


def test_no_message_above_the_limit(new_world: Any) -> None:
    """A client that cannot be made to wait, because it has to acknowledge, is told so."""
    world = new_world(Rules(memory_limit=50_000))
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="prefetch-count:1\n")
    while not world.broker.memory.full:
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
    while not world.broker.memory.full:
        peer.publish("/queue/q", b"x" * 5000)
    *_, last = peer.read()
    peer.get(f"ACK\nid:{last['ack']}\nreceipt:r\n\n\0".encode())
    assert world.broker.memory.used == 0
    peer.get(b"SEND\ndestination:/queue/p\nreceipt:r\n\nx\0")


def test_nothing_is_left_of_who_is_gone(new_world: Any) -> None:
    """Subscriptions of every kind, deliveries, transactions, unread messages of topics."""
    world = new_world(Rules(lag=10 << 20))
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
    assert peer.session.outbox.bytes <= HIGH + 11_000
    assert not peer.session.ready
    got: list[bytes] = []
    while more := peer.messages():
        got += more
        peer.session.writable(True)
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
    peer.session.writable(True)
    assert peer.read() == []
    assert world.broker.queues["/queue/q"].waiting == 1


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_slow_subscriber_of_a_topic_is_told_so(new_world: Any, version: str) -> None:
    """What it did not read is let go, but for what is on its way already: whole frames only."""
    world = new_world(Rules(lag=1 << 20))
    slow, fast, producer = (world.connect(version) for _ in range(3))
    slow.subscribe("/topic/t")
    fast.subscribe("/topic/t")
    for _ in range(100):
        producer.publish("/topic/t", b"x" * 50_000)
        assert len(fast.messages()) == 1
        if slow.session.behind:
            # As the shell does when the socket takes nothing.
            slow.session.writable(False)
        if slow.state != "connected":
            break
    assert 20 <= world.broker.enqueued <= 24
    assert slow.session.outbox.bytes < 1000
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
    world = new_world(Rules(lag=100_000))
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
    world = new_world(Rules(lag=100_000))
    producer = world.connect("1.2")
    for ack in ("auto", "client"):
        peer = world.connect("1.2")
        peer.subscribe("/topic/t", ack)
        producer.publish("/topic/t", b"x" * 500_000)
        assert [len(body) for body in peer.messages()] == [500_000]


def test_receipts_that_wait_for_the_store_are_counted(new_world: Any) -> None:
    """A store may be away for hours, and a client that asks for nothing but receipts sends nothing that waits."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/q\nreceipt:first\n\nx\0")
    name = b"r" * 60_000
    for _ in range(30):
        used = world.broker.memory.used
        frame = b"BEGIN\ntransaction:t\nreceipt:%b\n\n\0ABORT\ntransaction:t\nreceipt:%b\n\n\0"
        peer.send(frame % (name, name))
        assert world.broker.memory.used - used > 120_000
    assert peer.session.answers > ANSWERS_HIGH, "it is read no more"
    world.commit()
    assert len(peer.read()) == 61
    queue = world.broker.queues["/queue/q"]
    assert world.broker.memory.used == queue.bytes


def test_receipts_that_are_never_given_are_not_counted(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/q\nreceipt:r\n\nx\0")
    peer.session.lost()
    assert world.broker.memory.used == world.broker.queues["/queue/q"].bytes


@pytest.mark.parametrize("destination", ["/queue/q", "/topic/t"])
@pytest.mark.parametrize("ack", ["auto", "client", "client-individual"])
def test_subscriptions_are_counted_until_they_end(world: Any, destination: str, ack: str) -> None:
    memory = world.broker.memory
    peer = world.connect("1.2")
    peer.subscribe(destination, ack, id="a", more="selector:a = 1\n")
    first = memory.subscriptions.used
    assert first > 1000
    peer.subscribe(destination, ack, id="b", more="selector:a = 'b'\n")
    assert memory.subscriptions.used > 2 * first
    peer.send(b"UNSUBSCRIBE\nid:b\n\n\0")
    assert memory.subscriptions.used == first
    peer.session.lost()
    assert memory.subscriptions.used == 0


def test_long_selectors_of_many_are_refused(new_world: Any) -> None:
    """Text of 60 KB becomes 1 MB of what it means."""
    world = new_world(Rules(memory_limit=64 << 20, max_selector_cost=1_000_000))
    selector = "a IN (" + ",".join(f"'{number}'" for number in range(8000)) + ")"
    taken = 0
    peer = world.connect("1.2")
    frame = f"SUBSCRIBE\ndestination:/queue/q\nselector:{selector}\nreceipt:r\n"
    while (answer := peer.ask(f"{frame}id:{taken}\n\n\0".encode())[0]).command == "RECEIPT":
        taken += 1
    assert answer["message"] == "Subscriptions take too much memory"
    assert taken < 10
    other = world.connect("1.2")
    other.subscribe("/queue/q")


def test_long_selectors_of_durable_subscriptions_are_refused(new_world: Any) -> None:
    world = new_world(Rules(memory_limit=64 << 20, max_selector_cost=1_000_000))
    selector = "a IN (" + ",".join(f"'{number}'" for number in range(8000)) + ")"
    taken = 0
    peer = world.connect("1.2")
    frame = f"SUBSCRIBE\ndestination:/topic/t\nselector:{selector}\ndurable:true\nreceipt:r\n"
    while True:
        answer = peer.ask(f"{frame}id:{taken}\n\n\0".encode())[0]
        if answer.command != "RECEIPT":
            break
        peer.send(f"UNSUBSCRIBE\nid:{taken}\n\n\0".encode())
        taken += 1
    assert answer["message"] == "Durable subscriptions take too much memory"
    assert taken < 6
    for number in range(taken):
        world.broker.forget_durable(str(number))
    assert world.broker.memory.durables.used == 0


def test_a_durable_subscription_that_begins_with_too_much(new_world: Any) -> None:
    """Each that is made gets copies of what topics retain."""
    world = new_world(Rules(memory_limit=10 << 20))
    peer = world.connect("1.2")
    for number in range(10):
        peer.send(f"SEND\ndestination:/topic/{number}\nretain:set\n\n{'x' * 100_000}\0".encode())
    refused = False
    for number in range(20):
        frame = f"SUBSCRIBE\nid:1\ndestination:/topic/>\nactivemq.subscriptionName:{number}\nreceipt:r\n\n\0"
        answer = peer.ask(frame.encode())[0]
        if answer.command == "ERROR":
            refused = answer["message"] == "Out of memory for messages"
            break
        peer.get(b"UNSUBSCRIBE\nid:1\nreceipt:r\n\n\0")
    assert refused
    assert not world.broker.memory.full
    assert len(world.broker.fanout.durables.fed) == number
