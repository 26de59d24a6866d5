"""`python -m bench.core`: what a message costs in the core alone, octets in and octets out, without sockets.

The best of many laps, in ns of CPU time a message: it stands still where rates do not, so it is for looking at what
a change does, and for `perf` and `valgrind`. The whole server is measured by `python -m bench`.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Sequence

from bench.frames import Stream, body_of
from bench.receiver import CUMULATIVE, Ack
from bench.shapes.parts import OWN, SHAPES, parts
from bench.shapes.shape import QUEUE, Shape
from bench.shapes.stream import ack_of, shape_stream, subscribe_of
from stompserver.broker.broker import Broker, Rules
from stompserver.broker.oplog import OpLog
from stompserver.cli import core
from stompserver.session.roster import Roster
from stompserver.session.session import Session
from stompserver.session.settings import Settings

LAP = 10_000
"""Messages."""

NEWEST = 1_800_000_000 << 26
"""The newest message number of an earlier run: numbers, and marks in `ack` headers, are then as long as they are in a
server.
"""

QUEUES = (1, 10, 100, 1000, 10_000)
CONNECTIONS = 10


class World:
    """A broker and its clients; `lap` gives one of them octets and takes from the others what they are to be sent."""

    def __init__(self) -> None:
        self.broker = Broker(Rules(), OpLog(False), NEWEST)
        self.roster = Roster(NEWEST)

    def client(self, version: str = "1.2") -> Session:
        client = Session(self.broker, self.roster, Settings(), "bench", 0.0)
        client.receive(f"CONNECT\naccept-version:{version}\nhost:h\n\n\0".encode(), 0.0)
        client.take_pieces(1 << 40)
        return client

    def subscribe(self, client: Session, id: int, name: str, ack: str = "auto") -> None:
        client.receive(f"SUBSCRIBE\nid:{id}\ndestination:{name}\nack:{ack}\n\n\0".encode(), 0.0)
        client.take_pieces(1 << 40)

    def flush(self) -> bytes:
        """What all are to be sent, as at the end of a turn of the loop."""
        found = []
        for session in self.roster.dirty:
            session.noticed()
            found += session.take_pieces(1 << 40)
        self.roster.dirty.clear()
        return b"".join(found)


def best(lap: Callable[[], float], seconds: float) -> float:
    """The shortest of the laps that fit into ``seconds``, in ns a message."""
    lap()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        times.append(lap())
    return min(times) / LAP * 1e9


def chunks_of(destinations: Sequence[bytes], receipts: bool = False) -> list[bytes]:
    stream = Stream(destinations, body_of(100), receipts=receipts, persistent=receipts)
    return [b"".join(stream.chunk(index)) for index in range(LAP // stream.frames_per_chunk)]


def auto(seconds: float) -> float:
    return spread(1, 1, seconds)


def receipt(seconds: float) -> float:
    """Persistent, with a receipt each."""
    return spread(1, 1, seconds, True)


def acked(seconds: float, version: str, ack: str, header: bytes, every: int) -> float:
    """With an ACK for every message, or for every so many."""
    world = World()
    producer, consumer = world.client(), world.client(version)
    world.subscribe(consumer, 0, "/queue/bench", ack)
    chunks = chunks_of((b"/queue/bench",))
    pattern = re.compile(rb"\n%b:([^\n]+)" % header)
    wanted = b"ACK\nid:%b\n\n\0" if header == b"ack" else b"ACK\nsubscription:0\nmessage-id:%b\n\n\0"

    def lap() -> float:
        spent = 0.0
        for chunk in chunks:
            start = time.process_time()
            producer.receive(chunk, 0.0)
            out = world.flush()
            spent += time.process_time() - start
            names = pattern.findall(out)
            acks = b"".join([wanted % name for name in (names[every - 1 :: every] or names[-1:])])
            start = time.process_time()
            consumer.receive(acks, 0.0)
            spent += time.process_time() - start
        return spent

    return best(lap, seconds)


def shaped(shape: Shape, mode: str, seconds: float) -> float:
    """With the frames that a real client writes, ACK included: of each message, or of every hundredth."""
    world = World()
    producer, consumer = world.client(shape.version), world.client(shape.version)
    consumer.receive(subscribe_of(shape, mode, QUEUE), 0.0)
    consumer.take_pieces(1 << 40)
    stream = shape_stream(shape, QUEUE)
    chunks = [b"".join(stream.chunk(index)) for index in range(LAP // stream.frames_per_chunk)]
    ack = None if mode == "auto" else Ack(ack_of(shape, mode, QUEUE))
    every = CUMULATIVE if mode == "client" else 1

    def lap() -> float:
        spent = 0.0
        for chunk in chunks:
            start = time.process_time()
            producer.receive(chunk, 0.0)
            out = world.flush()
            spent += time.process_time() - start
            if ack is None:
                continue
            names = ack.values(out, len(out), out.count(b"\0"))
            acks = ack.frames([values[every - 1 :: every] or values[-1:] for values in names])
            start = time.process_time()
            consumer.receive(acks, 0.0)
            spent += time.process_time() - start
        return spent

    return best(lap, seconds)


def shapes(names: Sequence[str], seconds: float) -> None:
    """Print each recorded shape of `names`, by the benchmark's own in the same mode."""
    own = {
        "auto": auto(seconds),
        "client-individual": acked(seconds, "1.2", "client-individual", b"ack", 1),
        "client": acked(seconds, "1.1", "client", b"message-id", CUMULATIVE),
    }
    for part in parts(names):
        cost = own[part.mode] if part.shape == OWN else shaped(SHAPES[part.shape], part.mode, seconds)
        print(f"  {part.metric:24} {cost:6.0f}  {cost / own[part.mode]:5.2f} x own")


