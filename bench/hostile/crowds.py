"""Many of everything: queues, subscriptions, groups, durable subscriptions, destinations of one SEND."""

from __future__ import annotations

import time

from bench.hostile.attack import Attack
from bench.hostile.stage import Stage
from bench.hostile.wire import Wire, send, subscribe

QUEUES = 100_000
ROOM = ("--max-queues", "110000")
EACH = 990
"""Subscriptions of one connection."""


def queues_of(stage: Stage, wire: Wire, full: int = QUEUES) -> int:
    """So many queues with a message each; at full scale `full`."""
    count = stage.count(full)
    wire.pour(send(b"/queue/q.%d" % number) for number in range(count))
    wire.done(send(b"/topic/end"))
    return count


def queues(stage: Stage) -> str:
    wire = stage.connect()
    stage.begin()
    count = queues_of(stage, wire)
    return f"{count:,} made"


def pattern_of_queues(stage: Stage) -> str:
    """SUBSCRIBE to all of them, five times, UNSUBSCRIBE, and the end of the connection."""
    wire = stage.connect()
    queues_of(stage, wire)
    eater = stage.connect(deaf=True)
    stage.begin()
    for number in range(5):
        eater.say(subscribe(b"/queue/q.>", number, ack=b"client-individual"))
    eater.done(send(b"/topic/end"))
    eater.done(b"UNSUBSCRIBE\nid:0\n\n\0")
    eater.close()
    # A new queue, and what its name means, while they end.
    wire.done(send(b"/queue/q.new"))
    time.sleep(1)
    return "answered"


def patterns_of_queues(stage: Stage) -> str:
    """As many patterns as a connection may have, each of all queues."""
    wire = stage.connect()
    queues_of(stage, wire, 10_000)
    stage.begin()
    eater = stage.connect(deaf=True)
    for number in range(stage.count(900)):
        eater.say(subscribe(b"/queue/#.q.#" if number % 2 else b"/queue/q.>", number, ack=b"client"))
    eater.done(send(b"/topic/end"))
    eater.close(hard=True)
    wire.done(send(b"/queue/q.new"))
    time.sleep(1)
    return "answered"


def subscriptions(stage: Stage) -> str:
    """10,000 subscriptions of one topic, and messages to it."""
    listeners = stage.connect_many(10)
    for wire in listeners:
        wire.pour(subscribe(b"/topic/crowd", number) for number in range(stage.count(1000)))
        wire.done(send(b"/topic/end"))
    wire = stage.connect()
    stage.begin()
    for _ in range(20):
        wire.say(send(b"/topic/crowd", b"x" * 100))
    wire.done(send(b"/topic/end"))
    for listener in listeners:
        listener.done(send(b"/topic/end"))
        listener.close(hard=True)
    return "answered"


