"""One client's work, whatever it is, does not keep others waiting: judged by what comes first, never by a clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WIDE = 1000
"""Subscriptions of a topic, each with a selector: what one SEND to it asks for."""


def overtakes(talk: Callable[..., Any], port: int, hog: Any, packet: str, end: str = "") -> None:
    """Another client, when it has heard that the first frame of ``packet`` was done, is answered before its last."""
    other = talk(port)
    other.done("SUBSCRIBE\nid:1\ndestination:/topic/seen\n\n\0")
    told = "SEND\ndestination:/topic/seen\n\n{}\0"
    hog.send(told.format("begin") + packet + (end or told.format("end")))
    assert other.frame().endswith("\n\nbegin")
    other.send(told.format("echo"))
    assert other.frame().endswith("\n\necho")
    assert other.frame().endswith("\n\nend")


@pytest.fixture
def wide(start_server: Any, talk: Callable[..., Any]) -> Any:
    """A server with a topic that many chose to hear a part of."""
    server = start_server()
    many = talk(server.port)
    for number in range(WIDE):
        many.send(f"SUBSCRIBE\nid:{number}\ndestination:/topic/wide\nselector:number = {number}\n\n\0")
    many.done("BEGIN\ntransaction:t\n\n\0")
    return server


def test_frames_that_each_have_much_to_do(wide: Any, talk: Callable[..., Any]) -> None:
    hog = talk(wide.port)
    overtakes(talk, wide.port, hog, "SEND\ndestination:/topic/wide\nnumber:5000\n\n\0" * 250)


def test_a_client_that_leaves_while_its_frames_are_done(wide: Any, talk: Callable[..., Any]) -> None:
    hog, other = talk(wide.port), talk(wide.port)
    told = "SEND\ndestination:/queue/seen\n\n{}\0"
    hog.send("SEND\ndestination:/topic/wide\nnumber:5000\n\n\0" * 250 + told.format("end"))
    hog.close()
    other.done("SUBSCRIBE\nid:1\ndestination:/queue/seen\n\n\0")
    assert other.frame().endswith("\n\nend")


def test_clients_that_send_much_are_all_served(wide: Any, talk: Callable[..., Any]) -> None:
    hogs = [talk(wide.port) for _ in range(4)]
    for hog in hogs:
        hog.send("SEND\ndestination:/topic/wide\nnumber:5000\n\n\0" * 50)
    overtakes(talk, wide.port, hogs[0], "SEND\ndestination:/topic/wide\nnumber:5000\n\n\0" * 100)
    for hog in hogs:
        hog.done("BEGIN\ntransaction:t\n\n\0")


SCHEDULER = "ActiveMQ.Scheduler.Management"
MANAGE = "SEND\ndestination:/queue/stompserver.management\naction:{}\nreply-to:/queue/answers\n\n\0"


def test_many_lists_of_many_queues(start_server: Any, talk: Callable[..., Any]) -> None:
    server = start_server()
    hog = talk(server.port)
    hog.send("".join(f"SEND\ndestination:/queue/{number}\n\n\0" for number in range(3000)))
    hog.echo()
    # What comes behind a frame that waits for another list waits with it.
    overtakes(talk, server.port, hog, MANAGE.format("queues") * 20 + MANAGE.format("pause"))
    hog.done("SUBSCRIBE\nid:answers\ndestination:/queue/answers\nprefetch-count:0\n\n\0")
    lists = [json.loads(hog.frame().partition("\n\n")[2]) for _ in range(20)]
    assert all(len(each["queues"]) == 1000 and each["count"] >= 3000 for each in lists)


@pytest.mark.parametrize("action", ["BROWSE", "REMOVEALL"])
def test_many_looks_at_a_long_schedule(start_server: Any, talk: Callable[..., Any], action: str) -> None:
    server = start_server()
    hog = talk(server.port)
    later = "SEND\ndestination:/queue/later\nAMQ_SCHEDULED_DELAY:9000000\n\n\0"
    hog.send(later * 3000)
    hog.echo()
    look = f"SEND\ndestination:{SCHEDULER}\nAMQ_SCHEDULER_ACTION:{action}\nreply-to:/topic/nobody\n\n\0"
    overtakes(talk, server.port, hog, look * 10 + MANAGE.format("pause"))


FEEDS = 20
"""Durable subscriptions to a topic: copies that each SEND to it makes."""

SENDS = 500


@pytest.fixture
def fed(start_server: Any, talk: Callable[..., Any], tmp_path: Path) -> Callable[[], Any]:
    """Starts a server with a topic that has durable subscriptions, each time on the same storage."""

    def start() -> Any:
        new = not (tmp_path / ".stompserver").exists()
        server = start_server("-q", "lmdb", directory=tmp_path)
        if not new:
            return server
        keeper = talk(server.port, "client-id:k\n")
        for number in range(FEEDS):
            keeper.done(
                f"SUBSCRIBE\nid:{number}\ndestination:/topic/fed\ndurable:true\nprefetch-count:1\nack:client\n\n\0"
            )
        keeper.close()
        return server

    return start


def prepare(hog: Any, settle: int = 0) -> None:
    """A transaction with many SENDs, and as many ACKs of /queue/taken as are said."""
    if settle:
        hog.done("SUBSCRIBE\nid:taken\ndestination:/queue/taken\nack:client-individual\n\n\0")
    ids = []
    for _ in range(settle):
        head = hog.frame().partition("\n\n")[0]
        ids.append(next(line[4:] for line in head.split("\n") if line.startswith("ack:")))
    hog.send("BEGIN\ntransaction:t\n\n\0")
    hog.send("".join(f"ACK\nid:{id}\ntransaction:t\n\n\0" for id in ids))
    hog.send("".join(f"SEND\ndestination:/topic/fed\ntransaction:t\n\n{n}\0" for n in range(SENDS)))
    hog.echo()


QUEUE = "/queue/taken"


def waiting(talk: Callable[..., Any], port: int, name: str) -> list[str]:
    """The bodies that wait in that queue, or for that durable subscription, and are taken by this."""
    to = name if name == QUEUE else "/topic/fed"
    more = "" if name == QUEUE else "durable:true\nprefetch-count:0\n"
    taker, sender = talk(port, "client-id:k\n"), talk(port)
    taker.send(f"SUBSCRIBE\nid:{name}\ndestination:{to}\n{more}\n\0")
    taker.send("SUBSCRIBE\nid:told\ndestination:/topic/told\nreceipt:r\n\n\0")
    found: list[str] = []
    while (frame := taker.frame()) != "RECEIPT\nreceipt-id:r\n\n":
        found.append(frame.partition("\n\n")[2])
    sender.done(f"SEND\ndestination:{to}\n\nlast\0")
    while not (frame := taker.frame()).endswith("\n\nlast"):
        found.append(frame.partition("\n\n")[2])
    taker.close()
    return found


def test_a_long_commit(fed: Callable[..., Any], talk: Callable[..., Any]) -> None:
    server = fed()
    hog = talk(server.port)
    prepare(hog)
    overtakes(talk, server.port, hog, "COMMIT\ntransaction:t\n\n\0")


def test_what_comes_behind_a_long_commit_waits_for_it(
    fed: Callable[..., Any], talk: Callable[..., Any]
) -> None:
    server = fed()
    hog, other = talk(server.port), talk(server.port)
    prepare(hog)
    hog.send("COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    other.done("SEND\ndestination:/queue/taken\n\nmeanwhile\0")
    hog.send("SEND\ndestination:/topic/fed\nreceipt:s\n\nbehind\0DISCONNECT\nreceipt:d\n\n\0")
    assert [hog.frame() for _ in range(3)] == [f"RECEIPT\nreceipt-id:{name}\n\n" for name in "csd"]
    server.kill()
    server = fed()
    assert waiting(talk, server.port, "0") == [*map(str, range(SENDS)), "behind"]
    assert waiting(talk, server.port, QUEUE) == ["meanwhile"]


@pytest.mark.parametrize("how", ["the client goes", "the server is killed", "the server is stopped"])
def test_a_long_commit_that_is_cut_off_is_done_or_not(
    fed: Callable[..., Any], talk: Callable[..., Any], how: str
) -> None:
    server = fed()
    hog, other = talk(server.port), talk(server.port)
    hog.send("".join(f"SEND\ndestination:/queue/taken\n\n{n}\0" for n in range(50)))
    prepare(hog, settle=50)
    other.done("SUBSCRIBE\nid:1\ndestination:/topic/fed\n\n\0")
    hog.send("COMMIT\ntransaction:t\n\n\0")
    # It is under way.
    assert other.frame().endswith("\n\n0")
    if how == "the client goes":
        hog.close()
        while not other.frame().endswith(f"\n\n{SENDS - 1}"):
            pass
    elif how == "the server is killed":
        server.kill()
        server = fed()
    else:
        server.stop()
        server = fed()
    sent, taken = waiting(talk, server.port, "1"), waiting(talk, server.port, QUEUE)
    if sent:
        assert sent == list(map(str, range(SENDS)))
        assert taken == []
    else:
        assert how == "the server is killed"
        assert taken == list(map(str, range(50)))
