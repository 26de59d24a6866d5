"""Where TLS, WebSocket, permissions, accounts and limits meet, by literal octets."""

from __future__ import annotations

import base64
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.octets import masked

SECONDS = 20.0
SECRET = "0123456789abcdef0123456789abcdef"
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,0\n%b\n\0"
StartServer = Callable[..., Any]


def squeezed(payload: bytes) -> bytes:
    """A compressed message (RFC 7692)."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -12)
    octets = squeezer.compress(payload) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    return masked(0xC2, octets[:-4], b"\0\0\0\0")


class Plain:
    """STOMP over any socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.got = b""

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def fill(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.got += data
        return bool(data)

    def hear(self) -> bytes:
        """The next frame, b"" at the end."""
        while b"\0" not in self.got:
            if not self.fill():
                return b""
        frame, _, self.got = self.got.partition(b"\0")
        return frame.lstrip(b"\n")

    def ask(self, command: bytes, *headers: bytes, body: bytes = b"") -> bytes:
        """The answer to a frame that wants a receipt."""
        self.say(b"\n".join([command, b"receipt:r", *headers, b"", body]) + b"\0")
        return self.hear()

    def done(self, command: bytes, *headers: bytes, body: bytes = b"") -> None:
        answer = self.ask(command, *headers, body=body)
        assert answer.startswith(b"RECEIPT\nreceipt-id:r\n"), answer

    def connect(self, *headers: bytes) -> bytes:
        self.say(HELLO % b"".join(each + b"\n" for each in headers))
        return self.hear()


class Web(Plain):
    """STOMP over WebSocket over any socket; ``codes`` has those of Close frames."""

    def __init__(self, sock: socket.socket, *lines: str) -> None:
        super().__init__(sock)
        self.raw = b""
        self.codes: list[int] = []
        self.pongs = 0
        head = [
            "GET /ws HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *lines,
        ]  # fmt: skip
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self.raw:
            data = sock.recv(65536)
            assert data, self.raw
            self.raw += data
        self.head, _, self.raw = self.raw.partition(b"\r\n\r\n")

    def say(self, octets: bytes) -> None:
        self.socket.sendall(masked(0x82, octets))

    def fill(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.raw += data
        while len(self.raw) >= 2:
            opening, size = self.raw[0], self.raw[1]
            start = {126: 4, 127: 10}.get(size, 2)
            if size > 125:
                size = int.from_bytes(self.raw[2:start], "big")
            if len(self.raw) < start + size:
                break
            payload, self.raw = self.raw[start : start + size], self.raw[start + size :]
            if opening == 0x88:
                self.codes.append(int.from_bytes(payload[:2], "big"))
            elif opening == 0x8A:
                self.pongs += 1
            else:
                assert not opening & 0x40, "nothing that is compressed is read here"
                self.got += payload
        return bool(data)


def web_token(login: str, seconds: float = 3600, **more: Any) -> bytes:
    return jwt.encode({"sub": login, "exp": time.time() + seconds, **more}, SECRET, "HS256").encode()


@pytest.fixture
def closing() -> Iterator[Callable[[Any], Any]]:
    with ExitStack() as stack:

        def close(each: Any) -> Any:
            stack.callback(each.close)
            return each

        yield close


@pytest.fixture
def start(start_server: StartServer, tmp_path: Path) -> Callable[..., Any]:
    """`start(configuration, **files of etc)`"""

    def start(text: str, *options: str, **files: str) -> Any:
        write(tmp_path, **files)
        (tmp_path / "stompserver.conf").write_text(text)
        return start_server(*options, directory=tmp_path)

    return start


def write(directory: Path, **files: str) -> None:
    folder = directory / "etc"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f".{name}"
        path.write_text(text)
        path.chmod(0o600)


Reach = Callable[..., Any]


@pytest.fixture
def plain(closing: Callable[[Any], Any]) -> Reach:
    return lambda port: Plain(closing(socket.create_connection(("127.0.0.1", port), SECONDS)))


@pytest.fixture
def web(closing: Callable[[Any], Any]) -> Reach:
    return lambda port, *lines: Web(closing(socket.create_connection(("127.0.0.1", port), SECONDS)), *lines)


# Limits of a login beside permissions

ALL = "permissions:\n  '#': {send: everybody, consume: everybody, create: everybody}\n"


def test_subscriptions_of_a_login_are_counted_where_there_are_permissions(start: Any, plain: Reach) -> None:
    server = start("auth: true\nmax-subscriptions-per-user: 2\n" + ALL, passwd="alice:a\n")
    one, other = plain(server.port), plain(server.port)
    for each in (one, other):
        assert each.connect(b"login:alice", b"passcode:a").startswith(b"CONNECTED")
    one.done(b"SUBSCRIBE", b"id:1", b"destination:/queue/1")
    other.done(b"SUBSCRIBE", b"id:2", b"destination:/queue/2")
    one.done(b"UNSUBSCRIBE", b"id:1")
    one.done(b"SUBSCRIBE", b"id:3", b"destination:/queue/3")
    assert one.ask(b"SUBSCRIBE", b"id:4", b"destination:/queue/4").startswith(b"ERROR\n")
    other.done(b"SUBSCRIBE", b"id:4", b"destination:/queue/4")
    assert other.ask(b"SUBSCRIBE", b"id:5", b"destination:/queue/5").startswith(b"ERROR\n")


# A new token

MANAGE = b"destination:/queue/stompserver.management"
JWT = "auth: true\naccounts: jwt\njwt-key: jwt.secret\njwt-algorithms: HS256\n"


@pytest.fixture
def start_jwt(start: Any, tmp_path: Path) -> Any:
    def begin(text: str, *options: str) -> Any:
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / "jwt.secret").write_text(SECRET)
        return start(JWT + text, *options)

    return begin


# PINGs


@pytest.mark.long
@pytest.mark.parametrize("logged_in", [False, True])
def test_who_does_not_read_gets_no_more_answers_to_pings(
    start_server: StartServer, web: Reach, logged_in: bool
) -> None:
    """The pongs of a server that read on would fill its memory: nothing counts them."""
    client = web(start_server().port)
    if logged_in:
        assert client.connect().startswith(b"CONNECTED")
    ping = masked(0x89, b"p" * 125)
    waiting = memoryview(ping * 1000)
    sent = 0
    client.socket.settimeout(0.5)
    with suppress(TimeoutError):
        while sent < 200_000_000:
            sent += client.socket.send(waiting[sent % len(waiting) :])
    assert sent < 200_000_000, "it is read all the same"
    client.socket.settimeout(SECONDS)
    while client.pongs < sent // len(ping):
        assert client.fill()
    client.socket.sendall(ping[sent % len(ping) :])
    if logged_in:
        client.done(b"SEND", b"destination:/queue/a", body=b"still there")
    else:
        assert client.connect().startswith(b"CONNECTED")


# Rates


@pytest.mark.long
def test_what_was_sent_in_the_end_counts_for_the_next_connection(start: Any, plain: Reach) -> None:
    """It is done over turns, also when its client has left; the rate is that of the login."""
    server = start("auth: true\nmax-message-rate: 1000\n", passwd="alice:a\n")
    client = plain(server.port)
    assert client.connect(b"login:alice", b"passcode:a").startswith(b"CONNECTED")
    began = time.monotonic()
    client.say(b"SEND\ndestination:/queue/a\nreceipt:r\n\n\0" + b"SEND\ndestination:/queue/a\n\nx\0" * 5000)
    assert client.hear().startswith(b"RECEIPT\n")
    # It is cut, by RST.
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    server.wait_for_log("Disconnecting")
    client = plain(server.port)
    assert client.connect(b"login:alice", b"passcode:a").startswith(b"CONNECTED")
    client.done(b"SEND", b"destination:/queue/b")
    assert time.monotonic() - began > 3.0


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@pytest.mark.long
def test_what_was_compressed_counts_as_what_it_becomes(start: Any, web: Reach) -> None:
    text = "auth: true\nmax-byte-rate: 1M\nwebsocket-compression: on\n"
    client = web(start(text, passwd="alice:a\n").port, DEFLATE)
    assert client.connect(b"login:alice", b"passcode:a").startswith(b"CONNECTED")
    began = time.monotonic()
    frame = b"SEND\ndestination:/queue/a\ncontent-length:1000000\n\n" + bytes(1_000_000) + b"\0"
    client.socket.sendall(squeezed(frame * 4))
    client.done(b"SEND", b"destination:/queue/b")
    assert time.monotonic() - began > 2.0


# Compressed messages that go on over turns


def test_what_is_compressed_goes_on_where_nothing_else_happens(start_server: StartServer, web: Reach) -> None:
    server = start_server("--queue=memory", "--websocket-compression=on", "--monitor-interval=0")
    client = web(server.port, DEFLATE)
    assert client.connect().startswith(b"CONNECTED")
    frames = [b"SEND\ndestination:/queue/a\ncontent-length:99999\n\n" + bytes(99_999) + b"\0"] * 100
    client.socket.sendall(squeezed(b"".join(frames) + b"SEND\ndestination:/queue/b\nreceipt:r\n\n\0"))
    assert client.hear().startswith(b"RECEIPT\n")


# The audit


@pytest.mark.long
def test_a_wrong_login_of_the_request_is_named_in_the_audit(start: Any, web: Reach, tmp_path: Path) -> None:
    server = start(
        f"auth: true\naccounts: passwd, tokens\naudit: {tmp_path / 'audit'}\n", passwd="alice:a\n", tokens=""
    )
    lines = [
        "Authorization: Basic " + base64.b64encode(b"alice:wrong-one").decode(),
        "Authorization: Bearer secret-token",
    ]
    for line in lines:
        client = web(server.port, line)
        assert client.connect().startswith(b"ERROR\nmessage:Invalid Login\n")
        assert client.hear() == b""
        assert client.codes == [1008]
    server.stop()
    text = (tmp_path / "audit").read_text()
    noted = [json.loads(line) for line in text.splitlines()]
    assert [each.get("login") for each in noted if each["event"] == "refused"] == ["alice", None]
    assert "wrong-one" not in text + server.log()
    assert "secret-token" not in text + server.log()
