"""What a connection, or a queue, leaves to the garbage collector when it ends: nothing. The collector does not look
at most objects (``server/process/collector.py``), so what is left in a cycle may stay for ever.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies

ACKS = ("auto", "client", "client-individual")
SETTLING = ("client", "client-individual")
WAIT = b""
"""Instead of a frame: time passes, and leases are over."""

MANAGEMENT = "/queue/stompserver.management"
SCHEDULER = "/topic/ActiveMQ.Scheduler.Management"
LATER = "AMQ_SCHEDULED_DELAY:100000\n"
MARK = "<mark>"
"""Stands for what the connection's ack values begin with."""
FOR_ME = "reply-to:/temp-queue/m\nreceipt:r\n"


def subscribe(destination: str, ack: str = "auto", more: str = "", id: str = "s") -> bytes:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nack:{ack}\n{more}\n\0".encode()


def send(destination: str, more: str = "") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}\nx\0".encode()


def frame(command: str, more: str) -> bytes:
    return f"{command}\n{more}\n\0".encode()


def unsubscribe(id: str = "s") -> bytes:
    return frame("UNSUBSCRIBE", f"id:{id}\n")


BEGIN = frame("BEGIN", "transaction:t\n")
A = send("/queue/a")
T = send("/topic/t")


def of_every_ack(ack: str) -> Iterator[tuple[str, list[bytes]]]:
    queue = subscribe("/queue/a", ack)
    topic = subscribe("/topic/t", ack)
    yield "queue", [queue, A, A]
    yield "topic", [topic, T, T]
    yield "queues", [subscribe("/queue/w.*", ack), send("/queue/w.1"), send("/queue/w.2")]
    yield "topics", [subscribe("/topic/w.>", ack), send("/topic/w.1"), send("/topic/w.2")]
    yield "several", [subscribe("/queue/a,/queue/b,/topic/t,/topic/u", ack), A, A, T, send("/topic/u")]
    yield "durable", [subscribe("/topic/t", ack, "activemq.subscriptionName:n\n"), T, T]
    yield "durable topics", [subscribe("/topic/w.>", ack, "durable:true\n"), send("/topic/w.1")]
    yield "virtual topic", [subscribe("/queue/Consumer.g.VirtualTopic.x", ack), send("/topic/VirtualTopic.x")]
    yield "few at a time", [subscribe("/queue/a", ack, "prefetch-count:2\n"), *[A] * 5]
    yield "window", [subscribe("/queue/a", ack, "consumer-window-size:2\n"), *[A] * 5]
    yield (
        "a topic's newest",
        [subscribe("/topic/t", ack, "activemq.maximumPendingMessageLimit:2\n"), *[T] * 5],
    )
    yield "lease", [subscribe("/queue/a", ack, "ack-timeout:10000\n"), A, A]
    yield "leases over", [subscribe("/queue/a", ack, "ack-timeout:10\n"), A, A, WAIT, A, unsubscribe()]
    yield "all leases over", [subscribe("/queue/a", ack, "ack-timeout:10\n"), A, A, WAIT, unsubscribe()]
    yield "unsubscribed", [queue, topic.replace(b":s", b":t"), A, T, unsubscribe(), unsubscribe("t")]
    yield "browser", [*[A] * 3, subscribe("/queue/a", ack, "browser:true\n")]
    yield "followed", [*[A] * 3, subscribe("/queue/a", ack, "browser:true\nbrowser-end:false\n")]
    yield "monitor", [subscribe("/queue/monitor", ack)]
    yield "retained", [send("/topic/t", "retain:set\n"), topic]
    yield "replay", [*[send("/topic/h")] * 3, subscribe("/topic/h", ack, "x-stream-offset:first\n")]
    yield "disconnected", [queue, topic.replace(b":s", b":t"), A, T, frame("DISCONNECT", "receipt:r\n")]
    yield "wrong", [queue, topic.replace(b":s", b":t"), A, T, frame("NONSENSE", "receipt:r\n")]
    yield "in a frame", [queue, A, b"SEND\ndestination:/queue/a\ncontent-length:1000\n\nabc"]
    yield "many", [subscribe("/queue/a", ack, "prefetch-count:0\n"), *[A] * 600]
    yield (
        "many queues",
        [*[send(f"/queue/w.{number}") for number in range(600)], subscribe("/queue/w.*", ack)],
    )
    some = [subscribe("/queue/a", ack, "prefetch-count:1\n", str(number)) for number in range(200)]
    yield "many of a queue", [*some, *[A] * 300]


