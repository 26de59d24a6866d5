"""One client's conversation: bytes in, bytes out; no socket, no clock, no await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.broker.broker import ACK, NACK, SEND, Action, Broker
from stompserver.broker.commit import UNDER_WAY
from stompserver.broker.message import NORMAL, OVERHEAD, Message
from stompserver.broker.oplog import Debtor
from stompserver.broker.queues.queue import Queue, blocks
from stompserver.broker.slices import BUDGET, Waiting
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Delivery, Subscription
from stompserver.errors import ClientError
from stompserver.manage.connection import Connection
from stompserver.session import acks, asking, frames
from stompserver.session.client import Client, Occupied
from stompserver.session.commands import connecting, expiring, learning, management, sending, subscribing
from stompserver.session.committing import Committing
from stompserver.session.dialect import faults
from stompserver.session.dialect import headers as dialect
from stompserver.session.events import Connected, Event, Failed, Tolerated, Traced
from stompserver.session.heartbeat import HeartBeat, agree
from stompserver.session.outbox import HIGH, UNLIMITED, Outbox
from stompserver.session.principal import Principal
from stompserver.session.reply import Reply
from stompserver.session.roster import Roster
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
from stompserver.session.talk import Talk
from stompserver.session.temporary import Leftovers
from stompserver.session.versions import BY_ACK_ID, BY_MESSAGE_ID, pair
from stompserver.wire.frame import AnyFrame, Frame, PlainAck, PlainSend
from stompserver.wire.headers import RAW
from stompserver.wire.native import encode_message
from stompserver.wire.parser import Parser

_SPECIAL: Final = dialect.SPECIAL

_NOTHING: Final = b""

STEP: Final = 256
"""Units of work in one step, after which the shell looks at the time: one for a frame that is surely cheap."""

DEAR: Final = 32
"""More units for a frame that may have much to do."""

FEW: Final = 8
"""More units for one that takes a detour."""

PATIENCE: Final = 1 << 20
"""Bytes that may be owed to a client before it is read no more: what it sends while the store makes a commit."""

DEBT: Final = 120
"""Bytes of memory that an owed RECEIPT takes beside its text."""

SMALL: Final = 512
"""Bytes of a body below which its frame is made in one piece."""


class Session(Client, Talk):
    """The protocol machine of one connection: what its shell may do with it is in Talk, what the broker does in
    Consumer, and what the commands do in Client.
    """

    __slots__ = (
        "_ahead",
        "_due",
        "_frames",
        "_full",
        "_held",
        "_hello",
        "_hurried",
        "_input",
        "_late",
        "_owed",
        "_owing",
        "_reply",
        "_room",
        "_sent",
        "_stuck",
        "beat",
        "certified",
        "heard",
        "opened",
        "outbox",
        "parser",
        "paused",
        "queued",
        "said",
        "traced",
    )

    def __init__(
        self,
        broker: Broker,
        roster: Roster,
        settings: Settings,
        id: str,
        now: float,
        local: bool = False,
        traced: bool = False,
        certified: bool = False,
    ) -> None:
        super().__init__(broker, roster, settings, id, local)
        self.traced = traced
        """Whether frames are events, too."""
        self.certified = certified
        """Whether the shell knows who it is before CONNECT says anything, and has to be asked."""
        self.parser = Parser(settings.before_login, settings.strict)
        self.outbox = Outbox()
        self.opened = now
        self.heard = now
        self.said = now
        self.paused = False
        """Whether the shell has stopped reading: silence is then no sign of death."""
        self.queued = False
        """Whether ``roster.dirty`` has this one."""
        self._sent: int = 0
        """SENDs so far."""
        self.beat: HeartBeat | None = None
        self._due: float | None = None
        """When ``tick`` is called next; None for never."""
        self._hurried = False
        self._held: float = now
        """When the shell stopped reading."""
        self._hello: connecting.Hello | None = None
        """What CONNECT asked for, until it is answered."""
        self._reply = roster.reply
        self._full = False
        """Whether there was no memory for messages when the frames in hand came."""
        self._frames: list[AnyFrame] = []
        """Those that are parsed and wait, because the step was over."""
        self._stuck = False
        """Whether a frame waits for what is under way."""
        self._input = _NOTHING
        """Octets that came while a frame waited for what was under way."""
        self._ahead: int = 0
        """Bytes in the outbox before the newest message of a topic, of ``_late``, when those are many."""
        self._late: Subscription | None = None
        self._room: int = broker.memory.unsent.grant
        """Bytes in the outbox above which queues hold their messages back until the socket took some."""
        self._owed: list[tuple[int, bytes]] | None = None
        """RECEIPTs, and what comes after them, with up to where the log must be durable before they are written."""
        self._owing: int = 0
        """Bytes of memory that these take."""

    # What the shell calls

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the client and do all that the frames in them say, however long that takes."""
        more = self.begin(data, now)
        while more and not self._stuck:
            more = self.go_on()

    def begin(self, data: bytes, now: float) -> bool:
        """Take bytes from the client, and do one step of what the frames in them say."""
        self.heard = now
        if self.state > CONNECTED:
            return False
        if self.state == AUTHENTICATING:
            self.parser.wait(data)
            return False
        if self._stuck:
            self._input += data
            return True
        memory = self.broker.memory
        self._full = memory.full
        return self._step(data)

    def go_on(self) -> bool:
        """Do one more step."""
        return self.state == CONNECTED and not self._stuck and self._step(_NOTHING)

    def wait_for(self, waiting: Waiting) -> None:
        """Do nothing of what comes before what ``waiting`` waits for is over."""
        self.occupied += 1
        self.waiting = waiting
        self._stuck = True
        # The step is over.
        self.broker.work += STEP

    def vacate(self) -> None:
        """One of those that it is occupied with is done: what waits for that may go on."""
        self.occupied -= 1
        if self._stuck and not self.occupied:
            self._stuck = False
            self._mark()

    def _step(self, data: bytes) -> bool:
        parser = self.parser
        waiting = self._frames
        if self._input:
            data = self._input + data
            self._input = _NOTHING
        while True:
            state: int = self.state
            if waiting:
                self._frames = []
                self._process(waiting + parser.feed(data, STEP) if data else waiting)
                break
            self._process(parser.feed(data, STEP))
            # CONNECT settled how the rest is to be read: go on with what came in the same packet.
            if self.state != CONNECTED or state != CONNECTING:
                break
            data = _NOTHING
        if self._frames:
            return self.state == CONNECTED
        if parser.error is not None and self.state <= CONNECTED:
            self.fail(parser.error, parser.error.receipt)
        return parser.more and self.state == CONNECTED

    def _process(self, frames: list[AnyFrame]) -> None:
        """Do what ``frames`` say, until the step is over; the others wait."""
        handlers = _HANDLERS[self.state]
        connected = self.state == CONNECTED
        strict = self.settings.strict
        reply = self._reply
        # A fault may have ended another client's frame before it was answered.
        reply.warning = ""
        broker = self.broker
        end: int = broker.work + STEP
        done: int = 0
        try:
            for frame in frames:
                done += 1
                broker.work += 1
                if self.traced:
                    shown = frame if isinstance(frame, Frame) else frame.read()
                    self.happened.append(Traced("received " + str(shown)))
                number: int = 0
                if isinstance(frame, PlainSend):
                    reply.receipt = frame.receipt
                    number = self._on_simple(frame, reply)
                elif isinstance(frame, PlainAck):
                    reply.receipt = frame.receipt
                    number = self._on_plain_ack(frame, reply)
                elif connected and frame.command == "SEND":
                    # Not by the table, which costs a call by way of Python (bench: auto).
                    _find_receipt(frame, reply)
                    number = self.on_send(frame, reply)
                else:
                    _find_receipt(frame, reply)
                    if frame.command != "ACK":
                        broker.work += STEP if frame.command == "SUBSCRIBE" else DEAR
                    if frame.command != "SEND" and frame.body:
                        if strict:
                            raise faults.needless_body(frame)
                        self.tolerate("body")
                    handler = handlers.get(frame.command)
                    if handler is None:
                        handler = self._unlisted_command(frame)
                    number = handler(self, frame, reply)
                if self.state != CONNECTED:
                    if self.state == LEAVING and reply.receipt is not None:
                        self._owe(number, reply.receipt)
                    break
                if reply.receipt is not None:
                    # An ERROR that comes later, of something else, must not name it.
                    if reply.warning:
                        self.answer(reply, number)
                    else:
                        self._owe(number, reply.receipt)
                        reply.receipt = None
                if broker.work >= end and done < len(frames):
                    self._frames = frames[done:]
                    break
        except Occupied:
            self._frames = frames[done - 1 :]
            self._stuck = True
        except ClientError as error:
            self.fail(error, reply.receipt)

    def calls_itself(self, login: str | None) -> None:
        """It is that ``login`` whose passcode is checked, which its client gave in another way than by CONNECT."""
        self.login = login

    def authenticated(self, principal: Principal | None, now: float, rights: Principal | None = None) -> None:
        """The shell's answer: whose ``login`` and ``passcode`` that is, None for nobody's, and the same with what it
        may do, None for everything. Frames that waited are processed.
        """
        hello = self._hello
        if self.state != AUTHENTICATING or hello is None:
            return
        if principal is not None:
            self.account = principal
            self.usage = principal.usage
            self.principal = rights or principal
            self.login = principal.login
            try:
                self._welcome(hello)
            except ClientError as error:
                self.fail(error, hello.receipt)
            self.begin(b"", now)
        else:
            self.fail(faults.invalid_login(), hello.receipt)

    def renewed(self, principal: Principal | None, problem: ClientError | None, now: float) -> None:
        """The shell's answer: whose ``renewal_passcode`` that is, None for nobody's, or why that is not known."""
        if self.state == CONNECTED:
            expiring.end(self, principal, problem)

    def tick(self, now: float) -> float | None:
        """Do what is due at ``now``; return when to be called next, None when nothing is to come."""
        self._hurried = False
        due = self._due = self._do_due(now)
        return due

    def _do_due(self, now: float) -> float | None:
        if self.state == CONNECTING:
            due = self.opened + self.settings.login_timeout
            if now < due:
                return due
            self.fail(faults.late_login(self.settings.login_timeout))
            return None
        if self.state != CONNECTED:
            return None
        next = self._end_transactions(now)
        if self.account.expires is not None and self.state == CONNECTED:
            due = self._end_login(now)
            next = due if next is None or due < next else next
        beat = self.beat
        if beat is None or self.state != CONNECTED:
            return next
        if beat.expect:
            due = (now if self.paused else self.heard) + beat.patience()
            if now >= due:
                self.fail(faults.no_heartbeat(now - self.heard, beat.expect, self.version))
                return None
            next = due if next is None or due < next else next
        if beat.send:
            # A little early, so that it arrives in time.
            due = self.said + 0.8 * beat.send
            if now >= due:
                if not self.outbox.pieces:
                    self.write(b"\n")
                due = now + 0.8 * beat.send
            next = due if next is None or due < next else next
        return next

    def _end_login(self, now: float) -> float:
        """End the session when its login has expired, or warn of that; return when to look again."""
        rest = expiring.left(self)
        if not rest:
            self.fail(faults.login_expired())
            return now
        before = self.settings.expiry_warning
        if not self.warned and rest <= before:
            name = expiring.warn(self, rest)
            if name:
                management.Answer(self, name).give("expires", {"expires-in": int(rest)})
        return now + max(expiring.PROMPT, rest if self.warned else rest - before)

    def _end_transactions(self, now: float) -> float | None:
        """End the session when a transaction is open for too long at ``now``; else return when one will be, None when
        none is open.
        """
        timeout = self.settings.transaction_timeout
        oldest = self._transactions.oldest() if self._transactions is not None else None
        if oldest is None or not timeout:
            return None
        id, begun = oldest
        # Who is not read could not end it.
        due = (now if self.paused else begun) + timeout
        if now < due:
            return due
        self.fail(faults.transaction_too_old(id, timeout))
        return None

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        happened = self.happened
        if not happened:
            return []
        self.happened = []
        return happened

    def take_pieces(
        self, large: int, most: int = UNLIMITED, cut: bool = False, framed: bool = False
    ) -> list[bytes]:
        """The octets to send now: all, or about ``most`` bytes. Bodies of ``large`` bytes or more are pieces of their
        own, what is between them is in one; with ``cut`` they may be cut, with ``framed`` the last ends with a frame.
        """
        pieces = self.outbox.take(large, most, cut, framed)
        if self.behind:
            self._catch_up()
        return pieces

    def take_whole(self, large: int, most: int, now: float) -> bytes:
        """All octets to send now, where nothing else is to be thought of; see Talk (bench: latency, fanout5)."""
        if not self.ready or self.behind:
            return _NOTHING
        octets = self.outbox.whole(large, most)
        if octets:
            self.said = now
            self._room = self.broker.memory.unsent.grant
        return octets

    def _catch_up(self) -> None:
        """Count what is in the outbox after some was taken."""
        rest: int = self.outbox.bytes
        behind: int = rest if rest > HIGH else 0
        self.broker.memory.used += behind - self.behind
        # The newest are the last to go.
        self._ahead = max(0, self._ahead - (self.behind - rest))
        self.behind = behind
        if not behind:
            self._ahead = 0
            self._late = None

    def end_of_stream(self) -> None:
        """The client will send no more, or the server is going: as after DISCONNECT, without a word."""
        if self.state <= CONNECTED:
            self.state = LEAVING
            self.ready = False
            self._frames = []
            self._input = _NOTHING
            self._mark()

    def reading(self, on: bool, now: float) -> None:
        """Whether the shell reads from the client, from now on."""
        self.paused = not on
        if on:
            # What it said meanwhile is still on its way: silence counts from now.
            self.heard = now
            if self._transactions is not None:
                self._transactions.put_off(now - self._held)
        else:
            self._held = now

    def noticed(self) -> None:
        """The shell has seen that there is something to be written."""
        self.queued = False

    def written(self, now: float) -> None:
        """What was taken is on its way to the client."""
        self.said = now

    def writable(self, on: bool) -> None:
        """Let the queues deliver, or hold their messages back; end a subscriber of a topic that is too far behind."""
        if on:
            self._room = self.broker.memory.unsent.grant
            if self.state == CONNECTED and not self.ready:
                self.ready = True
                self.broker.resume(self)
        else:
            self.ready = False
            # A message that is on its way is no lag, however long it is.
            lag: int = self.broker.rules.lag
            if self._late is not None and self._ahead > lag and self._ahead - self.outbox.begun > lag:
                self.lag(self._late)

    def refuse(self, error: ClientError) -> None:
        """End the conversation with an ERROR, for a reason of the shell's."""
        hello = self._hello
        self.fail(error, hello.receipt if hello is not None else None)

    def unblock(self) -> None:
        """The client does not wait for room in a queue, or not any more."""
        self.choked = None

    def describe(self, address: str, buffered: int, held: bool, now: float) -> Connection | None:
        """What is told of it to those who manage the server; None when it ends."""
        if self.state > CONNECTED:
            return None
        return Connection(
            self.id,
            address,
            int(now - self.opened),
            self.login or "",
            self.client_id,
            self.version.number if self.state == CONNECTED else "",
            len(self.subscriptions),
            len(self.deliveries),
            self.outbox.bytes + buffered,
            held,
        )

    @property
    def closing(self) -> bool:
        """Whether nothing is left but to write what there is and to close."""
        return (
            self.state > CONNECTED and self._owed is None and (self.waiting is None or self.state != LEAVING)
        )

    @property
    def connected(self) -> bool:
        """Whether CONNECTED was sent, and the conversation goes on."""
        return self.state == CONNECTED

    @property
    def credentials(self) -> tuple[str | None, str | None] | None:
        """Login and passcode that the shell is to check; None when there is nothing to check."""
        if self.state != AUTHENTICATING or self._hello is None:
            return None
        return self.login, self._hello.passcode

    @property
    def principal_login(self) -> str | None:
        """Who the client was found to be."""
        return self.account.login

    @property
    def renewal_passcode(self) -> str | None:
        """A new token that the shell is to check; None when there is none."""
        return self.renewal.passcode if self.renewal is not None else None

    @property
    def beats(self) -> bool:
        """Whether heart-beats were agreed."""
        return self.beat is not None

    @property
    def unsettled(self) -> int:
        """How many deliveries the client has not settled."""
        return len(self.deliveries)

    @property
    def sent(self) -> int:
        """How many SENDs there were so far."""
        return self._sent

    @property
    def blocked(self) -> bool:
        """Whether a queue that the client sent to is full and lets its producers wait."""
        return blocks(self.choked)

    @property
    def answers(self) -> int:
        """Bytes that wait to be written, or for the store before that, and are no messages."""
        return self.outbox.answers + max(0, self._owing - PATIENCE)

    @property
    def unsent(self) -> bool:
        """Whether anything is left to be written."""
        return len(self.outbox.pieces) > 0

    @property
    def unwritten(self) -> int:
        """Bytes that wait to be written and do not count as memory yet."""
        return self.outbox.bytes - self.behind

    @property
    def more(self) -> bool:
        """Whether there is more to do of what was taken from the client."""
        return self.state == CONNECTED and (
            self.parser.more or len(self._frames) > 0 or (len(self._input) > 0 and not self._stuck)
        )

    @property
    def busy(self) -> bool:
        """Whether what is under way has to be done first."""
        return self._stuck and self.state == CONNECTED

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that is not complete, of frames that wait for another step, and of a CONNECT that is not
        answered.
        """
        hello = self._hello
        size: int = self.parser.pending + len(self._input) + (hello.size if hello is not None else 0)
        for frame in self._frames:
            size += frame.length
            if not isinstance(frame, PlainAck):
                size += len(frame.body)
        return size

    @property
    def hurried(self) -> bool:
        """Whether something is due earlier than the last ``tick`` said."""
        return self._hurried

    def sends(self, data: bytes) -> bool:
        """Whether ``data`` begins with a SEND frame, or the rest of one."""
        return self.parser.sends(data)

    def entitle(self, principal: Principal) -> None:
        """Its client may do from now on what ``principal`` may, who it is as before; it ends where that is less than
        what it has.
        """
        self.principal = principal
        self.routes.clear()
        if self.state != CONNECTED:
            return
        error = asking.withdrawn(self)
        if error is not None:
            self.fail(error)
            self.let_go()
            return
        self.broker.watches.reconsider(self)

    def whose(self) -> Principal:
        """Who its client is."""
        return self.account

    def promised(self) -> list[str]:
        """The destinations of messages that wait in its open transactions, each once."""
        names: dict[str, None] = {}
        if self._transactions is not None:
            for transaction in self._transactions.open.values():
                for action in transaction.actions:
                    if action.kind == SEND and action.message is not None:
                        names[action.message.destination] = None
        return list(names)

    def lost(self) -> None:
        """The connection is gone: put back what was not settled, abort transactions. May be called again."""
        if self.state == GONE:
            return
        self.state = GONE
        self.ready = False
        transactions = self._transactions
        if transactions is not None:
            transactions.clear()
            self._transactions = None
        self._owe_nothing()
        self._hello = None
        self.broker.memory.used -= self.behind
        self.behind = 0
        self.let_go()
        self.routes.clear()
        self._delete_temporary()
        self.tolerate("colon", self.parser.colons)
        self.tolerate("content-length", self.parser.echoes)
        self.tolerate("stray-octets", self.parser.strays)
        if self.tolerated:
            self.happened.append(Tolerated(self.tolerated))

    def let_go(self) -> None:
        """End its subscriptions, and put back what it has not settled."""
        for subscription in self.subscriptions.values():
            self.broker.memory.subscriptions.give(subscription.weight)
            if self.usage is not None:
                self.usage.subscriptions -= 1
            if subscription.wish.durable is not None:
                self.roster.release(self, subscription.wish.durable)
        acks.part(self)
        self.broker.drop(self)

    def _delete_temporary(self) -> None:
        names = self.roster.leave(self)
        if names:
            queues = self.broker.queues
            leftovers = Leftovers(self.broker, [queues[name] for name in names if name in queues])
            if leftovers.slice(BUDGET):
                self.broker.slices.add(leftovers)

    def fail(self, error: ClientError, receipt: str | None = None) -> None:
        """Tell the client what was wrong, with the frame that wanted ``receipt``; nothing is read or sent after it
        (STOMP 1.2, ERROR).
        """
        if self.state >= FAILED:
            return
        known = self.state == CONNECTED
        self.state = FAILED
        self.ready = False
        self._frames = []
        self._input = _NOTHING
        self.parser.stop()
        self._hello = None
        self.happened.append(Failed(str(error), self.login, known, error))
        octets = frames.error(error, receipt, self.text() if known else RAW)
        if not self.broker.room:
            # Receipts wait until the storage has room, which may take hours: the client is told now.
            self._owe_nothing()
        owed = self._owed
        self._settle_debt(owed[-1][0] if owed is not None else 0, octets)

    # What goes to the client

    def answer(self, reply: Reply, position: int) -> None:
        """Owe the RECEIPT that ``reply`` wants, if it does, until the op log is durable up to ``position``; what is
        written from now on comes after it.
        """
        if reply.receipt is not None:
            self._owe(position, reply.receipt, reply.warning)
            reply.receipt = None
        reply.warning = ""

    def _owe(self, number: int, receipt: str, warning: str = "") -> None:
        """Write the RECEIPT of that name once the op at position ``number`` is durable."""
        name = receipt.encode() if receipt.isalnum() and not warning else b""
        if name and len(name) == len(receipt):
            # ASCII, and nothing to escape, in one step; compiled code asks a str.isascii as slowly as any method
            # (bench: receipt).
            octets = b"RECEIPT\nreceipt-id:%b\n\n\0\n" % name
            if self._owed is None and not self.traced and number <= self.broker.log.durable:
                self.outbox.answer(octets)
                if not self.queued:
                    self._mark()
                return
        else:
            octets = frames.receipt(receipt, warning, self.text())
        self._settle_debt(number, octets)

    def _settle_debt(self, number: int, octets: bytes) -> None:
        """Write ``octets`` once the op at position ``number`` is durable, after all that is owed already."""
        if self._owed is None and number <= self.broker.log.durable:
            self.write(octets)
            return
        if self._owed is None:
            self._owed = [(number, octets)]
            self.broker.log.debtors.append(_Receipts(self))
        else:
            self._owed.append((number, octets))
        size: int = DEBT + len(octets)
        self._owing += size
        self.broker.memory.used += size

    def _owe_nothing(self) -> None:
        """What is owed is never paid."""
        self._owed = None
        self.broker.memory.used -= self._owing
        self._owing = 0

    def write(self, octets: bytes) -> None:
        """Append octets that are no message."""
        self.outbox.answer(octets)
        if self.traced:
            self.happened.append(Traced("sent " + repr(octets[:200])[2:-1]))
        if not self.queued:
            self._mark()

    def _mark(self) -> None:
        if not self.queued:
            self.queued = True
            self.roster.dirty.append(self)

    # What the broker calls

    def durable(self, number: int) -> None:
        """Write what is owed up to the position ``number`` of the op log."""
        owed = self._owed
        if owed is None:
            return
        paid: int = 0
        for due, _ in owed:
            if due > number:
                break
            paid += 1
        settled = [octets for _, octets in owed[:paid]]
        if self.traced:
            for octets in settled:
                self.write(octets)
        elif settled:
            # One piece for the outbox, however many they are (bench: persistent).
            self.write(b"".join(settled))
        size: int = self._owing
        if paid < len(owed):
            size = DEBT * paid + sum([len(octets) for octets in settled])
        self._owed = None
        self._owing -= size
        self.broker.memory.used -= size
        if paid < len(owed):
            self._owed = owed[paid:]
            self.broker.log.debtors.append(_Receipts(self))
        if self.state > CONNECTED:
            # It was only this that kept the connection open.
            self._mark()

    def lag(self, subscription: Subscription) -> None:
        """A topic's subscriber has fallen too far behind: whole frames not yet at the socket are let go."""
        if self.state != CONNECTED:
            return
        self.outbox.drop()
        self._catch_up()
        self.fail(faults.too_slow(subscription.destination, subscription.wish.label, self.broker.rules.lag))

    def may_consume(self, name: str) -> bool:
        """Whether its client may have what comes to ``name``, that fits a pattern it subscribed to."""
        return asking.may_consume(self, name)

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Append a MESSAGE to the outbox."""
        if self.state != CONNECTED:
            return
        outbox = self.outbox
        out = outbox.pieces
        ack: int = 0
        if subscription.mode != AUTO:
            number: int = self.named + 1
            self.named = number
            if self.version.settles == BY_ACK_ID:
                ack = number
                name = self.mark + str(ack)
            else:
                name = str(message.number)
                if self.version.settles != BY_MESSAGE_ID:
                    name = pair(name, subscription.id)
            delivery = Delivery(name, subscription, message, number)
            other = self.deliveries.setdefault(name, delivery)
            if other is not delivery:
                if not other.settled:
                    delivery.name = acks.twin(self, name, number)
                self.deliveries[delivery.name] = delivery
            if subscription.lease is not None:
                subscription.lease.add(delivery)
            if subscription.order is not None:
                subscription.order.add(delivery)
        body = message.body
        size: int = len(body)
        lines = message.lines
        # Of a topic nothing more is asked (bench: fanout5).
        if (
            not subscription.of_topic
            and lines
            and (message.plain or self.version.text.decode)
            and size < SMALL
            and not message.attempts
            and not subscription.special
        ):
            # Nobody else gets these header lines, and one piece is cheaper than four (bench: auto).
            whole = encode_message(subscription.prefix, ack, message.destination, message.number, lines, body)
            out.append(whole)
            size = len(whole)
        else:
            head = message.head
            if head is None:
                head = frames.head(message, self.text())
            prefix = subscription.prefix
            out.append(b"%b%d\n" % (prefix, ack) if ack else prefix)
            if message.attempts or subscription.special:
                out.append(frames.particular(message, self.settings.shown, self.text()))
                if subscription.wish.headed:
                    # The prefix has the destination as the client calls it; here it is the first line.
                    head = head[head.index(b"\n") + 1 :]
            out.append(head)
            out.append(body)
            out.append(b"\0\n")
            # Not ``particular``, which is short; an id may be long.
            size += len(prefix) + len(head)
        waiting: int = outbox.bytes + size
        outbox.bytes = waiting
        if waiting > self._room:
            self.ready = False
            if waiting > HIGH and subscription.of_topic and subscription.queue is None:
                # Unlike a queue's message it is nowhere else, so it counts as memory here.
                self.broker.memory.used += waiting - self.behind
                self.behind = waiting
                self._late = subscription
                # Not counting this one: a single large message is no lag.
                self._ahead = waiting - size
        if self.traced:
            text = f"sent MESSAGE {subscription.wish.label} {message.number} {message.destination}"
            self.happened.append(Traced(text))
        if not self.queued:
            self._mark()

    def ended(self, subscription: Subscription) -> None:
        """Append the mark that a browser has seen all there is."""
        if self.state != CONNECTED:
            return
        octets = frames.browse_end(subscription, self.text())
        self.outbox.pieces.append(octets)
        self.outbox.bytes += len(octets)
        self._mark()

    def unheard(self) -> bool:
        """Whether the turn was over before all that its client sent was done."""
        return self.more

    def expired(self, delivery: Delivery) -> None:
        """A lease ended: the delivery may be settled no more, and trying to is no ERROR."""
        acks.lapse(self, delivery)

    # Connecting

    def on_connect(self, frame: Frame, reply: Reply) -> int:
        """CONNECT or STOMP: settle the version, then welcome the client or have its login checked."""
        hello = self._hello = connecting.read(self, frame, reply)
        if self.settings.authenticate or self.certified:
            self.state = AUTHENTICATING
        else:
            self._welcome(hello)
            reply.receipt = None
        return 0

    def _welcome(self, hello: connecting.Hello) -> None:
        """CONNECTED: the client may speak. Raises Refused when another login has its client-id."""
        if self.client_id:
            self.roster.claim(self)
        if self.version.beats:
            beat = agree(hello.beats, self.settings.heart_beat)
            if beat.send or beat.expect:
                self.beat = beat
        self.write(connecting.connected(self, hello))
        self._hello = None
        self.parser.open(self.text(), self.settings.limits)
        self.state = CONNECTED
        self.ready = True
        self.happened.append(Connected(self.version.number, self.login))

    # Sending

    def on_send(self, frame: Frame, reply: Reply) -> int:
        """SEND: to the broker, into a transaction, or into the schedule."""
        headers = frame.headers
        destination = headers.get("destination")
        if not destination:
            raise faults.missing("destination", frame, self.version)
        del headers["destination"]
        if "content-length" in headers:
            del headers["content-length"]
        if frame.edged:
            dialect.drop_lookalikes(headers)
        message = Message(
            destination, headers, frame.body, frame.length + len(frame.body) + OVERHEAD, frame.plain
        )
        self._sent += 1
        if self._full:
            raise faults.out_of_memory(self.broker.memory.limit, "header destination")
        # Nearly all need no more than this (bench: auto, growth).
        queue = self.routes.queues.get(destination)
        known = queue is not None or self.routes.topic(destination)
        if known and frame.block and self.parser.due():
            learning.learn(self.parser, self, frame.block, headers)
        if not known or (
            not _SPECIAL.isdisjoint(headers)
            and (headers.get("persistent") != "true" or len(_SPECIAL.intersection(headers)) > 1)
        ):
            self.broker.work += DEAR
            try:
                return sending.send(self, message, reply)
            except Occupied:
                # It comes again, as it came.
                self._sent -= 1
                headers["destination"] = destination
                if reply.receipt is not None:
                    headers["receipt"] = reply.receipt
                    reply.receipt = None
                raise
        if queue is not None:
            return self.broker.take(queue, message, self)
        return self.broker.send(message, self)

    def _on_simple(self, frame: PlainSend, reply: Reply) -> int:
        """A SEND like those before it, by the shortest way where that is open (bench: auto)."""
        name = frame.destination
        broker = self.broker
        queue = self.routes.queues.get(name)
        if self._full or (queue is None and not self.routes.topic(name)):
            whole = frame.read()
            _find_receipt(whole, reply)
            return self.on_send(whole, reply)
        self._sent += 1
        body = frame.body
        if queue is not None and queue.waiting:
            # The same text for all that wait in it.
            name = queue.name
        message = Message(name, None, body, frame.length + len(body) + OVERHEAD, not frame.escaped)
        message.lines = frame.lines
        if frame.lesson is not None:
            return self._on_alike(frame, message, queue)
        if queue is not None:
            return broker.take(queue, message, self)
        return broker.send(message, self)

    def _on_alike(self, frame: PlainSend, message: Message, queue: Queue | None) -> int:
        """The ``message`` of a SEND that says more than where to, as those before it (bench: clients)."""
        broker = self.broker
        assert frame.lesson is not None
        learning.apply(frame.lesson, message, broker.now)
        others = frame.others
        if others is not None:
            transaction, group = others
            if group:
                message.group = group
            if transaction is not None:
                self.broker.work += FEW
                if message.expires:
                    # As in ``sending``: the clock may be set before the COMMIT.
                    message.number = broker.fresh()
                transactions = self.need_transactions()
                transactions.add(transactions.get(transaction), Action(SEND, message), message.size)
                return 0
        if queue is not None and not message.group and not message.expires and message.priority == NORMAL:
            return broker.take(queue, message, self)
        return broker.send(message, self)

    # Transactions

    def on_begin(self, frame: Frame, reply: Reply) -> int:
        """BEGIN: open a transaction."""
        # A clock's time, as the shell told it with these octets.
        now = self.heard
        self.need_transactions().begin(self.required(frame, "transaction"), now)
        timeout = self.settings.transaction_timeout
        if timeout and (self._due is None or now + timeout < self._due):
            self._hurried = True
        return 0

    def on_commit(self, frame: Frame, reply: Reply) -> int:
        """COMMIT: all of the transaction at once, or an ERROR and nothing of it."""
        transaction = self.need_transactions().end(self.required(frame, "transaction"))
        committing = Committing(self, transaction.actions, transaction.taken)
        number = self.broker.apply(transaction.actions, self, transaction.bytes, committing)
        if number == UNDER_WAY:
            committing.start(reply)
            return 0
        acks.settled(self, transaction.actions)
        self.tell_unheard(reply)
        return number

    def on_abort(self, frame: Frame, reply: Reply) -> int:
        """ABORT: forget the transaction; the deliveries it held may be settled again."""
        transaction = self.need_transactions().end(self.required(frame, "transaction"))
        acks.free(transaction.actions)
        return 0

    # Acknowledging

    def _on_plain_ack(self, frame: PlainAck, reply: Reply) -> int:
        """An ACK that says nothing special, by the shortest way where that is open (bench: individual, clients)."""
        settles: int = self.version.settles
        name: str | None
        if settles == BY_ACK_ID:
            name = frame.id
        else:
            name = frame.message_id
            if settles != BY_MESSAGE_ID and name is not None:
                name = pair(name, frame.subscription) if frame.subscription is not None else None
        if name is not None and not self.twins:
            delivery = self.deliveries.get(name)
            if (
                delivery is not None
                and delivery.held is None
                and delivery.subscription.mode == INDIVIDUAL
                and (settles != BY_MESSAGE_ID or frame.subscription is None)
            ):
                del self.deliveries[name]
                delivery.subscription.progress.settled(delivery)
                return self.broker.ack(delivery)
        self.broker.work += FEW
        whole = frame.read()
        _find_receipt(whole, reply)
        return acks.settle(self, whole, ACK, reply)

    def on_ack(self, frame: Frame, reply: Reply) -> int:
        """ACK: this delivery, or with ack:client all up to it, is consumed."""
        self.broker.work += FEW
        return acks.settle(self, frame, ACK, reply)

    def on_nack(self, frame: Frame, reply: Reply) -> int:
        """NACK: this delivery, or with ack:client all up to it, comes back, as its headers say."""
        if "NACK" not in self.version.commands:
            raise faults.unknown_command(frame, self.version, self.state)
        return acks.settle(self, frame, NACK, reply)

    # Subscribing

    def on_subscribe(self, frame: Frame, reply: Reply) -> int:
        """SUBSCRIBE."""
        # Many may be idle for long, and then subscribe at once.
        self._room = self.broker.memory.unsent.grant
        return subscribing.subscribe(self, frame, reply)

    def on_unsubscribe(self, frame: Frame, reply: Reply) -> int:
        """UNSUBSCRIBE."""
        return subscribing.unsubscribe(self, frame, reply)

    # Leaving

    def on_disconnect(self, frame: Frame, reply: Reply) -> int:
        """DISCONNECT: its receipt is the last word (STOMP 1.2, DISCONNECT)."""
        self.end_of_stream()
        return self.broker.log.position

    def _unlisted_command(self, frame: Frame) -> Callable[[Session, Frame, Reply], int]:
        """The handler for a command that is not in the table, where one can be meant; else raises."""
        word = frame.command.strip().upper()
        if self.state == CONNECTING:
            original = frame.headers.get("accept-version") is None and not self.settings.strict
            if original and word == "CONNECT":
                self.tolerate("command-case")
                frame.command = word
                return _HANDLERS[CONNECTING][word]
            raise faults.first_command(frame, self.version, self.state)
        handler = _HANDLERS[self.state].get(word)
        if handler is None or not self.version.any_case or self.settings.strict:
            raise faults.unknown_command(frame, self.version, self.state)
        self.tolerate("command-case")
        frame.command = word
        return handler


def _find_receipt(frame: Frame, reply: Reply) -> None:
    # Two steps that mypyc makes cheaper than pop.
    reply.receipt = frame.headers.get("receipt")
    if reply.receipt is not None:
        del frame.headers["receipt"]


class _Receipts(Debtor):
    """Those that ``session`` keeps back until what they confirm is durable."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def durable(self, position: int) -> None:
        self._session.durable(position)


_HANDLERS: Final[dict[int, dict[str, Callable[[Session, Frame, Reply], int]]]] = {
    state: {command: getattr(Session, name) for command, name in cells.items()}
    for state, cells in TABLE.items()
}
