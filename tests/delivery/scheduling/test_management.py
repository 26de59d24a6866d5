"""Frames for the server itself, and stompctl, which sends them; with restarts where anything is kept."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest


def bury(client: Any, queue: str, *bodies: str) -> None:
    """Make dead letters that came from ``queue``."""
    client.subscribe(queue, ack="client-individual")
    for body in bodies:
        client.publish(queue, body)
        frame = client.expect("MESSAGE")
        client.receipt(f"NACK\nid:{frame['ack']}\nrequeue:false\n\n\0")
    client.receipt(f"UNSUBSCRIBE\nid:{queue}\n\n\0")


def counts(client: Any) -> dict[str, int]:
    return {row["queue"]: row["messages"] for row in client.manage("queues")["queues"] if row["messages"]}


def test_queues_are_counted(house: Any) -> None:
    client = house.connect()
    for body in ("1", "2", "3"):
        client.publish("/queue/a", body)
    client.publish("/queue/b", "")
    client.subscribe("/queue/b", ack="client-individual")
    client.take(1)
    rows = {row["queue"]: row for row in client.manage("queues")["queues"]}
    assert set(rows) == {"/queue/a", "/queue/b"}
    assert (rows["/queue/a"]["messages"], rows["/queue/a"]["unacked"]) == (3, 0)
    assert (rows["/queue/b"]["messages"], rows["/queue/b"]["unacked"]) == (0, 1)
    assert rows["/queue/b"]["subscriptions"] == 1
    assert rows["/queue/a"]["paused"] is False
    short = client.manage("queues", limit="1")
    assert (len(short["queues"]), short["count"]) == (1, 2)


def test_a_paused_queue_stays_so(house: Any) -> None:
    client = house.connect()
    client.publish("/queue/a", "1")
    assert client.manage("pause", queue="/queue/a")["paused"]
    assert client.manage("pause", queue="new")["queue"] == "/queue/new"
    client.publish("/queue/new", "n")
    client.publish("/queue/a", "2")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    client.subscribe("/queue/new")
    client.publish("/queue/a", "3")
    client.nothing()
    boss = house.connect()
    boss.manage("resume", queue="a")
    assert client.bodies(3) == ["1", "2", "3"]
    boss.manage("resume", queue="/queue/new")
    assert client.bodies(1) == ["n"]
    client.leave()
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    client.publish("/queue/a", "4")
    assert client.bodies(1) == ["4"]


def test_purge_and_delete(house: Any) -> None:
    client = house.connect()
    for body in ("1", "2", "3"):
        client.publish("/queue/a", body)
        client.publish("/queue/b", body)
    house.restart()
    client = house.connect()
    assert client.manage("purge", queue="/queue/a")["removed"] == 3
    assert client.manage("delete", queue="/queue/b")["removed"] == 3
    assert "no queue" in client.manage("delete", queue="/queue/b")["error"]
    client.subscribe("/queue/a")
    assert "in use" in client.manage("delete", queue="/queue/a")["error"]
    client.publish("/queue/b", "new")
    house.restart()
    assert counts(house.connect()) == {"/queue/b": 1}


def test_dead_letters_go_back(house: Any) -> None:
    client = house.connect()
    bury(client, "/queue/a", "1", "2", "3")
    bury(client, "/queue/b", "4")
    client.publish("/queue/deadletter", "nobody's")
    house.restart()
    client = house.connect()
    assert client.manage("redrive", count="1") == {"action": "redrive", "moved": 1, "left": 0}
    assert counts(client) == {"/queue/a": 1, "/queue/deadletter": 4}
    client.subscribe("/queue/deadletter", ack="client-individual")
    letters = {frame.body: frame for frame in client.take(4)}
    client.receipt("UNSUBSCRIBE\nid:/queue/deadletter\n\n\0")
    for frame in letters.values():
        client.receipt(f"NACK\nid:{frame['ack']}\n\n\0")
    number = letters["3"]["message-id"]
    assert client.manage("redrive", id=number, queue="deadletter")["moved"] == 1
    answer = client.manage("redrive")
    (stayed,) = answer.pop("stayed")
    assert answer == {"action": "redrive", "moved": 2, "left": 1}
    assert stayed["reason"] == "says no origin"
    house.restart()
    client = house.connect()
    assert counts(client) == {"/queue/a": 3, "/queue/b": 1, "/queue/deadletter": 1}
    client.subscribe("/queue/a")
    frames = client.take(3)
    assert sorted(frame.body for frame in frames) == ["1", "2", "3"]
    assert not frames[0].has("original-destination")
    assert not frames[0].has("dead-letter-reason")


def test_many_dead_letters_go_back(house: Any) -> None:
    """More than the window has and go in one step."""
    client = house.connect()
    client.subscribe("/queue/a", ack="client")
    more = "prefetch-count:0\n"
    client.receipt("UNSUBSCRIBE\nid:/queue/a\n\n\0")
    for start in range(0, 6000, 1000):
        client.send("".join(f"SEND\ndestination:/queue/a\n\n{n}\0" for n in range(start, start + 999)))
        client.publish("/queue/a", str(start + 999))
    client.subscribe("/queue/a", more, "client-individual")
    frames = [client.expect("MESSAGE") for _ in range(6000)]
    client.send("".join(f"NACK\nid:{frame['ack']}\nrequeue:false\n\n\0" for frame in frames))
    client.receipt("UNSUBSCRIBE\nid:/queue/a\n\n\0")
    house.restart()
    client = house.connect()
    assert counts(client) == {"/queue/deadletter": 6000}
    assert client.manage("redrive") == {"action": "redrive", "moved": 6000, "left": 0}
    house.restart()
    client = house.connect()
    assert counts(client) == {"/queue/a": 6000}
    client.subscribe("/queue/a")
    assert sorted(int(client.expect("MESSAGE").body) for _ in range(6000)) == list(range(6000))


def test_durable_subscriptions(house: Any) -> None:
    client = house.connect()
    client.receipt("SUBSCRIBE\nid:x\ndestination:/topic/t\ndurable:true\n\n\0")
    (row,) = client.manage("durables")["durables"]
    assert (row["topic"], row["messages"], row["subscriptions"]) == ("/topic/t", 0, 1)
    assert "in use" in client.manage("durable-delete", name=row["name"])["error"]
    client.leave()
    client = house.connect()
    client.publish("/topic/t", "kept")
    assert client.manage("durables")["durables"][0]["messages"] == 1
    assert client.manage("durable-delete", name=row["name"])["name"] == row["name"]
    house.restart()
    client = house.connect()
    assert client.manage("durables")["count"] == 0


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("action:\n", "without action"),
        ("action:dance\n", "queues, pause"),
        ("action:queues\ntransaction:t\n", "in a transaction"),
    ],
)
def test_what_is_no_question(server: Any, new_client: Any, frame: str, said: str) -> None:
    client = new_client(server.port)
    assert said in client.fails(f"SEND\ndestination:/queue/stompserver.management\n{frame}\n\0")


@pytest.mark.options("--management=off")
def test_nobody_may(house: Any) -> None:
    client = house.connect()
    assert "Nobody may" in client.fails(
        "SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/queue/r\n\n\0"
    )


# stompctl


def test_stompctl(house: Any, stompctl: Any) -> None:
    client = house.connect()
    bury(client, "/queue/a", "1", "2")
    client.publish("/queue/a", "x", "AMQ_SCHEDULED_DELAY:100000\n")
    client.publish("/queue/a", "x", "AMQ_SCHEDULED_CRON:0 5 29 2 *\n")
    client.receipt("SUBSCRIBE\nid:d\ndestination:/topic/t\ndurable:true\n\n\0")
    client.leave()
    at = ("-p", str(house.server.port), "-H", "127.0.0.1")
    assert "/queue/deadletter" in stompctl("queue", "list", *at)
    (row,) = json.loads(stompctl("queue", "list", "--json", "--limit", "1", *at))["queues"]
    assert row["queue"] == "/dsub/d/topic/t"
    assert "2 messages went back" in stompctl("redrive", *at)
    house.connect().receipt("SEND\ndestination:bare\n\nx\0")
    assert re.search(r"^unheard +1$", stompctl("server", *at), re.M)
    assert json.loads(stompctl("server", "--json", *at))["unheard"] == 1
    assert "is paused" in stompctl("queue", "pause", "a", *at)
    assert "delivers" in stompctl("queue", "resume", "a", *at)
    assert "2 messages removed" in stompctl("queue", "purge", "a", "--yes", *at)
    assert "deleted" in stompctl("queue", "delete", "a", "--yes", *at)
    assert "no queue" in stompctl("queue", "delete", "a", "--yes", *at, code=1)
    said = stompctl("schedule", "list", *at)
    assert "0 5 29 2 *" in said
    rows = json.loads(stompctl("schedule", "list", "--json", *at))["messages"]
    assert "1 messages cancelled" in stompctl("schedule", "cancel", rows[0]["id"], *at)
    assert "1 messages cancelled" in stompctl("schedule", "cancel", "--all", *at)
    assert "name IDs" in stompctl("schedule", "cancel", *at, code=2)
    assert "/topic/t" in stompctl("durable", "list", *at)
    (durable,) = json.loads(stompctl("durable", "list", "--json", *at))["durables"]
    assert "deleted" in stompctl("durable", "delete", durable["name"], "--yes", *at)


def test_stompctl_without_a_server(stompctl: Any) -> None:
    said = stompctl("queue", "list", "-H", "127.0.0.1", "-p", "1", code=1)
    assert said.startswith("Error: no server answers at 127.0.0.1:1")


def test_stompctl_shows_who_it_is(start_server: Any, stompctl: Any, tmp_path: Any) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / ".passwd").write_text("ann : secret\n")
    (etc / ".passwd").chmod(0o600)
    server = start_server("--auth", directory=tmp_path)
    at = ("-p", str(server.port), "-H", "127.0.0.1")
    assert "messages" in stompctl("queue", "list", *at, "-l", "ann", "--passcode", "secret")
    stompctl("queue", "list", *at, "-l", "ann", "--passcode", "wrong", code=1)
