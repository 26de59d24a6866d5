"""The generator must count right: a broker of thirty lines that can lose, repeat, reorder and cut is found out."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from bench.frames import LARGE_BODY, Stream, body_of
from bench.generator import Outcome, Port, exchange, settle
from bench.receiver import BodySkipper, CountError, FrameCounter, Receiver, check_collected

Fault = Callable[[list[bytes]], list[bytes]]


def honest(messages: list[bytes]) -> list[bytes]:
    return messages


class Echo(threading.Thread):
    """Turns every SEND of one socket into a MESSAGE on the other, after `fault` changed the first `held` of them."""

    def __init__(
        self, inbound: socket.socket, outbound: socket.socket, fault: Fault, held: int, receipts: bool
    ) -> None:
        super().__init__(daemon=True)
        self.inbound = inbound
        self.outbound = outbound
        self.fault = fault
        self.held = held
        self.receipts = receipts
        self.sent = 0

    def run(self) -> None:
        # A generator that found a fault hangs up.
        with suppress(ConnectionError):
            self.relay()

    def relay(self) -> None:
        rest = b""
        waiting: list[bytes] = []
        while data := self.inbound.recv(1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            if self.held:
                waiting += messages
                if len(waiting) < self.held:
                    continue
                messages = self.fault(waiting[: self.held]) + waiting[self.held :]
                self.held = 0
            out = []
            for message in messages:
                self.sent += 1
                out.append(
                    message.replace(b"SEND\n", b"\nMESSAGE\nack:a%d\nmessage-id:7\n" % self.sent, 1) + b"\0"
                )
            self.outbound.sendall(b"".join(out))
            if self.receipts:
                numbers = re.findall(rb"\nreceipt:(\d+)\n", b"".join(messages))
                self.inbound.sendall(
                    b"".join(b"RECEIPT\nreceipt-id:%s\n\n\0\n" % number for number in numbers)
                )


@contextmanager
def echo(
    fault: Fault = honest, held: int = 0, *, receipts: bool = False
) -> Iterator[tuple[socket.socket, socket.socket, Echo]]:
    """(producer's socket, consumer's socket, the broker's thread)."""
    producer, inbound = socket.socketpair()
    consumer, outbound = socket.socketpair()
    thread = Echo(inbound, outbound, fault, held, receipts)
    thread.start()
    with producer, consumer, inbound, outbound:
        try:
            yield producer, consumer, thread
        finally:
            producer.shutdown(socket.SHUT_RDWR)
            consumer.shutdown(socket.SHUT_RDWR)
            thread.join(5)
    assert not thread.is_alive()


def deliver(
    fault: Fault, receiver: Receiver, *, body: int = 100, messages: int = 2000, held: int = 20
) -> Outcome:
    stream = Stream((b"/queue/t",), body_of(body))
    with echo(fault, held) as (producer, consumer, _):
        inbound, outbound = Port(consumer, receiver), Port(producer, None)
        return exchange(
            stream,
            outbound,
            (inbound, outbound),
            lambda: receiver.count,
            messages,
            window=messages,
            stall=0.2,
        )


def test_a_faithful_server_is_counted_exactly() -> None:
    receiver = FrameCounter(20_000)
    outcome = deliver(honest, receiver, messages=20_000)
    assert receiver.count == 20_000
    assert outcome.seconds > 0


def test_large_bodies_are_counted_exactly() -> None:
    receiver = BodySkipper(100)
    deliver(honest, receiver, body=100_000, messages=100)
    assert receiver.count == 100


@pytest.mark.parametrize(("body", "total"), [(100, 2000), (5000, 200)])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda batch: batch[:4] + batch[5:], "message 5 came when 4 was due: 1 lost"),
        (lambda batch: [*batch[:4], batch[3], *batch[4:]], "message 3 came again"),
        (lambda batch: [batch[1], batch[0], *batch[2:]], "message 1 came when 0 was due"),
        # Nothing is missing in number: one lost, one repeated.
        (lambda batch: [*batch[:4], batch[3], *batch[5:]], "message 3 came again"),
    ],
    ids=["lost", "twice", "reordered", "lost and twice"],
)
def test_faults_in_the_middle_are_named(fault: Fault, words: str, body: int, total: int) -> None:
    receiver = BodySkipper(total) if body >= LARGE_BODY else FrameCounter(total)
    with pytest.raises(CountError, match=words):
        deliver(fault, receiver, body=body, messages=total)


def test_a_loss_at_the_end_is_noticed_by_silence() -> None:
    with pytest.raises(CountError, match=r"nothing came for 0\.2 s: 250 sent, 249 received of 250"):
        deliver(lambda batch: batch[:-1], FrameCounter(250), messages=250, held=250)


