"""Subscriptions: topics, patterns, selectors, those that outlive their connection, and the names of destinations."""

from __future__ import annotations

from tests.peers.scenario import ENDS, LENGTH, Group
from tests.peers.stage import Line, Stage

GROUP = Group("Subscriptions and destinations")
scenario = GROUP.scenario


def durable(stage: Stage, id: str = "0", name: str = "n") -> Line:
    """A connection that has the durable subscription of the topic, in the broker's words."""
    line = stage.connect(more=stage.either("", f"client-id:{stage.name}\n"))
    more = stage.either("durable:true\nauto-delete:false\n", f"activemq.subscriptionName:{name}\n")
    line.subscribe(stage.topic, "client-individual", more, id)
    return line


@scenario(
    "A durable subscription in the broker's words; one is sent while it is away, one while it is there",
    both="away, there",
)
def durable_subscription(stage: Stage) -> str:
    durable(stage).leave()
    sender = stage.connect()
    sender.send(stage.topic, "away")
    line = durable(stage)
    sender.send(stage.topic, "there")
    return line.hear()


@scenario(
    "UNSUBSCRIBE with the `id` alone, and then one is sent; what the durable subscription gets "
    "when it comes again",
    both="away",
)
def leaving_a_durable(stage: Stage) -> str:
    line = durable(stage)
    line.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    line.leave()
    stage.connect().send(stage.topic, "away")
    return durable(stage).hear()


@scenario(
    "UNSUBSCRIBE with the words of the durable subscription (`durable:true`; "
    "`activemq.subscriptionName`), and then one is sent; what it gets when it comes again",
    both="nothing",
)
def deleting_a_durable(stage: Stage) -> str:
    line = durable(stage)
    if stage.words == "activemq":
        # There the one that is active has to be left first.
        line.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    line.receipt(f"UNSUBSCRIBE\nid:0\n{stage.either('durable:true', 'activemq.subscriptionName:n')}\n\n\0")
    line.leave()
    stage.connect().send(stage.topic, "away")
    return durable(stage).hear()


@scenario(
    "The same durable subscription on two connections at once; two messages are sent",
    rabbitmq="second: CONNECTED; then first: one, second: two",
    activemq="second: ERROR; then first: one, two, second: closed",
)
def durable_twice(stage: Stage) -> str:
    more = stage.either("durable:true\nauto-delete:false\n", "activemq.subscriptionName:n\n")
    lines = []
    for _ in range(2):
        lines.append(line := stage.dial())
        client_id = stage.either("", f"client-id:{stage.name}\n")
        line.say(f"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n{client_id}\n\0")
        heard = line.frame().command
        if heard == "CONNECTED":
            line.subscribe(stage.topic, more=more)
    stage.connect().send(stage.topic, "one", "two")
    return f"second: {heard}; then first: {lines[0].hear()}, second: {lines[1].hear()}"


@scenario(
    "A `client-id` that another connection has, without any durable subscription",
    rabbitmq="CONNECTED",
    activemq="ERROR, closed",
)
def client_id_twice(stage: Stage) -> str:
    stage.connect(more=f"client-id:{stage.name}\n")
    line = stage.dial()
    line.say(
        f"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\nclient-id:{stage.name}\n\n\0"
    )
    return line.hear()


@scenario(
    "`x-queue-name` on a subscription of a topic; one is sent while it is away; `/amq/queue/NAME` gets it",
    rabbitmq="away (destination:/topic/q)",
)
def named_queue(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.topic, more=f"x-queue-name:{stage.name}\ndurable:true\nauto-delete:false\n")
    line.leave()
    stage.connect().send(stage.topic, "away")
    return stage.left(f"/amq/queue/{stage.name}", "destination")


@scenario(
    "SUBSCRIBE to `/amq/queue/q`, SEND to `/queue/q`; what `destination` shows",
    rabbitmq="one (destination:/queue/q)",
)
def queue_by_its_other_name(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "one")
    line.subscribe(f"/amq/queue/{stage.name}")
    return line.hear("destination")


