"""A new durable subscription begins with what its topics kept: in slices, all of it or nothing, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from stompserver.broker.names.durable import QUEUE_NAME, Key
from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics import filling
from stompserver.broker.topics.mailbox import ASKED
from stompserver.errors import Refused
from stompserver.manage import queues
from stompserver.manage.delete import Delete

MANY = 100
PART = 10
TOPIC = "/topic/h.a"

COSTLY = " or ".join(f"n = '{number}'" for number in range(500, 1000))
"""A selector of some thousand units, that takes what has one of these as its ``n``."""


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "COPIES", PART)


@pytest.fixture
def kept(world: Any) -> Any:
    """A world with a topic that kept MANY."""
    return keep(world)


def keep(world: Any, messages: int = 10_000) -> Any:
    world.policies(given={"/topic/h.>": {"history_messages": messages}})
    for number in range(MANY):
        world.send(TOPIC, b"%d" % number, headers={"n": str(500 + number % 2)})
    world.commit()
    return world


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


def turns(world: Any, entering: Any, then: Callable[[int], Any] = lambda turn: None) -> int:
    """Until nobody waits for ``entering``; how many that were. After each one ``then`` is called."""
    count = 0
    while entering.waiting:
        world.pass_time(1)
        world.feed()
        count += 1
        then(count)
        assert count < 1000
    return count


def settled(world: Any) -> None:
    """Nothing is under way."""
    while world.broker.deadlines.next() is not None:
        world.pass_time(1)
    world.commit()
    assert not world.broker.log.held


def test_what_is_copied_at_once_is_bounded(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    seen = [world.broker.log.position]
    entering = world.begin(client, TOPIC, INDIVIDUAL, durable="x", replay="first")
    assert turns(world, entering, lambda _: seen.append(world.broker.log.position)) >= MANY // PART
    # And what binds it.
    assert max(after - before for before, after in pairwise(seen)) <= PART + 3
    assert client.take() == numbers(0, MANY)
    world.send(TOPIC, b"new")
    assert client.take() == [b"new"]


def test_what_is_asked_at_once_is_bounded(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    selector = COSTLY.replace("'501'", "'0'")
    entering = world.begin(client, TOPIC, durable="x", retroactive=True, selector=selector)
    cost = entering.subscription.wish.selector.cost
    assert turns(world, entering) >= MANY * cost // ASKED - 1
    assert client.take() == numbers(0, MANY)[::2]


def test_a_little_is_copied_at_once(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    entering = world.begin(client, TOPIC, durable="x", replay=f"offset={MANY - PART}")
    assert not entering.waiting and client.take() == numbers(MANY - PART, MANY)


def test_what_is_sent_meanwhile_comes_behind_once_and_in_order(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    entering = world.begin(client, TOPIC, durable="x", replay="first")
    count = turns(world, entering, lambda turn: world.send(TOPIC, b"%d" % (MANY + turn - 1)))
    assert client.take() == numbers(0, MANY + count)
    world.broker.drop(client)
    world.restart()
    world.send(TOPIC, b"later")
    world.subscribe(client := new_client(), TOPIC, durable="x", replay="first")
    assert client.take() == [b"later"]
    world.broker.drop(client)
    settled(world)
    assert world.broker.memory.used == world.broker.memory.histories.used


def test_what_the_history_forgot_meanwhile_is_there(world: Any, new_client: Any) -> None:
    """From when it was found on: the copies, and what was sent while they were made."""
    client = new_client()
    keep(world, MANY)
    entering = world.begin(client, TOPIC, durable="x", replay="first")
    world.pass_time(1)
    for number in range(MANY, 3 * MANY):
        world.send(TOPIC, b"%d" % number)
    turns(world, entering)
    assert client.take() == numbers(0, 3 * MANY)


def test_a_kill_between_slices_leaves_nothing_of_it(new_world: Any, new_client: Any) -> None:
    at = 0
    while True:
        world = keep(new_world(True))
        entering = world.begin(new_client(), TOPIC, durable="x", replay="first")
        for _ in range(at):
            world.pass_time(1)
            world.commit()
        if not entering.waiting:
            break
        # The sender gets no receipt before it is there for all it is meant for.
        number = world.send(TOPIC, b"%d" % MANY)
        world.commit()
        sure = world.broker.log.durable >= number
        world.restart()
        assert not world.broker.fanout.durables.fed and "/dsub/x" not in world.broker.queues
        world.subscribe(client := new_client(), TOPIC, durable="x", replay="first")
        assert client.take() == numbers(0, MANY + sure)
        at += 1
    assert at >= MANY // PART


@pytest.mark.parametrize("at", [0, 1, 5])
def test_the_client_goes_meanwhile(kept: Any, new_client: Any, at: int) -> None:
    world, client = kept, new_client()
    before = world.broker.memory.used + world.broker.memory.fixed
    entering = world.begin(client, TOPIC, durable="x", replay="first")
    for _ in range(at):
        world.pass_time(1)
        world.send(TOPIC, b"x" * at)
    entering.lost = True
    settled(world)
    assert not world.broker.fanout.durables.fed and "/dsub/x" not in world.broker.queues
    grown = sum(message.size for message in world.broker.fanout.histories[TOPIC].messages[MANY:])
    assert world.broker.memory.used + world.broker.memory.fixed == before + grown
    assert not world.kept or not world.stored.get("/dsub/x")


def test_the_client_goes_while_another_is_on_it(kept: Any, new_client: Any) -> None:
    world, other = kept, new_client()
    entering = world.begin(new_client(), TOPIC, durable="x", replay="first")
    world.pass_time(1)
    world.subscribe(other, TOPIC, durable="x")
    entering.lost = True
    settled(world)
    world.send(TOPIC, b"%d" % MANY)
    assert other.take() == numbers(0, MANY + 1)


def test_several_that_begin_it_at_once_share_it(kept: Any, new_client: Any) -> None:
    world = kept
    clients = [new_client() for _ in range(3)]
    all_of_them = [
        world.begin(client, TOPIC, INDIVIDUAL, 1, durable="x", replay="first") for client in clients
    ]
    for entering in all_of_them:
        turns(world, entering)
    for client in clients:
        assert len(client.got) == 1
        world.broker.drop(client)
    world.subscribe(last := new_client(), TOPIC, durable="x")
    assert sorted(last.take(), key=int) == numbers(0, MANY)
    assert len(world.broker.fanout.durables.fed) == 1


def test_another_wish_for_it_meanwhile(kept: Any, new_client: Any) -> None:
    world, one, two = kept, new_client(), new_client()
    entering = world.begin(one, TOPIC, durable="x", replay="first")
    world.pass_time(1)
    other = world.begin(two, "/topic/h.b", durable="x", replay="first")
    assert not other.waiting and "others are subscribed" in other.warning
    with pytest.raises(Refused, match="in use"):
        world.broker.forget_durable("x")
    turns(world, entering)
    got = one.take() + two.take()
    assert sorted(got, key=int) == numbers(0, MANY)


def test_it_is_deleted_meanwhile(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    entering = world.begin(client, TOPIC, durable="x", replay="first")
    world.pass_time(1)
    world.send(TOPIC, b"new")
    world.broker.delete(world.broker.queues["/dsub/x"])
    turns(world, entering)
    assert "was deleted" in str(entering.error)
    settled(world)
    assert world.broker.memory.used == world.broker.memory.histories.used
    assert not world.broker.fanout.durables.fed and not client.got


@pytest.mark.parametrize("at", [0, 1])
def test_there_is_no_room_for_all_of_it(kept: Any, new_client: Any, at: int) -> None:
    """What there was of it before is there still."""
    world, client = kept, new_client()
    world.unsubscribe(world.subscribe(client, "/topic/b", durable="x"))
    world.send("/topic/b", b"old")
    memory = world.broker.memory
    room = 1 << 40
    if at:
        room = MANY * 1200 // 2
    else:
        memory.limit = memory.used + memory.fixed + MANY * 1200 // 2
    before = memory.used
    world.broker.room = room
    with pytest.raises(Refused) as refused:
        world.begin(client, TOPIC, durable="x", replay="first")
    assert ("full" if at else "memory") in str(refused.value)
    assert memory.used == before
    world.broker.room, memory.limit = 1 << 40, 1 << 40
    world.restart()
    world.subscribe(client, "/topic/b", durable="x")
    assert client.take() == [b"old"]


def test_there_is_no_room_any_more_in_the_middle(kept: Any, new_client: Any) -> None:
    world = kept
    memory = world.broker.memory
    entering = world.begin(new_client(), TOPIC, durable="x", replay="first", selector=COSTLY)
    world.pass_time(1)
    memory.limit = memory.used + memory.fixed + 5000
    turns(world, entering)
    assert "memory" in str(entering.error)
    assert memory.used == memory.histories.used and "/dsub/x" not in world.broker.queues


def test_lists_of_what_is_looked_at_count(world: Any, new_client: Any) -> None:
    many = 200
    for number in range(many):
        world.send(f"/topic/r.{number}", retain="set")
    memory = world.broker.memory
    before = memory.used
    entering = world.begin(new_client(), "/topic/r.>", durable="x", selector=COSTLY)
    assert memory.used == before + many * filling.LISTED
    entering.lost = True
    settled(world)
    assert memory.used == before
    world.subscribe(new_client(), "/topic/r.>", durable="x", selector="n = 1")
    assert memory.used == before


def test_management_does_not_delete_it_meanwhile(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    entering = world.begin(client, TOPIC, durable="x", replay="first")
    world.pass_time(1)
    with pytest.raises(Refused, match="in use"):
        queues.delete(world.broker, "/dsub/x")
    job = Delete(world.broker, world.broker.queues["/dsub/x"])
    assert not job.step(1000)
    assert "meanwhile" in job.problem
    turns(world, entering)
    assert client.take() == numbers(0, MANY)


def test_a_changed_one_begins_anew(kept: Any, new_client: Any) -> None:
    world, client = kept, new_client()
    world.unsubscribe(world.subscribe(client, "/topic/b", durable="x"))
    world.send("/topic/b", b"old")
    entering = world.begin(client, TOPIC, durable="x", replay="first", auto_delete=True)
    turns(world, entering)
    assert client.take() == numbers(0, MANY)
    world.send("/topic/b", b"nobody's")
    assert client.take() == []
    world.unsubscribe(entering.subscription)
    assert "/dsub/x" not in world.broker.queues


def test_a_queue_with_a_name_gets_another_topic(kept: Any, new_client: Any) -> None:
    """It had messages before, and gets some that were sent to itself."""
    world, client = kept, new_client()
    key = Key(QUEUE_NAME, "q", "", ("/queue/q",))
    world.unsubscribe(world.subscribe(client, "/topic/b", durable=key))
    for name in ("/topic/b", "/queue/q"):
        world.send(name, b"old")
    entering = world.begin(client, "/topic/h.*", durable=key, replay="first")
    turns(world, entering, lambda turn: turn != 2 or world.send("/queue/q", b"own"))
    got = client.take()
    assert got[:2] == [b"old"] * 2 and [body for body in got[2:] if body != b"own"] == numbers(0, MANY)
    for name in ("/topic/b", TOPIC, "/queue/q"):
        world.send(name, b"new")
    assert client.take() == [b"new"] * 3


def test_the_server_ends_meanwhile(stored_world: Any, new_client: Any) -> None:
    world = keep(stored_world)
    world.begin(new_client(), TOPIC, INDIVIDUAL, durable="done", replay="first")
    world.pass_time(1)
    not_begun = world.begin(new_client(), TOPIC, durable="not begun", replay="first")
    world.broker.slices.finish()
    assert not not_begun.waiting
    world.restart()
    assert list(world.broker.fanout.durables.fed) == ["/dsub/done"]
    world.subscribe(client := new_client(), TOPIC, durable="done")
    assert client.take() == numbers(0, MANY)


def test_several_are_filled_one_after_the_other(kept: Any, new_client: Any) -> None:
    world = kept
    clients = [new_client() for _ in range(3)]
    all_of_them = [
        world.begin(
            client, "/topic/>", AUTO, topics=["/topic/h.*", "/topic/>"], durable=str(at), replay="first"
        )
        for at, client in enumerate(clients)
    ]
    for entering in all_of_them:
        turns(world, entering, lambda turn: world.send(TOPIC, b"sent"))
    history = [message.body for message in world.broker.fanout.histories[TOPIC].messages]
    assert [client.take() for client in clients] == [history] * 3


def test_the_limit_counts_those_that_are_under_way(kept: Any, new_client: Any) -> None:
    world = kept
    world.broker.rules.max_durables = 1
    first = world.begin(new_client(), TOPIC, durable="x", replay="first")
    second = world.begin(new_client(), TOPIC, durable="y", replay="first")
    turns(world, first)
    turns(world, second)
    assert first.error is None and "Too many" in str(second.error)


def test_retained_messages_of_many_topics(world: Any, new_client: Any) -> None:
    """What is retained meanwhile, of topics that had one or not, comes behind them."""
    client = new_client()
    for number in range(MANY):
        world.send(f"/topic/r.{number}", b"%d" % number, retain="set", headers={"n": "500"})
    entering = world.begin(client, "/topic/r.*", durable="x", selector=COSTLY)
    sent = []

    def send(turn: int) -> None:
        sent.append(b"%d" % (MANY + turn))
        world.send(f"/topic/r.{turn * 7}", sent[-1], retain="set", headers={"n": "500"})

    turns(world, entering, send)
    assert len(sent) > MANY // PART
    assert client.take() == [*numbers(0, MANY), *sent]
