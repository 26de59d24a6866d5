"""The fuzzer: servers that are killed and started again, clients that say anything, a judge for each octet.

    python tests/hostile/fuzz/fuzz_run.py --seconds 3600                    # of the stompserver of this interpreter
    python tests/hostile/fuzz/fuzz_run.py --seed 17 --epochs 3 --python PATH    # again, of another one

An epoch is a storage with its servers, one after the other; each ends by SIGKILL or by SIGTERM. The seed says which
options they have and what is sent; what comes back at which moment is the machine's affair.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import fuzz_field as field_of
from fuzz_judge import Book, Fault, Judge, Sent, Wanted

READY = re.compile(rb"starting on \S+ port (\d+)")
PATIENCE = 60.0
"""Seconds after which a server that does not start, answer or end has a fault; never waited for when all is well."""
CLIENTS = 6
STORES = ("memory", "lmdb", "file")
VERSIONS = ("1.0", "1.1", "1.2")
KEPT = 300
MOST_SHOWN = 600
"""Pieces of a conversation that are shown when something is wrong."""

POLICIES = (
    "  /topic/#:\n    history-messages: 5\n",
    "  /topic/a.*:\n    retain: true\n    timestamp: true\n",
    "  /queue/a:\n    max-messages: 5\n    overflow: {overflow}\n    deadletter: /queue/dead\n",
    "  /queue/b:\n    max-redeliveries: 1\n    redelivery-delay: 5ms\n    user: true\n",
    "  /queue/c:\n    last-value: c-custom\n",
    "  /queue/dead:\n    max-messages: 5\n    overflow: {overflow}\n",
    "  /queue/deadletter:\n    max-messages: 20\n    overflow: drop-head\n",
    "  /queue/#:\n    ack-timeout: 200ms\n    expired: deadletter\n",
    "  /topic/deep.#:\n    slow: drop-oldest\n    user: true\n",
    "  /dsub/#:\n    max-messages: 10\n    overflow: reject\n",
)


class Server:
    """A started server. Raises Fault when it does not come up."""

    def __init__(self, python: str, directory: Path, arguments: Sequence[str]) -> None:
        self.log = bytearray()
        self.directory = directory
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STOMPSERVER_", "PYTHON"))
        }
        self.process = subprocess.Popen(
            [python, "-m", "stompserver", "-p", "0", "-b", "127.0.0.1", "-w", str(directory), *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        self._ready.wait(PATIENCE)
        found = READY.search(bytes(self.log))
        if not found:
            self.kill()
            raise Fault("the server did not start")
        self.port = int(found[1])

    def _collect(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            while octets := os.read(stream.fileno(), 65536):
                self.log += octets
                if READY.search(bytes(self.log[:100_000])):
                    self._ready.set()
                # Warnings by the thousand: the beginning and the end are kept.
                if len(self.log) > 8_000_000:
                    self.look()
                    del self.log[100_000:6_000_000]
        self._ready.set()

    def look(self) -> None:
        """Raises Fault for a traceback in the log."""
        at = self.log.find(b"Traceback (most recent call last)")
        if at >= 0:
            raise Fault("a traceback in the log:\n" + self.log[at : at + 5000].decode("utf-8", "replace"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)

    def stop(self) -> None:
        """SIGTERM; it must end with 0, and its log be free of tracebacks."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Fault(f"the server does not end within {PATIENCE:g} s of SIGTERM") from None
        self._reader.join(PATIENCE)
        self.look()
        if code != 0:
            raise Fault(f"the server ended with {code}")


