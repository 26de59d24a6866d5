"""WebSocket and HTTP on the port of STOMP: by literal octets, and by the client of `websockets`."""

from __future__ import annotations

import base64
import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.octets import masked as frame
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 20.0
MIB = 1024 * 1024
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
QUIET = b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,0\n\n\0"

StartServer = Callable[..., Any]


def request(path: str = "/ws", *lines: str, method: str = "GET", host: str = "localhost") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines]
    return "\r\n".join([*head, "", ""]).encode()


UPGRADE = ("Upgrade: websocket", "Connection: keep-alive, Upgrade", f"Sec-WebSocket-Key: {KEY}")
UPGRADE_13 = (*UPGRADE, "Sec-WebSocket-Version: 13")


class Raw:
    """A socket, what came by it, and the frames in that."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.got = b""

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.got += data
        return bool(data)

    def until(self, octets: bytes) -> bytes:
        while octets not in self.got:
            assert self.more(), self.got
        return self.got

    def rest(self) -> bytes:
        while self.more():
            pass
        return self.got

    def exactly(self, size: int) -> bytes:
        while len(self.got) < size:
            assert self.more(), self.got
        data, self.got = self.got[:size], self.got[size:]
        return data

    def head(self) -> str:
        """The answer's head."""
        end = self.until(b"\r\n\r\n").index(b"\r\n\r\n") + 4
        return self.exactly(end).decode()

    def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: its first octet, and its payload."""
        opening, size = self.exactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        return opening, self.exactly(size)

    def upgrade(self, *lines: str, path: str = "/ws") -> str:
        self.send(request(path, *UPGRADE_13, *lines))
        return self.head()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def raw() -> Iterator[Callable[[int], Raw]]:
    opened: list[Raw] = []

    def open(port: int) -> Raw:
        opened.append(Raw(port))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


@contextmanager
def client(port: int, path: str = "/ws", **more: Any) -> Iterator[ClientConnection]:
    more.setdefault("subprotocols", ["v12.stomp", "v11.stomp", "v10.stomp"])
    more.setdefault("compression", None)
    with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, **more) as opened:
        yield opened


def said(connection: ClientConnection) -> Any:
    """The next message that is no heart-beat."""
    while (message := connection.recv(timeout=SECONDS)) in ("\n", b"\n"):
        pass
    return message


def send(queue: str, body: bytes, more: str = "") -> bytes:
    head = f"SEND\ndestination:/queue/{queue}\n{more}content-length:{len(body)}\n\n"
    return head.encode() + body + b"\0"


def subscribe(queue: str, more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:1\ndestination:/queue/{queue}\n{more}\n\0".encode()


def body(message: Any) -> Any:
    return message.partition("\n\n" if isinstance(message, str) else b"\n\n")[2][:-2]


@pytest.fixture
def queue() -> str:
    return f"ws-{uuid4().hex[:12]}"


# Whom it answers


@pytest.mark.parametrize("path", ["/", "/ws", "/stomp", "/ws/websocket", "/stomp/websocket", "/ws?token=1"])
def test_the_paths_of_others(server: Any, path: str) -> None:
    with client(server.port, path, subprotocols=None) as ws:
        assert ws.subprotocol is None
        ws.send(HELLO.decode())
        assert said(ws).startswith("CONNECTED\nversion:1.2\n")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v10.stomp"], "v10.stomp"),
        (["v10.stomp", "v11.stomp", "v12.stomp"], "v12.stomp"),
        (["mqtt", "v11.stomp"], "v11.stomp"),
    ],
)
def test_subprotocols(server: Any, offered: list[Any], chosen: str) -> None:
    with client(server.port, "/any/path", subprotocols=offered) as ws:
        assert ws.subprotocol == chosen


@pytest.mark.parametrize(
    ("octets", "status", "words"),
    [
        (request("/nothing"), 404, "/ws/websocket"),
        (request("/ws"), 426, "/ws/websocket"),
        (request("/"), 426, "WebSocket"),
        (request("/nothing", *UPGRADE_13), 404, "/ws/websocket"),
        (request("/ws", *UPGRADE_13, "Sec-WebSocket-Protocol: mqtt"), 400, "v12.stomp"),
        (request("/ws", *UPGRADE), 400, "Sec-WebSocket-Version"),
        (request("/ws", *UPGRADE, "Sec-WebSocket-Version: 8"), 400, "Sec-WebSocket-Version"),
        (request("/ws", *UPGRADE_13).replace(KEY.encode(), b"short"), 400, "Sec-WebSocket-Key"),
        (b"GET /ws HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET /ws HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host"),
        (request("/ws", method="POST"), 405, "POST"),
        (request("/ws", *UPGRADE_13, method="PUT"), 405, "PUT"),
        (request("/ws", "X: " + "y" * 20_000), 431, ""),
        (b"GET /ws HTTP/1.1\r\nX: " + b"y" * 40_000, 431, "16384"),
        (b"GET / HTTP/1.1\n\n", 400, "HTTP"),
        (b"GET / HTTP/9\r\nHost: h\r\n\r\n", 400, ""),
    ],
)
def test_answers_of_http(
    server: Any, raw: Callable[[int], Raw], octets: bytes, status: int, words: str
) -> None:
    peer = raw(server.port)
    peer.send(octets)
    head = peer.head()
    assert head.startswith(f"HTTP/1.1 {status} "), head
    (size,) = re.findall(r"(?im)^content-length: (\d+)\r$", head)
    page = peer.rest().decode()
    assert len(page.encode()) == int(size)
    assert words in page
    assert status != 405 or "Allow: GET" in head
    assert status != 426 or "Upgrade: websocket" in head


def test_head_has_no_page(server: Any, raw: Callable[[int], Raw]) -> None:
    peer = raw(server.port)
    peer.send(request("/", method="HEAD"))
    assert peer.head().startswith("HTTP/1.1 426 ")
    assert peer.rest() == b""


@pytest.mark.parametrize("cut", range(1, 9))
def test_connect_of_stomp_is_none_of_http(server: Any, raw: Callable[[int], Raw], cut: int) -> None:
    peer = raw(server.port)
    peer.send(HELLO[:cut])
    peer.send(HELLO[cut:])
    assert peer.until(b"\0").startswith(b"CONNECTED\n")


def test_the_end_in_the_middle_of_a_word(server: Any, raw: Callable[[int], Raw]) -> None:
    peer = raw(server.port)
    peer.send(b"GE")
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.rest() == b""


def test_who_is_answered_is_an_option(
    start_server: StartServer, raw: Callable[[int], Raw], tmp_path: Path
) -> None:
    (tmp_path / "stompserver.conf").write_text(
        "http: off\nlisteners:\n  - port: 0\n    name: web\n    protocol: http\n    http: all\n"
        "  - port: 0\n    name: plain\n    protocol: stomp\n    http: all\n"
    )
    started = start_server(f"-C{tmp_path / 'stompserver.conf'}")
    web = int(started.wait_for_log(r"on \S+ port (\d+) \(web\)")[1])
    plain = int(started.wait_for_log(r"on \S+ port (\d+) \(plain\)")[1])
    for port in (started.port, plain):
        peer = raw(port)
        peer.send(request("/ws", *UPGRADE_13))
        assert peer.rest().startswith(b"ERROR\n")
    with client(web) as ws:
        ws.send(HELLO)
        assert said(ws).startswith(b"CONNECTED\n")
    peer = raw(web)
    peer.send(HELLO)
    assert peer.rest().startswith(b"HTTP/1.1 400 ")


def test_others_than_this_machine_are_told_the_option(start_server: StartServer) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address beside those of its own use")
    started = start_server("-b", "*")
    with socket.create_connection((address, started.port), timeout=SECONDS) as peer:
        peer.sendall(request("/ws", *UPGRADE_13))
        got = b""
        while data := peer.recv(65536):
            got += data
    assert got.startswith(b"HTTP/1.1 403 ")
    assert b"the option http to all" in got


def own_address() -> str | None:
    """An address of this machine that is no loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


