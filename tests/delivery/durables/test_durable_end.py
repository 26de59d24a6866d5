"""UNSUBSCRIBE with the durable name, of a durable subscription that has others."""

from __future__ import annotations

from typing import Any

import pytest

NAMED = "x-queue-name:q\ndurable:true\n"
JMS = "activemq.subscriptionName:n\n"


def leave(client: Any, id: str, more: str = "") -> Any:
    """The RECEIPT of an UNSUBSCRIBE."""
    return client.receipt(f"UNSUBSCRIBE\nid:{id}\n{more}\n\0")


def names(client: Any) -> list[str]:
    return [row["name"] for row in client.ask("durables")["durables"]]


@pytest.mark.parametrize("first", ["a", "b"])
def test_one_of_two_topics_of_one_queue_on_one_connection(house: Any, first: str) -> None:
    second = "b" if first == "a" else "a"
    client = house.connect()
    for id in ("a", "b"):
        client.subscribe(f"/topic/{id}", id, NAMED, "client-individual")
    warning = leave(client, first, NAMED)["warning"]
    assert warning == r"Durable subscription /queue/q stays\c others are subscribed to it"
    # It keeps what feeds it, as with UNSUBSCRIBE by the id alone.
    for topic in ("/topic/a", "/topic/b"):
        client.publish(topic, topic)
    frames = client.take(2)
    assert [(frame["subscription"], frame.body) for frame in frames] == [
        (second, "/topic/a"),
        (second, "/topic/b"),
    ]
    client.receipt(f"ACK\nid:{frames[0]['ack']}\n\n\0")
    client.leave()
    house.restart()
    client = house.connect()
    client.subscribe(f"/topic/{second}", second, NAMED, "client-individual")
    assert client.bodies(1) == ["/topic/b"]
    assert names(client) == ["/queue/q"]
    assert not leave(client, second, NAMED).has("warning")
    assert names(client) == []
    client.publish("/topic/a", "nobody's")
    client.subscribe("/queue/q", "again")
    client.nothing()


@pytest.mark.parametrize(("connect", "more"), [("client-id:c\n", JMS), ("", NAMED), ("", JMS)])
def test_one_of_two_of_one_connection(house: Any, connect: str, more: str) -> None:
    client = house.connect(connect)
    client.subscribe("/topic/a", "0", more)
    client.subscribe("/topic/a", "1", more)
    assert "stays" in leave(client, "0", more)["warning"]
    client.publish("/topic/a", "still")
    (frame,) = client.take(1)
    assert (frame["subscription"], frame.body) == ("1", "still")
    assert not leave(client, "1", more).has("warning")
    assert names(client) == []


@pytest.mark.parametrize("more", [NAMED, "durable:true\n", "persistent:true\n", JMS])
def test_one_of_two_workers(house: Any, more: str) -> None:
    one, two = house.connect(), house.connect()
    for client in (one, two):
        client.subscribe("/topic/a", "w", more)
    assert "stays" in leave(one, "w", more)["warning"]
    one.publish("/topic/a", "still")
    assert two.bodies(1) == ["still"]
    # Who has nothing that could end asks for nothing but to delete it.
    one.send(f"UNSUBSCRIBE\nid:w\n{more}\n\0")
    assert "is in use" in one.error()["message"]
    assert not leave(two, "w", more).has("warning")
    assert names(two) == []


def test_the_queue_of_one_is_used_by_its_own_name(house: Any) -> None:
    worker, client = house.connect(), house.connect()
    client.subscribe("/topic/a", "0", NAMED)
    worker.subscribe("/queue/q", "w")
    assert "stays" in leave(client, "0", NAMED)["warning"]
    client.publish("/topic/a", "still")
    assert worker.bodies(1) == ["still"]
    worker.leave()
    client.receipt("UNSUBSCRIBE\nx-queue-name:q\n\n\0")
    assert names(client) == []


def test_several_of_one_id_of_which_one_has_others(house: Any) -> None:
    """One SUBSCRIBE to places with a durable subscription each: what can be deleted is."""
    client, other = house.connect(), house.connect()
    client.subscribe("/topic/a::x,/topic/b::x", "0")
    other.subscribe("/topic/a::x", "0")
    answer = client.receipt("UNSUBSCRIBE\nid:0\ndestination:/topic/a::x\n\n\0")
    assert "stays" in answer["warning"]
    other.publish("/topic/a", "still")
    assert other.bodies(1) == ["still"]


def test_one_of_two_in_the_words_of_1_0(house: Any) -> None:
    client = house.connect("", "1.0")
    client.subscribe("/topic/a", "0", NAMED)
    client.subscribe("/topic/b", "1", NAMED)
    warned = client.receipt(f"UNSUBSCRIBE\ndestination:/topic/a\n{NAMED}\n\0")
    assert "stays" in warned["warning"]
    client.publish("/topic/a", "still")
    assert client.bodies(1) == ["still"]
