"""Clients that send, stall, acknowledge, commit and leave at random, in little memory: whatever happened, once all of
them read and acknowledge, everything that was accepted arrives once, everybody is read, and nothing is counted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024
MESSAGE = re.compile(rb"MESSAGE\n((?:[^\n]+\n)+)\n(\d+)\.*\0")


class Actor:
    """A client that is a producer, a consumer, or both. ``offered`` numbers were sent to its wire, ``taken`` got a
    RECEIPT, ``consumed`` were acknowledged (or came to ack:auto).
    """

    def __init__(self, shell: Any, source: random.Random, name: int) -> None:
        self.shell = shell
        self.source = source
        self.wire = shell.connect()
        self.version_acks = source.choice(["auto", "client", "client-individual"])
        self.consumes = source.random() < 0.6
        self.produces = not self.consumes or source.random() < 0.4
        self.queue = source.randrange(3)
        self.seen = 0
        self.owed: list[tuple[bytes, int]] = []
        self.consumed: list[int] = []
        self.next = name * 1_000_000
        self.open_transaction = False
        self.rest = b""
        if self.consumes:
            prefetch = source.choice([0, 1, 3, 100])
            self.wire.send(
                f"SUBSCRIBE\nid:1\ndestination:/queue/{self.queue}\nack:{self.version_acks}\n"
                f"prefetch-count:{prefetch}\n\n\0".encode()
            )

    @property
    def refused(self) -> bool:
        return bool(self.wire.error())

    @property
    def taken(self) -> set[int]:
        return {int(number) for number in self.wire.receipts() if number.isdigit()}

    def frame(self) -> bytes:
        """The next SEND, perhaps in a transaction, whose receipt is then the COMMIT's."""
        source = self.source
        self.next += 1
        body = b"%d" % self.next + b"." * source.choice([10, 1000, 30_000, 100_000])
        head = f"SEND\ndestination:/queue/{source.randrange(3)}\n"
        if source.random() < 0.3:
            return (
                b"BEGIN\ntransaction:t\n\n\0"
                + (head + "transaction:t\n\n").encode()
                + body
                + b"\0"
                + b"COMMIT\ntransaction:t\nreceipt:%d\n\n\0" % self.next
            )
        return (head + f"receipt:{self.next}\n\n").encode() + body + b"\0"

    def produce(self) -> None:
        if self.refused or self.wire.unread > 400_000:
            return
        data = self.rest + b"".join(self.frame() for _ in range(self.source.randrange(1, 4)))
        cut = self.source.choice([len(data), self.source.randrange(len(data))])
        self.rest = data[cut:]
        if cut:
            self.wire.send(data[:cut])

    def look(self) -> None:
        """Take note of what was read."""
        for match in MESSAGE.finditer(self.wire.got, self.seen):
            self.seen = match.end()
            number = int(match[2])
            ack = re.search(rb"\nack:([^\n]+)\n", b"\n" + match[1])
            if ack is None:
                self.consumed.append(number)
            else:
                self.owed.append((ack[1], number))

    def acknowledge(self, most: int) -> None:
        self.look()
        if self.refused or self.wire.unread:
            # Its ACK would wait behind what is not read.
            return
        if self.rest:
            self.wire.send(self.rest)
            self.rest = b""
        for _ in range(min(most, len(self.owed))):
            if self.wire.unread or self.refused:
                return
            place = 0 if self.version_acks == "client" else self.source.randrange(len(self.owed))
            name, number = self.owed.pop(place)
            kind = b"NACK" if self.source.random() < 0.1 else b"ACK"
            self.wire.send(kind + b"\nid:%b\n\n\0" % name)
            if kind == b"ACK":
                self.consumed.append(number)
            self.look()

    def step(self) -> None:
        choice = self.source.random()
        if self.wire.lost:
            return
        if choice < 0.4 and self.produces:
            self.produce()
        elif choice < 0.5:
            self.wire.stalled = True
        elif choice < 0.6:
            self.wire.read()
        elif choice < 0.65 and self.wire.stalled:
            self.wire.read(self.source.randrange(100_000))
        elif self.consumes:
            self.acknowledge(self.source.randrange(5))


def play(shell: Any, seed: int) -> None:
    source = random.Random(seed)
    actors = [Actor(shell, source, number) for number in range(1, source.randrange(3, 9))]
    for _ in range(source.randrange(50, 400)):
        source.choice(actors).step()
        if source.random() < 0.05:
            shell.advance(source.choice([0.1, 1.1]))
    # From now on all of them behave, and one more takes what nobody else does.
    for queue in range(3):
        taker = Actor(shell, source, 100 + queue)
        if not taker.consumes:
            taker.consumes = True
            taker.wire.send(f"SUBSCRIBE\nid:1\ndestination:/queue/{queue}\nack:auto\n\n\0".encode())
        elif taker.queue != queue:
            taker.wire.send(f"SUBSCRIBE\nid:2\ndestination:/queue/{queue}\nack:auto\n\n\0".encode())
        actors.append(taker)
    for _ in range(300):
        for actor in actors:
            if actor.wire.stalled:
                actor.wire.read()
            if actor.rest and not actor.wire.unread and not actor.refused:
                actor.wire.send(actor.rest)
                actor.rest = b""
            actor.acknowledge(1000)
        shell.turn(10)
        shell.advance(0.3)
        live = [actor for actor in actors if not actor.refused]
        if not any(actor.wire.unread or actor.rest or actor.owed for actor in live) and shell.used == 0:
            break
    else:
        stuck = [(actor.wire.unread, len(actor.rest), len(actor.owed), actor.wire.reading) for actor in live]
        raise AssertionError(f"stuck: {shell.used} bytes; {stuck}")
    for actor in actors:
        actor.look()
    consumed = [number for actor in actors for number in actor.consumed]
    taken = set().union(*[actor.taken for actor in actors])
    # What a refused one had acknowledged last may not have been processed: then it came again to another.
    assert set(consumed) == taken
    if not any(actor.refused for actor in actors):
        assert len(consumed) == len(taken)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(40), id="short"), pytest.param(range(40, 1500), id="long", marks=pytest.mark.long)],
)
def test_nobody_is_ever_stuck(shell: Callable[..., Any], seeds: range) -> None:
    for seed in seeds:
        here = shell(memory_limit=MIB, monitor_interval=0, linger=60)
        try:
            play(here, seed)
        except AssertionError as problem:
            raise AssertionError(f"seed {seed}: {problem}") from problem
