"""Two servers in one process and one loop, each with a broker and a store of its own, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stompserver.config import Config
from stompserver.errors import StoreError, StoreLocked
from stompserver.server.build import build
from stompserver.server.listeners import bind
from stompserver.server.server import Server
from stompserver.server.terms import Terms

HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
SEND = b"SEND\ndestination:/queue/a\nreceipt:r\n\n%b\0"
SUBSCRIBE = b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0"


def options(folder: Path, queue: str) -> Config:
    return Config(queue=queue, storage=folder / "storage", etcdir=folder, storage_reserve=0)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[tuple[Server, int]]:
    sockets = bind("127.0.0.1", 0)
    server = Server(await build(config), Terms(config), None, sockets)
    await server.start()
    try:
        yield server, sockets[0].getsockname()[1]
    finally:
        await server.drain(5)
        for sock in sockets:
            sock.close()


async def conversation(port: int, said: bytes, until: bytes) -> bytes:
    """What the server answers, to the end of the frame that has ``until`` in it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(until)
        answer += await reader.readuntil(b"\0")
    writer.close()
    await writer.wait_closed()
    return answer


def test_two_servers_keep_their_messages_apart(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        first, second = options(tmp_path / "1", "memory"), options(tmp_path / "2", "lmdb")
        async with serving(first) as (_, there):
            async with serving(second) as (_, here):
                for port, body in ((there, b"in memory"), (here, b"on disk")):
                    await conversation(port, HELLO + SEND % body, b"RECEIPT\nreceipt-id:r\n")
                for port, mine, other in (
                    (there, b"in memory", b"on disk"),
                    (here, b"on disk", b"in memory"),
                ):
                    answer = await conversation(port, HELLO + SUBSCRIBE, mine)
                    assert other not in answer
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", here)
            answer = await conversation(there, HELLO + SEND % b"one more" + SUBSCRIBE, b"one more")
            assert b"in memory" in answer
            # What it had comes back, beside a server that runs.
            async with serving(second) as (_, here):
                await conversation(here, HELLO + SUBSCRIBE, b"on disk")
        assert loop.get_exception_handler() is handler, "the loop is not the server's"

    asyncio.run(scenario())


def test_one_storage_is_for_one_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = options(tmp_path, "lmdb")
        async with serving(config) as (_, port):
            with pytest.raises(StoreLocked):
                await build(config)
            await conversation(port, HELLO, b"CONNECTED\n")

    asyncio.run(scenario())


def test_the_loop_goes_on_while_a_store_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log handler that waits for the loop stands for a slow disk: it would wait for ever in the loop's thread."""
    turned = threading.Event()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Queue initialized"):
                assert turned.wait(10)

    async def scenario() -> None:
        opening = asyncio.create_task(build(options(tmp_path, "lmdb")))
        await asyncio.sleep(0)
        turned.set()
        parts = await opening
        parts.close()

    slow = Slow()
    logger = logging.getLogger("stompserver")
    logger.addHandler(slow)
    caplog.set_level(logging.INFO, "stompserver")
    try:
        asyncio.run(scenario())
    finally:
        logger.removeHandler(slow)


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
def test_a_start_that_ends_leaves_nothing_open(tmp_path: Path, end: str) -> None:
    async def scenario() -> None:
        config = options(tmp_path, "lmdb")
        if end == "fails":
            broken = tmp_path / "storage" / "lmdb" / "data.mdb"
            broken.parent.mkdir(parents=True)
            broken.write_bytes(b"not a database" * 1000)
            with pytest.raises(StoreError):
                await build(config)
            shutil.rmtree(broken.parent)
        else:
            opening = asyncio.create_task(build(config))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        async with asyncio.timeout(10):
            while True:
                try:
                    parts = await build(config)
                    break
                except StoreLocked:
                    await asyncio.sleep(0)
        parts.close()

    asyncio.run(scenario())
