"""Durable subscriptions and virtual topics: queues that topics feed."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import SEND, Action
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.errors import Refused


def test_what_was_sent_meanwhile_waits(world: Any, new_client: Any) -> None:
    client = new_client("me")
    world.subscribe(client, "/topic/a", durable="x")
    world.send("/topic/a", b"1")
    assert client.take() == [b"1"]
    world.broker.drop(client)
    number = world.send("/topic/a", b"2")
    assert number == world.broker.log.position
    world.send("/topic/b", b"no")
    world.restart()
    world.send("/topic/a", b"3")
    client = new_client("me")
    subscription = world.subscribe(client, "/topic/a", durable="x")
    assert client.names() == [("/topic/a", b"2"), ("/topic/a", b"3")]
    world.send("/topic/a", b"4")
    assert client.take() == [b"4"]
    world.unsubscribe(subscription)
    world.send("/topic/a", b"5")
    world.restart()
    client = new_client("me")
    subscription = world.subscribe(client, "/topic/a", durable="x")
    assert client.take() == [b"5"]
    world.unsubscribe(subscription)
    world.broker.forget_durable("x")
    world.send("/topic/a", b"6")
    world.restart()
    world.subscribe(client, "/topic/a", durable="x")
    assert client.take() == []


def test_all_copies_of_a_message_are_written_or_none(stored_world: Any, new_client: Any) -> None:
    world = stored_world
    client = new_client()
    for name in ("x", "y"):
        world.subscribe(client, "/topic/a", durable=name)
    world.broker.drop(client)
    world.policies(given={"/topic/a": {"history_messages": 10}})
    world.commit()
    world.send("/topic/a", b"1", retain="set")
    _, ops = world.broker.log.drain()
    assert len(ops) == 4 and len({op.group for op in ops}) == 1 and ops[0].group
    assert {op.queue for op in ops} == {
        "/dsub/x",
        "/dsub/y",
        "$stompserver/history:/topic/a",
        "$stompserver/retained",
    }


def test_several_connections_share_one(world: Any, new_client: Any) -> None:
    one, two = new_client("me"), new_client("me")
    world.subscribe(one, "/topic/a", INDIVIDUAL, 1, durable="x")
    world.subscribe(two, "/topic/a", INDIVIDUAL, 1, durable="x")
    for number in range(4):
        world.send("/topic/a", b"%d" % number)
    assert one.take() == [b"0"] and two.take() == [b"1"]
    world.ack(two)
    world.ack(one)
    assert two.take() == [b"2"] and one.take() == [b"3"]
    world.broker.drop(one)
    world.ack(two)
    assert two.take() == [b"3"]
    assert world.broker.queues["/dsub/x"].subscriptions


def test_one_for_a_pattern_gets_topics_that_nobody_knew(world: Any, new_client: Any) -> None:
    client = new_client()
    world.subscribe(client, "/topic/a.>", durable="x", selector="n > 1")
    world.broker.drop(client)
    world.restart()
    for number in range(4):
        world.send(f"/topic/a.{number}", b"%d" % number, headers={"n": str(number)})
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/a.>", durable="x", selector="n > 1")
    assert client.names() == [("/topic/a.2", b"2"), ("/topic/a.3", b"3")]


def test_another_topic_or_selector_is_another_subscription(world: Any, new_client: Any) -> None:
    client = new_client("me")
    for destination, wishes in (
        ("/topic/a", {}),
        ("/topic/b", {}),
        ("/topic/b", {"selector": "n = 1"}),
        ("/topic/b", {"no_local": True}),
    ):
        subscription = world.subscribe(client, destination, durable="x", **wishes)
        assert not world.granted.warning and client.take() == []
        world.unsubscribe(subscription)
        world.send("/topic/a", b"a", headers={"n": "1"})
        world.send("/topic/b", b"b", headers={"n": "1"})
        world.restart()
        assert world.broker.queues["/dsub/x"].waiting == 1
    assert len(world.broker.fanout.durables.fed) == 1
    assert set(world.broker.topics) == {"/topic/b"}


def test_while_others_are_on_it_it_stays_what_it_is(world: Any, new_client: Any) -> None:
    one, two = new_client(), new_client()
    world.subscribe(one, "/topic/a", durable="x", selector="n = 1")
    world.subscribe(two, "/topic/b", durable="x")
    assert "/topic/a" in world.granted.warning and "n = 1" in world.granted.warning
    world.broker.drop(one)
    world.send("/topic/a", b"1", headers={"n": "1"})
    world.send("/topic/b", b"2")
    assert two.take() == [b"1"]


def test_it_is_not_deleted_while_it_is_used_nor_twice(world: Any, new_client: Any) -> None:
    client = new_client()
    subscription = world.subscribe(client, "/topic/a", INDIVIDUAL, 1, durable="x")
    with pytest.raises(Refused, match="in use"):
        world.broker.forget_durable("x")
    for _ in range(3):
        world.send("/topic/a", b"1")
    world.unsubscribe(subscription)
    number = world.broker.forget_durable("x")
    assert number == world.broker.log.position
    with pytest.raises(Refused, match="no durable"):
        world.broker.forget_durable("x")
    world.broker.nack(list(client.deliveries.values()))
    world.commit()
    assert not world.broker.memory.used and not world.broker.topics and "/dsub/x" not in world.broker.queues
    assert not any(world.stored.values())


def test_its_queue_can_be_consumed_but_not_made_nor_sent_to(world: Any, new_client: Any) -> None:
    client = new_client()
    with pytest.raises(Refused, match="no durable"):
        world.subscribe(client, "/dsub/x")
    with pytest.raises(Refused):
        world.send("/dsub/x")
    world.unsubscribe(world.subscribe(client, "/topic/a", durable="x"))
    world.send("/topic/a", b"1")
    for send in (
        lambda: world.send("/dsub/x"),
        lambda: world.broker.apply([Action(SEND, world.message("/dsub/x"))]),
    ):
        with pytest.raises(Refused) as refused:
            send()
        assert "/topic/a" in refused.value.fix
    world.subscribe(client, "/dsub/x")
    assert client.take() == [b"1"]


def test_no_local_is_a_matter_of_the_client_id(world: Any, new_client: Any) -> None:
    client = new_client("me")
    world.unsubscribe(world.subscribe(client, "/topic/a", durable="x", no_local=True))
    world.restart()
    world.send("/topic/a", b"1", new_client("me"))
    world.send("/topic/a", b"2", new_client("other"))
    world.send("/topic/a", b"3", new_client())
    world.subscribe(client, "/topic/a", durable="x", no_local=True)
    assert client.take() == [b"2", b"3"]
    nobody = new_client()
    world.subscribe(nobody, "/topic/a", durable="y", no_local=True)
    assert "client-id" in world.granted.warning
    world.send("/topic/a", b"4", new_client())
    assert nobody.take() == [b"4"]


def test_there_is_a_limit(world: Any, new_client: Any) -> None:
    world.rules["max_durables"] = 1
    world.policies(given={})
    client = new_client()
    world.subscribe(client, "/topic/a", durable="x")
    world.subscribe(client, "/topic/a", durable="x")
    with pytest.raises(Refused, match="Too many"):
        world.subscribe(client, "/topic/a", durable="y")
    with pytest.raises(Refused, match="Too many"):
        world.subscribe(client, "/queue/Consumer.G.VirtualTopic.X")


def test_a_transaction_reaches_durable_subscriptions_as_a_whole(stored_world: Any, new_client: Any) -> None:
    world, client = stored_world, new_client()
    world.unsubscribe(world.subscribe(client, "/topic/a", durable="x"))
    world.commit()
    world.broker.apply([Action(SEND, world.message("/topic/a", b"%d" % number)) for number in range(3)])
    _, ops = world.broker.log.drain()
    assert [op.queue for op in ops] == ["/dsub/x"] * 3 and len({op.group for op in ops}) == 1
    world.broker.room = 1500
    with pytest.raises(Refused, match="full"):
        world.send("/topic/a", bytes(1000))


def test_what_waits_is_paged_like_any_queue(stored_world: Any, new_client: Any) -> None:
    world, client = stored_world, new_client()
    world.unsubscribe(world.subscribe(client, "/topic/a", durable="x"))
    world.broker.window.count = 2
    for number in range(50):
        world.send("/topic/a", b"%d" % number)
    assert world.broker.queues["/dsub/x"].paged > 30
    world.restart()
    world.subscribe(client, "/topic/a", durable="x")
    assert client.take() == [b"%d" % number for number in range(50)]


def test_groups_of_a_virtual_topic_have_a_queue_each(world: Any, new_client: Any) -> None:
    client = new_client()
    queues = [
        "/queue/Consumer.A.VirtualTopic.X",
        "/queue/Consumer.B.VirtualTopic.X",
        "/queue/Consumer.C.VirtualTopic.>",
    ]
    world.send("/topic/VirtualTopic.X", b"too early")
    for queue in queues:
        world.unsubscribe(world.subscribe(client, queue))
    direct = world.subscribe(client, "/topic/VirtualTopic.X")
    world.send("/topic/VirtualTopic.X", b"1")
    assert client.take() == [b"1"]
    world.unsubscribe(direct)
    world.restart()
    world.send("/topic/VirtualTopic.Y", b"2")
    world.send("/topic/VirtualTopic.X", b"3")
    numbers = set()
    for queue in queues:
        subscription = world.subscribe(client, queue)
        numbers |= {message.number for _, message in client.got}
        wanted = [b"1", b"2", b"3"] if queue == queues[2] else [b"1", b"3"]
        assert client.take() == wanted
        world.unsubscribe(subscription)
    assert len(numbers) == 7
    assert max(numbers) <= world.broker.number  # names of messages, without the lane of their keys
    world.broker.delete(world.broker.queue(queues[0]))
    assert queues[0] not in world.broker.fanout.durables.fed
    world.restart()
    world.send("/topic/VirtualTopic.X", b"4")
    world.subscribe(client, queues[0])
    assert client.take() == []


def test_what_cannot_be_read_after_a_restart_is_told_and_harms_nothing(
    stored_world: Any, new_client: Any
) -> None:
    world, client = stored_world, new_client()
    for name, selector in (("x", "n = 1"), ("y", "n = 2")):
        world.unsubscribe(world.subscribe(client, "/topic/a", durable=name, selector=selector))
    world.send("/topic/a", b"1", headers={"n": "1"})
    world.commit()
    entries = list(world.stored.pop("$stompserver/durables").values())
    entries[0].extras["selector"] = "n ="
    world.start()
    (problem,) = world.broker.recall("$stompserver/durables", entries)
    assert "/dsub/x" in problem
    world.send("/topic/a", b"2", headers={"n": "2"})
    for queue in ("/dsub/x", "/dsub/y"):
        world.subscribe(client, queue)
    assert client.take() == [b"1", b"2"]
    assert world.broker.recall("$stompserver/from-the-future", []) != []
