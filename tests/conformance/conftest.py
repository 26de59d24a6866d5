"""Started servers, a socket client that knows no STOMP but what a byte reader needs, and the markers of this folder.

Nothing here imports stompserver: a client that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

LIMIT = 10.0  # seconds after which a missing answer is a failure; never waited for when all is well
VERSIONS = ("1.0", "1.1", "1.2")
HELLO = {
    "1.0": "CONNECT\n{}\n\0",
    "1.1": "CONNECT\naccept-version:1.1\nhost:localhost\n{}\n\0",
    "1.2": "CONNECT\naccept-version:1.2\nhost:localhost\n{}\n\0",
}
MANY = "prefetch-count:100\n"
numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "line(number, ...): lines of data/lines.yaml that the test shows")
    config.addinivalue_line(
        "markers", "versions(version, ...): the STOMP versions the test runs with (default: all)"
    )
    config.addinivalue_line("markers", "row(name): row of data/traps.yaml that the test shows")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "version" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("versions")
        metafunc.parametrize("version", marker.args if marker else VERSIONS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test shows what went over its sockets and what the server logged meanwhile."""
    report = yield
    if report.failed:
        clients = getattr(item, "stomp_clients", [])
        report.sections += [(f"bytes of {client.name}", client.conversation()) for client in clients]
        for used in {id(client.server): client.server for client in clients}.values():
            report.sections.append(("server log, last lines", used.log()[-2000:]))
    return report


class Frame(NamedTuple):
    """What a frame looks like on the wire: nothing unescaped, nothing merged."""

    command: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def __getitem__(self, name: str) -> str:
        for key, value in self.headers:
            if key == name:
                return value
        raise AssertionError(f"no header {name!r} in {self.raw!r}")

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def head(self) -> bytes:
        """The octets before the body."""
        return self.raw[: len(self.raw) - len(self.body) - 1]


