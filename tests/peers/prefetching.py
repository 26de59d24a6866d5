"""How much comes without an ACK, and who gets it."""

from __future__ import annotations

from tests.peers.acknowledging import ack
from tests.peers.scenario import Group
from tests.peers.stage import Stage

GROUP = Group("Prefetch, and several consumers")
scenario = GROUP.scenario


@scenario(
    "Prefetch 2 in the broker's own word (`prefetch-count`, `activemq.prefetchSize`), five "
    "messages wait; how many come, and what an ACK of the first brings",
    both="1, 2; then 3",
)
def prefetch_of_two(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "1", "2", "3", "4", "5")
    line.subscribe(
        stage.queue, "client-individual", stage.either("prefetch-count:2\n", "activemq.prefetchSize:2\n")
    )
    first = line.message()
    rest = line.hear()
    line.receipt(ack(first))
    return f"1, {rest}; then {line.hear()}"


@scenario(
    "Prefetch 0",
    rabbitmq="1, 2",
    activemq="nothing",
    here_activemq=("1, 2", "0 is no limit; with ActiveMQ nothing ever comes"),
)
def prefetch_of_none(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "1", "2")
    line.say(
        f"SUBSCRIBE\nid:0\ndestination:{stage.queue}\nack:client\n"
        + stage.either("prefetch-count:0\n", "activemq.prefetchSize:0\n")
        + "\n\0"
    )
    return line.hear()


@scenario(
    "No word about prefetch, `ack:client`, 150 messages wait; how many come without an ACK",
    both="150",
)
def default_prefetch(stage: Stage) -> str:
    line = stage.connect()
    for number in range(149):
        line.say(f"SEND\ndestination:{stage.queue}\n\n{number}\0")
    line.send(stage.queue, "last")
    line.subscribe(stage.queue, "client")
    return f"{len([frame for frame in line.frames() if frame.command == 'MESSAGE'])}"


@scenario(
    "The same in 1.0",
    both="150",
)
def default_prefetch_in_1_0(stage: Stage) -> str:
    line = stage.connect("1.0")
    for number in range(149):
        line.say(f"SEND\ndestination:{stage.queue}\n\n{number}\0")
    line.send(stage.queue, "last")
    line.subscribe(stage.queue, "client")
    return f"{len([frame for frame in line.frames() if frame.command == 'MESSAGE'])}"


@scenario(
    "Two consumers are there, with `ack:auto`; four messages are sent; who gets which",
    both="1, 3 and 2, 4",
)
def two_consumers(stage: Stage) -> str:
    first, second, sender = stage.connect(), stage.connect(), stage.connect()
    first.subscribe(stage.queue)
    second.subscribe(stage.queue)
    sender.send(stage.queue, "1", "2", "3", "4")
    shares = sorted([first.hear(), second.hear()])
    return f"{shares[0]} and {shares[1]}"


@scenario(
    "Two consumers with priority 1 and 10 in the broker's word (`x-priority`, "
    "`activemq.priority`) have room; two are sent",
    rabbitmq="low: 1; high: 2",
    activemq="low: nothing; high: 1, 2",
    here_rabbitmq=("low: nothing; high: 1, 2", "the header is obeyed"),
)
def consumer_priority(stage: Stage) -> str:
    low, high, sender = stage.connect(), stage.connect(), stage.connect()
    word = stage.either("x-priority", "activemq.priority")
    prefetch = stage.either("prefetch-count", "activemq.prefetchSize")
    low.subscribe(stage.queue, "client", f"{word}:1\n{prefetch}:10\n")
    high.subscribe(stage.queue, "client", f"{word}:10\n{prefetch}:10\n")
    high.hear()  # ActiveMQ answers before the second consumer has its place
    sender.send(stage.queue, "1", "2")
    return f"low: {low.hear()}; high: {high.hear()}"


@scenario(
    "`activemq.exclusive:true` on two consumers; the second sees nothing until the first is gone",
    activemq="first: 1, 2; second: nothing; then 3",
)
def exclusive(stage: Stage) -> str:
    first, second, sender = stage.connect(), stage.connect(), stage.connect()
    first.subscribe(stage.queue, more="activemq.exclusive:true\n")
    second.subscribe(stage.queue, more="activemq.exclusive:true\n")
    sender.send(stage.queue, "1", "2")
    heard = f"first: {first.hear()}; second: {second.hear()}"
    first.leave()
    sender.send(stage.queue, "3")
    return f"{heard}; then {second.hear()}"


@scenario(
    "`x-single-active-consumer:true` on two consumers; the second sees nothing until the first is gone",
    rabbitmq="first: 1; second: 2; then 3",
    here_rabbitmq=("first: 1, 2; second: nothing; then 3", "the header is obeyed"),
)
def single_active_consumer(stage: Stage) -> str:
    first, second, sender = stage.connect(), stage.connect(), stage.connect()
    first.subscribe(stage.queue, more="x-single-active-consumer:true\n")
    second.subscribe(stage.queue, more="x-single-active-consumer:true\n")
    sender.send(stage.queue, "1", "2")
    heard = f"first: {first.hear()}; second: {second.hear()}"
    first.leave()
    sender.send(stage.queue, "3")
    return f"{heard}; then {second.hear()}"


@scenario(
    "Two consumers, messages with `JMSXGroupID` a, a, b, b; whether each group has one consumer",
    activemq="a1, a2 and b1, b2",
)
def groups(stage: Stage) -> str:
    first, second, sender = stage.connect(), stage.connect(), stage.connect()
    first.subscribe(stage.queue)
    second.subscribe(stage.queue)
    for body in ("a1", "a2", "b1", "b2"):
        sender.send(stage.queue, body, more=f"JMSXGroupID:{body[0]}\n")
    shares = sorted([first.hear(), second.hear()])
    return f"{shares[0]} and {shares[1]}"


@scenario(
    "`browser:true` with two messages in the queue; what the browser sees, and what a consumer "
    "gets afterwards",
    activemq="one, two,  (browser:end); left: one, two",
)
def browser(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "one", "two")
    line.subscribe(stage.queue, more="browser:true\n")
    heard = line.hear("browser")
    line.cut()
    return f"{heard}; left: {stage.left()}"
