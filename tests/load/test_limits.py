"""Limits that clients meet: the ERROR says which, and what is given back can be taken again."""

from __future__ import annotations

import contextlib
from typing import Any

CONNECT = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


def test_connections(watch: Any) -> None:
    server = watch("--max-connections=5")
    clients = [server.connect() for _ in range(5)]
    for _ in range(3):
        late = server.open()
        text = late.error()
        assert "Too many connections" in text and "max-connections" in text and "5" in text
        late.close()
    clients.pop().close()
    # The server hears of it when it gets to it: one that is refused meanwhile comes again.
    for _ in range(100):
        again = server.open()
        with contextlib.suppress(ConnectionError):
            again.send(CONNECT)
        if again.frame().startswith(b"CONNECTED"):
            break
        again.close()
    else:
        raise AssertionError("the place that was freed cannot be taken")
    assert "max-connections" in server.open().error()
    for client in (*clients, again):
        client.barrier()


def test_connections_of_an_address(watch: Any) -> None:
    server = watch("--max-connections-per-address=2", "--max-connections=3")
    clients = [server.connect() for _ in range(2)]
    text = server.open().error()
    assert "from your address" in text and "max-connections-per-address" in text and "127.0.0.1" in text
    for client in clients:
        client.barrier()


def test_a_crowd_that_is_refused_does_not_keep_others_out(watch: Any) -> None:
    """Each of them lingers after its ERROR."""
    server = watch("--max-connections=3", "--linger=60")
    clients = [server.connect() for _ in range(3)]
    crowd = [server.open() for _ in range(80)]
    for each in crowd:
        assert b"max-connections" in each.frame()
    clients[0].send(b"DISCONNECT\nreceipt:bye\n\n\0")
    assert clients[0].rest().lstrip(b"\n") == b"RECEIPT\nreceipt-id:bye\n\n\0\n"
    server.connect().barrier()


def test_login_timeout(watch: Any) -> None:
    server = watch("--login-timeout=0.5", "--linger=0.5")
    logged_in = server.connect()
    silent, talking = server.open(), server.open()
    talking.send(b"CONNECT\nlogin:")
    for client in (silent, talking):
        text = client.error()
        assert "No CONNECT in time" in text and "login-timeout" in text
    logged_in.barrier()


def test_subscriptions(watch: Any) -> None:
    server = watch("--max-subscriptions=10")
    first = server.connect()
    for kind, number in [(kind, number) for kind in ("queue", "topic") for number in range(5)]:
        first.send(f"SUBSCRIBE\nid:{kind}{number}\ndestination:/{kind}/{number}\n\n\0".encode())
    first.send(b"UNSUBSCRIBE\nid:queue0\n\n\0SUBSCRIBE\nid:again\ndestination:/queue/0\n\n\0")
    first.barrier()
    first.send(b"SUBSCRIBE\nid:more\ndestination:/queue/0\nreceipt:more\n\n\0")
    text = first.error()
    assert "Too many subscriptions" in text and "max-subscriptions" in text and "receipt-id:more" in text
    second = server.connect().subscribe("/queue/0")
    second.send(b"SEND\ndestination:/queue/0\n\nhello\0")
    assert second.body() == b"hello"


def test_transactions(watch: Any) -> None:
    server = watch("--max-transactions=2", "--max-transaction-frames=10", "--max-transaction-bytes=100KiB")
    listener = server.connect().subscribe("/queue/t")

    def begin(*numbers: int) -> Any:
        client = server.connect()
        for number in numbers:
            client.send(b"BEGIN\ntransaction:%d\n\n\0" % number)
        return client

    client = begin(1, 2)
    client.send(b"ABORT\ntransaction:1\n\n\0BEGIN\ntransaction:3\n\n\0")
    client.barrier()
    client.send(b"BEGIN\ntransaction:4\n\n\0")
    assert "max-transactions" in client.error()

    send = b"SEND\ndestination:/queue/t\ntransaction:%d\n\n%b\0"
    client = begin(1, 2)
    client.send((send % (1, b"x") + send % (2, b"x")) * 5)
    client.barrier()
    client.send(send % (1, b"x"))
    assert "max-transaction-frames" in client.error()

    client = begin(1)
    client.send(send % (1, b"x" * 60_000))
    client.barrier()
    client.send(send % (1, b"x" * 60_000))
    assert "max-transaction-bytes" in client.error()

    # Nothing of what was refused has happened, and what is in time happens.
    client = begin(1)
    client.send(send % (1, b"kept") + b"COMMIT\ntransaction:1\n\n\0")
    client.barrier()
    assert listener.body() == b"kept"


def test_queues(watch: Any) -> None:
    server = watch("--max-queues=3", "--idle-queues=100")
    client = server.connect()
    for number in range(3):
        client.send(b"SEND\ndestination:/queue/%d\n\nhello\0" % number)
    client.barrier()
    other = server.connect()
    other.send(b"SEND\ndestination:/queue/more\nreceipt:1\n\nhello\0")
    text = other.error()
    assert "Too many queues" in text and "max-queues" in text
    # An empty queue makes room.
    client.subscribe("/queue/0")
    assert client.body() == b"hello"
    client.send(b"UNSUBSCRIBE\nid:1\n\n\0SEND\ndestination:/queue/more\n\nhello\0")
    client.barrier()


def test_bodies_and_headers(watch: Any) -> None:
    server = watch("--max-body=1000", "--max-headers=20", "--max-header-bytes=2KiB")
    client = server.connect().subscribe("/queue/a")
    most = b"SEND\ndestination:/queue/a\n" + b"".join(b"h%d:x\n" % number for number in range(19)) + b"\n"
    client.send(most + b"x" * 1000 + b"\0")
    assert client.body() == b"x" * 1000
    for frame, option in (
        (b"SEND\ndestination:/queue/a\n\n" + b"x" * 1001 + b"\0", "max-body"),
        (b"SEND\ndestination:/queue/a\ncontent-length:1001\n\n", "max-body"),
        (most[:-1] + b"more:x\n\n\0", "max-headers"),
        (b"SEND\ndestination:/queue/a\nlong:" + b"x" * 3000 + b"\n\n\0", "max-header-bytes"),
    ):
        other = server.connect()
        other.send(frame)
        assert option in other.error()
    client.barrier()
