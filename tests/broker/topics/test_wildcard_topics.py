"""Subscriptions to patterns of topics."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics import fanout
from stompserver.errors import Refused


@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL])
def test_a_pattern_gets_what_is_sent_to_its_topics_under_their_names(
    memory_world: Any, new_client: Any, mode: int
) -> None:
    world, client = memory_world, new_client()
    world.send("/topic/a.early")
    world.subscribe(client, "/topic/a.*", mode)
    world.send("/topic/a.b", b"1")
    world.send("/topic/a/c", b"2")
    world.send("/topic/a", b"no")
    world.send("/topic/a.b.c", b"no")
    assert client.names() == [("/topic/a.b", b"1"), ("/topic/a/c", b"2")]


def test_subscriptions_come_and_go_while_topics_are_in_use(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    exact, wild, queued = new_client(), new_client(), new_client()
    first = world.subscribe(exact, "/topic/a.b")
    world.send("/topic/a.b", b"1")
    second = world.subscribe(wild, "/topic/a.>")
    third = world.subscribe(queued, "/topic/#", INDIVIDUAL)
    world.send("/topic/a.b", b"2")
    world.send("/topic/a.x", b"3")
    world.unsubscribe(first)
    world.send("/topic/a.b", b"4")
    world.unsubscribe(second)
    world.send("/topic/a.b", b"5")
    world.subscribe(exact, "/topic/a.b")
    world.send("/topic/a.b", b"6")
    world.unsubscribe(third)
    world.send("/topic/a.b", b"7")
    assert exact.take() == [b"1", b"2", b"6", b"7"]
    assert wild.take() == [b"2", b"3", b"4"]
    assert queued.take() == [b"2", b"3", b"4", b"5", b"6"]
    world.broker.drop(exact)
    assert not world.broker.topics and not world.broker.fanout.wildcards.texts


def test_nothing_is_left_of_a_client_that_is_gone(memory_world: Any, new_client: Any) -> None:
    world, client = memory_world, new_client()
    for mode in (AUTO, INDIVIDUAL):
        for name in ("/topic/a", "/topic/*", "/topic/>"):
            world.subscribe(client, name, mode)
    world.send("/topic/a", b"1")
    assert len(client.take()) == 6
    world.broker.drop(client)
    world.send("/topic/a", b"2")
    assert not client.take() and not world.broker.topics and not world.broker.memory.used
    assert not world.broker.fanout.resolved and not world.broker.fanout.passing


def test_a_message_costs_the_same_however_many_patterns_there_are(memory_world: Any, new_client: Any) -> None:
    world, client = memory_world, new_client()
    for number in range(500):
        world.subscribe(client, f"/topic/{number}.*")
    world.send("/topic/7.x", b"1")
    topic = world.broker.topics["/topic/7.x"]
    assert topic.epoch == world.broker.fanout.epoch
    world.send("/topic/7.x", b"2")
    assert world.broker.topics["/topic/7.x"] is topic
    assert client.take() == [b"1", b"2"]


def test_names_without_end_take_no_memory_without_end(
    memory_world: Any, new_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "PASSING", 3)
    world, client = memory_world, new_client()
    world.subscribe(client, "/topic/>")
    for number in range(10):
        world.send(f"/topic/{number}", b"%d" % number)
    assert len(world.broker.topics) == 4
    world.send("/topic/0", b"again")
    assert client.take() == [b"%d" % number for number in range(10)] + [b"again"]
    assert not world.broker.fanout.resolved.keys() - world.broker.topics.keys()


def test_selectors_and_no_local_choose_for_each_subscription(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    client, other = new_client(), new_client()
    for mode in (AUTO, INDIVIDUAL):
        world.subscribe(client, "/topic/a", mode, selector="colour = 'red'")
        world.subscribe(client, "/topic/*", mode, no_local=True)
    world.send("/topic/a", b"red", other, headers={"colour": "red"})
    assert client.take() == [b"red"] * 4
    world.send("/topic/a", b"own", client)
    world.send("/topic/a", b"own red", client, headers={"colour": "red"})
    assert client.take() == [b"own red"] * 2


def test_nobody_sends_to_a_pattern(world: Any, new_client: Any) -> None:
    world.subscribe(new_client(), "/topic/a.*")
    for name in ("/topic/a.*", "/topic/b.>", "/queue/a.*", "#"):
        with pytest.raises(Refused) as refused:
            world.send(name)
        assert refused.value.fix
    assert not world.broker.queues


def test_wildcards_do_not_see_what_belongs_to_one_connection(memory_world: Any, new_client: Any) -> None:
    world, client = memory_world, new_client()
    world.subscribe(client, "#")
    world.send("/topic/$temp/x/y", b"1")
    world.send("/topic/y", b"2")
    assert client.take() == [b"2"]


def test_who_falls_behind_is_told_or_misses_the_oldest_or_nothing(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    world.rules["lag"] = 5000
    world.policies(given={"/topic/drop.>": {"slow": "drop-oldest"}, "/topic/block.>": {"slow": "block"}})
    clients = {
        name: new_client() for name in ("/topic/tell.a", "/topic/drop.a", "/topic/block.a", "/topic/cap.a")
    }
    for name, client in clients.items():
        mode = INDIVIDUAL if name == "/topic/tell.a" else AUTO
        client.room = 1
        client.ready = True
        if name == "/topic/cap.a":
            world.subscribe(client, name, mode, pending=2)
        else:
            world.subscribe(client, name, mode)
        sender = new_client()
        for number in range(10):
            world.send(name, b"%d" % number, sender)
            assert number > 4 or sender.choked is None
        assert (sender.choked is not None) == (name == "/topic/block.a")
        assert client.take() == [b"0"]
        client.room = None
        client.ready = True
        world.broker.resume(client)
    assert len(clients["/topic/tell.a"].lagging) == 5
    assert clients["/topic/drop.a"].take() == [b"5", b"6", b"7", b"8", b"9"]
    assert clients["/topic/block.a"].take() == [b"%d" % number for number in range(1, 10)]
    assert clients["/topic/cap.a"].take() == [b"8", b"9"]
    for name in ("/topic/drop.a", "/topic/block.a", "/topic/cap.a"):
        assert not clients[name].lagging
