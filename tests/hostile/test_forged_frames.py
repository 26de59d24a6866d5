"""What a client sends comes out as data, never as frame: every way by which text becomes a header, every version of
sender and receiver, before and after a ``kill -9``. The parser that judges it knows nothing of the server's.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from stompserver.config.options import QUEUE_TYPES
from stompserver.errors import StoreError
from stompserver.stores.base import store_class

VERSIONS = ("1.0", "1.1", "1.2")
LIMIT = 30.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)

ENCODED: dict[str, dict[str, str]] = {
    "1.0": {},
    "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
RAW = {"1.0": "", "1.1": "\r", "1.2": ""}
"""What a version has in values as it is, though it is a line end elsewhere."""

DECODED = {version: {code[1]: letter for letter, code in table.items()} for version, table in ENCODED.items()}

VALUES = (
    "plain",
    "a\nx-forged:1",
    "a\n\nbody\0\nMESSAGE\nsubscription:s\nmessage-id:99\ndestination:/queue/plain\n\nforged\0",
    "a\r\nx-forged:1\r\n\r\nbody",
    "a\rb",
    "\n",
    "\\",
    "\\n",
    "a\\c\\n\\r\\\\b",
    "a:b:c",
    ":",
    "é€😀\u2028\x85x\x0bx",
    "%0A%00",
    "content-length:0\n\n",
    " edge ",
    "\x01\x7f",
)


class Frame(NamedTuple):
    command: str
    headers: list[tuple[str, str]]
    body: bytes


def parse(octets: bytes, version: str) -> tuple[Frame, bytes] | None:
    """The first frame, as a strict client of that version reads it, and what follows; None while it is not whole."""
    octets = octets.lstrip(b"\n")
    head, empty, rest = octets.partition(b"\n\n")
    if not empty:
        return None
    command, *lines = head.decode("utf-8", "surrogateescape" if version == "1.0" else "strict").split("\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        assert "\0" not in line and "\r" not in (name if version == "1.1" else line), line
        assert colon and name, line
        if command != "CONNECTED":
            assert version == "1.0" or ":" not in value, line
            name, value = plain(name, version), plain(value, version)
        headers.append((name, value))
    lengths = [int(value) for name, value in headers if name == "content-length"]
    stop = lengths[0] if lengths else rest.find(b"\0")
    if stop < 0 or len(rest) <= stop:
        return None
    assert rest[stop] == 0, octets
    return Frame(command, headers, rest[:stop]), rest[stop + 1 :]


def plain(text: str, version: str) -> str:
    """Without the escapes of that version; every other backslash is an error."""
    if version == "1.0":
        return text
    letters = iter(text)
    return "".join([DECODED[version][next(letters)] if letter == "\\" else letter for letter in letters])


def escaped(text: str, version: str) -> str:
    return "".join([ENCODED[version].get(letter, letter) for letter in text])


def sayable(text: str, version: str) -> bool:
    """Whether a client of that version can say it in a header."""
    known = (*ENCODED[version], *RAW[version])
    return not [letter for letter in "\r\n\0" if letter in text and letter not in known] and (
        version != "1.0" or text == text.strip(" \t")
    )


def heard(text: str, version: str) -> str:
    """What a receiver of that version gets of it: a blank for what the version has no way to write."""
    return "".join(
        [
            " "
            if letter in "\r\n" and letter not in ENCODED[version] and letter not in RAW[version]
            else letter
            for letter in text
        ]
    )


class Client:
    """A connection. ``read`` gives all frames up to the answer to one of its own."""

    def __init__(self, port: int, version: str, more: str = "") -> None:
        self.version = version
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.data = b""
        wanted = "" if version == "1.0" else f"accept-version:{version}\nhost:h\n"
        self.socket.sendall(f"CONNECT\n{wanted}{more}\n\0".encode())
        self.connected = self.frame()
        assert self.connected.command == "CONNECTED"

    def frame(self) -> Frame:
        """The next frame."""
        while (found := parse(self.data, self.version)) is None:
            octets = self.socket.recv(1 << 20)
            assert octets, self.data
            self.data += octets
        frame, self.data = found
        return frame

    def send(self, command: str, headers: dict[str, str], body: str = "") -> None:
        lines = [
            f"{escaped(name, self.version)}:{escaped(value, self.version)}\n"
            for name, value in headers.items()
        ]
        self.socket.sendall((command + "\n" + "".join(lines) + "\n" + body + "\0").encode())

    def read(self) -> list[Frame]:
        """What came; none of it is an ERROR."""
        mark = f"mark-{next(numbers)}"
        self.send("SEND", {"destination": "/topic/nobody.listens", "receipt": mark})
        frames: list[Frame] = []
        while not frames or ("receipt-id", mark) not in frames[-1].headers:
            frames.append(self.frame())
            assert frames[-1].command != "ERROR", frames[-1]
        return frames[:-1]

    def error(self) -> Frame:
        """The ERROR that comes next, and is the last frame."""
        frame = self.frame()
        assert frame.command == "ERROR"
        assert (self.data + self.socket.recv(65536)).strip(b"\n") == b""
        return frame

    def close(self) -> None:
        self.socket.close()


Connect = Callable[..., Client]


@pytest.fixture
def connect(closing: Callable[[Client], Client]) -> Connect:
    return lambda server, version="1.2", more="": closing(Client(server.port, version, more))


def headers_of(frame: Frame) -> list[tuple[str, str]]:
    """Without what the server writes into every MESSAGE in its own words."""
    ours = (
        "message-id",
        "content-length",
        "subscription",
        "ack",
        "timestamp",
        "last-failure",
        "first-failure",
    )
    return [pair for pair in frame.headers if pair[0] not in ours]


class Sent(NamedTuple):
    """One message that was sent: to be found at ``queue``, with exactly these headers."""

    queue: str
    headers: list[tuple[str, str]]
    body: str


def expected(sent: Sent, version: str) -> tuple[list[tuple[str, str]], bytes]:
    """What a receiver of that version gets of it."""
    headers = []
    for name, value in sent.headers:
        # Where nothing is escaped a colon ends a name, and a CR may end it for some.
        name = name.replace({"1.0": ":", "1.1": "\r", "1.2": "\0"}[version], " ")
        headers.append((heard(name, version), heard(value, version)))
    if headers != sent.headers:
        headers.append(("x-sanitized", "true"))
    return headers, sent.body.encode()


def everything(server: Any, connect: Connect) -> list[Sent]:
    """Every value by every way that keeps a message, from senders of every version that can say it."""
    sent = []
    for version in VERSIONS:
        client = connect(server, version)
        for value in VALUES:
            if sayable(value, version):
                sent += [way(client, value) for way in WAYS]
    return sent


def fresh(kind: str) -> tuple[str, str]:
    number = next(numbers)
    return f"/queue/{kind}.{number}", f"body {number}"


def by_header(client: Client, value: str) -> Sent:
    queue, body = fresh("header")
    client.send("SEND", {"destination": queue, "x": value, "y": "1"}, body)
    return Sent(queue, [("destination", queue), ("x", value), ("y", "1")], body)


def by_option(client: Client, value: str) -> Sent:
    queue, body = fresh("option")
    client.send("SEND", {"destination": f"{queue}?_AMQ_LVQ_NAME={quote(value)}", "y": "1"}, body)
    return Sent(queue, [("destination", queue), ("y", "1"), ("_AMQ_LVQ_NAME", value)], body)


def by_group(client: Client, value: str) -> Sent:
    queue, body = fresh("group")
    client.send("SEND", {"destination": queue, "JMSXGroupID": value, "y": "1"}, body)
    return Sent(queue, [("destination", queue), ("JMSXGroupID", value), ("y", "1")], body)


def by_duplicate(client: Client, value: str) -> Sent:
    queue, body = fresh("duplicate")
    client.send("SEND", {"destination": queue, "dedup-id": value, "y": "1"}, body)
    return Sent(queue, [("destination", queue), ("dedup-id", value), ("y", "1")], body)


def by_name(client: Client, value: str) -> Sent:
    number = next(numbers)
    queue, body = f"/queue/name{number}.{value}.", f"body {number}"
    client.send("SEND", {"destination": queue, "y": "1"}, body)
    return Sent(queue, [("destination", queue), ("y", "1")], body)


def by_header_name(client: Client, value: str) -> Sent:
    queue, body = fresh("names")
    name = value if client.version != "1.0" or ":" not in value else "a"
    client.send("SEND", {"destination": queue, "n" + name + "n": "1"}, body)
    return Sent(queue, [("destination", queue), ("n" + name + "n", "1")], body)


def by_schedule(client: Client, value: str) -> Sent:
    queue, body = fresh("schedule")
    client.send("SEND", {"destination": queue, "AMQ_SCHEDULED_DELAY": "1", "x": value}, body)
    return Sent(queue, [("destination", queue), ("x", value), ("scheduledJobId", "*")], body)


WAYS = (by_header, by_option, by_group, by_duplicate, by_name, by_header_name, by_schedule)


def kinds() -> list[Any]:
    """Stores with what they need on this machine; in quick runs no more than two of them."""
    found = []
    for name in QUEUE_TYPES:
        with contextlib.suppress(StoreError):
            store_class(name)
            marks = [] if name in ("memory", "lmdb") else [pytest.mark.long]
            found.append(pytest.param(name, marks=marks))
    return found


@pytest.mark.parametrize("kind", kinds())
def test_one_frame_with_these_headers(kind: str, start_server: Any, connect: Connect) -> None:
    """Browsed by receivers of every version: as it was sent, and again from the store."""
    server = start_server("-q", kind)
    sent = everything(server, connect)
    for _ in range(1 if kind == "memory" else 2):
        for version in VERSIONS:
            check(connect(server, version), [each for each in sent if sayable(each.queue, version)])
        if kind != "memory":
            server.kill()
            server = start_server("-q", kind, directory=server.directory)


def check(client: Client, sent: list[Sent]) -> None:
    """Each message is the one in its queue."""
    for each in sent:
        # What was scheduled may still be on its way, so the browsers stay.
        headers = {"id": each.queue, "destination": each.queue, "browser": "true", "browser-end": "false"}
        client.send("SUBSCRIBE", headers)
    found: dict[str, Frame] = {}
    while len(found) < len(sent):
        for frame in client.read():
            if ("browser", "end") not in frame.headers:
                name = dict(frame.headers)["subscription"]
                assert name not in found, frame
                found[name] = frame
    for each in sent:
        frame = found[each.queue]
        got = [(name, "*" if name == "scheduledJobId" else value) for name, value in headers_of(frame)]
        assert (got, frame.body) == expected(each, client.version)


# Text that becomes a header by other ways: seen at once, by one of each version


@pytest.fixture(scope="module")
def server(start_shared_server: Any) -> Any:
    return start_shared_server()


def one(client: Client, command: str = "MESSAGE") -> Frame:
    """The next frame, which is of that kind."""
    frame = client.frame()
    assert frame.command == command, frame
    return frame


def subscribe(client: Client, destination: str, id: str = "s", **more: str) -> None:
    headers = {"id": id, "destination": destination, "receipt": "subscribed", **more}
    client.send("SUBSCRIBE", {name.replace("_", "-"): value for name, value in headers.items()})
    one(client, "RECEIPT")


@pytest.fixture(params=VERSIONS)
def version(request: Any) -> str:
    return str(request.param)


@pytest.mark.parametrize("value", [value for value in VALUES if sayable(value, "1.2")], ids=repr)
def test_dead_letters(server: Any, connect: Connect, version: str, value: str) -> None:
    """Where it came from is the name of a queue, why it failed is a client's word."""
    client, reader = connect(server), connect(server, version)
    queue, dead = (
        f"/queue/dead{next(numbers)}.{value}.",
        f"/queue/grave{next(numbers)}.{value.replace('%', '')}.",
    )
    subscribe(client, queue, ack="client-individual", x_dead_letter_routing_key=dead)
    for plain in ("", "x:y"):
        client.send(
            "SEND", {"destination": queue, "content-length": "4", **({"x": plain} if plain else {})}, "body"
        )
        client.send("NACK", {"id": dict(one(client).headers)["ack"], "requeue": "false", "reason": value})
        client.read()
        subscribe(connect(server), dead, browser="true")
        if not sayable(dead, version):
            continue
        subscribe(reader, dead)
        frame = one(reader)
        reason = heard(value, version)
        assert headers_of(frame)[: 2 if plain else 1] == [
            ("destination", dead),
            *([("x", plain)] if plain else []),
        ]
        assert headers_of(frame)[2 if plain else 1 :] == [
            ("original-destination", heard(queue, version)),
            ("dead-letter-reason", "rejected"),
            ("dead-letter-cause", reason),
            ("dlqDeliveryFailureCause", reason),
            ("delivery-count", "1"),
            *([("x-sanitized", "true")] if reason != value else []),
        ]
        reader.send("UNSUBSCRIBE", {"id": "s"})


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_the_server_answers(server: Any, connect: Connect, version: str, value: str) -> None:
    """Ids of subscriptions and receipts, what becomes of a temporary destination, durable names, warnings."""
    if not sayable(value, version):
        return
    client = connect(server, version)
    name = f"{next(numbers)}.{value}."
    client.send("SUBSCRIBE", {"id": name, "destination": "/temp-queue/" + name, "receipt": name})
    assert one(client, "RECEIPT").headers == [("receipt-id", name)]
    client.send("SEND", {"destination": "/temp-queue/" + name, "reply-to": "/temp-queue/" + name})
    frame = one(client)
    headers = dict(frame.headers)
    session = dict(client.connected.headers)["session"]
    assert len(headers) == len(frame.headers) == 5
    assert headers["subscription"] == name
    assert headers["destination"] == "/temp-queue/" + name
    assert headers["reply-to"] == f"/reply-queue/{session}.{name}"
    client.send("UNSUBSCRIBE", {"id": name})

    client.send("SUBSCRIBE", {"id": name, "destination": "/topic/" + name, "durable": "true"})
    client.send("SEND", {"destination": "/topic/" + name, "retain": "set"}, "kept")
    assert dict(one(client).headers)["destination"] == "/topic/" + name
    subscribe(client, "/topic/" + name, name + "2")
    assert ("ActiveMQ.Retained", "true") in one(client).headers

    client.send(
        "SEND",
        {
            "destination": "/queue/stompserver.management",
            "action": "queues",
            "limit": "1",
            "reply-to": "/temp-queue/answers" + name,
            "correlation-id": name,
        },
    )
    answer = dict(one(client).headers)
    assert (answer["correlation-id"], answer["subscription"]) == (name, "/temp-queue/answers" + name)

    subscribe(client, "/queue/warn" + name, "one", x_max_length="1")
    client.send(
        "SUBSCRIBE", {"id": "two", "destination": "/queue/warn" + name, "x-max-length": "2", "receipt": name}
    )
    receipt = dict(one(client, "RECEIPT").headers)
    assert receipt["receipt-id"] == name and "other properties" in receipt["warning"]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("command", ["BEGIN", "COMMIT", "SUBSCRIBE", "ACK", "SEND"])
