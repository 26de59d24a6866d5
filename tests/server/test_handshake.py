"""Connections behind a handshake, on both loops: they count from the accept, and end without a half-close.

The server has no TLS yet: the acceptor here stands on what Door, Place and Connection promise to one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from stompserver.config import Config
from stompserver.server.build import build
from stompserver.server.connection import Connection
from stompserver.server.server import Server
from stompserver.server.terms import Terms

PEM = Path(__file__).parent / "localhost.pem"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"


class Front:
    """Accepts on a socket, takes a place at the door, and makes the handshake behind it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(PEM)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.failed: asyncio.Queue[OSError] = asyncio.Queue()
        self.accepted: asyncio.Queue[str] = asyncio.Queue()
        self.tasks = {self.loop.create_task(self._accept())}

    async def _accept(self) -> None:
        while True:
            sock, address = await self.loop.sock_accept(self.socket)
            self.tasks.add(self.loop.create_task(self._shake(sock, address[0])))

    async def _shake(self, sock: socket.socket, address: str) -> None:
        place = self.server.door.enter(address)
        self.accepted.put_nowait(address)
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self.server, 0, place), sock, ssl=self.context, ssl_handshake_timeout=10
            )
        except OSError as problem:
            place.close()
            self.failed.put_nowait(problem)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.socket.close()


class Client:
    """A client with TLS."""

    @classmethod
    async def open(cls, port: int) -> Client:
        made = cls()
        trusting = ssl.create_default_context(cafile=PEM)
        made.reader, made.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
        )
        return made

    async def answer(self, said: bytes, until: bytes) -> bytes:
        self.writer.write(said)
        return await self.reader.readuntil(until)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def run(loop: str, scenario: Callable[[Front], Awaitable[None]], **options: Any) -> None:
    """Play it against a server; nothing may be left for the loop to complain of."""
    faults: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        config = Config(**options)
        server = Server(await build(config), Terms(config), None, [])
        await server.start()
        front = Front(server)
        try:
            async with asyncio.timeout(20):
                await scenario(front)
        finally:
            await front.close()
            await server.drain(5)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(play())
    assert faults == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_is_not_finished_takes_a_place(loop: str) -> None:
    async def scenario(front: Front) -> None:
        silent = [socket.create_connection(("127.0.0.1", front.port)) for _ in range(2)]
        for _ in silent:
            await front.accepted.get()
        third = await Client.open(front.port)
        assert b"message:Too many connections\n" in await third.answer(b"", b"\0")
        await third.close()
        for sock in silent:
            sock.close()
            await front.failed.get()
        fourth, fifth = await Client.open(front.port), await Client.open(front.port)
        for client in (fourth, fifth):
            assert (await client.answer(HELLO, b"\0")).startswith(b"CONNECTED\n")
            await client.close()

    run(loop, scenario, max_connections=2)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_speaks_no_tls_gives_its_place_back(loop: str) -> None:
    async def scenario(front: Front) -> None:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", front.port)) as plain:
                plain.sendall(HELLO)
                await front.failed.get()
        client = await Client.open(front.port)
        assert (await client.answer(HELLO, b"\0")).startswith(b"CONNECTED\n")
        await client.close()

    run(loop, scenario, max_connections=1, max_connections_per_address=1)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_arrives_and_the_connection_closes(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(front: Front) -> None:
        client = await Client.open(front.port)
        answer = await client.answer(HELLO + b"NONSENSE\n\n\0", b"ERROR\n")
        assert answer.startswith(b"CONNECTED\n")
        rest = await client.reader.read()
        assert b"NONSENSE" in rest
        await client.close()

    run(loop, scenario)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_at_once_is_heard(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(front: Front) -> None:
        client = await Client.open(front.port)
        await client.answer(HELLO, b"\0")
        client.writer.write(b"SEND\ndestination:/queue/a\n\nlast words\0")
        await client.close()
        other = await Client.open(front.port)
        answer = await other.answer(HELLO + b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0", b"last words")
        assert b"MESSAGE\n" in answer
        await other.close()

    run(loop, scenario)
    assert [record for record in caplog.records if record.exc_info or record.name == "asyncio"] == []