class Client:
    """Literal bytes out, frames in. ``pending`` holds frames that were read while waiting for another one."""

    def __init__(self, server: Any, version: str, name: str) -> None:
        self.server = server
        self.version = version
        self.name = name
        self.connected: Frame | None = None
        self.pending: deque[Frame] = deque()
        self.beats = 0  # EOLs seen between frames
        self.eof = False
        self._data = bytearray()
        self._log: list[tuple[str, bytes]] = []
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # bytes

    def send(self, data: str | bytes) -> None:
        octets = data.encode() if isinstance(data, str) else data
        self._log.append(("C", octets[:2000]))
        self.socket.sendall(octets)

    def fill(self, most: int = 1 << 20) -> None:
        """Reads once. Raises AssertionError at a reset, at the end, or when nothing comes."""
        try:
            octets = self.socket.recv(most)
        except TimeoutError:
            raise AssertionError(f"nothing came in {LIMIT} s; unread: {bytes(self._data[:500])!r}") from None
        except ConnectionResetError:
            raise AssertionError(f"connection reset (RST); unread: {bytes(self._data[:500])!r}") from None
        if not octets:
            self.eof = True
            raise AssertionError(f"the server closed the connection; unread: {bytes(self._data[:500])!r}")
        self._log.append(("S", octets[:2000]))
        self._data += octets

    def octet(self) -> bytes:
        """The next octet, whatever it is."""
        while not self._data:
            self.fill()
        first = bytes(self._data[:1])
        del self._data[:1]
        return first

    def until_nul(self) -> bytes:
        """The next octets up to and with the first NUL, EOLs included."""
        searched = 0
        while (end := self._data.find(b"\0", searched)) < 0:
            searched = len(self._data)
            self.fill()
        octets = bytes(self._data[: end + 1])
        del self._data[: end + 1]
        return octets

    def closed(self) -> None:
        """The connection ends here, in order (EOF, no RST), and nothing but EOLs came before that."""
        assert not self.pending, f"unexpected frames before the end: {self.pending}"
        with contextlib.suppress(AssertionError):
            while True:
                self.fill()
        assert self.eof, f"not closed, or not in order: {self.conversation()}"
        assert not self.unread(), f"octets before the end: {self.unread()!r}"

    def unread(self) -> bytes:
        """What was received and is no whole frame, line ends apart."""
        return bytes(self._data).strip(b"\n")

    def close(self) -> None:
        self.socket.close()

    def abort(self) -> None:
        """Close with a RST, as a crashed client."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def conversation(self) -> str:
        return "\n".join(f"{who}: {octets!r}" for who, octets in self._log)

    # frames

    def frame(self) -> Frame:
        return self.pending.popleft() if self.pending else self._next()

    def _next(self) -> Frame:
        while True:
            while not self._data:
                self.fill()
            if self._data[0] != 10:
                break
            self.beats += 1
            del self._data[0]
        searched = 0
        while (blank := self._data.find(b"\n\n", searched)) < 0:
            searched = max(0, len(self._data) - 1)
            self.fill()
        command, *lines = bytes(self._data[:blank]).decode("utf-8", "surrogateescape").split("\n")
        pairs = [line.partition(":") for line in lines]
        assert all(colon for _, colon, _ in pairs), (
            f"header line without a colon: {bytes(self._data[:blank])!r}"
        )
        headers = [(name, value) for name, _, value in pairs]
        start = blank + 2
        length = next((value for name, value in headers if name == "content-length"), None)
        if length is None:
            end = start
            while (end := self._data.find(b"\0", end)) < 0:
                end = len(self._data)
                self.fill()
        else:
            end = start + int(length)
            while len(self._data) <= end:
                self.fill()
            assert self._data[end] == 0, f"no NUL after {length} octets: {bytes(self._data[:500])!r}"
        frame = Frame(command, headers, bytes(self._data[start:end]), bytes(self._data[: end + 1]))
        del self._data[: end + 1]
        return frame

    def expect(self, command: str, **headers: str) -> Frame:
        frame = self.frame()
        assert frame.command == command, f"{command} expected: {frame.raw[:1000]!r}"
        for name, value in headers.items():
            assert frame[name.replace("_", "-")] == value, frame.raw[:1000]
        return frame

    def message(self, body: str | bytes | None = None, **headers: str) -> Frame:
        frame = self.expect("MESSAGE", **headers)
        if body is not None:
            assert frame.body == (body.encode() if isinstance(body, str) else body), frame.raw[:1000]
        return frame

    def messages(self, *bodies: str) -> list[Frame]:
        return [self.message(body) for body in bodies]

    def receipt(self, number: str) -> Frame:
        return self.expect("RECEIPT", receipt_id=number)

    def error(self, *words: str) -> Frame:
        """An ERROR that obeys 4.1's rules for every ERROR, then EOF. ``words`` occur in its text, in any case."""
        frame = self.expect("ERROR")
        assert frame["message"].strip(), frame.raw
        assert int(frame["content-length"]) == len(frame.body), frame.raw
        assert frame["content-type"].startswith("text/plain"), frame.raw
        text = (frame["message"] + "\n" + frame.body.decode()).lower()
        for word in words:
            assert word.lower() in text, f"{word!r} is not in {text!r}"
        for secret in ("Traceback", 'File "', "site-packages", "0x7f", "line 1, in "):
            assert secret not in frame.body.decode(), frame.raw
        self.closed()
        return frame

    def wait_receipt(self, number: str) -> Frame:
        """Waits for that RECEIPT; frames before it are kept for later, in order."""
        for _ in range(len(self.pending)):
            frame = self.pending.popleft()
            if frame.command == "RECEIPT" and frame["receipt-id"] == number:
                return frame
            self.pending.append(frame)
        while True:
            frame = self._next()
            if frame.command == "RECEIPT" and frame["receipt-id"] == number:
                return frame
            self.pending.append(frame)
            assert frame.command != "ERROR", frame.raw

    def barrier(self) -> list[Frame]:
        """All frames that came until the server had processed everything that was sent so far."""
        number = f"barrier-{next(numbers)}"
        self.send(f"SEND\ndestination:/topic/nobody.listens\nreceipt:{number}\n\n\0")
        self.wait_receipt(number)
        frames = list(self.pending)
        self.pending.clear()
        return frames

    def nothing(self) -> None:
        frames = self.barrier()
        assert not frames, f"nothing expected: {[frame.raw[:500] for frame in frames]}"

    def bodies(self) -> list[str]:
        """Bodies of the messages that came until now."""
        return [frame.body.decode() for frame in self.barrier() if frame.command == "MESSAGE"]

    # short forms of what most tests only need on the way

    def subscribe(self, destination: str, number: str = "s", ack: str = "auto", more: str = "") -> None:
        receipt = f"subscribed-{next(numbers)}"
        self.send(
            f"SUBSCRIBE\nid:{number}\ndestination:{destination}\nack:{ack}\nreceipt:{receipt}\n{more}\n\0"
        )
        self.wait_receipt(receipt)

    def unsubscribe(self, number: str = "s") -> None:
        receipt = f"unsubscribed-{next(numbers)}"
        self.send(f"UNSUBSCRIBE\nid:{number}\nreceipt:{receipt}\n\n\0")
        self.wait_receipt(receipt)

    def publish(self, destination: str, *bodies: str, more: str = "") -> None:
        """Sends each body and waits until the server has them all."""
        receipt = f"sent-{next(numbers)}"
        last = len(bodies) - 1
        for number, body in enumerate(bodies):
            asked = f"receipt:{receipt}\n" if number == last else ""
            self.send(f"SEND\ndestination:{destination}\n{asked}{more}\n{body}\0")
        self.wait_receipt(receipt)

    def begin(self, transaction: str) -> None:
        self.send(f"BEGIN\ntransaction:{transaction}\n\n\0")

    def settle(self, message: Frame, command: str = "ACK", more: str = "") -> None:
        """ACK or NACK of a delivery, as this client's version writes it. Waits for nothing."""
        if self.version == "1.2":
            names = f"id:{message['ack']}\n"
        elif self.version == "1.1":
            names = f"subscription:{message['subscription']}\nmessage-id:{message['message-id']}\n"
        else:
            names = f"message-id:{message['message-id']}\n"
        self.send(f"{command}\n{names}{more}\n\0")

    def ack(self, message: Frame, more: str = "") -> None:
        self.settle(message, "ACK", more)

    def nack(self, message: Frame, more: str = "") -> None:
        self.settle(message, "NACK", more)

    def disconnect(self) -> None:
        """Politely, and waits until the server is done with this connection."""
        self.send("DISCONNECT\nreceipt:bye\n\n\0")
        self.wait_receipt("bye")
        self.pending.clear()
        self.closed()
        self.close()


