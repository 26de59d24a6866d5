"""What comes back: after NACK, a lost connection, UNSUBSCRIBE; in which order, how marked, and where it ends."""

from __future__ import annotations

from tests.peers.acknowledging import ack, holding
from tests.peers.scenario import ENDS, Group
from tests.peers.stage import Frame, Line, Stage

GROUP = Group("Coming back, and dead letters")
scenario = GROUP.scenario


@scenario(
    "A consumer holds one, two, three of five and dies; order and marks at the next one",
    rabbitmq="one (redelivered:true), two (redelivered:true), three (redelivered:true), "
    "four (redelivered:false), five (redelivered:false)",
    activemq="one (redelivered:true), two (redelivered:true), three (redelivered:true), four, five",
)
def connection_lost(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "one", "two", "three", "four", "five")
    consumer = stage.connect()
    more = stage.either("prefetch-count:3\n", "activemq.prefetchSize:3\n")
    consumer.subscribe(stage.queue, "client", more)
    consumer.messages(3)
    consumer.cut()
    return stage.left("", "redelivered")


def dead_letters(stage: Stage) -> list[Frame]:
    """Of those in the broker's own dead letter queue those that are ours; they stay there."""
    line = stage.connect()
    line.subscribe(stage.either("/queue/deadletter", "/queue/ActiveMQ.DLQ"), more="browser:true\n")
    found = [frame for frame in line.frames() if stage.name in frame.body]
    line.cut()
    return found


def refusing(stage: Stage) -> tuple[Line, Frame]:
    """A consumer that holds a persistent message, whose body is the stage's name."""
    line = stage.connect()
    line.send(stage.queue, stage.name, more="persistent:true\n")
    line.subscribe(stage.queue, "client-individual")
    return line, line.message()


@scenario(
    "NACK; what the same consumer gets, and what is in the broker's dead letter queue",
    rabbitmq="q (redelivered:true); 0 dead letters",
    activemq="nothing; 1 dead letters",
)
def nack(stage: Stage) -> str:
    line, one = refusing(stage)
    line.receipt(ack(one, "NACK"))
    return f"{line.hear('redelivered')}; {len(dead_letters(stage))} dead letters"


@scenario(
    "`ack:client`: NACK of two when one, two, three are held; the connection ends; what is left",
    rabbitmq="three",
    activemq="one, three",
    here_activemq=("three", "NACK is for all up to that one, as STOMP says"),
)
def nack_is_cumulative(stage: Stage) -> str:
    line, (_, two, _) = holding(stage, "client", "one", "two", "three")
    line.receipt(ack(two, "NACK", "requeue:false\n"))
    line.cut()
    return stage.left()


@scenario(
    "NACK of one while two and three wait behind `prefetch` 1; the order of what comes",
    rabbitmq="one, two, three",
    activemq="two, three",
)
def nack_and_order(stage: Stage) -> str:
    more = stage.either("prefetch-count:1\n", "activemq.prefetchSize:1\n")
    line = stage.connect()
    line.send(stage.queue, "one", "two", "three")
    line.subscribe(stage.queue, "client-individual", more)
    bodies = []
    first = line.message()
    line.receipt(ack(first, "NACK"))
    for _ in range(3 if stage.words == "rabbitmq" else 2):
        bodies.append(line.message())
        line.receipt(ack(bodies[-1]))
    return ", ".join(frame.body for frame in bodies)


@scenario(
    "NACK with `requeue:false`; what the same consumer gets, and what is in the dead letter queue",
    rabbitmq="nothing; 0 dead letters",
    here_rabbitmq=("nothing; 1 dead letters", "it is kept in /queue/deadletter; RabbitMQ drops it"),
)
def nack_without_requeue(stage: Stage) -> str:
    line, one = refusing(stage)
    line.receipt(ack(one, "NACK", "requeue:false\n"))
    return f"{line.hear('redelivered')}; {len(dead_letters(stage))} dead letters"