def of_settling(ack: str) -> Iterator[tuple[str, list[bytes]]]:
    queue = subscribe("/queue/a", ack, "prefetch-count:0\n")
    held = frame("ACK", f"id:{MARK}1\ntransaction:t\n")
    yield "acknowledged", [queue, A, A, A, frame("ACK", f"id:{MARK}2\n")]
    yield "refused", [queue, A, A, A, frame("NACK", f"id:{MARK}2\n")]
    yield "late", [queue, A, A, A, frame("NACK", f"id:{MARK}2\ndelay:100000\n")]
    yield "many refused", [queue, *[A] * 600, frame("NACK", f"id:{MARK}599\nreceipt:r\n")]
    yield "held", [queue, A, A, BEGIN, held]
    yield "committed", [queue, A, A, BEGIN, held, frame("COMMIT", "transaction:t\n")]
    yield "aborted", [queue, A, A, BEGIN, held, frame("ABORT", "transaction:t\n")]
    part = send("/queue/b", "transaction:t\n")
    yield "lost in COMMIT", [queue, A, BEGIN, held, *[part] * 4100, frame("COMMIT", "transaction:t\n")]


def of_queues(name: str, more: str, ack: str) -> Iterator[tuple[str, list[bytes]]]:
    """Of queues that end with the connection."""
    few = subscribe(name, ack, more + "prefetch-count:1\n")
    chosen = subscribe(name, ack, more + "selector:a > 5\n", "chosen")
    high = send(name, "a:6\n")
    groups = [send(name, f"JMSXGroupID:{number % 3}\n") for number in range(9)]
    yield "plain", [few, *[send(name)] * 3]
    yield "chosen", [chosen, high, send(name)]
    yield "also chosen", [few, chosen, high, send(name), unsubscribe("chosen")]
    yield "groups", [few, *groups]
    yield "mortal", [few, *[send(name, "ttl:100000\n")] * 3]
    yield (
        "alone",
        [
            few,
            *[subscribe(name, ack, more + "exclusive:true\n", str(number)) for number in range(3)],
            unsubscribe("1"),
            *[send(name)] * 3,
        ],
    )
    yield (
        "looked at",
        [few, *[send(name)] * 3, subscribe(name, ack, "browser:true\nbrowser-end:false\n", "b")],
    )
    yield "newest", [few, *[send(name, f"_AMQ_LVQ_NAME:{number % 2}\n") for number in range(5)]]
    yield "full", [few, *[send(name, f"JMSXGroupID:{number}\nttl:100000\n") for number in range(600)]]


def of_others() -> Iterator[tuple[str, list[bytes]]]:
    yield "only connected", []
    yield "transaction", [BEGIN, send("/queue/a", "transaction:t\n"), send("/topic/t", "transaction:t\n")]
    yield "beaten", [b"\n\n\n"]
    yield "later", [send("/queue/a", LATER)]
    yield "to several", [send("/queue/a,/queue/b,/topic/t")] * 100
    yield "answered", [send("/queue/a", "reply-to:/temp-queue/r\n")]
    yield "full", [send("/queue/f", "x-max-length:1\nx-overflow:block\n"), *[send("/queue/f")] * 2]
    for action in ("queues", "durables", "schedule-list", "schedule-cancel\nall:true", "redrive", "nothing"):
        yield action, [*[send("/queue/a", LATER)] * 3, send(MANAGEMENT, f"action:{action}\n{FOR_ME}")]
    for action in ("pause", "resume", "purge", "delete", "redrive"):
        more = f"action:{action}\nqueue:g\n{FOR_ME}"
        yield action + " a queue", [*[send("/queue/g", "JMSXGroupID:1\n")] * 600, send(MANAGEMENT, more)]
    for action in ("BROWSE", "REMOVE\nscheduledJobId:1", "REMOVEALL"):
        more = f"AMQ_SCHEDULER_ACTION:{action}\n{FOR_ME}"
        yield action, [*[send("/queue/a", LATER)] * 600, send(SCHEDULER, more)]
    lists = [send(MANAGEMENT, "action:queues\nlimit:10000\n" + FOR_ME)] * 3
    many = [send(f"/queue/l.{number}") for number in range(1500)]
    yield "lost in a list", [subscribe("/temp-queue/m"), *many, *lists]