@pytest.fixture(scope="session")
def serve(start_shared_server, tmp_path_factory):
    """serve(*options, passwd=...): a running server with these options, one for the whole session."""
    servers: dict[tuple, Any] = {}

    def started(*options: str, passwd: str | None = None) -> Any:
        key = (*options, passwd)
        if key not in servers:
            directory = tmp_path_factory.mktemp("conformance")
            if passwd is not None:
                (directory / "etc").mkdir()
                (directory / "etc" / ".passwd").write_text(passwd)
            servers[key] = start_shared_server(*options, directory=directory)
        return servers[key]

    return started


@pytest.fixture
def strict(serve):
    return serve("--strict")


@pytest.fixture
def dial(request, server):
    """dial(to=default server): a TCP connection on which nothing was said yet."""
    clients: list[Client] = []
    request.node.stomp_clients = clients

    def dialled(to: Any = None, version: str = "1.2") -> Client:
        clients.append(Client(to or server, version, f"connection {len(clients) + 1}"))
        return clients[-1]

    yield dialled
    for client in clients:
        client.close()
    for used in {id(client.server): client.server for client in clients}.values():
        assert used.process.poll() is None, f"the server ended: {used.log()[-5000:]}"
        assert "Traceback" not in used.log(), used.log()[-5000:]


@pytest.fixture
def connect(dial):
    """connect(version, more headers, to=server): a session of that version."""

    def connected(version: str = "1.2", more: str = "", to: Any = None) -> Client:
        client = dial(to, version)
        client.send(HELLO[version].format(more))
        client.connected = client.expect("CONNECTED")
        return client

    return connected


@pytest.fixture
def admitted(dial, hello):
    """admitted(server, version): a connection as soon as there is a place for it; refused ones try again."""

    def tried(to: Any, version: str) -> Client:
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            client = dial(to, version)
            client.send(hello(version))
            if client.frame().command == "CONNECTED":
                return client
            client.close()
        raise AssertionError(f"refused for {LIMIT} s")

    return tried


@pytest.fixture
def hello():
    """hello(version, more headers): the CONNECT frame of that version."""
    return lambda version, more="": HELLO[version].format(more)


@pytest.fixture
def queue():
    """The name of a queue that no other test uses."""
    return f"/queue/conformance-{next(numbers)}"


@pytest.fixture
def topic():
    """The name of a topic that no other test uses."""
    return f"/topic/conformance-{next(numbers)}"


@pytest.fixture
def given(connect, queue):
    """given(version, ack, bodies, to=server): a client that has these messages of its queue, un-acked."""

    def ready(version, ack="client", bodies="123", to=None):
        client = connect(version, to=to)
        client.subscribe(queue, ack=ack, more=MANY)
        client.publish(queue, *bodies)
        return client, client.messages(*bodies)

    return ready


@pytest.fixture
def left(connect, queue):
    """left(client, to=server): what its queue holds when that client has gone."""

    def bodies(client, to=None):
        if not client.eof:
            client.disconnect()
        heir = connect("1.2", to=to)
        heir.subscribe(queue)
        return "".join(heir.bodies())

    return bodies
