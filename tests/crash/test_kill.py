"""kill -9 under load, at random moments and inside of commits: what got a receipt is kept, whatever it was for."""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PLAIN = ("/queue/plain", "/queue/other")
JOINT = ("/queue/a", "/queue/b")
QUEUES = (*PLAIN, *JOINT)
HEAVY = "/queue/heavy"  # where nobody consumes before the end
OUTSTANDING = 100
MOST = 1500.0  # messages of one producer in one round


class Ledger:
    """What the clients of all rounds did and saw; ``problems`` are broken promises."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}  # body: queue
        self.kept: set[str] = set()  # receipted
        self.acked: set[str] = set()
        self.consumed: set[str] = set()  # ACK receipted
        self.nacked: set[str] = set()
        self.returned: set[str] = set()  # NACK receipted
        self.ids: dict[str, str] = {}
        self.bodies: dict[str, str] = {}
        self.groups: dict[str, list[str]] = defaultdict(list)  # transaction: bodies
        self.committed: set[str] = set()
        self.problems: list[str] = []

    def delivered(self, queue: str, body: str, message_id: str, redelivered: bool) -> None:
        if self.sent.get(body) != queue:
            self.problems.append(f"{body} came from {queue}, was sent to {self.sent.get(body)}")
        if self.ids.setdefault(body, message_id) != message_id:
            self.problems.append(f"{body} has id {message_id}, had {self.ids[body]}")
        if self.bodies.setdefault(message_id, body) != body:
            self.problems.append(f"id {message_id} is of {body} and of {self.bodies[message_id]}")
        if body in self.consumed:
            self.problems.append(f"{body} came again after the receipt of its ACK")
        if body in self.returned and not redelivered:
            self.problems.append(f"{body} is not marked as redelivered")
        if redelivered and body not in self.nacked:
            self.problems.append(f"{body} is marked as redelivered")


class Worker(threading.Thread):
    """One client that works until its server dies; ``owed`` is what its receipts stand for."""

    def __init__(self, client: Any, ledger: Ledger, seed: int, gone: type[Exception]) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.ledger = ledger
        self.random = random.Random(seed)
        self.name = f"w{seed}"
        self.owed: dict[str, tuple[set[str], str]] = {}
        self.count = 0
        self.most = MOST
        self.dead = False
        self.alive = threading.Event()
        self.gone = gone

    def run(self) -> None:
        try:
            self.begin()
            while True:
                if len(self.owed) < OUTSTANDING and self.count < self.most:
                    self.work()
                    wait = 0.0
                else:
                    wait = 10.0
                while self.client.poll(wait):
                    self.take(self.client.frames.popleft())
                    wait = 0.0
        except self.gone:
            self.dead = True
        except Exception as problem:
            self.ledger.problems.append(repr(problem))
        self.alive.set()
        # What the server said before it died.
        with contextlib.suppress(self.gone):
            while self.dead and self.client.poll(10.0):
                self.take(self.client.frames.popleft())

    def begin(self) -> None:
        """What comes before the first work."""

    def work(self) -> None:
        """Do something that gets a receipt."""

    def take(self, frame: Any) -> None:
        if frame.command == "RECEIPT":
            where, what = self.owed.pop(frame.headers["receipt-id"])
            where.add(what)
            self.alive.set()
        else:
            self.ledger.problems.append(f"{type(self).__name__} {self.name} got {frame}")

    def owe(self, where: set[str], what: str) -> str:
        receipt = f"{self.name}-{len(self.owed)}-{self.count}-{what}"
        self.owed[receipt] = (where, what)
        return receipt


class Producer(Worker):
    """SENDs with a receipt each."""

    def work(self) -> None:
        data = []
        for _ in range(self.random.randint(1, 30)):
            self.count += 1
            queue = self.random.choice(PLAIN)
            body = f"{self.name}.{self.count:06}" + self.random.choice(("", "", " " + 300 * "x"))
            self.ledger.sent[body] = queue
            receipt = self.owe(self.ledger.kept, body)
            data.append(f"SEND\ndestination:{queue}\nreceipt:{receipt}\n\n{body}\0")
        self.client.send("".join(data))


class Loader(Worker):
    """SENDs so much that each store has to take room and to move what it holds."""

    def begin(self) -> None:
        self.most = 20

    def work(self) -> None:
        self.count += 1
        body = f"{self.name}.{self.count:06} " + (1 << 20) * "x"
        self.ledger.sent[body] = HEAVY
        receipt = f"{self.name}-{self.count}"
        self.owed[receipt] = (self.ledger.kept, body)
        self.client.send(f"SEND\ndestination:{HEAVY}\nreceipt:{receipt}\n\n{body}\0")


class Committer(Worker):
    """Transactions over two queues, most of them with a COMMIT."""

    def work(self) -> None:
        name = f"{self.name}.{self.count:06}"
        data = [f"BEGIN\ntransaction:{name}\n\n\0"]
        bodies = []
        for _ in range(self.random.randint(2, 12)):
            self.count += 1
            queue = self.random.choice(JOINT)
            body = f"{self.name}.{self.count:06}"
            bodies.append((body, queue))
            data.append(f"SEND\ndestination:{queue}\ntransaction:{name}\n\n{body}\0")
        if self.random.random() < 0.9:
            self.ledger.sent.update(bodies)
            self.ledger.groups[name] = [body for body, _ in bodies]
            receipt = self.owe(self.ledger.committed, name)
            data.append(f"COMMIT\ntransaction:{name}\nreceipt:{receipt}\n\n\0")
        else:
            data.append(f"ABORT\ntransaction:{name}\n\n\0")
        self.client.send("".join(data))


class Consumer(Worker):
    """ACKs most of what comes, NACKs some, leaves some for later; asks a receipt for each."""

    def begin(self) -> None:
        self.late: list[tuple[str, str]] = []
        self.newest: dict[str, int] = dict.fromkeys(QUEUES, 0)
        self.back: set[str] = set()
        self.most = 0  # nothing to do but to answer
        for queue in QUEUES:
            self.client.subscribe(queue, "client-individual", "prefetch-count:40\n")

    def take(self, frame: Any) -> None:
        if frame.command != "MESSAGE":
            super().take(frame)
            return
        body = frame.body.decode()
        queue = frame.headers["subscription"]
        number = int(frame.headers["message-id"])
        redelivered = frame.headers.get("redelivered") == "true"
        self.ledger.delivered(queue, body, frame.headers["message-id"], redelivered)
        if body not in self.back and number <= self.newest[queue]:
            self.ledger.problems.append(f"{body} came after a newer one of {queue}")
        self.newest[queue] = max(self.newest[queue], number)
        if self.dead:
            return
        choice = self.random.random()
        if choice < 0.7:
            self.answer("ACK", frame.headers["ack"], body)
        elif choice < 0.8:
            self.back.add(body)
            self.answer("NACK", frame.headers["ack"], body)
        else:
            self.late.append((frame.headers["ack"], body))
            if len(self.late) > 30:
                self.answer("ACK", *self.late.pop(0))

    def answer(self, verb: str, ack: str, body: str) -> None:
        ledger = self.ledger
        tried, done = (ledger.acked, ledger.consumed) if verb == "ACK" else (ledger.nacked, ledger.returned)
        tried.add(body)
        receipt = f"{verb} {ack}"
        self.owed[receipt] = (done, body)
        self.client.send(f"{verb}\nid:{ack}\nreceipt:{receipt}\n\n\0")


BUSY = (Producer, Producer, Committer, Consumer)


def _round(
    kinds: tuple[type[Worker], ...],
    server: Any,
    connect: Any,
    ledger: Ledger,
    chance: random.Random,
    gone: type[Exception],
    end: Callable[[Any], None],
    receipts: bool = True,
    most: float = MOST,
) -> None:
    """Workers that work until ``end`` has made an end of the server, after receipts for all if asked for."""
    workers = [kind(connect(server), ledger, chance.randrange(1 << 30), gone) for kind in kinds]
    for worker in workers:
        worker.most = most
        worker.start()
    for worker in workers if receipts else ():
        assert worker.alive.wait(30), f"{worker.name} got no receipt: {ledger.problems}"
    end(server)
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert not ledger.problems, "\n".join(ledger.problems[:20])


def _judge(ledger: Ledger, found: dict[str, list[Any]]) -> None:
    there: set[str] = set()
    for queue, frames in found.items():
        ids = [int(frame.headers["message-id"]) for frame in frames]
        assert ids == sorted(set(ids)), f"{queue} is not in order"
        newest: dict[str, str] = {}
        for frame in frames:
            body = frame.body.decode()
            redelivered = frame.headers.get("redelivered") == "true"
            ledger.delivered(queue, body, frame.headers["message-id"], redelivered)
            producer = body.partition(".")[0]
            assert newest.get(producer, "") < body, f"{body} came after {newest[producer]}"
            newest[producer] = body
            there.add(body)
    assert not ledger.problems, "\n".join(ledger.problems[:20])
    lost = ledger.kept - there - ledger.acked
    assert not lost, f"{len(lost)} messages with a receipt are lost, one of them {min(lost)}"
    for name, bodies in ledger.groups.items():
        missing = set(bodies) - there - ledger.acked
        whole = name in ledger.committed or not there.isdisjoint(bodies) or set(bodies) & ledger.consumed
        assert not (whole and missing), f"of transaction {name} {missing} are lost"
    torn = {body for body in there if body not in ledger.sent}
    assert not torn, torn


def _kill_again_and_again(
    kind: str, rounds: int, seed: int, restart: Any, connect: Any, gone: type[Exception], options: list[str]
) -> None:
    chance = random.Random(seed)
    ledger = Ledger()

    def end(server: Any) -> None:
        threading.Event().wait(chance.choice((0.0, 0.02, 0.1, 0.3)) * chance.random())
        server.kill()

    for _ in range(rounds):
        _round(BUSY, restart(kind, *options), connect, ledger, chance, gone, end)
    server = restart(kind, *options)
    client = connect(server)
    _judge(ledger, {queue: client.drain(queue) for queue in QUEUES})
    assert len(ledger.kept) > rounds
    assert len(ledger.committed) >= rounds
    assert len(ledger.consumed) >= rounds
    server.stop()
    client = connect(restart(kind, *options))
    assert [client.bodies(queue) for queue in QUEUES] == [[], [], [], []]


def test_a_few_kills_lose_nothing_that_got_a_receipt(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], gone: type[Exception]
) -> None:
    _kill_again_and_again(kind, 2, 2026, restart, connect, gone, [])


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_many_kills_lose_nothing_that_got_a_receipt(
    kind: str, seed: int, restart: Callable[..., Any], connect: Callable[..., Any], gone: type[Exception]
) -> None:
    _kill_again_and_again(kind, 25, seed, restart, connect, gone, [])


@pytest.mark.long
def test_kills_while_memory_is_short_lose_nothing_either(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], gone: type[Exception]
) -> None:
    _kill_again_and_again(kind, 10, 3, restart, connect, gone, ["--memory-limit=4MiB"])


# Inside of a commit


class Point(NamedTuple):
    """A place in a commit: before a system call on ``file`` (below the storage, any if empty) or in any thread."""

    calls: str
    file: str = ""
    rare: bool = False
    """Whether only large messages, or the first after a start, get there."""


POINTS = {
    "lmdb": {
        "pages": Point("writev,pwritev,pwrite64", "lmdb/data.mdb"),
        "sync": Point("fdatasync", "lmdb/data.mdb"),
        "growth": Point("fallocate,ftruncate", "lmdb/data.mdb", True),
    },
    "file": {
        "message": Point("writev"),
        "message sync": Point("fsync"),
        "journal": Point("pwrite64", "file/journal"),
        "journal sync": Point("fdatasync", "file/journal"),
        "move": Point("rename"),
        "removal": Point("unlink"),
        "directory": Point("mkdir", "", True),
    },
    "dbm": {
        "log": Point("pwrite64"),
        "log sync": Point("fdatasync"),
        "growth": Point("fallocate", "", True),
        "segment sync": Point("fsync", "", True),
        "state": Point("rename", "", True),
        "removal": Point("unlink", "", True),
    },
    "activerecord": {
        "log": Point("pwrite64", "stompserver_development-wal"),
        "log sync": Point("fdatasync", "stompserver_development-wal"),
        "checkpoint": Point("pwrite64", "stompserver_development", True),
        "checkpoint sync": Point("fdatasync", "stompserver_development", True),
    },
}


@contextlib.contextmanager
def _trap(server: Any, storage: Path, point: Point, number: int) -> Iterator[None]:
    """In this block the server dies, as by kill -9, before a thread's call with that number at ``point``."""
    command = ["strace", "-f", "-p", str(server.process.pid), "-o", "/dev/null", "-e", f"trace={point.calls}"]
    command += ["-e", f"inject={point.calls}:signal=SIGKILL:when={number}"]
    if point.file:
        command += ["-P", str(storage / point.file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        while said and "attached" not in said:
            if "Operation not permitted" in said:
                pytest.skip(f"no process may be traced here: {said}")
            said = tracer.stderr.readline()
        try:
            yield
        finally:
            server.kill()


def _dies(server: Any) -> None:
    """Wait until the trap has snapped."""
    try:
        code = server.process.wait(30)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the server never came to that place\n{server.log()}")
    assert code == -9, server.log()


def _trapped(server: Any, storage: Path, point: Point, number: int) -> None:
    with _trap(server, storage, point, number):
        _dies(server)


def _kill_at(
    kind: str,
    rounds: list[tuple[str, int]],
    restart: Any,
    connect: Any,
    gone: type[Exception],
    storage: Path,
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here: apt-get install strace")
    chance = random.Random(2026)
    ledger = Ledger()
    for name, number in rounds:
        print(kind, name, number)
        server = restart(kind)
        point = POINTS[kind][name]
        if point.rare:
            with _trap(server, storage, point, number):
                _round((Loader, *BUSY), server, connect, ledger, chance, gone, _dies, False)
        else:
            end = partial(_trapped, storage=storage, point=point, number=number)
            # They must not be done before the tracer is there.
            _round(BUSY, server, connect, ledger, chance, gone, end, most=math.inf)
    client = connect(restart(kind))
    _judge(ledger, {queue: client.drain(queue) for queue in (*QUEUES, HEAVY)})


@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [("lmdb", "sync", 2), ("file", "move", 2), ("dbm", "log sync", 2), ("activerecord", "log", 3)],
)
def test_a_kill_inside_a_commit_loses_nothing(
    kind: str,
    name: str,
    number: int,
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    gone: type[Exception],
    tmp_path: Path,
) -> None:
    _kill_at(kind, [(name, number)], restart, connect, gone, tmp_path / ".stompserver")


@pytest.mark.long
def test_kills_at_each_place_inside_a_commit_lose_nothing(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], gone: type[Exception], tmp_path: Path
) -> None:
    # Rare places are reached once or twice, each of the others at each of its calls in a few commits.
    rounds = [
        (name, number) for name, point in POINTS[kind].items() for number in range(1, 2 if point.rare else 4)
    ]
    _kill_at(kind, rounds, restart, connect, gone, tmp_path / ".stompserver")
