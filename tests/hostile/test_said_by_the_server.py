"""What the server says of a message cannot be said by its sender: every name, every way in, every version."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

LIMIT = 30.0  # seconds after which a missing answer is a failure; never waited for when all is well
VERSIONS = ("1.0", "1.1", "1.2")
numbers = itertools.count(1)

SAID = (
    "ActiveMQ.Retained",
    "JMSXDeliveryCount",
    "dead-letter-cause",
    "dead-letter-reason",
    "delivery-count",
    "dlqDeliveryFailureCause",
    "first-failure",
    "last-failure",
    "original-destination",
    "original-expiration",
    "original-expires",
    "original-ttl",
    "original-x-message-ttl",
    "redelivered",
    "scheduledJobId",
    "x-stream-offset",
)
AROUND = ("{}", " {}", "{} ", "\t{}", "{}\x0b", "\x01{}", "\xa0{}", "{}\ufeff")
ESCAPED = ("{}\\n", "\\n{}", "{}\\c", "\\c{}\\c")


class Client:
    """Literal octets out, frames in; bodies hold no NUL."""

    def __init__(self, port: int, version: str, more: str = "") -> None:
        self.version = version
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.data = b""
        accept = "" if version == "1.0" else f"accept-version:{version}\nhost:h\n"
        self.send(f"CONNECT\n{accept}{more}\n\0")
        assert self.frame()[0] == "CONNECTED"

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def frame(self) -> tuple[str, dict[str, str], str]:
        """The next frame: command, headers as they are on the wire, body."""
        self.data = self.data.lstrip(b"\n")
        while b"\0" not in self.data:
            octets = self.socket.recv(65536)
            assert octets, "closed"
            self.data = (self.data + octets).lstrip(b"\n")
        frame, _, self.data = self.data.partition(b"\0")
        head, _, body = frame.decode().partition("\n\n")
        command, *lines = head.split("\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name, value)
        return command, headers, body

    def done(self, text: str) -> dict[str, str]:
        """Send a frame that is to get a RECEIPT; its headers."""
        command, _, rest = text.partition("\n")
        self.send(f"{command}\nreceipt:r\n{rest}")
        answer = self.frame()
        assert answer[0] == "RECEIPT", answer
        return answer[1]

    def message(self) -> dict[str, str]:
        command, headers, body = self.frame()
        assert command == "MESSAGE", (command, headers, body)
        return headers

    def close(self) -> None:
        self.socket.close()


Connect = Callable[..., Client]


@pytest.fixture
def connect(closing: Callable[[Client], Client]) -> Connect:
    return lambda server, version="1.2", more="": closing(Client(server.port, version, more))


@pytest.fixture(scope="module")
def server(start_shared_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("said")
    (directory / "stompserver.yaml").write_text(
        "policies: {/queue/marked.>: {user: true, timestamp: true}}\n"
    )
    return start_shared_server("-C", str(directory / "stompserver.yaml"), directory=directory)


def seen(name: str) -> str:
    """A header's name as the most tolerant client reads it."""
    for code in ("\\n", "\\c", "\\r"):
        name = name.replace(code, " ")
    return "".join(letter for letter in name if letter > " " and letter.isascii() and letter != "\x7f")


def forged(headers: dict[str, str]) -> list[str]:
    return [name for name, value in headers.items() if value == "forged" and seen(name) in SAID]


def lines(version: str) -> str:
    ways = AROUND if version == "1.0" else AROUND + ESCAPED
    return "".join(f"{way.format(name)}:forged\n" for name in SAID for way in ways)


