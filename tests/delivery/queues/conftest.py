"""Two started servers with policies for all that queues can do, and a socket client that knows no STOMP but frames.

Nothing here imports stompserver: a client that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

LIMIT = 20.0  # seconds after which a missing answer is a failure; never waited for when all is well
MANY = 5000  # messages of which a queue on lmdb has only some in memory
numbers = itertools.count(1)

POLICIES = """
policies:
  /queue/dlq.>:
    max-redeliveries: 1
    deadletter: /queue/DLQ.%
  /queue/backoff.>:
    max-redeliveries: 2
    redelivery-delay: 60ms
    redelivery-multiplier: 2
    deadletter: /queue/DLQ.%
  /queue/nowhere.>:
    deadletter: ""
  /queue/strict.>:
    strict-order: true
  /queue/lease.>:
    ack-timeout: 150ms
  /queue/one.>:
    exclusive: true
  /queue/fair.>:
    group-rebalance: true
  /queue/ttl.>:
    ttl: 100ms
    expired: deadletter
    deadletter: /queue/late.%
  /queue/max-ttl.>:
    max-ttl: 100ms
    expired: deadletter
    deadletter: /queue/late.%
  /queue/expired.>:
    expired: deadletter
    deadletter: /queue/late.%
  /queue/reject.>:
    max-messages: 3
    deadletter: /queue/late.%
  /queue/bytes.>:
    max-bytes: 5000
  /queue/head.>:
    max-messages: 3
    overflow: drop-head
  /queue/tail.>:
    max-messages: 3
    overflow: drop-tail
  /queue/dead.>:
    max-messages: 3
    overflow: dead-letter
    deadletter: /queue/late.%
  /queue/late.small.>:
    max-messages: 2
    overflow: drop-head
  /queue/small.>:
    deadletter: /queue/late.%
  /queue/block.>:
    max-messages: 3
    overflow: block
  /queue/last.>:
    last-value: symbol
  /queue/once.>:
    duplicate-window: 3
  /queue/once-soon.>:
    duplicate-time: 100ms
  /queue/gone.>:
    auto-delete: true
    max-messages: 2
  /queue/brief.>:
    idle-expiry: 50ms
  /queue/signed.>:
    timestamp: true
    user: true
