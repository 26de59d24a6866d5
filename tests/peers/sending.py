"""SEND: what of its headers and its body arrives, transactions, receipts."""

from __future__ import annotations

from tests.peers.acknowledging import ack, holding
from tests.peers.scenario import ENDS, LENGTH, Group
from tests.peers.stage import Frame, Stage

GROUP = Group("Messages: headers and bodies")
scenario = GROUP.scenario
TRANSACTIONS = Group("Transactions and receipts")
in_transaction = TRANSACTIONS.scenario


def arrives(
    stage: Stage, headers: str | bytes, body: str = "x", sender: str = "1.2", receiver: str = "1.2"
) -> Frame:
    """The MESSAGE that this SEND becomes."""
    line = stage.connect(receiver)
    line.subscribe(stage.queue)
    octets = headers.encode() if isinstance(headers, str) else headers
    stage.connect(sender).say(f"SEND\ndestination:{stage.queue}\n".encode() + octets + f"\n{body}\0".encode())
    return line.message()


@scenario(
    "The names of all headers of a MESSAGE, `ack:client-individual`, 1.2",
    rabbitmq="ack, content-length, destination, message-id, redelivered, subscription",
    activemq="ack, destination, expires, message-id, priority, subscription, timestamp",
    here_activemq=(
        "ack, content-length, destination, expires, message-id, priority, subscription, timestamp",
        LENGTH,
    ),
)
def header_names(stage: Stage) -> str:
    _, (one,) = holding(stage, "client-individual", "one")
    return ", ".join(sorted(name for name, _ in one.headers if name != "receipt"))


@scenario(
    "What arrives of a SEND with `content-type`, "
    "`persistent:true`, `priority:7`, `correlation-id:c`, `type:t`",
    both="content-type:text/plain, persistent:true, priority:7, correlation-id:c, type:t",
)
def headers_of_a_full_send(stage: Stage) -> str:
    frame = arrives(stage, "content-type:text/plain\npersistent:true\npriority:7\ncorrelation-id:c\ntype:t\n")
    names = ("content-type", "persistent", "priority", "correlation-id", "type")
    return ", ".join(f"{name}:{frame[name]}" for name in names if frame.get(name))


@scenario(
    "Are `message-id` and `ack` one value?",
    rabbitmq="one value",
    activemq="two values",
    here_rabbitmq=("two values", "an ACK may name either"),
)
def two_names(stage: Stage) -> str:
    _, (one,) = holding(stage, "client-individual", "one")
    return "one value" if one["message-id"] == one.get("ack") else "two values"


@scenario(
    "1.2 to 1.2: a header `k:a\\cb\\nc\\\\d\\re`, and what arrives",
    both="'a\\cb\\nc\\\\d\\re'",
)
def escapes(stage: Stage) -> str:
    return arrives(stage, "k:a\\cb\\nc\\\\d\\re\n").all("k")


@scenario(
    "The same from 1.2 to a consumer of 1.0, which has no escapes; without line ends in it: `k:a\\cb\\\\d`",
    rabbitmq="'a\\cb\\\\d'",
    activemq="'a:b\\d'",
    here_rabbitmq=("'a:b\\d'", "1.0 has no escapes; RabbitMQ escapes for all versions"),
)
def escapes_to_1_0(stage: Stage) -> str:
    return arrives(stage, "k:a\\cb\\\\d\n", receiver="1.0").all("k")


@scenario(
    "1.0 to 1.2: a header `k:a:b\\c`, which is no escape there",
    both="'a\\cb\\c'",
    here_rabbitmq=("'a\\cb\\\\c'", "1.0 has no escapes: the backslash is one"),
    here_activemq=("'a\\cb\\\\c'", "1.0 has no escapes: the backslash is one"),
)
def octets_of_1_0(stage: Stage) -> str:
    return arrives(stage, "k:a:b\\c\n", sender="1.0").all("k")


@scenario(
    "An escaped name, `a\\cb:v`",
    both="'a\\cb:v'",
)
def escaped_name(stage: Stage) -> str:
    frame = arrives(stage, "a\\cb:v\n")
    return next((f"'{name}:{value}'" for name, value in frame.headers if name.startswith("a\\")), "none")


@scenario(
    "1.2: a colon in a value that is not escaped, `k:a:b`",
    both="'a\\cb'",
)
def bare_colon(stage: Stage) -> str:
    return arrives(stage, "k:a:b\n").all("k")


@scenario(
    "1.2: an escape that is none, `k:a\\tb`",
    rabbitmq="closed",
    activemq="RECEIPT",
    here_rabbitmq=("ERROR, closed", "the ERROR says why"),
    here_activemq=("ERROR, closed", "a fatal error, as STOMP says"),
)
def undefined_escape(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\nk:a\\tb\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "A header that is there twice, `k:first`, `k:second`",
    both="'first'",
)
def repeated(stage: Stage) -> str:
    return arrives(stage, "k:first\nk:second\n").all("k")


