"""NATS's protocol as JetStream uses it: PUB with a reply subject, a push consumer, +ACK for each message."""

from __future__ import annotations

import itertools
import json
import time
from functools import cache
from typing import Any

from bench.confirmed.answers import Answers, Deliveries
from bench.confirmed.speaker import AHEAD, BODY, Requests, Session, message_line
from bench.receiver import CountError

STREAM = {"name": "bench", "subjects": ["bench"], "storage": "file", "num_replicas": 1}
CONSUMER = {
    "stream_name": "bench",
    "config": {
        "durable_name": "c",
        "deliver_subject": "deliver.bench",
        "ack_policy": "explicit",
        "ack_wait": 3600 * 10**9,
        "max_ack_pending": AHEAD,
    },
}
PUBACK = (rb"MSG _INBOX\.bench\.\d+ 1 \d+", rb'\{"stream":"bench", ?"seq":\d+\}')
MESSAGE = (rb"MSG bench 2 (\$JS\.ACK\.\S+) %d" % BODY, message_line())
# The server asks once, 2 s after a connection was made; an answer is not needed for an hour.
PING = (rb"PING",)
GONE = 10059
"""JetStream's number for "stream not found"."""
_calls = itertools.count()


class Published(Requests):
    """PUB whose reply subject has the message's number in it."""

    def request(self, number: bytes) -> bytes:
        return b"PUB bench _INBOX.bench.%b %d\r\n" % (number, BODY)


class Pushes(Deliveries):
    """A +ACK for each message; the server does not answer it."""

    def __init__(self, total: int) -> None:
        super().__init__(total, MESSAGE, None, b"", PING)

    def answer(self, names: list[bytes], data: bytes) -> bytes:
        return b"".join([b"PUB %b 4\r\n+ACK\r\n" % name for name in names])


class JetStreamSession(Session):
    def greet(self) -> None:
        self.info = self.line()
        if not self.info.startswith(b"INFO "):
            raise CountError(f"expected INFO, got {self.info[:300]!r}")
        # With `no_responders` a PUB is answered also when JetStream has no stream for it.
        self.sock.sendall(
            b'CONNECT {"verbose":false,"pedantic":false,"echo":true,"headers":true,"no_responders":true}\r\n'
        )
        self.round_trip()

    def round_trip(self) -> None:
        """All that was sent before has been done when PONG comes."""
        self.sock.sendall(b"PING\r\n")
        while (line := self.line()) == b"PING":
            self.sock.sendall(b"PONG\r\n")
        if line != b"PONG":
            raise CountError(f"expected PONG, got {line[:300]!r}")

    def call(self, subject: bytes, content: object = None, *, forgive: int = 0) -> dict[str, Any]:
        """JetStream's answer to a request; raises CountError for an error but that of the number `forgive`."""
        inbox = b"_INBOX.call.%d" % next(_calls)
        payload = json.dumps(content).encode() if content else b""
        self.sock.sendall(b"SUB %b 9\r\nUNSUB 9 1\r\n" % inbox)
        self.sock.sendall(b"PUB $JS.API.%b %b %d\r\n%b\r\n" % (subject, inbox, len(payload), payload))
        while (line := self.line()) == b"PING":
            self.sock.sendall(b"PONG\r\n")
        if not line.startswith(b"MSG " + inbox + b" 9 "):
            raise CountError(f"the server answered {line[:300]!r} to {subject!r}")
        answer: dict[str, Any] = json.loads(self.octets(int(line.split()[-1])))
        error = answer.get("error")
        if error and error.get("err_code") != forgive:
            raise CountError(f"the server answered {error} to {subject!r}")
        return answer

    def server_name(self) -> str:
        # The server listens before JetStream has started.
        self.call(b"INFO")
        return f"nats-server/{json.loads(self.info.removeprefix(b'INFO '))['version']}"

    def produce(self) -> None:
        self.call(b"STREAM.DELETE.bench", forgive=GONE)
        self.call(b"STREAM.CREATE.bench", STREAM)
        self.sock.sendall(b"SUB _INBOX.bench.* 1\r\n")
        self.round_trip()

    def consume(self, total: int) -> bytes:
        self.call(b"CONSUMER.DURABLE.CREATE.bench.c", CONSUMER)
        # Messages come from here on.
        return b"SUB deliver.bench 2\r\n"

    def check_done(self, total: int) -> None:
        deadline = time.monotonic() + 10
        while True:
            info = self.call(b"CONSUMER.INFO.bench.c")
            left = {name: info[name] for name in ("num_ack_pending", "num_pending", "num_redelivered")}
            if not any(left.values()) and info["ack_floor"]["stream_seq"] == total:
                break
            # Acknowledgements have no answer, so the last may be under way.
            if time.monotonic() > deadline:
                raise CountError(f"of {total} messages, all acknowledged, the consumer has {left}")
            time.sleep(0.01)
        self.call(b"STREAM.DELETE.bench")


class JetStream:
    """PUB with a reply subject, a push consumer, +ACK."""

    def open(self, port: int, timeout: float) -> Session:
        return JetStreamSession(port, timeout)

    @cache  # noqa: B019 there is one of it
    def requests(self) -> Requests:
        return Published()

    def answers(self, total: int) -> Answers:
        return Answers(total, PUBACK, b'"seq"', PING)

    def deliveries(self, total: int) -> Deliveries:
        return Pushes(total)
