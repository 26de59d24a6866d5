"""What one client can make the server keep: memory against `memory-limit`."""

from __future__ import annotations

import time

from bench.hostile.attack import MIB, Attack
from bench.hostile.crowds import ROOM
from bench.hostile.settling import LMDB
from bench.hostile.stage import Stage
from bench.hostile.wire import NoAnswer, Wire, send, subscribe

LIMIT = 64 * MIB
DAY = b"86400000"


def served(stage: Stage, outcome: str) -> str:
    """Whether an ordinary producer is served when the attacker is gone."""
    for wire in stage.wires:
        wire.close(hard=True)
    # That they are gone is seen first.
    time.sleep(0.5)
    return stage.served(outcome)


def until_stopped(wire: Wire, stage: Stage, frames: object, seconds: float = 8.0) -> str:
    """Send until all is sent or the server takes no more."""
    wire.until = min(stage.until, time.monotonic() + seconds)
    try:
        assert hasattr(frames, "__iter__")
        wire.pour(frames)
        wire.done(send(b"/topic/end"))
    except NoAnswer:
        return "made to wait"
    return "all taken"


def consumed(stage: Stage, count: int, size: int, more: bytes, wanted: bytes = b"") -> str:
    """Messages that are taken and acknowledged at once, by one connection."""
    wire = stage.connect()
    stage.begin()
    step = 100
    frames = send(b"/queue/c", b"x" * size, more) * step
    number = 0
    for round in range(stage.count(count) // step):
        # They wait before they are taken, as behind any consumer that has enough.
        wire.say(frames)
        wire.done(send(b"/topic/end"))
        wire.say(subscribe(b"/queue/c", round, wanted + b"prefetch-count:0\n", b"client-individual"))
        last = number + step
        mark = wire.mark()
        wire.wait(b"\nack:%b%d\n" % (mark, last))
        wire.say(b"".join(b"ACK\nid:%b%d\n\n\0" % (mark, id) for id in range(number + 1, last + 1)))
        wire.done(b"UNSUBSCRIBE\nid:%d\n\n\0" % round)
        number = last
    return served(stage, f"{number:,} consumed")


def expiry(stage: Stage) -> str:
    return consumed(stage, 20_000, 10_000, b"ttl:%b\n" % DAY)


def lease(stage: Stage) -> str:
    return consumed(stage, 15_000, 20_000, b"", b"ack-timeout:%b\n" % DAY)


def refused(stage: Stage) -> str:
    """One message with a time to live that is refused again and again, and wants to come back at once."""
    wire = stage.connect()
    at_once = b"activemq.initialRedeliveryDelay:0\n"
    wire.done(subscribe(b"/queue/r", 1, at_once, b"client-individual"))
    wire.say(send(b"/queue/r", b"x" * 100, b"ttl:%b\n" % DAY))
    stage.begin()
    count = stage.count(100_000)
    mark = wire.mark()
    for number in range(1, count + 1):
        wire.wait(b"\nack:%b%d\n" % (mark, number))
        wire.say(b"NACK\nid:%b%d\n\n\0" % (mark, number))
    wire.done(send(b"/topic/end"))
    return served(stage, f"{count:,} refused")


def browser(stage: Stage) -> str:
    """A browser that follows and does not read, and messages that are consumed."""
    deaf = stage.connect(deaf=True)
    deaf.done(subscribe(b"/queue/b", 1, b"browser:true\nbrowser-end:false\n"))
    eater = stage.connect()
    eater.done(subscribe(b"/queue/b"))
    wire = stage.connect()
    stage.begin()
    for _ in range(stage.count(5000)):
        wire.say(send(b"/queue/b", b"x" * 100_000))
        eater.drain(0)
    outcome = until_stopped(wire, stage, ())
    return served(stage, outcome)


def browsers(stage: Stage) -> str:
    """The same by 50 browsers of 50 queues."""
    deaf = stage.connect(deaf=True)
    eater = stage.connect()
    for number in range(50):
        deaf.done(subscribe(b"/queue/b.%d" % number, number, b"browser:true\nbrowser-end:false\n"))
        eater.done(subscribe(b"/queue/b.%d" % number, number))
    wire = stage.connect()
    stage.begin()
    for number in range(stage.count(5000)):
        wire.say(send(b"/queue/b.%d" % (number % 50), b"x" * 50_000))
        eater.drain(0)
    return served(stage, until_stopped(wire, stage, ()))


def duplicates(stage: Stage) -> str:
    """Long ids to detect duplicates by, to a topic that nobody listens to."""
    wire = stage.connect()
    stage.begin()
    id = b"i" * 60_000
    frames = (
        send(b"/topic/d", b"", b"dedup-id:%d%b\n" % (number, id)) for number in range(stage.count(10_000))
    )
    return served(stage, until_stopped(wire, stage, frames))


def duplicate_topics(stage: Stage) -> str:
    """One id each for 200,000 topics."""
    wire = stage.connect()
    stage.begin()
    frames = (send(b"/topic/d.%d" % number, b"", b"dedup-id:1\n") for number in range(stage.count(200_000)))
    return served(stage, until_stopped(wire, stage, frames, 15))


def wildcards(stage: Stage) -> str:
    """Five subscriptions to 99,000 queues: what they take, with an empty queue behind each."""
    wire = stage.connect()
    taker = stage.connect()
    stage.begin()
    taker.done(subscribe(b"/queue/q.>"))
    count = stage.count(99_000)
    for first in range(0, count, 1000):
        # Consumed at once: the queues stay for their counters.
        wire.pour(send(b"/queue/q.%d" % number) for number in range(first, min(count, first + 1000)))
        wire.done(send(b"/topic/end"))
        taker.done(send(b"/topic/end"))
    taker.close()
    eater = stage.connect(deaf=True)
    for number in range(5):
        eater.say(subscribe(b"/queue/q.>", number, ack=b"client-individual"))
    eater.done(send(b"/topic/end"))
    time.sleep(1)
    return served(stage, "subscribed")


def headers(stage: Stage) -> str:
    """90 short headers a message, no content-length."""
    wire = stage.connect()
    stage.begin()
    more = b"".join(b"h%02d:%02d\n" % (number, number) for number in range(90))
    frame = b"SEND\ndestination:/queue/h\n%b\nx\0" % more
    outcome = until_stopped(wire, stage, (frame for _ in range(stage.count(100_000))))
    stage.connect().say(subscribe(b"/queue/h"))
    return outcome


def many_names(stage: Stage) -> str:
    """90 headers whose names nobody else has."""
    wire = stage.connect()
    stage.begin()

    def frame(number: int) -> bytes:
        more = b"".join(b"n%d.%d:\\c\n" % (number, each) for each in range(90))
        return b"SEND\ndestination:/queue/h\n%b\nx\0" % more

    return until_stopped(wire, stage, (frame(number) for number in range(stage.count(50_000))), 15)


def tiny(stage: Stage) -> str:
    """As many of the smallest messages as are taken."""
    wire = stage.connect()
    stage.begin()
    frame = b"SEND\ndestination:/queue/t\n\n\0"
    return until_stopped(wire, stage, (frame for _ in range(stage.count(1_000_000))))


def tiny_queues(stage: Stage) -> str:
    """100,000 queues of the longest names, and a message in each."""
    wire = stage.connect()
    stage.begin()
    frames = (send(b"/queue/%d" % number + b"n" * 200, b"x") for number in range(stage.count(100_000)))
    return until_stopped(wire, stage, frames, 20)


def composite(stage: Stage) -> str:
    """One SEND of 200 KB to 4,500 queues."""
    wire = stage.connect()
    stage.begin()
    where = b",".join(b"/queue/%d" % number for number in range(stage.count(4500)))
    wire.done(send(where, b"x" * 200_000))
    return "taken"


def composites(stage: Stage) -> str:
    """SENDs to as many destinations as ordinary clients use."""
    wire = stage.connect()
    where = b",".join(b"/queue/%d" % number for number in range(30))
    stage.begin()
    frame = send(where, b"x" * 1_000_000)
    return until_stopped(wire, stage, (frame for _ in range(stage.count(100))))


def transactions(stage: Stage) -> str:
    """30 connections with 10 MB each in a transaction that never ends."""
    stage.begin()
    outcomes = set()
    for _ in range(stage.count(30)):
        wire = stage.connect()
        wire.say(b"BEGIN\ntransaction:t\n\n\0")
        frame = send(b"/queue/t", b"x" * 1_000_000, b"transaction:t\n")
        try:
            outcomes.add(until_stopped(wire, stage, (frame for _ in range(10)), 0.5))
        except NoAnswer:
            outcomes.add("made to wait")
    # They are still there.
    return stage.served(", ".join(sorted(outcomes)))


def retained(stage: Stage) -> str:
    """Retained messages of 1 MB."""
    wire = stage.connect()
    stage.begin()
    frames = (
        send(b"/topic/r.%d" % number, b"x" * 1_000_000, b"retain:true\n")
        for number in range(stage.count(100))
    )
    return served(stage, until_stopped(wire, stage, frames, 5))


def scheduled(stage: Stage) -> str:
    """Messages for tomorrow."""
    wire = stage.connect()
    stage.begin()
    more = b"AMQ_SCHEDULED_DELAY:%b\n" % DAY
    frames = (send(b"/queue/s", b"x", more) for _ in range(stage.count(200_000)))
    return served(stage, until_stopped(wire, stage, frames, 20))


def strangers(stage: Stage) -> str:
    """1,500 connections that do not finish their CONNECT."""
    stage.begin()
    wires = [stage.connect(hello=False) for _ in range(stage.count(1500))]
    for wire in wires:
        wire.say(b"CONNECT\ncontent-length:65000\n\n" + b"x" * 64_000)
    time.sleep(1)
    return stage.served("answered")


def slow(stage: Stage) -> str:
    """200 subscribers of a topic that do not read."""
    wires = stage.connect_many(stage.count(200), deaf=True)
    for number, wire in enumerate(wires):
        wire.done(subscribe(b"/topic/slow", number))
    wire = stage.connect()
    stage.begin()
    frame = send(b"/topic/slow", b"x" * 10_000)
    return served(stage, until_stopped(wire, stage, (frame for _ in range(stage.count(5000)))))


def bodies(stage: Stage) -> str:
    """100 connections that are in the middle of a body of 10 MB."""
    wires = stage.connect_many(stage.count(100))
    stage.begin()
    waits = 0
    for wire in wires:
        wire.until = min(stage.until, time.monotonic() + 0.3)
        try:
            wire.say(b"SEND\ndestination:/queue/b\ncontent-length:10000000\n\n" + b"x" * 9_900_000)
        except NoAnswer:
            waits += 1
    return served(stage, f"{waits} of {len(wires)} made to wait")


def receipts(stage: Stage) -> str:
    """RECEIPTs, and answers of management, that nobody reads."""
    deaf = stage.connect(deaf=True)
    stage.begin()
    deaf.sock.setblocking(False)
    end = time.monotonic() + 5
    id = b"r" * 60_000
    frame = b"BEGIN\ntransaction:t\nreceipt:%b\n\n\0ABORT\ntransaction:t\nreceipt:%b\n\n\0" % (id, id)
    rest = memoryview(frame * 50)
    at = 0
    while time.monotonic() < end:
        try:
            at += deaf.sock.send(rest[at:])
            if at == len(rest):
                at = 0
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
    return served(stage, "not read")


def durables(stage: Stage) -> str:
    """Durable subscriptions with the longest selectors, in the store."""
    wire = stage.connect(headers=b"client-id:c\n")
    selector = b" OR ".join(b"a%d = 'x'" % number for number in range(4000))[:60_000].rpartition(b" OR ")[0]
    stage.begin()

    def frame(number: int) -> bytes:
        more = b"activemq.subscriptionName:d%d\nselector:%b\n" % (number, selector)
        return subscribe(b"/topic/d", 1, more) + b"UNSUBSCRIBE\nid:1\n\n\0"

    return served(
        stage, until_stopped(wire, stage, (frame(number) for number in range(stage.count(500))), 20)
    )


ATTACKS = (
    Attack("expiry", "20,000 x 10 KB with a ttl of a day, consumed", expiry, limit=LIMIT),
    Attack("expiry lmdb", "the same in a store", expiry, LMDB, limit=LIMIT),
    Attack("lease", "15,000 x 20 KB with an ack-timeout of a day, acknowledged", lease, limit=LIMIT),
    Attack("lease lmdb", "the same in a store", lease, LMDB, limit=LIMIT),
    Attack("refused", "one message with a ttl, refused 100,000 times", refused, limit=LIMIT, seconds=60),
    Attack("browser", "5,000 x 100 KB past a browser that does not read", browser, limit=LIMIT),
    Attack("browsers", "5,000 x 50 KB past 50 browsers of 50 queues", browsers, limit=LIMIT),
    Attack("duplicates", "10,000 ids of 60 KB", duplicates, limit=LIMIT),
    Attack("duplicates topics", "an id for each of 200,000 topics", duplicate_topics, limit=LIMIT),
    Attack(
        "wildcards",
        "five patterns of 99,000 queues",
        wildcards,
        (*ROOM, "--idle-queues", "110000"),
        limit=LIMIT,
        seconds=90,
    ),
    Attack("headers", "90 short headers a message", headers, limit=LIMIT),
    Attack("header names", "90 headers a message, each name new", many_names, limit=LIMIT),
    Attack("small messages", "1,000,000 of the smallest", tiny, limit=LIMIT),
    Attack(
        "queue names", "100,000 queues with names of 200 octets", tiny_queues, ROOM, limit=LIMIT, seconds=60
    ),
    Attack("one composite", "200 KB to 4,500 queues", composite, limit=LIMIT),
    Attack("composites", "1 MB to 30 queues, 100 times", composites, limit=LIMIT),
    Attack("one composite lmdb", "200 KB to 4,500 queues of a store", composite, LMDB, limit=LIMIT),
    Attack("transactions", "30 x 10 MB in open transactions", transactions, limit=LIMIT, seconds=60),
    Attack("retained 1 MB", "100 retained messages of 1 MB", retained, limit=LIMIT),
    Attack("retained lmdb", "the same in a store", retained, LMDB, limit=LIMIT),
    Attack("tomorrow", "200,000 scheduled messages", scheduled, limit=LIMIT, seconds=60),
    Attack("tomorrow lmdb", "the same in a store", scheduled, LMDB, limit=LIMIT, seconds=60),
    Attack("strangers", "1,500 unfinished CONNECTs of 64 KB", strangers, limit=LIMIT),
    Attack("slow subscribers", "5,000 x 10 KB to 200 subscribers that do not read", slow, limit=LIMIT),
    Attack("bodies", "100 unfinished bodies of 10 MB", bodies, limit=LIMIT, seconds=60),
    Attack("receipts", "receipts of 60 KB that nobody reads", receipts, limit=LIMIT),
    Attack(
        "selectors of durables",
        "500 durable subscriptions with selectors of 60 KB",
        durables,
        LMDB,
        limit=LIMIT,
        seconds=60,
    ),
)
