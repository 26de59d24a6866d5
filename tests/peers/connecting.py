"""From CONNECT to the end: versions, heart-beats, ERROR, and whether the connection lives; temporary queues."""

from __future__ import annotations

from tests.peers.scenario import ENDS, RECEIPT_ID, Group
from tests.peers.stage import CONNECT, Stage

GROUP = Group("Connections and ERROR")
scenario = GROUP.scenario
TEMPORARY = Group("Temporary queues and reply-to")
temporary = TEMPORARY.scenario


def answer(stage: Stage, text: str) -> str:
    """What comes on a new connection for this as the first frame."""
    line = stage.dial()
    line.quiet = line.quiet or 0.2  # nothing else can be asked before CONNECTED
    line.say(text)
    return line.hear("version")


@scenario(
    "The names of the headers of CONNECTED, to a client that says no `heart-beat`",
    both="heart-beat, server, session, version",
)
def connected(stage: Stage) -> str:
    return ", ".join(sorted(name for name, _ in stage.connect().connected.headers))


@scenario(
    "`server` up to the slash",
    rabbitmq="RabbitMQ",
    activemq="ActiveMQ",
)
def server_header(stage: Stage) -> str:
    return stage.connect().connected.get("server").partition("/")[0]


@scenario(
    "`accept-version:1.0,1.1,1.2,3.0`",
    both="1.2",
)
def best_version(stage: Stage) -> str:
    return stage.connect("1.0,1.1,1.2,3.0").connected.get("version")


@scenario(
    "CONNECT without `accept-version`",
    both="CONNECTED, version '1.0'",
)
def no_version(stage: Stage) -> str:
    line = stage.dial()
    line.say("CONNECT\nhost:/\nlogin:guest\npasscode:guest\n\n\0")
    frame = line.frame()
    return f"{frame.command}, version {frame.all('version')}"


@scenario(
    "`accept-version:3.0` alone",
    rabbitmq="ERROR",
    activemq="ERROR, closed",
    here_rabbitmq=("ERROR, closed", ENDS),
)
def unknown_version(stage: Stage) -> str:
    return answer(stage, CONNECT.format(version="3.0", more=""))


@scenario(
    "SEND as the first frame",
    both="ERROR",
    here_rabbitmq=("ERROR, closed", ENDS),
    here_activemq=("ERROR, closed", ENDS),
)
def not_connected(stage: Stage) -> str:
    return answer(stage, "SEND\ndestination:/queue/a\n\none\0")


@scenario(
    "CONNECT without `host`",
    both="CONNECTED",
)
def no_host(stage: Stage) -> str:
    return answer(stage, "CONNECT\naccept-version:1.2\nlogin:guest\npasscode:guest\n\n\0")


@scenario(
    "A second CONNECT",
    rabbitmq="closed",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "the ERROR says why"),
    here_activemq=("ERROR, closed", ENDS),
)
def connect_twice(stage: Stage) -> str:
    line = stage.connect()
    line.say(CONNECT.format(version="1.2", more=""))
    return line.hear()


@scenario(
    "A command that does not exist, with a receipt; then a SEND; what is left",
    rabbitmq="ERROR; then RECEIPT; left: one",
    activemq="ERROR, closed; then closed; left: nothing",
    here_rabbitmq=("ERROR, closed; then closed; left: nothing", ENDS),
)
def unknown_command(stage: Stage) -> str:
    line = stage.connect()
    line.say("PUBLISH\nreceipt:r\n\n\0")
    heard = line.hear()
    line.say(f"SEND\ndestination:{stage.queue}\nreceipt:s\n\none\0")
    return f"{heard}; then {line.hear()}; left: {stage.left()}"


