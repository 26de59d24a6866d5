"""Transactions at each limit: what just fits is done, one message more leaves nothing, after a restart too."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import ACK, NACK, SEND, Action
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.broker.topics import fanout, retained
from stompserver.errors import Refused

REJECT = {"overflow": "reject"}


def sends(world: Any, *each: tuple[str, bytes], **given: Any) -> list[Action]:
    return [Action(SEND, world.message(name, body, **given)) for name, body in each]


def commit(world: Any, actions: list[Action], sender: Any = None) -> None:
    world.broker.apply(actions, sender)
    world.feed()


def refused(world: Any, actions: list[Action], why: str) -> None:
    """All of ``actions`` is refused, and nothing of it is there, nor logged."""
    before = {name: queue.waiting for name, queue in world.broker.queues.items()}
    position = world.broker.log.position
    with pytest.raises(Refused, match=why):
        world.broker.apply(actions)
    assert {name: queue.waiting for name, queue in world.broker.queues.items()} == before
    assert world.broker.log.position == position


def waiting(world: Any, name: str) -> list[bytes]:
    """What waits in a queue after a restart: a consumer gets it and goes without settling it."""
    world.restart()
    if name not in world.broker.queues:
        return []
    client = world.client()
    world.subscribe(client, name, INDIVIDUAL)
    world.broker.drop(client)
    found: list[bytes] = client.take()
    return found


def durable(world: Any, topic: str, name: str = "d", **wishes: Any) -> None:
    client = world.client()
    world.unsubscribe(world.subscribe(client, topic, INDIVIDUAL, durable=name, **wishes))


@pytest.fixture(params=["memory", "store"])
def world(request: pytest.FixtureRequest, new_world: Any, new_client: Any) -> Any:
    made = new_world(request.param == "store")
    made.client = new_client
    return made


# Queues of durable subscriptions and of virtual topics


def test_copies_for_a_durable_subscription_add_up(world: Any) -> None:
    world.policies(given={"/dsub/*": {"max_messages": 2, **REJECT}})
    durable(world, "/topic/t")
    three = [("/topic/t", b"1"), ("/topic/t", b"2"), ("/topic/t", b"3")]
    refused(world, sends(world, *three), "Queue /dsub/d is full")
    assert waiting(world, "/dsub/d") == []
    commit(world, sends(world, *three[:2]))
    assert waiting(world, "/dsub/d") == [b"1", b"2"]
    refused(world, sends(world, ("/topic/t", b"4")), "full")


def test_a_refused_transaction_leaves_limits_on(world: Any) -> None:
    world.policies(
        given={"/dsub/*": {"max_messages": 1, **REJECT}, "/queue/q": {"max_messages": 1, **REJECT}}
    )
    durable(world, "/topic/t")
    world.send("/queue/q", b"first")
    refused(world, sends(world, ("/topic/t", b"1"), ("/topic/t", b"2")), "Queue /dsub/d is full")
    for _ in range(3):
        with pytest.raises(Refused, match="Queue /queue/q is full"):
            world.send("/queue/q", b"more")
    world.send("/queue/other", b"alone")
    assert {op.group for op in world.broker.log.drain()[1][-1:]} <= {0}


def test_bytes_for_a_durable_subscription_add_up(world: Any) -> None:
    two = sends(world, ("/topic/t", b"1"), ("/topic/t", b"2"))
    # What our memory takes beside a message does not count against a policy's bytes.
    most = 2 * (two[0].message.size - OVERHEAD)
    world.policies(given={"/dsub/*": {"max_bytes": most, **REJECT}})
    durable(world, "/topic/t")
    two[1].message.size += 1
    refused(world, two, "full")
    two[1].message.size -= 1
    commit(world, two)
    assert waiting(world, "/dsub/d") == [b"1", b"2"]


def test_a_topic_and_its_consumer_group_fill_one_queue(world: Any) -> None:
    group = "/queue/Consumer.g.VirtualTopic.t"
    world.policies(given={"/queue/>": {"max_messages": 2, **REJECT}})
    world.unsubscribe(world.subscribe(world.client(), group, INDIVIDUAL))
    mixed = [("/topic/VirtualTopic.t", b"1"), (group, b"2"), ("/topic/VirtualTopic.t", b"3")]
    refused(world, sends(world, *mixed), "Consumer")
    commit(world, sends(world, *mixed[:2]))
    assert waiting(world, group) == [b"1", b"2"]


def test_only_what_a_durable_subscription_selects_takes_room(world: Any) -> None:
    world.policies(given={"/dsub/*": {"max_messages": 1, **REJECT}})
    durable(world, "/topic/t", selector="x = 'yes'")
    mine = sends(world, ("/topic/t", b"1"), ("/topic/t", b"2"), headers={"x": "no"})
    mine += sends(world, ("/topic/t", b"3"), headers={"x": "yes"})
    commit(world, mine)
    assert waiting(world, "/dsub/d") == [b"3"]


def test_a_selector_by_the_time_to_live_of_the_policy_is_counted(world: Any) -> None:
    world.policies(given={"/dsub/*": {"max_messages": 1, **REJECT}, "/topic/t": {"ttl": 60_000}})
    durable(world, "/topic/t", selector="JMSExpiration > 0")
    refused(world, sends(world, ("/topic/t", b"1"), ("/topic/t", b"2")), "full")


def test_several_durable_subscriptions_are_one_transaction(world: Any) -> None:
    world.policies(given={"/dsub/full": {"max_messages": 1, **REJECT}})
    durable(world, "/topic/t", "free")
    durable(world, "/topic/>", "full")
    refused(world, sends(world, ("/topic/t", b"1"), ("/topic/u", b"2")), "/dsub/full")
    assert waiting(world, "/dsub/free") == []


# What topics keep


def test_new_retained_messages_add_up(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "MOST", 2)
    names = ["/topic/a", "/topic/b", "/topic/c"]
    three = sends(world, *[(name, b"x") for name in names], retain="set")
    refused(world, three, "Too many topics have a retained message")
    # The same topic needs one place, however often.
    commit(world, sends(world, *[("/topic/a", b"1"), ("/topic/b", b"2"), ("/topic/a", b"3")], retain="set"))
    world.restart()
    client = world.client()
    world.subscribe(client, "/topic/>")
    assert sorted(client.take()) == [b"2", b"3"]


def test_a_retained_message_that_goes_makes_no_room_for_another(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "MOST", 1)
    world.send("/topic/a", b"old", retain="set")
    change = sends(world, ("/topic/a", b""), retain="remove") + sends(
        world, ("/topic/b", b"new"), retain="set"
    )
    refused(world, change, "Too many topics")
    commit(world, change[:1])
    commit(world, sends(world, ("/topic/b", b"new"), retain="set"))


def test_a_refused_transaction_takes_no_history_from_others(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "HISTORIES", 1)
    world.policies(
        given={"/topic/*": {"history_messages": 5}, "/queue/q": {"max_messages": 1, **REJECT}},
    )
    world.send("/topic/a", b"kept")
    refused(world, sends(world, ("/topic/b", b"1"), ("/queue/q", b"2"), ("/queue/q", b"3")), "full")
    world.restart()
    client = world.client()
    world.subscribe(client, "/topic/a", replay="first")
    assert client.take() == [b"kept"]
    commit(world, sends(world, ("/topic/b", b"1")))
    assert list(world.broker.fanout.histories) == ["/topic/b"]


# Room in the storage


@pytest.mark.parametrize("persistent", [True, False])
def test_every_copy_takes_room_in_the_storage(world: Any, persistent: bool) -> None:
    world.policies(given={"/topic/h": {"history_messages": 5}})
    durable(world, "/topic/d", "one")
    durable(world, "/topic/d", "two")
    made = sends(world, ("/queue/q", b""), ("/topic/d", b""), ("/topic/h", b""), persistent=persistent)
    made += sends(world, ("/topic/r", b""), retain="set", persistent=persistent)
    size = made[0].message.size
    # What topics keep is kept whatever its sender wished.
    copies = (1 + 2 if persistent else 0) + 1 + 1
    world.broker.room = copies * size - 1
    refused(world, made, "storage is full")
    world.broker.room = copies * size
    commit(world, made)


def test_messages_for_later_add_up(world: Any) -> None:
    later = [Action(SEND, world.message("/queue/q"), plan=Plan(0, 1000)) for _ in range(3)]
    world.broker.rules.max_scheduled = 2
    refused(world, later, "Too many scheduled")
    world.broker.room = later[0].message.size * 2 - 1
    refused(world, later[:2], "storage is full")
    world.broker.room = later[0].message.size * 2
    commit(world, later[:2])
    assert len(world.broker.schedule.entries) == 2


# Queues


def test_new_queues_add_up(world: Any) -> None:
    world.broker.rules.max_queues = 2
    refused(world, sends(world, ("/queue/a", b"1"), ("/queue/b", b"2"), ("/queue/c", b"3")), "Too many")
    assert not world.broker.queues
    commit(world, sends(world, ("/queue/a", b"1"), ("/queue/b", b"2"), ("/queue/a", b"3")))
    assert waiting(world, "/queue/a") == [b"1", b"3"]


def test_a_dead_letter_queue_made_meanwhile_takes_no_queue_from_the_transaction(world: Any) -> None:
    world.rules["max_queues"] = 2
    world.policies(given={"/queue/q": {"deadletter": "/queue/dead"}})
    client = world.client()
    world.subscribe(client, "/queue/q", INDIVIDUAL)
    world.send("/queue/q", b"bad")
    (bad,) = client.deliveries.values()
    commit(world, [Action(NACK, None, bad, requeue=False), *sends(world, ("/queue/new", b"good"))], client)
    client.deliveries.clear()
    assert sorted(world.broker.queues) == ["/queue/dead", "/queue/new", "/queue/q"]
    assert waiting(world, "/queue/dead") == [b"bad"]
    assert waiting(world, "/queue/new") == [b"good"]


def test_what_is_acknowledged_makes_no_room_in_its_own_transaction(world: Any) -> None:
    world.policies(given={"/queue/q": {"max_bytes": 3, **REJECT}})
    client = world.client()
    world.subscribe(client, "/queue/q", INDIVIDUAL)
    world.send("/queue/q", b"old")
    (delivery,) = client.deliveries.values()
    refused(world, [Action(ACK, None, delivery), *sends(world, ("/queue/q", b"new"))], "full")
    commit(world, [Action(ACK, None, delivery)])
    commit(world, sends(world, ("/queue/q", b"new")))


# What takes no room


def test_duplicates_take_no_room(world: Any) -> None:
    world.policies(given={"/queue/q": {"max_messages": 2, "duplicate_window": 10, **REJECT}})

    def with_id(body: bytes, id: str) -> Action:
        message = world.message("/queue/q", body)
        message.extras = {"dedup": id}
        return Action(SEND, message)

    commit(world, [with_id(b"1", "a")])
    commit(world, [with_id(b"1 again", "a"), with_id(b"2", "b"), with_id(b"2 again", "b")])
    assert waiting(world, "/queue/q") == [b"1", b"2"]
    refused(world, [with_id(b"3", "c")], "full")


def test_a_duplicate_is_one_although_its_id_is_forgotten_meanwhile(world: Any) -> None:
    """The window has one id: a SEND before it in the transaction pushes it out."""
    world.policies(given={"/queue/q": {"max_messages": 2, "duplicate_window": 1, **REJECT}})

    def with_id(body: bytes, id: str) -> Action:
        message = world.message("/queue/q", body)
        message.extras = {"dedup": id}
        return Action(SEND, message)

    commit(world, [with_id(b"1", "a")])
    commit(world, [with_id(b"2", "b"), with_id(b"1 again", "a")])
    assert waiting(world, "/queue/q") == [b"1", b"2"]


def test_what_is_too_late_takes_no_room(world: Any) -> None:
    world.policies(
        given={
            "/queue/q": {"max_messages": 1, "expired": "deadletter", "deadletter": "/queue/dead", **REJECT}
        }
    )
    late = sends(world, ("/queue/q", b"late"))
    late[0].message.expires = world.now
    commit(world, [*late, *sends(world, ("/queue/q", b"in time"))])
    assert waiting(world, "/queue/q") == [b"in time"]
    assert waiting(world, "/queue/dead") == [b"late"]


def test_a_last_value_needs_room_before_it_takes_the_place_of_another(world: Any) -> None:
    """As a SEND alone does."""
    world.policies(given={"/queue/q": {"max_messages": 1, "last_value": "key", **REJECT}})
    two = sends(world, ("/queue/q", b"1"), ("/queue/q", b"2"), headers={"key": "k"})
    refused(world, two, "full")
    commit(world, two[:1])
    with pytest.raises(Refused):
        world.broker.send(two[1].message)


# Errors in the middle


def test_an_error_in_the_middle_leaves_nothing_switched(world: Any) -> None:
    world.policies(given={"/queue/q": {"max_messages": 1, **REJECT}})

    class Broken(world.client):  # type: ignore[name-defined, misc]  # a fixture gives the class
        def deliver(self, subscription: Any, message: Message) -> None:
            raise ZeroDivisionError

    world.subscribe(Broken(), "/topic/t")
    with pytest.raises(ZeroDivisionError):
        world.broker.apply(sends(world, ("/queue/q", b"1"), ("/topic/t", b"2")))
    with pytest.raises(Refused):
        world.send("/queue/q", b"3")
    world.broker.log.drain()
    world.send("/queue/other", b"4")
    assert [op.group for op in world.broker.log.drain()[1]] in ([], [0])
