"""What one connection may take of a turn of the loop: the rest of what it sent waits, in order, and others go on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

MakeShell = Callable[..., Any]
TICK = 0.001
"""Seconds that pass whenever somebody looks at the time: a share is over after some looks."""


def send(destination: str, body: bytes = b"", more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}content-length:{len(body)}\n\n".encode() + body + b"\0"


def subscribe(destination: str, ack: str = "auto", more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:1\ndestination:{destination}\nack:{ack}\n{more}\n\0".encode()


def many(count: int, destination: str = "/queue/a", receipt: str = "receipt:{}\n") -> bytes:
    return b"".join(send(destination, b"%d" % number, receipt.format(number)) for number in range(count))


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.fixture
def slow(shell: MakeShell) -> Callable[..., Any]:
    """A server for which all takes long from when `begin` is called."""

    def make(**options: Any) -> Any:
        here = shell(**options)

        def begin() -> None:
            here.loop.pace = TICK

        here.begin = begin
        return here

    return make


def test_others_are_heard_before_a_long_packet_is_done(slow: Callable[..., Any]) -> None:
    here = slow()
    hog, other = here.connect(), here.connect()
    other.send(subscribe("/queue/echo"))
    here.begin()
    hog.protocol.data_received(many(10_000))
    assert not hog.reading
    other.send(send("/queue/echo", b"here"))
    assert other.bodies() == [b"here"]
    assert 0 < len(hog.receipts()) < 10_000
    here.turn(100)
    assert hog.receipts() == numbers(10_000)
    assert hog.reading
    other.send(b"UNSUBSCRIBE\nid:1\n\n\0", subscribe("/queue/a"))
    here.turn(50)
    assert other.bodies()[1:] == numbers(10_000)


def test_a_turn_does_not_do_more_than_its_share(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(10_000))
    done = []
    for _ in range(100):
        here.turn()
        done.append(here.server.broker.enqueued)
    steps = [after - before for before, after in itertools.pairwise(done)]
    assert done[-1] == 10_000
    assert 0 < max(steps) < 3000


def test_many_who_send_much_take_turns(slow: Callable[..., Any]) -> None:
    here = slow()
    hogs = [here.connect() for _ in range(4)]
    here.begin()
    for hog in hogs:
        hog.protocol.data_received(many(10_000, receipt="receipt:{}\n"))
    for _ in range(8):
        here.turn()
    counts = [len(hog.receipts()) for hog in hogs]
    assert max(counts) < 10_000
    assert min(counts) > max(counts) / 4, counts
    here.turn(200)
    assert all(hog.receipts() == numbers(10_000) for hog in hogs)


def test_without_time_passing_all_of_a_packet_is_one_turn(shell: MakeShell) -> None:
    here = shell()
    producer = here.connect()
    producer.protocol.data_received(many(1500))
    here.turn(2)
    assert producer.receipts() == numbers(1500)
    assert producer.pauses == 0


def test_what_comes_behind_a_long_packet_is_done_behind_it(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    packet = many(5000) + send("/queue/a", b"cut", "receipt:cut\n")
    hog.protocol.data_received(packet[:-5])
    # Some transports give what they have read already.
    hog.protocol.data_received(packet[-5:] + send("/queue/a", b"last", "receipt:last\n"))
    here.turn(100)
    assert hog.receipts() == [*numbers(5000), b"cut", b"last"]


def test_a_packet_that_ends_within_a_body(slow: Callable[..., Any]) -> None:
    here = slow()
    hog, other = here.connect(), here.connect()
    here.begin()
    large = send("/queue/b", b"x" * 100_000, "receipt:large\n")
    hog.protocol.data_received(many(5000) + large[:60_000])
    hog.send(large[60_000:] + send("/queue/a", b"last", "receipt:last\n"))
    here.turn(100)
    assert hog.receipts() == [*numbers(5000), b"large", b"last"]
    other.send(subscribe("/queue/b"))
    assert other.bodies() == [b"x" * 100_000]


def test_the_end_of_the_stream_comes_behind_a_long_packet(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(5000))
    assert hog.protocol.eof_received()
    assert not hog.half_closed
    here.turn(100)
    assert hog.receipts() == numbers(5000)
    assert hog.lost and not hog.aborted


def test_a_closed_connection_without_halves_still_has_its_frames_done(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.open(half_closes=False)
    hog.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
    here.begin()
    hog.protocol.data_received(many(5000))
    hog.end()
    here.turn(100)
    assert hog.lost
    assert len(here.server.connections) == 0
    other = here.connect()
    other.send(subscribe("/queue/a"))
    assert other.bodies() == numbers(5000)


@pytest.mark.parametrize("problem", [None, ConnectionResetError("reset by peer")])
def test_what_a_lost_client_had_sent_is_done_before_its_messages_go_back(
    slow: Callable[..., Any], problem: Exception | None
) -> None:
    here = slow()
    here.connect().send(send("/queue/jobs", b"one") + send("/queue/jobs", b"two"))
    hog = here.connect()
    hog.send(subscribe("/queue/jobs", "client-individual"))
    assert hog.bodies() == [b"one", b"two"]
    here.begin()
    hog.protocol.data_received(many(5000) + b"ACK\nid:%b\n\n\0" % hog.acks()[0])
    hog.drop(problem)
    here.turn(100)
    other = here.connect()
    other.send(subscribe("/queue/jobs"))
    assert other.bodies() == [b"two"]
    assert here.server.broker.queues["/queue/a"].waiting == 5000
    assert len(here.server.connections) == 2


def test_a_lost_client_is_given_nothing_more(slow: Callable[..., Any]) -> None:
    here = slow()
    hog, other = here.connect(), here.connect()
    hog.send(subscribe("/queue/jobs"))
    here.begin()
    hog.protocol.data_received(many(5000))
    hog.drop()
    other.send(send("/queue/jobs", b"one"))
    here.turn(100)
    other.send(subscribe("/queue/jobs"))
    assert other.bodies() == [b"one"]


def test_nothing_is_done_behind_an_error_in_a_long_packet(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(5000) + b"NONSENSE\n\n\0" + many(5000, "/queue/b"))
    here.turn(100)
    assert hog.receipts() == numbers(5000)
    assert "NONSENSE" in hog.error()
    assert "/queue/b" not in here.server.broker.queues


def test_what_is_no_frame_is_told_behind_a_long_packet(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(5000) + b"SEND\nno colon\n\n\0")
    here.turn(100)
    assert hog.receipts() == numbers(5000)
    assert "without a colon" in hog.error()


def test_disconnect_at_the_end_of_a_long_packet(slow: Callable[..., Any]) -> None:
    here = slow()
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(5000) + b"DISCONNECT\nreceipt:bye\n\n\0" + many(10))
    here.turn(100)
    assert hog.receipts() == [*numbers(5000), b"bye"]
    assert hog.half_closed


def test_one_that_waits_for_its_turn_is_not_called_silent(slow: Callable[..., Any]) -> None:
    here = slow(heart_beat="1000,1000")
    hog = here.connect("1.2", b"heart-beat:1000,1000\n")
    here.begin()
    hog.protocol.data_received(many(5000))
    here.loop.pace = 10 * TICK
    here.advance(5.9)
    here.turn(300)
    assert hog.receipts() == numbers(5000)
    assert not hog.error()
    here.loop.pace = 0
    here.advance(7)
    assert "heart-beat" in hog.error().lower()


def test_the_server_ends_while_a_long_packet_waits(slow: Callable[..., Any]) -> None:
    here = slow()
    hog, lost = here.connect(), here.connect()
    here.begin()
    hog.protocol.data_received(many(5000))
    lost.protocol.data_received(many(5000))
    lost.drop()
    here.loop.pace = 0
    ending = here.loop.create_task(here.server.drain(1))
    here.turn(3)
    assert hog.half_closed
    hog.end()
    here.run(ending)
    assert not here.server.connections
    done = len(hog.receipts())
    assert hog.receipts() == numbers(done)


def test_a_login_with_a_long_packet_behind_it(slow: Callable[..., Any]) -> None:
    here = slow()
    hog, other = here.open(), here.connect()
    other.send(subscribe("/queue/echo"))
    here.begin()
    hog.protocol.data_received(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0" + many(10_000))
    other.send(send("/queue/echo", b"here"))
    assert other.bodies() == [b"here"]
    assert len(hog.receipts()) < 10_000
    here.turn(100)
    assert hog.receipts() == numbers(10_000)


def test_what_waits_is_counted_and_refuses_nobody(slow: Callable[..., Any]) -> None:
    here = slow(memory_limit=1024 * 1024)
    consumer = here.connect()
    consumer.send(subscribe("/queue/jobs", "client-individual", "prefetch-count:0\n"))
    here.connect().send(send("/queue/jobs", bytes(9)) * 3000)
    here.begin()
    before = here.used
    acks = b"".join(b"ACK\nid:%b\nx:%b\n\n\0" % (ack, b"." * 200) for ack in consumer.acks())
    consumer.protocol.data_received(acks)
    waiting = consumer.protocol.session.unsettled
    assert 0 < waiting < 3000
    assert here.used > before * waiting // 3000 + 200 * waiting
    here.turn(100)
    assert here.used == 0
    assert not consumer.error()


def test_a_producer_that_is_to_wait_does_so_behind_its_packet(slow: Callable[..., Any]) -> None:
    here = slow(memory_limit=1024 * 1024)
    hog = here.connect()
    here.begin()
    hog.protocol.data_received(many(2000, receipt="x:" + "." * 100 + "\nreceipt:{}\n"))
    here.turn(200)
    assert hog.receipts() == numbers(2000)
    assert not hog.reading
    consumer = here.connect()
    consumer.send(subscribe("/queue/a"))
    here.turn(10)
    assert hog.reading


@pytest.mark.parametrize(
    ("frame", "most"),
    [
        (send("/topic/wide", b"x"), 1),
        (b"SUBSCRIBE\nid:%d\ndestination:/queue/%d\n\n\0", 16),
        (b"SEND\ndestination:/queue/new-%d\n\n%d\0", 16),
    ],
)
def test_few_frames_that_have_much_to_do_are_a_step(shell: MakeShell, frame: bytes, most: int) -> None:
    here = shell()
    for _ in range(300):
        here.connect().send(subscribe("/topic/wide"))
    client = here.connect()
    session = client.protocol.session
    octets = b"".join(frame % ((number,) * frame.count(b"%")) for number in range(200))
    assert session.begin(octets, 0.0)
    steps = 1
    while session.go_on():
        steps += 1
    assert steps >= 200 / most - 1
    here.turn(2)


LIST = b"SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/queue/r\nlimit:1\n\n\0"


@pytest.fixture
def crowd(shell: MakeShell) -> Any:
    """A server with so many queues that a list of them takes several slices."""
    here = shell()
    here.connect().send(b"".join(send(f"/queue/{number}", b"x") for number in range(1500)))
    return here


def test_one_is_not_read_while_it_waits_for_what_is_under_way(crowd: Any) -> None:
    hog, other = crowd.connect(), crowd.connect()
    hog.send(subscribe("/queue/r"))
    hog.protocol.data_received(LIST + send("/queue/a", b"x", "receipt:1\n"))
    assert hog.reading, "one list keeps nobody from going on"
    hog.protocol.data_received(LIST + LIST + send("/queue/a", b"x", "receipt:2\n"))
    assert not hog.reading
    other.send(subscribe("/topic/t"), send("/topic/t", b"here"))
    assert other.bodies() == [b"here"]
    crowd.turn(5)
    assert hog.receipts() == [b"1"]
    assert crowd.server.turn._resting == []
    for _ in range(40):
        crowd.advance(0.001)
    assert len(hog.bodies()) == 3
    assert hog.receipts() == [b"1", b"2"]
    assert hog.reading


@pytest.mark.parametrize("how", ["end", "drop"])
def test_one_that_leaves_while_it_waits_for_what_is_under_way(crowd: Any, how: str) -> None:
    hog, other = crowd.connect(), crowd.connect()
    hog.protocol.data_received(LIST + LIST + LIST + send("/queue/a", b"last"))
    if how == "end":
        assert hog.protocol.eof_received()
    else:
        hog.drop()
    for _ in range(40):
        crowd.advance(0.001)
    other.send(subscribe("/queue/a") + subscribe("/queue/r").replace(b"id:1", b"id:2"))
    assert other.bodies()[0] == b"last"
    assert len(other.bodies()) == 4
    assert hog.lost
    assert len(crowd.server.connections) == 2


def test_one_message_for_very_many_is_written_in_several_turns(slow: Callable[..., Any]) -> None:
    here = slow()
    many = [here.connect() for _ in range(300)]
    for client in many:
        client.send(subscribe("/topic/wide"))
    producer, other = here.connect(), here.connect()
    other.send(subscribe("/queue/echo"))
    here.begin()
    producer.protocol.data_received(send("/topic/wide", b"1") + send("/topic/wide", b"2", "receipt:sent\n"))
    here.turn()
    got = sum(len(client.bodies()) for client in many)
    assert 0 < got < 600
    other.send(send("/queue/echo", b"here"))
    assert other.bodies() == [b"here"]
    assert sum(len(client.bodies()) for client in many) < 600
    producer.send(send("/topic/wide", b"3"))
    here.turn(60)
    assert producer.receipts() == [b"sent"]
    assert all(client.bodies() == [b"1", b"2", b"3"] for client in many)
    assert here.server.turn._late == []