@scenario(
    "`destination` twice in a SEND: where it goes",
    both="first: one; second: nothing",
)
def repeated_destination(stage: Stage) -> str:
    line = stage.connect()
    line.receipt(f"SEND\ndestination:{stage.queue}a\ndestination:{stage.queue}b\n\none\0")
    return f"first: {stage.left(f'{stage.queue}a')}; second: {stage.left(f'{stage.queue}b')}"


@scenario(
    "A SEND with `message-id:mine`",
    rabbitmq="ERROR; left: nothing",
    activemq="RECEIPT; left: one",
    here_rabbitmq=("RECEIPT; left: one", "the server gives its own"),
)
def message_id_of_the_sender(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\nmessage-id:mine\nreceipt:r\n\none\0")
    return f"{line.hear()}; left: {stage.left()}"


@scenario(
    "A SEND with other headers that are the broker's, `subscription:9`, `ack:mine`, "
    "`redelivered:true`; which the MESSAGE has, in their order",
    rabbitmq="subscription '0' and '9', ack 'mine', redelivered 'false' and 'true'",
    activemq="subscription '0', ack 'mine', redelivered none",
    here_rabbitmq=(
        "subscription '0', ack none, redelivered 'false'",
        "a name that is the server's has its value alone",
    ),
    here_activemq=(
        "subscription '0', ack none, redelivered none",
        "a name that is the server's has its value alone",
    ),
)
def reserved(stage: Stage) -> str:
    frame = arrives(stage, "subscription:9\nack:mine\nredelivered:true\n")
    return ", ".join(f"{name} {frame.all(name)}" for name in ("subscription", "ack", "redelivered"))


@scenario(
    "An empty value, blanks around a value, and a header in UTF-8: `e:`, `b: x `, `u:ä€`",
    both="'', ' x ', 'ä€'",
)
def values(stage: Stage) -> str:
    frame = arrives(stage, "e:\nb: x \nu:ä€\n")
    return f"{frame.all('e')}, {frame.all('b')}, {frame.all('u')}"


@scenario(
    "A body with a NUL and its `content-length`",
    both="'a\\x00b', content-length:3",
)
def body_with_nul(stage: Stage) -> str:
    frame = arrives(stage, "content-length:3\n", body="a\0b")
    return f"{frame.body!r}, content-length:{frame.get('content-length')}"


@scenario(
    "A body without `content-length`; whether the MESSAGE has one",
    rabbitmq="content-length '3'",
    activemq="content-length none",
    here_activemq=("content-length '3'", LENGTH),
)
def content_length(stage: Stage) -> str:
    return f"content-length {arrives(stage, '', body='abc').all('content-length')}"


@scenario(
    "SEND without `destination`",
    both="ERROR",
    here_rabbitmq=("ERROR, closed", ENDS),
    here_activemq=("ERROR, closed", ENDS),
)
def no_destination(stage: Stage) -> str:
    line = stage.connect()
    line.say("SEND\nreceipt:r\n\none\0")
    return line.hear()


@scenario(
    "`receipt` is not passed on to consumers",
    rabbitmq="'r7'",
    activemq="none",
    here_rabbitmq=("none", "it is the sender's affair"),
)
def receipt_not_passed_on(stage: Stage) -> str:
    return arrives(stage, "receipt:r7\n").all("receipt")


@in_transaction(
    "BEGIN, SEND one and two, what a consumer sees; COMMIT, what it sees then",
    rabbitmq="nothing; then one (transaction:t), two (transaction:t)",
    activemq="nothing; then one, two",
    here_rabbitmq=("nothing; then one, two", "`transaction` is the sender's affair"),
)
def commit(stage: Stage) -> str:
    line, consumer = stage.connect(), stage.connect()
    consumer.subscribe(stage.queue)
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    for body in ("one", "two"):
        line.say(f"SEND\ndestination:{stage.queue}\ntransaction:t\n\n{body}\0")
    line.receipt("SEND\ndestination:/topic/nobody\n\n\0")
    before = consumer.hear()
    line.receipt("COMMIT\ntransaction:t\n\n\0")
    return f"{before}; then {consumer.hear('transaction')}"


@in_transaction(
    "BEGIN, SEND with a receipt, COMMIT: when the RECEIPT of the SEND comes",
    rabbitmq="before COMMIT: nothing; after: RECEIPT",
    activemq="before COMMIT: RECEIPT; after: nothing",
    here_rabbitmq=(
        "before COMMIT: RECEIPT; after: nothing",
        "the SEND is in the transaction: that is what its RECEIPT says",
    ),
)
def receipt_in_transaction(stage: Stage) -> str:
    line = stage.connect()
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.say(f"SEND\ndestination:{stage.queue}\ntransaction:t\nreceipt:r\n\none\0")
    before = line.hear()
    line.say("COMMIT\ntransaction:t\n\n\0")
    return f"before COMMIT: {before}; after: {line.hear()}"


@in_transaction(
    "BEGIN, SEND, ABORT; what a consumer sees",
    both="nothing",
)
def abort(stage: Stage) -> str:
    line = stage.connect()
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.say(f"SEND\ndestination:{stage.queue}\ntransaction:t\n\none\0")
    line.receipt("ABORT\ntransaction:t\n\n\0")
    return stage.left()


@in_transaction(
    "BEGIN, SEND, and the connection ends",
    both="nothing",
)
def lost_transaction(stage: Stage) -> str:
    line = stage.connect()
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.say(f"SEND\ndestination:{stage.queue}\ntransaction:t\n\none\0")
    line.cut()
    return stage.left()


@in_transaction(
    "ACK in a transaction that is aborted; what the same consumer gets, and what is left after its end",
    both="nothing; left: one",
)
def aborted_ack(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.receipt(ack(one, more="transaction:t\n"))
    line.receipt("ABORT\ntransaction:t\n\n\0")
    heard = line.hear()
    line.cut()
    return f"{heard}; left: {stage.left()}"


@in_transaction(
    "After the ABORT the same ACK again, without a transaction; what is left after the end",
    both="RECEIPT; left: nothing",
)
def ack_after_abort(stage: Stage) -> str:
    line, (one,) = holding(stage, "client-individual", "one")
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.receipt(ack(one, more="transaction:t\n"))
    line.receipt("ABORT\ntransaction:t\n\n\0")
    line.say(ack(one, more="receipt:r\n"))
    heard = line.hear()
    line.cut()
    return f"{heard}; left: {stage.left()}"


@in_transaction(
    "SEND in a transaction that was not begun; what is left",
    both="ERROR; left: nothing",
    here_rabbitmq=("ERROR, closed; left: nothing", ENDS),
    here_activemq=("ERROR, closed; left: nothing", ENDS),
)
def unknown_transaction(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"SEND\ndestination:{stage.queue}\ntransaction:none\nreceipt:r\n\none\0")
    return f"{line.hear()}; left: {stage.left()}"


@in_transaction(
    "BEGIN twice with one name",
    rabbitmq="RECEIPT",
    activemq="ERROR",
    here_rabbitmq=("ERROR, closed", "a name is used once"),
    here_activemq=("ERROR, closed", ENDS),
)
def begin_twice(stage: Stage) -> str:
    line = stage.connect()
    line.receipt("BEGIN\ntransaction:t\n\n\0")
    line.say("BEGIN\ntransaction:t\nreceipt:r\n\n\0")
    return line.hear()


@in_transaction(
    "COMMIT of what was not begun",
    both="ERROR",
    here_rabbitmq=("ERROR, closed", ENDS),
    here_activemq=("ERROR, closed", ENDS),
)
def commit_of_nothing(stage: Stage) -> str:
    line = stage.connect()
    line.say("COMMIT\ntransaction:none\nreceipt:r\n\n\0")
    return line.hear()


@in_transaction(
    "SUBSCRIBE with a receipt while one waits: which comes first",
    both="RECEIPT, one",
)
def receipt_of_subscribe(stage: Stage) -> str:
    line = stage.connect()
    line.send(stage.queue, "one")
    line.say(f"SUBSCRIBE\nid:0\ndestination:{stage.queue}\nreceipt:r\n\n\0")
    return line.hear()


@in_transaction(
    "Three SENDs with receipts at once: the order of the RECEIPTs",
    both="1, 2, 3",
)
def order_of_receipts(stage: Stage) -> str:
    line = stage.connect()
    line.say("".join(f"SEND\ndestination:{stage.queue}\nreceipt:{number}\n\n\0" for number in "123"))
    return ", ".join(line.frame().get("receipt-id") for _ in "123")


@in_transaction(
    "DISCONNECT with a receipt; a SEND behind it in the same packet; what is left",
    rabbitmq="RECEIPT, closed; left: nothing",
    activemq="RECEIPT, ERROR, closed; left: nothing",
    here_activemq=("RECEIPT, closed; left: nothing", "nothing is read behind DISCONNECT"),
)
def disconnect(stage: Stage) -> str:
    line = stage.connect()
    line.say(f"DISCONNECT\nreceipt:r\n\n\0SEND\ndestination:{stage.queue}\n\none\0")
    line.quiet = line.quiet or 0.2  # nothing can be asked any more
    return f"{line.hear()}; left: {stage.left()}"
