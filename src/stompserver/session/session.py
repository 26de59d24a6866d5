"""One client's conversation: bytes in, bytes out; no socket, no clock, no await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import ACK, NACK, Action, Broker
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.subscription import INDIVIDUAL, Subscription
from stompserver.errors import Teaching
from stompserver.session import (
    acks,
    clients,
    connecting,
    dialect,
    faults,
    lenience,
    sending,
    subscribing,
    temporary,
)
from stompserver.session.heartbeat import HeartBeat
from stompserver.session.outbox import Outbox
from stompserver.session.settings import Settings
from stompserver.session.state import (
    AUTHENTICATING,
    CONNECTED,
    CONNECTING,
    FAILED,
    GONE,
    LEAVING,
    TABLE,
)
from stompserver.session.transactions import Transactions
from stompserver.session.versions import BY_ACK_ID, OFFERED
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, encode_frame
from stompserver.wire.parser import Parser

_SPECIAL: Final = dialect.SPECIAL

LEARN: Final = 8
"""SENDs that say nothing special until the parser learns to read those like the newest of them in one step. Twice as
many each time, as this takes long, and a client that sends different ones in turn gains nothing.
"""


class Session(Outbox):
    """The protocol machine of one connection.

    The shell calls ``receive`` with what arrived, ``tick`` when the time it returned has come, ``durable``
    when the store's watermark moved, ``lost`` at the end; ``now`` is any clock in seconds. What to send is in
    ``outbox`` (take it with ``take``); a session with something new in it has put itself into ``dirty``.
    When ``state`` is AUTHENTICATING the shell checks ``login`` and ``passcode`` and calls ``authenticated``.
    When ``closing`` is true it flushes, calls ``lost`` and closes. ``notes`` are events to be logged,
    ``trace`` frames when it is a list; ``sins`` counts what lenience forgave.
    """

    __slots__ = (
        "_full",
        "_made",
        "_patience",
        "_simple",
        "_transactions",
        "_warning",
        "beat",
        "heard",
        "id",
        "local",
        "notes",
        "opened",
        "parser",
        "passcode",
        "paused",
        "request",
        "requested",
        "sends",
        "sent",
        "sins",
    )

    def __init__(self, broker: Broker, settings: Settings, id: str, now: float, dirty: list[Outbox]) -> None:
        super().__init__(broker, settings, dirty)
        self.id = id
        self.local = False
        """Whether the client is on the server's own machine; the shell knows."""
        self.parser = Parser(settings.before_login, settings.strict)
        self.opened = now
        self.heard = now
        self.sent = now
        self.paused = False
        """Whether the shell has stopped reading: silence is then no sign of death."""
        self.sends: int = 0
        self.passcode: str | None = None
        self.notes: list[tuple[str, str]] = []
        self.beat: HeartBeat | None = None
        self._made: int = 0
        self.sins: dict[str, int] = {}
        self.request: str | None = None
        """The request-id of CONNECT."""
        self._warning = ""
        self.requested: tuple[int, int] = (0, 0)
        """The heart-beats of CONNECT."""
        self._full = False
        self._simple: int = 0
        """SENDs that needed nothing special, and were read header by header."""
        self._patience: int = LEARN
        self._transactions: Transactions | None = None

    # What the shell calls

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the client and do what the frames in them say."""
        self.heard = now
        if self.state > CONNECTED:
            return
        if self.state == AUTHENTICATING:
            self.parser.wait(data)
            return
        memory = self.broker.memory
        self._full = memory.used > memory.limit
        parser = self.parser
        while True:
            state: int = self.state
            self._process(parser.feed(data))
            # CONNECT settled how the rest is to be read: go on with what came in the same packet.
            if self.state != CONNECTED or state != CONNECTING:
                break
            data = b""
        if parser.error is not None and self.state <= CONNECTED:
            self.receipt = parser.error.receipt
            self.fail(parser.error)

    def _process(self, frames: list[Frame]) -> None:
        handlers = _HANDLERS[self.state]
        connected = self.state == CONNECTED
        strict = self.settings.strict
        try:
            for frame in frames:
                if self.trace is not None:
                    frame.read()
                    self.trace.append("received " + str(frame))
                command = frame.command
                number: int = 0
                if frame.lines:
                    self.receipt = frame.receipt
                    number = self._on_simple(frame)
                elif connected and command == "SEND":
                    # Not by the table, which costs a call by way of Python (bench: auto).
                    self._find_receipt(frame)
                    number = self.on_send(frame)
                else:
                    self._find_receipt(frame)
                    if command != "SEND" and frame.body:
                        if strict:
                            raise faults.needless_body(frame)
                        self.sin("body")
                    handler = handlers.get(command)
                    if handler is None:
                        handler = self._odd_command(frame)
                    number = handler(self, frame)
                if self.state != CONNECTED:
                    if self.state == LEAVING and self.receipt is not None:
                        self._owe(number, self.receipt)
                    break
                if self.receipt is not None:
                    # An ERROR that comes later, of something else, must not name it.
                    if self._warning:
                        self.answer(number)
                    else:
                        self._owe(number, self.receipt)
                        self.receipt = None
        except Teaching as error:
            self.fail(error)

    def _find_receipt(self, frame: Frame) -> None:
        # Two steps that mypyc makes cheaper than pop.
        self.receipt = frame.headers.get("receipt")
        if self.receipt is not None:
            del frame.headers["receipt"]

    def authenticated(self, welcome: bool, now: float) -> None:
        """The shell's answer about ``login`` and ``passcode``; frames that waited are processed."""
        self.passcode = None
        if self.state != AUTHENTICATING:
            return
        if welcome:
            try:
                connecting.welcome(self)
            except Teaching as error:
                self.fail(error)
            self.receive(b"", now)
        else:
            self.fail(faults.invalid_login())

    def tick(self, now: float) -> float | None:
        """Do what is due at ``now``; return when to be called next, None when nothing is to come."""
        if self.state == CONNECTING:
            due = self.opened + self.settings.login_timeout
            if now < due:
                return due
            self.fail(faults.late_login(self.settings.login_timeout))
            return None
        beat = self.beat
        if self.state != CONNECTED or beat is None:
            return None
        next: float | None = None
        if beat.expect:
            due = (now if self.paused else self.heard) + beat.patience()
            if now >= due:
                self.fail(faults.no_heartbeat(now - self.heard, beat.expect, self.version))
                return None
            next = due
        if beat.send:
            # A little early, so that it arrives in time.
            due = self.sent + 0.8 * beat.send
            if now >= due:
                if not self.outbox:
                    self.write(b"\n")
                due = now + 0.8 * beat.send
            next = due if next is None or due < next else next
        return next

    def end_of_stream(self) -> None:
        """The client will send no more, or the server is going: as after DISCONNECT, without a word."""
        if self.state <= CONNECTED:
            self.state = LEAVING
            self.ready = False
            self._mark()

    def resume(self) -> None:
        """The socket can take more: let the queues deliver again."""
        if self.state == CONNECTED and not self.ready:
            self.ready = True
            self.broker.resume(self)

    @property
    def closing(self) -> bool:
        """Whether nothing is left but to flush and close."""
        return self.state > CONNECTED and self._owed is None

    @property
    def transacted(self) -> int:
        """Bytes of memory that open transactions hold."""
        return self._transactions.bytes if self._transactions is not None else 0

    def lost(self) -> None:
        """The connection is gone: put back what was not settled, abort transactions. May be called again."""
        if self.state == GONE:
            return
        self.state = GONE
        transactions = self._transactions
        if transactions is not None:
            self.broker.memory.used -= transactions.bytes
            self._transactions = None
        self._owed = None
        self.broker.memory.used -= self.behind
        self.behind = 0
        self.broker.drop(self)
        temporary.leave(self)
        clients.release(self)
        lenience.confess(self)

    def fail(self, error: Teaching) -> None:
        """Tell the client what was wrong; nothing is read or sent after it (STOMP 1.2, ERROR)."""
        if self.state >= FAILED:
            return
        known = self.state == CONNECTED
        self.state = FAILED
        self.ready = False
        self.parser.stop()
        body = error.explanation().encode("utf-8", "replace")
        headers = [("message", error.summary.partition("\n")[0][:200])]
        if self.receipt is not None:
            headers.append(("receipt-id", self.receipt))
        if isinstance(error, faults.VersionError):
            headers.append(("version", OFFERED))
        headers.append(("content-type", "text/plain;charset=utf-8"))
        headers.append(("content-length", str(len(body))))
        self.notes.append(("error", str(error)))
        octets = encode_frame("ERROR", headers, body, self.text() if known else RAW)
        if not self.broker.room:
            # Receipts wait until the storage has room, which may take hours: the client is told now.
            self._owed = None
        owed = self._owed
        self._settle_debt(owed[-1][0] if owed is not None else 0, octets)
        self.receipt = None

    # What the broker calls

    def lag(self, subscription: Subscription) -> None:
        """A topic's subscriber has fallen too far behind: whole frames not yet at the socket are let go."""
        if self.state != CONNECTED:
            return
        self.take()
        self.receipt = None
        self.fail(faults.too_slow(subscription.destination, subscription.label, self.settings.lag))

    # Connecting

    def on_connect(self, frame: Frame) -> int:
        """CONNECT or STOMP."""
        return connecting.connect(self, frame)

    # Sending

    def on_send(self, frame: Frame) -> int:
        """SEND: to the broker, into a transaction, or into the schedule."""
        headers = frame.headers
        destination = headers.get("destination")
        if not destination:
            raise faults.missing("destination", frame, self.version)
        del headers["destination"]
        if "content-length" in headers:
            del headers["content-length"]
        message = Message(
            destination, headers, frame.body, frame.length + len(frame.body) + OVERHEAD, frame.plain
        )
        self.sends += 1
        if self._full:
            raise faults.out_of_memory(self.broker.memory.limit, "header destination")
        # Nearly all need no more than this (bench: auto, growth).
        queue = self.broker.queues.get(destination)
        if (queue is None or not queue.open) and destination not in self.broker.naming.plain:
            return sending.send(self, message)
        if not _SPECIAL.isdisjoint(headers) and (
            headers.get("persistent") != "true" or len(_SPECIAL.intersection(headers)) > 1
        ):
            return sending.send(self, message)
        if frame.block:
            self._simple += 1
            if self._simple >= self._patience:
                self._simple = 0
                self._patience *= 2
                self.parser.learn(frame.block)
        if queue is not None:
            queue.open = True
            return self.broker.take(queue, message, self)
        return self.broker.send(message, self)

    def _on_simple(self, frame: Frame) -> int:
        """A SEND like those before it, by the shortest way where that is open (bench: auto)."""
        name = frame.destination
        broker = self.broker
        queue = broker.queues.get(name)
        if self._full or ((queue is None or not queue.open) and name not in broker.naming.plain):
            frame.read()
            self._find_receipt(frame)
            return self.on_send(frame)
        self.sends += 1
        body = frame.body
        message = Message(name, None, body, frame.length + len(body) + OVERHEAD, True)
        message.lines = frame.lines
        if queue is not None:
            return broker.take(queue, message, self)
        return broker.send(message, self)

    # Transactions

    def queue_up(self, id: str, actions: list[Action], size: int) -> None:
        """Add ``actions`` to a transaction, each of ``size`` bytes. Raises ProtocolError without one of that name."""
        transactions = self.need_transactions()
        transaction = transactions.get(id)
        for action in actions:
            transactions.add(transaction, action, size)
            self.broker.memory.used += size

    def need_transactions(self) -> Transactions:
        """The open transactions."""
        transactions = self._transactions
        if transactions is None:
            settings = self.settings
            transactions = self._transactions = Transactions(
                settings.max_transactions, settings.max_transaction_frames, settings.max_transaction_bytes
            )
        return transactions

    def on_begin(self, frame: Frame) -> int:
        """BEGIN: open a transaction."""
        self.need_transactions().begin(self.required(frame, "transaction"))
        return 0

    def on_commit(self, frame: Frame) -> int:
        """COMMIT: all of the transaction at once, or an ERROR and nothing of it."""
        transaction = self.need_transactions().end(self.required(frame, "transaction"))
        self.broker.memory.used -= transaction.bytes
        number = self.broker.apply(transaction.actions, self)
        acks.settled(self, transaction.actions)
        return number

    def on_abort(self, frame: Frame) -> int:
        """ABORT: forget the transaction; the deliveries it held may be settled again."""
        transaction = self.need_transactions().end(self.required(frame, "transaction"))
        self.broker.memory.used -= transaction.bytes
        acks.free(transaction.actions)
        return 0

    # Acknowledging

    def on_ack(self, frame: Frame) -> int:
        """ACK: this delivery, or with ack:client all up to it, is consumed."""
        headers = frame.headers
        if self.version.settles == BY_ACK_ID and "transaction" not in headers:
            # The common case without a detour (bench: individual).
            name = headers.get("id", "")
            delivery = self.deliveries.get(name)
            if delivery is not None and delivery.held is None and delivery.subscription.mode == INDIVIDUAL:
                del self.deliveries[name]
                return self.broker.ack(delivery)
        return acks.settle(self, frame, ACK)

    def on_nack(self, frame: Frame) -> int:
        """NACK: this delivery, or with ack:client all up to it, comes back, as its headers say."""
        if "NACK" not in self.version.commands:
            raise faults.unknown_command(frame, self.version, self.state)
        return acks.settle(self, frame, NACK)

    # Subscribing

    def on_subscribe(self, frame: Frame) -> int:
        """SUBSCRIBE."""
        return subscribing.subscribe(self, frame)

    def on_unsubscribe(self, frame: Frame) -> int:
        """UNSUBSCRIBE."""
        return subscribing.unsubscribe(self, frame)

    def name_subscription(self) -> str:
        """An id for a subscription of 1.0, where clients need not give one."""
        self._made += 1
        return str(self._made)

    # What lenience forgives, and what could not be done as asked

    def sin(self, name: str, times: int = 1) -> None:
        """Count something that is against the rules and was forgiven (see dialect.SINS)."""
        if times:
            self.sins[name] = self.sins.get(name, 0) + times

    def warn(self, text: str) -> None:
        """Log what could not be done as asked, and say so on the frame's RECEIPT; "" is nothing to say."""
        if text:
            self.notes.append(("warning", text))
            if self.receipt is not None:
                self._warning = self._warning + "; " + text if self._warning else text

    def answer(self, number: int) -> None:
        """Owe the RECEIPT of the frame in hand, if it wants one, before what follows from it is sent."""
        if self.receipt is not None:
            self._owe(number, self.receipt, self._warning)
            self.receipt = None
        self._warning = ""

    # Leaving

    def on_disconnect(self, frame: Frame) -> int:
        """DISCONNECT: its receipt is the last word (STOMP 1.2, DISCONNECT)."""
        self.end_of_stream()
        return self.broker.log.number

    def required(self, frame: Frame, name: str) -> str:
        """A header's value. Raises ProtocolError when it is not there, or empty."""
        value = frame.headers.get(name)
        if not value:
            raise faults.missing(name, frame, self.version)
        return value

    def _odd_command(self, frame: Frame) -> Callable[[Session, Frame], int]:
        """The handler for a command that is not in the table, where one can be meant; else raises."""
        word = frame.command.strip().upper()
        if self.state == CONNECTING:
            original = frame.headers.get("accept-version") is None and not self.settings.strict
            if original and word == "CONNECT":
                self.sin("command-case")
                frame.command = word
                return _HANDLERS[CONNECTING][word]
            raise faults.first_command(frame, self.version, self.state)
        handler = _HANDLERS[self.state].get(word)
        if handler is None or not self.version.any_case or self.settings.strict:
            raise faults.unknown_command(frame, self.version, self.state)
        self.sin("command-case")
        frame.command = word
        return handler


_HANDLERS: Final[dict[int, dict[str, Callable[[Session, Frame], int]]]] = {
    state: {command: getattr(Session, name) for command, name in cells.items()}
    for state, cells in TABLE.items()
}
