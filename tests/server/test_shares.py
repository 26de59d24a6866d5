"""What stays in memory although nobody consumes it has shares of its own, and cannot keep producers waiting."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.broker.subscription import Delivery

MIB = 1024 * 1024
MakeShell = Callable[..., Any]
DAY = 86_400_000


def send(destination: str, body: bytes = b"", more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def fill(here: Any, destination: str, more: str, most: int = 200) -> tuple[int, str]:
    """Send such messages of 100 KB to ever new names until one is refused; how many were taken, and the ERROR."""
    sender = here.connect()
    for number in range(most):
        sender.send(send(destination % number, bytes(100_000), more))
        if sender.error():
            return number, sender.error()
    pytest.fail("nothing is refused")


def goes_on(here: Any) -> bool:
    """Whether a producer is read and answered."""
    producer = here.connect()
    producer.send(send("/queue/q", bytes(100_000), "receipt:r\n"))
    consumer = here.connect()
    consumer.send(b"SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0")
    consumer.drop()
    answered = producer.receipts() == [b"r"] and producer.reading
    producer.drop()
    return bool(answered)


def test_retained_messages_do_not_stop_producers(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    taken, error = fill(here, "/topic/%d", "retain:set\n")
    assert taken == 12, "an eighth of the limit"
    assert "eighth of memory-limit" in error
    assert goes_on(here)
    # One that takes the place of another needs no more than that had.
    again = here.connect()
    again.send(send("/topic/0", bytes(100_000), "retain:set\nreceipt:r\n"))
    assert again.receipts() == [b"r"]
    for number in range(taken):
        again.send(send(f"/topic/{number}", b"", "retain:remove\n"))
    assert not again.error()
    assert here.used == 0


def test_what_has_expired_makes_room_for_what_is_retained(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    fill(here, "/topic/%d", "retain:set\nttl:1000\n")
    here.advance(2)
    sender = here.connect()
    sender.send(send("/topic/new", bytes(100_000), "retain:set\nreceipt:r\n"))
    assert sender.receipts() == [b"r"]
    sender.send(send("/topic/new", b"", "retain:remove\n"))
    assert here.used == 0


def test_scheduled_messages_do_not_stop_producers(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    taken, error = fill(here, "/queue/later%d", f"AMQ_SCHEDULED_DELAY:{DAY}\n")
    assert taken == 19, "three sixteenths of the limit"
    assert "3/16 of memory-limit" in error
    assert goes_on(here)
    here.server.broker.schedule.forget(list(here.server.broker.schedule.entries))
    assert here.used == 0


def test_scheduled_messages_in_the_store_do_not_stop_producers(shell: MakeShell, tmp_path: Any) -> None:
    here = shell(memory_limit=MIB, queue="file", storage=tmp_path, storage_reserve=0)
    sender = here.connect()
    sent = 0
    while not sender.error():
        sent += 1
        packet = send(f"/queue/{sent}", b"", f"AMQ_SCHEDULED_DELAY:{DAY}\nreceipt:{sent}\n")
        sender.send(packet)
        while not sender.error() and sender.receipts()[-1:] != [b"%d" % sent]:
            here.turn(2)
        assert sent < 1000
    assert "3/16 of memory-limit" in sender.error()
    assert sent > MIB * 2 / 16 / 450, "what the store has takes 450 bytes"
    assert not here.server.producers.short
    here.server.broker.schedule.forget(list(here.server.broker.schedule.entries))


def test_open_transactions_do_not_stop_producers(shell: MakeShell) -> None:
    here = shell(memory_limit=10 * MIB)
    idle = []
    refused = ""
    while not refused:
        client = here.connect()
        client.send(b"BEGIN\ntransaction:t\n\n\0")
        for _ in range(10):
            client.send(send("/queue/q", bytes(100_000), "transaction:t\n"))
        refused = client.error()
        idle.append(client)
        assert len(idle) < 10
    assert len(idle) == 3, "a quarter of the limit"
    assert "quarter of memory-limit" in refused
    assert goes_on(here)


@pytest.mark.parametrize("beats", [b"", b"heart-beat:0,1000\n"])
def test_a_transaction_has_a_time_limit(shell: MakeShell, beats: bytes) -> None:
    here = shell(transaction_timeout=60, heart_beat=(1000, 1000))
    client = here.connect("1.2", beats)
    for _ in range(3):
        client.send(b"BEGIN\ntransaction:a\n\n\0" + send("/queue/q", b"x", "transaction:a\n"))
        here.advance(30)
        client.send(b"COMMIT\ntransaction:a\n\n\0")
    here.advance(600)
    assert not client.error(), "none is open"
    client.send(b"BEGIN\ntransaction:b\n\n\0" + send("/queue/q", b"x", "transaction:b\n"))
    here.advance(40)
    client.send(b"BEGIN\ntransaction:c\n\n\0")
    here.advance(19)
    assert not client.error()
    here.advance(1)
    assert "Transaction open for too long 'b'" in client.error()
    assert "transaction-timeout" in client.error()
    assert here.server.broker.memory.transactions.used == 0
    assert here.server.broker.queues["/queue/q"].waiting == 3
    consumer = here.connect()
    consumer.send(b"SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0")


def test_the_time_in_which_a_client_is_not_read_is_not_its_own(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB, transaction_timeout=60)
    client = here.connect()
    client.send(b"BEGIN\ntransaction:t\n\n\0" + send("/queue/q", b"x", "transaction:t\n"))
    here.advance(30)
    other = here.connect()
    while other.reading:
        other.send(send("/queue/full", bytes(100_000)))
    client.send(send("/queue/q", b"y", "transaction:t\n") + b"COMMIT\ntransaction:t\nreceipt:r\n\n\0")
    assert not client.reading
    here.advance(600)
    assert not client.error()
    here.connect().send(b"SUBSCRIBE\nid:1\ndestination:/queue/>\n\n\0")
    here.turn(5)
    assert client.receipts() == [b"r"]


def test_a_transaction_without_time_limit(shell: MakeShell) -> None:
    here = shell(transaction_timeout=0)
    client = here.connect()
    client.send(b"BEGIN\ntransaction:t\n\n\0")
    here.advance(100_000)
    client.send(b"COMMIT\ntransaction:t\nreceipt:r\n\n\0")
    assert client.receipts() == [b"r"]


def test_all_shares_together_do_not_stop_producers(shell: MakeShell) -> None:
    policies = (("/topic/h.>", {"history_messages": 1}),)
    here = shell(memory_limit=10 * MIB, policies=policies)
    producer = here.connect()
    for number in range(100):
        producer.send(send(f"/topic/h.{number}", bytes(100_000)))
    assert len(here.server.broker.fanout.histories) == 25, "a quarter of the limit, one message each"
    fill(here, "/topic/%d", "retain:set\n")
    fill(here, "/queue/later%d", f"AMQ_SCHEDULED_DELAY:{DAY}\n")
    clients = [here.connect() for _ in range(5)]
    for client in clients:
        client.send(b"BEGIN\ntransaction:t\n\n\0")
        for _ in range(5):
            client.send(send("/queue/q", bytes(100_000), "transaction:t\n"))
    for _ in range(4):
        producer.send(send("/queue/kept", bytes(100_000)))
    assert here.used > here.server.broker.memory.high
    assert here.used <= here.server.broker.memory.limit
    assert producer.reading
    assert goes_on(here)
    broker = here.server.broker
    broker.schedule.forget(list(broker.schedule.entries))
    for topic in list(broker.fanout.retained.register.entries):
        broker.fanout.retained.remove(topic)
    for topic in list(broker.fanout.histories):
        broker.fanout._forget_history(topic)


def test_a_send_to_many_counts_for_each_of_them(shell: MakeShell) -> None:
    """Otherwise one frame of a tenth of the memory becomes three times the memory."""
    here = shell(memory_limit=10 * MIB)
    sender = here.connect()
    few = ",".join(f"/queue/{number}" for number in range(9))
    sender.send(send(few, bytes(MIB), "receipt:few\n"))
    assert sender.receipts() == [b"few"]
    consumer = here.connect()
    for number in range(9):
        consumer.send(f"SUBSCRIBE\nid:{number}\ndestination:/queue/{number}\n\n\0".encode())
    here.turn(30)
    assert here.used == 0
    many = ",".join(f"/queue/{number}" for number in range(30))
    sender.send(send(many, bytes(MIB), "receipt:many\n"))
    assert "memory-limit" in sender.error()
    assert "fewer at once" in sender.error()
    assert here.used == 0
    assert len(here.server.broker.queues) == 9, "nothing was done"


@pytest.mark.parametrize("transacted", [False, True])
def test_a_topic_that_feeds_many_counts_for_each_of_them(shell: MakeShell, transacted: bool) -> None:
    here = shell(memory_limit=10 * MIB)
    subscriber = here.connect()
    for number in range(20):
        subscriber.send(f"SUBSCRIBE\nid:{number}\ndestination:/topic/t\ndurable:true\n\n\0".encode())
    subscriber.drop()
    sender = here.connect()
    if transacted:
        sender.send(b"BEGIN\ntransaction:t\n\n\0" + send("/topic/t", bytes(MIB), "transaction:t\n"))
        assert not sender.error()
        sender.send(b"COMMIT\ntransaction:t\n\n\0")
    else:
        sender.send(send("/topic/t", bytes(MIB)))
    assert "memory-limit" in sender.error()
    assert here.used == 0
    for number in range(20):
        here.server.broker.forget_durable(str(number))


def test_a_commit_needs_no_more_memory_than_it_has(shell: MakeShell) -> None:
    """What its messages take is counted since they came: nobody may lose a transaction for that."""
    here = shell(memory_limit=10 * MIB)
    client = here.connect()
    # One who owes ACKs is read.
    client.send(b"SUBSCRIBE\nid:1\ndestination:/queue/full\nack:client\nprefetch-count:1\n\n\0")
    client.send(send("/queue/full"), b"BEGIN\ntransaction:t\n\n\0")
    for _ in range(20):
        client.send(send("/queue/q", bytes(100_000), "transaction:t\n"))
    while not here.server.broker.memory.full:
        client.send(send("/queue/full", bytes(400_000)))
    client.send(b"COMMIT\ntransaction:t\nreceipt:r\n\n\0")
    assert client.receipts() == [b"r"]


@pytest.mark.parametrize("ends", ["true", "false"])
def test_a_browser_that_does_not_read_holds_nothing(shell: MakeShell, ends: str) -> None:
    """It once kept the messages that others had consumed."""
    here = shell()
    browser, producer, consumer = here.connect(), here.connect(), here.connect()
    producer.send(*[send("/queue/browsed", b"old%d" % number + bytes(100_000)) for number in range(10)])
    browser.stalled = True
    browser.send(
        f"SUBSCRIBE\nid:1\ndestination:/queue/browsed\nbrowser:true\nbrowser-end:{ends}\n\n\0".encode()
    )
    producer.send(*[send("/queue/browsed", b"new%d" % number + bytes(100_000)) for number in range(10)])
    session = here.server.connections[next(iter(here.server.connections))].session
    assert len(alive("/queue/browsed")) == 20
    assert len(session.stalled) <= 1, "it is to be told once"
    consumer.send(b"SUBSCRIBE\nid:1\ndestination:/queue/browsed\n\n\0")
    here.turn(30)
    assert here.server.broker.queues["/queue/browsed"].waiting == 0
    assert not alive("/queue/browsed")
    assert here.used < 700_000, "what is on its way to the browser"
    browser.read()
    here.turn(30)
    assert here.used == 0
    assert 0 < len(browser.bodies()) < 10


def alive(destination: str) -> list[Message]:
    """The messages of a destination that somebody holds."""
    # Compiled, the collector does not know a message or a delivery, but whoever has one.
    found: dict[int, Message] = {}
    for holder in gc.get_objects():
        for each in gc.get_referents(holder):
            message = each.message if isinstance(each, Delivery) else each
            if isinstance(message, Message) and message.destination == destination:
                found[id(message)] = message
    return list(found.values())


def test_what_a_consumer_does_not_read_is_counted(shell: MakeShell) -> None:
    """With ack:auto it is in no queue any more: in the outbox, and in the transport's buffer."""
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(b"SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0")
    consumer.stalled = True
    producer.send(send("/queue/q", bytes(10_000)) * 100)
    here.turn(20)
    queue = here.server.broker.queues["/queue/q"]
    assert 0 < queue.waiting < 80
    assert here.used - queue.bytes == pytest.approx((100 - queue.waiting) * 10_000, rel=0.05)
    consumer.read()
    here.turn(20)
    assert here.used == 0
    assert len(consumer.bodies()) == 100


