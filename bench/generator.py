"""One thread that sends, receives and acknowledges on non-blocking sockets, with a bounded window."""

from __future__ import annotations

import gc
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.frames import Stream
from bench.receiver import CountError, Receiver

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@dataclass(frozen=True, slots=True)
class Outcome:
    """One timed exchange, first send to last receive: wall clock and this process's CPU time, in seconds."""

    seconds: float
    cpu: float


class Port:
    """A non-blocking connection: what is still to be written, and who counts what comes in."""

    def __init__(self, sock: socket.socket, receiver: Receiver | None) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.receiver = receiver
        self.unsent: list[bytes | memoryview] = []
        self.interest = READ

    def write(self, buffers: Sequence[bytes]) -> None:
        """Send as much as the socket takes and keep the rest."""
        self.unsent += buffers
        self.flush()

    def flush(self) -> None:
        unsent = self.unsent
        while unsent:
            try:
                sent = self.sock.sendmsg(unsent)
            except BlockingIOError:
                return
            except ConnectionError as error:
                raise CountError(f"the server broke the connection: {error}{self._last_words()}") from error
            while unsent and sent >= len(unsent[0]):
                sent -= len(unsent.pop(0))
            if sent:
                unsent[0] = memoryview(unsent[0])[sent:]

    def read(self) -> None:
        if self.receiver is None:
            try:
                data = self.sock.recv(65536)
            except ConnectionError as error:
                raise CountError(f"the server broke the connection: {error}") from error
            # nats-server asks once, 2 s after a connection was made, and never again.
            if data.strip(b"\n") and data != b"PING\r\n":
                raise CountError(f"nothing was to come on this connection, but: {data[:300]!r}")
            if not data:
                raise CountError("the server closed the producer's connection")
            return
        try:
            answer = self.receiver.read(self.sock)
        except ConnectionError as error:
            raise CountError(f"the server broke the connection: {error}") from error
        if answer:
            self.write((answer,))

    def _last_words(self) -> str:
        """What the server said before it broke the connection, if it can still be read."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            return ""
        return f"; it said {data[-300:]!r}" if data else ""


def exchange(
    stream: Stream,
    producers: Port | Sequence[Port],
    ports: Sequence[Port],
    progress: Callable[[], int],
    messages: int,
    *,
    window: int,
    stall: float = 10.0,
) -> Outcome:
    """Send `messages` (whole chunks) until `progress()`, how many are fully received, has reached them.

    Never more than `window` messages (at least one chunk) are under way, so a server without flow control
    survives.  Several producers take turns, a chunk each.  `ports` are all connections, the producers' too.
    Raises CountError when nothing comes for `stall` seconds.
    """
    senders = (producers,) if isinstance(producers, Port) else tuple(producers)
    turn = 0
    step = stream.frames_per_chunk
    window = max(window, step)
    sent = 0
    with selectors.DefaultSelector() as selector:
        for port in ports:
            selector.register(port.sock, READ, port)
            port.interest = READ
        gc.collect()
        gc.disable()
        try:
            cpu = time.process_time()
            start = time.perf_counter()
            while True:
                received = progress()
                while sent < messages and not senders[turn].unsent and sent + step <= received + window:
                    senders[turn].write(stream.chunk(sent // step))
                    sent += step
                    turn = (turn + 1) % len(senders)
                if received >= messages and sent >= messages:
                    break
                for port in ports:
                    interest = READ | WRITE if port.unsent else READ
                    if interest != port.interest:
                        selector.modify(port.sock, interest, port)
                        port.interest = interest
                events = selector.select(stall)
                if not events:
                    raise CountError(
                        f"nothing came for {stall:g} s: {sent:,} sent, {received:,} received of {messages:,}"
                    )
                for key, mask in events:
                    if mask & WRITE:
                        key.data.flush()
                    if mask & READ:
                        key.data.read()
            seconds = time.perf_counter() - start
            cpu = time.process_time() - cpu
        finally:
            gc.enable()
    return Outcome(seconds, cpu)


def settle(ports: Sequence[Port], done: Callable[[], bool], stall: float = 10.0) -> None:
    """Outside the clock: read and acknowledge until `done()`.

    Raises CountError after `stall` seconds of silence.
    """
    with selectors.DefaultSelector() as selector:
        for port in ports:
            selector.register(port.sock, READ, port)
        while not done() or any(port.unsent for port in ports):
            for port in ports:
                selector.modify(port.sock, READ | WRITE if port.unsent else READ, port)
            events = selector.select(stall)
            if not events:
                raise CountError(f"the server did not answer for {stall:g} s at the end of a run")
            for key, mask in events:
                if mask & WRITE:
                    key.data.flush()
                if mask & READ:
                    key.data.read()
