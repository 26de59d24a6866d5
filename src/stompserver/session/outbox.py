"""What goes to one client: octets to write now, and debts to the op log that are paid when it is durable."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.message import Message
from stompserver.broker.subscription import AUTO, Consumer, Delivery, Subscription
from stompserver.errors import Teaching
from stompserver.session import acks
from stompserver.session.settings import Settings
from stompserver.session.state import CONNECTED, CONNECTING
from stompserver.session.versions import BY_ACK_ID, V10, Version
from stompserver.wire.headers import Text, encode_block

try:
    from stompserver.wire._leaf import head as encode_plain
    from stompserver.wire._leaf import message as encode_message
    from stompserver.wire._leaf import relayed
except ImportError:
    from stompserver.wire.leaf import head as encode_plain
    from stompserver.wire.leaf import message as encode_message
    from stompserver.wire.leaf import relayed

SMALL: Final = 512
"""Bytes of a body below which its frame is made in one piece."""

OUTBOX_HIGH: Final = 256 * 1024
"""Bytes in the outbox above which queues hold their messages back until the socket took some."""


class Outbox(Consumer):
    """The writing half of a session. What to send is in ``outbox`` (``take`` empties it); with something new in it
    it has put itself into ``dirty``. ``trace`` gets what is sent, as text, when it is a list.
    """

    __slots__ = (
        "_acks",
        "_ahead",
        "_dirty",
        "_late",
        "_owed",
        "answers",
        "broker",
        "lapsed",
        "login",
        "outbox",
        "outbox_bytes",
        "queued",
        "receipt",
        "settings",
        "state",
        "trace",
        "version",
    )

    def __init__(self, broker: Broker, settings: Settings, dirty: list[Outbox]) -> None:
        super().__init__()
        self.broker = broker
        self.settings = settings
        self.state: int = CONNECTING
        self.version: Version = V10
        self.outbox: list[bytes] = []
        self.outbox_bytes: int = 0
        self.answers: int = 0
        """Bytes in the outbox that are not messages: what the client asked for faster than it reads."""
        self.queued = False
        """Whether ``dirty`` has this one."""
        self.trace: list[str] | None = None
        self.lapsed: dict[str, None] = {}
        """Names of deliveries whose lease ended, the oldest first."""
        self.login: str | None = None
        """Who it says it is; None says nothing."""
        self.receipt: str | None = None
        """What the frame in hand wants its RECEIPT to be called."""
        self._dirty = dirty
        self._acks: int = 0
        self._ahead: int = 0
        """Bytes in the outbox before the newest message of a topic, of ``_late``, when those are many."""
        self._late: Subscription | None = None
        self._owed: list[tuple[int, bytes]] | None = None

    def fail(self, error: Teaching) -> None:
        """Tell the client what was wrong; nothing is read or sent after it (STOMP 1.2, ERROR)."""
        raise AssertionError("a session fails")

    def durable(self, number: int) -> None:
        """Pay what is owed up to ``number`` of the op log."""
        owed = self._owed
        if owed is None:
            return
        paid: int = 0
        for due, octets in owed:
            if due > number:
                break
            self.write(octets)
            paid += 1
        self._owed = None
        if paid < len(owed):
            self._owed = owed[paid:]
            self.broker.log.debtors.append(self)
        if self.state > CONNECTED:
            # It was only this that kept the connection open.
            self._mark()

    def take(self) -> bytes:
        """The octets to send now, in one piece; empties the outbox."""
        return b"".join(self.take_pieces(1 << 40))

    def take_pieces(self, large: int) -> list[bytes]:
        """The octets to send now; bodies of ``large`` bytes or more are pieces of their own, what is between them is
        in one. Empties the outbox.
        """
        out = self.outbox
        pieces: list[bytes] = []
        # Where four pieces a message are small on average it takes no look at each.
        if self.outbox_bytes < large // 4 * len(out):
            if out:
                pieces.append(b"".join(out))
        else:
            small: list[bytes] = []
            for piece in out:
                if len(piece) < large:
                    small.append(piece)
                else:
                    if small:
                        pieces.append(b"".join(small))
                        small.clear()
                    pieces.append(piece)
            if small:
                pieces.append(b"".join(small))
        self.outbox.clear()
        self.outbox_bytes = 0
        self.answers = 0
        if self.behind:
            self.broker.memory.used -= self.behind
            self.behind = 0
            self._ahead = 0
            self._late = None
        return pieces

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Append a MESSAGE to the outbox."""
        if self.state != CONNECTED:
            return
        out = self.outbox
        ack: int = 0
        if subscription.mode != AUTO:
            if self.version.settles == BY_ACK_ID:
                ack = self._acks + 1
                self._acks = ack
                name = str(ack)
            else:
                name = f"{message.number}\0{subscription.id}"
            delivery = Delivery(name, subscription, message)
            self.deliveries[name] = delivery
            if subscription.lease is not None:
                subscription.lease.add(delivery)
            if subscription.order is not None:
                subscription.order.append(delivery)
        body = message.body
        size: int = len(body)
        lines = message.lines
        if (
            lines
            and size < SMALL
            and not message.attempts
            and not subscription.odd
            and subscription.topic is None
        ):
            # Nobody else gets these header lines, and one piece is cheaper than four (bench: auto).
            whole = encode_message(subscription.prefix, ack, message.destination, message.number, lines, body)
            out.append(whole)
            size = len(whole)
        else:
            head = message.head
            if head is None:
                head = self._head(message)
            out.append(b"%back:%d\n" % (subscription.prefix, ack) if ack else subscription.prefix)
            if message.attempts or subscription.odd:
                head = self._particular(subscription, message, head)
            out.append(head)
            out.append(body)
            out.append(b"\0\n")
            size += len(head)
        waiting: int = self.outbox_bytes + size
        self.outbox_bytes = waiting
        if waiting > OUTBOX_HIGH:
            self.ready = False
            if subscription.topic is not None and subscription.queue is None:
                # Unlike a queue's message it is nowhere else, so it counts as memory here.
                self.broker.memory.used += waiting - self.behind
                self.behind = waiting
                self._late = subscription
                # Not counting this one: a single large message is no lag.
                self._ahead = waiting - size
        if self.trace is not None:
            self.trace.append(f"sent MESSAGE {subscription.label} {message.number} {message.destination}")
        if not self.queued:
            self._mark()

    def ended(self, subscription: Subscription) -> None:
        """Append the mark that a browser has seen all there is, as ActiveMQ and Apollo write it."""
        if self.state != CONNECTED:
            return
        text = self.text()
        lines = ""
        if not subscription.shown:
            lines = text.line("destination", subscription.destination)
        lines += "message-id:browser-end\nbrowser:end\ncontent-length:0\n\n\0\n"
        octets = subscription.prefix + text.octetize(lines)
        self.outbox.append(octets)
        self.outbox_bytes += len(octets)
        self._mark()

    def expired(self, delivery: Delivery) -> None:
        """A lease ended: the delivery may be settled no more, and trying to is no ERROR."""
        acks.lapse(self, self.lapsed, delivery)

    def judge(self) -> None:
        """The socket was full: see whether too much of a topic waits for it."""
        if self._late is not None and self._ahead > self.settings.lag:
            self.lag(self._late)

    def _particular(self, subscription: Subscription, message: Message, head: bytes) -> bytes:
        """Append the header lines that this delivery has before others do; return what follows of ``head``."""
        lines = ""
        attempts: int = message.attempts
        if attempts:
            count = str(attempts + 1)
            lines = "redelivered:true\ndelivery-count:" + count + "\nJMSXDeliveryCount:" + count + "\n"
        if subscription.replay and message.extras is not None:
            offset = message.extras.get("offset")
            if offset is not None:
                lines += "x-stream-offset:" + offset + "\n"
        if subscription.shown:
            # The prefix has the destination as the client calls it; here it is the first line.
            head = head[head.index(b"\n") + 1 :]
        if lines:
            self.outbox.append(lines.encode())
        return head

    def _head(self, message: Message) -> bytes:
        """The header lines that all deliveries of ``message`` share, and the empty line."""
        if message.plain:
            lines = message.lines
            if lines:
                head = relayed(message.destination, message.number, lines)
            else:
                head = encode_plain(message.destination, message.number, len(message.body), message.headers)
            message.head = head
            return head
        text = self.text()
        variants = message.variants
        if variants is None:
            variants = message.variants = {}
        variant = variants.get(text.version)
        if variant is None:
            ours = {
                "destination": message.destination,
                "message-id": str(message.number),
                "content-length": str(len(message.body)),
            }
            ours.update(message.headers)
            variant = variants[text.version] = encode_block(ours, text) + b"\n"
        return variant

    def text(self) -> Text:
        """How headers are written to this client."""
        return self.version.strict_text if self.settings.strict else self.version.text

    def _owe(self, number: int, receipt: str, warning: str = "") -> None:
        if warning:
            text = self.text()
            lines = text.line("receipt-id", receipt) + text.line("warning", warning)
            octets = text.octetize("RECEIPT\n" + lines + "\n\0\n")
        elif receipt.isalnum() and receipt.isascii():
            # Nothing to escape, in one step (bench: receipt).
            octets = b"RECEIPT\nreceipt-id:%b\n\n\0\n" % receipt.encode()
            if self._owed is None and self.trace is None and number <= self.broker.log.durable:
                length: int = len(octets)
                self.outbox.append(octets)
                self.outbox_bytes += length
                self.answers += length
                if not self.queued:
                    self._mark()
                return
        else:
            text = self.text()
            octets = text.octetize("RECEIPT\n" + text.line("receipt-id", receipt) + "\n\0\n")
        self._settle_debt(number, octets)

    def _settle_debt(self, number: int, octets: bytes) -> None:
        """Write ``octets`` once op ``number`` is durable, after all that is owed already."""
        if self._owed is None and number <= self.broker.log.durable:
            self.write(octets)
        elif self._owed is None:
            self._owed = [(number, octets)]
            self.broker.log.debtors.append(self)
        else:
            self._owed.append((number, octets))

    def write(self, octets: bytes) -> None:
        """Append octets that are no message."""
        self.outbox.append(octets)
        self.outbox_bytes += len(octets)
        self.answers += len(octets)
        if self.trace is not None:
            self.trace.append("sent " + repr(octets[:200])[2:-1])
        if not self.queued:
            self._mark()

    def _mark(self) -> None:
        if not self.queued:
            self.queued = True
            self._dirty.append(self)