def test_a_message_too_many_is_a_duplicate() -> None:
    producer, consumer = socket.socketpair()
    with producer, consumer:
        receiver = FrameCounter(2)
        producer.sendall(b"MESSAGE\nseq:000000000000\n\nx\0\nMESSAGE\nseq:000000000001\n\nx\0\n")
        producer.sendall(b"MESSAGE\nseq:000000000002\n\nx\0\n")
        with pytest.raises(CountError, match="message 2 came after all 2"):
            receiver.read(consumer)


def test_a_cut_body_is_noticed() -> None:
    producer, consumer = socket.socketpair()
    with producer, consumer:
        producer.sendall(b"MESSAGE\nseq:000000000000\ncontent-length:10\n\nshort\0MESSAGE\n")
        with pytest.raises(CountError, match="does not end with NUL"):
            BodySkipper(1).read(consumer)


def test_frames_are_counted_wherever_the_reads_cut_them() -> None:
    wire = b"".join(
        b"MESSAGE\nack:a-%d\nseq:%012d\ncontent-length:3\n\nabc\0\n" % (9 + i, i) for i in range(3)
    )
    producer, consumer = socket.socketpair()
    with producer, consumer:
        for cut in range(1, len(wire)):
            small, large = FrameCounter(3, acks=True), BodySkipper(3)
            answers = b""
            for part in (wire[:cut], wire[cut:]):
                producer.sendall(part)
                answers += small.read(consumer)
                producer.sendall(part)
                large.read(consumer)
            assert (small.count, large.count) == (3, 3)
            assert answers == b"ACK\nid:a-9\n\n\0ACK\nid:a-10\n\n\0ACK\nid:a-11\n\n\0"


def test_receipts_are_counted_on_the_producers_connection() -> None:
    stream = Stream((b"/queue/t",), b"x" * 100, receipts=True)
    messages = stream.whole_chunks(1000)
    with echo(receipts=True) as (producer, consumer, _):
        receiver, paid = FrameCounter(messages), FrameCounter(messages, header=b"receipt-id")
        inbound, outbound = Port(consumer, receiver), Port(producer, paid)
        ports = (inbound, outbound)
        exchange(
            stream, outbound, ports, lambda: min(receiver.count, paid.count), messages, window=500, stall=1
        )
    assert (receiver.count, paid.count) == (messages, messages)


def test_the_window_is_kept() -> None:
    stream = Stream((b"/queue/t",), b"x" * 100)
    step = stream.frames_per_chunk
    under_way = []
    with echo() as (producer, consumer, thread):
        receiver = FrameCounter(20 * step)
        inbound, outbound = Port(consumer, receiver), Port(producer, None)

        def progress() -> int:
            under_way.append(thread.sent - receiver.count)
            return receiver.count

        exchange(stream, outbound, (inbound, outbound), progress, 20 * step, window=2 * step, stall=1)
    assert max(under_way) <= 2 * step


def test_an_error_frame_is_shown() -> None:
    producer, inbound = socket.socketpair()
    with producer, inbound:
        receiver = FrameCounter(10, header=b"receipt-id")
        outbound = Port(producer, receiver)
        inbound.sendall(b"ERROR\nmessage:no such luck\n\n\0")
        inbound.shutdown(socket.SHUT_WR)
        stream = Stream((b"/queue/t",), b"x" * 100)
        with pytest.raises(CountError, match="no such luck"):
            exchange(stream, outbound, (outbound,), lambda: receiver.count, 250, window=250, stall=1)


def test_a_broken_connection_of_a_producer_is_a_worthless_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        producer = socket.create_connection(listener.getsockname())
        inbound, _ = listener.accept()
        # Closed with what cannot be sent any more: the other side is told that it is broken, not that it ended.
        inbound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        inbound.close()
        port = Port(producer, None)
        with producer, pytest.raises(CountError, match="broke the connection"):
            settle((port,), lambda: False, 5)


def test_every_message_of_every_lap_is_unique() -> None:
    for body in (10, 3000):
        stream = Stream((b"/queue/a", b"/queue/b"), b"x" * body, receipts=True)
        laps = b"".join(b"".join(stream.chunk(index)) for index in range(2 * stream.chunks_per_lap))
        count = 2 * stream.block_size
        assert re.findall(rb"\nseq:(\d{12})\n", laps) == [b"%012d" % number for number in range(count)]
        for header in (b"correlation-id", b"receipt"):
            assert len(set(re.findall(rb"\n%s:([^\n]+)\n" % header, laps))) == count
        assert re.findall(rb"\ndestination:/queue/(.)\n", laps) == [b"a", b"b"] * (count // 2)
        assert laps.count(b"\n\n" + b"x" * body + b"\0SEND\n") == count - 1


def test_numbers_gathered_in_any_order_are_compared() -> None:
    check_collected([b"2", b"1"], [b"1", b"2"], "here")
    with pytest.raises(CountError, match="here: 1 lost, 1 received twice, 1 belong elsewhere"):
        check_collected([b"1", b"1", b"9"], [b"1", b"2"], "here")
