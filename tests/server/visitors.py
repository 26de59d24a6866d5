"""A server in this process and clients that come and go, to see what of them stays: `visitors.py LOOP STORE WHAT
ROUNDS [tls]`.

With ``tls`` they come by TLS, and some never finish the handshake.

WHAT is ``left``: clients come one after the other, and the types of what only the garbage collector finds of them are
printed; or ``kept``: they come together, the collector takes them out of its sight, and they go; printed is how many
came in the rounds after the first two, by how many objects and KiB the process grew in these, and how many objects of
the last of them were out of sight.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from stompserver.config import Config
from stompserver.security.users import Users
from stompserver.server.build import build
from stompserver.server.listeners import bind
from stompserver.server.process import collector
from stompserver.server.server import Server
from stompserver.server.terms import Terms

DEADLINE: Final = 60.0
ACKS: Final = ("auto", "client", "client-individual")
CONTEXTS: list[ssl.SSLContext] = []
"""What clients shake hands with; empty where they do not."""

RESET: Final = struct.pack("ii", 1, 0)


UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Authorization: Basic cmlnaHQ6d29yZA==\r\n\r\n"
)
# A frame of text; nothing is put on it by a mask of zeros.
HELLO_FRAME = "\x81\xa4\0\0\0\0CONNECT\naccept-version:1.2\nhost:h\n\n\0"


def hello(more: str = "login:right\npasscode:word\n") -> str:
    return f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0"


def subscribe(destination: str, ack: str, more: str = "") -> str:
    return f"SUBSCRIBE\nid:s\ndestination:{destination}\nack:{ack}\n{more}\n\0"


def send(destination: str, more: str = "") -> str:
    return f"SEND\ndestination:{destination}\n{more}\nx\0"


def visits() -> Iterator[tuple[str, str]]:
    """What a client says, and what it waits for then."""
    yield "", ""
    yield "CONNECT\naccept", ""
    yield "GET / HTTP/1.1\r\n\r\n", "one Host header"
    for path in ("/ws", "/other"):
        yield f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n", "WebSocket"
    for wanted in (UPGRADE, UPGRADE.replace("13", "7"), UPGRADE.replace("Host", "Origin: http://x\r\nHost")):
        yield wanted, "HTTP/1.1"
    for frames, answer in (
        (HELLO_FRAME, "CONNECTED"),
        (HELLO_FRAME + "\x81\x85\0\0\0\0SEND\n", "CONNECTED"),
        (HELLO_FRAME + "\x01\x85\0\0\0\0SEND\n", "CONNECTED"),
        (HELLO_FRAME + "\x81\x05SEND\n", "Broken"),
        (HELLO_FRAME + "\x88\x80\0\0\0\0", "CONNECTED"),
        (HELLO_FRAME + "\x89\x80\0\0\0\0", "\x8a"),
    ):
        yield UPGRADE + frames, answer
    yield "FETCH / HTTP/1.1\r\n\r\n", "ERROR"
    yield hello(), "CONNECTED"
    yield hello("login:right\npasscode:word\nheart-beat:1000,1000\nclient-id:c\n"), "CONNECTED"
    yield hello() + "DISCONNECT\nreceipt:r\n\n\0", "RECEIPT"
    yield hello() + "NONSENSE\n\n\0", "ERROR"
    yield hello() + "SEND\ndestination:/queue/a\ncontent-length:100000\n\nabc", "CONNECTED"
    yield hello() + send("/queue/kept", "persistent:true\nreceipt:r\n"), "RECEIPT"
    yield hello() + "BEGIN\ntransaction:t\n\n\0" + send("/queue/a", "transaction:t\nreceipt:r\n"), "RECEIPT"
    lists = send("/queue/stompserver.management", "action:queues\nreply-to:/temp-queue/m\n")
    yield hello() + subscribe("/temp-queue/m", "auto") + lists, "MESSAGE"
    for ack in ACKS:
        for name, more in (
            ("/queue/a", "prefetch-count:1\n"),
            ("/queue/*", ""),
            ("/topic/a", ""),
            ("/topic/>", ""),
            ("/topic/a", f"activemq.subscriptionName:{ack}\n"),
            ("/temp-queue/a", ""),
            ("/queue/a,/topic/a", ""),
            ("/queue/chosen", "selector:a > 5\n"),
        ):
            sent = send(name if "chosen" in name or "temp" in name else "/queue/a", "a:6\n") + send(
                "/topic/a"
            )
            yield hello() + subscribe(name, ack, more) + sent * 3, "MESSAGE"


def come(port: int, octets: str, answer: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    if CONTEXTS:
        client = CONTEXTS[0].wrap_socket(client, server_hostname="localhost")
    client.sendall(octets.encode("latin-1"))
    got = b""
    while answer.encode("latin-1") not in got:
        data = client.recv(65536)
        assert data, (octets, got)
        got += data
    return client


def go(client: socket.socket, way: int) -> None:
    """In one of three ways: with a reset, without a word, after it has read all."""
    if way % 3 == 0:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    elif way % 3 == 1:
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    client.close()


def one_by_one(port: int) -> None:
    for way in range(3):
        for octets, answer in visits():
            go(come(port, octets, answer), way)
    if CONTEXTS:
        for octets in ("", "\x16\x03\x01\x02\x00\x01", "\x16\x03\x01\x00\x05nonsense", "CONNECT\n\n\0"):
            for way in range(3):
                half = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
                half.sendall(octets.encode())
                go(half, way)
    # Only once, because one hears of it a second later.
    go(come(port, hello("login:wrong\npasscode:word\n"), "ERROR"), 1)


def together(port: int, seen: Callable[[], None]) -> None:
    clients: list[socket.socket] = []
    for _ in range(3):
        for octets, answer in visits():
            # Others may have the message that one of them waits for.
            clients.append(come(port, octets, "CONNECTED" if answer == "MESSAGE" else answer))
    seen()
    for way, client in enumerate(clients):
        go(client, way)
    octets = hello() + manage("end", "resume", "queue:a")
    for name in ("a", "kept", "chosen"):
        octets += manage("end", "purge", f"queue:{name}")
    for name in ACKS:
        octets += manage("end", "durable-delete", f"name:{name}")
    go(come(port, octets + manage("cleared", "resume", "queue:a"), "cleared"), 1)


def manage(receipt: str, action: str, more: str) -> str:
    return send("/queue/stompserver.management", f"action:{action}\n{more}\nreceipt:{receipt}\n")


async def all_gone(server: Server) -> None:
    """Everybody has left, and what that makes to do is done."""
    until = time.monotonic() + DEADLINE
    log = server.broker.log
    while server.connections or server.broker.slices.live or log.durable < log.position:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    for _ in range(10):
        await asyncio.sleep(0)


def objects() -> int:
    gc.collect()
    return len(gc.get_objects()) + gc.get_freeze_count()


def memory() -> int:
    """KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    return pages * 4


