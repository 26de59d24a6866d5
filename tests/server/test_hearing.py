"""What came while the loop stood still is read before anybody is judged by silence, on both loops, whichever of
timers and sockets they look at first.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from stompserver.config import Config
from stompserver.server.build import build
from stompserver.server.hearing import after_hearing
from stompserver.server.server import Server
from stompserver.server.terms import Terms

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
PATIENCE = 0.2
"""Seconds of silence that are allowed; the loop stands still for longer."""


def run(new_loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(work, 30))


class Hearer(asyncio.Protocol):
    """Writes down what came."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    def data_received(self, data: bytes) -> None:
        self.heard.append(data.decode())


@LOOPS
@pytest.mark.parametrize("timer", [False, True])
def test_judgement_comes_after_what_is_there_to_read(new_loop: Any, timer: bool) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        done = asyncio.Event()

        def judge() -> None:
            heard.append("judged")
            done.set()

        pairs = [socket.socketpair() for _ in range(20)]
        for ours, _ in pairs:
            ours.setblocking(False)
            await loop.connect_accepted_socket(lambda: Hearer(heard), ours)

        def tell() -> None:
            for _, theirs in pairs:
                theirs.send(b"said")
            after_hearing(loop, judge)

        if timer:
            loop.call_later(0.001, tell)
        else:
            tell()
        await done.wait()
        assert heard == ["said"] * 20 + ["judged"]
        for _, theirs in pairs:
            theirs.close()

    run(new_loop, play())


class Client:
    """A socket of a client in the server's own loop."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)

    async def read(self, word: bytes) -> bytes:
        """What comes, up to the frame with ``word``."""
        got = b""
        while word not in got or not got.endswith((b"\0", b"\0\n")):
            more = await asyncio.get_running_loop().sock_recv(self.socket, 10_000)
            assert more, got
            got += more
        return got


async def echo(client: Client) -> None:
    """Go by way of the server once, which has accepted by then who came before."""
    client.socket.send(b"SUBSCRIBE\nid:e\ndestination:/topic/e\n\n\0SEND\ndestination:/topic/e\n\necho\0")
    await client.read(b"\n\necho")


async def stand_still(server: Server, port: int) -> None:
    """Have what came in time read late."""
    first = Client(port)
    first.socket.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
    await first.read(b"CONNECTED")
    first.socket.send(
        b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nack-timeout:%d\n\n\0"
        % (PATIENCE * 1000)
    )
    second = Client(port)
    await echo(first)
    assert len(server.connections) == 2
    first.socket.send(b"SEND\ndestination:/queue/a\n\nmessage\0")
    ack = re.findall(rb"\nack:(.*)\n", await first.read(b"MESSAGE"))[0]
    ours, theirs = socket.socketpair()

    def sleep() -> None:
        # Behind the look at the sockets, so that the next one is the first that can see these.
        asyncio.get_running_loop().remove_reader(ours)
        first.socket.send(b"ACK\nid:%b\nreceipt:r\n\n\0" % ack)
        second.socket.send(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        time.sleep(2 * PATIENCE)

    asyncio.get_running_loop().add_reader(ours, sleep)
    theirs.send(b"now")
    assert b"warning" not in await first.read(b"RECEIPT")
    assert (await second.read(b"\n\n")).startswith(b"CONNECTED")
    for each in (first.socket, second.socket, ours, theirs):
        each.close()


@LOOPS
def test_a_loop_that_stood_still(new_loop: Any) -> None:
    async def play() -> None:
        config = Config(login_timeout=PATIENCE)
        sock = socket.create_server(("127.0.0.1", 0))
        server = Server(await build(config), Terms(config), None, [sock])
        await server.start()
        port = sock.getsockname()[1]
        try:
            await stand_still(server, port)
        finally:
            await server.drain(0)

    run(new_loop, play())