def spread(queues: int, connections: int, seconds: float, receipts: bool = False) -> float:
    """Over so many queues in random order, with a subscription each, or of each connection to the one there is."""
    world = World()
    producer = world.client()
    consumers = [world.client() for _ in range(connections)]
    names = [f"/queue/bench-{index}" for index in range(queues)]
    for index in range(max(queues, connections)):
        world.subscribe(consumers[index % connections], index, names[index % queues])
    random.Random(2).shuffle(names)
    chunks = chunks_of([name.encode() for name in names], receipts)

    def lap() -> float:
        start = time.process_time()
        for chunk in chunks:
            producer.receive(chunk, 0.0)
            world.flush()
        return time.process_time() - start

    return best(lap, seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0. Ends with 2 for a shape that is not known."""
    parser = argparse.ArgumentParser(prog="python -m bench.core", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is repeated (default: 1)")
    parser.add_argument(
        "--shape", metavar="NAME[,NAME]", help=f"what real clients write: all, or of {', '.join(SHAPES)}"
    )
    options = parser.parse_args(arguments)
    seconds: float = options.seconds
    names = list(SHAPES) if options.shape == "all" else (options.shape or "").split(",")
    if options.shape and (unknown := [name for name in names if name not in SHAPES]):
        parser.error(f"unknown shape {unknown[0]!r}; known: all, {', '.join(SHAPES)}")
    print(f"{core()}; ns a message, 100 bytes")
    if options.shape:
        shapes(names, seconds)
        return 0
    print(f"  auto          {auto(seconds):6.0f}")
    print(f"  receipt       {receipt(seconds):6.0f}")
    print(f"  individual    {acked(seconds, '1.2', 'client-individual', b'ack', 1):6.0f}")
    print(f"  cumulative    {acked(seconds, '1.1', 'client', b'message-id', CUMULATIVE):6.0f}")
    for queues in QUEUES:
        print(f"  {queues:6,} queues {spread(queues, CONNECTIONS, seconds):6.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