@scenario(
    "A queue with `x-dead-letter-exchange:` and `x-dead-letter-routing-key:`, NACK with "
    "`requeue:false`; what the dead letter shows",
    rabbitmq="one (destination:/queue/qdead, redelivered:false, x-first-death-queue:q, "
    "x-first-death-reason:rejected, x-first-death-exchange:)",
)
def dead_letter_of_ones_own(stage: Stage) -> str:
    line = stage.connect()
    dead = f"{stage.queue}dead"
    # RabbitMQ sends to a queue that is there, and only then.
    line.subscribe(dead, id="d")
    line.subscribe(
        stage.queue,
        "client-individual",
        f"x-dead-letter-exchange:\nx-dead-letter-routing-key:{stage.name}dead\n",
    )
    line.send(stage.queue, "one")
    line.receipt(ack(line.message(), "NACK", "requeue:false\n"))
    return line.hear(
        "destination", "redelivered", "x-first-death-queue", "x-first-death-reason", "x-first-death-exchange"
    )


@scenario(
    "NACK of a message that was sent without `persistent:true`; what is in the dead letter queue",
    activemq="0 dead letters",
    here_activemq=("1 dead letters", "dead letters are kept, persistent or not"),
)
def nack_of_what_is_not_persistent(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", stage.name)
    line.receipt(ack(one, "NACK"))
    return f"{len(dead_letters(stage))} dead letters"


@scenario(
    "`message-id` of a message that comes a second time",
    rabbitmq="another",
    activemq="the same",
    here_rabbitmq=("the same", "a message keeps its id"),
)
def message_id_of_a_redelivery(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.cut()
    line = stage.connect()
    line.subscribe(stage.queue)
    return "the same" if line.message()["message-id"] == one["message-id"] else "another"


@scenario(
    "What a dead letter shows after a NACK",
    activemq="destination:/queue/ActiveMQ.DLQ, original-destination:/queue/q, expires:0, priority:4, persistent:true",
)
def dead_letter(stage: Stage) -> str:
    line, one = refusing(stage)
    line.receipt(ack(one, "NACK"))
    names = ("destination", "original-destination", "redelivered", "expires", "priority", "persistent")
    return "; ".join(
        ", ".join(f"{name}:{frame[name]}" for name in names if frame.get(name))
        for frame in dead_letters(stage)
    )


@scenario(
    "A second consumer waits; the first unsubscribes while it holds a message; what the second "
    "gets at once, and after the first one's end",
    rabbitmq="nothing; then one (redelivered:true)",
    activemq="one (redelivered:true); then nothing",
    here_activemq=(
        "nothing; then one (redelivered:true)",
        "what is held stays held until it is settled or the connection ends, as with RabbitMQ",
    ),
)
def unsubscribe_while_holding(stage: Stage) -> str:
    line, _ = holding(stage, "client-individual", "one")
    other = stage.connect()
    other.subscribe(stage.queue)
    line.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    at_once = other.hear("redelivered")
    line.cut()
    return f"{at_once}; then {other.hear('redelivered')}"


@scenario(
    "ACK after UNSUBSCRIBE, of a message that was delivered before; what is left at the end",
    rabbitmq="ERROR; left: one",
    activemq="RECEIPT; left: one",
    here_rabbitmq=("RECEIPT; left: nothing", "what was delivered may be settled"),
    here_activemq=("RECEIPT; left: nothing", "what has a RECEIPT is done; ActiveMQ delivers it again"),
)
def ack_after_unsubscribe(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    line.say(ack(one, more="receipt:r\n"))
    heard = line.hear()
    line.cut()
    return f"{heard}; left: {stage.left()}"


@scenario(
    "DISCONNECT while a message is held; what is left",
    both="one (redelivered:true)",
)
def disconnect_while_holding(stage: Stage) -> str:
    line, _ = holding(stage, "client", "one")
    line.leave()
    return stage.left("", "redelivered")


@scenario(
    "NACK in 1.0, which has no such command",
    rabbitmq="RECEIPT, one",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "1.0 has no NACK"),
    here_activemq=("ERROR, closed", ENDS),
)
def nack_in_1_0(stage: Stage) -> str:
    line, (one,) = holding(stage, "client", "one", version="1.0")
    line.say(f"NACK\nmessage-id:{one['message-id']}\nreceipt:r\n\n\0")
    return line.hear()
