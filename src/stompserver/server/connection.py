"""One TCP connection: its transport, its session and its timer."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Final, cast

from stompserver.errors import Refused
from stompserver.session.outbox import OUTBOX_HIGH
from stompserver.session.session import Session
from stompserver.session.state import AUTHENTICATING, CONNECTED

if TYPE_CHECKING:
    from stompserver.server.server import Server

log = logging.getLogger("stompserver.connection")
frames_log = logging.getLogger("stompserver.frames")

WRITE_HIGH: Final = 256 * 1024
"""Bytes that the transport may hold before the session is told to wait."""

PARTIAL: Final = 64 * 1024
"""Bytes of an unfinished frame above which it may be refused when memory is out."""

# Why a connection is not read.
LOGIN: Final = 1
THROTTLED: Final = 2
UNREAD: Final = 4
"""Its client does not read the answers to what it sends."""
TURN: Final = 8
"""It has been read enough for this turn of the loop."""

CHOKED: Final = 16
"""It sent to a queue that is full and lets its producers wait."""

FULL: Final = 128 * 1024
"""Bytes that came at once, of which there are probably more: uvloop would go on reading up to 32 times before it
writes anything to anybody.
"""

MANY: Final = 64
"""Messages in one such read that are not large ones any more."""

GATHERED: Final = 4 * 1024
"""Bytes of a body from which it is not copied to be written with what comes before and after it (bench: sizes)."""

SINGLE: Final = 64 * 1024
"""The same where each piece needs a write of its own."""


class Connection(asyncio.Protocol):
    """Carries bytes between a socket and a session, and keeps the session's promises about time."""

    __slots__ = (
        "_blocked",
        "_eof",
        "_finishing",
        "_gathers",
        "_held",
        "_partial",
        "_sends",
        "_server",
        "_timer",
        "_twice",
        "_unread",
        "address",
        "gone",
        "listener",
        "session",
        "transport",
    )

    def __init__(self, server: Server, listener: int = 0) -> None:
        self._server = server
        self.listener = listener
        """The number of the listener it came by; what a client is told may differ."""
        self._blocked = False
        self._eof = False
        self._finishing = False
        self._gathers = False
        """Whether the transport writes several pieces at once without making one of them first."""
        self._held: int = 0
        self._partial: int = 0
        self._sends: int = 0
        self._timer: asyncio.TimerHandle | None = None
        self._twice = False
        """Whether a full read of large messages was not the last of its turn."""
        self._unread = b""
        """Octets that came while there was no room for what they send."""
        self.address = ""
        self.gone = False
        """Whether the client is known to have left, although not all it sent was read."""
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of this shape without being of this class. asyncio's join lines, or (3.12)
        # forget that much may be waiting.
        self._gathers = not isinstance(transport, asyncio.Transport)
        transport = self.transport = cast(asyncio.Transport, transport)
        if self._server.draining:
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "?"
        transport.set_write_buffer_limits(high=WRITE_HIGH)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # The peer may be gone again already.
            with contextlib.suppress(OSError):
                # A RECEIPT behind a MESSAGE must not wait for the peer's delayed ACK.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # One that vanishes without a word is found by the kernel where no heart-beats were agreed.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        refusal = self._server.admit(self)
        session = self.session = self._server.session(self)
        if refusal is not None:
            session.fail(refusal)
        else:
            self.wake()
        self._after(session)

    def data_received(self, data: bytes) -> None:
        session = self.session
        if session is None or self._finishing:
            return
        if (
            self._server.producers.short
            and session.parser.sends(data)
            and self._server.producers.stop(self, len(data))
        ):
            self._unread += data
            return
        self._server.alarm.look()
        session.receive(data, self._server.time())
        pending: int = session.parser.pending
        if pending != self._partial:
            self._count(session, pending)
        # All of it a part of one body, there is nothing new to write to anybody.
        if len(data) > FULL and pending < len(data) and not self._held:
            # Few large messages cost so little time that a turn may take twice as much of them (bench: sizes).
            self._twice = not self._twice and 0 < session.sends - self._sends < MANY
            if not self._twice:
                self.hold(TURN)
                self._server.rest(self)
        self._after(session)

    def eof_received(self) -> bool:
        session = self.session
        self._eof = True
        if session is None or self._finishing:
            return False
        session.end_of_stream()
        self._after(session)
        return True

    def pause_writing(self) -> None:
        self._blocked = True
        if self.session is not None:
            self.session.ready = False

    def resume_writing(self) -> None:
        self._blocked = False
        if self.session is not None and not self._finishing:
            self.flush()
            self._server.soon()

    def connection_lost(self, problem: Exception | None) -> None:
        session = self.session
        if session is None:
            return
        self._count(session, 0)
        session.broker.memory.used -= len(self._unread)
        self._unread = b""
        session.end_of_stream()
        session.lost()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._log_notes(session)
        self._server.forget(self, problem)
        self.session = None
        self.transport = None

    # The session's promises

    def wake(self) -> None:
        """Let the session do what is due, and come again when it says so."""
        session = self.session
        if session is None or self._finishing:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next = session.tick(self._server.time())
        if next is not None:
            self._timer = self._server.loop.call_at(next, self.wake)
        self._after(session)

    def quit(self) -> None:
        """The server is going: close without an ERROR once everything owed is out."""
        if self.session is not None:
            self.session.end_of_stream()

    def flush(self) -> None:
        """Write the outbox, once a loop turn; close when the session has nothing more to say."""
        session = self.session
        transport = self.transport
        if session is None or transport is None or self._finishing:
            return
        if self._blocked and session.behind:
            session.judge()
        if not self._blocked or session.closing:
            pieces = session.take_pieces(GATHERED if self._gathers else SINGLE)
            if pieces:
                session.sent = self._server.time()
                if len(pieces) == 1:
                    transport.write(pieces[0])
                elif self._gathers:
                    transport.writelines(pieces)
                else:
                    for piece in pieces:
                        transport.write(piece)
            if session.closing:
                self._finish(session, transport)
            elif not self._blocked:
                if self._held & UNREAD:
                    self.release(UNREAD)
                session.resume()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    def _finish(self, session: Session, transport: asyncio.Transport) -> None:
        """Half-close and read on for a while, so that what was written last arrives and is not cut by a reset
        (STOMP 1.2, Connection Lingering; rabbitmq-server#6737).
        """
        self._finishing = True
        session.lost()
        self._server.leave(self)
        self.release(LOGIN | THROTTLED | UNREAD | TURN | CHOKED)
        self._count(session, 0)
        self._log_notes(session)
        if self._timer is not None:
            self._timer.cancel()
        if self._eof:
            transport.close()
        elif not transport.is_closing():
            try:
                transport.write_eof()
            except OSError:
                # The client has reset the connection, and nobody has been told yet.
                transport.abort()
        self._timer = self._server.loop.call_later(self._server.linger, transport.abort)

    # Reading or not

    def hold(self, reason: int) -> None:
        """Stop reading for ``reason`` (LOGIN, THROTTLED, UNREAD, TURN or CHOKED)."""
        if not self._held and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            if self.session is not None:
                self.session.paused = True
        self._held |= reason

    def release(self, reason: int) -> None:
        """Read again unless there is another reason not to."""
        held = self._held
        self._held &= ~reason
        if held and not self._held:
            if self.session is not None:
                # What it said meanwhile is still in the kernel: silence counts from now.
                self.session.paused = False
                self.session.heard = self._server.time()
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()
            if self._unread and self.session is not None:
                data = self._unread
                self._unread = b""
                self.session.broker.memory.used -= len(data)
                self.data_received(data)

    @property
    def holds(self) -> int:
        """Bytes of memory that only this client can give back: its unfinished frame and open transactions."""
        assert self.session is not None
        return self._partial + self.session.transacted

    @property
    def may_wait(self) -> bool:
        """Whether nobody else has to wait when this client is not read."""
        session = self.session
        return session is not None and session.state == CONNECTED and not session.deliveries and not self.gone

    def fileno(self) -> int:
        """The socket's number; negative when it is closed."""
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
        return int(sock.fileno()) if sock is not None else -1

    def _after(self, session: Session) -> None:
        """What follows from an entry into the session."""
        if session.notes or session.trace:
            self._log_notes(session)
        if session.state == AUTHENTICATING and not self._held & LOGIN:
            self.hold(LOGIN)
            self._server.authenticate(self)
        if session.sends != self._sends:
            self._sends = session.sends
            self._server.producers.sent(self)
            if session.choked is not None:
                self._server.producers.choke(self)
        if session.answers > OUTBOX_HIGH and not self._finishing:
            # Until they are at the socket.
            self.hold(UNREAD)
        self._server.soon()

    def _count(self, session: Session, pending: int) -> None:
        """Count an unfinished frame as memory; refuse it when there is none left."""
        memory = session.broker.memory
        memory.used += pending - self._partial
        self._partial = pending
        if pending <= PARTIAL:
            return
        if memory.used <= memory.limit:
            self._server.producers.sent(self)
        else:
            session.fail(
                Refused(
                    "Out of memory for messages",
                    where=f"a frame of which {pending} bytes have come",
                    rule=f"This server holds {memory.limit} bytes of messages (memory-limit)",
                    mend="Send again when messages were consumed, or ask the administrator to raise that option.",
                )
            )
            memory.used -= self._partial
            self._partial = 0

    def _log_notes(self, session: Session) -> None:
        if session.trace:
            for line in session.trace:
                frames_log.debug("%s %s", session.id, line, extra={"connection": session.id})
            session.trace.clear()
        for event, detail in session.notes:
            extra = {"event": event, "connection": session.id, "address": self.address}
            if event == "connected":
                log.info(
                    "Connected %s with STOMP %s as %s",
                    self.address,
                    detail,
                    session.login or "nobody",
                    extra=extra | {"version": detail, "login": session.login},
                )
                if session.tick(self._server.time()) is not None:
                    self._server.loop.call_soon(self.wake)
            elif event == "error":
                log.warning("Refused %s: %s", self.address, detail, extra=extra)
            elif event == "warning":
                log.warning("Not as asked by %s: %s", self.address, detail, extra=extra)
            elif event == "sins":
                log.info("Forgiven %s: %s", self.address, detail, extra=extra | {"sins": detail})
            elif event == "subscribed":
                log.info("Subscribing to %s", detail, extra=extra | {"destination": detail})
            elif event == "unsubscribed":
                log.info("Unsubscribing from %s", detail, extra=extra | {"destination": detail})
        session.notes.clear()


def is_loopback(address: str) -> bool:
    """Whether that is an address of this machine alone, also in the form in which IPv6 sockets show IPv4."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback
