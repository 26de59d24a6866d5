"""What a protocol's module gives: the messages as literal bytes, who counts, and a conversation outside the clock."""

from __future__ import annotations

import random
import re
from typing import Protocol

from bench.confirmed.answers import Answers, Deliveries
from bench.frames import DIGITS, Stream, body_of
from bench.link import dial
from bench.receiver import CountError

NAME = b"bench"
"""Of the stream, list, subject or tube."""
BODY = 100
AHEAD = 1000
"""Messages that a consumer may have at once, as with STOMP (`case.PREFETCH`)."""
PER_CHUNK = 250
"""Messages of a chunk: as many as of SEND with `persistent` and `receipt`, which is longer."""


class Requests(Stream):
    """Numbered requests that store a message of 100 octets; in each is its number, as in the other streams."""

    def __init__(self, body: bytes = body_of(BODY), block: int = 10_000) -> None:
        super().__init__((NAME,), body, block=block, per_chunk=PER_CHUNK)

    def _head(self, destination: bytes, index: int, number: bytes, noise: random.Random) -> bytes:
        return self.request(number) + b"\nseq:%s\n" % number

    def _end(self) -> bytes:
        # The line with the number is part of the message.
        return self.body[DIGITS + 6 :] + b"\r\n"

    def request(self, number: bytes) -> bytes:
        """What stands before the message; `number` is that of the message."""
        raise NotImplementedError

    def single(self, number: int) -> bytes:
        """Message `number` alone, which must be the first of a chunk: the marker outside the clock."""
        (chunk,) = self.chunk(number // self.frames_per_chunk)
        # All are as long as each other.
        return chunk[: len(chunk) // self.frames_per_chunk]


def message_line(body: bytes = body_of(BODY)) -> bytes:
    """The regular expression of a message, whose number is its group; one that was damaged does not match."""
    return rb"\nseq:(\d{%d})\n%b" % (DIGITS, re.escape(body[DIGITS + 6 :]))


class Session:
    """A blocking connection; its socket is handed to the generator afterwards."""

    def __init__(self, port: int, timeout: float) -> None:
        """Connect; raises OSError when nobody listens, CountError when the greeting is not as it must be."""
        self.sock = dial(port, timeout)
        self.buffer = b""
        try:
            self.greet()
        except BaseException:
            self.sock.close()
            raise

    def greet(self) -> None:
        """What is said before anything else."""

    def line(self) -> bytes:
        """The next line without its end; raises CountError when none comes in time."""
        while b"\r\n" not in self.buffer:
            self._receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def octets(self, count: int) -> bytes:
        """The next `count` octets, and CR LF behind them, which is left out."""
        while len(self.buffer) < count + 2:
            self._receive()
        found, self.buffer = self.buffer[:count], self.buffer[count + 2 :]
        return found

    def _receive(self) -> None:
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            raise CountError(f"no answer in time; so far: {self.buffer[-300:]!r}") from None
        if not data:
            raise CountError(f"the server closed the connection; last bytes: {self.buffer[-300:]!r}")
        self.buffer += data

    def server_name(self) -> str:
        """Name and version, as in the `server` header of CONNECTED."""
        raise NotImplementedError

    def produce(self) -> None:
        """Make the queue, empty; the connection will send to it."""
        raise NotImplementedError

    def consume(self, total: int) -> bytes:
        """Be a consumer of `total` messages; returns what asks for the first."""
        raise NotImplementedError

    def check_done(self, total: int) -> None:
        """Raise CountError unless all of `total` messages are acknowledged and nothing more waits; remove them."""
        raise NotImplementedError

    def close(self) -> None:
        self.sock.close()


class Speaker(Protocol):
    """A protocol, or one way to use it."""

    def open(self, port: int, timeout: float) -> Session:
        """A new connection."""

    def requests(self) -> Requests:
        """The messages, encoded."""

    def answers(self, total: int) -> Answers:
        """Who counts the confirmations of `total` messages."""

    def deliveries(self, total: int) -> Deliveries:
        """Who counts `total` messages at the consumer."""
