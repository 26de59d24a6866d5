"""What little of NATS's own protocol a yardstick needs: PUB, SUB and PING as literal bytes.

A payload has the same number in it as a STOMP message has in its header, and ends with NUL, so the same
receiver counts both.
"""

from __future__ import annotations

import random

from bench.frames import DIGITS, Stream
from bench.link import dial
from bench.receiver import CountError


class NatsStream(Stream):
    """PUB instead of SEND; the payload is as long as a STOMP message's body."""

    def _head(self, destination: bytes, index: int, number: bytes, noise: random.Random) -> bytes:
        return b"PUB %s %d\r\n\nseq:%s\n" % (destination, max(len(self.body), DIGITS + 7), number)

    def _end(self) -> bytes:
        # The line with the number and the final NUL are part of the payload.
        return self.body[DIGITS + 7 :] + b"\0\r\n"


def marker(destination: bytes, number: int) -> bytes:
    """One message outside the clock, as `frames.marker`."""
    payload = b"\nseq:%0*d\nend\0" % (DIGITS, number)
    return b"PUB %s %d\r\n%s\r\n" % (destination, len(payload), payload)


class NatsLink:
    """A connection to nats-server with the methods of `link.Link` that the scenarios call."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self.sock = dial(port, timeout)
        try:
            self.buffer = b""
            self.info = self._line()
            if not self.info.startswith(b"INFO "):
                raise CountError(f"expected INFO, got {self.info[:300]!r}")
            self.sock.sendall(b'CONNECT {"verbose":false,"pedantic":false,"echo":true}\r\n')
            self._round_trip()
        except BaseException:
            self.sock.close()
            raise

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                raise CountError(f"no answer in time; so far: {self.buffer[-300:]!r}") from None
            if not data:
                raise CountError(f"the server closed the connection; last bytes: {self.buffer[-300:]!r}")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _round_trip(self) -> None:
        """All that was sent before has been done when PONG comes."""
        self.sock.sendall(b"PING\r\n")
        while (line := self._line()) == b"PING":
            self.sock.sendall(b"PONG\r\n")
        if line != b"PONG":
            raise CountError(f"expected PONG, got {line[:300]!r}")

    def subscribe(self, destination: bytes, id: int, ack: str, headers: object) -> None:
        """`ack` and `headers` mean nothing here: nothing is acknowledged."""
        self.sock.sendall(b"SUB %s %d\r\n" % (destination, id))
        self._round_trip()

    def server_name(self) -> str:
        version = self.info.partition(b'"version":"')[2].partition(b'"')[0]
        return f"nats-server/{version.decode()}"

    def goodbye(self) -> None:
        """Close; raises CountError for a message instead of PONG: a duplicate."""
        self.sock.setblocking(True)
        self._round_trip()
        self.sock.close()

    def close(self) -> None:
        self.sock.close()