async def left(server: Server, port: int, rounds: int) -> dict[str, Any]:
    # The first ones make what stays: queues, places in tables.
    await asyncio.to_thread(one_by_one, port)
    await all_gone(server)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range(rounds):
        await asyncio.to_thread(one_by_one, port)
    await all_gone(server)
    gc.collect()
    gc.set_debug(0)
    return {"left": Counter(type(each).__name__ for each in gc.garbage)}


async def kept(server: Server, port: int, rounds: int) -> dict[str, Any]:
    # However few they are.
    collector.MANY = 0
    base: list[tuple[int, int]] = []
    frozen: list[int] = []

    def seen() -> None:
        gc.collect()
        frozen.append(gc.get_freeze_count())

    with collector.relieved():
        for _ in range(rounds + 2):
            await asyncio.to_thread(together, port, seen)
            await all_gone(server)
            base.append((objects(), memory()))
    return {
        "visits": rounds * 3 * len(list(visits())),
        "grown": base[-1][0] - base[1][0],
        "KiB": base[-1][1] - base[1][1],
        "frozen": frozen[-1] - base[-1][0],
    }


def secured(place: Path) -> dict[str, Any]:
    """The options of a server with TLS."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from papers import Papers

    papers = Papers(place)
    CONTEXTS.append(papers.context())
    return {"tls": "yes", "tls_cert": papers.server}


async def main(store: str, what: str, rounds: int, tls: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        config = Config(
            **(secured(place) if tls else {}),
            queue=store,
            storage=place,
            etcdir=place,
            port=0,
            linger=0.05,
            auth=True,
        )
        sockets = bind("127.0.0.1", 0)
        users = Users({"right": b"word"}, {}, [])
        server = Server(await build(config), Terms(config), users, sockets)
        await server.start()
        port = sockets[0].getsockname()[1]
        found = await (left if what == "left" else kept)(server, port, rounds)
        await server.drain(1)
    print(json.dumps(found))


if __name__ == "__main__":
    _, chosen, *rest = sys.argv
    gc.disable()
    if chosen == "uvloop":
        import uvloop

        uvloop.run(main(rest[0], rest[1], int(rest[2]), "tls" in rest))
    else:
        asyncio.run(main(rest[0], rest[1], int(rest[2]), "tls" in rest))
