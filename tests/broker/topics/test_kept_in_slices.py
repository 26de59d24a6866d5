"""What topics kept is looked through in slices, in its order, however much it is and whatever a selector costs."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics.mailbox import ASKED, PAGE, PAGES

COSTLY = " or ".join(f"n = '{number}'" for number in range(500, 1000))
"""A selector of some thousand units, that takes what has one of these as its ``n``."""


def turns(world: Any) -> int:
    """Until nothing is due; how many that were."""
    count = 0
    while world.broker.deadlines.next() is not None:
        world.pass_time(1)
        count += 1
        assert count < 5000
    return count


@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL])
def test_retained_messages_for_a_costly_selector(memory_world: Any, new_client: Any, mode: int) -> None:
    """New ones, of the same topics too, come behind those that were kept."""
    world = memory_world
    for number in range(100):
        n = 500 + number if number % 2 else number
        world.send(f"/topic/{number}", b"%d" % number, retain="set", headers={"n": str(n)})
    client = new_client()
    subscription = world.subscribe(client, "/topic/*", mode, selector=COSTLY)
    at_once = len(client.got)
    cost = subscription.queue.selector.cost
    assert at_once <= ASKED // cost + 1
    world.send("/topic/1", b"new", headers={"n": "501"})
    assert len(client.got) == at_once
    assert turns(world) >= 100 * cost // ASKED - 1
    assert client.take() == [b"%d" % number for number in range(1, 100, 2)] + [b"new"]
    world.send("/topic/1", b"newer", headers={"n": "501"})
    assert client.take() == [b"newer"]
    world.broker.drop(client)
    turns(world)
    assert world.broker.memory.used == world.broker.memory.retained.used


def test_a_long_one_keeps_no_other_waiting(memory_world: Any, new_client: Any) -> None:
    """Ten with a costly selector do not keep one with a cheaper one waiting until they are done."""
    world = memory_world
    for number in range(2000):
        n = 500 + number % 2
        world.send(f"/topic/{number}", b"%d" % number, retain="set", headers={"n": str(n)})
    costly = [new_client() for _ in range(10)]
    for client in costly:
        world.subscribe(client, "/topic/*", selector=COSTLY)
    cheap = new_client()
    subscription = world.subscribe(
        cheap, "/topic/*", selector=COSTLY.replace("500", "501")[:200].rpartition(" or")[0]
    )
    assert subscription.queue is not None, "it is filled in slices, too"
    world.send("/topic/7", b"new", headers={"n": "501"})
    count = 0
    while not cheap.got:
        world.pass_time(1)
        count += 1
        assert count < 300
    # Its own is in order and whole, and so is what the others get.
    turns(world)
    odd = [b"%d" % number for number in range(1, 2000, 2)]
    assert cheap.take() == [*odd, b"new"]
    for client in costly:
        assert client.take() == [*(b"%d" % number for number in range(2000)), b"new"]


def test_the_subscriber_leaves_before_all_is_asked(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    for number in range(100):
        world.send(f"/topic/{number}", b"%d" % number, retain="set", headers={"n": "500"})
    client = new_client()
    subscription = world.subscribe(client, "/topic/*", selector=COSTLY)
    got = len(client.got)
    world.unsubscribe(subscription)
    assert turns(world) <= 3
    assert len(client.got) == got


def test_a_cheap_selector_is_asked_at_once_and_needs_no_queue(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    for number in range(100):
        world.send(f"/topic/{number}", b"%d" % number, retain="set", headers={"n": str(number)})
    client = new_client()
    subscription = world.subscribe(client, "/topic/*", selector="n = '7'")
    assert client.take() == [b"7"] and subscription.queue is None


@pytest.mark.parametrize(("selector", "most"), [("n = 'none'", PAGE * PAGES), (COSTLY, 10)])
def test_a_replay_of_which_a_selector_takes_nothing(
    memory_world: Any, new_client: Any, selector: str, most: int
) -> None:
    world = memory_world
    world.policies(given={"/topic/h.>": {"history_messages": 10_000}})
    count = 3 * PAGE * PAGES if most > 10 else 100
    for number in range(count):
        world.send("/topic/h.a", b"%d" % number, headers={"n": "499"})
    client = new_client()
    subscription = world.subscribe(client, "/topic/h.a", selector=selector, replay="first")
    box = subscription.queue
    seen = [box.replay.steps]
    while box.replay is not None:
        world.pass_time(1)
        if box.replay is not None:
            seen.append(box.replay.steps)
    assert len(seen) >= count // most
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) <= most + 2
    world.send("/topic/h.a", b"new", headers={"n": "none" if most > 10 else "500"})
    assert client.take() == ([b"new"])


def test_what_is_sent_while_a_replay_is_looked_through(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    world.policies(given={"/topic/h.>": {"history_messages": 10_000}})
    count = 2 * PAGE * PAGES
    for number in range(count):
        world.send("/topic/h.a", b"%d" % number)
    client = new_client()
    world.subscribe(client, "/topic/h.a", replay="first")
    assert len(client.got) == PAGE * PAGES
    world.send("/topic/h.a", b"new")
    assert len(client.got) == PAGE * PAGES
    turns(world)
    assert client.take() == [*[b"%d" % number for number in range(count)], b"new"]


def test_a_replay_of_many_topics_looks_at_each_message_once(memory_world: Any, new_client: Any) -> None:
    """All of them together in the order in which they were sent."""
    world = memory_world
    world.policies(given={"/topic/h.>": {"history_messages": 100}})
    for number in range(4000):
        world.send(f"/topic/h.{number * 7 % 200}", b"%d" % number)
    client = new_client()
    client.room = 1
    subscription = world.subscribe(client, "/topic/h.*", replay="first")
    replay = subscription.queue.replay
    client.ready, client.room = True, None
    world.broker.resume(client)
    turns(world)
    assert client.take() == [b"%d" % number for number in range(4000)]
    # Those that have nothing more are looked at once for each of the last pages.
    assert replay.steps <= 4000 + 10 * 200


def test_messages_that_a_history_forgot_meanwhile(memory_world: Any, new_client: Any) -> None:
    world = memory_world
    world.policies(given={"/topic/h.>": {"history_messages": 100}})
    for number in range(200):
        world.send(f"/topic/h.{number % 2}", b"%d" % number)
    client = new_client()
    client.room = 10
    subscription = world.subscribe(client, "/topic/h.*", replay="first")
    for number in range(200, 260):
        world.send("/topic/h.0", b"%d" % number)
    client.ready, client.room = True, None
    world.broker.resume(client)
    got = [int(body) for body in client.take()]
    read = list(range(PAGE))
    left = [n for n in range(PAGE, 200) if n % 2 or n >= 120]
    assert got == [*read, *left, *range(200, 260)]
    assert subscription.queue.replay is None
