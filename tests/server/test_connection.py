"""The asyncio half of a connection: when it writes, reads, waits, and ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024
MakeShell = Callable[..., Any]


def send(destination: str, body: bytes = b"", more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def subscribe(destination: str, ack: str = "auto", more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:1\ndestination:{destination}\nack:{ack}\n{more}\n\0".encode()


# Writing


def test_all_of_a_turn_is_one_write(shell: MakeShell) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a"))
    consumer.writes.clear()
    producer.send(b"".join(send("/queue/a", b"%d" % number) for number in range(100)))
    assert len(consumer.writes) == 1
    assert consumer.bodies() == [b"%d" % number for number in range(100)]


def test_nothing_is_written_while_the_transport_is_full(shell: MakeShell) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a"))
    consumer.stalled = True
    producer.send(send("/queue/a", bytes(300_000)))
    assert consumer.blocked
    piled_up = len(consumer.buffer)
    for _ in range(20):
        producer.send(send("/queue/a", b"x" * 100_000))
    assert len(consumer.buffer) == piled_up
    assert here.used > 20 * 100_000, "they stay in the queue"


@pytest.mark.parametrize("ack", ["auto", "client", "client-individual"])
def test_what_waited_for_a_full_socket_arrives_in_order(shell: MakeShell, ack: str) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a", ack, "prefetch-count:0\n"))
    consumer.stalled = True
    for number in range(100):
        producer.send(send("/queue/a", b"%06d" % number + b"." * 20_000))
    assert consumer.bodies() == []
    while consumer.stalled:
        consumer.read(50_000 if consumer.buffer else None)
    here.turn(10)
    assert [int(body[:6]) for body in consumer.bodies()] == list(range(100))


def test_a_resumed_socket_without_more_to_send_writes_nothing(shell: MakeShell) -> None:
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/queue/a"))
    consumer.stalled = True
    producer.send(send("/queue/a", bytes(200_000)))
    writes = len(consumer.writes)
    consumer.read()
    assert len(consumer.writes) == writes
    producer.send(send("/queue/a", b"next"))
    assert consumer.bodies()[-1] == b"next"


def test_receipts_that_nobody_reads_stop_the_reading(shell: MakeShell) -> None:
    here = shell()
    client = here.connect()
    client.stalled = True
    frames = [send("/topic/nobody", b"", f"receipt:{n}\n") for n in range(60_000)]
    for first in range(0, len(frames), 1000):
        client.send(b"".join(frames[first : first + 1000]))
    assert not client.reading
    assert client.unread > 1000
    assert len(client.buffer) < 600_000, "what waits is bounded"
    client.read()
    here.turn(200)
    assert client.unread == 0
    assert client.receipts() == [b"%d" % number for number in range(60_000)]


def test_messages_that_nobody_reads_do_not_stop_the_reading(shell: MakeShell) -> None:
    here = shell()
    both = here.connect()
    both.send(subscribe("/queue/a"))
    both.stalled = True
    for _ in range(30):
        both.send(send("/queue/a", bytes(100_000)))
    assert both.reading, "it may be about to send what lets it read"


# Reading


def test_a_connection_over_the_limit_hears_so_and_is_not_read(shell: MakeShell) -> None:
    here = shell(max_connections=1)
    here.connect()
    late = here.open()
    assert "Too many connections" in late.error()
    assert late.half_closed
    late.send(b"CONNECT\n\n\0")
    assert b"CONNECTED" not in late.got


def test_what_comes_after_the_end_is_ignored(shell: MakeShell) -> None:
    here = shell()
    client = here.connect()
    client.send(b"DISCONNECT\nreceipt:bye\n\n\0" + send("/queue/a", b"late"), send("/queue/a", b"later"))
    assert client.receipts() == [b"bye"]
    assert client.half_closed
    assert here.used == 0


def test_the_rest_of_a_closed_stream_is_processed_and_answered(shell: MakeShell) -> None:
    here = shell()
    client = here.connect()
    client.send(send("/queue/a", b"one", "receipt:1\n") + b"SEND\ndestination:/queue/a\n\nhalf")
    client.end()
    assert client.receipts() == [b"1"]
    assert client.lost and not client.aborted
    other = here.connect()
    other.send(subscribe("/queue/a"))
    assert other.bodies() == [b"one"]


@pytest.mark.parametrize("problem", [None, ConnectionResetError("reset by peer"), TimeoutError("timed out")])
def test_whatever_ends_a_connection_puts_its_messages_back(
    shell: MakeShell, problem: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    here = shell()
    caplog.set_level(logging.INFO, "stompserver")
    here.connect().send(send("/queue/a", b"one") + send("/queue/a", b"two"))
    first = here.connect()
    first.send(subscribe("/queue/a", "client"))
    assert first.bodies() == [b"one", b"two"]
    first.drop(problem)
    second = here.connect()
    second.send(subscribe("/queue/a"))
    assert second.bodies() == [b"one", b"two"]
    assert b"redelivered:true" in second.got
    assert [record for record in caplog.records if record.exc_info] == []


# The end


def test_an_error_lingers_until_the_client_closes(shell: MakeShell) -> None:
    here = shell(linger=2)
    client = here.connect()
    client.send(b"NONSENSE\n\n\0")
    assert "NONSENSE" in client.error()
    assert client.half_closed and not client.closing
    client.send(b"more", b"and more")
    client.end()
    assert client.lost and not client.aborted


def test_a_client_that_does_not_close_is_cut_off_after_the_linger(shell: MakeShell) -> None:
    here = shell(linger=2)
    client = here.connect()
    client.send(b"NONSENSE\n\n\0")
    here.advance(1.9)
    assert not client.closing
    here.advance(0.2)
    assert client.aborted and client.lost
    assert not here.server.connections


def test_an_error_comes_after_what_a_full_socket_held(shell: MakeShell) -> None:
    here = shell()
    client, producer = here.connect(), here.connect()
    client.send(subscribe("/queue/a"))
    client.stalled = True
    for _ in range(10):
        producer.send(send("/queue/a", b"x" * 100_000))
    client.send(b"NONSENSE\n\n\0")
    client.read()
    assert len(client.bodies()) >= 1
    assert all(body == b"x" * 100_000 for body in client.bodies())
    assert "NONSENSE" in client.error()
    assert client.half_closed


def test_lingering_connections_take_nobodys_place(shell: MakeShell) -> None:
    here = shell(max_connections=2)
    here.connect()
    second = here.connect()
    refused = [here.open() for _ in range(5)]
    assert all("max-connections" in each.error() for each in refused)
    second.send(b"DISCONNECT\n\n\0")
    assert here.connect().got.startswith(b"CONNECTED")
    assert "max-connections" in here.open().error()


def test_connections_far_above_the_limit_are_just_cut(shell: MakeShell) -> None:
    here = shell(max_connections=1)
    wires = [here.open() for _ in range(150)]
    assert sum(wire.aborted for wire in wires) >= 45
    assert sum("max-connections" in wire.error() for wire in wires) >= 99


def test_places_are_counted_by_address(shell: MakeShell) -> None:
    here = shell(max_connections_per_address=1)
    first = here.connect(address="10.0.0.1")
    assert "max-connections-per-address" in here.open("10.0.0.1").error()
    here.connect(address="10.0.0.2")
    first.drop()
    here.connect(address="10.0.0.1")


def test_a_reset_that_nobody_knows_of_yet_spoils_nothing(
    shell: MakeShell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio raises from write_eof() when the client is gone."""
    here = shell()
    first, second, producer = here.connect(), here.connect(), here.connect()
    first.send(subscribe("/topic/a"))
    second.send(subscribe("/topic/a"))

    def write_eof() -> None:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(first, "write_eof", write_eof)
    first.protocol.session.end_of_stream()
    producer.send(send("/topic/a", b"to all"))
    assert first.lost
    assert second.bodies() == [b"to all"]
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_fault_ends_one_connection_and_no_other(
    shell: MakeShell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = shell()
    clients = [here.connect() for _ in range(3)]
    for client in clients:
        client.send(subscribe("/topic/a"))

    def write(data: bytes) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(clients[1], "write", write)
    producer = here.connect()
    producer.send(send("/topic/a", b"1"), send("/topic/a", b"2"))
    assert clients[1].lost
    assert clients[0].bodies() == clients[2].bodies() == [b"1", b"2"]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a bug"]


def test_why_a_connection_ends_is_logged_when_it_is_known(
    shell: MakeShell, caplog: pytest.LogCaptureFixture
) -> None:
    here = shell(slow_subscriber_limit=MIB, linger=60)
    slow, producer = here.connect(), here.connect()
    slow.send(subscribe("/topic/t"))
    slow.stalled = True
    for _ in range(40):
        producer.send(send("/topic/t", b"." * 50_000))
    assert any("Too slow" in record.getMessage() for record in caplog.records)


# Time


def test_one_that_never_logs_in_is_told_and_cut(shell: MakeShell) -> None:
    here = shell(login_timeout=3, linger=1)
    silent, talking = here.open(), here.open()
    talking.send(b"CONN")
    here.advance(2.9)
    assert not silent.got and not talking.got
    here.advance(0.2)
    for wire in (silent, talking):
        assert "login-timeout" in wire.error()
    here.advance(1.1)
    assert silent.aborted and talking.aborted


def test_a_login_ends_the_login_timeout(shell: MakeShell) -> None:
    here = shell(login_timeout=3)
    client = here.open()
    here.advance(2.9)
    client.send(b"CONNECT\n\n\0")
    here.advance(1000)
    assert not client.error() and not client.closing


def test_beats_are_sent_in_time_and_only_into_silence(shell: MakeShell) -> None:
    here = shell(heart_beat="1000,0")
    client = here.connect("1.2", b"heart-beat:0,10000\n")
    seen = len(client.got)
    here.advance(8.1)
    assert client.got[seen:] == b"\n"
    for _ in range(10):
        client.send(b"BEGIN\ntransaction:t\nreceipt:1\n\n\0ABORT\ntransaction:t\n\n\0")
        here.advance(5)
    assert b"\n\n\n\n" not in client.got[seen:]
    assert client.got.endswith(b"\0\n")
    here.advance(8.1)
    assert client.got.endswith(b"\0\n\n")


def test_beats_do_not_pile_up_before_a_full_socket(shell: MakeShell) -> None:
    here = shell(heart_beat="1000,0")
    client, producer = here.connect("1.2", b"heart-beat:0,1000\n"), here.connect()
    client.send(subscribe("/queue/a"))
    client.stalled = True
    producer.send(send("/queue/a", bytes(200_000)))
    piled_up = len(client.buffer)
    for _ in range(100):
        here.advance(1)
    client.read()
    assert len(client.got) - piled_up < 1000


@pytest.mark.parametrize("sign", [b"\n", b"SE", b"\r\n"])
def test_any_octet_is_a_sign_of_life(shell: MakeShell, sign: bytes) -> None:
    here = shell(heart_beat="0,1000")
    client = here.connect("1.2", b"heart-beat:1000,0\n")
    here.advance(5.9)
    client.send(sign)
    here.advance(5.9)
    assert not client.error()
    here.advance(0.2)
    assert "heart-beat" in client.error().lower()


def test_a_client_that_is_not_read_is_not_called_silent(shell: MakeShell) -> None:
    here = shell(heart_beat="0,1000", memory_limit=MIB)
    producer = here.connect("1.2", b"heart-beat:1000,0\n")
    producer.send(send("/queue/a", bytes(900_000)))
    assert not producer.reading
    for _ in range(100):
        here.advance(7)
    assert not producer.error()
    here.connect().send(subscribe("/queue/a"))
    assert producer.reading
    here.advance(5.9)
    assert not producer.error(), "silence counts from when it was read again"
    here.advance(0.2)
    assert "heart-beat" in producer.error().lower()


def test_there_is_one_timer_for_a_connection(shell: MakeShell) -> None:
    here = shell(monitor_interval=0)
    before = here.loop.timers()
    clients = [here.connect("1.2", b"heart-beat:1000,1000\n") for _ in range(10)]
    assert here.loop.timers() - before <= 10
    for _ in range(20):
        for client in clients:
            client.send(b"\n")
        here.advance(1)
        assert here.loop.timers() - before <= 10
    for client in clients:
        client.drop()
    assert here.loop.timers() == before


def test_one_who_sends_much_is_read_once_a_turn(shell: MakeShell) -> None:
    """uvloop reads many times in a turn, and a turn of many producers would be long."""
    here = shell()
    consumer, producer = here.connect(), here.connect()
    consumer.send(subscribe("/topic/a"))
    consumer.writes.clear()
    chunk = send("/topic/a", b"x" * 1000) * 200
    for _ in range(10):
        producer.protocol.data_received(chunk)
        assert not producer.reading
        here.turn()
        assert producer.reading
    assert len(consumer.writes) == 10


def test_a_subscriber_is_not_judged_before_its_socket_was_tried(shell: MakeShell) -> None:
    here = shell(slow_subscriber_limit=MIB)
    consumer = here.connect()
    consumer.send(subscribe("/topic/a"))
    for producer in [here.connect() for _ in range(20)]:
        # All in one turn.
        producer.protocol.data_received(send("/topic/a", b"x" * 1000) * 200)
    here.turn(3)
    assert not consumer.error()
    assert len(consumer.bodies()) == 4000
    assert here.used == 0