def kinds() -> Iterator[Any]:
    for ack in ACKS:
        for name, frames in of_every_ack(ack):
            yield pytest.param("1.2", frames, id=f"{name}, {ack}")
        for queue, more in (("/temp-queue/q", ""), ("/queue/q", "auto-delete:true\n")):
            for name, frames in of_queues(queue, more, ack):
                yield pytest.param("1.2", frames, id=f"{name}, {queue}, {ack}")
    for ack in SETTLING:
        for name, frames in of_settling(ack):
            yield pytest.param("1.2", frames, id=f"{name}, {ack}")
    for name, frames in of_others():
        yield pytest.param("1.2", frames, id=name)
    for version in ("1.0", "1.1"):
        for ack in ACKS:
            twice = [subscribe("/queue/a", ack), subscribe("/queue/a", ack, id="t"), *[A] * 3]
            yield pytest.param(version, twice, id=f"{version}, {ack}")
    for name, octets in (
        ("silent", b"\n"),
        ("no STOMP", b"GET / HTTP/1.1\r\n\r\n"),
        ("in CONNECT", b"CONNECT\naccept"),
        ("wrong version", b"CONNECT\naccept-version:9\n\n\0"),
        ("client", b"CONNECT\naccept-version:1.2\nhost:h\nclient-id:c\nheart-beat:1000,1000\n\n\0"),
    ):
        yield pytest.param("", [octets], id=name)


@pytest.fixture(scope="module", autouse=True)
def nothing_else() -> Iterator[None]:
    """Whatever else this process holds is not looked at, which takes long, and nothing is before a test asks."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def left_by(come_and_go: Callable[[], None]) -> Counter[str]:
    """The types of what only the collector finds afterwards."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        come_and_go()
        gc.collect()
        return Counter(type(each).__name__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def pass_time(world: Any, ms: int = 1) -> None:
    """Let it pass, and what is done in slices come to its end."""
    broker = world.broker
    broker.tick(broker.clock.now + ms)
    while broker.slices.live:
        broker.tick(broker.clock.now + 1)


def come_and_go(world: Any, version: str, frames: list[bytes], patient: bool) -> None:
    """A connection that says ``frames`` and is lost then: at once, or ``patient`` when all was done."""
    peer = world.connect(version, local=True) if version else world.stranger()
    for octets in frames:
        if octets == WAIT:
            peer.take()
            pass_time(world, 1000)
        else:
            peer.send(octets.replace(MARK.encode(), peer.session.mark.encode()))
    if patient:
        pass_time(world)
        peer.session.go_on()
    peer.take()
    peer.session.end_of_stream()
    peer.session.lost()
    peer.session.events()
    world.peers.clear()
    pass_time(world)
    world.roster.dirty.clear()


@pytest.mark.parametrize("patient", [True, False], ids=["done", "lost"])
@pytest.mark.parametrize(("version", "frames"), list(kinds()))
def test_a_connection_leaves_no_cycle(
    new_world: Any, version: str, frames: list[bytes], patient: bool
) -> None:
    history = Policies([(Pattern("/topic/h"), {"history_messages": 10})])
    world = new_world(Rules(deadletter="/queue/dead", policies=history))

    def once() -> None:
        come_and_go(world, version, frames, patient)

    # The first one makes queues and the like, which stay.
    once()
    assert left_by(once) == {}


def test_one_that_misses_turns_while_it_ends_leaves_no_cycle(world: Any) -> None:
    """It has many subscriptions, which end in slices; meanwhile somebody sends to their queue."""
    other = world.connect("1.2")

    def once() -> None:
        peer = world.connect("1.2")
        for number in range(200):
            peer.send(subscribe("/queue/a", id=str(number)))
        peer.session.events()
        peer.session.lost()
        assert world.broker.slices.live
        del peer
        world.peers.pop()
        other.publish("/queue/a", b"x")
        world.roster.dirty.clear()
        pass_time(world)

    once()
    assert left_by(once) == {}


def test_a_forgotten_queue_leaves_no_cycle(new_world: Any) -> None:
    """Too many are idle, and the one that is so for longest had message groups."""
    world = new_world(Rules(idle_queues=1))

    def use() -> None:
        peer = world.connect("1.2")
        for number in range(3):
            name = f"/queue/{number}"
            peer.send(subscribe(name, "client"))
            peer.send(send(name, "JMSXGroupID:1\n"))
            peer.send(unsubscribe())
            # Only now nothing of the group is on its way.
            peer.send(frame("ACK", f"id:{peer.session.mark}{number + 1}\n"))
            assert peer.state == "connected"
        peer.take()
        peer.session.events()
        peer.session.lost()
        world.peers.clear()
        world.roster.dirty.clear()

    use()
    assert left_by(use) == {}
    assert list(world.broker.queues) == ["/queue/2"]
