"""Servers that keep messages, a client of literal bytes, and which queue types there are to test.

The client shares no code with the server: it would agree with its mistakes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shlex
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stompserver.config.options import QUEUE_TYPES
from stompserver.errors import StoreError
from stompserver.stores.base import store_class

LIMIT = 30.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)


def keeping() -> list[str]:
    """The queue types that keep messages and have what they need on this machine."""
    found = []
    for name in QUEUE_TYPES:
        with contextlib.suppress(StoreError):
            store_class(name)
            found.append(name)
    return [name for name in found if name != "memory"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_kind: with all stores also where only quick tests run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``kind`` is each of the stores, in quick runs the recommended one alone unless the test is ``every_kind``."""
    marks = list(metafunc.definition.iter_markers())
    given = any(mark.name == "parametrize" and "kind" in str(mark.args[0]) for mark in marks)
    if "kind" not in metafunc.fixturenames or given:
        return
    every = any(mark.name == "every_kind" for mark in marks)
    metafunc.parametrize(
        "kind",
        [
            pytest.param(name, marks=[] if every or name == "lmdb" else [pytest.mark.long])
            for name in keeping()
        ],
    )


class Frame(NamedTuple):
    """A frame of the server: the first value of each header, nothing unescaped."""

    command: str
    headers: dict[str, str]
    body: bytes


class GoneError(Exception):
    """The server closed the connection, or died."""


