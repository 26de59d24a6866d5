"""Clients that are not logged in keep nobody from sending, and nobody from connecting."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

LIMIT = 60.0
CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


@pytest.fixture
def sockets() -> Any:
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), LIMIT))


def until(client: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        chunk = client.recv(65536)
        assert chunk, data
        data += chunk
    return data


def test_unfinished_connects_stop_no_producer(start_server: Any, sockets: Any) -> None:
    server = start_server("--memory-limit=4MiB", "--login-timeout=600")
    producer = sockets(server.port)
    producer.sendall(CONNECT)
    until(producer, b"CONNECTED\n")
    crowd = []
    for _ in range(150):
        client = sockets(server.port)
        # More than the memory limit, all of them together.
        with contextlib.suppress(ConnectionError):
            client.sendall(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:" + b"x" * 60_000)
        crowd.append(client)
    for number in range(20):
        producer.sendall(b"SEND\ndestination:/queue/a\nreceipt:%d\n\nhello\0" % number)
        until(producer, b"receipt-id:%d\n" % number)
    assert b"Too much was sent before a login" in until(crowd[0], b"\0")
    assert "Producers wait" not in server.log()


def test_names_that_are_kept_are_short(start_server: Any, sockets: Any) -> None:
    server = start_server()
    for name in (b"login", b"client-id"):
        for length, answer in ((1024, b"CONNECTED\n"), (1025, b"Header %b is too long" % name)):
            client = sockets(server.port)
            client.sendall(CONNECT.replace(b"host:h", b"host:h\n%b:%b" % (name, b"x" * length)))
            assert answer in until(client, b"\0")