@pytest.mark.parametrize(
    ("host", "origin", "good"),
    [
        ("localhost:61613", "http://localhost:8000", True),
        ("127.0.0.1", "http://127.0.0.1:3000", True),
        ("[::1]:80", "https://[::1]", True),
        ("localhost", "http://evil.example", False),
        ("localhost", "null", False),
        ("localhost", "http://localhost.evil.example", False),
        ("localhost", "file://localhost", False),
        ("evil.example:61613", "http://evil.example:61613", False),  # a name that leads to 127.0.0.1
        ("a", "http://[", False),
    ],
)
def test_pages_of_elsewhere(
    server: Any, raw: Callable[[int], Raw], host: str, origin: str, good: bool
) -> None:
    peer = raw(server.port)
    peer.send(request("/ws", *UPGRADE_13, f"Origin: {origin}", host=host))
    head = peer.head()
    if good:
        assert head.startswith("HTTP/1.1 101 ")
    else:
        assert head.startswith("HTTP/1.1 403 ")
        assert b"websocket-origins" in peer.rest()


def test_pages_that_are_named(start_server: StartServer, raw: Callable[[int], Raw]) -> None:
    started = start_server("--websocket-origins=https://www.example.com:443,http://*.apps.example.com:8000")
    for origin, good in (
        ("https://www.example.com", True),
        ("https://WWW.example.com", True),
        ("http://www.example.com", False),
        ("http://a.b.apps.example.com:8000", True),
        ("http://apps.example.com:8000", False),
        ("http://evil-apps.example.com:8000", False),
        ("http://a.apps.example.com", False),
    ):
        peer = raw(started.port)
        assert ("101" in peer.upgrade(f"Origin: {origin}")) is good, origin