def test_consumers_that_do_not_read_do_not_stop_producers(shell: MakeShell) -> None:
    here = shell(memory_limit=4 * MIB, linger=60)
    consumers = [here.connect() for _ in range(15)]
    for number, consumer in enumerate(consumers):
        consumer.send(f"SUBSCRIBE\nid:1\ndestination:/queue/{number}\n\n\0".encode())
        consumer.stalled = True
    producer = here.connect()
    for number in range(15):
        if producer.reading:
            producer.send(send(f"/queue/{number}", bytes(10_000)) * 26)
            here.turn(5)
    for _ in range(14):
        here.advance(1.1)
        here.turn(5)
    assert not producer.reading
    assert not any(consumer.lost for consumer in consumers), "a slow one has time"
    for _ in range(5):
        here.advance(1.1)
        here.turn(5)
    assert producer.reading
    closed = sum(consumer.lost for consumer in consumers)
    assert 0 < closed < 15, "only as many as needed"
    for consumer in consumers:
        consumer.drop()
    taker = here.connect()
    taker.send(b"SUBSCRIBE\nid:1\ndestination:/queue/>\n\n\0")
    here.turn(50)
    assert here.used == 0


def test_frames_that_do_not_end_do_not_stop_producers(shell: MakeShell) -> None:
    """Each is small enough to be let in, all together are not."""
    here = shell(memory_limit=5 * MIB)
    begun = [here.connect() for _ in range(100)]
    for client in begun:
        client.send(b"SEND\ndestination:/queue/q\ncontent-length:70000\n\n" + bytes(60_000))
    producer = here.connect()
    producer.send(send("/queue/other", b"x"))
    assert not producer.reading
    for _ in range(60):
        here.advance(1.1)
        begun[0].send(bytes(100))
    assert not begun[0].error(), "it goes on"
    assert producer.reading
    assert producer.unread == 0
    ended = ["do not end their frames" in client.error() for client in begun]
    assert 0 < sum(ended) < 100, "only as many as needed"
    here.connect().send(b"SUBSCRIBE\nid:1\ndestination:/queue/>\n\n\0")