@scenario(
    "A command in lower case, `send`",
    rabbitmq="ERROR",
    activemq="ERROR, closed",
    here_rabbitmq=("ERROR, closed", ENDS),
)
def lower_case(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"send\ndestination:{stage.queue}\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "A header line without a colon",
    rabbitmq="closed",
    activemq="RECEIPT",
    here_rabbitmq=("ERROR, closed", "the ERROR says why"),
    here_activemq=("ERROR, closed", "a line without a colon is no header"),
)
def no_colon(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\nwrong\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "CR LF at line ends, 1.2",
    both="RECEIPT; left: one (k:v)",
)
def crlf(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\r\ndestination:{stage.queue}\r\nk:v\r\nreceipt:r\r\n\r\none\0")
    heard = line.hear()
    return f"{heard}; left: {stage.left('', 'k')}"


@scenario(
    "A SEND of 1.2 whose `content-length` is too small: `content-length:1` of `one`",
    rabbitmq="closed",
    activemq="ERROR, closed",
    here_rabbitmq=("ERROR, closed", "the ERROR says why"),
)
def short_length(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\ncontent-length:1\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "`receipt-id` in the ERROR for a frame that had a `receipt` (ACK without `id`)",
    rabbitmq="receipt-id none",
    activemq="receipt-id 'r9'",
    here_rabbitmq=("receipt-id 'r9'", RECEIPT_ID),
)
def receipt_id_of_error(stage: Stage) -> str:
    line = stage.connect()
    line.say("ACK\nreceipt:r9\n\n\0")
    return f"receipt-id {line.frame().all('receipt-id')}"


@scenario(
    "A consumer makes a mistake (ACK without `id`) while it holds a message with `ack:client`; "
    "what another consumer gets at once",
    both="nothing",
    here_rabbitmq=("one", "the connection has ended, so it is another's turn"),
    here_activemq=("one", "the connection has ended, so it is another's turn"),
)
def error_and_held_messages(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "one")
    line.subscribe(stage.queue, "client")
    line.message()
    line.say("ACK\n\n\0")
    line.hear()
    return stage.left()


@scenario(
    "`heart-beat:500,500` asked for; what CONNECTED says, and whether a line end comes within three seconds",
    rabbitmq="1000,1000; comes",
    activemq="500,500; comes",
    here_activemq=("1000,1000; comes", "the server says the shortest that it offers (`heart-beat`)"),
)
def heart_beats(stage: Stage) -> str:
    line = stage.connect(more="heart-beat:500,500\n")
    said = line.connected.get("heart-beat")
    return f"{said}; {'comes' if line.beat(3.0) else 'none'}"


@temporary(
    "A request with `reply-to:/temp-queue/r`, whose sender has not subscribed; the worker "
    "answers to the name that it sees; what comes to the sender, with `destination` and "
    "`subscription`",
    rabbitmq="answer (subscription:/temp-queue/r)",
    activemq="nothing",
    here_activemq=("answer (subscription:/temp-queue/r)", "as with RabbitMQ, for all"),
)
def reply_without_subscription(stage: Stage) -> str:
    asker, worker = stage.connect(), stage.connect()
    worker.subscribe(stage.queue)
    asker.send(stage.queue, "question", more="reply-to:/temp-queue/r\n")
    worker.send(worker.message()["reply-to"], "answer")
    return asker.hear("subscription")


@temporary(
    "The same, and the sender has subscribed to `/temp-queue/r`",
    rabbitmq="ERROR; answer (subscription:/temp-queue/r)",
    activemq="RECEIPT; answer (subscription:t)",
    here_rabbitmq=("RECEIPT; answer (subscription:t)", "both ways hold"),
)
def reply_to_a_subscription(stage: Stage) -> str:
    asker, worker = stage.connect(), stage.connect()
    worker.subscribe(stage.queue)
    asker.say("SUBSCRIBE\nid:t\ndestination:/temp-queue/r\nreceipt:r\n\n\0")
    heard = asker.hear()
    asker.send(stage.queue, "question", more="reply-to:/temp-queue/r\n")
    worker.send(worker.message()["reply-to"], "answer")
    return f"{heard}; {asker.hear('subscription')}"


@temporary(
    "The first level of the name in `reply-to`, and how many levels it has",
    rabbitmq="/reply-queue/, 2 levels",
    activemq="/remote-temp-queue/, 2 levels",
    here_activemq=("/reply-queue/, 2 levels", "one name for all; `/remote-temp-queue/` is understood"),
)
def name_of_a_reply(stage: Stage) -> str:
    asker, worker = stage.connect(), stage.connect()
    worker.subscribe(stage.queue)
    asker.send(stage.queue, "question", more="reply-to:/temp-queue/r\n")
    name = worker.message()["reply-to"].strip("/").split("/")
    return f"/{name[0]}/, {len(name)} levels"


@temporary(
    "Another connection subscribes to the temporary queue",
    rabbitmq="ERROR, RECEIPT, closed",
    activemq="RECEIPT",
    here_rabbitmq=("ERROR, closed", "the ERROR comes alone"),
    here_activemq=("ERROR, closed", "a temporary queue is its owner's alone"),
)
def foreign_temporary(stage: Stage) -> str:
    asker, worker = stage.connect(), stage.connect()
    worker.subscribe(stage.queue)
    asker.send(stage.queue, "question", more="reply-to:/temp-queue/r\n")
    name = worker.message()["reply-to"]
    worker.say(f"SUBSCRIBE\nid:t\ndestination:{name}\nreceipt:r\n\n\0")
    return worker.hear()


@temporary(
    "An answer after the asker is gone, with a receipt",
    rabbitmq="RECEIPT",
    activemq="ERROR",
    here_rabbitmq=("RECEIPT with a warning", "the RECEIPT says that nobody is there"),
    here_activemq=("RECEIPT with a warning", "the RECEIPT says that nobody is there"),
)
def late_answer(stage: Stage) -> str:
    asker, worker = stage.connect(), stage.connect()
    worker.subscribe(stage.queue)
    asker.send(stage.queue, "question", more="reply-to:/temp-queue/r\n")
    name = worker.message()["reply-to"]
    asker.leave()
    worker.say(f"SEND\ndestination:{name}\nreceipt:r\n\nanswer\0")
    return worker.hear()
