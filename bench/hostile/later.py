"""What happens at a time of its own: much of it at the same time."""

from __future__ import annotations

import time

from bench.hostile.attack import Attack
from bench.hostile.settling import LMDB
from bench.hostile.stage import Stage
from bench.hostile.wire import send, subscribe

TOGETHER = 100_000


def expiring(stage: Stage) -> str:
    """100,000 messages whose time is over at the same moment."""
    wire = stage.connect()
    when = int(time.time() * 1000) + int(8000 * max(stage.scale, 0.1))
    wire.pour(send(b"/queue/e", b"x", b"expires:%d\n" % when) for _ in range(stage.count(TOGETHER)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    time.sleep(max(0.0, when / 1000 - time.time()) + 1.5)
    return "expired"


def expiring_queues(stage: Stage) -> str:
    """The same, each in a queue of its own."""
    wire = stage.connect()
    when = int(time.time() * 1000) + int(12_000 * max(stage.scale, 0.1))
    wire.pour(
        send(b"/queue/e.%d" % number, b"x", b"expires:%d\n" % when) for number in range(stage.count(TOGETHER))
    )
    wire.done(send(b"/topic/end"))
    stage.begin()
    time.sleep(max(0.0, when / 1000 - time.time()) + 1.5)
    return "expired"


def due(stage: Stage) -> str:
    """100,000 scheduled messages whose time has come at the same moment."""
    wire = stage.connect()
    when = int(time.time() * 1000) + int(10_000 * max(stage.scale, 0.1))
    wire.pour(
        send(b"/queue/d", b"x", b"AMQ_SCHEDULED_TIME:%d\n" % when) for _ in range(stage.count(TOGETHER))
    )
    wire.done(send(b"/topic/end"))
    stage.begin()
    time.sleep(max(0.0, when / 1000 - time.time()) + 1.5)
    return "due"


def leases(stage: Stage) -> str:
    """60,000 messages whose ack-timeout ends at the same moment, again and again."""
    wire = stage.connect()
    wire.pour(send(b"/queue/l") for _ in range(stage.count(60_000)))
    wire.done(send(b"/topic/end"))
    taker = stage.connect()
    stage.begin()
    taker.say(subscribe(b"/queue/l", 1, b"prefetch-count:0\nack-timeout:500\n", b"client-individual"))
    taker.drain(4)
    return "returned"


def repeating(stage: Stage) -> str:
    """Series with the shortest period."""
    wire = stage.connect()
    stage.begin()
    more = b"AMQ_SCHEDULED_DELAY:1\nAMQ_SCHEDULED_PERIOD:1\nAMQ_SCHEDULED_REPEAT:-1\n"
    wire.pour(send(b"/topic/nobody", b"x", more) for _ in range(stage.count(5000)))
    wire.done(send(b"/topic/end"))
    wire.drain(3)
    return "repeated"


ATTACKS = (
    Attack("expiring", "100,000 messages expire at once", expiring),
    Attack("expiring lmdb", "the same in a store", expiring, LMDB),
    Attack(
        "expiring queues",
        "100,000 messages in as many queues expire at once",
        expiring_queues,
        ("--max-queues", "110000"),
        seconds=60,
    ),
    Attack("due", "100,000 scheduled messages are due at once", due),
    Attack("leases", "60,000 deliveries time out at once, each half second", leases),
    Attack("series", "5,000 series of a millisecond", repeating),
)
