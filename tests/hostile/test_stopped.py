"""The process stands still for a while, as a machine that sleeps, or a disk that takes long, makes it: nobody is
judged by silence before what has come meanwhile is read.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def start(start_server: Any, loop: str) -> Callable[..., Any]:
    """``start(*options)`` starts a server with that loop."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    return lambda *options: start_server("--loop", loop, *options)


@LOOPS
def test_what_came_in_time_counts(start: Any, talk: Callable[..., Any]) -> None:
    server = start("--login-timeout", "1")
    taker = talk(server.port)
    taker.done("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nack-timeout:1000\n\n\0")
    newcomer = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    # It is accepted before the process stops.
    taker.echo()
    taker.send("SEND\ndestination:/queue/a\n\nmessage\0")
    ack = next(line[4:] for line in taker.frame().split("\n") if line.startswith("ack:"))
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        newcomer.sendall(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        taker.send(f"ACK\nid:{ack}\nreceipt:r\n\n\0")
        # The time that is judged is the server's.
        time.sleep(1.5)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    with newcomer:
        assert newcomer.recv(100).startswith(b"CONNECTED\n")
    # One that comes after the ack-timeout gets a warning with it.
    assert taker.frame() == "RECEIPT\nreceipt-id:r\n\n"


def beat(clients: list[Any], seconds: float) -> None:
    """Have ``clients`` beat for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for client in clients:
            client.send("\n")
        time.sleep(0.5)


@LOOPS
@pytest.mark.long
def test_heart_beats_that_came_in_time_count(start: Any, talk: Callable[..., Any]) -> None:
    server = start()
    clients = [talk(server.port, "heart-beat:1000,0\n") for _ in range(20)]
    silent = talk(server.port, "heart-beat:1000,0\n")
    beat(clients, 2)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        # More than six seconds is silence, where one was agreed.
        beat(clients, 7.5)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    for client in clients:
        client.echo()
    assert "heart-beat" in silent.frame().lower()
    assert select.select([client.socket for client in clients], [], [], 0)[0] == []
