"""Time: what expires, what comes later, what comes first."""

from __future__ import annotations

import time

from tests.peers.returning import dead_letters
from tests.peers.scenario import Group
from tests.peers.stage import Stage

GROUP = Group("Time and priority")
scenario = GROUP.scenario


def expiring(stage: Stage, milliseconds: int) -> str:
    """The header in the broker's words."""
    return stage.either(f"expiration:{milliseconds}\n", f"expires:{int(time.time() * 1000) + milliseconds}\n")


@scenario(
    "A message expires in the queue (`expiration:200`; `expires` in 200 ms), one behind it "
    "does not; what is left after a second",
    both="long",
)
def expiry(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "short", more=expiring(stage, 200))
    line.send(stage.queue, "long", more=expiring(stage, 600_000))
    stage.wait(0.2 if not stage.quiet else 1.0)
    return stage.left()


@scenario(
    "One that expires behind one that does not; what is left",
    both="stays",
)
def expiry_behind(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "stays")
    line.send(stage.queue, "short", more=expiring(stage, 200))
    stage.wait(0.2 if not stage.quiet else 1.0)
    return stage.left()


@scenario(
    "A persistent message expires, a consumer comes; what is in the broker's dead letter queue",
    rabbitmq="left: nothing; 0 dead letters",
    activemq="left: nothing; 1 dead letters",
    here_activemq=(
        "left: nothing; 0 dead letters",
        "what expires is dropped; the policy `expired: deadletter` keeps it",
    ),
)
def expired_dead_letter(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, stage.name, more="persistent:true\n" + expiring(stage, 200))
    stage.wait(0.2 if not stage.quiet else 1.0)
    left = stage.left()
    return f"left: {left}; {len(dead_letters(stage))} dead letters"


@scenario(
    "The same, sent without `persistent:true`",
    both="left: nothing; 0 dead letters",
)
def expired_and_not_persistent(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, stage.name, more=expiring(stage, 200))
    stage.wait(0.2 if not stage.quiet else 1.0)
    left = stage.left()
    return f"left: {left}; {len(dead_letters(stage))} dead letters"


@scenario(
    "Which header of a MESSAGE says when it expires, if the SEND had the broker's word for it",
    rabbitmq="expiration",
    activemq="expires",
)
def expiry_header(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue)
    line.send(stage.queue, "one", more=expiring(stage, 600_000))
    frame = line.message()
    return ", ".join(name for name in ("expires", "expiration") if frame.get(name)) or "none"


@scenario(
    "`AMQ_SCHEDULED_DELAY:300`, then one without; the order of what comes",
    activemq="now, later",
)
def delay(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue)
    line.send(stage.queue, "later", more="AMQ_SCHEDULED_DELAY:300\n")
    line.send(stage.queue, "now")
    return ", ".join(frame.body for frame in line.messages(2))


@scenario(
    "`AMQ_SCHEDULED_PERIOD:100`, `AMQ_SCHEDULED_REPEAT:2`: how many come",
    activemq="one, one, one; then nothing",
)
def repeat(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue)
    line.send(stage.queue, "one", more="AMQ_SCHEDULED_PERIOD:100\nAMQ_SCHEDULED_REPEAT:2\n")
    bodies = [frame.body for frame in line.messages(3)]
    return f"{', '.join(bodies)}; then {line.hear()}"


@scenario(
    "`AMQ_SCHEDULED_DELAY:soon`, which is no number",
    activemq="closed; left: nothing",
    here_activemq=("ERROR, closed; left: nothing", "the ERROR says why"),
)
def broken_delay(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\nAMQ_SCHEDULED_DELAY:soon\nreceipt:r\n\none\0")
    return f"{line.hear()}; left: {stage.left()}"


@scenario(
    "A plain queue; low (`priority:1`), none, and high (`priority:8`) wait; the order",
    both="low, none, high",
)
def priority_of_a_plain_queue(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "low", more="priority:1\n")
    line.send(stage.queue, "none")
    line.send(stage.queue, "high", more="priority:8\n")
    return stage.left()


@scenario(
    "The same in a queue that was declared with `x-max-priority:10`",
    rabbitmq="high, low, none",
)
def priority_of_a_queue_that_has_it(stage: Stage) -> str:
    more = "x-max-priority:10\ndurable:true\nauto-delete:false\n"
    line = stage.connect()
    line.subscribe(stage.queue, more=more)
    line.leave()
    line = stage.connect()
    for body, priority in (("low", "priority:1\n"), ("none", ""), ("high", "priority:8\n")):
        line.send(stage.queue, body, more=more + priority)
    return stage.left(f"/amq/queue/{stage.name}")


@scenario(
    "A priority that is none, `priority:high`",
    rabbitmq="ERROR; left: nothing",
    activemq="closed; left: nothing",
    here_rabbitmq=("RECEIPT; left: one", "tolerated and counted"),
    here_activemq=("RECEIPT; left: one", "tolerated and counted"),
)
def broken_priority(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\npriority:high\nreceipt:r\n\none\0")
    return f"{line.hear()}; left: {stage.left()}"