class Client:
    """A STOMP 1.2 connection: literal bytes out, frames in."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.frames: deque[Frame] = deque()
        self._data = bytearray()
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0")
        assert self.next().command == "CONNECTED"

    def send(self, data: str | bytes) -> None:
        """Raises GoneError."""
        try:
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        except TimeoutError:
            raise AssertionError(f"the server did not read for {LIMIT:g} s") from None
        except OSError as problem:
            raise GoneError(str(problem)) from None

    def poll(self, seconds: float = 0.0) -> bool:
        """Whether a frame is there, waiting for it. Raises GoneError."""
        while not self.frames:
            if not select.select([self.socket], [], [], seconds)[0]:
                return False
            try:
                octets = self.socket.recv(1 << 18)
            except OSError as problem:
                raise GoneError(str(problem)) from None
            if not octets:
                raise GoneError("end of file")
            self._data += octets
            self._parse()
        return True

    def _parse(self) -> None:
        data = self._data
        start = 0
        while True:
            while start < len(data) and data[start] in b"\n":
                start += 1
            blank = data.find(b"\n\n", start)
            if blank < 0:
                break
            command, *lines = data[start:blank].decode().split("\n")
            headers: dict[str, str] = {}
            for line in lines:
                key, _, value = line.partition(":")
                headers.setdefault(key, value)
            length = headers.get("content-length")
            end = blank + 2 + int(length) if length is not None else data.find(b"\0", blank)
            if end < 0 or end >= len(data):
                break
            assert data[end] == 0, data[end - 20 : end + 20]
            self.frames.append(Frame(command, headers, bytes(data[blank + 2 : end])))
            start = end + 1
        del data[:start]

    def next(self) -> Frame:
        """The next frame. Raises GoneError."""
        assert self.poll(LIMIT), f"nothing came in {LIMIT:g} s\n{self.server.log()[-2000:]}"
        return self.frames.popleft()

    def expect(self, command: str, receipt: str | None = None) -> Frame:
        """The next frame, which must be that one."""
        frame = self.next()
        assert frame.command == command, frame
        assert receipt is None or frame.headers["receipt-id"] == receipt, frame
        return frame

    def put(self, queue: str, bodies: list[str], headers: str = "", outstanding: int = 200) -> None:
        """Send ``bodies`` in their order, and read a receipt for each."""
        owed: deque[str] = deque()
        for body in bodies:
            receipt = f"p{next(numbers)}"
            self.send(f"SEND\ndestination:{queue}\nreceipt:{receipt}\n{headers}\n{body}\0")
            owed.append(receipt)
            while len(owed) > outstanding or (owed and self.poll()):
                self.expect("RECEIPT", owed.popleft())
        while owed:
            self.expect("RECEIPT", owed.popleft())

    def fill(self, queue: str, bodies: Iterator[str]) -> tuple[list[str], list[str], Frame]:
        """Send until an ERROR comes: what has a receipt, what has none, the ERROR.

        The first word of each body is its receipt.
        """
        sent: list[str] = []
        kept = 0
        while True:
            body = next(bodies)
            self.send(f"SEND\ndestination:{queue}\nreceipt:{body.partition(' ')[0]}\n\n{body}\0")
            sent.append(body)
            while self.poll(0.2 if len(sent) - kept > 20 else 0.0):
                frame = self.next()
                if frame.command == "ERROR":
                    return sent[:kept], sent[kept:], frame
                assert (frame.command, frame.headers["receipt-id"]) == (
                    "RECEIPT",
                    sent[kept].partition(" ")[0],
                )
                kept += 1

    def consume(self, queue: str, bodies: list[str]) -> None:
        """ACK these, which must come first and in this order, and read a receipt for each."""
        self.receipts(len(bodies) - self.take(queue, bodies))

    def take(self, queue: str, bodies: list[str]) -> int:
        """ACK these, which must come first and in this order; how many of the receipts have come."""
        self.subscribe(queue, "client-individual")
        taken = receipts = 0
        while taken < len(bodies):
            frame = self.next()
            if frame.command == "RECEIPT":
                receipts += 1
            else:
                assert frame.body.decode() == bodies[taken]
                self.send(f"ACK\nid:{frame.headers['ack']}\nreceipt:ack {taken}\n\n\0")
                taken += 1
        return receipts

    def receipts(self, count: int) -> None:
        """Read on until so many receipts have come."""
        while count:
            count -= self.next().command == "RECEIPT"

    def subscribe(self, queue: str, ack: str = "auto", headers: str = "") -> None:
        self.send(f"SUBSCRIBE\nid:{queue}\ndestination:{queue}\nack:{ack}\n{headers}\n\0")

    def settle(self, verb: str, frame: Frame) -> None:
        """ACK or NACK a delivery, and read the receipt; deliveries that come before it stay for ``next``."""
        receipt = f"s{next(numbers)}"
        self.send(f"{verb}\nid:{frame.headers['ack']}\nreceipt:{receipt}\n\n\0")
        passed = []
        while (answer := self.next()).command == "MESSAGE":
            passed.append(answer)
        assert (answer.command, answer.headers["receipt-id"]) == ("RECEIPT", receipt), answer
        self.frames.extendleft(reversed(passed))

    def drain(self, queue: str) -> list[Frame]:
        """Consume all that is in ``queue``: what comes before a message that is sent after it."""
        last = f"last {next(numbers)}"
        self.subscribe(queue)
        self.send(f"SEND\ndestination:{queue}\npersistent:false\n\n{last}\0")
        found: list[Frame] = []
        while (frame := self.next()).body != last.encode():
            assert frame.command == "MESSAGE", frame
            found.append(frame)
        self.send(f"UNSUBSCRIBE\nid:{queue}\nreceipt:{last}\n\n\0")
        self.expect("RECEIPT", last)
        return found

    def bodies(self, queue: str) -> list[str]:
        """Consume all that is in ``queue``."""
        return [frame.body.decode() for frame in self.drain(queue)]

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[[Any], Client]]:
    """``connect(server)`` gives a Client that is closed after the test."""
    clients: list[Client] = []

    def made(server: Any) -> Client:
        client = Client(server)
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()


@pytest.fixture
def restart(start_server: Any, tmp_path: Path) -> Callable[..., Any]:
    """``restart(kind, *options)`` starts a server, each time on the same storage."""

    def start(kind: str, *options: str) -> Any:
        return start_server("-q", kind, "--monitor-interval=0", "--linger=0.1", *options, directory=tmp_path)

    return start


@pytest.fixture
def refused(tmp_path: Path, template: Any) -> Callable[..., str]:
    """``refused(kind, *options)``: the one line that a server says which does not start, and ends with 1."""

    def start(kind: str, *options: str) -> str:
        words = ["-p", "0", "-w", str(tmp_path), "-q", kind, *options]
        process = template.start(*words, directory=tmp_path)
        with process.stderr:
            said = process.stderr.read().decode()
        assert process.wait(LIMIT) == 1, said
        (line,) = [each for each in said.splitlines() if " INFO " not in each]
        return line

    return start


def _gone(client: Client) -> list[Frame]:
    """What the server still says until it closes the connection."""
    until = time.monotonic() + LIMIT
    found: list[Frame] = []
    with contextlib.suppress(GoneError):
        while time.monotonic() < until:
            found.append(client.next())
    return found


@pytest.fixture
def until_gone() -> Callable[[Client], list[Frame]]:
    return _gone


@pytest.fixture
def gone() -> type[GoneError]:
    """What clients raise when the server closed the connection or died."""
    return GoneError


class SmallDisk:
    """A file system of its own size at ``directory``, in a namespace of mounts where only ``program`` runs."""

    def __init__(self, directory: Path, size: int, room: Path) -> None:
        directory.mkdir(0o700)
        mount = f'mount -t tmpfs -o size={size},mode=0700 tmpfs "$0" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", mount, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != "mounted\n":
            self.close()
            pytest.skip(f"this user may not mount a small file system: {said}")
        pid = self._holder.pid
        self.path = Path(f"/proc/{pid}/root{directory}")
        self._ballast = self.path / "ballast"
        self.program = room / "python-on-a-small-disk"
        enter = shlex.join(["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--", sys.executable])
        self.program.write_text(f'#!/bin/sh\nexec {enter} "$@"\n')
        self.program.chmod(0o755)

    def leave(self, bytes: int) -> None:
        """Take all space but ``bytes``."""
        with self._ballast.open("wb") as file:
            while (spare := self.free() - bytes) > 0:
                # The server takes some meanwhile, perhaps.
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, spare)

    def free(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def clear(self) -> None:
        """Give back what ``leave`` took."""
        self._ballast.unlink()

    def close(self) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


@pytest.fixture
def small_disk(
    start_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], SmallDisk]]:
    """``small_disk(size)`` puts the storage of all servers that the test starts on a SmallDisk."""
    made: list[SmallDisk] = []

    def make(size: int) -> SmallDisk:
        disk = SmallDisk(tmp_path / ".stompserver", size, tmp_path)
        made.append(disk)
        monkeypatch.setattr(sys, "executable", str(disk.program))
        return disk

    yield make
    for disk in made:
        disk.close()
