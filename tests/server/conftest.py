"""A server in this process whose time is moved by hand, over transports that do what a test tells them."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from stompserver.config import Config
from stompserver.security.users import Users
from stompserver.server.build import build
from stompserver.server.carrier import Carrier
from stompserver.server.connection import Connection
from stompserver.server.server import Server
from stompserver.server.terms import Terms

Result = TypeVar("Result")
HELLO = {
    "1.0": b"CONNECT\n\n\0",
    "1.1": b"CONNECT\naccept-version:1.1\nhost:h\n%b\n\0",
    "1.2": b"CONNECT\naccept-version:1.2\nhost:h\n%b\n\0",
}


class HandLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, but for its time, which stands still until somebody moves it, or goes on by ``pace`` s
    whenever somebody looks at it.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.pace = 0.0
        super().__init__()

    def time(self) -> float:
        self.now += self.pace
        return self.now

    def turn(self, times: int = 1) -> None:
        """Run what is due now; what that makes due is run in the next turn."""
        for _ in range(times):
            self.call_soon(self.stop)
            self.run_forever()

    def advance(self, seconds: float) -> None:
        """Move time, and run what became due."""
        self.now += seconds
        self.turn(6)

    def timers(self) -> int:
        """Callbacks that wait for their time."""
        return sum(not timer.cancelled() for timer in self._scheduled)  # type: ignore[attr-defined]


class Wire(asyncio.Transport):
    """One connection, seen from both ends: the server's transport, and what its client does.

    ``got`` is what the client has read; with ``stalled`` it reads nothing, and what the server writes piles up
    in ``buffer`` as it would in asyncio's.
    """

    def __init__(self, loop: HandLoop, address: str, half_closes: bool = True) -> None:
        super().__init__({"peername": (address, 40000)})
        self.half_closes = half_closes
        self._loop = loop
        self.protocol: Connection
        self.got = b""
        self.writes: list[bytes] = []
        self.buffer = b""
        self.high = 64 * 1024
        self.reading = True
        self.pauses = 0
        self.stalled = False
        self.blocked = False
        self.half_closed = False
        self.closing = False
        self.aborted = False
        self.lost = False
        self._sent: deque[bytes] = deque()

    # asyncio.Transport

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self.high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data and not self.half_closed, "written after the end"
        if self.lost or self.aborted or (self.closing and not self.half_closes):
            return
        self.writes.append(bytes(data))
        if not self.stalled:
            self.got += bytes(data)
            return
        self.buffer += bytes(data)
        if len(self.buffer) > self.high and not self.blocked:
            self.blocked = True
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        if not self.half_closes:
            raise NotImplementedError  # as TLS transports do
        self.half_closed = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        if not self.buffer:
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self.aborted = self.closing = True
        self.buffer = b""
        self._loop.call_soon(self._lose, None)

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False
        self.pauses += 1

    def resume_reading(self) -> None:
        assert not self.reading, "resumed without a pause"
        self.reading = True
        self._loop.call_soon(self._arrive)

    def _arrive(self) -> None:
        while self._sent and self.reading and not self.closing:
            self.protocol.data_received(self._sent.popleft())

    def _lose(self, problem: Exception | None) -> None:
        if not self.lost:
            self.lost = self.closing = True
            self.protocol.connection_lost(problem)

    # the client

    def send(self, *chunks: bytes) -> None:
        """Send, each chunk in a turn of its own; what the server does not read waits."""
        for chunk in chunks:
            self._sent.append(chunk)
            self._arrive()
            self._loop.turn(2)

    @property
    def unread(self) -> int:
        """Octets sent that the server did not read."""
        return sum(map(len, self._sent))

    def read(self, octets: int | None = None) -> None:
        """Read what piled up, all of it and from now on, or so many octets."""
        self.stalled = octets is not None
        taken = self.buffer[:octets]
        self.buffer = self.buffer[len(taken) :]
        self.got += taken
        if self.blocked and len(self.buffer) <= self.high // 4:
            self.blocked = False
            self.protocol.resume_writing()
        if self.closing and not self.buffer:
            self._loop.call_soon(self._lose, None)
        self._loop.turn(3)

    def end(self) -> None:
        """Close the client's writing half; the whole connection where there are no halves."""
        stays = self.protocol.eof_received()
        assert self.half_closes or not stays, "asyncio logs a warning for that"
        if not stays:
            self.close()
        self._loop.turn(3)

    def drop(self, problem: Exception | None = None) -> None:
        """Reset the connection."""
        self.buffer = b""
        self._lose(problem)
        self._loop.turn(2)

    def bodies(self) -> list[bytes]:
        """Bodies of the whole MESSAGE frames read so far (bodies of these tests hold no NUL)."""
        return re.findall(rb"(?:^|\n)MESSAGE\n(?:[^\n]+\n)+\n([^\0]*)\0", self.got)

    def acks(self) -> list[bytes]:
        """Ack headers of MESSAGE frames read so far."""
        return re.findall(rb"\nack:([^\n]*)\n", self.got)

    def receipts(self) -> list[bytes]:
        """Receipts read so far."""
        return re.findall(rb"(?:^|\n)RECEIPT\nreceipt-id:([^\n]*)\n", self.got)

    def error(self) -> str:
        """The ERROR that was read last, as text; empty when there is none."""
        _, error, rest = self.got.rpartition(b"ERROR\n")
        return (error + rest).decode() if error else ""


