"""A file system that is really full: producers are told so, consumers served, and all goes on when there is room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

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
) -> tuple[list[str], list[tuple[str, Any]]]:
    """What still got a receipt, because the store had cleared up after itself and there was room for a moment; and
    what was accepted, with its client, and waits because that room went to the disk's other user.
    """
    kept: list[str] = []
    waiting: list[tuple[str, Any]] = []
    until = time.monotonic() + 20
    while True:
        if leave:
            disk.leave(0)
        body = next(bodies)
        client = connect(server)
        full = server.log().count("No room for messages")
        client.send(f"SEND\ndestination:/queue/full\nreceipt:1\n\n{body}\0")
        while not (answered := client.poll(0.1)) and server.log().count("No room for messages") == full:
            assert time.monotonic() < until, server.log()
        if not answered:
            waiting.append((body, client))
            continue
        frame = client.next()
        assert frame.headers["receipt-id"] == "1"
        if frame.command == "ERROR":
            return kept, waiting
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
    late, waiting = _fill_until_nobody_gets_in(disk, connect, server, bodies, kind != "activerecord")
    client = connect(server)
    client.subscribe("/queue/fleeting")
    client.send("SEND\ndestination:/queue/fleeting\npersistent:false\n\nhere\0")
    assert client.next().body == b"here"
    consumer = connect(server)
    owed = 80 - consumer.take("/queue/full", first[:80])
    if not waiting:
        # A RECEIPT says that all before it is on the disk, too.
        consumer.receipts(owed)

    disk.clear()
    server.wait_for_log("There is room for messages again", 20)
    for body, client in waiting:
        client.expect("RECEIPT", "1")
        late.append(body)
    if waiting:
        consumer.receipts(owed)
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


def test_a_store_that_keeps_its_file_takes_messages_again_when_they_are_consumed(
    kind: str,
    small_disk: Callable[[int], Any],
    restart: Callable[..., Any],
    connect: Callable[..., Any],
) -> None:
    """The disk stays full, since the file never gives anything back; and the reserve is larger than the disk."""
    small_disk(40 << 20)
    server = restart(kind)
    bodies = (f"{number} {BODY}" for number in range(10**6))
    kept, _, error = connect(server).fill("/queue/full", bodies)
    assert error.headers["message"] == "The storage is full"
    server.wait_for_log("No room for messages, producers are refused")
    # What was accepted without a receipt may be there, too.
    found = connect(server).bodies("/queue/full")
    assert found[: len(kept)] == kept
    server.wait_for_log("There is room for messages again", 20)
    _put_when_there_is_room(connect, server, "again")
    more, _, error = connect(server).fill("/queue/full", bodies)
    assert len(more) > len(kept) // 4, "not for a moment only"
    assert error.headers["message"] == "The storage is full"
    server.kill()
    # It is as full after a restart, and takes messages again by the same way.
    server = restart(kind)
    found = connect(server).bodies("/queue/full")
    assert found[1 : 1 + len(more)] == more
    _put_when_there_is_room(connect, server, "and again")


@pytest.mark.parametrize(
    "megabytes", [50, pytest.param(30, marks=pytest.mark.long), pytest.param(16, marks=pytest.mark.long), 4]
)
def test_a_large_transaction_is_answered_whatever_the_disk_has(
    kind: str,
    megabytes: int,
    small_disk: Callable[[int], Any],
    restart: Callable[..., Any],
    connect: Callable[..., Any],
) -> None:
    """All of it is stored, or it is refused at once: it never waits for a disk that cannot hold it."""
    small_disk(48 << 20)
    server = restart(kind)
    keeper = connect(server)
    keeper.send("SUBSCRIBE\nid:news\ndestination:/topic/news\ndurable:true\nreceipt:s\n\n\0")
    keeper.expect("RECEIPT", "s")
    keeper.close()
    client = connect(server)
    client.send("BEGIN\ntransaction:t\n\n\0")
    body = (1 << 20) * "x"
    for number in range(megabytes):
        destination = ("/queue/full", "/topic/news")[number % 2]
        client.send(f"SEND\ndestination:{destination}\ntransaction:t\n\n{body}\0")
    client.send("COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    answer = client.next()
    client = connect(server)
    if answer.command == "ERROR":
        assert answer.headers["message"] == "The storage is full"
        assert megabytes > 4
        server.wait_for_log("No room for a message, its producer is refused")
    else:
        assert answer.headers["receipt-id"] == "c"
    server.kill()
    client = connect(restart(kind))
    expected = megabytes // 2 if answer.command == "RECEIPT" else 0
    assert len(client.bodies("/queue/full")) == expected
