"""One client's conversation: bytes in, bytes out; no socket, no clock, no await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import ACK, NACK, SEND, Action, Broker
from stompserver.broker.destination import MONITOR
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Consumer, Delivery, Subscription
from stompserver.errors import ProtocolError, Refused, Teaching
from stompserver.session import acks, dialect
from stompserver.session.heartbeat import HeartBeat, agree, parse
from stompserver.session.state import (
    AUTHENTICATING,
    CONNECTED,
    CONNECTING,
    FAILED,
    GONE,
    LEAVING,
    NAMES,
    SERVER_COMMANDS,
    TABLE,
)
from stompserver.session.transactions import Transactions
from stompserver.session.versions import BY_ACK_ID, OFFERED, V10, Version, negotiate
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, Text, encode_block, encode_frame
from stompserver.wire.parser import Limits, Parser

OUTBOX_HIGH: Final = 256 * 1024
"""Bytes in the outbox above which queues hold their messages back until the socket took some."""

_SPECIAL: Final = dialect.PRIVATE | {"max-exceptions", *dialect.PERSISTENT}
_HTTP: Final = ("GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "PRI ", "CONNECT ")


class Settings:
    """What a session was told: plain values from the configuration.

    ``heart_beat`` is what the server can send and wants to get, in ms; ``login_timeout`` in s; ``prefetch``
    and ``prefetch10`` (for 1.0 with ack:client) in messages; ``lag`` is the bytes that a topic's subscriber
    may fall behind; ``authenticate`` makes each CONNECT wait for the shell's answer.
    """

    __slots__ = (
        "authenticate",
        "before_login",
        "heart_beat",
        "lag",
        "limits",
        "login_timeout",
        "max_subscriptions",
        "max_transaction_bytes",
        "max_transaction_frames",
        "max_transactions",
        "prefetch",
        "prefetch10",
        "server",
        "strict",
    )

    def __init__(
        self,
        server: str = "stompserver",
        authenticate: bool = False,
        strict: bool = False,
        before_login: Limits | None = None,
        limits: Limits | None = None,
        heart_beat: tuple[int, int] = (1000, 1000),
        login_timeout: float = 10.0,
        prefetch: int = 100,
        prefetch10: int = 1,
        max_subscriptions: int = 1000,
        max_transactions: int = 100,
        max_transaction_frames: int = 10_000,
        max_transaction_bytes: int = 64 << 20,
        lag: int = 16 << 20,
    ) -> None:
        self.server = server
        self.authenticate = authenticate
        self.strict = strict
        self.before_login = before_login or Limits(64 << 10, 100, 64 << 10)
        self.limits = limits or Limits(100 << 20, 100, 64 << 10)
        self.heart_beat = heart_beat
        self.login_timeout = login_timeout
        self.prefetch: int = prefetch
        self.prefetch10: int = prefetch10
        self.max_subscriptions: int = max_subscriptions
        self.max_transactions: int = max_transactions
        self.max_transaction_frames: int = max_transaction_frames
        self.max_transaction_bytes: int = max_transaction_bytes
        self.lag: int = lag


class Session(Consumer):
    """The protocol machine of one connection.

    The shell calls ``receive`` with what arrived, ``tick`` when the time it returned has come, ``durable``
    when the store's watermark moved, ``lost`` at the end; ``now`` is any clock in seconds. What to send is in
    ``outbox`` (take it with ``take``); a session with something new in it has put itself into ``dirty``.
    When ``state`` is AUTHENTICATING the shell checks ``login`` and ``passcode`` and calls ``authenticated``.
    When ``closing`` is true it flushes, calls ``lost`` and closes. ``notes`` are events to be logged,
    ``trace`` frames when it is a list.
    """

    __slots__ = (
        "_acks",
        "_beat",
        "_dirty",
        "_full",
        "_made",
        "_owed",
        "_receipt",
        "_requested",
        "_transactions",
        "broker",
        "heard",
        "id",
        "login",
        "notes",
        "opened",
        "outbox",
        "outbox_bytes",
        "parser",
        "passcode",
        "paused",
        "queued",
        "sends",
        "sent",
        "settings",
        "state",
        "trace",
        "version",
    )

    def __init__(self, broker: Broker, settings: Settings, id: str, now: float, dirty: list[Session]) -> None:
        super().__init__()
        self.broker = broker
        self.settings = settings
        self.id = id
        self.state: int = CONNECTING
        self.version: Version = V10
        self.parser = Parser(settings.before_login, settings.strict)
        self.outbox: list[bytes] = []
        self.outbox_bytes: int = 0
        self.queued = False
        """Whether ``dirty`` has this session."""
        self.opened = now
        self.heard = now
        self.sent = now
        self.paused = False
        """Whether the shell has stopped reading: silence is then no sign of death."""
        self.sends: int = 0
        self.login: str | None = None
        self.passcode: str | None = None
        self.notes: list[tuple[str, str]] = []
        self.trace: list[str] | None = None
        self._dirty = dirty
        self._beat: HeartBeat | None = None
        self._acks: int = 0
        self._made: int = 0
        self._owed: list[tuple[int, bytes]] | None = None
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
                    self._no_body(frame)
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
            self.fail(
                Refused(
                    "Invalid Login",
                    where="headers login and passcode",
                    rule="This server wants a valid login (option auth)",
                    mend="Check login and passcode, or ask the server's administrator.",
                )
            )

    def tick(self, now: float) -> float | None:
        """Do what is due at ``now``; return when to be called next, None when nothing is to come."""
        if self.state == CONNECTING:
            due = self.opened + self.settings.login_timeout
            if now < due:
                return due
            self.fail(
                Refused(
                    "No CONNECT in time",
                    where="the connection",
                    rule=f"This server waits {self.settings.login_timeout:g} s for a login (login-timeout)",
                    mend="Send CONNECT at once after connecting, and the passcode with it.",
                )
            )
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
                self.fail(
                    Refused(
                        "No heart-beat in time",
                        where=f"the connection, silent for {now - self.heard:.1f} s",
                        rule=f"{self.version.section}, Heart-beating: data at least every {beat.expect:g} s was"
                        " agreed",
                        mend="Send a line feed that often, or agree on a longer heart-beat.",
                    )
                )
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

    def durable(self, number: int) -> None:
        """Pay what is owed up to ``number`` of the op log."""
        owed = self._owed
        if owed is None:
            return
        paid: int = 0
        for due, octets in owed:
            if due > number:
                break
            self._write(octets)
            paid += 1
        self._owed = owed[paid:] if paid < len(owed) else None

    def end_of_stream(self) -> None:
        """The client will send no more: as after DISCONNECT, without a word."""
        if self.state <= CONNECTED:
            self.state = LEAVING
            self.ready = False
            self._mark()

    def take(self) -> bytes:
        """The octets to send now; empties the outbox."""
        octets = b"".join(self.outbox)
        self.outbox.clear()
        self.outbox_bytes = 0
        return octets

    def resume(self) -> None:
        """The socket can take more: let the queues deliver again."""
        if self.state == CONNECTED and not self.ready:
            self.ready = True
            self.broker.resume(self)

    def quit(self) -> None:
        """The server is going: end without an ERROR once everything owed is out."""
        self.end_of_stream()

    @property
    def closing(self) -> bool:
        """Whether nothing is left but to flush and close."""
        return self.state > CONNECTED and self._owed is None

    @property
    def owing(self) -> bool:
        """Whether the client must be read to give memory back: it has messages to ACK, or a COMMIT to send."""
        transactions = self._transactions
        return bool(self.deliveries) or (transactions is not None and bool(transactions.open))

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
        self.broker.drop(self)

    def fail(self, error: Teaching) -> None:
        """Tell the client what was wrong; nothing is read or sent after it (STOMP 1.2, ERROR)."""
        if self.state >= FAILED:
            return
        known = self.state == CONNECTED
        self.state = FAILED
        self.ready = False
        body = error.explanation().encode("utf-8", "replace")
        headers = [("message", error.summary.partition("\n")[0][:200])]
        if self._receipt is not None:
            headers.append(("receipt-id", self._receipt))
        if isinstance(error, VersionError):
            headers.append(("version", OFFERED))
        headers.append(("content-type", "text/plain"))
        headers.append(("content-length", str(len(body))))
        self.notes.append(("error", str(error)))
        octets = encode_frame("ERROR", headers, body, self._text() if known else RAW)
        self._settle_debt(self.broker.log.number, octets)
        self._receipt = None

    # What the broker calls

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Append a MESSAGE to the outbox."""
        if self.state != CONNECTED:
            return
        head = message.head
        if head is None:
            head = self._head(message)
        out = self.outbox
        if subscription.mode == AUTO:
            out.append(subscription.prefix)
        else:
            if self.version.settles == BY_ACK_ID:
                self._acks += 1
                name = str(self._acks)
                out.append(b"%back:%d\n" % (subscription.prefix, self._acks))
            else:
                name = acks.pair(str(message.number), subscription.id)
                out.append(subscription.prefix)
            delivery = Delivery(name, subscription, message)
            self.deliveries[name] = delivery
            if subscription.order is not None:
                subscription.order.append(delivery)
        if message.attempts:
            out.append(b"redelivered:true\n")
        out.append(head)
        out.append(message.body)
        out.append(b"\0\n")
        waiting: int = self.outbox_bytes + message.size
        self.outbox_bytes = waiting
        if waiting > OUTBOX_HIGH:
            self.ready = False
            if waiting > self.settings.lag and subscription.topic is not None:
                self.lag(subscription)
        if self.trace is not None:
            self.trace.append(f"sent MESSAGE {subscription.label} {message.number} {message.destination}")
        if not self.queued:
            self._mark()

    def lag(self, subscription: Subscription) -> None:
        """A topic's subscriber has fallen too far behind: whole frames not yet at the socket are let go."""
        if self.state != CONNECTED:
            return
        self.outbox.clear()
        self.outbox_bytes = 0
        self._receipt = None
        self.fail(
            Refused(
                "Too slow for topic " + subscription.destination[:80],
                where="subscription " + subscription.label[:80],
                rule=f"This server keeps {self.settings.lag} bytes for a subscriber that does not read or"
                " acknowledge (slow-subscriber-limit)",
                mend="Read faster, subscribe to less, use a queue, or raise the option.",
            )
        )

    def _head(self, message: Message) -> bytes:
        """The header lines that all deliveries of ``message`` share, and the empty line."""
        if message.plain:
            parts = [
                f"destination:{message.destination}\nmessage-id:{message.number}\n"
                f"content-length:{len(message.body)}\n"
            ]
            parts.extend([f"{name}:{value}\n" for name, value in message.headers.items()])
            parts.append("\n")
            head = message.head = "".join(parts).encode()
            return head
        text = self._text()
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

    # Connecting

    def on_connect(self, frame: Frame) -> int:
        """CONNECT or STOMP: settle the version, then welcome the client or have its login checked."""
        headers = frame.headers
        version = negotiate(headers.get("accept-version"))
        if version is None:
            raise VersionError(
                "Supported protocol versions are " + OFFERED.replace(",", " "),
                where="header accept-version: " + headers["accept-version"][:60],
                rule="STOMP 1.2, Protocol Negotiation",
                mend="Send accept-version with one of them.",
            )
        self.version = version
        if version is V10:
            headers = {name.strip(): value.strip() for name, value in headers.items()}
        elif frame.command not in _OPENING:
            raise self._unknown_command(frame)
        if version.beats:
            self._requested = parse(headers.get("heart-beat"))
            if self.settings.strict and dialect.first(headers, dialect.HOST) is None:
                raise ProtocolError(
                    "CONNECT without host",
                    where="header host",
                    rule=version.section + ", CONNECT or STOMP Frame: host is required",
                    mend="Send host with the name of the virtual host, for example the server's name.",
                )
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
            raise self._missing("destination", frame)
        headers.pop("content-length", None)
        message = Message(
            destination, headers, frame.body, frame.length + len(frame.body) + OVERHEAD, frame.plain
        )
        self.sends += 1
        if self._full and self.owing:
            self._refuse_memory()
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

    def _refuse_memory(self) -> None:
        raise Refused(
            "Out of memory for messages",
            where="header destination",
            rule=f"This server holds {self.broker.memory.limit} bytes of messages (memory-limit)",
            mend="Consume first, acknowledge what was delivered, or raise the option.",
        )

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
        for action in transaction.actions:
            if action.delivery is not None:
                self.deliveries.pop(action.delivery.name, None)
        number = self.broker.apply(transaction.actions)
        for action in transaction.actions:
            if action.delivery is not None:
                acks.trim(action.delivery)
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
            raise self._unknown_command(frame)
        return self._settle(frame, NACK, dialect.truth(frame.headers.get("requeue"), True))

    def _settle(self, frame: Frame, kind: int, requeue: bool) -> int:
        headers = frame.headers
        for name in self.version.required[frame.command.upper()]:
            if name not in headers:
                raise self._missing(name, frame)
        found = acks.find(self, self.version, headers, self.settings.strict)
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
                raise ProtocolError(
                    "Subscription id is in use: " + id[:80],
                    where="header id",
                    rule=self.version.section + ", SUBSCRIBE id Header: ids of a connection differ",
                    mend="Take another id, or UNSUBSCRIBE first.",
                )
        else:
            self._made += 1
            id = str(self._made)
        asked = headers.get("ack", "auto")
        mode = dialect.ACK_MODES.get(asked)
        if mode is None:
            raise ProtocolError(
                "Unknown ack mode: " + asked[:40],
                where="header ack",
                rule="STOMP, SUBSCRIBE ack Header: auto, client or client-individual",
                mend="Send one of them, or leave the header out for auto.",
            )
        if len(self.subscriptions) >= self.settings.max_subscriptions:
            raise Refused(
                "Too many subscriptions",
                where="header id",
                rule=f"This server takes {self.settings.max_subscriptions} on a connection (max-subscriptions)",
                mend="Subscribe to less, or raise the option.",
            )
        alone = mode == 1 and self.version is V10
        prefetch = dialect.prefetch(headers, self.settings.prefetch10 if alone else self.settings.prefetch)
        subscription = Subscription(self, id, destination, AUTO if destination == MONITOR else mode, prefetch)
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

    def on_unsubscribe(self, frame: Frame) -> int:
        """UNSUBSCRIBE: by id, or in 1.0 by destination too; what was handed out may still be settled."""
        headers = frame.headers
        if self.version is not V10:
            id = self._required(frame, "id")
            subscription = self.subscriptions.get(id)
            if subscription is None:
                raise ProtocolError(
                    "No such subscription: " + id[:80],
                    where="header id",
                    rule=self.version.section + ", UNSUBSCRIBE: the id of an existing subscription",
                    mend="Send the id of the SUBSCRIBE, on the same connection.",
                )
            ended = [subscription]
        else:
            label = headers.get("id")
            destination = headers.get("destination")
            if label is None and destination is None:
                raise self._missing("destination", frame)
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

    # Writing

    def _text(self) -> Text:
        return self.version.strict_text if self.settings.strict else self.version.text

    def _owe(self, number: int, receipt: str) -> None:
        text = self._text()
        octets = text.octetize("RECEIPT\n" + text.line("receipt-id", receipt) + "\n\0\n")
        self._settle_debt(number, octets)

    def _settle_debt(self, number: int, octets: bytes) -> None:
        """Write ``octets`` once op ``number`` is durable, after all that is owed already."""
        if self._owed is None and number <= self.broker.log.durable:
            self._write(octets)
        elif self._owed is None:
            self._owed = [(number, octets)]
        else:
            self._owed.append((number, octets))

    def _write(self, octets: bytes) -> None:
        self.outbox.append(octets)
        self.outbox_bytes += len(octets)
        if self.trace is not None:
            self.trace.append("sent " + repr(octets[:200])[2:-1])
        if not self.queued:
            self._mark()

    def _mark(self) -> None:
        if not self.queued:
            self.queued = True
            self._dirty.append(self)

    # What can be wrong with a frame

    def _required(self, frame: Frame, name: str) -> str:
        value = frame.headers.get(name)
        if not value:
            raise self._missing(name, frame)
        return value

    def _missing(self, name: str, frame: Frame) -> ProtocolError:
        return ProtocolError(
            f"{frame.command} without {name}",
            where="header " + name,
            rule=f"{self.version.section}, {frame.command.upper()}: the {name} header is required",
            mend=f"Send {name}.",
        )

    def _no_body(self, frame: Frame) -> None:
        raise ProtocolError(
            frame.command[:20] + " with a body",
            where=f"{len(frame.body)} octets of body",
            rule="STOMP 1.2, Body: only SEND, MESSAGE and ERROR have one",
            mend="End the frame with a NUL right after the empty line.",
        )

    def _odd_command(self, frame: Frame) -> Callable[[Session, Frame], int]:
        """The handler for a command that is not in the table, where one can be meant; else raises."""
        command = frame.command.strip()
        if self.state == CONNECTING:
            if frame.headers.get("accept-version") is None and command.upper() == "CONNECT":
                return _HANDLERS[CONNECTING]["CONNECT"]
            raise self._first_command(frame)
        handler = _HANDLERS[self.state].get(command.upper())
        if handler is not None and self.version.any_case and not self.settings.strict:
            return handler
        if command in _OPENING:
            raise ProtocolError(
                "Already connected",
                where="command " + command,
                rule="STOMP, Connecting: one CONNECT opens a connection's only session",
                mend="Open another connection for another session.",
            )
        raise self._unknown_command(frame)

    def _first_command(self, frame: Frame) -> ProtocolError:
        command = frame.command
        if command.startswith(_HTTP) and "HTTP/" in command:
            return ProtocolError(
                "This looks like HTTP, and this port speaks STOMP",
                where="command " + repr(command[:40]),
                rule="STOMP, Connecting: the first frame is CONNECT or STOMP",
                mend="Use a STOMP client.",
            )
        if command in TABLE[CONNECTED]:
            return ProtocolError(
                "Not connected",
                where="command " + command,
                rule="STOMP, Connecting: the first frame is CONNECT or STOMP",
                mend="Send CONNECT and wait for CONNECTED.",
            )
        return self._unknown_command(frame)

    def _unknown_command(self, frame: Frame) -> ProtocolError:
        command = frame.command
        allowed = sorted(self.version.commands) if self.state == CONNECTED else ["CONNECT", "STOMP"]
        mend = "Allowed here: " + " ".join(allowed) + "."
        if command in SERVER_COMMANDS:
            mend = "Only servers send this. " + mend
        elif command.upper() in allowed:
            mend = "Commands are case sensitive. " + mend
        return ProtocolError(
            "Unknown command: " + command[:40],
            where=f"state {NAMES[self.state]}, {self.version.section}",
            rule="STOMP, Client Frames",
            mend=mend,
        )


class VersionError(ProtocolError):
    """No common version; its ERROR carries the versions there are (STOMP 1.2, Protocol Negotiation)."""


_OPENING: Final = frozenset(("CONNECT", "STOMP"))

_HANDLERS: Final[dict[int, dict[str, Callable[[Session, Frame], int]]]] = {
    state: {command: getattr(Session, name) for command, name in cells.items()}
    for state, cells in TABLE.items()
}