class Shell:
    """A server, its loop, and its clients."""

    def __init__(self, users: Users | None, options: dict[str, Any]) -> None:
        self.loop = HandLoop()
        self.config = Config(**options)
        self.server = self.run(self._make(users))
        self.ahead = 0.0
        """Seconds by which somebody set the clock on the wall."""
        self.server.alarm.go_by(lambda: 1_700_000_000 + self.loop.now + self.ahead, self.loop.time)
        self.turn = self.loop.turn
        self.advance = self.loop.advance

    async def _make(self, users: Users | None) -> Server:
        server = Server(await build(self.config), Terms(self.config), users, [])
        await server.start()
        return server

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(coroutine)

    def reload(self, users: Users | None = None, **options: Any) -> None:
        """Give the server other options, as a SIGHUP does."""
        self.config = self.config.model_copy(update=options)
        self.server.reload(Terms(self.config), users)

    @property
    def used(self) -> int:
        """Bytes of memory as the broker counts them."""
        return self.server.broker.memory.used

    def open(
        self, address: str = "127.0.0.1", carrier: Carrier | None = None, half_closes: bool = True
    ) -> Wire:
        """A connection that has sent nothing."""
        wire = Wire(self.loop, address, half_closes)
        wire.protocol = Connection(self.server, 0, None, carrier)
        wire.protocol.connection_made(wire)
        self.turn(2)
        return wire

    def connect(self, version: str = "1.2", headers: bytes = b"", address: str = "127.0.0.1") -> Wire:
        """A connection after CONNECTED."""
        wire = self.open(address)
        wire.send(HELLO[version] % headers if version != "1.0" else HELLO[version])
        assert wire.got.startswith(b"CONNECTED\n"), wire.got
        return wire

    def close(self) -> None:
        """Every test ends with everybody gone, and then nothing may be counted or remembered any more."""
        for connection in list(self.server.connections.values()):
            wire = connection.transport
            assert isinstance(wire, Wire)
            wire.drop()
        self.turn(6)
        waiting = sum(queue.bytes for queue in self.server.broker.queues.values())
        assert self.used == waiting, f"{self.used} bytes are counted, queues hold {waiting}"
        assert not self.server.connections
        assert not self.server.producers.waiting
        assert not self.server.broker.topics
        self.run(self.server.drain(0))
        self.turn(2)
        assert self.loop.timers() == 0, "a timer is left"
        self.loop.close()


@pytest.fixture
def shell() -> Iterator[Callable[..., Shell]]:
    """`shell(users=, **options)` makes a server in this process; what it must forget is checked after the test."""
    shells: list[Shell] = []

    def make(users: Users | None = None, **options: Any) -> Shell:
        shells.append(Shell(users, options))
        return shells[-1]

    yield make
    for each in shells:
        each.close()


@pytest.fixture
def new_loop() -> type[HandLoop]:
    """What makes loops for tests that need more than one."""
    return HandLoop


@pytest.fixture
def hand_loop() -> Iterator[HandLoop]:
    """A loop whose time the test moves, closed after the test."""
    loop = HandLoop()
    yield loop
    loop.close()