# Frames


def test_messages_there_and_back(server: Any, queue: str) -> None:
    with client(server.port) as ws:
        ws.send(HELLO.decode())
        assert said(ws).startswith("CONNECTED\n")
        ws.send((subscribe(queue) + send(queue, "grüße".encode())).decode())
        assert body(said(ws)) == "grüße"
        ws.send([b"SEND\ndestination:/queue/" + queue.encode(), b"\n\nin", b" parts\0"])
        assert body(said(ws)) == "in parts"
        ws.send(send(queue, b"\xff\0"))
        assert body(said(ws)) == b"\xff\0", "what is no UTF-8 is no text"
        ws.send(send(queue, b"x" * MIB))
        assert body(said(ws)) == "x" * MIB


def test_who_speaks_binary_hears_binary(server: Any, queue: str) -> None:
    with client(server.port) as ws:
        ws.send(HELLO)
        assert said(ws).startswith(b"CONNECTED\n")
        ws.send((subscribe(queue) + send(queue, b"plain")).decode())
        assert body(said(ws)) == b"plain"


@pytest.mark.parametrize(
    ("offered", "most"), [("v12.stomp", 4), ("v11.stomp", 7), (None, 7)], ids=["1.2", "1.1", "none"]
)
def test_what_is_written_at_a_time_is_one_message(
    server: Any, raw: Callable[[int], Raw], queue: str, offered: str | None, most: int
) -> None:
    """But each frame is one to who does not offer v12.stomp (findings/stompjs-2-acks-the-last.sh)."""
    peer = raw(server.port)
    peer.upgrade(*([f"Sec-WebSocket-Protocol: {offered}"] if offered else []))
    sent = b"".join(send(queue, b"%d" % number) for number in range(5))
    peer.send(frame(0x81, QUIET) + frame(0x81, sent + subscribe(queue) + send(queue, b"\xe4")))
    got: list[tuple[int, bytes]] = []
    while b"\xe4\0" not in b"".join(each for _, each in got):
        got.append(peer.frame())
    for opening, octets in got:
        assert octets.endswith(b"\0\n")
        assert opening == (0x82 if octets.count(b"\xe4\0") else 0x81)
        assert octets.startswith((b"CONNECTED\n", b"MESSAGE\n"))
    assert len(got) <= most
    frames = b"".join(octets for _, octets in got)
    assert frames.count(b"MESSAGE\n") == 6
    if most > 4:
        assert len(got) == 7


def test_a_heart_beat_is_a_message_of_its_own(start_server: StartServer, raw: Callable[[int], Raw]) -> None:
    peer = raw(start_server("--heart-beat=50,0").port)
    peer.upgrade()
    peer.send(frame(0x81, HELLO.replace(b"\n\n", b"\nheart-beat:0,50\n\n")))
    assert peer.frame()[1].startswith(b"CONNECTED\n")
    assert [peer.frame() for _ in range(3)] == [(0x81, b"\n")] * 3


def test_a_ping_where_there_are_no_heart_beats(start_server: StartServer, raw: Callable[[int], Raw]) -> None:
    port = start_server("--websocket-ping=0.1").port
    peer = raw(port)
    peer.upgrade()
    peer.send(frame(0x81, QUIET))
    assert peer.frame()[1].startswith(b"CONNECTED\n")
    for _ in range(2):
        assert peer.frame() == (0x89, b"")
        peer.send(frame(0x8A, b""))
    other = raw(port)
    other.upgrade()
    other.send(frame(0x81, HELLO.replace(b"\n\n", b"\nheart-beat:0,1000\n\n")))
    assert other.frame()[1].startswith(b"CONNECTED\n")
    assert other.frame() == (0x81, b"\n"), "a heart-beat, and no PING before it"