def test_errors(server: Any, connect: Connect, version: str, command: str, value: str) -> None:
    """An ERROR quotes what was wrong, and names the receipt."""
    if not sayable(value, version):
        return
    client = connect(server, version)
    name = "x" + value + "x"
    headers = {"id": name, "message-id": name, "subscription": name, "transaction": name}
    if command == "BEGIN":
        client.send("BEGIN", {"transaction": name})
    destination = {"SUBSCRIBE": "/topic/a.{" + name + "*}", "SEND": "$stompserver/" + name}.get(
        command, "/queue/a"
    )
    client.send(command, {**headers, "destination": destination, "receipt": name})
    frame = client.error()
    assert sorted([key for key, _ in frame.headers]) == [
        "content-length",
        "content-type",
        "message",
        "receipt-id",
    ]
    assert ("receipt-id", name) in frame.headers


@pytest.mark.parametrize("value", [each for each in VALUES if sayable(each, "1.0")], ids=repr)
def test_connected(server: Any, connect: Connect, version: str, value: str) -> None:
    """Nothing is escaped in CONNECT and CONNECTED."""
    client = connect(server, version, f"receipt:x{value}x\nrequest-id:x{value}x\n")
    headers = dict(client.connected.headers)
    assert len(headers) == len(client.connected.headers)
    assert (headers["receipt-id"], headers["response-id"]) == (f"x{value}x", f"x{value}x")


