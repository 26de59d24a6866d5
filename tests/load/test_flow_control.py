"""Those who do not read, do not acknowledge or do not finish, against those who send as fast as they can."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

MIB = 1024 * 1024
LOOPS = ["uvloop", pytest.param("asyncio", marks=pytest.mark.long)]
LIMIT_MIB = 48
LIMIT = f"--memory-limit={LIMIT_MIB}MiB"
BODY = 2000


def frames(destination: str, size: int = BODY, first: int = 0) -> Iterator[bytes]:
    """Ever more SEND frames whose bodies are numbered, about 256 KiB at a time."""
    count = max(1, 256 * 1024 // size)
    filling = b"." * (size - 8)
    head = f"SEND\ndestination:{destination}\n\n".encode()
    for start in itertools.count(first, count):
        yield b"".join([b"%b%08d%b\0" % (head, number, filling) for number in range(start, start + count)])


class Producer:
    """Sends from ``source`` whatever the server takes, without ever waiting for it."""

    def __init__(self, client: Any, source: Iterator[bytes]) -> None:
        self.client = client
        self.taken = 0
        self.frames = 0
        self._source = source
        self._rest = b""

    def push(self, most: int) -> bool:
        """Send until nothing more is taken, or ``most`` bytes were; whether all went."""
        target = self.taken + most
        while self.taken < target:
            if not self._rest:
                self._rest = next(self._source)
                self.frames += self._rest.count(b"\0")
            sent = self.client.offer(self._rest)
            if not sent:
                return False
            self.taken += sent
            self._rest = self._rest[sent:]
        return True

    def finish(self) -> None:
        """Send the rest of the frames that were begun."""
        self.client.send(self._rest)
        self._rest = b""

    def push_until_stuck(self, server: Any, most: int) -> None:
        """Push until the server says that producers wait and takes nothing more."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.client.socket, selectors.EVENT_WRITE)
            while self.taken < most:
                if not self.push(most - self.taken):
                    if "Producers wait" in server.log():
                        # Waits only at the very end: nothing is writable any more.
                        if not selector.select(0.3):
                            return
                    else:
                        selector.select(1)
        raise AssertionError(f"{self.taken} bytes were taken")


def bodies(client: Any, count: int) -> Iterator[int]:
    """The numbers in the next ``count`` MESSAGE bodies."""
    for _ in range(count):
        yield int(client.body()[:8])


# Consumers of queues


@pytest.mark.parametrize(
    ("loop", "ack"),
    [
        ("uvloop", "auto"),
        ("asyncio", "client-individual"),
        pytest.param("uvloop", "client-individual", marks=pytest.mark.long),
        pytest.param("uvloop", "client", marks=pytest.mark.long),
        pytest.param("asyncio", "client", marks=pytest.mark.long),
        pytest.param("asyncio", "auto", marks=pytest.mark.long),
    ],
)
def test_a_stalled_consumer_slows_the_producer_and_loses_nothing(watch: Any, loop: str, ack: str) -> None:
    server = watch(LIMIT, f"--loop={loop}")
    before = server.memory
    consumer = server.connect(receive_buffer=64 * 1024).subscribe("/queue/a", ack, "prefetch-count:0\n")
    producer = Producer(server.connect(), frames("/queue/a"))
    producer.push_until_stuck(server, 4 * LIMIT_MIB * MIB)
    assert server.most_memory - before < LIMIT_MIB
    assert producer.taken < 1.5 * LIMIT_MIB * MIB

    # It wakes up: the producer goes on, and all comes in order, once.
    producer.client.socket.settimeout(None)
    wanted = producer.frames
    acked = 0
    buffered = Reader(consumer)
    last_sent = False
    for number in range(wanted):
        head, body = buffered.message()
        assert int(body[:8]) == number
        if ack != "auto":
            acked += 1
            if ack == "client-individual" or acked % 50 == 0 or number == wanted - 1:
                consumer.send(b"ACK\nid:%b\n\n\0" % buffered.ack(head))
        if not last_sent and number == wanted // 2:
            producer.finish()
            last_sent = True
    server.wait_for_log("Producers go on")
    consumer.barrier()
    producer.client.barrier()