def test_every_cut_of_a_session(server: Any, raw: Callable[[int], Raw], queue: str) -> None:
    stream = (
        request("/ws", *UPGRADE_13)
        + frame(0x81, QUIET)
        + frame(0x01, send(queue, b"one", "receipt:r\n")[:20])
        + frame(0x89, b"beat")
        + frame(0x80, send(queue, b"one", "receipt:r\n")[20:])
        + frame(0x82, b"DISCONNECT\nreceipt:bye\n\n\0")
    )
    for cut in range(1, len(stream), 3):
        peer = raw(server.port)
        peer.send(stream[:cut])
        peer.send(stream[cut:])
        assert peer.head().startswith("HTTP/1.1 101 ")
        frames = []
        while not frames or frames[-1][0] != 0x88:
            frames.append(peer.frame())
        peer.close()
        pongs = [payload for opening, payload in frames if opening == 0x8A]
        stomp = b"".join(payload for opening, payload in frames if opening < 0x88)
        assert pongs == [b"beat"]
        assert re.sub(rb"session:\S+", b"", stomp).startswith(b"CONNECTED\nversion:1.2\n")
        assert stomp.endswith(b"RECEIPT\nreceipt-id:r\n\n\0\nRECEIPT\nreceipt-id:bye\n\n\0\n")
        assert frames[-1] == (0x88, b"\x03\xe8"), "1000"


# The end


def closed(ws: ClientConnection) -> tuple[int, str]:
    """With which code and reason the server closes."""
    with suppress(ConnectionClosed):
        while True:
            ws.recv(timeout=SECONDS)
    received = ws.protocol.close_rcvd
    assert received is not None
    return received.code, received.reason