@pytest.mark.parametrize("version", VERSIONS)
def test_by_headers(server: Any, connect: Connect, version: str) -> None:
    sender = connect(server, version)
    queue = f"/queue/headers.{next(numbers)}"
    # 100 headers are allowed.
    every = [line + "\n" for line in lines(version).split("\n")[:-1]]
    for at in range(0, len(every), 40):
        part = "".join(every[at : at + 40])
        sender.done(f"SEND\ndestination:{queue}\n{part}kept:1\n\nx\0")
        sender.done(f"SEND\ndestination:{queue}\npriority:5\n{part}kept:1\n\nx\0")
        sender.done(f"SEND\ndestination:{queue},/topic/other\n{part}kept:1\n\nx\0")
        sender.done(f"BEGIN\ntransaction:{at}\n\n\0")
        sender.done(f"SEND\ndestination:{queue}\ntransaction:{at}\n{part}kept:1\n\nx\0")
        sender.done(f"COMMIT\ntransaction:{at}\n\n\0")
        for receiver in VERSIONS:
            reader = connect(server, receiver)
            reader.done(f"SUBSCRIBE\nid:s\ndestination:{queue}\nbrowser:true\n\n\0")
            for _ in range(4):
                headers = reader.message()
                assert headers["kept"] == "1"
                assert not forged(headers), headers
        reader = connect(server)
        reader.done(f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0")
        for _ in range(4):
            reader.message()
        reader.done("UNSUBSCRIBE\nid:s\n\n\0")


def test_after_many_that_are_alike(server: Any, connect: Connect) -> None:
    """The short way for SENDs like those before them has no room for it either."""
    sender, reader = connect(server), connect(server)
    reader.done("SUBSCRIBE\nid:s\ndestination:/queue/alike\n\n\0")
    for name in (*SAID, " redelivered", "redelivered\\n"):
        for _ in range(20):
            sender.send(f"SEND\ndestination:/queue/alike\ncontent-length:1\n{name}:forged\nkept:1\n\nx\0")
        for _ in range(20):
            headers = reader.message()
            assert headers["kept"] == "1"
            assert not forged(headers), headers


@pytest.mark.parametrize("name", SAID)
def test_by_options(server: Any, connect: Connect, name: str) -> None:
    client = connect(server)
    queue = f"/queue/options.{next(numbers)}"
    client.done(f"SEND\ndestination:{queue}?{name}=forged\nkept:1\n\nx\0")
    client.done(f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0")
    headers = client.message()
    assert headers["kept"] == "1" and not forged(headers), headers


def test_for_later(server: Any, connect: Connect) -> None:
    client = connect(server)
    client.done("SUBSCRIBE\nid:s\ndestination:/queue/later\n\n\0")
    said = "".join(f"{name}:forged\n" for name in SAID)
    client.send(f"SEND\ndestination:/queue/later\nAMQ_SCHEDULED_DELAY:1\n{said}\nx\0")
    headers = client.message()
    assert headers["scheduledJobId"].isdecimal() and not forged(headers)


def test_topics_and_what_they_keep(server: Any, connect: Connect) -> None:
    client = connect(server)
    client.done("SUBSCRIBE\nid:s\ndestination:/topic/kept\n\n\0")
    said = "".join(f"{name}:forged\n" for name in SAID)
    client.send(f"SEND\ndestination:/topic/kept\nretain:set\n{said}\nx\0")
    headers = client.message()
    assert "ActiveMQ.Retained" not in headers and not forged(headers)
    client.done("SUBSCRIBE\nid:t\ndestination:/topic/kept\n\n\0")
    headers = client.message()
    assert headers["ActiveMQ.Retained"] == "true" and not forged(headers)


def test_dead_letters_are_sent_on(server: Any, connect: Connect) -> None:
    """Who sends on what it got, with all its headers, is no forger: what the server says is left out."""
    client = connect(server)
    said = "".join(f"{name}:forged\n" for name in SAID)
    client.done("SUBSCRIBE\nid:s\ndestination:/queue/dies\nack:client-individual\n\n\0")
    client.send(f"SEND\ndestination:/queue/dies\n{said}mine:1\n\nx\0")
    client.send(f"NACK\nid:{client.message()['ack']}\nrequeue:false\n\n\0")
    client.done("SUBSCRIBE\nid:d\ndestination:/queue/deadletter\n\n\0")
    dead = client.message()
    assert dead["original-destination"] == "/queue/dies" and dead["dead-letter-reason"] == "rejected"
    assert not forged(dead), dead
    client.done("SUBSCRIBE\nid:e\ndestination:/queue/again\n\n\0")
    again = {**dead, "destination": "/queue/again"}
    for header in ("content-length", "subscription"):
        del again[header]
    client.send("SEND\n" + "".join(f"{name}:{value}\n" for name, value in again.items()) + "\nx\0")
    headers = client.message()
    assert headers["mine"] == "1" and headers["subscription"] == "e"
    assert not {*SAID}.intersection(headers), headers


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("queue", ["/queue/marked.a", "/queue/unmarked", "/queue/unmarked,/queue/marked.b"])
def test_whose_it_is(server: Any, connect: Connect, version: str, queue: str) -> None:
    """Where the server says a sender's login, and when it came, nobody else does."""
    sender, reader = connect(server, version, "login:bob\n"), connect(server)
    at = next(numbers)
    for one in queue.split(","):
        reader.done(f"SUBSCRIBE\nid:{one}\ndestination:{one}.{at}\n\n\0")
    destination = ",".join(f"{one}.{at}" for one in queue.split(","))
    for name in ("JMSXUserID", " JMSXUserID", "user-id ", "JMSXUserID\x0b", "\xa0user-id", " timestamp"):
        sender.send(f"SEND\ndestination:{destination}\n{name}:alice\n\nx\0")
        if name == "user-id " and version == "1.0":
            assert sender.frame()[0] == "ERROR"
            return
        for _ in queue.split(","):
            headers = reader.message()
            assert "alice" not in headers.values(), headers
            assert headers.get("JMSXUserID", "bob") == "bob"
            if "/queue/marked" in headers["subscription"]:
                assert headers["JMSXUserID"] == "bob" and headers["timestamp"].isdecimal()


def test_a_login_of_the_senders_own_where_nobody_says_it(start_server: Any, connect: Connect) -> None:
    """An application's own header, as it always was."""
    client = connect(start_server())
    client.done("SUBSCRIBE\nid:s\ndestination:/queue/own\n\n\0")
    client.send("SEND\ndestination:/queue/own\nJMSXUserID:carol\ntimestamp:17\n\nx\0")
    headers = client.message()
    assert (headers["JMSXUserID"], headers["timestamp"]) == ("carol", "17")
