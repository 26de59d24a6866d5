"""A storage whose durable subscriptions were known by one text: each goes on, with all that waited for it.

``earlier.py`` says what is in it, and how it was made.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House


def named(name: str) -> str:
    return f"activemq.subscriptionName:{name}\n"


DATA = Path(__file__).with_name("data")

WAITING = {
    "till-1.board": ("/topic/prices", ["prices 1", "prices 2", "prices 3"]),
    "app.eu.orders": ("/topic/eu", ["eu 1", "eu 2"]),
    "solo": ("/topic/solo", ["solo 1", "solo 2"]),
    "c.two": ("/topic/c1", ["c1 1", "c1 2"]),
    "sub-0": ("/topic/a", ["a 1", "a 2"]),
    "billing": ("/topic/orders.*", ["eu 1", "eu 2", "us 1"]),
    "feed": ("/topic/feed", ["feed 1", "feed 2"]),
    "archive": ("/topic/news", ["news 1", "news 2"]),
    "mine": ("/topic/$user/alice/mine", ["mine 1", "mine 2"]),
    "kept": ("/topic/$user/alice/kept", ["kept 1", "kept 2"]),
}

ASKED = (
    ("till-1.board", "client-id:till-1\n", "/topic/prices", "0", named("board")),
    ("app.eu.orders", "client-id:app\n", "/topic/eu", "0", named("eu.orders")),
    ("solo", "", "/topic/solo", "0", "durable-subscription-name:solo\n"),
    ("c.two", "client-id:c\n", "/topic/c1,/topic/c2", "0", named("two")),
    ("sub-0", "", "/topic/a", "sub-0", "durable:true\nselector:n > 0\n"),
    ("billing", "", "/topic/orders.*", "0", "x-queue-name:billing\ndurable:true\n"),
    ("feed", "", "/topic/feed", "feed", "persistent:true\n"),
    ("archive", "", "/topic/news::archive", "0", ""),
    ("mine", "login:alice\n", "/user/topic/mine", "mine", "durable:true\n"),
    ("kept", "login:alice\n", "/user/topic/kept", "0", "x-queue-name:kept\ndurable:true\n"),
)

SENT = {
    "c.two": "/topic/c2",
    "billing": "/topic/orders.new",
    "mine": "/user/alice/topic/mine",
    "kept": "/user/alice/topic/kept",
}
"""Where more is sent, if not to the topic."""


@pytest.fixture(params=["lmdb", "file"])
def house(
    request: pytest.FixtureRequest, start_server: Any, tmp_path: Path, client_class: Callable[..., Any]
) -> Iterator[House]:
    with tarfile.open(DATA / f"{request.param}.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    made = House(start_server, request.param, tmp_path, client_class)
    yield made
    made.close()


def durables(house: House) -> dict[str, tuple[str, str, int]]:
    """How each is known, its topics, and how many messages wait, by names."""
    rows = house.connect().ask("durables")["durables"]
    return {row["name"]: (row["way"], row["topic"], row["messages"]) for row in rows}


def test_all_are_there(house: House) -> None:
    wanted = {name: ("earlier", topic, len(bodies)) for name, (topic, bodies) in WAITING.items()}
    assert durables(house) == wanted
    # Nobody has asked for them: they gather, and so they do after another restart.
    house.connect().publish("/topic/prices", "prices 4")
    house.restart()
    wanted["till-1.board"] = ("earlier", "/topic/prices", 4)
    assert durables(house) == wanted


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
def test_each_way_has_its_own(house: House, again: bool) -> None:
    for name, connect, destination, id, more in ASKED:
        topic, bodies = WAITING[name]
        client = house.connect(connect)
        if again:
            # It is taken over, nothing of it is settled, and it is found again.
            client.subscribe(destination, id, more, "client-individual")
            client.close()
            house.restart()
            client = house.connect(connect)
            house.connect("login:alice\n").publish(SENT.get(name, topic), "new", "n:1\n")
        assert not client.subscribe(destination, id, more).has("warning")
        if not again:
            house.connect("login:alice\n").publish(SENT.get(name, topic), "new", "n:1\n")
        assert [client.expect("MESSAGE").body for _ in range(len(bodies) + 1)] == [*bodies, "new"]
        client.nothing()
        client.leave()
    assert {way for way, _, _ in durables(house).values()} == {
        "jms",
        "rabbitmq",
        "apollo",
        "artemis",
        "x-queue-name",
    }
    group = house.connect()
    group.subscribe("/queue/Consumer.g.VirtualTopic.v")
    assert group.bodies(2) == ["v 1", "v 2"]


def test_what_was_delivered_before_is_known(house: House) -> None:
    client = house.connect("client-id:till-1\n")
    client.subscribe("/topic/prices", "0", named("board"), "client-individual")
    first, second, _ = client.take(3)
    assert first["redelivered"] == "true" and not second.has("redelivered")


OTHERS = (
    ("", "/topic/b", "sub-0", "durable:true\n"),
    ("client-id:app.eu\n", "/topic/eu", "0", named("orders")),
    ("", "/topic/solo::solo2", "0", ""),
    ("", "/topic/prices", "feed", "persistent:true\n"),
    ("", "/topic/other", "0", "x-queue-name:billing\ndurable:true\n"),
    ("login:eve\n", "/topic/mine", "mine", "durable:true\n"),
    ("login:eve\n", "/user/topic/mine", "mine", "durable:true\n"),
    ("login:eve\n", "/user/topic/kept", "0", "x-queue-name:kept\ndurable:true\n"),
)


def test_others_with_the_same_text_leave_them_as_they_are(house: House) -> None:
    for connect, destination, id, more in OTHERS:
        client = house.connect(connect)
        client.subscribe(destination, id, more)
        client.nothing()
        client.leave()
    house.restart()
    found = durables(house)
    assert len(found) == len(WAITING) + len(OTHERS)
    for name, (topic, bodies) in WAITING.items():
        assert found[name] == ("earlier", topic, len(bodies))


def test_by_its_old_name(house: House) -> None:
    """As /dsub/NAME, and by stompctl; those with a login's own topic by that login alone."""
    client = house.connect()
    for name in ("billing", "app.eu.orders"):
        client.subscribe(f"/dsub/{name}", name)
        bodies = WAITING[name][1]
        assert client.bodies(len(bodies)) == bodies
        client.receipt(f"UNSUBSCRIBE\nid:{name}\n\n\0")
        assert client.ask("durable-delete", f"name:{name}\n")["name"] == name
    client.receipt("UNSUBSCRIBE\nid:sub-0\ndurable:true\n\n\0")
    house.connect("client-id:till-1\n").receipt(f"UNSUBSCRIBE\nid:0\n{named('board')}\n\0")
    eve = house.connect("login:eve\n")
    eve.send("SUBSCRIBE\nid:0\ndestination:/dsub/kept\n\n\0")
    assert "somebody else" in eve.error()["message"]
    assert sorted(durables(house)) == sorted(
        set(WAITING) - {"billing", "app.eu.orders", "sub-0", "till-1.board"}
    )


def test_many_are_brought_to_the_queue_they_belong_to(house: House) -> None:
    """In their order, with what is sent meanwhile behind them, and over a kill in the middle."""
    sender = house.connect()
    for number in range(1500):
        sender.send(f"SEND\ndestination:/topic/orders.x\n\n{number}\0")
    sender.publish("/topic/orders.x", "1500")
    got: list[str] = []
    wish = ("/topic/orders.*", "0", "x-queue-name:billing\ndurable:true\n", "client-individual")
    client = house.connect()
    client.subscribe(*wish)
    client.close()
    house.restart()
    client = house.connect()
    client.subscribe(*wish)
    house.connect().publish("/topic/orders.x", "1501")
    while len(got) < 1505:
        frame = client.expect("MESSAGE")
        got.append(frame.body)
        client.send(f"ACK\nid:{frame['ack']}\n\n\0")
    assert got == ["eu 1", "eu 2", "us 1", *map(str, range(1502))]
    client.nothing()
    assert durables(house)["/queue/billing"] == ("x-queue-name", "/topic/orders.*", 0)
    assert "billing" not in durables(house)
