"""What the server writes, as octets: MESSAGE, RECEIPT and ERROR."""

from __future__ import annotations

from stompserver.broker.dead import letter as deadletter
from stompserver.broker.message import Message
from stompserver.broker.moment import came_at
from stompserver.broker.subscription import Subscription
from stompserver.errors import ClientError
from stompserver.session.dialect import faults
from stompserver.session.settings import EXPIRES, FIRST_DEATH, PRIORITY, REDELIVERED, TIMESTAMP
from stompserver.session.versions import OFFERED
from stompserver.wire.headers import Text, encode_block, encode_frame
from stompserver.wire.native import encode_head, encode_relayed


def head(message: Message, text: Text) -> bytes:
    """The header lines that all deliveries of ``message`` to clients with ``text`` share, and the empty line. They
    are made once for each way of writing.
    """
    if message.plain:
        lines = message.lines
        if lines:
            found: bytes | None = encode_relayed(message.destination, message.number, lines)
        else:
            found = encode_head(message.destination, message.number, len(message.body), message.headers)
        if found is not None:
            message.head = found
            return found
        # Something was added to it that is not as plain as what its sender wrote.
        message.plain = False
    variants = message.variants
    if variants is None:
        variants = message.variants = {}
    variant = variants.get(text.version)
    if variant is None and message.lines and text.decode:
        # What is escaped in them is so in 1.1 and 1.2 alike.
        variant = variants[text.version] = encode_relayed(message.destination, message.number, message.lines)
    if variant is None:
        ours = {
            "destination": message.destination,
            "message-id": str(message.number),
            "content-length": str(len(message.body)),
        }
        for name, value in message.headers.items():
            ours.setdefault(name, value)
        variant = variants[text.version] = encode_block(ours, text) + b"\n"
    return variant


def particular(message: Message, shown: int, text: Text) -> bytes:
    """The header lines that one delivery has before those that all share: how often it was tried, and what ``shown``
    asks for (a sum of REDELIVERED and the others) that its sender did not say.
    """
    lines = ""
    if message.attempts:
        count = str(message.tried + 1)
        lines = "redelivered:true\n"
        # A dead letter says how often it was delivered where it died.
        if "delivery-count" not in message.headers:
            lines += "delivery-count:" + count + "\n"
        lines += "JMSXDeliveryCount:" + count + "\n"
    elif shown & REDELIVERED:
        lines = "redelivered:false\n"
    if shown & ~REDELIVERED:
        said = message.headers
        if shown & TIMESTAMP and "timestamp" not in said:
            lines += f"timestamp:{came_at(message.number)}\n"
        if shown & PRIORITY and "priority" not in said:
            lines += f"priority:{message.priority}\n"
        if shown & EXPIRES and "expires" not in said:
            lines += f"expires:{message.expires}\n"
        if shown & FIRST_DEATH and deadletter.REASON in said:
            for name, value in deadletter.first_death(message).items():
                if name not in said:
                    lines += text.line(name, value)
    return text.octetize(lines)


def browse_end(subscription: Subscription, text: Text) -> bytes:
    """The mark that a browser has seen all there is, as ActiveMQ and Apollo write it."""
    lines = ""
    if not subscription.wish.headed:
        lines = text.line("destination", subscription.destination)
    lines += "message-id:browser-end\nbrowser:end\ncontent-length:0\n\n\0\n"
    return subscription.prefix + text.octetize(lines)


def receipt(id: str, warning: str, text: Text) -> bytes:
    """A RECEIPT, with a ``warning`` if there is one."""
    lines = text.line("receipt-id", id)
    if warning:
        lines += text.line("warning", warning)
    return text.octetize("RECEIPT\n" + lines + "\n\0\n")


def error(problem: ClientError, id: str | None, text: Text) -> bytes:
    """An ERROR that answers the frame which wanted the receipt ``id``, None when none did."""
    body = problem.explanation().encode("utf-8", "replace")
    headers = [("message", problem.summary.partition("\n")[0][:200])]
    if id is not None:
        headers.append(("receipt-id", id))
    if isinstance(problem, faults.VersionError):
        headers.append(("version", OFFERED))
    headers.append(("content-type", "text/plain;charset=utf-8"))
    headers.append(("content-length", str(len(body))))
    return encode_frame("ERROR", headers, body, text)
