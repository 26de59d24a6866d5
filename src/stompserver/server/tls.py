"""TLS between a plain transport and who speaks over it, by OpenSSL over memory (``ssl.SSLObject``).

The loops' own TLS transports are not used, because of what they do (uvloop 0.23, CPython 3.11): when reading is
paused they lose what came before the client's end; they know no half-close; their write buffers do not see what they
hold; thousands of handshakes are all made in one turn of the loop; asyncio's take 278 KiB a connection. Here the
plain transport is what is paused, half-closed and asked how much it holds, so that all is as it is without TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from stompserver.server.unbound import unbind

RECORD: Final = 16 * 1024
"""Octets of one TLS record at most."""

AHEAD: Final = 4 * RECORD
"""Octets from which a client is read no more that are there before its handshake is done."""

FED: Final = 4 * RECORD
"""Octets of what came that OpenSSL is given at a time. It would keep the memory of more; with less, each part ends
within a record, which costs an exception.
"""

Shaken = Callable[[Exception | None], None]
"""Takes the end of a handshake: why it failed, or None."""


class Handshakes:
    """Makes steps of handshakes, ``most`` in a turn of the loop: each takes OpenSSL as long as some hundred messages
    take the broker, and thousands may come at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self.most = most
        self._loop = loop
        self._waiting: dict[Tls, None] = {}
        """Who has a step to make, the first one first."""
        self._scheduled = False

    def add(self, tls: Tls) -> None:
        """It has something to do."""
        self._waiting[tls] = None
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def discard(self, tls: Tls) -> None:
        """It is gone."""
        self._waiting.pop(tls, None)

    def _turn(self) -> None:
        self._scheduled = False
        for tls in list(self._waiting)[: self.most]:
            del self._waiting[tls]
            if self._waiting and not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._turn)
            tls.step()