@pytest.mark.parametrize("letters", ["\0", "\n", "\r", "\r\n", "\n\nbody\0\nMESSAGE\nx:y\n\n\0"], ids=repr)
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_options_that_no_header_can_hold(
    server: Any, connect: Connect, version: str, command: str, letters: str
) -> None:
    option = "_AMQ_LVQ_NAME" if command == "SEND" else "durable-subscription-name"
    client = connect(server, version)
    destination = f"/topic/options{next(numbers)}?{option}={quote('a' + letters + 'b')}"
    client.send(command, {"id": "1", "destination": destination, "receipt": "r"})
    if sayable(letters, version):
        assert one(client, "RECEIPT").headers == [("receipt-id", "r")]
    else:
        assert "line end or a NUL" in dict(client.error().headers)["message"]


def test_an_origin_that_is_no_utf_8(server: Any, connect: Connect, version: str) -> None:
    """A 1.0 client can name a queue so; what died there is readable by all."""
    old, client = connect(server, "1.0"), connect(server)
    name = b"/queue/Consumer.g\xff.VirtualTopic.no.utf-8." + version.encode()
    old.socket.sendall(
        b"SUBSCRIBE\ndestination:"
        + name
        + b"\nack:client\nx-dead-letter-routing-key:no.utf-8."
        + version.encode()
        + b"\n\n\0"
    )
    old.read()
    client.send(
        "SEND", {"destination": "/topic/VirtualTopic.no.utf-8." + version, "content-length": "1"}, "x"
    )
    client.read()
    old.close()
    other = connect(server, "1.0")
    other.socket.sendall(
        b"SUBSCRIBE\ndestination:" + name + b"\nack:client\nactivemq.maximumRedeliveries:0\n\n\0"
    )
    while b"\0\n" not in other.data:
        other.data += other.socket.recv(65536)
    other.close()
    reader = connect(server, version)
    subscribe(reader, "/queue/no.utf-8." + version, ack="client")
    origin = dict(one(reader).headers)["original-destination"]
    assert origin == name.decode("utf-8", "surrogateescape" if version == "1.0" else "replace").replace(
        "\ufffd", "?"
    )
