"""Sessions without sockets: literal octets in, a reader that shares nothing with our encoder, plain time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.oplog import PUT, OpLog
from stompserver.session.events import Event
from stompserver.session.roster import Roster
from stompserver.session.session import Session
from stompserver.session.settings import Settings
from stompserver.session.state import NAMES

HELLO = {
    "1.0": b"CONNECT\n\n\0",
    "1.1": b"CONNECT\naccept-version:1.1\nhost:h\n\n\0",
    "1.2": b"CONNECT\naccept-version:1.2\nhost:h\n\n\0",
}


class Reply(NamedTuple):
    """A frame as it is on the wire: nothing unescaped."""

    command: str
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:  # type: ignore[override]
        return next(value for key, value in self.headers if key == name)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)


def read(octets: bytes) -> tuple[list[Reply], int]:
    """Frames, and the line ends that are not part of one (each frame has one after its NUL)."""
    replies, beats = [], 0
    while octets:
        if octets.startswith(b"\n"):
            beats += 1
            octets = octets[1:]
            continue
        head, empty, rest = octets.partition(b"\n\n")
        assert empty, octets
        command, *lines = head.decode("utf-8", "surrogateescape").split("\n")
        headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
        lengths = [int(value) for name, value in headers if name == "content-length"]
        length = lengths[0] if lengths else rest.index(b"\0")
        assert rest[length : length + 2] == b"\0\n", octets
        replies.append(Reply(command, headers, rest[:length]))
        octets = rest[length + 2 :]
    return replies, beats


class Peer:
    """A client and its session; ``now`` is the time of both, in seconds."""

    def __init__(self, world: World, name: str, local: bool, traced: bool) -> None:
        self.world = world
        self.now = 1000.0
        self.session = Session(world.broker, world.roster, world.settings, name, self.now, local, traced)

    def send(self, octets: bytes) -> None:
        self.session.receive(octets, self.now)

    def take(self) -> bytes:
        """What was sent to the client, as it is on the wire."""
        return b"".join(self.session.take_pieces(1 << 40))

    def read(self) -> list[Reply]:
        """What was sent to the client, without heart-beats."""
        octets = self.take()
        if octets:
            self.session.written(self.now)
        return read(octets)[0]

    def ask(self, octets: bytes) -> list[Reply]:
        self.send(octets)
        return self.read()

    def get(self, octets: bytes, command: str = "RECEIPT") -> Reply:
        """The one answer there is."""
        (reply,) = self.ask(octets)
        assert reply.command == command, reply
        return reply

    def fails(self, octets: bytes) -> Reply:
        """The ERROR with which the session ends."""
        *_, reply = self.ask(octets)
        assert reply.command == "ERROR", reply
        assert self.state == "failed"
        assert reply.body.decode().count("\n") >= 3  # what, where, rule, fix
        return reply

    def events(self, kind: type[Event]) -> list[Any]:
        """What happened of that kind; all events so far are forgotten."""
        return [event for event in self.session.events() if type(event) is kind]

    @property
    def state(self) -> str:
        return NAMES[self.session.state]

    def messages(self) -> list[bytes]:
        """The bodies of what came, which is nothing but messages."""
        replies = self.read()
        assert all(reply.command == "MESSAGE" for reply in replies), replies
        return [reply.body for reply in replies]

    def subscribe(self, destination: str, ack: str = "auto", id: str = "s", more: str = "") -> None:
        frame = f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nack:{ack}\n{more}receipt:subscribed\n\n\0"
        self.send(frame.encode())
        outbox = self.session.outbox
        outbox.pieces[:] = [piece for piece in outbox.pieces if b"receipt-id:subscribed\n" not in piece]

    def publish(self, destination: str, *bodies: bytes) -> None:
        for body in bodies:
            self.send(b"SEND\ndestination:" + destination.encode() + b"\n\n" + body + b"\0")


class World:
    """A broker with settings, and who is connected to it. With ``recording`` nothing is durable before ``commit``."""

    def __init__(self, rules: Rules | None = None, recording: bool = False, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.broker = Broker(rules or Rules(deadletter="/queue/dead"), OpLog(recording))
        self.roster = Roster()
        self.peers: list[Peer] = []

    def stranger(self, local: bool = False, traced: bool = False) -> Peer:
        """A connection that has not said anything."""
        peer = Peer(self, f"session-{len(self.peers) + 1}", local, traced)
        self.peers.append(peer)
        return peer

    def connect(self, version: str, **options: bool) -> Peer:
        peer = self.stranger(**options)
        (reply,) = peer.ask(HELLO[version])
        assert reply.command == "CONNECTED", reply
        return peer

    def commit(self, upto: int | None = None) -> None:
        """All that was logged, or what was logged up to a number, is durable now."""
        log = self.broker.log
        number, held = log.position, 0
        if upto is None:
            number, ops = log.drain()
            held = sum(op.size for op in ops if op.kind == PUT)
        log.committed(number if upto is None else upto, held)


@pytest.fixture(scope="session")
def new_world() -> Callable[..., World]:
    return World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def read_octets() -> Callable[[bytes], tuple[list[Reply], int]]:
    return read
