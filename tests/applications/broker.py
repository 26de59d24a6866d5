"""A server on lmdb that is killed and comes back on its port, and what a stranger's connection sees of its queues.

Octets are written literally; nothing here imports stompserver's own codec.
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

SECONDS = 240.0  # for an answer, also where an application has yet to send; never waited for when all is well
LOOK_AGAIN = 3.0
BODY = re.compile(rb"MESSAGE\n(.*?)\n\n(.*?)\0", re.DOTALL)


def quiet_port() -> int:
    """A free port that the system gives to nobody else while the server is away.

    Below those for outgoing connections: a client that tries again and again on one of those can come to be
    connected to itself, and then the port is taken when the server wants it back.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Broker:
    def __init__(self, start_server: Any, options: tuple[str, ...]) -> None:
        self._start_server = start_server
        self.port = quiet_port()
        self._options = ("-q", "lmdb", "-p", str(self.port), *options)
        self._server = start_server(*self._options)

    def die_and_return(self) -> None:
        self.die()
        self.come_back()

    def die(self) -> None:
        """`kill -9`."""
        self._server.kill()

    def come_back(self) -> None:
        """A new process with the same storage and port."""
        self._server = self._start_server(*self._options, directory=self._server.directory)

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """What the process that runs now has said, or says in time."""
        return self._server.wait_for_log(pattern, SECONDS)

    def log(self) -> str:
        """Of the process that runs now."""
        return self._server.log()

    def send(self, destination: str, *bodies: str, headers: str = "") -> None:
        """From a stranger, stored when this returns."""
        frames = "".join(f"SEND\ndestination:{destination}\n{headers}\n{body}\0" for body in bodies)
        with self._stranger() as wire:
            self._finish(wire, frames)

    def wait_until_stored(self, destination: str, count: int, headers: str = "") -> None:
        """Until so many messages wait in the queue, and would after a crash.

        Who looks may be the first that uses the queue, so `headers` are what the application wants it to be like.
        """
        self._look(destination, lambda bodies: len(bodies) >= count, headers)

    def wait_until_there(self, destination: str, body: str) -> None:
        """The same of one message, where others may come twice."""
        self._look(destination, lambda bodies: body.encode() in bodies, "")

    def _look(self, destination: str, enough: Callable[[list[bytes]], bool], headers: str) -> None:
        until = time.monotonic() + SECONDS
        while not self._seen(destination, enough, headers):
            assert time.monotonic() < until, f"it is not in {destination}"

    def _seen(self, destination: str, enough: Callable[[list[bytes]], bool], headers: str) -> bool:
        """Look until there is enough, or nothing has come for a while.

        A browser that follows does not see what goes to the store while it is still being shown what was there, so
        somebody who waits has to look again.
        """
        with self._stranger() as wire:
            head = f"SUBSCRIBE\nid:look\ndestination:{destination}\n{headers}browser:true\nbrowser-end:false\n\n\0"
            wire.sendall(head.encode())
            wire.settimeout(LOOK_AGAIN)
            data = b""
            while not enough([body for head, body in BODY.findall(data) if b"\nbrowser:end" not in head]):
                try:
                    data += _more(wire, data)
                except TimeoutError:
                    return False
            wire.settimeout(SECONDS)
            # Durable in the order in which they came: a RECEIPT now says it for all of them.
            self._finish(wire, "SEND\ndestination:/queue/stored\n\n\0")
        return True

    def take_all(self, destination: str) -> list[str]:
        """The bodies of all that wait in a queue that nobody else reads; they are gone afterwards."""
        return [body for _, body in self.take_frames(destination)]

    def take_frames(self, destination: str) -> list[tuple[dict[str, str], str]]:
        """The same with their headers."""
        return self._settle_all(destination, "ACK", "")

    def refuse_all(self, destination: str) -> None:
        """A worker that can do none of what waits; each becomes a dead letter."""
        self._settle_all(destination, "NACK", "requeue:false\n")

    def _settle_all(self, destination: str, command: str, headers: str) -> list[tuple[dict[str, str], str]]:
        end = f"END {uuid4().hex}"
        frames = f"SEND\ndestination:{destination}\n\n{end}\0"
        frames += (
            f"SUBSCRIBE\nid:all\nack:client-individual\nprefetch-count:0\ndestination:{destination}\n\n\0"
        )
        with self._stranger() as wire:
            wire.sendall(frames.encode())
            data = b""
            while f"\n\n{end}\0".encode() not in data:
                data += _more(wire, data)
            *found, last = [(_headers(head.decode()), body.decode()) for head, body in BODY.findall(data)]
            frames = "".join(f"{command}\nid:{head['ack']}\n{headers}\n\0" for head, _ in found)
            self._finish(wire, f"{frames}ACK\nid:{last[0]['ack']}\n\n\0")
        return found

    def _stranger(self) -> socket.socket:
        wire = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        wire.sendall(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        data = b""
        while b"\n\n\0" not in data:
            data += _more(wire, data)
        return wire

    def _finish(self, wire: socket.socket, frames: str) -> None:
        """The frames, and all of them done and durable."""
        wire.sendall(f"{frames}DISCONNECT\nreceipt:done\n\n\0".encode())
        data = b""
        while b"receipt-id:done" not in data:
            assert b"ERROR\n" not in data, data
            data += _more(wire, data)


def _more(wire: socket.socket, so_far: bytes) -> bytes:
    octets = wire.recv(1 << 16)
    assert octets, f"closed after {so_far!r}"
    return octets


def _headers(head: str) -> dict[str, str]:
    pairs = [line.partition(":")[::2] for line in head.split("\n")]
    return dict(reversed(pairs))  # the first of a name counts
