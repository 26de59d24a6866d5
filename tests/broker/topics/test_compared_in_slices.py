"""Patterns are compared with what many topics kept in slices, and what topics forget goes in slices, too."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics.mailbox import ASKED

LEVELS = ".l" * 60
PATTERN = "/topic/h" + ".*" * 61
EFFORT = 9
"""Units of work, at least, that a name with so many levels counts for."""

HISTORY = {"/topic/h.>": {"history_messages": 100}}


def name(number: int) -> str:
    return f"/topic/h.{number}{LEVELS}"


@pytest.fixture
def asker(new_client: Any) -> Any:
    """A client that counts in ``asked`` how often it was asked about a name that fits."""

    class Asker(new_client):  # type: ignore[misc]  # a fixture gives the class
        asked = 0

        def may_consume(self, name: str) -> bool:
            Asker.asked += 1
            return True

    return Asker()


def parts(world: Any, count: Callable[[], int], then: Callable[[], Any] = lambda: None) -> list[int]:
    """How much ``count`` grows or shrinks in each turn, until nothing is due."""
    counts = [count()]
    while world.broker.deadlines.next() is not None:
        world.pass_time(1)
        then()
        counts.append(count())
        assert len(counts) < 1000
    return [abs(after - before) for before, after in pairwise(counts)]


@pytest.mark.parametrize(("mode", "many"), [(INDIVIDUAL, 1000), (AUTO, 2300)])
def test_retained_messages_of_topics_with_many_levels(
    memory_world: Any, asker: Any, mode: int, many: int
) -> None:
    world = memory_world
    for number in range(many):
        world.send(name(number), b"%d" % number, retain="set")
    world.subscribe(asker, PATTERN, mode)
    first = asker.asked
    world.send(name(many - 1), b"new", retain="set")
    again = asker.asked
    all_parts = [first, *parts(world, lambda: asker.asked)]
    assert max(all_parts) <= ASKED // EFFORT + 1
    # Each topic once, and once for the new message.
    assert sum(all_parts) + again - first >= many - 1
    got = asker.take()
    assert got == [*[b"%d" % number for number in range(many - 1)], b"new"]


def test_a_replay_of_many_topics_with_many_levels(memory_world: Any, asker: Any) -> None:
    world, many = memory_world, 1000
    world.policies(given=HISTORY)
    for number in range(many):
        world.send(name(number), b"%d" % number)
    world.subscribe(asker, PATTERN, replay="first")
    first = asker.asked
    all_parts = [first, *parts(world, lambda: asker.asked)]
    assert max(all_parts) <= ASKED // EFFORT + 1 and sum(all_parts) == many
    assert asker.take() == [b"%d" % number for number in range(many)]


@pytest.mark.parametrize(
    ("replay", "kept"),
    [("next", 0), ("last", 1), ("offset=2", 0), ("offset=1", 1), ("timestamp=9999999999", 0)],
)
def test_where_a_replay_starts_is_known_when_it_is_asked_for(
    memory_world: Any, asker: Any, replay: str, kept: int
) -> None:
    """Though it comes to the last histories some turns later, and they have more then."""
    world, many = memory_world, 600
    world.policies(given=HISTORY)
    for number in range(2 * many):
        world.send(name(number % many), b"%d" % number)
    world.subscribe(asker, PATTERN, replay=replay)
    assert asker.asked < many
    for number in range(many):
        world.send(name(number), b"new %d" % number)
    parts(world, lambda: 0)
    old = [b"%d" % number for number in range(many, 2 * many)] if kept else []
    assert asker.take() == old + [b"new %d" % number for number in range(many)]


def test_without_a_history_that_fits_retained_messages_come(memory_world: Any, asker: Any) -> None:
    world, many = memory_world, 600
    world.policies(given=HISTORY)
    for number in range(many):
        world.send(name(number), b"%d" % number)
    world.send("/topic/r" + LEVELS, b"retained", retain="set")
    subscription = world.subscribe(asker, "/topic/r" + ".*" * 60, replay="first")
    parts(world, lambda: 0)
    assert asker.take() == [b"retained"] and subscription.queue.replay is None


def test_what_is_too_old_at_the_same_moment(world: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_age": 60_000}})
    many = 4 * BUDGET
    for number in range(many):
        world.send(f"/topic/h.{number % 2}", b"")
    histories = world.broker.fanout.histories

    def count() -> int:
        return sum(len(history) for history in histories.values())

    world.pass_time(59_999)
    world.pass_time(1)
    assert many - count() <= BUDGET
    all_parts = parts(world, count)
    assert max(all_parts) <= BUDGET and count() == 2
    world.commit()
    assert not world.kept or all(len(world.stored[history.queue]) == 1 for history in histories.values())


def test_one_message_after_which_much_is_too_old(world: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_messages": 4 * BUDGET}})
    for _ in range(4 * BUDGET):
        world.send("/topic/h.a", b"")
    world.policies(given={"/topic/h.>": {"history_messages": 10}})
    history = world.broker.fanout.histories["/topic/h.a"]
    world.send("/topic/h.a", b"")
    assert len(history) > 3 * BUDGET
    assert max(parts(world, lambda: len(history))) <= BUDGET and len(history) == 10


def test_a_long_history_that_gives_way_to_others(world: Any, new_client: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_messages": 10_000}})
    memory = world.broker.memory
    for number in range(3 * BUDGET):
        world.send("/topic/h.a", b"%d" % number)
    client = new_client()
    client.room = 1
    world.subscribe(client, "/topic/h.*", replay="first")
    memory.resize(memory.histories.used * 4 - 1000)
    assert memory.histories.exceeded
    position = world.broker.log.position
    world.send("/topic/h.b", b"b")
    assert world.broker.log.position - position < 10
    assert list(world.broker.fanout.histories) == ["/topic/h.b"] and not memory.histories.exceeded
    world.send("/topic/h.a", b"again")
    client.ready, client.room = True, None
    world.broker.resume(client)
    parts(world, lambda: 0)
    assert client.take()[-2:] == [b"b", b"again"]
    world.broker.drop(client)
    assert memory.used == memory.histories.used
    world.restart()
    histories = world.broker.fanout.histories
    assert [message.body for message in histories["/topic/h.a"].messages] == [b"again"]


def test_changes_of_patterns_count_as_work(memory_world: Any, new_client: Any) -> None:
    """What is let go of then, and what a SEND has to find again."""
    world, client = memory_world, new_client()
    subscription = world.subscribe(client, "/topic/a.*")
    for number in range(800):
        world.send(f"/topic/a.{number}", b"")
    before = world.broker.work
    world.unsubscribe(subscription)
    assert world.broker.work - before >= 100
    for number in range(100):
        world.subscribe(client, f"/topic/b.#.{'.'.join('x' * 30)}.{number}.#")
    before = world.broker.work
    world.send(f"/topic/b.{'.'.join('x' * 40)}", b"")
    assert world.broker.work - before >= 100
