"""Names and patterns without end: each costs its sender an ERROR, and others nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


class Client:
    """Literal octets to a real server, literal octets from it."""

    def __init__(self, server: Any) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=10)
        self.octets = b""
        self.send(CONNECT)
        assert self.frame().startswith(b"CONNECTED\n")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def frame(self) -> bytes:
        """The next frame, up to its NUL; no body here has one."""
        while b"\0" not in self.octets:
            more = self.socket.recv(65536)
            assert more, "closed"
            self.octets += more
        frame, _, self.octets = self.octets.partition(b"\0")
        return frame.lstrip(b"\n")

    def error(self, octets: bytes) -> bytes:
        """The ERROR that comes of ``octets``."""
        self.send(octets)
        frame = self.frame()
        assert frame.startswith(b"ERROR\n"), frame
        return frame

    def receipt(self, octets: bytes) -> None:
        self.send(octets)
        frame = self.frame()
        assert frame.startswith(b"RECEIPT\n"), frame


@pytest.fixture
def connect(server: Any) -> Iterator[Callable[[], Client]]:
    clients: list[Client] = []

    def connected() -> Client:
        clients.append(Client(server))
        return clients[-1]

    yield connected
    for client in clients:
        client.socket.close()


def test_a_pattern_of_thousands_of_levels_is_refused(connect: Callable[[], Client]) -> None:
    """A SEND of as many levels took 5 s for everybody, and each further one as long again."""
    error = connect().error(b"SUBSCRIBE\nid:s\ndestination:/topic/#%s\n\n\0" % (b".a.#" * 8000))
    assert b"too long" in error and b"max-destination-bytes" in error
    error = connect().error(b"SUBSCRIBE\nid:s\ndestination:/topic/#%s\n\n\0" % (b".a.#" * 100))
    assert b"too many levels" in error and b"max-destination-levels" in error
    error = connect().error(b"SUBSCRIBE\nid:s\ndestination:/topic/#%s\n\n\0" % (b".a.#" * 8))
    assert b"too many wildcards" in error and b"9 of >, # and **" in error
    assert b"max-destination-wildcards" in error
    connect().receipt(b"SUBSCRIBE\nid:s\nreceipt:r\ndestination:/topic/#%s\n\n\0" % (b".a.#" * 7))


@pytest.mark.parametrize("kind", [b"/topic", b"/queue"])
@pytest.mark.parametrize(
    "frame",
    [
        b"SEND\ndestination:%s\n\nhello\0",
        b"SUBSCRIBE\nid:s\ndestination:%s\n\n\0",
        b"SEND\ndestination:/queue/names\nAMQ_SCHEDULED_DELAY:60000\n\n\0SEND\n"
        b"AMQ_SCHEDULED_DELAY:60000\ndestination:%s\n\n\0",
        b"BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\ndestination:%s\n\n\0COMMIT\ntransaction:t\n\n\0",
        b"SEND\ndestination:/queue/names,%s\n\n\0",
        b"SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:%s\n\n\0",
    ],
)
def test_a_name_without_end_is_refused_in_every_frame(
    connect: Callable[[], Client], kind: bytes, frame: bytes
) -> None:
    for name, summary in ((b"/" + b"x" * 1018, b"too long"), (b".a" * 63, b"too many levels")):
        assert summary in connect().error(frame % (kind + name))


def test_a_name_of_the_largest_size_is_one_like_others(connect: Callable[[], Client]) -> None:
    client = connect()
    for name in (b"/queue/" + b"x" * 1017, b"/topic" + b".a" * 62, b"/queue/" + "ü".encode() * 508):
        client.receipt(b"SUBSCRIBE\nid:s\nreceipt:r\ndestination:%s\n\n\0" % name)
        client.send(b"SEND\ndestination:%s\n\nhello\0" % name)
        assert client.frame().endswith(b"\nhello")
        client.receipt(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
    assert b"1026 bytes" in client.error(b"SEND\ndestination:/queue/%sx\n\n\0" % ("ü".encode() * 509))


def test_the_name_of_a_durable_subscription_has_an_end(connect: Callable[[], Client]) -> None:
    frame = b"SUBSCRIBE\nid:%s\ndurable:true\ndestination:/topic/a\n\n\0"
    assert b"too long" in connect().error(frame % (b"x" * 1100))


def test_thousands_of_destinations_in_one_frame_are_refused(connect: Callable[[], Client]) -> None:
    """A body of 200 KB for 4,500 queues was counted, and written, 4,500 times."""
    several = b",".join(b"/queue/several.%d" % number for number in range(3000))
    error = connect().error(b"SEND\ndestination:%s\n\nhello\0" % several)
    assert b"Too many destinations" in error and b"3000 of them" in error and b"max-destinations" in error
    error = connect().error(b"SUBSCRIBE\nid:s\ndestination:%s\n\n\0" % several)
    assert b"Too many destinations" in error
    client = connect()
    client.receipt(b"SEND\nreceipt:r\ndestination:%s\n\nhello\0" % b",".join(several.split(b",")[:32]))
    client.send(b"SUBSCRIBE\nid:s\ndestination:/queue/several.31\n\n\0")
    assert client.frame().endswith(b"\nhello")


def test_dead_letter_queues_named_by_a_client_have_short_names(connect: Callable[[], Client]) -> None:
    """Each % is the name of the queue: a key of 60,000 of them would be a name of megabytes."""
    client = connect()
    for key, why in ((b"%" * 1000, b"more than one %"), (b"x" * 2000, b"longer than 1024 bytes")):
        client.send(b"SEND\ndestination:/queue/buried\nreceipt:r\nx-dead-letter-routing-key:%s\n\n\0" % key)
        frame = client.frame()
        assert frame.startswith(b"RECEIPT\n") and why in frame
