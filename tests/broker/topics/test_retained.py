"""The message of a topic that later subscriptions get first."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics import retained
from stompserver.errors import Refused


@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL])
def test_a_new_subscription_gets_it_and_then_what_comes(world: Any, new_client: Any, mode: int) -> None:
    live = new_client()
    world.subscribe(live, "/topic/a.b")
    world.send("/topic/a.b", b"old", retain="set")
    world.send("/topic/a.b", b"kept", retain="set")
    world.send("/topic/a.b", b"passing")
    assert live.take() == [b"old", b"kept", b"passing"]
    world.restart()
    for destination in ("/topic/a.b", "/topic/a.*"):
        client = new_client()
        world.subscribe(client, destination, mode)
        world.send("/topic/a.b", b"next")
        ((_, first), (_, second)) = client.got
        assert (first.body, first.headers) == (b"kept", {"ActiveMQ.Retained": "true"})
        assert (second.body, second.headers) == (b"next", {})


def test_it_goes_when_that_is_asked_for(world: Any, new_client: Any) -> None:
    world.send("/topic/a", b"1", retain="set")
    world.send("/topic/a", b"2", retain="remove")
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/a")
    assert client.take() == []
    world.commit()
    assert not world.broker.memory.used and not any(world.stored.values())


def test_of_many_topics_they_come_in_the_order_they_were_sent(world: Any, new_client: Any) -> None:
    for name in ("b", "a", "c", "b"):
        world.send(f"/topic/{name}", name.encode(), retain="set", headers={"n": name})
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/*", selector="n <> 'c'")
    assert client.names() == [("/topic/a", b"a"), ("/topic/b", b"b")]


def test_a_policy_keeps_the_newest_of_each_topic(world: Any, new_client: Any) -> None:
    world.policies(given={"/topic/state.>": {"retain": True}})
    client = new_client()
    world.send("/topic/state.a", b"1")
    world.subscribe(client, "/topic/state.a")
    world.send("/topic/state.a", b"2")
    world.send("/topic/other", b"3")
    world.unsubscribe(next(iter(client.subscriptions.values())))
    assert client.take() == [b"1", b"2"]
    world.subscribe(client, "/topic/#")
    assert client.take() == [b"2"]


def test_a_new_durable_subscription_begins_with_it(world: Any, new_client: Any) -> None:
    world.send("/topic/a", b"1", retain="set")
    client = new_client()
    world.unsubscribe(world.subscribe(client, "/topic/a", durable="x"))
    world.send("/topic/a", b"2", retain="set")
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/a", durable="x")
    assert client.take()[-1:] == [b"2"]
    assert len(world.broker.fanout.retained.register.entries) == 1


def test_what_expired_is_no_news(world: Any, new_client: Any) -> None:
    message = world.message("/topic/a", b"1", retain="set")
    message.expires = world.now + 1000
    world.broker.send(message)
    client = new_client()
    world.subscribe(client, "/topic/a")
    assert client.take() == [b"1"]
    world.pass_time(2000)
    world.subscribe(client, "/topic/a")
    assert client.take() == []


def test_there_is_a_limit(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "MOST", 2)
    for name in ("/topic/a", "/topic/b", "/topic/a"):
        world.send(name, retain="set")
    used = world.broker.memory.used
    with pytest.raises(Refused, match="retained"):
        world.send("/topic/c", retain="set")
    assert world.broker.memory.used == used
    world.send("/topic/a", retain="remove")
    world.send("/topic/c", retain="set")
    world.commit()
    assert world.broker.memory.used == used
