"""A connection before STOMP: what a proxy says about it, whether it speaks TLS, and the handshake."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast

from stompserver.errors import ClientError, ProtocolError
from stompserver.security.certificates import names_in
from stompserver.server.door import Door, Place
from stompserver.server.hearing import after_hearing
from stompserver.server.log_rate import LogRate
from stompserver.server.logins import Logins
from stompserver.server.origin import is_loopback, origin_of
from stompserver.server.renewal import Renewal
from stompserver.server.spread import Spread
from stompserver.server.strangers import Strangers
from stompserver.server.terms import Terms
from stompserver.server.tls import Handshakes, Tls
from stompserver.server.unbound import unbind
from stompserver.session.principal import Principal
from stompserver.wire import proxy
from stompserver.wire.headers import RAW, encode_frame

log = logging.getLogger("stompserver.connection")

HANDSHAKE: Final = 0x16
"""The first octet of TLS: a record of a handshake."""

UNIX: Final = "unix"
"""Where clients of a Unix socket come from, when the system does not tell the user."""

MOST: Final = 20
"""Lines about failures of an address within LogRate's window."""

HINTS: Final = (
    ("UNKNOWN_CA", "the client does not know the CA of this server's certificate: give it that CA"),
    ("CERTIFICATE_UNKNOWN", "the client does not take this server's certificate: look at its CA, names and days"),
    ("BAD_CERTIFICATE", "the client does not take this server's certificate: look at its names"),
    ("CERTIFICATE_EXPIRED", "the client finds this server's certificate expired: renew it, or set its clock"),
    ("UNSUPPORTED_PROTOCOL", "the client speaks only older versions of TLS than tls-min-version"),
    ("VERSION_TOO_LOW", "the client speaks only older versions of TLS than tls-min-version"),
    ("WRONG_VERSION_NUMBER", "what came is no TLS"),
    ("NO_SHARED_CIPHER", "the client knows no cipher that this server takes (tls-ciphers, the kind of the key)"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "clients need a certificate of tls-client-ca here (tls-client-cert: need)"),
)  # fmt: skip
"""What to do, by a part of OpenSSL's name for the reason."""

HTTP: Final = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ")


Connect = Callable[[Place | None, Principal | None], asyncio.Protocol]
"""Makes what takes over a connection with that place, of whom a certificate names."""


class Host(Protocol):
    """The server, as an entrance sees it."""

    door: Door
    draining: bool
    entrances: set[Entrance]
    handshakes: Handshakes | None
    log_rate: LogRate
    logins: Logins
    loop: asyncio.AbstractEventLoop
    renewal: Renewal | None
    spread: Spread
    strangers: Strangers
    terms: Terms

    @property
    def time(self) -> Callable[[], float]: ...


