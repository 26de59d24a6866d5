"""Connections come and go by the thousand, in good order and in bad, and leave nothing behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import psutil
import pytest

MARGIN = 3.0
"""MiB that the process may grow between the two looks: 400 bytes for each connection of the long run."""

CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1000,1000\n\n\0"


def silent(client: Any, number: int) -> None:
    client.close()


def in_good_order(client: Any, number: int) -> None:
    client.send(CONNECT + b"DISCONNECT\nreceipt:bye\n\n\0")
    assert client.rest().endswith(b"RECEIPT\nreceipt-id:bye\n\n\0\n")
    client.close()


def without_goodbye(client: Any, number: int) -> None:
    client.connect()
    client.close()


def subscribed(client: Any, number: int) -> None:
    client.send(CONNECT + b"SUBSCRIBE\nid:1\ndestination:/queue/%d\nack:client\n\n\0" % (number % 7))
    client.send(b"SUBSCRIBE\nid:2\ndestination:/topic/%d\nack:client\n\n\0" % (number % 7))
    client.frame()
    client.close()


def with_unsettled_messages(client: Any, number: int) -> None:
    client.connect().subscribe("/queue/unsettled", "client")
    client.body()
    client.close()


def in_a_transaction(client: Any, number: int) -> None:
    client.connect()
    client.send(b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/t\ntransaction:t\n\nbody\0")
    client.barrier()
    client.close()


def half_a_frame(client: Any, number: int) -> None:
    client.connect()
    client.send(b"SEND\ndestination:/queue/t\ncontent-length:100000\n\n" + bytes(50_000))
    client.close()


def half_a_login(client: Any, number: int) -> None:
    client.send(CONNECT[: number % len(CONNECT)])
    client.close()


def reset(client: Any, number: int) -> None:
    client.send(CONNECT)
    client.reset()


def reset_when_subscribed(client: Any, number: int) -> None:
    client.connect().subscribe("/topic/reset")
    client.reset()


def refused(client: Any, number: int) -> None:
    client.send(CONNECT + b"NONSENSE\n\n\0")
    assert "NONSENSE" in client.error()
    client.close()


def half_closed(client: Any, number: int) -> None:
    client.send(CONNECT + b"SEND\ndestination:/topic/a\nreceipt:1\n\n\0")
    client.socket.shutdown(1)
    assert client.rest().endswith(b"RECEIPT\nreceipt-id:1\n\n\0\n")
    client.close()


KINDS: list[Callable[[Any, int], None]] = [
    silent,
    in_good_order,
    without_goodbye,
    subscribed,
    with_unsettled_messages,
    in_a_transaction,
    half_a_frame,
    half_a_login,
    reset,
    reset_when_subscribed,
    refused,
    half_closed,
]


@pytest.mark.parametrize(
    ("looks", "loop"),
    [
        pytest.param((400, 1200), "uvloop", id="short"),
        pytest.param((2000, 10_000), "uvloop", id="long-uvloop", marks=pytest.mark.long),
        pytest.param((2000, 10_000), "asyncio", id="long-asyncio", marks=pytest.mark.long),
    ],
)
def test_connections_leave_nothing_behind(watch: Any, looks: tuple[int, int], loop: str) -> None:
    server = watch(f"--loop={loop}")
    server.quiet()
    steady = server.steady()
    keeper = server.connect()
    keeper.send(b"SEND\ndestination:/queue/unsettled\n\nkept\0")
    keeper.barrier()
    before = server.files
    sizes = []
    for first, look in zip((0, *looks), looks, strict=False):
        for number in range(first, look):
            client = server.open()
            KINDS[number % len(KINDS)](client, number)
            steady.exchange()
        server.settle(before)
        sizes.append(server.memory)
    assert sizes[1] - sizes[0] < MARGIN, f"{sizes} MiB after {looks}"
    keeper.subscribe("/queue/unsettled")
    assert keeper.body() == b"kept"
    server.stop()


@pytest.mark.long
def test_ten_thousand_connections_at_once(watch: Any) -> None:
    soft, hard = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"only {hard} open files are allowed here")
    psutil.Process().rlimit(psutil.RLIMIT_NOFILE, (hard, hard))
    try:
        server = watch("--max-connections-per-address=10000", "--heart-beat=0,0")
        server.quiet()
        files = server.files
        before = server.memory
        clients = [server.open() for _ in range(9_900)]
        for client in clients:
            client.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        for client in clients:
            client.frame()
        each = (server.memory - before) * 1024 / len(clients)
        assert each < 25, f"{each:.1f} KiB a connection"
        for client in clients:
            client.close()
        server.settle(files)
        assert server.memory - before < 60, "most goes back to the system, the rest serves the next"
    finally:
        psutil.Process().rlimit(psutil.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.long)])
def test_without_a_file_for_another_connection_those_there_are_go_on(watch: Any, loop: str) -> None:
    """Files are kept for the log and the store; who gets none is told."""
    server = watch(f"--loop={loop}")
    steady = server.steady()
    files = server.files
    _, hard = server.process.rlimit(psutil.RLIMIT_NOFILE)
    server.process.rlimit(psutil.RLIMIT_NOFILE, (276, hard))
    # Logged in: who is not may have to make room for another after a second.
    clients = [server.connect() for _ in range(19)]
    clients += [server.open() for _ in range(381)]
    steady.exchange(100)
    assert server.files < 276
    told = 0
    for client in clients[19:]:
        with contextlib.suppress(ConnectionError):
            told += b"limit of open files" in client.rest()
        client.close()
    assert 90 <= told < 380
    for client in clients[:19]:
        client.barrier()
        client.close()
    late = server.connect()
    late.barrier()
    late.close()
    steady.exchange(100)
    server.settle(files)
    server.stop()
