"""One client's conversation: bytes in, bytes out; no socket, no clock, no await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import ACK, NACK, SEND, Action, Broker
from stompserver.broker.destination import MONITOR
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.subscription import AUTO, CLIENT, INDIVIDUAL, Subscription
from stompserver.errors import Teaching
from stompserver.session import acks, dialect, faults
from stompserver.session.heartbeat import HeartBeat, agree, parse
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
from stompserver.session.versions import BY_ACK_ID, OFFERED, V10, negotiate
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, encode_frame
from stompserver.wire.parser import Parser

_SPECIAL: Final = dialect.PRIVATE | {"max-exceptions", *dialect.PERSISTENT}


class Session(Outbox):
    """The protocol machine of one connection.

    The shell calls ``receive`` with what arrived, ``tick`` when the time it returned has come, ``durable``
    when the store's watermark moved, ``lost`` at the end; ``now`` is any clock in seconds. What to send is in
    ``outbox`` (take it with ``take``); a session with something new in it has put itself into ``dirty``.
    When ``state`` is AUTHENTICATING the shell checks ``login`` and ``passcode`` and calls ``authenticated``.
    When ``closing`` is true it flushes, calls ``lost`` and closes. ``notes`` are events to be logged,
    ``trace`` frames when it is a list.
    """

    __slots__ = (
        "_beat",
        "_full",
        "_made",
        "_receipt",
        "_requested",
        "_transactions",
        "heard",
        "id",
        "login",
        "notes",
        "opened",
        "parser",
        "passcode",
        "paused",
        "sends",
        "sent",
    )

    def __init__(self, broker: Broker, settings: Settings, id: str, now: float, dirty: list[Outbox]) -> None:
        super().__init__(broker, settings, dirty)
        self.id = id
        self.parser = Parser(settings.before_login, settings.strict)
        self.opened = now
        self.heard = now
        self.sent = now
        self.paused = False
        """Whether the shell has stopped reading: silence is then no sign of death."""
        self.sends: int = 0
        self.login: str | None = None
        self.passcode: str | None = None
        self.notes: list[tuple[str, str]] = []
        self._beat: HeartBeat | None = None
        self._made: int = 0
        self._receipt: str | None = None
        self._requested: tuple[int, int] = (0, 0)
        self._full = False
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
            self._receipt = parser.error.receipt
            self.fail(parser.error)

    def _process(self, frames: list[Frame]) -> None:
        handlers = _HANDLERS[self.state]
        strict = self.settings.strict
        try:
            for frame in frames:
                if self.trace is not None:
                    self.trace.append("received " + str(frame))
                self._receipt = frame.headers.pop("receipt", None)
                if strict and frame.body and frame.command != "SEND":
                    raise faults.needless_body(frame)
                handler = handlers.get(frame.command)
                if handler is None:
                    handler = self._odd_command(frame)
                number: int = handler(self, frame)
                if self.state != CONNECTED:
                    if self.state == LEAVING and self._receipt is not None:
                        self._owe(number, self._receipt)
                    break
                if self._receipt is not None:
                    self._owe(number, self._receipt)
                    # An ERROR that comes later, of something else, must not name it.
                    self._receipt = None
        except Teaching as error:
            self.fail(error)

    def authenticated(self, welcome: bool, now: float) -> None:
        """The shell's answer about ``login`` and ``passcode``; frames that waited are processed."""
        self.passcode = None
        if self.state != AUTHENTICATING:
            return
        if welcome:
            self._welcome()
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
        beat = self._beat
        if self.state != CONNECTED or beat is None:
            return None
        next: float | None = None
        if beat.expect:
            due = self.heard + beat.patience()
            if self.paused:
                due = now + beat.patience()
            if now >= due:
                self.fail(faults.no_heartbeat(now - self.heard, beat.expect, self.version))
                return None
            next = due
        if beat.send:
            # A little early, so that it arrives in time.
            due = self.sent + 0.8 * beat.send
            if now >= due:
                if not self.outbox:
                    self._write(b"\n")
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
        if self._receipt is not None:
            headers.append(("receipt-id", self._receipt))
        if isinstance(error, faults.VersionError):
            headers.append(("version", OFFERED))
        headers.append(("content-type", "text/plain;charset=utf-8"))
        headers.append(("content-length", str(len(body))))
        self.notes.append(("error", str(error)))
        octets = encode_frame("ERROR", headers, body, self._text() if known else RAW)
        if not self.broker.room:
            # Receipts wait until the storage has room, which may take hours: the client is told now.
            self._owed = None
        owed = self._owed
        self._settle_debt(owed[-1][0] if owed is not None else 0, octets)
        self._receipt = None

    # What the broker calls

    def lag(self, subscription: Subscription) -> None:
        """A topic's subscriber has fallen too far behind: whole frames not yet at the socket are let go."""
        if self.state != CONNECTED:
            return
        self.take()
        self._receipt = None
        self.fail(faults.too_slow(subscription.destination, subscription.label, self.settings.lag))

    # Connecting

    def on_connect(self, frame: Frame) -> int:
        """CONNECT or STOMP: settle the version, then welcome the client or have its login checked."""
        headers = frame.headers
        version = negotiate(headers.get("accept-version"), self.settings.strict)
        if version is None:
            raise faults.no_version(headers["accept-version"])
        self.version = version
        if version is V10:
            headers = {name.strip(): value.strip() for name, value in headers.items()}
            if self._receipt is not None:
                self._receipt = self._receipt.strip()
        if version.beats:
            self._requested = parse(headers.get("heart-beat"), self.settings.strict)
            if self.settings.strict and dialect.first(headers, dialect.HOST) is None:
                raise faults.no_host(version)
        self.login = headers.get("login")
        self.passcode = headers.get("passcode")
        if self.settings.authenticate:
            self.state = AUTHENTICATING
            return 0
        self._welcome()
        return 0

    def _welcome(self) -> None:
        settings = self.settings
        version = self.version
        self.passcode = None
        headers = [("version", version.number), ("session", self.id), ("server", settings.server)]
        if version.beats:
            ours, asked = settings.heart_beat
            headers.append(("heart-beat", f"{ours},{asked}"))
            beat = agree(self._requested, settings.heart_beat)
            if beat.send or beat.expect:
                self._beat = beat
        if self._receipt is not None:
            # No RECEIPT frame answers CONNECT; ActiveMQ's clients look for this header (dialects.md 1.13).
            headers.append(("receipt-id", self._receipt))
            self._receipt = None
        self._write(encode_frame("CONNECTED", headers, b"", RAW))
        self.parser.open(self._text(), settings.limits)
        self.state = CONNECTED
        self.ready = True
        self.notes.append(("connected", version.number))

    # Sending

    def on_send(self, frame: Frame) -> int:
        """SEND: to the broker, or into a transaction."""
        headers = frame.headers
        destination = headers.pop("destination", None)
        if not destination:
            raise faults.missing("destination", frame, self.version)
        headers.pop("content-length", None)
        message = Message(
            destination, headers, frame.body, frame.length + len(frame.body) + OVERHEAD, frame.plain
        )
        self.sends += 1
        if self._full:
            raise faults.out_of_memory(self.broker.memory.limit, "header destination")
        if not _SPECIAL.isdisjoint(headers):
            transaction = headers.get("transaction")
            message.persistent = dialect.truth(dialect.first(headers, dialect.PERSISTENT), True)
            message.exceptions = dialect.exceptions(headers)
            for name in dialect.PRIVATE.intersection(headers):
                del headers[name]
            if transaction is not None:
                self._queue_up(transaction, [Action(SEND, message)], message.size)
                return 0
        return self.broker.send(message)

    # Transactions

    def _queue_up(self, id: str, actions: list[Action], size: int) -> None:
        transactions = self._need_transactions()
        transaction = transactions.get(id)
        for action in actions:
            transactions.add(transaction, action, size)
            self.broker.memory.used += size

    def _need_transactions(self) -> Transactions:
        transactions = self._transactions
        if transactions is None:
            settings = self.settings
            transactions = self._transactions = Transactions(
                settings.max_transactions, settings.max_transaction_frames, settings.max_transaction_bytes
            )
        return transactions

    def on_begin(self, frame: Frame) -> int:
        """BEGIN: open a transaction."""
        self._need_transactions().begin(self._required(frame, "transaction"))
        return 0

    def on_commit(self, frame: Frame) -> int:
        """COMMIT: all of the transaction at once, or an ERROR and nothing of it."""
        transaction = self._need_transactions().end(self._required(frame, "transaction"))
        self.broker.memory.used -= transaction.bytes
        number = self.broker.apply(transaction.actions)
        for action in transaction.actions:
            delivery = action.delivery
            if delivery is not None:
                # What came back may have been delivered again meanwhile, under the same name in 1.0 and 1.1.
                if self.deliveries.get(delivery.name) is delivery:
                    del self.deliveries[delivery.name]
                acks.trim(delivery)
        return number

    def on_abort(self, frame: Frame) -> int:
        """ABORT: forget the transaction; the deliveries it held may be settled again."""
        transaction = self._need_transactions().end(self._required(frame, "transaction"))
        self.broker.memory.used -= transaction.bytes
        for action in transaction.actions:
            if action.delivery is not None:
                action.delivery.held = None
        return 0

    # Acknowledging

    def on_ack(self, frame: Frame) -> int:
        """ACK: this delivery, or with ack:client all up to it, is consumed."""
        headers = frame.headers
        if self.version.settles == BY_ACK_ID and "transaction" not in headers:
            # The common case without a detour (bench: individual).
            name = headers.get("id")
            delivery = self.deliveries.get(name) if name is not None else None
            if delivery is not None and delivery.held is None and delivery.subscription.mode == INDIVIDUAL:
                del self.deliveries[delivery.name]
                return self.broker.ack(delivery)
        return self._settle(frame, ACK, False)

    def on_nack(self, frame: Frame) -> int:
        """NACK: this delivery, or with ack:client all up to it, comes back; requeue:false gives it up."""
        if "NACK" not in self.version.commands:
            raise faults.unknown_command(frame, self.version, self.state)
        return self._settle(frame, NACK, dialect.truth(frame.headers.get("requeue"), True))

    def _settle(self, frame: Frame, kind: int, requeue: bool) -> int:
        headers = frame.headers
        for name in self.version.required[frame.command.upper()]:
            if name not in headers:
                raise faults.missing(name, frame, self.version)
        found = acks.find(self, self.version, frame.command.upper(), headers, self.settings.strict)
        transaction = headers.get("transaction")
        if found is None:
            if transaction is not None:
                self._need_transactions().get(transaction)
            return 0
        deliveries = acks.covered(found)
        if transaction is not None:
            actions = [Action(kind, None, delivery, requeue) for delivery in deliveries]
            self._queue_up(transaction, actions, 0)
            for delivery in deliveries:
                delivery.held = transaction
            return 0
        for delivery in deliveries:
            del self.deliveries[delivery.name]
        number: int = 0
        if kind == NACK:
            number = self.broker.nack(deliveries, requeue)
        else:
            for delivery in deliveries:
                number = self.broker.ack(delivery)
        acks.trim(found)
        return number

    # Subscribing

    def on_subscribe(self, frame: Frame) -> int:
        """SUBSCRIBE: the RECEIPT goes out before what already waits in a queue."""
        headers = frame.headers
        destination = self._required(frame, "destination")
        label = headers.get("id", "")
        if "id" in self.version.required["SUBSCRIBE"]:
            id = self._required(frame, "id")
            if id in self.subscriptions:
                raise faults.id_in_use(id, self.version)
        else:
            self._made += 1
            id = str(self._made)
        asked = headers.get("ack", "auto")
        mode = dialect.ACK_MODES.get(asked)
        if mode is None:
            raise faults.unknown_ack_mode(asked)
        if len(self.subscriptions) >= self.settings.max_subscriptions:
            raise faults.too_many_subscriptions(self.settings.max_subscriptions)
        subscription = Subscription(self, id, destination, *self._mode(destination, mode, headers))
        subscription.label = label
        prefix = [("subscription", label)] if label or self.version is not V10 else []
        if destination == MONITOR and mode != AUTO and self.version.settles == BY_ACK_ID:
            prefix.append(("ack", acks.MONITOR_ACK))
        text = self._text()
        subscription.prefix = text.octetize(
            "MESSAGE\n" + "".join([text.line(name, value) for name, value in prefix])
        )
        number = self.broker.subscribe(subscription)
        self.subscriptions[id] = subscription
        self.notes.append(("subscribed", destination))
        if self._receipt is not None:
            self._owe(number, self._receipt)
            self._receipt = None
        self.broker.start(subscription)
        return number

    def _mode(self, destination: str, mode: int, headers: dict[str, str]) -> tuple[int, int]:
        """The mode and prefetch that a subscription really has.

        As in the original, the monitor's reports never count as unsettled, nor does 1.0 acknowledge topics. In
        1.1 and 1.2 a topic's subscriber may, but is not held back unless it asks for a prefetch.
        """
        settings = self.settings
        if destination == MONITOR:
            return AUTO, 0
        if self.broker.is_queue(destination):
            ten = mode == CLIENT and self.version is V10
            return mode, dialect.prefetch(headers, settings.prefetch10 if ten else settings.prefetch)
        if self.version is V10:
            return AUTO, 0
        return mode, dialect.prefetch(headers, 0)

    def on_unsubscribe(self, frame: Frame) -> int:
        """UNSUBSCRIBE: by id, or in 1.0 by destination too; what was handed out may still be settled."""
        headers = frame.headers
        if self.version is not V10:
            id = self._required(frame, "id")
            subscription = self.subscriptions.get(id)
            if subscription is None:
                raise faults.unknown_subscription(id, self.version)
            ended = [subscription]
        else:
            label = headers.get("id")
            destination = headers.get("destination")
            if label is None and destination is None:
                raise faults.missing("destination", frame, self.version)
            ended = [
                s
                for s in self.subscriptions.values()
                if (s.label == label if label is not None else s.destination == destination)
            ]
        number: int = 0
        for subscription in ended:
            del self.subscriptions[subscription.id]
            number = self.broker.unsubscribe(subscription)
            self.notes.append(("unsubscribed", subscription.destination))
        return number

    # Leaving

    def on_disconnect(self, frame: Frame) -> int:
        """DISCONNECT: its receipt is the last word (STOMP 1.2, DISCONNECT)."""
        self.state = LEAVING
        self.ready = False
        self._mark()
        return self.broker.log.number

    def _required(self, frame: Frame, name: str) -> str:
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
                frame.command = word
                return _HANDLERS[CONNECTING][word]
            raise faults.first_command(frame, self.version, self.state)
        handler = _HANDLERS[self.state].get(word)
        if handler is None or not self.version.any_case or self.settings.strict:
            raise faults.unknown_command(frame, self.version, self.state)
        frame.command = word
        return handler


_HANDLERS: Final[dict[int, dict[str, Callable[[Session, Frame], int]]]] = {
    state: {command: getattr(Session, name) for command, name in cells.items()}
    for state, cells in TABLE.items()
}