class Entrance(asyncio.Protocol):
    """Lets one connection in by what its listener wants (``Front``), and hands its transport to what ``connect``
    makes. It counts at the door from the moment it is accepted, and may be cut for others like any client without a
    login.
    """

    __slots__ = (
        "_connect",
        "_finishing",
        "_front",
        "_head",
        "_listener",
        "_place",
        "_proxied",
        "_server",
        "_timer",
        "_tls",
        "_transport",
        "address",
    )

    def __init__(self, server: Host, listener: int, connect: Connect) -> None:
        self._server = server
        self._connect = connect
        self._listener = listener
        self._front = server.terms.fronts[listener]
        self._head = b""
        """What came, of which nobody has taken anything."""
        self._place: Place | None = None
        self._proxied = False
        """Whether the PROXY header came, where one has to."""
        self._finishing = False
        """Whether the last word is said."""
        self._timer: asyncio.TimerHandle | None = None
        self._tls: Tls | None = None
        self._transport: asyncio.Transport | None = None
        self.address = "?"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        server = self._server
        if server.draining:
            self._transport.abort()
            return
        server.entrances.add(self)
        front = self._front
        if front.unix:
            self.address = user_of(transport.get_extra_info("socket"))
            local = True
        else:
            peer = transport.get_extra_info("peername")
            if not peer:
                # It is gone again already, as those are that only look whether somebody listens.
                self._transport.abort()
                return
            self.address = str(peer[0])
            local = is_loopback(self.address)
            if front.proxy and not self._is_proxy():
                self._log("proxy_forbidden", "Refused %s: not one of proxy-networks", self.address)
                self._transport.abort()
                return
        # Whom a proxy brings counts for itself, as soon as we know who it is.
        place = self._place = server.door.enter("" if front.proxy else self.address)
        place.local = local
        place.since = server.time()
        if place.crowded:
            self._transport.abort()
            return
        server.strangers.enter(self)
        patience = min(front.timeout, server.terms.login_timeout)
        late = partial(after_hearing, server.loop, partial(self._late, patience))
        self._timer = server.loop.call_later(patience, late)
        if not front.proxy and front.tls == "no":
            self._hand_over(self._transport, None)

    def data_received(self, data: bytes) -> None:
        if self._finishing or self._place is None:
            return
        self._head += data
        if self._front.proxy and not self._proxied:
            try:
                header = proxy.parse(self._head)
            except ProtocolError as error:
                self._log("proxy_header", "Refused %s: %s", self.address, error)
                self._say(error)
                return
            if header is None:
                return
            self._proxied = True
            self._head = self._head[header.size :]
            self._known(header.address)
        self._go_on()

    def eof_received(self) -> bool:
        # Who has said nothing by now has nothing to say.
        return False

    def connection_lost(self, problem: Exception | None) -> None:
        if self._place is not None:
            self._place.close()
        unbind(self._transport)
        self._forget()

    # What came first

    def _is_proxy(self) -> bool:
        try:
            address = ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._front.networks)

    def _known(self, address: str) -> None:
        """The proxy has said who it is that is connected to it; "": itself."""
        old = self._place
        assert old is not None
        if address:
            self.address = address
        old.close()
        place = self._place = self._server.door.enter(self.address)
        place.since = old.since
        place.local = bool(old.local) and is_loopback(address) if address else old.local

    def _go_on(self) -> None:
        """Look at the first octet of what is no PROXY header."""
        transport = self._transport
        front = self._front
        if transport is None or transport.is_closing():
            return
        if front.tls == "no":
            self._hand_over(transport, None)
        elif not self._head:
            return
        elif self._head[0] == HANDSHAKE or (front.tls == "yes" and not is_text(self._head)):
            self._shake(transport)
        elif front.tls == "detect":
            self._hand_over(transport, None)
        else:
            self._log("tls_missing", "Refused %s: plain text on a port with TLS", self.address)
            self._say(no_tls())

    def _shake(self, transport: asyncio.Transport) -> None:
        server = self._server
        assert server.renewal is not None and server.handshakes is not None
        context = server.renewal.context(self._listener)
        tls = self._tls = Tls(transport, context, server.handshakes, self._shaken)
        head, self._head = self._head, b""
        transport.set_protocol(tls)
        tls.data_received(head)

    def _shaken(self, problem: Exception | None) -> None:
        """The handshake is over."""
        tls, self._tls = self._tls, None
        transport = self._transport
        if tls is None or transport is None:
            return
        if problem is None:
            self._hand_over(tls, self._certified(tls))
            return
        if isinstance(problem, ssl.SSLError):
            reason, hint = reason_of(problem)
            text = "TLS handshake with %s failed: %s%s"
            self._log("tls_handshake_failed", text, self.address, reason, f" ({hint})" if hint else "")
        else:
            self._log("tls_handshake_failed", "TLS handshake with %s failed: %s", self.address, problem)
        if transport.is_closing():
            self.connection_lost(problem)
            return
        transport.set_protocol(self)
        self._end()

    def _certified(self, tls: Tls) -> Principal | None:
        """Whom the client's certificate names; None for nobody."""
        how = self._front.login
        if how == "no":
            return None
        names = names_in(tls.peer_certificate(), how)
        source = self._server.logins.users
        users = source.users if source is not None else None
        known = [name for name in names if users is not None and name in users]
        chosen = (known or names)[:1]
        return Principal(chosen[0]) if chosen else None

    def _hand_over(self, transport: asyncio.Transport, certified: Principal | None) -> None:
        """STOMP begins."""
        place, self._place = self._place, None
        head, self._head = self._head, b""
        self._forget()
        connection = self._connect(place, certified)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if head:
            connection.data_received(head)

    # The end

    def refuse(self, error: ClientError) -> bool:
        """End it with ``error``; false when it ends already."""
        if self._finishing or self._place is None:
            return False
        if self._tls is not None:
            self.abort()
        else:
            self._say(error)
        return True

    def abort(self) -> None:
        """Cut it without a word."""
        if self._place is not None:
            self._place.leave()
        if self._transport is not None:
            self._transport.abort()

    def _late(self, seconds: float) -> None:
        if self._finishing or self._transport is None:
            return
        if self._tls is not None:
            text = "TLS handshake with %s failed: not done within %g s"
            self._log("tls_handshake_failed", text, self.address, seconds)
        else:
            self._log("silent", "Closing %s, which said nothing within %g s", self.address, seconds)
        self.abort()

    def _say(self, error: ClientError) -> None:
        """Tell in plain text what is wrong, for those who read it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_in_plain(error, self._head.startswith(HTTP)))
        self._end()

    def _end(self) -> None:
        """Half-close, and wait a while for the client to read what was said last."""
        self._finishing = True
        self._head = b""
        self._server.strangers.leave(self)
        if self._place is not None:
            self._place.leave()
        transport = self._transport
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if transport is None or transport.is_closing():
            return
        cut = partial(after_hearing, self._server.loop, partial(self._server.spread.call, transport.abort))
        self._timer = self._server.loop.call_later(self._server.terms.linger, cut)
        try:
            transport.write_eof()
        except OSError:
            transport.abort()

    def _forget(self) -> None:
        """It is no entrance any more."""
        self._server.entrances.discard(self)
        self._server.strangers.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        self._tls = None

    def _log(self, event: str, text: str, *values: object) -> None:
        if self._server.log_rate.allows(origin_of(self.address), event, MOST, self.address):
            log.warning(text, *values, extra={"event": event, "address": self.address})


def is_text(head: bytes) -> bool:
    """Whether that is what people and STOMP clients write: letters, or line ends before them."""
    return head[:1].isalpha() or head[:1] in (b"\r", b"\n")


def user_of(sock: socket.socket) -> str:
    """Where a client of a Unix socket comes from: ``unix:`` and the number of its user, where the system tells."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return UNIX
    try:
        _, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    except OSError:
        return UNIX
    return f"{UNIX}:{user}"


def reason_of(problem: ssl.SSLError) -> tuple[str, str]:
    """What OpenSSL says about it, and what to do."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        said: str = problem.verify_message or str(problem.reason)
        return f"the client's certificate: {said}", "clients need one of tls-client-ca that is in force"
    name = problem.reason or str(problem)
    for part, hint in HINTS:
        if part in name:
            return name.replace("_", " ").lower(), hint
    return name.replace("_", " ").lower(), ""


def no_tls() -> ProtocolError:
    """Plain text came where TLS is spoken."""
    return ProtocolError(
        "This port speaks TLS, and what came is plain text",
        where="byte 0, which is no TLS handshake",
        rule="This listener takes clients with TLS alone (tls)",
        fix="Turn TLS on in the client (stomp+ssl, ssl://), or connect to a port without it.",
    )


def _in_plain(error: ClientError, http: bool) -> bytes:
    body = error.explanation().encode()
    if http:
        about = b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n" % len(body)
        return b"HTTP/1.1 400 Bad Request\r\n" + about + b"\r\n" + body
    headers = [("message", error.summary), ("content-type", "text/plain"), ("content-length", str(len(body)))]
    return encode_frame("ERROR", headers, body, RAW)
