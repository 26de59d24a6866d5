"""The log cannot be made long by clients, and nobody waits for who does not take it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
LIMIT = 60.0


class Client:
    """Literal bytes over a socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.data = b""
        self.socket.sendall(CONNECT)
        self.until(b"CONNECTED\n")

    def until(self, mark: bytes) -> None:
        while mark not in self.data:
            chunk = self.socket.recv(65536)
            assert chunk, f"closed after {self.data[-300:]!r}"
            self.data += chunk
        self.data = self.data.partition(mark)[2]

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def barrier(self, name: bytes) -> None:
        self.send(b"SEND\ndestination:/topic/nobody\nreceipt:%b\n\n\0" % name)
        self.until(b"receipt-id:%b\n" % name)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect() -> Iterator[Any]:
    clients: list[Client] = []

    def make(port: int) -> Client:
        clients.append(Client(port))
        return clients[-1]

    yield make
    for each in clients:
        each.close()


NAME = b"/topic/" + b"\x01" * 200  # as long as names may be, whatever limit they have
SUBSCRIBE = b"SUBSCRIBE\nid:%d\ndestination:%b\n\n\0UNSUBSCRIBE\nid:%d\n\n\0"


@pytest.mark.parametrize("form", ["text", "json"])
def test_subscriptions_with_long_names(start_server: Any, connect: Any, form: str) -> None:
    server = start_server(f"--log-format={form}")
    client = connect(server.port)
    for number in range(1000):
        client.send(SUBSCRIBE % (number, NAME, number))
    client.barrier(b"all")
    client.close()
    log = server.stop()
    # Where such names are refused, the connection ends at the first.
    assert len(log) < 2 * 200 * 6 * 450 + 20_000
    lines = [line for line in log.splitlines() if "ubscribing" in line]
    assert len(lines) <= 400
    assert all(len(line) < 3000 for line in lines)
    assert "And 800 more lines like it (subscribed) of 127.0.0.1 within 10 s" in log
    if form == "json":
        omitted = [each for each in map(json.loads, log.splitlines()) if each.get("event") == "omitted"]
        assert {each["of"]: each["count"] for each in omitted} == {"subscribed": 800, "unsubscribed": 800}


def test_a_long_login(start_server: Any) -> None:
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port), LIMIT) as client:
        client.sendall(CONNECT.replace(b"host:h", b"host:h\nlogin:" + b"x" * 1000))
        assert client.recv(100).startswith(b"CONNECTED")
    log = server.stop()
    assert "as " + "x" * 200 + "... (1000 characters)" in log
    assert "x" * 201 not in log


def test_warnings_of_a_connection_are_limited_and_counted(start_server: Any, connect: Any) -> None:
    server = start_server()
    client = connect(server.port)
    for number in range(501):
        client.send(b"SEND\ndestination:/queue/a\nx-max-length:%d\n\n\0" % (1000 + number))
    client.barrier(b"all")
    other = connect(server.port)
    other.send(b"SEND\ndestination:/queue/a\nx-max-length:1\n\n\0")
    other.barrier(b"other")
    log = server.stop()
    warned = re.findall(r"WARNING Not as asked by (.*)", log)
    assert len(warned) == 20 + 1, "another connection has its own"
    assert "And 480 more lines like it (warning) of 127.0.0.1 within 10 s" in log


def test_debug_messages_have_all_of_them(start_server: Any, connect: Any) -> None:
    server = start_server("--log-level=debug")
    client = connect(server.port)
    for number in range(101):
        client.send(b"SEND\ndestination:/queue/a\nx-max-length:%d\n\n\0" % (1000 + number))
    client.barrier(b"all")
    assert server.stop().count("WARNING Not as asked by") == 100


def test_refused_connections_of_an_address_are_limited(start_server: Any) -> None:
    server = start_server("--linger=0")
    for _ in range(150):
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as client:
            client.sendall(b"NONSENSE\n\n\0")
            while client.recv(65536):
                pass
    log = server.stop()
    assert log.count("WARNING Refused 127.0.0.1") == 100
    assert "And 50 more lines like it (error) of 127.0.0.1" in log


def test_a_log_that_nobody_reads_keeps_nobody_waiting(tmp_path: Path, connect: Any) -> None:
    """Standard error is a pipe that is full: the server goes on, and says what was lost when it is read again."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "stompserver", "-p", "0", "-w", str(tmp_path), "--log-level=debug", "-d"]
    server = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        log = b""
        while not (found := re.search(rb"starting on \S+ port (\d+)", log)):
            log += os.read(reader, 65536)
        client = connect(int(found[1]))
        body = b"x" * 60
        for turn in range(20):
            # A pipe holds 64 KiB, and what the server keeps is a megabyte.
            client.send(
                (b"SEND\ndestination:/topic/nobody\nsome-header:%b\n\n%b\0" % (b"y" * 900, body)) * 100
            )
            client.barrier(b"turn%d" % turn)
        client.close()
        while not re.search(rb"WARNING \d+ lines of the log were lost, because nobody took them", log):
            chunk = os.read(reader, 65536)
            assert chunk
            log += chunk
        server.terminate()
        while chunk := os.read(reader, 65536):
            log += chunk
        assert server.wait(LIMIT) == 0
        assert b"stopped" in log
    finally:
        os.close(reader)
        server.kill()
        server.wait()


def test_a_server_ends_when_nobody_reads_its_log(tmp_path: Path, connect: Any) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "stompserver", "-p", "0", "-w", str(tmp_path), "-d"]
    server = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        log = b""
        while not (found := re.search(rb"starting on \S+ port (\d+)", log)):
            log += os.read(reader, 65536)
        client = connect(int(found[1]))
        for turn in range(3):
            client.send((b"SEND\ndestination:/topic/nobody\nh:%b\n\n\0" % (b"y" * 900)) * 100)
            client.barrier(b"turn%d" % turn)
        server.terminate()
        assert server.wait(LIMIT) == 0
    finally:
        os.close(reader)
        server.kill()
        server.wait()
