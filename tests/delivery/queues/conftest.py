"""Two started servers with policies for all that queues can do, and the client of these tests."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import house as started
import pytest

import wire
from wire import Frame, numbers

MANY = 5000  # messages of which a queue on lmdb has only some in memory

POLICIES = """
policies:
  /queue/dlq.>:
    max-redeliveries: 1
    deadletter: /queue/DLQ.%
  /queue/poison.>:
    max-redeliveries: 3
    deadletter: /queue/DLQ.%
  /queue/ranked.>:
    priorities: true
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


class Client(wire.Client):
    """It names queues without ``/queue/``."""

    def __init__(self, port: int, login: str = "") -> None:
        super().__init__(port, f"login:{login}\npasscode:x\n" if login else "")

    def subscribe(self, queue: str, more: str = "", ack: str = "auto", id: str = "0") -> Frame:
        return super().subscribe(f"/queue/{queue}", id, more, ack)

    def unsubscribe(self, id: str = "0") -> None:
        self.receipt(f"UNSUBSCRIBE\nid:{id}\n\n\0")

    def publish(self, queue: str, *bodies: str, more: str = "") -> None:
        """One after the other; all have their receipt in the end."""
        for body in bodies[:-1]:
            self.send(f"SEND\ndestination:/queue/{queue}\n{more}\n{body}\0")
        super().publish(f"/queue/{queue}", bodies[-1], more)

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

    def come(self) -> list[Frame]:
        """All messages that came by now."""
        self.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
        frames = self.early[:]
        self.early.clear()
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
        """What the ERROR that comes says first; then the connection ends."""
        return super().error()["message"]

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


class House(started.House):
    """One for many tests."""

    def __init__(
        self, start: Callable[..., Any], kind: str, directory: Path, policies: str = POLICIES
    ) -> None:
        super().__init__(start, kind, directory, Client, policies)
        self._names = itertools.count(1)

    def name(self, family: str = "plain") -> str:
        """A queue that no other test has, of those with the policy ``family.>``."""
        return f"{family}.{next(self._names)}"

    def reload(self, policies: str) -> None:
        """Other policies, and SIGHUP."""
        self._path.write_text(policies)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_log("users read again", wire.LIMIT)


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
