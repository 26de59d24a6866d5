"""Connections that end, and what belongs to them."""

from __future__ import annotations

import time

from bench.hostile.attack import Attack
from bench.hostile.stage import Stage
from bench.hostile.wire import send, subscribe


def temporary(stage: Stage) -> str:
    """A temporary queue with 100,000 messages goes with its connection."""
    wire = stage.connect()
    wire.pour(send(b"/temp-queue/t") for _ in range(stage.count(100_000)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    wire.close(hard=True)
    time.sleep(2)
    return "ended"


def temporaries(stage: Stage) -> str:
    """As many temporary queues as a connection may have, with 100,000 messages together."""
    wire = stage.connect()
    wire.pour(
        send(b"/temp-queue/t.%d" % (number % stage.count(900))) for number in range(stage.count(100_000))
    )
    wire.done(send(b"/topic/end"))
    stage.begin()
    wire.close(hard=True)
    time.sleep(2)
    return "ended"


def auto_deleted(stage: Stage) -> str:
    """A queue with 100,000 messages that goes with its last subscription."""
    wire = stage.connect()
    wire.done(subscribe(b"/queue/auto", 1, b"auto-delete:true\nprefetch-count:1\n", b"client"))
    wire.pour(send(b"/queue/auto") for _ in range(stage.count(100_000)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    wire.close(hard=True)
    time.sleep(2)
    return "ended"


def many(stage: Stage) -> str:
    """2,000 connections with 10 subscriptions each end at once."""
    wires = stage.connect_many(stage.count(2000))
    for number, wire in enumerate(wires):
        wire.pour(subscribe(b"/queue/m.%d" % (number * 10 + each), each) for each in range(10))
    for wire in wires:
        wire.done(send(b"/topic/end"))
    stage.begin()
    for wire in wires:
        wire.close(hard=True)
    time.sleep(2)
    return "ended"


def backlog(stage: Stage) -> str:
    """Octets for a client that does not read, 16 MiB of topic messages, are dropped with it."""
    deaf = stage.connect(deaf=True)
    deaf.done(subscribe(b"/topic/slow"))
    wire = stage.connect()
    stage.begin()
    wire.pour(send(b"/topic/slow", b"x" * 100) for _ in range(stage.count(150_000)))
    wire.done(send(b"/topic/end"))
    return "answered"


ATTACKS = (
    Attack("temporary", "a temporary queue of 100,000 messages ends", temporary),
    Attack("temporaries", "900 temporary queues of 100,000 messages end", temporaries),
    Attack("auto-delete", "an auto-delete queue of 100,000 messages ends", auto_deleted),
    Attack("connections end", "2,000 connections with 20,000 subscriptions end at once", many, seconds=60),
    Attack("slow subscriber", "150,000 messages to a subscriber that does not read", backlog),
)