@scenario(
    "A second SUBSCRIBE with the same `id`",
    rabbitmq="ERROR, RECEIPT, closed",
    activemq="RECEIPT",
    here_rabbitmq=("ERROR, closed", "the SUBSCRIBE is refused before there is a RECEIPT"),
    here_activemq=("ERROR, closed", "an id is used once, as STOMP says"),
)
def id_twice(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue)
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.queue}b\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "1.2: SUBSCRIBE without `id`",
    rabbitmq="RECEIPT",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "1.1 and 1.2 ask for an id"),
    here_activemq=("ERROR, closed", ENDS),
)
def no_id(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SUBSCRIBE\ndestination:{stage.queue}\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "1.0: SUBSCRIBE without `id`, UNSUBSCRIBE with the destination; one was sent before, one "
    "is afterwards; the names of the headers of what came",
    rabbitmq="content-length, destination, message-id, redelivered; then nothing",
    activemq="destination, expires, message-id, priority, timestamp; then nothing",
    here_activemq=(
        "content-length, destination, expires, message-id, priority, timestamp; then nothing",
        LENGTH,
    ),
)
def no_id_in_1_0(stage: Stage) -> str:
    line = stage.connect("1.0")
    line.receipt(f"SUBSCRIBE\ndestination:{stage.queue}\n\n\0")
    line.send(stage.queue, "before")
    names = ", ".join(sorted(name for name, _ in line.message().headers if name != "receipt"))
    line.receipt(f"UNSUBSCRIBE\ndestination:{stage.queue}\n\n\0")
    line.send(stage.queue, "afterwards")
    return f"{names}; then {line.hear()}"


@scenario(
    "UNSUBSCRIBE of an `id` that is not there",
    both="ERROR",
    here_rabbitmq=("RECEIPT with a warning", "tolerated and counted"),
    here_activemq=("RECEIPT with a warning", "tolerated and counted"),
)
def unsubscribe_of_nothing(stage: Stage) -> str:
    line = stage.connect()
    line.say("UNSUBSCRIBE\nid:9\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "A topic with two subscriptions of one connection; one message is sent by that connection itself",
    both="one, one",
)
def topic_twice(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.topic, id="a")
    line.subscribe(stage.topic, id="b")
    line.send(stage.topic, "one")
    return line.hear()


@scenario(
    "The same with `no-local:true` (`activemq.noLocal:true`)",
    rabbitmq="own, another's",
    activemq="another's",
    here_rabbitmq=("another's", "the header is obeyed"),
)
def no_local(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.topic, more=stage.either("no-local:true\n", "activemq.noLocal:true\n"))
    line.send(stage.topic, "own")
    stage.connect().send(stage.topic, "another's")
    return line.hear()


@scenario(
    "`/topic/q.*`; sent to q, q.a, q.a.b",
    both="q.a",
)
def one_level(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(f"{stage.topic}.*")
    for name in ("", ".a", ".a.b"):
        line.send(f"{stage.topic}{name}", f"q{name}")
    return line.hear()


@scenario(
    "All levels, in the broker's word (`/topic/q.#`, `/topic/q.>`); the same are sent; what "
    "`destination` shows",
    both="q (destination:/topic/q), q.a (destination:/topic/q.a), q.a.b (destination:/topic/q.a.b)",
)
def all_levels(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(f"{stage.topic}.{stage.either('#', '>')}")
    for name in ("", ".a", ".a.b"):
        line.send(f"{stage.topic}{name}", f"q{name}")
    return line.hear("destination")


@scenario(
    "The other broker's word for all levels (`>` at RabbitMQ, `#` at ActiveMQ) is a name like any other",
    rabbitmq="RECEIPT, q.>",
    activemq="RECEIPT, q.#",
    here_rabbitmq=("ERROR, closed", "refused: whoever writes it means a pattern, and would hear nothing"),
    here_activemq=("ERROR, closed", "refused: whoever writes it means a pattern, and would hear nothing"),
)
def foreign_wildcard(stage: Stage) -> str:
    line = stage.connect()
    word = stage.either(">", "#")
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.topic}.{word}\nreceipt:r\n\n\0")
    for name in (".a", f".{word}"):
        line.say(f"SEND\ndestination:{stage.topic}{name}\n\nq{name}\0")
    return line.hear()


@scenario(
    "A pattern of queues, `/queue/q.*`; one waits in q.a",
    rabbitmq="nothing",
    activemq="one (destination:/queue/q.a)",
    here_rabbitmq=("one (destination:/queue/q.a)", "patterns are for queues, too"),
)
def pattern_of_queues(stage: Stage) -> str:
    line = stage.connect()
    line.send(f"{stage.queue}.a", "one")
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.queue}.*\n\n\0")
    return line.hear("destination")


@scenario(
    "SEND to `/queue/qa,/queue/qb`; what is in each",
    rabbitmq="ERROR; nothing; nothing",
    activemq="RECEIPT; one (destination:/queue/qa); one (destination:/queue/qb)",
    here_rabbitmq=(
        "RECEIPT; one (destination:/queue/qa); one (destination:/queue/qb)",
        "several destinations, as ActiveMQ has them",
    ),
)
def composite(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}a,{stage.queue}b\nreceipt:r\n\none\0")
    first, second = (stage.left(f"{stage.queue}{name}", "destination") for name in "ab")
    return f"{line.hear()}; {first}; {second}"


