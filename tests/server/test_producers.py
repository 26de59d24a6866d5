"""Who waits when memory is short, who does not, and that the waiting ends: each test is a way to get stuck."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024
MakeShell = Callable[..., Any]


def send(destination: str, body: bytes = b"", more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def subscribe(destination: str, ack: str = "auto", more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:1\ndestination:{destination}\nack:{ack}\n{more}\n\0".encode()


def fill(shell: Any, destination: str = "/queue/full", size: int = 100_000) -> Any:
    """A producer that sent until it was not read any more."""
    producer = shell.connect()
    while producer.reading:
        producer.send(send(destination, bytes(size)))
    return producer


def test_a_producer_waits_above_the_high_mark_and_goes_on_below_the_low_one(
    shell: MakeShell, caplog: pytest.LogCaptureFixture
) -> None:
    here = shell(memory_limit=10 * MIB)
    caplog.set_level(logging.INFO, "stompserver")
    producer = fill(here)
    used = here.used + here.server.broker.memory.fixed
    assert 8 * MIB < used < 8 * MIB + 200_000
    producer.send(send("/queue/full", b"last"))
    consumer = here.connect()
    consumer.send(subscribe("/queue/full", "client-individual", "prefetch-count:1\n"))
    acked = 0
    while not producer.reading:
        acked += 1
        consumer.send(b"ACK\nid:%b\n\n\0" % consumer.acks()[acked - 1])
    assert here.used == pytest.approx(7 * MIB, abs=200_000)
    assert producer.unread == 0
    events = [record.__dict__.get("event") for record in caplog.records]
    assert events.count("throttled") == events.count("unthrottled") == 1


def test_one_who_has_to_wait_again_is_not_read(shell: MakeShell) -> None:
    """Else what it sends next would overtake what it sent before."""
    here = shell(memory_limit=MIB)
    first, second = here.connect(), here.connect()
    fill(here)
    first.send(send("/queue/other", bytes(900_000)))
    second.send(send("/queue/q", b"1"), send("/queue/q", b"2"))
    consumer = here.connect()
    consumer.send(subscribe("/queue/full"))
    here.turn(20)
    assert here.used > here.server.broker.memory.high, "the first was read again"
    assert not second.reading
    consumer.send(b"UNSUBSCRIBE\nid:1\n\n\0" + subscribe("/queue/other"))
    here.turn(20)
    taker = here.connect()
    taker.send(subscribe("/queue/q"))
    assert taker.bodies() == [b"1", b"2"]


def test_a_fast_producer_does_not_flood_the_log(shell: MakeShell, caplog: pytest.LogCaptureFixture) -> None:
    here = shell(memory_limit=MIB)
    caplog.set_level(logging.INFO, "stompserver")
    for _ in range(20):
        producer = fill(here)
        consumer = here.connect()
        consumer.send(subscribe("/queue/full"))
        assert producer.reading
        consumer.drop()
        producer.drop()
    events = [record.__dict__.get("event") for record in caplog.records]
    assert events.count("throttled") == events.count("unthrottled") == 1
    here.advance(11)
    fill(here)
    events = [record.__dict__.get("event") for record in caplog.records]
    assert events.count("throttled") == 2


def test_all_producers_wait_at_once(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    others = [here.connect() for _ in range(50)]
    for other in others:
        other.send(send("/topic/nobody", b"hello"))
    fill(here)
    assert not any(other.reading for other in others)


def test_a_new_producer_waits_before_its_first_message_is_taken(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    fill(here)
    used = here.used
    new = here.connect()
    chunk = b"".join(send("/queue/full", b"%d" % number, f"receipt:{number}\n") for number in range(1000))
    new.send(chunk)
    assert not new.reading and not new.receipts()
    assert here.used == used + len(chunk), "only the octets themselves are kept"
    here.connect().send(subscribe("/queue/full"))
    here.turn(100)
    assert new.receipts() == [b"%d" % number for number in range(1000)]
    assert new.reading
    assert here.used == 0


def test_one_who_only_consumes_never_waits(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    fill(here)
    new = here.open()
    new.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0" + subscribe("/queue/full", "client-individual"))
    assert new.reading
    assert new.bodies()


def test_one_who_owes_acks_does_not_wait(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    both = here.connect()
    both.send(subscribe("/queue/full", "client-individual", "prefetch-count:2\n"))
    for _ in range(9):
        both.send(send("/queue/full", bytes(100_000)))
    assert here.used > 0.8 * MIB
    assert both.reading
    for number in range(1, 10):
        both.send(b"ACK\nid:%b\n\n\0" % both.acks()[number - 1])
    assert here.used == 0
    assert not both.error()


def test_one_who_owes_acks_is_refused_at_the_limit(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    both = here.connect()
    both.send(subscribe("/queue/full", "client", "prefetch-count:1\n"))
    for _ in range(11):
        both.send(send("/queue/full", bytes(100_000)))
        assert not both.error()
    both.send(send("/queue/full", bytes(100_000), "receipt:refused\n"))
    assert "memory-limit" in both.error()
    assert "receipt-id:refused" in both.error()
    assert here.used > MIB, "what was accepted is kept"


def test_one_who_is_given_messages_while_it_waits_is_heard_again(shell: MakeShell) -> None:
    """Otherwise nobody could acknowledge them, and memory would stay full."""
    here = shell(memory_limit=MIB)
    first = here.connect()
    first.send(subscribe("/queue/full", "client-individual", "prefetch-count:0\n"))
    second = here.connect()
    second.send(subscribe("/queue/full", "client-individual", "prefetch-count:0\n"))
    producer = here.connect()
    for _ in range(8):
        producer.send(send("/queue/full", bytes(100_000)))
    # Acknowledge all of the second's; it owes nothing when it sends what fills the memory.
    for number in range(1, len(second.bodies()) + 1):
        second.send(b"ACK\nid:%b\n\n\0" % second.acks()[number - 1])
    second.send(send("/queue/other", bytes(500_000)))
    assert not second.reading
    first.drop()
    assert len(second.bodies()) == 8
    assert second.reading
    for number in range(5, 9):
        second.send(b"ACK\nid:%b\n\n\0" % second.acks()[number - 1])
    assert producer.reading


def test_the_limit_holds_for_those_who_come_one_after_the_other(shell: MakeShell) -> None:
    """Each sends a little, in one packet with the rest of its life, and goes."""
    here = shell(memory_limit=MIB)
    refused = 0
    for _ in range(40):
        client = here.open()
        client.send(b"CONNECT\n\n\0" + send("/queue/full", bytes(100_000)) + b"DISCONNECT\n\n\0")
        refused += "memory-limit" in client.error()
        client.drop()
    assert here.used <= MIB + 110_000
    assert refused >= 20


def test_unfinished_frames_of_those_who_wait_do_not_keep_them_waiting(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    producers = [here.connect() for _ in range(13)]
    for producer in producers:
        producer.send(send("/queue/full", b"x") + b"SEND\ndestination:/queue/full\n\n" + b"x" * 60_000)
    filler = here.connect()
    filler.send(send("/queue/full", bytes(900_000)))
    assert not filler.reading
    assert not any(producer.reading for producer in producers)
    here.connect().send(subscribe("/queue/full"))
    assert here.used > here.server.broker.memory.low, "unfinished frames alone are above the low mark"
    assert filler.reading
    assert all(producer.reading for producer in producers)
    for producer in producers:
        producer.send(b"\0")
        assert not producer.error()
    assert here.used == 0


def test_open_transactions_of_those_who_wait_do_not_keep_them_waiting(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    producers = [here.connect() for _ in range(6)]
    for producer in producers:
        producer.send(b"BEGIN\ntransaction:t\n\n\0")
    for _ in range(14):
        for producer in producers:
            producer.send(send("/queue/full", bytes(100_000), "transaction:t\n"))
    waiting = [producer for producer in producers if not producer.reading]
    # Nothing but their own transactions is in memory, and COMMIT is what they would say next.
    for producer in producers:
        producer.send(b"COMMIT\ntransaction:t\nreceipt:done\n\n\0")
    here.connect().send(subscribe("/queue/full"))
    here.turn(50)
    ended = [producer for producer in producers if producer.receipts() == [b"done"] or producer.error()]
    assert len(ended) == 6, f"{len(waiting)} waited"
    assert here.used == 0


def test_a_producer_of_transactions_waits_like_any_other(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    producer = here.connect()
    packets = 0
    while producer.reading and packets < 200:
        end = b"COMMIT\ntransaction:t\n\n\0" if packets else b""
        # A transaction is always open when a packet ends.
        producer.send(
            end + b"BEGIN\ntransaction:t\n\n\0" + send("/queue/full", bytes(100_000), "transaction:t\n")
        )
        packets += 1
    assert not producer.error()
    assert packets < 100
    here.connect().send(subscribe("/queue/full"))
    here.turn(100)
    assert producer.reading


def test_frames_too_large_for_the_memory_are_refused_one_by_one(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    clients = [here.connect() for _ in range(20)]
    for client in clients:
        client.send(b"SEND\ndestination:/queue/large\ncontent-length:100000000\n\n")
    highest = 0
    for _ in range(2000):
        reading = [client for client in clients if client.reading and not client.half_closed]
        if not reading:
            break
        for client in reading:
            client.send(bytes(100_000))
            highest = max(highest, here.used)
    assert highest < 10 * MIB + 200_000
    assert all("memory-limit" in client.error() for client in clients), "none can ever be complete"
    assert here.used == 0


def test_a_large_frame_waits_for_room(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    large = here.connect()
    frame = send("/queue/large", b"y" * 5 * MIB, "receipt:large\n")
    large.send(frame[: 4 * MIB])
    fill(here)
    large.send(frame[4 * MIB : 4 * MIB + 100_000], frame[4 * MIB + 100_000 :])
    assert not large.error()
    here.connect().send(subscribe("/queue/full"))
    here.turn(5)
    assert large.receipts() == [b"large"]


def test_a_waiting_producer_that_leaves_gives_its_place_back(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB, max_connections=20)
    fill(here)
    ends = []
    for number in range(10):
        client = here.connect()
        ours, theirs = socket.socketpair()
        client._extra["socket"] = ours
        client.send(send("/queue/full", b"%d" % number))
        assert not client.reading
        ends.append((client, ours, theirs))
    for _, _, theirs in ends[:5]:
        theirs.close()
    here.advance(1.1)
    assert [client.reading for client, _, _ in ends] == [True] * 5 + [False] * 5
    for client, ours, _ in ends[:5]:
        client.end()
        assert client.lost
        ours.close()
    for client, ours, theirs in ends[5:]:
        client.drop()
        ours.close()
        theirs.close()


def test_more_memory_lets_producers_go_on(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    producer = fill(here)
    here.reload(memory_limit=10 * MIB)
    here.turn(2)
    assert producer.reading


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_topics_that_nobody_reads_cannot_stop_producers(shell: MakeShell, ack: str) -> None:
    """Each subscriber is within its own limit, all together are not within the memory's."""
    here = shell(memory_limit=10 * MIB, slow_subscriber_limit=3 * MIB, linger=60)
    subscribers = []
    for number in range(6):
        each = here.connect()
        each.send(subscribe(f"/topic/{number}", ack))
        each.stalled = True
        subscribers.append(each)
    producer = here.connect()
    for _ in range(20):
        for number in range(6):
            producer.send(send(f"/topic/{number}", bytes(100_000)))
    assert not producer.reading
    for _ in range(3):
        here.advance(1.1)
        here.turn(5)
    assert producer.reading
    for each in subscribers:
        each.read()
    closed = sum("slow-subscriber-limit" in each.error() for each in subscribers)
    assert 0 < closed < 6, "only as many as needed"


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_a_message_larger_than_the_lag_reaches_a_topic(shell: MakeShell, ack: str) -> None:
    here = shell(slow_subscriber_limit=MIB)
    subscriber = here.connect()
    subscriber.send(subscribe("/topic/large", ack))
    here.connect().send(send("/topic/large", b"z" * 5 * MIB))
    assert subscriber.bodies() == [b"z" * 5 * MIB]
    assert not subscriber.error()


