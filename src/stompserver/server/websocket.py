"""WebSocket as a carrier of STOMP: the request of HTTP by which it begins, and its frames after that.

Clients of HTTP that want anything else are told what there is. Imported with the first of these clients.
"""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import BINARY, TEXT, Frame
from websockets.http11 import Request, Response
from websockets.protocol import SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from stompserver.errors import ClientError, ProtocolError
from stompserver.server.detect import is_http
from stompserver.server.hosts import is_same_host
from stompserver.wire.websocket import FIN, Codec, Truth, close_frame, frame_head, let_go, messages

if TYPE_CHECKING:
    from stompserver.server.terms import Web

HEAD_MOST: Final = 16 * 1024
"""Octets of a request's head at most."""

PATHS: Final = ("/", "/ws", "/stomp", "/ws/websocket", "/stomp/websocket")
"""Where others have WebSocket: RabbitMQ, stomp-broker-js, Spring's programs."""

SUBPROTOCOLS: Final = ("v12.stomp", "v11.stomp", "v10.stomp")
"""The best first."""

TOKEN: Final = "access_token"
"""The cookie that has what a browser cannot send as Bearer."""

WORTH: Final = 1024
"""Octets of a message from which it is compressed where nothing is remembered of those before it."""

LARGE: Final = 4 * 1024
"""Octets from which a piece is not copied to have the head of its frame before it."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, POLICY, TRY_LATER = 1000, 1001, 1002, 1008, 1013
"""Codes of Close frames (RFC 6455, 7.4.1, and IANA's register)."""

PING: Final = b"\x89\0"

COMMON: Final = {"memLevel": 5}
"""As ``websockets`` does by default: half of the memory."""


def _no_log() -> logging.Logger:
    """Of the library nothing is logged: what is worth a line has one of the server's."""
    log = logging.Logger("stompserver.websocket", logging.CRITICAL + 1)
    log.disabled = True
    return log


SILENT: Final = _no_log()


class Handshake(ServerProtocol):
    """The library's; but a client that offers no subprotocol is let in. (Given as an argument, the choice would be in
    a cycle that only the garbage collector finds.)
    """

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """The best that both know."""
        for each in SUBPROTOCOLS:
            if each in subprotocols:
                return Subprotocol(each)
        return None


class WebSocket:
    """A carrier, before and after the upgrade. ``web`` says what is allowed, ``local`` whether the client is on this
    machine; ``limit`` is what a frame may have before the login. ``tell`` is called with what was refused, and why.
    """

    __slots__ = (
        "_alone", "_codec", "_due", "_head", "_limit", "_local", "_over", "_said", "_squeeze", "_strict", "_tell",
        "_web", "_writes", "credentials", "fault",
    )  # fmt: skip

    def __init__(
        self, web: Web, local: bool, strict: bool, limit: int, tell: Callable[[str, str], None]
    ) -> None:
        self._web = web
        self._local = local
        self._strict = strict
        self._limit = limit
        self._tell = tell
        self._codec: Codec | None = None
        """None before the upgrade."""
        self._head = b""
        self._over = False
        """Whether the request was answered, and no upgrade."""
        self._writes: list[bytes] = []
        self._squeeze: Any = None
        """What compresses; None where nothing is compressed."""
        self._alone = True
        """Whether each frame is a message: stompjs 2.3.3, which knows 1.1, would acknowledge the last one of several
        (findings/stompjs-2-acks-the-last.sh).
        """
        self._due: float = 0.0
        self._said = False
        """Whether anything was written since the last PING was due."""
        self.credentials: tuple[str | None, str | None] | None = None
        self.fault: ClientError | None = None

    # Carrier

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken."""
        return self._over or (self._codec is not None and self._codec.ended)

    @property
    def holds(self) -> int:
        """Octets of a request that is not whole."""
        return len(self._head)

    def greeting(self) -> bytes:
        """The client speaks first."""
        return b""

    def received(self, data: bytes) -> bytes:
        """The octets of STOMP in what came."""
        codec = self._codec
        if codec is None:
            rest = self._request(data)
            codec = self._codec
            if codec is None or not rest:
                return b""
            data = rest
        found = codec.received(data)
        if codec.fault is not None:
            self.fault = codec.fault
        return found

    @property
    def more(self) -> bool:
        """Whether there is more in what was received already."""
        return self._codec is not None and self._codec.more

    def wrapped(self, pieces: list[bytes]) -> list[bytes]:
        """Frames of WebSocket, or an answer of HTTP."""
        codec = self._codec
        written, self._writes = self._writes, []
        if codec is None:
            if pieces and not self._over:
                # The session ends before there is WebSocket: its ERROR has the text.
                self._over = True
                text = b"".join(pieces).partition(b"\n\n")[2].rstrip(b"\0\n").decode("utf-8", "replace")
                written.append(answer(HTTPStatus.SERVICE_UNAVAILABLE, text))
            return written
        if codec.answers:
            written += codec.answers
            codec.answers.clear()
        if pieces:
            self._said = True
            for kind, octets in messages(pieces, codec.kind or TEXT, self._alone):
                written += self._message(kind, octets)
        return written

    def tick(self, now: float, beats: bool) -> float | None:
        """Say something now and then, for proxies that close what is silent."""
        period = self._web.ping
        if self._codec is None or beats or not period:
            return None
        if now >= self._due:
            if self._due and not self._said:
                self._writes.append(PING)
            self._said = False
            self._due = now + period
        return self._due

    def grow(self, limit: int) -> None:
        """It is logged in."""
        self._limit = limit
        truth = self._codec.truth if self._codec is not None else None
        if truth is not None:
            cast(Protocol, truth).max_message_size = limit

    def farewell(self, error: ClientError | None, ours: bool) -> bytes:
        """A Close frame that says why."""
        codec = self._codec
        if codec is None:
            return b""
        if error is None:
            if codec.ended and codec.fault is None:
                # What the client said is said again (RFC 6455, 5.5.1).
                return frame_head(FIN | 0x8, len(codec.closing)) + codec.closing
            return close_frame(GOING_AWAY, "the server ends") if ours else close_frame(NORMAL)
        if codec.fault is not None and error is codec.fault:
            return close_frame(codec.code, f"{error.summary}: {error.where}")
        code = PROTOCOL_ERROR if isinstance(error, ProtocolError) else TRY_LATER if ours else POLICY
        return close_frame(code, error.summary)

    def close(self) -> None:
        """The connection is gone."""
        if self._codec is not None:
            self._codec.close()

    # Messages

    def _message(self, kind: int, pieces: list[bytes]) -> list[bytes]:
        size = sum(len(piece) for piece in pieces)
        squeeze = self._squeeze
        if squeeze is not None and (size >= WORTH or (self._web.compression == "context" and size > 1)):
            made = squeeze.encode(Frame(TEXT if kind == TEXT else BINARY, b"".join(pieces)))
            data = bytes(made.data)
            return [frame_head(FIN | 0x40 | kind, len(data)) + data]
        head = frame_head(FIN | kind, size)
        if len(pieces[0]) < LARGE:
            return [head + pieces[0], *pieces[1:]]
        return [head, *pieces]

    # The request

    def _request(self, data: bytes) -> bytes:
        """Take more of the request, and answer it when it is whole; what came behind it."""
        if self._over:
            return b""
        before = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", before)
        if end < 0:
            bare = self._head.find(b"\n\n", before)
            if is_http(self._head) is False or bare >= 0:
                self._refuse(
                    HTTPStatus.BAD_REQUEST,
                    "This listener speaks HTTP and WebSocket alone (option protocol), and no plain STOMP.\n",
                )
            elif len(self._head) > HEAD_MOST:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The head of a request may have {HEAD_MOST} octets.\n",
                )
            return b""
        end += 4
        head, rest = self._head[:end], self._head[end:]
        self._head = b""
        if end > HEAD_MOST:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"The head of a request may have {HEAD_MOST} octets.\n",
            )
            return b""
        server = Handshake(
            extensions=_extensions(self._web.compression),
            max_size=self._limit if self._web.compression != "off" else None,
            logger=SILENT,
        )
        server.receive_data(head)
        found = server.events_received()
        if found:
            request = cast(Request, found[0])
            self._answer(server, request)
            # It may have the error of which the server lets go below.
            request._exception = None
        else:
            # Its own words where it has some: the line or the head was too long.
            said = b"".join(server.data_to_send())
            self._over = True
            self._writes.append(said or answer(HTTPStatus.BAD_REQUEST, "That is no request of HTTP/1.1.\n"))
        let_go(cast(Truth, server))
        return rest if self._codec is not None else b""

    def _answer(self, server: ServerProtocol, request: Request) -> None:
        path = request.path.partition("?")[0]
        headers = request.headers
        if self._web.http == "local" and not self._local:
            self._refuse(
                HTTPStatus.FORBIDDEN,
                "This server answers HTTP and WebSocket to clients of its own machine only.\n"
                "Fix: ask the administrator to set the option http to all, for the server or for this listener.\n",
                request,
            )
            return
        if len(headers.get_all("Host")) != 1 and request.protocol != "HTTP/1.0":
            self._refuse(HTTPStatus.BAD_REQUEST, "A request has one Host header (RFC 9112, 3.2).\n", request)
            return
        upgrade = any(
            word.strip().lower() == "websocket"
            for line in headers.get_all("Upgrade")
            for word in line.split(",")
        )
        # What follows is to become one application of HTTP, which gets all requests that are no upgrade.
        if not upgrade:
            self._say_what_there_is(path, request)
            return
        offered = [
            word.strip() for line in headers.get_all("Sec-WebSocket-Protocol") for word in line.split(",")
        ]
        known = [word for word in SUBPROTOCOLS if word in offered]
        if path not in PATHS and not known:
            self._refuse(HTTPStatus.NOT_FOUND, _no_such(path), request)
        elif offered and not known:
            text = f"None of the subprotocols that were offered is known here: {', '.join(SUBPROTOCOLS)}.\n"
            self._refuse(HTTPStatus.BAD_REQUEST, text, request)
        elif (stranger := self._foreign(headers)) is not None:
            self._refuse(HTTPStatus.FORBIDDEN, stranger, request)
        else:
            response = server.accept(request)
            if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                # Who speaks another version learns which one is spoken here (RFC 6455, 4.4).
                response.headers["Sec-WebSocket-Version"] = "13"
            self._writes.append(response.serialize())
            if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                self._open(server, headers)
            else:
                self._over = True

    def _open(self, server: ServerProtocol, headers: Headers) -> None:
        """It is WebSocket from now on."""
        self.credentials = credentials_of(headers)
        self._alone = server.subprotocol != SUBPROTOCOLS[0]
        if server.extensions:
            self._squeeze = server.extensions[0]
        self._codec = Codec(
            partial(_truth, server.extensions, self._limit), self._strict, bool(server.extensions)
        )

    def _foreign(self, headers: Headers) -> str | None:
        """Why a page of that origin may not connect; None when it may. Programs have none."""
        origins = headers.get_all("Origin")
        if not origins:
            return None
        allowed = self._web.origins
        if len(origins) == 1:
            origin = origins[0].strip().lower()
            if any(_matches(origin, each) for each in allowed):
                return None
            if is_same_host(origin, headers.get_all("Host")[0], self._local):
                return None
        return (
            f"Pages of {', '.join(origins)[:200]} may not connect: neither are they of this host, nor are they among"
            " websocket-origins.\nFix: ask the administrator to add that origin to the option websocket-origins.\n"
        )

    def _say_what_there_is(self, path: str, request: Request) -> None:
        if request.method not in ("GET", "HEAD"):
            text = f"Nothing here takes {request.method[:20]}. {_paths()}"
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, text, request, ("Allow", "GET, HEAD"))
        elif path in PATHS:
            text = f"This is a STOMP server. A browser comes to it by WebSocket. {_paths()}"
            more = (
                ("Upgrade", "websocket"),
                ("Connection", "upgrade, close"),
                ("Sec-WebSocket-Version", "13"),
            )
            self._refuse(HTTPStatus.UPGRADE_REQUIRED, text, request, *more)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, _no_such(path), request)

    def _refuse(
        self, status: HTTPStatus, text: str, request: Request | None = None, *more: tuple[str, str]
    ) -> None:
        self._over = True
        self._head = b""
        self._writes.append(
            answer(status, text, *more, bare=request is not None and request.method == "HEAD")
        )
        what = f"{request.method[:20]} {request.path[:200]}" if request is not None else "a request"
        self._tell(what, f"{status.value}: {text.partition(chr(10))[0]}")


def answer(status: HTTPStatus, text: str, *more: tuple[str, str], bare: bool = False) -> bytes:
    """An answer of HTTP, after which the connection is closed; ``bare``: without its text, as for HEAD."""
    body = text.encode()
    names = {name for name, _ in more}
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Server", "stompserver"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            *(() if "Connection" in names else (("Connection", "close"),)),
            *more,
        ]
    )
    return Response(status.value, status.phrase, headers, b"" if bare else body).serialize()


def credentials_of(headers: Headers) -> tuple[str | None, str | None] | None:
    """The login and passcode that a request has: of Basic, or without a login a token of Bearer or of a cookie."""
    for line in headers.get_all("Authorization"):
        scheme, _, value = line.strip().partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer" and value:
            return None, value
        if scheme.lower() == "basic":
            try:
                login, colon, passcode = b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                continue
            if colon:
                return login, passcode
    for line in headers.get_all("Cookie"):
        try:
            cookie = SimpleCookie(line).get(TOKEN)
        except CookieError:
            continue
        if cookie is not None and cookie.value:
            return None, cookie.value
    return None


def _truth(extensions: list[Any], limit: int) -> Truth:
    made = Protocol(SERVER, max_size=limit if extensions else None, logger=SILENT)
    made.extensions = extensions
    return made


def _extensions(compression: str) -> list[ServerPerMessageDeflateFactory] | None:
    if compression == "off":
        return None
    alone = compression == "on"
    return [
        ServerPerMessageDeflateFactory(
            server_no_context_takeover=alone,
            client_no_context_takeover=alone,
            server_max_window_bits=12,
            client_max_window_bits=12,
            compress_settings=COMMON,
        )
    ]


def _matches(origin: str, allowed: str) -> bool:
    if allowed == "*":
        return True
    scheme, star, host = allowed.partition("://*.")
    if star:
        return origin.startswith(scheme + "://") and urlsplit(origin).netloc.endswith("." + host)
    return origin == allowed


def _paths() -> str:
    return (
        f"WebSocket is at {', '.join(PATHS)}, and at any path for who offers the subprotocol"
        f" {' or '.join(sorted(SUBPROTOCOLS))}.\n"
    )


def _no_such(path: str) -> str:
    return f"There is nothing at {path[:200]}. {_paths()}"
