"""The connections of a running server, as those see them who manage it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from stompserver.config import Config
from stompserver.manage import connections
from stompserver.server.build import build
from stompserver.server.listeners import bind
from stompserver.server.server import Server
from stompserver.server.terms import Terms

if TYPE_CHECKING:
    from papers import Papers

HELLO = b"CONNECT\naccept-version:1.2\nhost:h\nlogin:alice\nclient-id:worker\n\n\0"
SUBSCRIBE = b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0"
SEND = b"SEND\ndestination:/queue/a\nreceipt:r\n\nwork\0"


def rows(server: Server) -> list[dict[str, Any]]:
    listing = connections.Connected(server.broker, server.roll)
    listing.start()
    assert listing.over
    return listing.rows


def test_a_connection_is_listed_and_closed_with_a_reason() -> None:
    async def scenario() -> None:
        sockets = bind("127.0.0.1", 0)
        config = Config(queue="memory")
        server = Server(await build(config), Terms(config), None, sockets)
        await server.start()
        port = sockets[0].getsockname()[1]
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HELLO + SUBSCRIBE + SEND)
            for _ in ("CONNECTED", "MESSAGE", "RECEIPT"):
                await reader.readuntil(b"\0")
            other, other_writer = await asyncio.open_connection("127.0.0.1", port)
            other_writer.write(b"CONNECT\n\n\0")
            await other.readuntil(b"\0")
            first, second = rows(server)
            assert {name: first[name] for name in ("address", "login", "client_id", "version")} == {
                "address": "127.0.0.1",
                "login": "alice",
                "client_id": "worker",
                "version": "1.2",
            }
            assert (first["subscriptions"], first["unsettled"], first["held"]) == (1, 1, False)
            assert (second["login"], second["version"], second["subscriptions"]) == ("", "1.0", 0)

            connections.close(server.roll, first["id"], "the host is moved")
            answer = await reader.read()
            assert b"ERROR\n" in answer and b"the host is moved" in answer
            writer.close()
            # What the one had not settled goes to the other.
            other_writer.write(b"SUBSCRIBE\ndestination:/queue/a\n\n\0")
            assert b"redelivered:true" in await other.readuntil(b"\0")
            assert [row["id"] for row in rows(server)] == [second["id"]]

            connections.close(server.roll, second["id"], "nor here")
            assert b"nor here" in await other.read()
            other_writer.close()
        await server.drain(5)
        assert rows(server) == []
        for sock in sockets:
            sock.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_version_and_cipher_of_tls_are_in_the_row(papers: Papers, loop: str) -> None:
    async def scenario() -> None:
        sockets = bind("127.0.0.1", 0)
        config = Config(queue="memory", tls="detect", tls_cert=papers.server)
        server = Server(await build(config), Terms(config), None, sockets)
        await server.start()
        port = sockets[0].getsockname()[1]
        context = papers.context()
        async with asyncio.timeout(20):
            for tls in (None, context):
                name = "localhost" if tls else None
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=tls, server_hostname=name
                )
                writer.write(HELLO)
                await reader.readuntil(b"\0")
                (row,) = rows(server)
                assert (row["tls"] == "") == (tls is None)
                if tls:
                    version, _, cipher = row["tls"].partition(" ")
                    assert (version, cipher) == ("TLSv1.3", writer.get_extra_info("cipher")[0])
                connections.close(server.roll, row["id"], "next")
                await reader.read()
                writer.close()
                assert rows(server) == []
        await server.drain(5)
        for sock in sockets:
            sock.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(scenario())
