"""The composition root: logins, limits, the monitor, a new configuration, and the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stompserver.security.users import Users
from stompserver.server.build import first_number

MIB = 1024 * 1024
MakeShell = Callable[..., Any]
LOGIN = b"CONNECT\naccept-version:1.2\nhost:h\nlogin:%b\npasscode:%b\n\n\0"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    path = tmp_path / ".passwd"
    path.write_text("alice:secret\n")
    path.chmod(0o600)
    return Users.load(path)


def until(shell: Any, condition: Callable[[], bool]) -> None:
    """Turn the loop until a thread has answered."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        shell.turn()


# Logins


def test_what_comes_with_a_login_waits_for_the_answer(shell: MakeShell, users: Users) -> None:
    here = shell(users, auth=True)
    client = here.open()
    frame = b"SEND\ndestination:/queue/a\nreceipt:1\n\nhello\0"
    client.send(LOGIN % (b"alice", b"secret") + frame)
    client.send(frame.replace(b":1", b":2"))
    until(here, lambda: len(client.receipts()) == 2)
    assert client.got.startswith(b"CONNECTED\n")
    assert client.receipts() == [b"1", b"2"]
    assert client.pauses == 1


@pytest.mark.parametrize("login", [(b"alice", b"wrong"), (b"mallory", b"secret"), (b"", b"")])
def test_a_wrong_login_takes_a_second_and_a_connection(
    shell: MakeShell, users: Users, login: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    here = shell(users, auth=True)
    caplog.set_level(logging.DEBUG, "stompserver")
    client = here.open()
    client.send(LOGIN % login + b"SEND\ndestination:/queue/a\n\nx\0")
    here.advance(0.9)
    assert not client.got
    here.advance(0.2)
    until(here, lambda: bool(client.got))
    assert "Invalid Login" in client.error()
    assert client.half_closed
    assert not here.server.broker.queues, "nothing after it was processed"
    assert not any(login[1].decode() in record.getMessage() for record in caplog.records if login[1])


def test_a_client_that_leaves_during_its_login_is_forgotten(shell: MakeShell, users: Users) -> None:
    here = shell(users, auth=True)
    client = here.open()
    client.send(LOGIN % (b"alice", b"wrong"))
    client.drop()
    assert not here.server.connections
    here.advance(1.1)
    assert client.got == b""


def test_nobody_is_welcome_without_users(shell: MakeShell) -> None:
    here = shell(auth=True)
    client = here.open()
    client.send(LOGIN % (b"alice", b"secret"))
    here.advance(1.1)
    assert "Invalid Login" in client.error()


# The monitor


def test_the_monitor_reports_at_its_interval_to_those_who_listen(shell: MakeShell) -> None:
    here = shell(monitor_interval=5)
    client = here.connect()
    client.send(b"SEND\ndestination:/queue/a\n\nhello\0")
    client.send(b"SUBSCRIBE\nid:1\ndestination:/queue/monitor\n\n\0")
    for reports in range(1, 4):
        here.advance(5)
        assert len(client.bodies()) == reports
    assert b"Queue: /queue/a\nsize: 1\ndequeued: 0\nenqueued: 1\n" in client.bodies()[-1]
    client.send(b"UNSUBSCRIBE\nid:1\n\n\0")
    here.advance(5)
    assert len(client.bodies()) == 3


# A new configuration


def test_a_reload_holds_for_those_who_come(shell: MakeShell) -> None:
    here = shell()
    old = here.connect()
    here.reload(max_body=10, strict=True)
    new = here.connect()
    frame = b"SEND\ndestination:/topic/a\nreceipt:1\n\n" + b"x" * 11 + b"\0"
    old.send(frame)
    new.send(frame)
    assert old.receipts() == [b"1"]
    assert "max-body" in new.error()


def test_a_reload_sets_the_monitors_interval(shell: MakeShell) -> None:
    here = shell(monitor_interval=0)
    client = here.connect()
    client.send(b"SEND\ndestination:/queue/a\n\nhello\0SUBSCRIBE\nid:1\ndestination:/queue/monitor\n\n\0")
    here.advance(1000)
    assert not client.bodies()
    here.reload(monitor_interval=1.0)
    here.turn(2)
    first = len(client.bodies())
    here.advance(1)
    assert len(client.bodies()) == first + 1
    here.reload(monitor_interval=0.0)
    here.advance(1000)
    assert len(client.bodies()) == first + 1


def test_a_reload_takes_users(shell: MakeShell, users: Users) -> None:
    here = shell(None, auth=True)
    here.reload(users)
    client = here.open()
    client.send(LOGIN % (b"alice", b"secret"))
    until(here, lambda: client.got.startswith(b"CONNECTED"))


@pytest.mark.parametrize("ack", [b"client\nprefetch-count:1", b"auto"])
def test_what_a_topics_subscriber_may_lag_changes_for_those_there_are(shell: MakeShell, ack: bytes) -> None:
    here = shell()
    slow, producer = here.connect(), here.connect()
    slow.send(b"SUBSCRIBE\nid:1\ndestination:/topic/a\nack:" + ack + b"\n\n\0")
    here.reload(slow_subscriber_limit=MIB)
    slow.stalled = True
    for _ in range(30):
        producer.send(b"SEND\ndestination:/topic/a\n\n" + b"x" * 50_000 + b"\0")
    slow.read()
    assert "slow-subscriber-limit" in slow.error()


# The end


def test_the_end_lets_everybody_go_in_order(shell: MakeShell) -> None:
    here = shell()
    clients = [here.connect() for _ in range(5)]
    clients[0].send(b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0")
    clients[1].send(b"SEND\ndestination:/queue/a\n\nhello\0")
    fresh = here.open()
    ending = here.loop.create_task(here.server.drain(10))
    here.turn(3)
    for wire in (*clients, fresh):
        assert wire.half_closed and not wire.closing and "ERROR" not in wire.got.decode()
        wire.end()
    here.turn(5)
    assert ending.done()
    assert here.server.broker.queues["/queue/a"].waiting == 1, "un-acked, so it is back"


def test_the_end_does_not_wait_longer_than_it_may(shell: MakeShell, caplog: pytest.LogCaptureFixture) -> None:
    here = shell(linger=60)
    client = here.connect()
    ending = here.loop.create_task(here.server.drain(10))
    here.turn(3)
    here.advance(9.9)
    assert not ending.done() and not client.closing
    here.advance(0.2)
    here.turn(10)
    assert ending.done() and client.aborted
    assert any("Cutting off" in record.getMessage() for record in caplog.records)


def test_one_who_comes_during_the_end_is_not_let_in(shell: MakeShell) -> None:
    here = shell()
    client = here.connect()
    ending = here.loop.create_task(here.server.drain(10))
    here.turn(3)
    late = here.open()
    assert late.aborted and not late.got
    late.protocol.data_received(b"CONNECT\n\n\0")
    client.end()
    here.turn(5)
    assert ending.done()


def test_the_end_during_a_login(shell: MakeShell, users: Users) -> None:
    here = shell(users, auth=True)
    client = here.open()
    client.send(LOGIN % (b"alice", b"wrong"))
    ending = here.loop.create_task(here.server.drain(10))
    here.turn(3)
    assert client.half_closed and not client.got
    client.end()
    until(here, ending.done)


def test_the_end_while_producers_wait(shell: MakeShell) -> None:
    here = shell(memory_limit=MIB)
    producer = here.connect()
    producer.send(b"SEND\ndestination:/queue/a\n\n" + bytes(900_000).replace(b"\0", b"x") + b"\0")
    late = here.connect()
    late.send(b"SEND\ndestination:/queue/a\n\nlate\0")
    assert not producer.reading and not late.reading
    ending = here.loop.create_task(here.server.drain(10))
    here.turn(3)
    assert producer.reading and late.reading, "read on for the linger, so that their ends are seen"
    producer.end()
    late.end()
    here.turn(5)
    assert ending.done()


# Small things


def test_numbers_of_a_later_run_are_above_those_of_an_earlier_one() -> None:
    numbers = [first_number(seconds) for seconds in (0, 1.6e9, 1.7e9, 1.7e9 + 1, 3.7e9)]
    assert numbers == sorted(numbers)
    assert numbers[0] > 0
    assert numbers[3] > numbers[2]
    assert numbers[-1] < 1 << 63


def test_it_listens_where_it_is_told(shell: MakeShell) -> None:
    """Once without fakes: asyncio's own sockets, in this process."""
    import socket

    from stompserver.config import Config
    from stompserver.server.build import build
    from stompserver.server.server import Server
    from stompserver.server.terms import Terms

    async def talk() -> bytes:
        listening = socket.create_server(("127.0.0.1", 0))
        config = Config()
        server = Server(await build(config), Terms(config), None, [listening])
        await server.start()
        reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
        writer.write(b"CONNECT\n\n\0SEND\ndestination:/queue/a\nreceipt:1\n\nhello\0DISCONNECT\n\n\0")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        await server.drain(5)
        return answer

    answer = asyncio.run(talk())
    assert answer.startswith(b"CONNECTED\n")
    assert answer.endswith(b"RECEIPT\nreceipt-id:1\n\n\0\n")
