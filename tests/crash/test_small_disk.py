"""A file system that is really full: producers are told so, consumers served, and all goes on when there is room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

BODY = 20_000 * "x"
SIZE = 64 << 20


def _put_when_there_is_room(connect: Callable[..., Any], server: Any, body: str) -> None:
    """A store that was full and a little empty in turns said more than once that there is room."""
    until = time.monotonic() + 20
    while True:
        client = connect(server)
        client.send(f"SEND\ndestination:/queue/full\nreceipt:1\n\n{body}\0")
        if client.next().command == "RECEIPT":
            return
        assert time.monotonic() < until, server.log()
        threading.Event().wait(0.05)


def _fill_until_nobody_gets_in(
    disk: Any, connect: Callable[..., Any], server: Any, bodies: Iterator[str], leave: bool
) -> list[str]:
    """What still got a receipt, because the store had cleared up after itself and there was room for a moment."""
    kept: list[str] = []
    until = time.monotonic() + 20
    while True:
        if leave:
            disk.leave(0)
        body = next(bodies)
        client = connect(server)
        client.send(f"SEND\ndestination:/queue/full\nreceipt:1\n\n{body}\0")
        frame = client.next()
        assert frame.headers["receipt-id"] == "1"
        if frame.command == "ERROR":
            return kept
        kept.append(body)
        assert time.monotonic() < until, server.log()


def test_a_full_disk_loses_nothing_that_got_a_receipt(
    kind: str,
    small_disk: Callable[[int], Any],
    restart: Callable[..., Any],
    connect: Callable[..., Any],
) -> None:
    disk = small_disk(SIZE)
    server = restart(kind, "--storage-reserve=16MiB")
    bodies = (f"{number} {BODY}" for number in range(10**6))
    first = [next(bodies) for _ in range(100)]
    connect(server).put("/queue/full", first)
    assert (disk.path / "reserve").stat().st_size == 16 << 20
    disk.leave(0)
    kept, open_, error = connect(server).fill("/queue/full", bodies)
    assert error.headers["message"] == "The storage is full"
    server.wait_for_log("No room for messages, producers are refused")
    # Nobody gets in, who consumes is served, and what asks not to be kept goes through. Most stores have room of
    # their own for what is removed; SQLite needs what the reserve gave back.
    late = _fill_until_nobody_gets_in(disk, connect, server, bodies, kind != "activerecord")
    client = connect(server)
    client.subscribe("/queue/fleeting")
    client.send("SEND\ndestination:/queue/fleeting\npersistent:false\n\nhere\0")
    assert client.next().body == b"here"
    connect(server).consume("/queue/full", first[:80])

    disk.clear()
    server.wait_for_log("There is room for messages again", 20)
    _put_when_there_is_room(connect, server, "after")
    assert (disk.path / "reserve").stat().st_size == 16 << 20
    server.kill()
    found = connect(restart(kind)).bodies("/queue/full")
    assert found[-1] == "after"
    expected = first[80:] + kept
    assert found[: len(expected)] == expected
    # Those without a receipt may be there, in their order; the one that was refused is not.
    rest = found[len(expected) : -1]
    assert rest == [body for body in open_[:-1] + late if body in rest]
    assert set(late) <= set(rest)