class Tls(asyncio.Protocol, asyncio.Transport):
    """The protocol of ``inner``, a plain transport, and a transport for the protocol that it is given when ``shaken``
    was told that the handshake is done.

    With ``shaken`` told of a failure, what there is to tell the client was written, and ``inner`` is the caller's.
    """

    __slots__ = (
        "_ended",
        "_gathers",
        "_handshakes",
        "_incoming",
        "_inner",
        "_left",
        "_outgoing",
        "_problem",
        "_protocol",
        "_shaken",
        "_shut",
        "_ssl",
        "_stopped",
        "_waits",
    )

    def __init__(
        self, inner: asyncio.Transport, context: ssl.SSLContext, handshakes: Handshakes, shaken: Shaken
    ) -> None:
        super().__init__()
        self._inner = inner
        self._gathers = not isinstance(cast(object, inner), asyncio.Transport)
        """Whether ``inner`` writes several pieces at once: uvloop's, which is of this shape without being of this
        class.
        """
        self._handshakes = handshakes
        self._shaken: Shaken | None = shaken
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._protocol: asyncio.Protocol | None = None
        self._ended = False
        """Whether the protocol knows that the client sends no more."""
        self._problem: Exception | None = None
        """Why it was cut, where that was here."""
        self._shut = False
        """Whether the client was told that nothing more comes; what it still sends is let go."""
        self._waits = False
        """Whether a step of the handshake waits for its turn."""
        self._left = False
        """Whether the client's end came meanwhile."""
        self._stopped = False
        """Whether it is not read, because too much came before the handshake is done."""

    # The handshake

    def step(self) -> None:
        """Make a step of the handshake with what came of it."""
        self._waits = False
        shaken = self._shaken
        if shaken is None:
            return
        problem: Exception | None = None
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            if self._left:
                self._fail(ConnectionResetError("the client left"))
                self._inner.close()
            else:
                self._read_on()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            # Without the frames, of which this one has what is told of it: a cycle.
            problem = error.with_traceback(None)
        # The last words of a failure are OpenSSL's, too: an alert.
        self._flush()
        self._shaken = None
        self._read_on()
        shaken(problem)
        if problem is None:
            self._take(b"")
            if self._left:
                self.eof_received()

    def _read_on(self) -> None:
        if self._stopped and not self._inner.is_closing():
            self._stopped = False
            self._inner.resume_reading()

    def peer_certificate(self) -> dict[str, Any]:
        """What the client's certificate says, which was verified; empty where it has none."""
        return cast(dict[str, Any], self._ssl.getpeercert() or {})

    # asyncio.Protocol, for the plain transport

    def data_received(self, data: bytes) -> None:
        if self._shaken is not None:
            self._incoming.write(data)
            if self._incoming.pending > AHEAD and not self._stopped:
                # What comes behind it waits in the socket.
                self._stopped = True
                self._inner.pause_reading()
            if not self._waits:
                self._waits = True
                self._handshakes.add(self)
        elif not self._shut:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Give the protocol what is in ``data``, and in what came before."""
        parts: list[bytes] = []
        ended = False
        problem: ssl.SSLError | None = None
        try:
            if len(data) <= FED:
                self._incoming.write(data)
                ended = self._read(parts)
            else:
                view = memoryview(data)
                for start in range(0, len(data), FED):
                    self._incoming.write(view[start : start + FED])
                    if ended := self._read(parts):
                        break
        except ssl.SSLError as error:
            problem = error.with_traceback(None)
        if self._outgoing.pending:
            self._flush()
        protocol = self._protocol
        if protocol is None:
            return
        if parts:
            protocol.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if problem is not None:
            self._problem = problem
            self._inner.abort()
        elif ended and not self._ended:
            self._ended = True
            if not protocol.eof_received():
                self.close()

    def _read(self, parts: list[bytes]) -> bool:
        """Append what OpenSSL makes of what came; whether that was the last. Raises SSLError."""
        incoming = self._incoming
        connection = self._ssl
        try:
            while incoming.pending or connection.pending():
                part = connection.read(RECORD)
                if not part:
                    return True
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        return False

    def eof_received(self) -> bool:
        if self._shaken is not None and self._waits:
            # What it sent before that may be all there is to do.
            self._left = True
            return True
        if self._shaken is not None:
            self._fail(ConnectionResetError("the client left"))
            return False
        if self._ended or self._protocol is None:
            return not self._shut
        self._ended = True
        if self._protocol.eof_received():
            return True
        self.close()
        return False

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, problem: Exception | None) -> None:
        self._handshakes.discard(self)
        unbind(self._inner)
        self._shut = True
        protocol = self._protocol
        self._protocol = None
        cut = self._problem
        self._problem = None
        if protocol is not None:
            protocol.connection_lost(problem or cut)
        elif self._shaken is not None:
            self._fail(problem or ConnectionResetError("the client left"))

    def _fail(self, problem: Exception) -> None:
        shaken = self._shaken
        self._shaken = None
        if shaken is not None:
            shaken(problem)

    # asyncio.Transport, for the protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self._protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._ssl
        if name == "sslcontext":
            return self._ssl.context
        if name == "cipher":
            # TLS 1.2's ciphers are called after the version that had them first.
            cipher = self._ssl.cipher()
            return (cipher[0], self._ssl.version(), cipher[2]) if cipher is not None else default
        if name == "peercert":
            return self._ssl.getpeercert()
        return self._inner.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._shut or self._inner.is_closing():
            return
        connection = self._ssl
        outgoing = self._outgoing
        try:
            if len(data) <= RECORD:
                connection.write(data)
                self._inner.write(outgoing.read())
                return
            records = []
            view = memoryview(data)
            for start in range(0, len(data), RECORD):
                connection.write(view[start : start + RECORD])
                records.append(outgoing.read())
        except ssl.SSLError as problem:
            self._problem = problem.with_traceback(None)
            self._inner.abort()
            return
        if self._gathers:
            self._inner.writelines(records)
        else:
            # asyncio's joins them, too, or (3.12) forgets that much may be waiting.
            self._inner.write(b"".join(records))

    def _flush(self) -> None:
        """Write what OpenSSL itself has to say."""
        if self._outgoing.pending and not self._inner.is_closing():
            self._inner.write(self._outgoing.read())

    def _shut_down(self) -> None:
        """Tell the client that nothing more comes (close_notify)."""
        if not self._shut:
            self._shut = True
            # It wants to read the client's, too, for which nobody waits here.
            with contextlib.suppress(ssl.SSLError):
                self._ssl.unwrap()
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Close this half; what comes of the other is let go."""
        self._shut_down()
        self._inner.write_eof()

    def close(self) -> None:
        if not self._inner.is_closing():
            self._shut_down()
            self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._inner.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size()
