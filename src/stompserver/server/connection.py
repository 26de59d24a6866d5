"""One TCP connection: its transport, its session and its timer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from stompserver.errors import ClientError, Refused
from stompserver.manage import connection as managed
from stompserver.server import lines
from stompserver.server.carrier import Carrier
from stompserver.server.detect import UNDECIDED, Undecided, is_http
from stompserver.server.door import Place
from stompserver.server.hearing import after_hearing
from stompserver.server.logins import Waiting
from stompserver.server.meter import Meter
from stompserver.server.origin import is_loopback
from stompserver.server.peer import CHOKED, LOGIN, RATED, THROTTLED, TURN, UNREAD
from stompserver.server.unbound import unbind
from stompserver.session.dialect import faults
from stompserver.session.events import Connected, Event, Failed, Managed, Renewed, Renewing
from stompserver.session.outbox import UNLIMITED
from stompserver.session.principal import Principal
from stompserver.session.talk import ANSWERS_HIGH, Talk
from stompserver.session.usage import Usage

if TYPE_CHECKING:
    from stompserver.server.audit import Audit
    from stompserver.server.server import Server

PARTIAL: Final = 64 * 1024
"""Bytes of an unfinished frame above which it may be refused when memory is out."""

FULL: Final = 128 * 1024
"""Bytes that came at once, of which there are probably more: uvloop would go on reading up to 32 times before it
writes anything to anybody.
"""

LOOKS: Final = 15
"""How often, once a second, a client is found to have read nothing before it may be cut for others to go on."""

PEEK: Final = 64
"""Octets that are looked at before they are read: the first words of a frame, also behind some heart-beats."""

MANY: Final = 64
"""A full read with fewer messages than this counts as one of large messages."""

GATHERED: Final = 4 * 1024
"""Bytes of a body from which it is not copied to be written with what comes before and after it (bench: sizes)."""

SINGLE: Final = 64 * 1024
"""Bytes of a body from which it is not copied where each piece needs a write of its own."""


class Connection(asyncio.Protocol):
    """Carries bytes between a socket and a session, and keeps the session's promises about time."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_carrier",
        "_certified",
        "_ended",
        "_eof",
        "_error",
        "_finishing",
        "_full",
        "_gathers",
        "_held",
        "_leaving",
        "_login",
        "_looks",
        "_lost",
        "_meter",
        "_ours",
        "_partial",
        "_place",
        "_problem",
        "_sends",
        "_server",
        "_stranger",
        "_stuck",
        "_timer",
        "_twice",
        "_unread",
        "_unsent",
        "_usage",
        "_waits",
        "address",
        "gone",
        "id",
        "listener",
        "local",
        "session",
        "since",
        "transport",
    )

    def __init__(
        self,
        server: Server,
        listener: int = 0,
        place: Place | None = None,
        carrier: Carrier | None = None,
        certified: Principal | None = None,
    ) -> None:
        self._server = server
        if carrier is None and not server.terms.webs[listener].plain:
            carrier = UNDECIDED
        self._carrier = carrier
        """What is between the transport and STOMP; None where nothing is."""
        self._certified = certified
        """Whom a certificate names, which was verified."""
        self._error: ClientError | None = None
        """What the client was told, where it came to that."""
        self._ours = False
        """Whether it is for the server's own reasons that it ends."""
        self._place = place
        """What it counts for; None until it is accepted, which is now for who comes with a place."""
        self.listener = listener
        """The number of the listener it came by; what a client is told may differ."""
        self._blocked = False
        self._ended = False
        """Whether the client's end of stream came while what it sent before was not done yet."""
        self._eof = False
        self._finishing = False
        self._gathers = False
        """Whether the transport writes several pieces at once without making one of them first."""
        self._held: int = 0
        self._leaving = False
        """Whether it is finishing, and not all is at the transport yet."""
        self._login: Waiting | None = None
        self._lost = False
        """Whether the transport is gone while what came by it is not done yet."""
        self._meter: Meter | None = None
        """What counts it for a limited rate."""
        self._partial: int = 0
        self._problem: Exception | None = None
        """Why the transport is gone, where that has a reason."""
        self._sends: int = 0
        self._begun: int = 0
        self._full: int = 0
        """Octets of an unfinished frame, and of the transport's buffer, when its burden was looked at."""
        self._looks: int = 0
        """How often that was, since either went on."""
        self._stuck: int = 0
        """Bytes that wait for a client which does not read, as they are counted."""
        self._stranger = False
        """Whether it is not logged in; what it holds is then not counted as messages."""
        self._timer: asyncio.TimerHandle | None = None
        self._twice = False
        """Whether one full read of large messages was let pass in this turn already."""
        self._unread = b""
        """Octets that came while there was no room for what they send, or while others were not done yet."""
        self._usage: Usage | None = None
        """What its login has and sends, where that is limited."""
        self._unsent = server.broker.memory.unsent
        """What all clients together have not read."""
        self._waits = False
        """Whether what was read waits for something that is under way."""
        self.address = ""
        self.id = ""
        """Of its session, in logs and towards the client."""
        self.local = False
        """Whether it comes from this machine."""
        self.since = 0.0
        """When it was accepted, by the loop's clock."""
        self.gone = False
        """Whether the client is known to have left, although not all it sent was read."""
        self.transport: asyncio.Transport | None = None
        self.session: Talk | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of this shape without being of this class. asyncio's join lines, or (3.12)
        # forget that much may be waiting.
        self._gathers = not isinstance(transport, asyncio.Transport)
        transport = self.transport = cast(asyncio.Transport, transport)
        if self._server.draining:
            transport.abort()
            return
        place = self._place
        if place is None:
            peer = transport.get_extra_info("peername")
            place = self._place = self._server.door.enter(str(peer[0]) if peer else "?")
        self.address = place.address
        self.local = is_loopback(place.address) if place.local is None else place.local
        self.since = place.since or self._server.time()
        # It tells of the first octet that the socket does not take. From then on it is counted, and the transport
        # gets no more before it is out: what comes meanwhile is in the outbox, where a body is there once for all.
        # (Not 0: TLS takes that for a limit that is always reached.)
        transport.set_write_buffer_limits(high=1)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # The peer may be gone again already.
            with contextlib.suppress(OSError):
                # A RECEIPT behind a MESSAGE must not wait for the peer's delayed ACK.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # One that vanishes without a word is found by the kernel where no heart-beats were agreed.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if place.crowded:
            transport.abort()
        if self._carrier is not None and (greeting := self._carrier.greeting()):
            transport.write(greeting)
        session = self.session = self._server.session(self)
        if place.refused is not None:
            self._ours = True
            if self._carrier is UNDECIDED and self._server.terms.webs[self.listener].protocol == "http":
                self._carrier = self._server.web(self)
            session.refuse(place.refused)
        else:
            self._stranger = True
            self._server.strangers.enter(self)
            self.wake()
        self._after(session)

    def data_received(self, data: bytes, unwrapped: bool = False) -> None:
        """Take what was read. ``unwrapped``: it has been through the carrier."""
        session = self.session
        if session is None or self._finishing:
            return
        if self._carrier is not None and not unwrapped:
            self._unwrap(self._carrier, session, data)
            return
        if (
            self._server.producers.short
            and session.sends(data)
            and self._server.producers.stop(self, len(data))
        ):
            self._unread += data
            return
        # While there is more to do it is held (bench: latency).
        if self._unread or (self._held and session.more):
            # It is not read now, but some transports give what they have already.
            self._server.broker.memory.used += len(data)
            self._unread += data
            return
        self._server.alarm.look()
        now = self._server.time()
        if session.begin(data, now):
            self._do_some(session, now)
        pending: int = session.unfinished
        if pending != self._partial:
            self._count(session, pending)
        # Where all of it is a part of one body, there is nothing new to write to anybody.
        if len(data) > FULL and pending < len(data) and not self._held:
            # Few large messages cost so little time that a turn may take twice as much of them (bench: sizes).
            self._twice = not self._twice and 0 < session.sent - self._sends < MANY
            if not self._twice:
                self.hold(TURN)
                self._server.turn.rest(self)
        self._after(session)

    def _do_some(self, session: Talk, now: float) -> None:
        """Do as much of what was read as the turn has time for; the rest waits, and nothing is read meanwhile."""
        end = self._server.turn.share(now)
        while not session.busy and self._server.time() < end:
            if not session.go_on():
                return
        self.hold(TURN)
        self._waits = session.busy
        if not self._waits:
            self._server.turn.rest(self)

    def go_on(self) -> None:
        """It has rested: do more of what was read; when that is all, read again."""
        session = self.session
        if session is None:
            return
        if session.more:
            self._server.alarm.look()
            now = self._server.time()
            # At least one step, however little time there is.
            if session.busy or session.go_on():
                self._do_some(session, now)
            pending: int = session.unfinished
            if pending != self._partial:
                self._count(session, pending)
            self._after(session)
            if session.more:
                return
        carrier = self._carrier
        # Who is lost reads nothing any more, and what it sent is done all the same.
        over = TURN | UNREAD | RATED if self._lost else TURN
        if (
            carrier is not None
            and carrier.more
            and not (self._held & ~over or self._unread or self._finishing)
        ):
            self._unwrap(carrier, session, b"")
            if self._rests_again(carrier, session):
                return
        if self._lost:
            self._end(session)
        else:
            self.release(TURN)

    def _unwrap(self, carrier: Carrier, session: Talk, data: bytes) -> None:
        """Take what the carrier finds in what was read."""
        if isinstance(carrier, Undecided):
            data = carrier.head + data
            found = self._detect(data)
            if found is None:
                self.data_received(data, True)
                return
            carrier = self._carrier = found
        stomp = carrier.received(data)
        answers = carrier.wrapped([])
        if answers and self.transport is not None:
            self.transport.write(b"".join(answers))
            self._wait_for_reader(self.transport)
        # Also when it is nothing: the client was heard of.
        self.data_received(stomp, True)
        if self._meter is not None:
            # What was compressed is as much as it becomes; what was read is counted when this returns.
            self._meter.count(max(0, len(stomp) - len(data)))
        self._go_on_carrying()
        if self._stranger and not self._partial:
            waits = (
                self.transport.get_write_buffer_size() if self._blocked and self.transport is not None else 0
            )
            self._server.strangers.hold(self, carrier.holds + waits)
        if carrier.ended and not self._held:
            self._no_more()

    def _wait_for_reader(self, transport: asyncio.Transport) -> None:
        """Read no more while answers of the carrier, as to the PINGs of WebSocket, wait for a client that does not
        read them: nothing else bounds how many it asks for.
        """
        if self._blocked and (self._stranger or transport.get_write_buffer_size() > ANSWERS_HIGH):
            self.hold(UNREAD)

    def _rests_again(self, carrier: Carrier, session: Talk) -> bool:
        """Whether there is still more to do, in another turn."""
        if not session.more and carrier.more:
            self._server.turn.rest(self)
        return session.more or carrier.more

    def _go_on_carrying(self) -> None:
        """Where there is more in what was read, let it come in another turn, and read nothing meanwhile."""
        if self._carrier is not None and self._carrier.more and not (self._held or self._finishing):
            self.hold(TURN)
            self._server.turn.rest(self)
            # Perhaps nothing else happens that makes this turn end.
            self._server.turn.soon()

    def _detect(self, data: bytes) -> Carrier | None:
        """What carries STOMP for who begins like that; None for nothing."""
        http = is_http(data)
        if http is None:
            return Undecided(data)
        if http or self._server.terms.webs[self.listener].protocol == "http":
            return self._server.web(self)
        self._carrier = None
        return None

    def eof_received(self) -> bool:
        self._eof = True
        if self.session is None or self._finishing:
            return False
        self._no_more()
        if self.transport is not None and not self.transport.can_write_eof():
            # It closes when this returns: what is owed goes out now or never.
            self.flush(UNLIMITED)
            return False
        return True

    def _no_more(self) -> None:
        """The client says no more."""
        session = self.session
        if session is None or self._finishing:
            return
        # What came before it is done first, in as many turns as that takes.
        carried = self._carrier is not None and self._carrier.more
        self._ended = session.more or carried or self._unread != b""
        if not self._ended:
            fault = self._carrier.fault if self._carrier is not None else None
            if fault is not None:
                session.refuse(fault)
            else:
                # Also when the carrier says so: nothing is on its way that could reset what is written.
                self._eof = True
            session.end_of_stream()
            self._after(session)

    def pause_writing(self) -> None:
        self._blocked = True
        if self.session is not None:
            self.session.writable(False)
            self._weigh(self.session)

    def resume_writing(self) -> None:
        self._blocked = False
        self._unweigh()
        # Its client reads.
        self._looks = 0
        if self.session is not None:
            self.flush()
            self._server.turn.soon()

    def connection_lost(self, problem: Exception | None) -> None:
        if self._place is not None:
            self._place.close()
        unbind(self.transport)
        session = self.session
        if session is None:
            return
        self._forget_login()
        self._problem = problem
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        fault = problem is not None and not isinstance(problem, OSError)
        carried = self._carrier is not None and self._carrier.more
        if (session.more or carried) and not fault and not self._server.draining:
            # What came before is done first, in as many turns as that takes.
            self._lost = self.gone = True
            session.writable(False)
            self._server.turn.rest(self)
            self._server.turn.soon()
        else:
            self._end(session)

    def _end(self, session: Talk) -> None:
        """The connection is lost, and all that came of it is done."""
        self._unweigh()
        self._count(session, 0)
        self._no_stranger()
        self._server.broker.memory.used -= len(self._unread)
        self._unread = b""
        session.end_of_stream()
        session.lost()
        self._leave_login()
        self._tell(session.events())
        self._server.forget(self, self._problem)
        # It has the frames where it was raised, of which some have this connection.
        self._problem = None
        self._error = None
        if self._carrier is not None:
            self._carrier.close()
        self.session = None

    # The session's promises

    def wake(self) -> None:
        """Let the session do what is due, and set the timer to when it wants to be called next."""
        session = self.session
        if session is None or self._finishing or self._lost:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # A login may expire by the clock on the wall.
        self._server.alarm.look()
        now = self._server.time()
        next = session.tick(now)
        if self._carrier is not None and session.connected:
            due = self._carrier.tick(now, session.beats)
            if due is not None:
                next = due if next is None or due < next else next
                if self.transport is not None and (octets := self._carrier.wrapped([])):
                    self.transport.write(b"".join(octets))
        if next is not None:
            self._timer = self._server.loop.call_at(next, self._hear)
        self._after(session)

    def _hear(self) -> None:
        """It is time to see whether the client is silent."""
        self._timer = None
        after_hearing(self._server.loop, self.wake)

    def quit(self) -> None:
        """The server is going: close without an ERROR once everything owed is out."""
        self._ours = True
        if self.session is not None:
            self.session.end_of_stream()
            if self._lost:
                self._end(self.session)

    def flush(self, most: int = 0) -> None:
        """Write the outbox, once a loop turn, as far as the socket takes it; close when the session has nothing more
        to say. ``most``: bytes that the transport is given at a time, 0 for what all are given.
        """
        session = self.session
        transport = self.transport
        # What is always true but for a few reasons needs no look at each (bench: latency, fanout5).
        if (
            session is not None
            and transport is not None
            and not (self._held or self._blocked or self._finishing or most)
            and self._carrier is None
        ):
            octets = session.take_whole(
                GATHERED if self._gathers else SINGLE, self._unsent.grant, self._server.time()
            )
            if octets:
                transport.write(octets)
                return
        if session is not None and self._waits and not session.busy:
            self._waits = False
            self._server.turn.rest(self)
        if session is not None and self._lost:
            # Nobody reads it.
            session.take_pieces(SINGLE)
        if session is None or transport is None or (self._finishing and not self._leaving):
            return
        gathers = self._gathers
        more = not self._blocked
        while more:
            pieces = session.take_pieces(
                GATHERED if gathers else SINGLE,
                most or self._unsent.grant,
                not gathers and self._carrier is None,
                self._carrier is not None,
            )
            if pieces and self._carrier is not None:
                pieces = self._carrier.wrapped(pieces)
            if pieces:
                session.written(self._server.time())
                if len(pieces) == 1:
                    transport.write(pieces[0])
                elif gathers:
                    transport.writelines(pieces)
                else:
                    for piece in pieces:
                        transport.write(piece)
            more = session.unsent and not self._blocked
        if self._blocked:
            session.writable(False)
            self._weigh(session)
        if session.closing:
            if not self._finishing:
                self._finish(session, transport)
            self._leaving = session.unsent
            if not self._leaving:
                self._close(transport)
        elif not self._blocked:
            if self._held & UNREAD:
                self.release(UNREAD)
            session.writable(True)

    def refuse(self, error: ClientError) -> bool:
        """End it with ``error``; false when it ends already."""
        session = self.session
        if session is None or self._finishing or self.describe(self._server.time()) is None:
            return False
        self._ours = True
        session.refuse(error)
        self._after(session)
        return True

    def entitle(self, session: Talk) -> None:
        """What its client may do is other than before."""
        if not self._finishing:
            session.entitle(self._server.entitled(session.whose(), self.address))
            self._after(session)

    def describe(self, now: float) -> managed.Connection | None:
        """What is told of it to those who manage the server; None when it ends."""
        session = self.session
        transport = self.transport
        if session is None or transport is None:
            return None
        found = session.describe(self.address, transport.get_write_buffer_size(), self._held != 0, now)
        cipher = transport.get_extra_info("cipher")
        if found is not None and cipher is not None:
            found.tls = f"{cipher[1]} {cipher[0]}"
        return found

    def abort(self) -> None:
        """Cut the connection without a word; what was read and is not done is let go."""
        if self._place is not None:
            self._place.leave()
        session = self.session
        if session is not None:
            session.end_of_stream()
        if self.transport is not None:
            self.transport.abort()
        elif session is not None and self._lost:
            self._end(session)

    def _finish(self, session: Talk, transport: asyncio.Transport) -> None:
        """End all but the transport, which is cut in a while. What is in the outbox is still written."""
        self._finishing = True
        session.lost()
        self._leave_login()
        if self._place is not None:
            self._place.leave()
        self._server.producers.waive(self)
        self._forget_login()
        self.release(LOGIN | THROTTLED | UNREAD | TURN | CHOKED | RATED)
        self._count(session, 0)
        self._no_stranger()
        self._tell(session.events())
        if self._timer is not None:
            self._timer.cancel()
        part = partial(after_hearing, self._server.loop, partial(self._server.spread.call, transport.abort))
        self._timer = self._server.loop.call_later(self._server.terms.linger, part)

    def _close(self, transport: asyncio.Transport) -> None:
        """Half-close and read on for a while, so that what was written last arrives and is not cut by a reset
        (STOMP 1.2, Connection Lingering; rabbitmq-server#6737).
        """
        if self._carrier is not None and (farewell := self._carrier.farewell(self._error, self._ours)):
            transport.write(farewell)
        self._error = None
        # What the client sent is read, too, before it ends: else a reset would take the ERROR away.
        if self._eof or not transport.can_write_eof():
            transport.close()
        elif not transport.is_closing():
            try:
                transport.write_eof()
            except OSError:
                # The client has reset the connection, and nobody has been told yet.
                transport.abort()

    # Reading or not

    def hold(self, reason: int) -> None:
        """Stop reading for ``reason`` (LOGIN, THROTTLED, UNREAD, TURN, CHOKED or RATED)."""
        if not self._held and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            if self.session is not None:
                self.session.reading(False, self._server.time())
        self._held |= reason

    def release(self, reason: int) -> None:
        """Read again unless there is another reason not to."""
        held = self._held
        self._held &= ~reason
        if held and not self._held:
            if self.session is not None:
                self.session.reading(True, self._server.time())
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()
            if self._unread and self.session is not None:
                data = self._unread
                self._unread = b""
                self._server.broker.memory.used -= len(data)
                self.data_received(data, True)
            self._go_on_carrying()
            carried = self._carrier is not None and self._carrier.ended
            # What came behind a login is done after that.
            ended = self._ended or (carried and not held & LOGIN)
            if ended and not self._held:
                self._no_more()

    @property
    def certified(self) -> bool:
        """Whether a certificate says who its client is."""
        return self._certified is not None

    @property
    def holds(self) -> int:
        """Bytes of memory that only this client can give back: its unfinished frame."""
        return self._partial

    @property
    def may_wait(self) -> bool:
        """Whether nobody else has to wait when this client is not read."""
        session = self.session
        if session is None or session.more or self.gone:
            return False
        return session.connected and not session.unsettled

    def _weigh(self, session: Talk) -> None:
        """Count what waits for a client that does not read."""
        transport = self.transport
        if transport is not None:
            stuck = session.unwritten + transport.get_write_buffer_size()
            self._unsent.change(stuck - self._stuck)
            self._stuck = stuck

    def _unweigh(self) -> None:
        """Nothing waits, or nothing will be written."""
        if self._stuck:
            self._unsent.change(-self._stuck)
            self._stuck = 0

    def burden(self) -> int:
        """Bytes that it makes the server hold because its client does not read, or does not go on with a frame, since
        this was asked LOOKS times.
        """
        begun, full = self._begun, self._full
        # One that is not read cannot go on with its frame; what a stranger holds keeps nobody waiting.
        self._begun = 0 if self._held or self._stranger else self._partial
        self._full = (
            self.transport.get_write_buffer_size() if self.transport is not None and self._stuck else 0
        )
        if self._full < full or self._begun != begun or not (self._full or self._begun):
            self._looks = 0
            return 0
        self._looks += 1
        return self._stuck + self._begun if self._looks >= LOOKS else 0

    def dismiss(self) -> None:
        """Cut it with an ERROR, because its burden keeps others waiting."""
        self.refuse(
            Refused(
                "Too slow while memory is short",
                where=f"the connection, with {self._stuck} octets that were not read and {self._partial} of a frame"
                " that does not end",
                rule="Clients that do not read, or do not end their frames, hold more than half of memory-limit",
                fix="Read what the server sends, and send whole frames.",
            )
        )
        if self._stuck:
            self.abort()

    def sends_next(self) -> bool:
        """Whether what its client says next, which was not read yet, is or may be a SEND."""
        number = self.fileno()
        session = self.session
        if session is None or number < 0 or self._unread or self._carrier is not None:
            return True
        if self.transport is not None and self.transport.get_extra_info("ssl_object") is not None:
            # What is in the socket tells nothing.
            return True
        peek = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, number)
        try:
            octets = peek.recv(PEEK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True
        finally:
            # The socket is the transport's.
            peek.detach()
        return session.sends(octets)

    def fileno(self) -> int:
        """The socket's number; negative when it is closed."""
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
        return int(sock.fileno()) if sock is not None else -1

    def _after(self, session: Talk) -> None:
        """What follows from an entry into the session."""
        happened = session.events()
        if happened:
            self._tell(happened)
        if self._stranger:
            credentials = session.credentials
            if credentials is not None and not self._held & LOGIN:
                if self._carrier is not None and not credentials[0] and not credentials[1]:
                    credentials = self._carrier.credentials or credentials
                    # For the log and the audit, where it is wrong.
                    session.calls_itself(credentials[0])
                self.hold(LOGIN)
                answer = partial(self._logged_in, session)
                certified = self._certified
                if certified is not None and credentials[0] in (None, "", certified.login):
                    self._server.spread.call(answer, certified, None)
                else:
                    self._login = self._server.logins.check(self, *credentials, answer)
        sent = session.sent
        if sent != self._sends and not session.more:
            self._sends = sent
            self._server.producers.sent(self)
            if session.blocked:
                self._server.producers.choke(self)
        if session.hurried:
            self.wake()
        if session.answers > ANSWERS_HIGH and not self._finishing:
            # Until they are at the socket.
            self.hold(UNREAD)
        self._server.turn.soon()

    def _logged_in(self, session: Talk, principal: Principal | None, problem: Refused | None) -> None:
        self._login = None
        if self.session is session and not self._finishing:
            self.release(LOGIN)
            self._server.alarm.look()
            now = self._server.time()
            if principal is None and problem is None and self._certified is not None:
                problem = faults.not_of_certificate()
            if problem is None and principal is not None:
                try:
                    principal.usage = self._usage = self._server.quotas.enter(principal)
                except Refused as refused:
                    problem = refused
            if problem is not None:
                self._ours = True
                session.refuse(problem)
            else:
                rights = self._server.entitled(principal, self.address) if principal is not None else None
                session.authenticated(principal, now, rights)
            if self._usage is not None and self._usage.rated and self.transport is not None:
                meter = self._meter = Meter(self, self._usage, self._server.loop)
                self.transport.set_protocol(meter)
                meter.begin()
            if session.more:
                self._do_some(session, now)
            pending: int = session.unfinished
            if pending != self._partial:
                self._count(session, pending)
            self.wake()
            if self._carrier is not None and self._carrier.ended and not self._held:
                self._no_more()

    def _welcome(self) -> None:
        """It is logged in: what it holds from now on counts as messages."""
        if self._stranger:
            self._no_stranger()
            self._server.broker.memory.used += self._partial

    def _leave_login(self) -> None:
        """It is no connection of its login any more."""
        if self._meter is not None:
            self._meter.end()
            self._meter = None
        if self._usage is not None:
            self._server.quotas.leave(self._usage)
            self._usage = None

    def _no_stranger(self) -> None:
        if self._stranger:
            self._stranger = False
            self._server.strangers.leave(self)

    def _forget_login(self) -> None:
        if self._login is not None:
            self._login.cancel()
            self._login = None

    def _count(self, session: Talk, pending: int) -> None:
        """Count what is held of frames as memory; refuse an unfinished one when there is none left."""
        if self._stranger and session.connected:
            self._welcome()
        elif self._stranger:
            self._partial = pending
            self._server.strangers.hold(self, pending)
            return
        memory = self._server.broker.memory
        memory.used += pending - self._partial
        self._partial = pending
        if pending <= PARTIAL or session.more or session.busy:
            return
        if not memory.full:
            self._server.producers.sent(self)
        else:
            self._ours = True
            session.refuse(
                Refused(
                    "Out of memory for messages",
                    where=f"a frame of which {pending} bytes have come",
                    rule=f"This server holds {memory.limit} bytes of messages (memory-limit)",
                    fix="Send again when messages were consumed, or ask the administrator to raise that option.",
                )
            )
            memory.used -= self._partial
            self._partial = 0

    def _tell(self, happened: list[Event]) -> None:
        """Log what happened in the session."""
        for event in happened:
            lines.tell(event, self.id, self.address, self._server.log_rate)
            if self._server.audit is not None:
                self._audit(self._server.audit, event)
            if isinstance(event, Failed):
                # For the carrier alone; it has the frames where it was raised.
                self._error = event.error if self._carrier is not None else None
            elif isinstance(event, Connected):
                self._welcome()
                if self._carrier is not None:
                    self._carrier.grow(self._server.largest_frame(self))
                # Heart-beats may have been agreed.
                self._server.loop.call_soon(self.wake)
            elif isinstance(event, Renewing):
                self._renew()

    def _audit(self, audit: Audit, event: Event) -> None:
        login = self.session.principal_login if self.session is not None else None
        if isinstance(event, Connected):
            audit.note("connected", self.address, self.id, event.login, version=event.version)
        elif isinstance(event, Failed):
            audit.note(
                "refused", self.address, self.id, event.login, reason=event.text, connected=event.connected
            )
        elif isinstance(event, Managed):
            problem = {"problem": event.problem} if event.problem else {}
            audit.note(
                "managed", self.address, self.id, login, action=event.action, target=event.target, **problem
            )
        elif isinstance(event, Renewed):
            problem = {"problem": event.problem} if event.problem else {}
            audit.note("renewed", self.address, self.id, event.login, **problem)

    def _renew(self) -> None:
        """Have a new token of the client checked, as a login is; it is read meanwhile."""
        session = self.session
        passcode = session.renewal_passcode if session is not None else None
        if session is not None and passcode is not None:
            answer = partial(self._renewed, session)
            self._login = self._server.logins.check(self, session.principal_login, passcode, answer)

    def _renewed(self, session: Talk, principal: Principal | None, problem: Refused | None) -> None:
        self._login = None
        if self.session is session and not self._finishing:
            session.renewed(principal, problem, self._server.time())
            # Its account may say that it is in other groups now.
            self.entitle(session)
            self.wake()