def test_a_stalled_subscriber_of_a_topic_is_closed_after_whole_frames(shell: MakeShell) -> None:
    here = shell(slow_subscriber_limit=MIB, linger=60)
    slow, quick, producer = here.connect(), here.connect(), here.connect()
    slow.send(subscribe("/topic/t"))
    quick.send(subscribe("/topic/t"))
    slow.stalled = True
    for number in range(50):
        producer.send(send("/topic/t", b"%d" % number + b"." * 50_000))
    assert len(quick.bodies()) == 50
    assert not slow.half_closed, "it has an ERROR to read first"
    slow.read()
    assert slow.half_closed
    assert "slow-subscriber-limit" in slow.error()
    got = slow.bodies()
    assert 1 <= len(got) < 50
    assert got == quick.bodies()[: len(got)]
    assert producer.reading


def test_what_a_topics_subscriber_lags_counts_until_it_is_written(shell: MakeShell) -> None:
    here = shell(slow_subscriber_limit=10 * MIB)
    slow, producer = here.connect(), here.connect()
    slow.send(subscribe("/topic/t"))
    slow.stalled = True
    for _ in range(50):
        producer.send(send("/topic/t", b"." * 50_000))
    assert here.used == pytest.approx(50 * 50_000, abs=10_000)
    slow.read()
    assert here.used == 0
    assert len(slow.bodies()) == 50


def test_a_topic_subscriber_that_never_acknowledges_is_closed(shell: MakeShell) -> None:
    here = shell(slow_subscriber_limit=MIB)
    slow, producer = here.connect(), here.connect()
    slow.send(subscribe("/topic/t", "client", "prefetch-count:5\n"))
    for number in range(50):
        producer.send(send("/topic/t", b"%d" % number + b"." * 50_000))
    assert "slow-subscriber-limit" in slow.error()
    assert [body[:2] for body in slow.bodies()] == [b"0.", b"1.", b"2.", b"3.", b"4."]
    assert here.used == 0