class Reader:
    """Takes frames out of a client's data without moving the rest each time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._frames: list[bytes] = []

    def message(self) -> tuple[bytes, bytes]:
        while not self._frames:
            assert self._client.read(), f"closed after {bytes(self._client.data[-300:])!r}"
            *whole, rest = bytes(self._client.data).split(b"\0")
            self._client.data[:] = rest
            self._frames = whole[::-1]
        head, _, body = self._frames.pop().lstrip(b"\n").partition(b"\n\n")
        assert head.startswith(b"MESSAGE\n"), head
        return head, body

    @staticmethod
    def ack(head: bytes) -> bytes:
        return head.partition(b"\nack:")[2].partition(b"\n")[0]


def test_large_messages_for_a_stalled_consumer(watch: Any) -> None:
    """What is beside the limit is one message at the socket and one before it."""
    server = watch(LIMIT)
    before = server.memory
    consumer = server.connect(receive_buffer=64 * 1024).subscribe("/queue/a")
    producer = Producer(server.connect(), frames("/queue/a", 4 * MIB))
    producer.push_until_stuck(server, 4 * LIMIT_MIB * MIB)
    assert server.most_memory - before < LIMIT_MIB + 4 * 4
    buffered = Reader(consumer)
    for number in range(3):
        _, body = buffered.message()
        assert int(body[:8]) == number
        assert len(body) == 4 * MIB


def test_what_was_held_for_one_who_left_goes_to_another(watch: Any) -> None:
    server = watch(LIMIT)
    stalled = server.connect(receive_buffer=64 * 1024).subscribe("/queue/a", "client", "prefetch-count:0\n")
    producer = Producer(server.connect(), frames("/queue/a"))
    producer.push_until_stuck(server, 4 * LIMIT_MIB * MIB)
    stalled.reset()
    heir = Reader(server.connect().subscribe("/queue/a"))
    numbers = [int(heir.message()[1][:8]) for _ in range(5000)]
    assert numbers == list(range(5000))


@pytest.mark.parametrize("loop", LOOPS)
def test_one_who_produces_consumes_and_owes_acks_never_gets_stuck(watch: Any, loop: str) -> None:
    """It reads and acknowledges only when it can send no more, as a client with one thread does."""
    server = watch("--memory-limit=16MiB", f"--loop={loop}")
    before = server.memory
    client = server.connect().subscribe("/queue/a", "client-individual", "prefetch-count:10\n")
    producer = Producer(client, frames("/queue/a"))
    refused = producer_is_refused(producer)
    assert "Out of memory" in refused and "memory-limit" in refused
    assert server.most_memory - before < 20
    heir = Reader(server.connect().subscribe("/queue/a"))
    assert int(heir.message()[1][:8]) == 0, "nothing that was accepted is lost"


def producer_is_refused(producer: Any) -> str:
    """Push until the server refuses more; its ERROR."""
    with selectors.DefaultSelector() as selector:
        selector.register(producer.client.socket, selectors.EVENT_WRITE)
        until = time.monotonic() + 30
        try:
            while time.monotonic() < until:
                producer.push(MIB)
                selector.select(0.1)
                if b"ERROR\n" in producer.client.socket.recv(1 << 20, 2 | 0x40):  # MSG_PEEK, MSG_DONTWAIT
                    break
        except (BlockingIOError, ConnectionError):
            pass
    text: str = producer.client.error()
    return text


def test_answers_that_nobody_reads_are_bounded(watch: Any) -> None:
    server = watch(LIMIT)
    before = server.memory
    client = server.connect(receive_buffer=64 * 1024)
    numbers = itertools.count()
    source = (
        b"".join([b"SEND\ndestination:/topic/nobody\nreceipt:r%d\n\n\0" % next(numbers) for _ in range(5000)])
        for _ in itertools.count()
    )
    producer = Producer(client, source)
    with selectors.DefaultSelector() as selector:
        selector.register(client.socket, selectors.EVENT_WRITE)
        while selector.select(0.5):
            producer.push(MIB)
            assert producer.taken < 200 * MIB, "it is never slowed"
    assert server.most_memory - before < 8
    client.exchange(producer._rest, lambda: b"receipt-id:r%d\n" % (producer.frames - 1) in client.data[-200:])
    assert client.data.count(b"RECEIPT\n") == producer.frames


# Subscribers of topics


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stalled_subscriber_of_a_topic_is_closed_and_told(watch: Any, loop: str) -> None:
    server = watch(LIMIT, "--linger=60", f"--loop={loop}")
    before = server.memory
    slow = server.connect(receive_buffer=64 * 1024).subscribe("/topic/a")
    quick = [server.connect().subscribe("/topic/a") for _ in range(2)]
    producer = server.connect()
    source = frames("/topic/a")
    readers = [Reader(client) for client in quick]
    expected = 0
    while "Too slow for topic" not in server.log():
        assert expected * BODY < 200 * MIB, "it is never closed"
        chunk = next(source)
        producer.send(chunk)
        for _ in range(chunk.count(b"\0")):
            for reader in readers:
                assert int(reader.message()[1][:8]) == expected
            expected += 1
    assert server.most_memory - before < LIMIT_MIB
    # Whole frames come first, in order, then the reason.
    rest = slow.rest().split(b"\0")
    assert rest[-1].strip(b"\n") == b""
    assert b"slow-subscriber-limit" in rest[-2]
    assert rest[-2].lstrip(b"\n").startswith(b"ERROR\n")
    numbers = [int(each.partition(b"\n\n")[2][:8]) for each in rest[:-2]]
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < expected
    # The others go on.
    chunk = next(source)
    producer.send(chunk)
    for number in range(expected, expected + chunk.count(b"\0")):
        for reader in readers:
            assert int(reader.message()[1][:8]) == number


@pytest.mark.parametrize("loop", LOOPS)
def test_a_quick_subscriber_of_a_topic_is_not_closed_for_many_producers(watch: Any, loop: str) -> None:
    """What many of them send in one turn of the loop is more than a subscriber may lag, but it had no chance yet.

    The server is stopped until all of it waits at its sockets, and it is little more than that and what the system's
    buffers take of what it writes: else the test would be of the test's own speed.
    """
    server = watch(f"--loop={loop}", "--slow-subscriber-limit=4MiB")
    subscriber = server.connect().subscribe("/topic/a")
    count = 6_000
    batch = b"SEND\ndestination:/topic/a\n\nhello\0" * count
    producers = [server.connect() for _ in range(20)]
    server.process.send_signal(signal.SIGSTOP)
    for producer in producers:
        producer.send(batch)
    server.process.send_signal(signal.SIGCONT)
    got = 0
    while got < 20 * count:
        assert subscriber.read(), server.log()
        got += subscriber.data.count(b"\0")
        assert b"ERROR" not in subscriber.data
        subscriber.data.clear()


@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_a_subscriber_of_a_topic_that_never_acknowledges_is_closed_and_told(watch: Any, ack: str) -> None:
    server = watch(LIMIT, "--slow-subscriber-limit=4MiB")
    before = server.memory
    slow = server.connect().subscribe("/topic/a", ack, "prefetch-count:20\n")
    producer = server.connect()
    for chunk in itertools.islice(frames("/topic/a"), 20):
        producer.send(chunk)
    text = slow.error()
    assert "Too slow for topic /topic/a" in text and "slow-subscriber-limit" in text
    producer.barrier()
    assert server.most_memory - before < LIMIT_MIB


@pytest.mark.long
def test_many_stalled_subscribers_of_many_topics_cannot_stop_producers(watch: Any) -> None:
    """Each within its own limit; all together would be more than memory-limit."""
    server = watch(LIMIT, "--linger=1")
    before = server.memory
    for number in range(8):
        server.connect(receive_buffer=64 * 1024).subscribe(f"/topic/{number}")
    producer = server.connect()
    for number in range(8):
        # 14 MiB each, sent by one who is made to wait and must go on.
        for chunk in itertools.islice(frames(f"/topic/{number}"), 56):
            producer.send(chunk)
    producer.barrier()
    assert "Too slow for topic" in server.log()
    assert server.most_memory - before < 1.5 * LIMIT_MIB


# Frames that never end


def test_large_frames_that_never_end_are_bounded_all_together(watch: Any) -> None:
    server = watch(LIMIT)
    before = server.memory
    steady = server.connect().subscribe("/queue/steady", "client-individual")
    steady.send(b"SEND\ndestination:/queue/steady\n\n0\0")
    clients = [server.connect() for _ in range(12)]
    for client in clients:
        client.send(b"SEND\ndestination:/queue/large\ncontent-length:%d\n\n" % (100 * MIB))
    part = bytes(256 * 1024)
    for _ in range(160):
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.offer(part)
    number = 0
    for number in range(1, 50):
        head, body = Reader(steady).message()
        assert int(body) == number - 1
        steady.send(b"ACK\nid:%b\n\n\0SEND\ndestination:/queue/steady\n\n%d\0" % (Reader.ack(head), number))
    assert server.most_memory - before < 1.4 * LIMIT_MIB
    for client in clients:
        client.reset()


def test_a_hundred_connections_that_never_log_in_hold_little(watch: Any) -> None:
    server = watch()
    before = server.memory
    clients = [server.open() for _ in range(100)]
    for number, client in enumerate(clients):
        if number % 2:
            client.send(b"CONNECT\nlogin:" + b"x" * 60_000)
        else:
            client.send(b"CONNECT\ncontent-length:60000\n\n" + bytes(59_999))
    server.connect().barrier()
    assert server.memory - before < 100 * 0.15


# Connections that leave while they wait


@pytest.mark.parametrize("loop", LOOPS)
def test_producers_that_left_while_they_waited_leave_their_places(watch: Any, loop: str) -> None:
    """Or those could not come in who would make room."""
    server = watch("--memory-limit=4MiB", "--max-connections=30", f"--loop={loop}")
    producer = Producer(server.connect(), frames("/queue/a"))
    producer.push_until_stuck(server, 100 * MIB)
    for number in range(25):
        client = server.connect()
        client.send(b"SEND\ndestination:/queue/a\n\nleft%04d\0" % number)
        if number % 2:
            client.close()
        else:
            client.reset()
    until = time.monotonic() + 10
    while True:
        consumer = server.open()
        consumer.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        answer = consumer.frame()
        for _ in range(8):
            server.open().close()
        if answer.startswith(b"CONNECTED") and server.files < 30:
            break
        assert time.monotonic() < until, f"{server.files} files, {answer!r}"
        consumer.close()
    consumer.subscribe("/queue/a")
    assert int(consumer.body()[:8]) == 0
    server.wait_for_log("Producers go on")


@pytest.mark.long
def test_a_client_that_waits_is_not_called_silent(watch: Any) -> None:
    """Heart-beats that the server does not read for want of memory are not missed (max(2n, n + 5 s))."""
    server = watch("--memory-limit=4MiB", "--heart-beat=100,100")
    client = server.connect(b"heart-beat:100,0\n")
    producer = Producer(client, frames("/queue/a"))
    producer.push_until_stuck(server, 100 * MIB)
    # Eight seconds in which it can send nothing: the server's own beats to another client measure them.
    clock = server.connect(b"heart-beat:0,1000\n")
    beats = 0
    while beats < 9:
        assert clock.read()
        beats += len(clock.data)
        clock.data.clear()
    assert "heart-beat" not in server.log()
    consumer = Reader(server.connect().subscribe("/queue/a"))
    producer.finish()
    for number in range(producer.frames):
        assert int(consumer.message()[1][:8]) == number
    client.barrier()
