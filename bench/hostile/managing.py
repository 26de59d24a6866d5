"""What may be asked of the management, by everybody on the same machine."""

from __future__ import annotations

import time

from bench.hostile.attack import Attack
from bench.hostile.crowds import ROOM, queues_of
from bench.hostile.stage import Stage
from bench.hostile.wire import Wire, send

MANAGER = b"/queue/stompserver.management"
TOMORROW = b"AMQ_SCHEDULED_DELAY:86400000\n"


def ask(action: bytes, more: bytes = b"") -> bytes:
    return send(MANAGER, b"", b"action:%b\nreply-to:/temp-queue/m\n%b" % (action, more))


def lists(stage: Stage) -> str:
    """50 times the list of 100,000 queues, in a packet."""
    wire = stage.connect()
    queues_of(stage, wire)
    stage.begin()
    wire.say(ask(b"queues", b"limit:1000000\n") * 49)
    wire.done(ask(b"queues"))
    return "answered"


def deaf_lists(stage: Stage) -> str:
    """The same by somebody who does not read the answers."""
    wire = stage.connect()
    queues_of(stage, wire)
    deaf = stage.connect(deaf=True)
    stage.begin()
    deaf.sock.send(ask(b"queues", b"limit:1000000\n") * 50)
    time.sleep(5)
    wire.done(send(b"/queue/q.1"))
    return "answered"


def scheduled(stage: Stage, wire: Wire, full: int = 50_000) -> None:
    wire.pour(send(b"/queue/s", b"x", TOMORROW) for _ in range(stage.count(full)))
    wire.done(send(b"/topic/end"))


def schedule_lists(stage: Stage) -> str:
    """60 times the list of 50,000 scheduled messages, and all are forgotten."""
    wire = stage.connect()
    scheduled(stage, wire)
    stage.begin()
    wire.say(ask(b"schedule-list", b"limit:1000000\n") * 60)
    wire.done(send(b"/topic/ActiveMQ.Scheduler.Management", b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n"))
    return "answered"


def browse_schedule(stage: Stage) -> str:
    """20 looks at 50,000 scheduled messages."""
    wire = stage.connect()
    scheduled(stage, wire)
    stage.begin()
    look = send(
        b"/topic/ActiveMQ.Scheduler.Management", b"", b"AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/temp-queue/m\n"
    )
    wire.say(look * 20)
    wire.done(send(b"/topic/end"))
    wire.drain(3)
    return "answered"


def large(stage: Stage, wire: Wire) -> None:
    wire.pour(send(b"/queue/large") for _ in range(stage.count(100_000)))
    wire.done(send(b"/topic/end"))


def purge(stage: Stage) -> str:
    wire = stage.connect()
    large(stage, wire)
    stage.begin()
    wire.done(ask(b"purge", b"queue:large\n"))
    return "purged"


def delete(stage: Stage) -> str:
    wire = stage.connect()
    large(stage, wire)
    stage.begin()
    wire.done(ask(b"delete", b"queue:large\n"))
    return "deleted"


def redrive(stage: Stage) -> str:
    """100,000 dead letters go back."""
    wire = stage.connect()
    more = b"expires:%d\n" % (int(time.time() * 1000) + 500)
    wire.pour(send(b"/queue/dying", b"x", more) for _ in range(stage.count(100_000)))
    wire.done(send(b"/topic/end"))
    time.sleep(2)
    stage.begin()
    wire.done(ask(b"redrive", b"queue:deadletter\n"))
    return "sent back"


def redrive_in_a_circle(stage: Stage) -> str:
    """A dead letter queue that is its own letters' origin."""
    wire = stage.connect()
    wire.pour(
        send(b"/queue/deadletter", b"x", b"original-destination:/queue/deadletter\n")
        for _ in range(stage.count(10_000))
    )
    wire.done(send(b"/topic/end"))
    stage.begin()
    wire.done(ask(b"redrive", b"queue:deadletter\n"))
    return "answered"


def circle(stage: Stage) -> str:
    """Two full queues that are each other's dead letter queue."""
    wire = stage.connect()
    for here, there in ((b"a", b"b"), (b"b", b"a")):
        more = b"x-max-length:1\nx-overflow:reject-publish-dlx\nx-dead-letter-routing-key:%b\n" % there
        wire.done(send(b"/queue/" + here, b"x", more))
    stage.begin()
    wire.done(send(b"/queue/a"))
    return "answered"


ATTACKS = (
    Attack("lists", "50 lists of 100,000 queues in a packet", lists, ROOM, seconds=60),
    Attack("lists unread", "the same, and nobody reads the answers", deaf_lists, ROOM, seconds=60),
    Attack(
        "schedule", "60 lists of 50,000 scheduled messages in a packet, REMOVEALL", schedule_lists, seconds=60
    ),
    Attack("browse schedule", "20 looks at 50,000 scheduled messages", browse_schedule),
    Attack("purge", "a queue of 100,000 is purged", purge),
    Attack("delete", "a queue of 100,000 is deleted", delete),
    Attack(
        "redrive",
        "100,000 dead letters go back",
        redrive,
        policies="  /queue/dying:\n    expired: deadletter\n",
        seconds=60,
    ),
    Attack("redrive circle", "10,000 letters whose origin is the dead letter queue", redrive_in_a_circle),
    Attack("circle", "two full queues that are each other's dead letter queue", circle),
)
