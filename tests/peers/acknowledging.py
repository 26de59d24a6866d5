"""ACK: what it covers, by which names, and what becomes of one that is wrong."""

from __future__ import annotations

from tests.peers.scenario import ENDS, Group
from tests.peers.stage import Frame, Line, Stage

GROUP = Group("Acknowledging")
scenario = GROUP.scenario


def ack(frame: Frame, command: str = "ACK", more: str = "") -> str:
    """ACK of this MESSAGE in 1.2."""
    return f"{command}\nid:{frame['ack']}\n{more}\n\0"


def holding(
    stage: Stage, mode: str, *bodies: str, version: str = "1.2", more: str = ""
) -> tuple[Line, list[Frame]]:
    """A consumer that has got these messages and acknowledged none."""
    line = stage.connect(version)
    line.send(stage.queue, *bodies)
    line.subscribe(stage.queue, mode, more)
    return line, line.messages(len(bodies))


@scenario(
    "`ack:client`: one, two, three come; ACK of two; the connection ends; what the next consumer gets",
    both="three",
)
def client_is_cumulative(stage: Stage) -> str:
    line, (_, two, _) = holding(stage, "client", "one", "two", "three")
    line.receipt(ack(two))
    line.cut()
    return stage.left()


@scenario(
    "The same with `client-individual`",
    both="one, three",
)
def client_individual_is_for_one(stage: Stage) -> str:
    line, (_, two, _) = holding(stage, "client-individual", "one", "two", "three")
    line.receipt(ack(two))
    line.cut()
    return stage.left()


@scenario(
    "`ack:client`, two subscriptions of a connection; one came to the first, two to the "
    "second; ACK of two; what is left of both",
    rabbitmq="nothing; nothing",
    activemq="one; nothing",
    here_rabbitmq=("one; nothing", "an ACK is for its own subscription, as STOMP says"),
)
def client_and_other_subscriptions(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(f"{stage.queue}a", "client", id="a")
    line.subscribe(f"{stage.queue}b", "client", id="b")
    line.send(f"{stage.queue}a", "one")
    line.message()
    line.send(f"{stage.queue}b", "two")
    line.receipt(ack(line.message()))
    line.cut()
    return f"{stage.left(f'{stage.queue}a')}; {stage.left(f'{stage.queue}b')}"


@scenario(
    "`ack:auto`: a message was sent to a consumer, who dies; what is left",
    both="nothing",
)
def auto_needs_none(stage: Stage) -> str:
    line, _ = holding(stage, "auto", "one")
    line.cut()
    return stage.left()


@scenario(
    "The word `ack:sometimes` on SUBSCRIBE",
    rabbitmq="ERROR",
    activemq="RECEIPT",
    here_rabbitmq=("ERROR, closed", ENDS),
    here_activemq=("ERROR, closed", "a word that is wrong is refused; ActiveMQ takes it for auto"),
)
def unknown_mode(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.queue}\nack:sometimes\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "ACK of the same message twice, with receipts",
    rabbitmq="RECEIPT, ERROR, closed",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "the ACK is refused before there is a RECEIPT"),
    here_activemq=("ERROR, closed", ENDS),
)
def ack_twice(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.receipt(ack(one))
    line.say(ack(one, more="receipt:r\n"))
    return line.hear()


@scenario(
    "ACK of an id that never was",
    rabbitmq="RECEIPT, ERROR, closed",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "the ACK is refused before there is a RECEIPT"),
    here_activemq=("ERROR, closed", ENDS),
)
def ack_of_nothing(stage: Stage) -> str:
    line, _ = holding(stage, "client-individual", "one")
    line.say("ACK\nid:T_0@@nothing@@77\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "ACK without `id`",
    both="ERROR",
    here_rabbitmq=("ERROR, closed", ENDS),
    here_activemq=("ERROR, closed", ENDS),
)
def ack_without_id(stage: Stage) -> str:
    line, _ = holding(stage, "client-individual", "one")
    line.say("ACK\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "ACK of an `ack:auto` message, by its message-id as it has no `ack`",
    rabbitmq="RECEIPT, ERROR, closed",
    activemq="ERROR",
    here_rabbitmq=("RECEIPT", "tolerated and counted"),
    here_activemq=("RECEIPT", "tolerated and counted"),
)
def ack_of_auto(stage: Stage) -> str:
    line, (one,) = holding(stage, "auto", "one")
    line.say(f"ACK\nid:{one.get('ack') or one['message-id']}\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "1.2: ACK with the value of `message-id` in `id`; what is left",
    rabbitmq="RECEIPT; left: nothing",
    activemq="ERROR; left: one",
    here_activemq=("RECEIPT; left: nothing", "tolerated and counted"),
)
def ack_by_message_id(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.say(f"ACK\nid:{one['message-id']}\nreceipt:r\n\n\0")
    heard = line.hear()
    line.cut()
    return f"{heard}; left: {stage.left()}"


@scenario(
    "1.1: ACK with `message-id` and without `subscription`",
    rabbitmq="RECEIPT",
    activemq="ERROR",
    here_activemq=("RECEIPT", "tolerated and counted"),
)
def ack_without_subscription(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one", version="1.1")
    line.say(f"ACK\nmessage-id:{one['message-id']}\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "1.0: ACK with `message-id` alone, of a subscription with an `id`",
    both="RECEIPT",
)
def ack_in_1_0(stage: Stage) -> str:
    line, (one,) = holding(stage, "client", "one", version="1.0")
    line.say(f"ACK\nmessage-id:{one['message-id']}\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "A worker gets m0, m1, m2, does m0, loses its connection, comes again and says the old ACK "
    "of m1; then its connection ends; what is left",
    rabbitmq="RECEIPT; left: m1",
    activemq="ERROR; left: m1, m2",
    here_rabbitmq=(
        "RECEIPT with a warning; left: m1, m2",
        "the old number means nothing else: m2 is not lost",
    ),
    here_activemq=(
        "RECEIPT with a warning; left: m1, m2",
        "answered like any ACK that is late; the connection lives",
    ),
)
def late_ack(stage: Stage) -> str:
    line, (first, second, _) = holding(stage, "client-individual", "m0", "m1", "m2")
    line.receipt(ack(first))
    line.cut()
    line = stage.connect()
    line.subscribe(stage.queue, "client-individual")
    line.messages(2)
    line.say(ack(second, more="receipt:r\n"))
    heard = line.hear()
    line.cut()
    return f"{heard}; left: {stage.left()}"


@scenario(
    "ACK that repeats its MESSAGE's `content-length:5`, without a body; then a SEND with a receipt",
    both="RECEIPT, RECEIPT",
)
def ack_with_a_length(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "hello")
    line.say(ack(one, more="content-length:5\nreceipt:r\n"))
    line.say("SEND\ndestination:/topic/nobody\nreceipt:s\n\n\0")
    return line.hear()


@scenario(
    "`ack:client-individual` in 1.0, which has no such word: one, two come; ACK of two; what is left",
    both="one",
)
def individual_in_1_0(stage: Stage) -> str:
    line, (_, two) = holding(stage, "client-individual", "one", "two", version="1.0")
    line.receipt(f"ACK\nmessage-id:{two['message-id']}\n\n\0")
    line.cut()
    return stage.left()