class Client:
    """One connection after the other to the same server, under one number."""

    def __init__(self, number: int, book: Book, numbers: Callable[[], int], errors: Counter[str]) -> None:
        self.number = number
        self.errors = errors
        self.book = book
        self.next_number = numbers
        self.socket: socket.socket | None = None
        self.said: deque[tuple[str, bytes]] = deque(maxlen=KEPT)
        self.out = bytearray()
        self.stuck = 0
        self.connections = 0

    def connect(self, port: int, random: Random) -> None:
        self.close()
        self.connections += 1
        self.version = random.choice(VERSIONS)
        self.login = random.choice(field_of.LOGGED_IN)
        self.ids: dict[str | None, Wanted] = {}
        self.transactions: list[str] = []
        self.ended = False
        self.stuck = 0
        beats = self.version != "1.0" and random.random() < 0.2
        self.judge = Judge(
            self.number * 1_000_000 + self.connections, self.login, self.version, self.book, beats
        )
        self.said.clear()
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        lines = []
        if self.version != "1.0":
            lines += [f"accept-version:{','.join(VERSIONS[: VERSIONS.index(self.version) + 1])}", "host:h"]
        if self.login:
            lines += [f"login:{self.login}", "passcode:secret"]
        if beats:
            lines.append("heart-beat:0,1000")
        if random.random() < 0.3:
            lines.append(f"client-id:{random.choice(('i1', 'i2', 'i3'))}-{self.number}")
        if random.random() < 0.1:
            lines.append("request-id:9")
        self.write(("CONNECT\n" + "".join(line + "\n" for line in lines) + "\n\0").encode())

    def close(self, hard: bool = False) -> None:
        if self.socket is not None:
            if hard:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.socket.close()
            self.socket = None
        self.out.clear()

    def write(self, octets: bytes) -> None:
        self.out += octets
        self.said.append(("C", octets))

    def frame(
        self, command: str, headers: Sequence[tuple[str, str]], body: bytes = b"", end: bytes = b"\0"
    ) -> None:
        """A frame in this client's version. Headers are written as they are: escaped by who made them."""
        head = command + "\n" + "".join(f"{name}:{value}\n" for name, value in headers) + "\n"
        self.write(head.encode("utf-8", "surrogateescape") + body + end)

    def header(self, name: str, words: str) -> tuple[str, str]:
        return field_of.escape(name, self.version).replace(":", ""), field_of.escape(words, self.version)

    # what is said

    def speak(self, random: Random) -> None:
        """A few frames."""
        for _ in range(random.randrange(1, 8)):
            act = random.choices(
                (
                    self.send,
                    self.subscribe,
                    self.unsubscribe,
                    self.settle,
                    self.transact,
                    self.manage,
                    self.odd,
                ),
                (45, 10, 3, 25, 8, 4, 1.5),
            )[0]
            act(random)
            if self.ended:
                return

    def receipt(
        self, random: Random, over: Wanted | None = None, share: float = 0.4
    ) -> list[tuple[str, str]]:
        """A `receipt` header, or none."""
        if random.random() >= share:
            return []
        words = f"r{self.next_number()}" + random.choice(("", "", "", ":x", "\\", "\n\nx", " y", "\u00fc"))
        written = field_of.escape(words, self.version)
        self.judge.receipts[field_of.read_back(written, self.version)] = over
        return [("receipt", written)]

    def place(self, choose: Callable[[Random], str], random: Random) -> str:
        """A destination as it is written; what is a login's mostly for those who have one."""
        while True:
            found = choose(random)
            if self.login or "/user/" not in found or random.random() < 0.02:
                return field_of.escape(found, self.version)

    def transaction(self, random: Random) -> list[tuple[str, str]]:
        if self.transactions and random.random() < 0.5:
            return [("transaction", random.choice(self.transactions))]
        return []

    def send(self, random: Random) -> None:
        where = self.place(field_of.destination, random)
        headers = [("destination", where)]
        names = random.sample(tuple(field_of.SEND), random.choice((0, 0, 1, 2, 3, 5)))
        if "AMQ_SCHEDULED_REPEAT" in names and random.random() < 0.95:
            names.append("AMQ_SCHEDULED_PERIOD")
        headers += [self.header(name, field_of.value(random, field_of.SEND[name])) for name in names]
        if random.random() < 0.1:
            name, words = field_of.reserved(random)
            headers.append(self.header(name, words))
        if random.random() < 0.1:
            to = random.choice(("/temp-queue/answer", "/queue/a", "/temp-topic/t", field_of.text(random)))
            headers.append(self.header("reply-to", to))
        if self.version == "1.0" and random.random() < 0.02:
            headers.append(("c-octets", "\udcff\udcfe"))
        headers += self.transaction(random)
        random.shuffle(headers)
        number = self.next_number()
        body = f"#{number}#".encode()
        size = random.choice((0, 0, 10, 100, 1000, 20_000))
        body += random.choice((b"x", b"MESSAGE\nsubscription:0\n\n", b"\n", b"\xff\xfe"))[:size] * (size // 4)
        length = random.random() < 0.5
        if length and size:
            body += random.choice((b"", b"\0\nMESSAGE\nsubscription:s0\nmessage-id:1\n\nforged\0\n"))
        if length:
            headers.append(("content-length", str(len(body))))
        self._note(number, where, headers, body)
        self._note_graves(headers)
        self.frame("SEND", [*headers, *self.receipt(random)], body)

    def _note(self, number: int, where: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Write into the book what receivers may see of this message."""
        version = self.version
        destination = field_of.read_back(where, version)
        known: dict[str, str] = {}
        for name, written in headers:
            known.setdefault(
                field_of.read_back(name, version) if version != "1.0" else name,
                field_of.read_back(written, version),
            )
        options = field_of.of_options(destination)
        owner = self.judge.number if field_of.of_connection(destination) else None
        login = field_of.private_to(destination, self.login)
        self.book.sent[number] = Sent(
            version, known, options, body, field_of.forms(destination), login, owner
        )
        self._expect_answers(known.get("reply-to"))

    def _note_graves(self, headers: Sequence[tuple[str, str]]) -> None:
        """The queue that a client makes may have its dead letters go anywhere."""
        for name, written in headers:
            if field_of.read_back(name, self.version).strip() == "x-dead-letter-routing-key":
                value = field_of.read_back(written, self.version)
                self.book.graves |= field_of.forms(value) | field_of.forms("/queue/" + value)

    def _expect_answers(self, reply_to: str | None) -> None:
        """Who sends a `reply-to` of its own is subscribed to it."""
        if reply_to is None:
            return
        bare = reply_to.replace("temp-queue://", "/temp-queue/").replace("temp-topic://", "/temp-topic/")
        if bare.startswith(("/temp-queue/", "/temp-topic/")):
            wanted = Wanted(bare, False, frozenset((bare, reply_to)), False)
            for id in {bare, reply_to} | ({None} if self.version == "1.0" else set()):
                self.judge.want(id, wanted)

    def subscribe(self, random: Random) -> None:
        where = self.place(field_of.source, random)
        destination = field_of.read_back(where, self.version)
        id: str | None = f"s{self.next_number()}" + random.choice(("", "", "", ":x", "\\n", "\n\nx"))
        written = field_of.escape(id or "", self.version)
        id = field_of.read_back(written, self.version)
        if self.version == "1.0" and random.random() < 0.5:
            id = None
        mode = random.choice(("auto", "client", "client-individual", None))
        headers = [("destination", where)]
        if id is not None:
            headers.append(("id", written))
        if mode:
            headers.append(("ack", mode))
        names = random.sample(tuple(field_of.SUBSCRIBE), random.choice((0, 0, 0, 1, 2)))
        headers += [self.header(name, field_of.value(random, field_of.SUBSCRIBE[name])) for name in names]
        pattern = bool(re.search(r"(^|[./])(\*\*?|>|#)($|[./?])", destination))
        wanted = Wanted(
            destination, mode in ("client", "client-individual"), field_of.forms(destination), pattern
        )
        self.ids[id] = wanted
        self.judge.want(id, wanted)
        self._note_graves(headers)
        self.frame("SUBSCRIBE", [*headers, *self.receipt(random)])

    def unsubscribe(self, random: Random) -> None:
        if not self.ids or random.random() < 0.03:
            self.frame("UNSUBSCRIBE", [("id", "nothing"), *self.receipt(random)])
            return
        id = random.choice(list(self.ids))
        wanted = self.ids.pop(id)
        if id is None:
            # The specification of 1.0 ends one of those with this destination.
            self.frame("UNSUBSCRIBE", [("destination", field_of.escape(wanted.destination, self.version))])
        else:
            more = random.choice(([], [], [("durable", "true")], [("activemq.subscriptionName", "n1")]))
            self.frame(
                "UNSUBSCRIBE",
                [
                    ("id", field_of.escape(id, self.version)),
                    *more,
                    *self.receipt(random, None if more else wanted, 0.8),
                ],
            )

    def settle(self, random: Random) -> None:
        held = self.judge.unsettled
        command = "ACK" if random.random() < 0.7 or self.version == "1.0" else "NACK"
        if not held or random.random() < 0.01:
            if random.random() < 0.03:
                name = "id" if self.version == "1.2" else "message-id"
                self.frame(command, [(name, random.choice(field_of.NUMBERS)), ("subscription", "s1")])
            return
        message = held.pop(random.randrange(len(held)) if random.random() < 0.2 else 0)
        if self.version == "1.2":
            headers = [("id", field_of.escape(message.get("ack") or "", "1.2"))]
        else:
            headers = [("message-id", message.get("message-id") or "")]
            subscription = message.get("subscription")
            if subscription is not None:
                headers.append(("subscription", field_of.escape(subscription, self.version)))
        if command == "NACK" and random.random() < 0.4:
            name, choices = random.choice(
                (
                    ("requeue", ("false", "true")),
                    ("delay", ("1", "50")),
                    ("reason", None),
                    ("touch", ("true",)),
                )
            )
            headers.append(self.header(name, field_of.value(random, choices)))
        self.frame(command, [*headers, *self.transaction(random), *self.receipt(random)])

    def transact(self, random: Random) -> None:
        if len(self.transactions) < 3 and random.random() < 0.6:
            name = f"t{self.next_number()}"
            self.transactions.append(name)
            self.frame("BEGIN", [("transaction", name), *self.receipt(random)])
        elif self.transactions:
            name = self.transactions.pop(random.randrange(len(self.transactions)))
            command = random.choice(("COMMIT", "COMMIT", "ABORT"))
            self.frame(command, [("transaction", name), *self.receipt(random)])

    def manage(self, random: Random) -> None:
        correlation = f"m{self.next_number()}" + random.choice(("", ":", "\n", "\\"))
        written = field_of.escape(correlation, self.version)
        self.book.asked.add(field_of.read_back(written, self.version))
        to = random.choice(("/temp-queue/manage", "/temp-queue/manage", "/queue/c", "/topic/a.b"))
        self.book.places.add(to)
        headers = [("reply-to", to), ("correlation-id", written)]
        self._expect_answers(to)
        if random.random() < 0.2:
            action = random.choice(("BROWSE", "REMOVE", "REMOVEALL", "NONE"))
            headers += [("destination", field_of.SCHEDULER), ("AMQ_SCHEDULER_ACTION", action)]
            if random.random() < 0.5:
                headers.append(("scheduledJobId", random.choice(field_of.NUMBERS)))
        else:
            action, names = random.choice(field_of.MANAGEMENT)
            headers += [("destination", field_of.MANAGER), ("action", action)]
            for name in names:
                if name in ("queue", "name"):
                    headers.append(self.header(name, field_of.destination(random)))
                elif random.random() < 0.5:
                    headers.append(
                        (name, "true" if name == "all" else random.choice(("1", "3", "1000", "x")))
                    )
        self.frame("SEND", [*headers, *self.receipt(random)])

    def odd(self, random: Random) -> None:
        """What ends a connection, most often: bad frames, DISCONNECT, a reset."""
        kind = random.randrange(8)
        if kind == 0:
            self.frame("DISCONNECT", self.receipt(random))
            self.ended = True
        elif kind == 1:
            self.close(hard=True)
            self.ended = True
        elif kind == 2:
            self.frame(random.choice(("MESSAGE", "RECEIPT", "CONNECTED", "ERROR", "CONNECT", "nonsense")), [])
        elif kind == 3:
            self.noted("/queue/a", [("x", "\\q")])
        elif kind == 4:
            self.frame("SEND", [("destination", "/queue/a"), ("content-length", "3")], b"12345")
        elif kind == 5:
            self.write(random.randbytes(random.randrange(1, 100)))
        elif kind == 6:
            self.write(b"\n" * random.randrange(1, 5))
        else:
            self.noted("/topic/a.b", [(f"h{i}", "x") for i in range(200)])

    def noted(self, destination: str, headers: Sequence[tuple[str, str]]) -> None:
        number = self.next_number()
        body = f"#{number}#".encode()
        self._note(number, destination, headers, body)
        self.frame("SEND", [("destination", destination), *headers], body)

    # what comes

    def exchange(self) -> None:
        """Write and read what can be without waiting. Raises Fault."""
        sock = self.socket
        if sock is None:
            return
        if self.out:
            try:
                sent = sock.send(self.out)
                del self.out[:sent]
                self.stuck = 0
            except BlockingIOError:
                self.stuck += 1
            except OSError:
                self.out.clear()
        while True:
            try:
                octets = sock.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                octets = b""
            if not octets:
                self.close()
                self.ended = True
                return
            self.said.append(("S", octets))
            for frame in self.judge.octets(octets):
                if frame.command == "ERROR":
                    self.errors[" ".join((frame.get("message") or "").split()[:3])] += 1

    def conversation(self) -> str:
        return "\n".join(f"{who}: {octets[:MOST_SHOWN]!r}" for who, octets in self.said)


@dataclass
class Report:
    """What a run did, and the faults that it found."""

    frames: int = 0
    epochs: int = 0
    servers: int = 0
    kills: int = 0
    connections: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """ERRORs by their first two words: what ends connections, and whether what was sent is what was meant."""
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.epochs} epochs, {self.servers} servers, {self.kills} kills, {self.connections:,} connections, "
            f"{self.frames:,} frames came and were judged, {len(self.faults)} faults"
        )


class Epoch:
    """A storage, its servers, and what their clients said."""

    def __init__(self, seed: str, python: str, report: Report, stores: Sequence[str], steps: int) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.python = python
        self.report = report
        self.steps = steps
        self.book = Book()
        self.count = 0
        self.store = stores[int(seed.rpartition(":")[2]) % len(stores)]
        self.server: Server | None = None
        self.clients: list[Client] = []
        self.place = ""

    def next_number(self) -> int:
        self.count += 1
        return self.count

    def configure(self, directory: Path) -> None:
        """Other policies than before."""
        random = self.random
        chosen = random.sample(POLICIES, random.randrange(len(POLICIES)))
        overflow = random.choice(("reject", "drop-head", "drop-tail", "dead-letter", "block"))
        policies = "".join(chosen).format(overflow=overflow)
        (directory / "stompserver.conf").write_text("policies:\n" + policies if policies else "")

    def options(self, directory: Path) -> list[str]:
        random = self.random
        self.configure(directory)
        found = ["-q", self.store, "--monitor-interval", random.choice(("0", "1"))]
        found += ["--memory-limit", random.choice(("16MiB", "64MiB", "256MiB"))]
        found += ["--bare-destination", random.choice(("topic", "queue"))]
        found += ["--max-redeliveries", random.choice(("0", "2")), "--linger", "0.2"]
        if random.random() < 0.3:
            found += ["--max-queues", "20", "--idle-queues", "3"]
        if random.random() < 0.3:
            found += ["--max-scheduled", "50", "--max-durables", "5"]
        return found

    def run(self) -> None:
        """Raises Fault for the first one."""
        with tempfile.TemporaryDirectory(prefix="stomp-fuzz-", ignore_cleanup_errors=True) as room:
            directory = Path(room)
            try:
                for life in range(self.random.randrange(2, 5)):
                    self.place = f"server {life}"
                    self.server = Server(self.python, directory, self.options(directory))
                    self.report.servers += 1
                    self.live(self.server)
                    if self.random.random() < 0.6:
                        self.server.kill()
                        self.server.look()
                        self.report.kills += 1
                    else:
                        self.server.stop()
                    for client in self.clients:
                        self.report.frames += client.judge.taken
                        client.close()
            finally:
                for client in self.clients:
                    client.close()
                    self.report.connections += client.connections
                if self.server is not None and self.server.process.poll() is None:
                    self.server.kill()

    def live(self, server: Server) -> None:
        random = self.random
        if not self.clients:
            self.clients = [
                Client(number, self.book, self.next_number, self.report.errors) for number in range(CLIENTS)
            ]
        for client in self.clients:
            client.connect(server.port, random)
        for step in range(self.steps):
            self.place = f"{self.place.partition(',')[0]}, step {step}"
            client = self.clients[random.randrange(CLIENTS)]
            if client.socket is None or client.stuck > 50 or (client.ended and random.random() < 0.5):
                self.report.frames += client.judge.taken
                client.connect(server.port, random)
            elif not client.ended and len(client.out) < 1 << 20:
                client.speak(random)
            if random.random() < 0.005:
                self.configure(server.directory)
                server.process.send_signal(signal.SIGHUP)
            self.exchange(0.0)
            if step % 50 == 49:
                self.ask(server)
                server.look()
        self.exchange(0.05)
        self.ask(server)

    def exchange(self, seconds: float) -> None:
        waiting = [client for client in self.clients if client.socket is not None]
        if seconds:
            select.select([client.socket for client in waiting], [], [], seconds)
        for client in waiting:
            try:
                client.exchange()
            except Fault as fault:
                raise Fault(
                    f"{fault}\n\nclient {client.number}, STOMP {client.version}:\n{client.conversation()}"
                ) from None

    def ask(self, server: Server) -> None:
        """Whether the server still answers: a connection and a subscription, which no flow control holds back."""
        until = time.monotonic() + PATIENCE
        got = b""
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), PATIENCE)) as sock:
            sock.setblocking(False)
            sock.send(
                b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
                b"SUBSCRIBE\nid:1\ndestination:/topic/canary\nreceipt:alive\n\n\0"
            )
            while b"receipt-id:alive" not in got:
                if time.monotonic() > until or server.process.poll() is not None:
                    server.look()
                    code = server.process.poll()
                    what = f"does not answer for {PATIENCE:g} s" if code is None else f"ended with {code}"
                    raise Fault(
                        f"the server {what}: {got!r}\n{server.log[-3000:].decode('utf-8', 'replace')}"
                    )
                # Others go on meanwhile, or a server that writes to them could wait for them.
                self.exchange(0.0)
                select.select([sock], [], [], 0.05)
                with contextlib.suppress(BlockingIOError):
                    more = sock.recv(65536)
                    if not more:
                        raise Fault(f"a connection was closed: {got!r}")
                    got += more


def fuzz(
    seed: int,
    python: str,
    *,
    seconds: float = 0.0,
    epochs: int = 0,
    first: int = 0,
    stores: Sequence[str] = STORES,
    steps: int = 300,
    go_on: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Epochs until `seconds` are over, or so many `epochs`; ends at the first fault unless told to `go_on`."""
    report = Report()
    end = time.monotonic() + seconds
    number = first
    while report.epochs < epochs or (not epochs and time.monotonic() < end):
        epoch = Epoch(f"{seed}:{number}", python, report, stores, steps)
        try:
            epoch.run()
        except Fault as fault:
            text = f"seed {seed}, epoch {number} ({epoch.store}), {epoch.place}: {fault}"
            report.faults.append(text)
            say(text)
            if not go_on:
                return report
        except OSError as problem:
            log = bytes(epoch.server.log[-3000:]).decode("utf-8", "replace") if epoch.server else ""
            code = epoch.server.process.poll() if epoch.server else None
            text = f"seed {seed}, epoch {number} ({epoch.store}), {epoch.place}: {problem!r}, exit code {code}\n{log}"
            report.faults.append(text)
            say(text)
            if not go_on:
                return report
        report.epochs += 1
        number += 1
        if report.epochs % 20 == 0:
            say(report.line())
    return report


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seed", type=int, default=None, help="default: by the clock")
    options.add_argument("--seconds", type=float, default=600.0)
    options.add_argument("--epochs", type=int, default=0, help="so many instead of --seconds")
    options.add_argument("--first", type=int, default=0, help="the number of the first epoch")
    options.add_argument("--steps", type=int, default=300, help="of each server")
    options.add_argument("--stores", default=",".join(STORES))
    options.add_argument("--python", default=sys.executable, help="whose stompserver it is")
    options.add_argument("--go-on", action="store_true", help="do not end at the first fault")
    given = options.parse_args()
    seed = time.time_ns() % 1_000_000_000 if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    report = fuzz(
        seed,
        given.python,
        seconds=given.seconds,
        epochs=given.epochs,
        first=given.first,
        stores=given.stores.split(","),
        steps=given.steps,
        go_on=given.go_on,
        say=lambda text: print(text, flush=True),
    )
    print(report.line())
    print("ERRORs:", ", ".join(f"{words} {count}" for words, count in report.errors.most_common(30)))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