"""


class Frame(NamedTuple):
    """A frame as it is on the wire: nothing unescaped, nothing merged."""

    command: str
    headers: list[tuple[str, str]]
    body: str

    def __getitem__(self, name: str) -> str:  # type: ignore[override]
        """The first header of that name, as STOMP 1.2 wants it."""
        return next(value for each, value in self.headers if each == name)

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self.headers)


class Client:
    """Literal bytes out, frames in. It speaks 1.2."""

    def __init__(self, port: int, login: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self._data = b""
        self._early: list[Frame] = []
        more = f"login:{login}\npasscode:x\n" if login else ""
        self.send(f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0")
        self.expect("CONNECTED")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def frame(self) -> Frame:
        while True:
            at = 0
            while self._data[at : at + 1] == b"\n":
                at += 1
            blank = self._data.find(b"\n\n", at)
            if blank >= 0:
                command, *lines = self._data[at:blank].decode().split("\n")
                headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
                end = blank + 2 + int(dict(headers).get("content-length", "0"))
                if len(self._data) > end:
                    assert self._data[end] == 0
                    body = self._data[blank + 2 : end].decode()
                    self._data = self._data[end + 1 :]
                    return Frame(command, headers, body)
            octets = self.socket.recv(1 << 16)
            assert octets, f"closed; unread: {self._data!r}"
            self._data += octets

    def expect(self, command: str) -> Frame:
        if command == "MESSAGE" and self._early:
            return self._early.pop(0)
        frame = self.frame()
        assert frame.command == command, frame
        return frame

    def receipt(self, text: str) -> Frame:
        """Send a frame, written without its receipt, and wait for that; messages may come before it."""
        command, _, rest = text.partition("\n")
        number = f"r{next(numbers)}"
        self.send(f"{command}\nreceipt:{number}\n{rest}")
        while (frame := self.frame()).command == "MESSAGE":
            self._early.append(frame)
        assert frame.command == "RECEIPT", frame
        assert frame["receipt-id"] == number
        return frame

    def subscribe(self, queue: str, more: str = "", ack: str = "auto", id: str = "0") -> Frame:
        return self.receipt(f"SUBSCRIBE\nid:{id}\ndestination:/queue/{queue}\nack:{ack}\n{more}\n\0")

    def unsubscribe(self, id: str = "0") -> None:
        self.receipt(f"UNSUBSCRIBE\nid:{id}\n\n\0")

    def publish(self, queue: str, *bodies: str, more: str = "") -> None:
        """One after the other; all have their receipt in the end."""
        for body in bodies[:-1]:
            self.send(f"SEND\ndestination:/queue/{queue}\n{more}\n{body}\0")
        self.receipt(f"SEND\ndestination:/queue/{queue}\n{more}\n{bodies[-1]}\0")

    def flood(self, queue: str, more: str = "", count: int = MANY) -> None:
        """More messages than a queue has in memory, all with the body ``filler``."""
        frame = f"SEND\ndestination:/queue/{queue}\n{more}\nfiller\0"
        self.send(frame * (count - 1))
        self.receipt(frame)

    def ack(self, frame: Frame, more: str = "") -> Frame:
        return self.receipt(f"ACK\nid:{frame['ack']}\n{more}\n\0")

    def nack(self, frame: Frame, more: str = "") -> Frame:
        return self.receipt(f"NACK\nid:{frame['ack']}\n{more}\n\0")

    def message(self) -> Frame:
        """The next message, whenever it comes."""
        return self.expect("MESSAGE")

    def take(self, count: int) -> list[Frame]:
        """That many messages, and no more by now."""
        frames = [self.message() for _ in range(count)]
        self.nothing()
        return frames

    def bodies(self, count: int) -> list[str]:
        return [frame.body for frame in self.take(count)]

    def nothing(self) -> None:
        """Nothing has come by now."""
        self.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
        assert not self._early, self._early

    def come(self) -> list[Frame]:
        """All messages that came by now."""
        self.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
        frames = self._early[:]
        self._early.clear()
        return frames

    def drain(self, queue: str, more: str = "") -> list[Frame]:
        """All that is in a queue: what comes before a message of the lowest priority that is sent after it."""
        last = f"last {next(numbers)}"
        self.receipt(f"SUBSCRIBE\nid:{last}\ndestination:/queue/{queue}\n{more}\n\0")
        self.send(f"SEND\ndestination:/queue/{queue}\npriority:0\n\n{last}\0")
        found: list[Frame] = []
        while (frame := self.message()).body != last:
            found.append(frame)
        self.unsubscribe(last)
        return found

    def contents(self, queue: str) -> list[str]:
        return [frame.body for frame in self.drain(queue)]

    def transaction(self, name: str, *frames: str) -> None:
        """BEGIN, the frames (written without their transaction), and COMMIT with its receipt."""
        self.send(f"BEGIN\ntransaction:{name}\n\n\0")
        for text in frames:
            command, _, rest = text.partition("\n")
            self.send(f"{command}\ntransaction:{name}\n{rest}")
        self.receipt(f"COMMIT\ntransaction:{name}\n\n\0")

    def error(self) -> str:
        """The ERROR that comes, what it says first, and the end of the connection."""
        error = self.expect("ERROR")
        while self.socket.recv(1 << 16):
            pass
        return dict(error.headers)["message"]

    def manage(self, action: str, queue: str) -> None:
        self.receipt(
            f"SEND\ndestination:/queue/stompserver.management\naction:{action}\nqueue:/queue/{queue}\n\n\0"
        )

    def queues(self) -> list[str]:
        """The names of all queues, without ``/queue/``."""
        self.receipt(
            "SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/temp-queue/answer\n\n\0"
        )
        return [row["queue"].removeprefix("/queue/") for row in json.loads(self.message().body)["queues"]]

    def close(self) -> None:
        self.socket.close()

    def leave(self) -> None:
        """DISCONNECT, and wait until the server is done with it."""
        self.receipt("DISCONNECT\n\n\0")
        assert self.socket.recv(1) == b""
        self.socket.close()


class House:
    """A server with one kind of storage. Where that keeps anything, ``restart`` ends it and starts it again."""

    def __init__(
        self, start: Callable[..., Any], kind: str, directory: Path, policies: str = POLICIES
    ) -> None:
        self.kind = kind
        self.keeps = kind != "memory"
        self._start = start
        self._path = directory / "server.conf"
        self._path.write_text(policies)
        self._options = ["-q", kind, "--monitor-interval=0", "--linger=0.1", "-C", str(self._path)]
        self._directory = directory
        self._names = itertools.count(1)
        self.clients: list[Client] = []
        self.server = start(*self._options, directory=directory)

    def name(self, family: str = "plain") -> str:
        """A queue that no other test has, of those with the policy ``family.>``."""
        return f"{family}.{next(self._names)}"

    def connect(self, login: str = "") -> Client:
        self.clients.append(Client(self.server.port, login))
        return self.clients[-1]

    def restart(self, kill: bool = True) -> None:
        """All connections end; on memory nothing else."""
        if self.keeps:
            if kill:
                self.server.kill()
            else:
                self.server.stop()
            self.server = self._start(*self._options, directory=self._directory)
            self.close()

    def reload(self, policies: str) -> None:
        """Other policies, and SIGHUP."""
        self._path.write_text(policies)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_log("users read again")

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()


@pytest.fixture(scope="module", params=["memory", "lmdb"])
def shared_house(
    request: pytest.FixtureRequest, start_shared_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> House:
    return House(start_shared_server, request.param, tmp_path_factory.mktemp("house"))


@pytest.fixture
def new_house(start_server: Any, tmp_path: Path) -> Iterator[Callable[[str], House]]:
    """``new_house(policies)`` is one on lmdb for one test."""
    made: list[House] = []

    def build(policies: str) -> House:
        made.append(House(start_server, "lmdb", tmp_path, policies))
        return made[-1]

    yield build
    for each in made:
        each.close()


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    """The same for all tests of a file, which have queues of their own."""
    yield shared_house
    shared_house.close()