@scenario(
    "A virtual topic: SEND to `/topic/VirtualTopic.q` while two consumers of "
    "`/queue/Consumer.A.VirtualTopic.q` and one of `Consumer.B` are there",
    activemq="A: one and two; B: one, two",
)
def virtual_topic(stage: Stage) -> str:
    lines = [stage.connect() for _ in range(3)]
    for line, name in zip(lines, "AAB", strict=True):
        line.subscribe(f"/queue/Consumer.{name}.VirtualTopic.{stage.name}")
    stage.connect().send(f"/topic/VirtualTopic.{stage.name}", "one", "two")
    shares = [line.hear() for line in lines]
    return f"A: {' and '.join(sorted(shares[:2]))}; B: {shares[2]}"


@scenario(
    "SEND to a bare name that nobody listens to; what is in the queue of that name; what `destination` shows",
    both="one (destination:/queue/q)",
)
def bare_name(stage: Stage) -> str:
    stage.connect().send(stage.name, "one")
    return stage.left(stage.queue, "destination")


@scenario(
    "SUBSCRIBE to the bare name, SEND to `/queue/` and that name; what `destination` shows",
    both="one (destination:/queue/q)",
)
def bare_subscription(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.name)
    line.send(stage.queue, "one")
    return line.hear("destination")


@scenario(
    "SEND to `/exchange/amq.topic/q.a` while `/topic/q.*` is subscribed",
    rabbitmq="one (destination:/topic/q.a)",
)
def exchange(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(f"{stage.topic}.*")
    line.send(f"/exchange/amq.topic/{stage.name}.a", "one")
    return line.hear("destination")


@scenario(
    "SEND to `/queue/q/sub`, two levels",
    rabbitmq="ERROR",
    activemq="RECEIPT",
    here_rabbitmq=("RECEIPT", "a queue may have levels"),
)
def queue_with_a_slash(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}/sub\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "SUBSCRIBE to `/amq/queue/q`, which nobody declared",
    rabbitmq="ERROR, RECEIPT, closed",
    here_rabbitmq=("RECEIPT", "a queue is there when it is named"),
)
def absent_queue(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SUBSCRIBE\nid:0\ndestination:/amq/queue/{stage.name}\nreceipt:r\n\n\0")
    return line.hear()


@scenario(
    "A queue with `x-max-length:2`; a second SUBSCRIBE says another length",
    rabbitmq="ERROR, RECEIPT, closed",
    here_rabbitmq=("RECEIPT", "the queue is not in use any more, so its new properties hold"),
)
def other_properties(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue, more="x-max-length:2\nauto-delete:false\n")
    line.leave()
    line = stage.connect()
    line.say(
        f"SUBSCRIBE\nid:0\ndestination:{stage.queue}\nx-max-length:3\nauto-delete:false\nreceipt:r\n\n\0"
    )
    return line.hear()


@scenario(
    "A queue with `x-max-length:2`; three are sent; what is left",
    rabbitmq="two, three",
)
def max_length(stage: Stage) -> str:
    line = stage.connect()
    more = "x-max-length:2\ndurable:true\nauto-delete:false\n"
    line.subscribe(stage.queue, more=more)
    line.leave()
    line = stage.connect()
    for body in ("one", "two", "three"):
        line.send(stage.queue, body, more=more)
    return stage.left(f"/amq/queue/{stage.name}")


@scenario(
    "`selector:price > 10`; messages with `price:5`, `price:20` and none are sent",
    rabbitmq="5, 20, none",
    activemq="20",
    here_rabbitmq=("20", "the header is obeyed"),
)
def selector(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.queue, more="selector:price > 10\n")
    line.send(stage.queue, "5", more="price:5\n")
    line.send(stage.queue, "20", more="price:20\n")
    line.send(stage.queue, "none")
    return line.hear()


@scenario(
    "`selector:colour = 'red'` on a topic; red and blue are sent",
    rabbitmq="red, blue",
    activemq="red",
    here_rabbitmq=("red", "the header is obeyed"),
)
def selector_of_text(stage: Stage) -> str:
    line = stage.connect()
    line.subscribe(stage.topic, more="selector:colour = 'red'\n")
    line.send(stage.topic, "red", more="colour:red\n")
    line.send(stage.topic, "blue", more="colour:blue\n")
    return line.hear()


@scenario(
    "A selector that is none, `selector:price >`",
    rabbitmq="RECEIPT",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "the header is obeyed"),
    here_activemq=("ERROR, closed", ENDS),
)
def broken_selector(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.queue}\nselector:price >\nreceipt:r\n\n\0")
    return line.hear()
