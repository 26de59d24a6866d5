"""SIGTERM and SIGHUP while many clients are at work."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any

import pytest

MIB = 1024 * 1024
LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.long)]
BATCH = b"".join(b"SEND\ndestination:/queue/a\nreceipt:%d\n\nhello\0" % number for number in range(500))


class Worker(threading.Thread):
    """Sends and receives until the server ends the connection; ``rest`` is what came, all of it."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.error: Exception | None = None
        self.batches = 0

    def run(self) -> None:
        try:
            while True:
                self.client.send(BATCH)
                self.batches += 1
                while self.client.data.count(b"receipt-id:499\n") < self.batches:
                    if not self.client.read():
                        return
        except ConnectionError:
            # Sending to one who has closed.
            with contextlib.suppress(ConnectionError):
                while self.client.read():
                    pass
        except Exception as problem:
            self.error = problem


@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_under_load(watch: Any, loop: str) -> None:
    """Everybody is let go in order: whole frames, no ERROR, exit code 0, before the deadline."""
    server = watch(f"--loop={loop}", "--shutdown-timeout=20")
    server.quiet()
    workers = [Worker(server.connect()) for _ in range(8)]
    consumers = [
        server.connect().subscribe("/queue/a", ack) for ack in ("auto", "client", "client-individual")
    ]
    stalled = server.connect(receive_buffer=64 * 1024).subscribe("/queue/a")
    half = server.connect()
    half.send(b"SEND\ndestination:/queue/a\ncontent-length:1000\n\nhalf")
    fresh = server.open()
    for worker in workers:
        worker.start()
    until = time.monotonic() + 30
    while min(worker.batches for worker in workers) < 5:
        assert time.monotonic() < until
        consumers[0].read()
    server.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    with contextlib.suppress(OSError):
        # Those who come now are not let in, and do not keep it from ending.
        for _ in range(200):
            server.open()
    for client in (*consumers, half, fresh):
        rest = client.rest()
        assert b"ERROR" not in rest
        assert rest.rpartition(b"\0")[2].strip(b"\n") == b"", "a frame is cut"
        client.close()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive() and worker.error is None
        assert b"ERROR" not in worker.client.data
        worker.client.close()
    server.server.process.wait(20)
    assert time.monotonic() - began < 8
    assert "Cutting off" not in server.stop()
    stalled.close()


def test_one_who_never_reads_cannot_hold_the_end_up(watch: Any) -> None:
    server = watch("--shutdown-timeout=3", "--linger=1", "--memory-limit=16MiB")
    server.connect(receive_buffer=64 * 1024).subscribe("/queue/a")
    producer = server.connect()
    part = b"SEND\ndestination:/queue/a\n\n" + b"x" * 100_000 + b"\0"
    producer.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        producer.send(part * 1000)
    server.wait_for_log("Producers wait")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("loop", LOOPS)
def test_sighup_under_load(watch: Any, loop: str) -> None:
    """New limits hold for those who come from now on; nobody who is there notices."""
    server = watch(f"--loop={loop}", "--heart-beat=0,0")
    server.reload("log-level: warning", "checkpoint: 1", until="only a restart")
    worker = Worker(server.connect())
    consumer = server.connect().subscribe("/queue/a")
    old = server.connect()
    worker.start()
    for number in range(1, 11):
        assert consumer.read()
        consumer.data.clear()
        # A new message with each: what needs a restart is named again.
        server.reload(
            "log-level: warning",
            f"checkpoint: {number + 1}",
            f"max-body: {1000 + number}",
            until="only a restart",
        )
        new = server.connect()
        new.send(b"SEND\ndestination:/topic/a\n\n" + b"x" * (1000 + number) + b"\0")
        new.barrier()
        new.send(b"SEND\ndestination:/topic/a\n\n" + b"x" * (1001 + number) + b"\0")
        text = new.error()
        assert "max-body" in text and f"{1000 + number} bytes" in text
        new.close()
    old.send(b"SEND\ndestination:/topic/a\n\n" + b"x" * 100_000 + b"\0")
    old.barrier()
    assert worker.is_alive() and worker.error is None
    worker.client.socket.shutdown(2)
    worker.join(30)


def test_sighup_takes_users_and_limits(watch: Any) -> None:
    server = watch("-a")
    passwords = server.server.directory / "etc" / ".passwd"
    login = b"CONNECT\naccept-version:1.2\nhost:h\nlogin:%b\npasscode:%b\n\n\0"

    def answer(name: bytes, passcode: bytes) -> bytes:
        client = server.open()
        client.send(login % (name, passcode))
        frame: bytes = client.frame()
        client.close()
        return frame

    assert b"Invalid Login" in answer(b"alice", b"secret")
    passwords.parent.mkdir(exist_ok=True)
    passwords.write_text("alice:secret\n")
    passwords.chmod(0o600)
    server.reload("max-connections: 2")
    assert answer(b"alice", b"secret").startswith(b"CONNECTED")
    clients = []
    while len(clients) < 2:
        client = server.open()
        client.send(login % (b"alice", b"secret"))
        if client.frame().startswith(b"CONNECTED"):
            clients.append(client)
    assert "max-connections" in server.open().error()
    passwords.write_text("bob:other\n")
    server.reload("max-connections: 10")
    assert b"Invalid Login" in answer(b"alice", b"secret")
    assert answer(b"bob", b"other").startswith(b"CONNECTED")
    for client in clients:
        client.barrier()


def test_sighup_gives_waiting_producers_more_memory(watch: Any) -> None:
    server = watch()
    server.reload("memory-limit: 2MiB")
    client = server.connect()
    part = b"SEND\ndestination:/queue/a\n\n" + b"x" * 100_000 + b"\0"
    client.send(part * 30)
    server.wait_for_log("Producers wait")
    server.reload("memory-limit: 20MiB")
    client.barrier()
