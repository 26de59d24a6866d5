"""A durable subscription begins with a long history, which costs much to look through: nobody waits for that, and
it is there with all of it, or not at all. Judged by what comes first, never by a clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEPT = 300

COSTLY = " or ".join(f"n = '{number}'" for number in range(500, 1000))
"""A selector that takes thousands of units for a message."""

SUBSCRIBE = (
    "SUBSCRIBE\nid:1\ndestination:{}\ndurable:true\nack:client-individual\nprefetch-count:1000\n"
    f"x-stream-offset:first\nselector:{COSTLY}\n" + "receipt:{}\n\n\0"
)
TOLD = "SEND\ndestination:/topic/seen\n\n{}\0"


@pytest.fixture
def start(start_server: Any, talk: Callable[..., Any], tmp_path: Path) -> Callable[[str], Any]:
    """Starts a server with that store, each time on the same storage, with a topic that kept KEPT."""
    config = tmp_path / "stompserver.yaml"

    def begin(store: str) -> Any:
        new = not config.exists()
        config.write_text("policies:\n  /topic/h.>:\n    history-messages: 10000\n")
        server = start_server("-C", str(config), "-q", store, directory=tmp_path)
        if new:
            sender = talk(server.port)
            sends = [f"SEND\ndestination:/topic/h.a\nn:500\n\n{number}\0" for number in range(KEPT)]
            sender.send("".join(sends[:-1]))
            sender.done(sends[-1])
            sender.close()
        return server

    return begin


def taken(client: Any, last: str) -> list[str]:
    """The bodies that come, up to the ``last``; the RECEIPT, which waits for the store, comes once among them."""
    got: list[str] = []
    receipts = 0
    while last not in got or not receipts:
        frame = client.frame()
        if frame == "RECEIPT\nreceipt-id:s\n\n":
            receipts += 1
        else:
            assert frame.startswith("MESSAGE\n")
            got.append(frame.partition("\n\n")[2])
    return got


def bodies(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last)]


@pytest.mark.parametrize("store", ["memory", "lmdb"])
@pytest.mark.parametrize("destination", ["/topic/h.a", "/topic/h.b,/topic/h.*"])
def test_others_are_served_meanwhile(
    start: Any, talk: Callable[..., Any], store: str, destination: str
) -> None:
    """What the client sends behind it comes after it."""
    server = start(store)
    hog, other = talk(server.port), talk(server.port)
    other.done("SUBSCRIBE\nid:1\ndestination:/topic/seen\n\n\0")
    hog.send(TOLD.format("begin") + SUBSCRIBE.format(destination, "s") + TOLD.format("end"))
    assert other.frame().endswith("\n\nbegin")
    other.send(f"SEND\ndestination:/topic/h.a\nn:500\n\n{KEPT}\0" + TOLD.format("echo"))
    assert other.frame().endswith("\n\necho")
    assert other.frame().endswith("\n\nend")
    other.send(f"SEND\ndestination:/topic/h.a\nn:500\n\n{KEPT + 1}\0")
    assert taken(hog, str(KEPT + 1)) == bodies(0, KEPT + 2)


@pytest.mark.parametrize(
    ("store", "how"),
    [
        ("memory", "the client goes"),
        ("lmdb", "the client goes"),
        ("lmdb", "the server is killed"),
        ("lmdb", "the server is stopped"),
    ],
)
def test_it_is_cut_off(start: Any, talk: Callable[..., Any], store: str, how: str) -> None:
    """Who comes next finds all of it, once."""
    server = start(store)
    hog, other = talk(server.port), talk(server.port)
    other.done("SUBSCRIBE\nid:1\ndestination:/topic/seen\n\n\0")
    hog.send(TOLD.format("begin") + SUBSCRIBE.format("/topic/h.a", "s"))
    assert other.frame().endswith("\n\nbegin")
    if how == "the client goes":
        hog.close()
    else:
        server.kill() if how == "the server is killed" else server.stop()
        server = start(store)
    again = talk(server.port)
    again.send(SUBSCRIBE.format("/topic/h.a", "s"))
    again.send("SEND\ndestination:/topic/h.a\nn:500\n\nlast\0")
    assert taken(again, "last") == [*bodies(0, KEPT), "last"]