def subscriptions_to_a_queue(stage: Stage) -> str:
    """10,000 subscriptions of one queue, with a message each, that end at once."""
    listeners = stage.connect_many(10)
    for wire in listeners:
        wire.pour(subscribe(b"/queue/crowd", number, ack=b"client") for number in range(stage.count(1000)))
        wire.done(send(b"/topic/end"))
    wire = stage.connect()
    wire.pour(send(b"/queue/crowd") for _ in range(stage.count(50_000)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    for listener in listeners:
        listener.close(hard=True)
    wire.done(send(b"/queue/crowd"))
    time.sleep(1)
    return "answered"


def groups(stage: Stage) -> str:
    """100,000 groups unsettled, and messages of new ones."""
    taker = stage.connect()
    taker.done(subscribe(b"/queue/groups", 1, b"prefetch-count:0\n", b"client-individual"))
    wire = stage.connect()
    wire.pour(
        send(b"/queue/groups", b"x", b"JMSXGroupID:g%d\n" % number) for number in range(stage.count(100_000))
    )
    wire.done(send(b"/topic/end"))
    taker.done(send(b"/topic/end"))
    stage.begin()
    wire.pour(
        send(b"/queue/groups", b"x", b"JMSXGroupID:n%d\n" % number) for number in range(stage.count(1000))
    )
    wire.done(send(b"/topic/end"))
    taker.close(hard=True)
    wire.done(send(b"/queue/groups"))
    time.sleep(1)
    return "answered"


def durables(stage: Stage) -> str:
    """10,000 durable subscriptions that are not there, and messages to their topic."""
    wire = stage.connect(headers=b"client-id:c\n")
    for number in range(stage.count(9900)):
        wire.say(
            subscribe(b"/topic/durable", 1, b"activemq.subscriptionName:d%d\n" % number),
            b"UNSUBSCRIBE\nid:1\n\n\0",
        )
    wire.done(send(b"/topic/end"))
    stage.begin()
    for _ in range(10):
        wire.say(send(b"/topic/durable"))
    wire.done(send(b"/topic/end"))
    return "answered"


def composite(stage: Stage) -> str:
    """One SEND to as many queues as fit into its destination."""
    wire = stage.connect()
    where = b",".join(b"/queue/%d" % number for number in range(stage.count(4500)))
    stage.begin()
    wire.done(send(where, b"x" * 1000))
    return "answered"


def composites(stage: Stage) -> str:
    """SENDs to 30 queues each, in the largest packets."""
    wire = stage.connect()
    frame = send(b",".join(b"/queue/%d" % number for number in range(30)))
    stage.begin()
    wire.pour(frame for _ in range(stage.count(5000)))
    wire.done(send(b"/topic/end"))
    return "answered"


def retained(stage: Stage) -> str:
    """10,000 topics with a retained message, and subscriptions that get them all."""
    wire = stage.connect()
    wire.pour(send(b"/topic/r.%d" % number, b"x", b"retain:true\n") for number in range(stage.count(9900)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    for number in range(10):
        wire.say(subscribe(b"/topic/r.>", number))
    wire.done(send(b"/topic/end"))
    return "answered"


def history(stage: Stage) -> str:
    """A topic that remembers 100,000 messages, and replays of it."""
    wire = stage.connect()
    wire.pour(send(b"/topic/h.1") for _ in range(stage.count(100_000)))
    wire.done(send(b"/topic/end"))
    stage.begin()
    for number in range(20):
        wire.say(subscribe(b"/topic/h.1", number, b"x-stream-offset:first\n"))
    wire.done(send(b"/topic/end"))
    wire.drain(2)
    return "answered"


def monitor(stage: Stage) -> str:
    """100,000 queues, and somebody who reads the reports."""
    wire = stage.connect()
    queues_of(stage, wire)
    stage.begin()
    wire.done(subscribe(b"/queue/monitor"))
    wire.wait(b"Queue: /queue/q.")
    wire.drain(4)
    return "told"


def plain(stage: Stage) -> str:
    """Nothing but messages, as fast as they are taken."""
    taker = stage.connect()
    taker.done(subscribe(b"/queue/plain"))
    wire = stage.connect()
    stage.begin()
    wire.pour(send(b"/queue/plain", b"x" * 100) for _ in range(stage.count(300_000)))
    wire.done(send(b"/topic/end"))
    return "answered"


def tiny(stage: Stage) -> str:
    """The shortest frames there are, in the largest packets."""
    wire = stage.connect()
    frame = b"BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0" * 10_000
    stage.begin()
    for _ in range(stage.count(20, 1)):
        wire.say(frame)
    wire.done(send(b"/topic/end"))
    return "answered"


ATTACKS = (
    Attack("plain", "300,000 messages", plain),
    Attack("tiny", "400,000 times BEGIN or ABORT", tiny),
    Attack("queues", "100,000 new queues", queues, ROOM, seconds=60),
    Attack(
        "queue pattern",
        "five subscriptions to a pattern of 100,000 queues, and their end",
        pattern_of_queues,
        ROOM,
        seconds=90,
    ),
    Attack(
        "queue patterns",
        "900 subscriptions to patterns of 10,000 queues, and their end",
        patterns_of_queues,
        seconds=60,
    ),
    Attack("subscriptions", "20 messages to a topic with 10,000 subscriptions", subscriptions, seconds=60),
    Attack(
        "subscribers end", "10,000 subscriptions of a queue end at once", subscriptions_to_a_queue, seconds=60
    ),
    Attack("groups", "1,000 new groups beside 100,000 unsettled ones, and their end", groups, seconds=60),
    Attack("durables", "10 messages to a topic with 9,900 durable subscriptions", durables, seconds=60),
    Attack("composite", "one SEND to 4,500 queues", composite),
    Attack("30 queues", "5,000 SENDs to 30 queues each", composites),
    Attack("retained", "10 subscriptions to 9,900 retained messages", retained),
    Attack(
        "history",
        "20 replays of 100,000 messages",
        history,
        policies="  /topic/h.#:\n    history-messages: 100000\n",
    ),
    Attack(
        "monitor",
        "reports of 100,000 queues, each second",
        monitor,
        (*ROOM, "--monitor-interval", "1"),
        seconds=60,
    ),
)
