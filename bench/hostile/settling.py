"""Many messages that are with one consumer, and what it says of them."""

from __future__ import annotations

import re
import time

from bench.hostile.attack import Attack
from bench.hostile.stage import Stage
from bench.hostile.wire import KEPT, Wire, send, subscribe

UNSETTLED = 60_000
IDS = re.compile(rb"\nmessage-id:(\d+)\n")


def taken(stage: Stage, full: int, *, version: str = "1.2", ack: bytes = b"client") -> tuple[Wire, int]:
    """A consumer that has so many messages un-acknowledged."""
    count = stage.count(full)
    wire = stage.connect()
    wire.pour(send(b"/queue/taken") for _ in range(count))
    wire.done(send(b"/topic/end"))
    taker = stage.connect(version)
    taker.say(subscribe(b"/queue/taken", 1, b"prefetch-count:0\n", ack))
    taker.wait(b"MESSAGE\n")
    came = -1
    while came != taker.came:
        came = taker.came
        taker.drain(0.5)
    return taker, count


def acks_of_1_0(stage: Stage) -> str:
    """60,000 unsettled, no subscription any more, and 1,500 ACKs in a packet, of the last ones."""
    taker, _ = taken(stage, UNSETTLED, version="1.0", ack=b"client-individual")
    ids = IDS.findall(taker.tail[-KEPT:])[-1500:]
    taker.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    stage.begin()
    taker.say(b"".join(b"ACK\nmessage-id:%b\n\n\0" % id for id in reversed(ids)))
    taker.done(send(b"/topic/end"))
    return f"{len(ids):,} settled"


def ack_of_all(stage: Stage) -> str:
    """One ACK for 60,000."""
    taker, count = taken(stage, UNSETTLED, version="1.1")
    id = IDS.findall(taker.tail)[-1]
    stage.begin()
    taker.say(b"ACK\nsubscription:1\nmessage-id:%b\n\n\0" % id)
    taker.done(send(b"/topic/end"))
    return f"{count:,} settled"


def nack_of_each(stage: Stage) -> str:
    """All 60,000 are refused in one go, and come again."""
    taker, count = taken(stage, UNSETTLED, ack=b"client-individual")
    mark = taker.mark()
    stage.begin()
    taker.pour(b"NACK\nid:%b%d\n\n\0" % (mark, number) for number in range(1, count + 1))
    taker.done(send(b"/topic/end"))
    return f"{count:,} refused"


def end_with_all(stage: Stage) -> str:
    """The connection ends, and everything goes back."""
    taker, _ = taken(stage, 100_000, ack=b"client-individual")
    wire = stage.connect()
    stage.begin()
    taker.close(hard=True)
    wire.done(send(b"/queue/taken"))
    time.sleep(2)
    return "answered"


def unsubscribe_with_all(stage: Stage) -> str:
    taker, _ = taken(stage, 100_000, ack=b"client-individual")
    stage.begin()
    taker.done(b"UNSUBSCRIBE\nid:1\n\n\0")
    return "answered"


def commit(stage: Stage) -> str:
    """A transaction of 10,000 messages."""
    return _commit(stage, lambda number: b"/queue/t")


def commit_to_many(stage: Stage) -> str:
    return _commit(stage, lambda number: b"/queue/t.%d" % number)


def commit_to_durables(stage: Stage) -> str:
    """A transaction of 10,000 messages to a topic of 50 durable subscriptions."""
    wire = stage.connect(headers=b"client-id:c\n")
    for number in range(50):
        wire.say(
            subscribe(b"/topic/t", 1, b"activemq.subscriptionName:d%d\n" % number), b"UNSUBSCRIBE\nid:1\n\n\0"
        )
    wire.done(send(b"/topic/end"))
    return _commit(stage, lambda number: b"/topic/t")


def _commit(stage: Stage, where: object) -> str:
    assert callable(where)
    wire = stage.connect()
    wire.say(b"BEGIN\ntransaction:t\n\n\0")
    count = stage.count(9_990)
    wire.pour(send(where(number), b"x", b"transaction:t\n") for number in range(count))
    wire.done(send(b"/topic/end"))
    stage.begin()
    wire.done(b"COMMIT\ntransaction:t\n\n\0")
    return f"{count:,} committed"


def abort(stage: Stage) -> str:
    """A transaction of 10,000 ACKs, aborted."""
    taker, count = taken(stage, 9_990, ack=b"client-individual")
    mark = taker.mark()
    taker.say(b"BEGIN\ntransaction:t\n\n\0")
    taker.pour(b"ACK\nid:%b%d\ntransaction:t\n\n\0" % (mark, number) for number in range(1, count + 1))
    taker.done(send(b"/topic/end"))
    stage.begin()
    taker.done(b"ABORT\ntransaction:t\n\n\0")
    return "aborted"


LMDB = ("-q", "lmdb")
ATTACKS = (
    Attack("acks", "1.0: UNSUBSCRIBE with 60,000 unsettled, 1,500 ACKs in a packet", acks_of_1_0),
    Attack("ack of all", "one ACK for 60,000 messages", ack_of_all),
    Attack("ack of all lmdb", "the same in a store", ack_of_all, LMDB),
    Attack("nacks", "60,000 NACKs", nack_of_each),
    Attack("end unsettled", "a connection ends with 100,000 unsettled", end_with_all),
    Attack("unsubscribe", "UNSUBSCRIBE with 100,000 unsettled", unsubscribe_with_all),
    Attack("commit", "COMMIT of 10,000 SENDs to a queue", commit),
    Attack("commit lmdb", "the same in a store", commit, LMDB),
    Attack("commit queues", "COMMIT of 10,000 SENDs to as many queues", commit_to_many),
    Attack(
        "commit durables",
        "COMMIT of 10,000 SENDs to a topic of 50 durable subscriptions",
        commit_to_durables,
        seconds=60,
    ),
    Attack("abort", "ABORT of 10,000 ACKs", abort),
)