@pytest.mark.parametrize("alone", [True, False])
def test_what_comes_behind_a_long_commit_is_read_no_further_than_one_packet(
    shell: MakeShell, alone: bool
) -> None:
    """It waits for the COMMIT, however much it is: so it stays with its sender, and what was read counts."""
    here = shell()
    client, other = here.connect(), here.connect()
    client.send(b"BEGIN\ntransaction:t\n\n\0")
    client.send(send("/queue/q", b"x", "transaction:t\n") * 2000)
    here.turn(20)
    before = here.used
    packet = send("/queue/q", bytes(60_000)) + send("/queue/q", bytes(1000), "receipt:behind\n")
    commit = b"COMMIT\ntransaction:t\nreceipt:c\n\n\0"
    # Its slices come with the time, which stands still.
    client.send(commit if alone else commit + packet)
    client.send(*[packet] * 10)
    assert not client.reading
    assert client.unread == (9 if alone else 10) * len(packet)
    assert before + 61_000 <= here.used <= before + 2 * len(packet)
    assert client.receipts() == []
    other.send(send("/queue/other", b"", "receipt:meanwhile\n"))
    assert other.receipts() == [b"meanwhile"], "others are read"
    while not client.reading:
        here.advance(0.001)
        here.turn(20)
    assert client.receipts() == [b"c"] + [b"behind"] * (10 if alone else 11)
    here.connect().send(b"SUBSCRIBE\nid:1\ndestination:/queue/>\n\n\0")
    here.turn(20)