def test_errors_come_before_the_close(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/.passwd").write_text("right:word\n")
    started = start_server("-a", directory=tmp_path)
    for frames, code, words in (
        (
            b"CONNECT\naccept-version:1.2\nhost:h\nlogin:right\npasscode:word\n\n\0NONSENSE\n\n\0",
            1002,
            "NONSENSE",
        ),
        (b"CONNECT\naccept-version:1.2\nhost:h\nlogin:right\npasscode:no\n\n\0", 1008, "Invalid Login"),
    ):
        with client(started.port) as ws:
            ws.send(frames.decode())
            message = said(ws)
            if "ERROR" not in message:
                message = said(ws)
            assert "ERROR\n" in message and words in message
            assert closed(ws) == (code, re.findall(r"message:(.*)", message)[0].replace("\\c", ":"))


def test_frames_that_are_none_end_with_an_error_and_1002(
    server: Any, queue: str, raw: Callable[[int], Raw]
) -> None:
    peer = raw(server.port)
    peer.upgrade()
    peer.send(frame(0x81, QUIET + send(queue, b"good", "receipt:good\n")) + b"\x81\x01x")
    frames = []
    while not frames or frames[-1][0] != 0x88:
        frames.append(peer.frame())
    stomp = b"".join(payload for opening, payload in frames if opening < 0x88)
    assert b"RECEIPT\nreceipt-id:good\n" in stomp, "what came before it counts"
    assert b"ERROR\nmessage:Broken WebSocket frames\n" in stomp
    assert frames[-1][1].startswith(b"\x03\xeaBroken WebSocket frames")
    assert peer.rest() == b""


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0b\xb8see you"])
def test_who_closes_is_answered_with_the_same(server: Any, raw: Callable[[int], Raw], payload: bytes) -> None:
    peer = raw(server.port)
    peer.upgrade()
    peer.send(frame(0x81, QUIET) + frame(0x88, payload))
    assert peer.frame()[1].startswith(b"CONNECTED\n")
    assert peer.frame() == (0x88, payload)
    assert peer.rest() == b""


def test_a_server_that_ends_says_so(start_server: StartServer) -> None:
    started = start_server()
    with client(started.port) as ws:
        ws.send(HELLO.decode())
        said(ws)
        started.process.terminate()
        assert closed(ws)[0] == 1001
    started.process.wait(SECONDS)
    started.stop()


def test_who_is_refused_for_want_of_room_may_come_later(
    start_server: StartServer, raw: Callable[[int], Raw]
) -> None:
    started = start_server("--max-memory-before-login=1M", "--max-body-before-login=4M")
    peer = raw(started.port)
    peer.upgrade()
    peer.send(frame(0x82, b"CONNECT\n\n" + b"x" * 300_000))
    assert peer.frame()[1].startswith(b"ERROR\n")
    opening, payload = peer.frame()
    assert opening == 0x88 and payload.startswith(b"\x03\xf5"), "1013"


def test_a_frame_that_is_too_large_is_refused_while_it_comes(
    start_server: StartServer, raw: Callable[[int], Raw]
) -> None:
    """Before the login no more than max-body-before-login, in a frame of any length."""
    peer = raw(start_server("--max-body-before-login=1K").port)
    peer.upgrade()
    peer.send(b"\x82\xff" + struct.pack("!Q", 1 << 40) + bytes(4) + b"CONNECT\n\n" + b"x" * 2000)
    opening, payload = peer.frame()
    assert opening == 0x82 and b"max-body-before-login" in payload
    assert peer.frame()[1].startswith(b"\x03\xea")


def test_a_request_without_end_ends_with_the_login_timeout(
    start_server: StartServer, raw: Callable[[int], Raw]
) -> None:
    peer = raw(start_server("--login-timeout=0.3").port)
    peer.send(b"GET /ws HTTP/1.1\r\n")
    assert peer.head().startswith("HTTP/1.1 503 ")
    assert b"login-timeout" in peer.rest()


# Logins


def test_the_login_of_the_request(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/.passwd").write_text("right:word\nother:word2\n")
    started = start_server("-a", directory=tmp_path)

    def basic(login: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}

    for headers, login, good in (
        (basic("right:word"), "", "right"),
        (basic("right:wrong"), "", ""),
        ({}, "", ""),
        ({"Authorization": "Basic !!"}, "", ""),
        (basic("right:wrong"), "login:other\npasscode:word2\n", "other"),
        (basic("right:word"), "login:other\npasscode:wrong\n", ""),
    ):
        with client(started.port, additional_headers=headers) as ws:
            ws.send(f"CONNECT\naccept-version:1.2\nhost:h\n{login}\n\0")
            assert said(ws).startswith("CONNECTED\n" if good else "ERROR\n"), headers
        if good:
            started.wait_for_log(f"as {good}")


# Compression


@pytest.mark.parametrize("choice", ["on", "context"])
def test_compressed_messages(start_server: StartServer, choice: str, queue: str) -> None:
    started = start_server(f"--websocket-compression={choice}")
    with client(started.port, compression="deflate") as ws:
        assert ws.protocol.extensions
        ws.send(HELLO)
        said(ws)
        ws.send(subscribe(queue))
        for size in (1, 1000, 5000, MIB):
            ws.send(send(queue, b"ab" * size))
            assert body(said(ws)) == b"ab" * size
            ws.send([send(queue, b"cd" * size)[:50], send(queue, b"cd" * size)[50:]])
            assert body(said(ws)) == b"cd" * size
    with client(started.port, compression=None) as ws:
        ws.send(HELLO)
        assert said(ws).startswith(b"CONNECTED\n")


def test_no_compression_unless_it_is_wanted(server: Any, raw: Callable[[int], Raw]) -> None:
    peer = raw(server.port)
    head = peer.upgrade("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    assert "permessage-deflate" not in head
    peer.send(frame(0x81, QUIET))
    assert peer.frame()[0] == 0x81
    peer.send(frame(0xC1, b"x"))
    assert b"reserved bits" in peer.frame()[1]


@pytest.mark.parametrize("logged_in", [False, True])
def test_a_zip_bomb(start_server: StartServer, raw: Callable[[int], Raw], logged_in: bool) -> None:
    peer = raw(start_server("--websocket-compression=on", "--max-body=4M").port)
    head = peer.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
    assert "permessage-deflate" in head
    if logged_in:
        peer.send(frame(0x82, QUIET))
        assert peer.frame()[1].startswith(b"CONNECTED\n")
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = squeeze.compress(b"\n" * (64 * MIB)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 100_000
    peer.send(frame(0xC2, bomb[:-4]))
    assert b"Broken WebSocket frames" in peer.frame()[1]
    opening, payload = peer.frame()
    assert opening == 0x88 and payload.startswith(b"\x03\xf1"), "1009"


def test_a_client_that_does_not_read(start_server: StartServer, raw: Callable[[int], Raw]) -> None:
    """What waits for it stays in its queue."""
    started = start_server("--memory-limit=8M")
    peer = raw(started.port)
    peer.upgrade()
    peer.send(frame(0x82, QUIET + b"SUBSCRIBE\nid:1\ndestination:/queue/slow\nprefetch-count:0\n\n\0"))
    assert peer.frame()[1].startswith(b"CONNECTED\n")
    with client(started.port) as ws:
        ws.send(QUIET)
        said(ws)
        for number in range(60):
            ws.send(send("slow", b"x" * 100_000, f"receipt:{number}\n"))
        receipts = b""
        while receipts.count(b"RECEIPT\n") < 60:
            receipts += said(ws)
    found = b""
    while found.count(b"MESSAGE\n") < 60:
        found += peer.frame()[1]
    assert found.count(b"x" * 100_000) == 60
