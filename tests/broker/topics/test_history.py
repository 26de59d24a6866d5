"""What topics remember, and how subscriptions replay it."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics import fanout
from stompserver.errors import Refused

TEN = {"given": {"/topic/h.>": {"history_messages": 10}}}


def fill(world: Any, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        world.pass_time(60_000)
        world.send("/topic/h.a", b"%d" % number, headers={"n": str(number)})


@pytest.mark.parametrize("mode", [AUTO, INDIVIDUAL])
@pytest.mark.parametrize(
    ("replay", "wanted"),
    [
        ("first", range(2, 12)),
        ("last", [11]),
        ("next", []),
        ("offset=0", range(2, 12)),
        ("offset=9", [9, 10, 11]),
        ("7", range(7, 12)),
        ("offset=99", []),
        ("timestamp=1700000600", [9, 10, 11]),
        ("timestamp=1700000600000", [9, 10, 11]),
        ("timestamp=0", range(2, 12)),
        ("timestamp=1700000721", []),
        ("-2m", [9, 10, 11]),
        ("3m", [8, 9, 10, 11]),
        ("1D", range(2, 12)),
    ],
)
def test_a_replay_starts_where_it_is_asked_to(
    world: Any, new_client: Any, mode: int, replay: str, wanted: Any
) -> None:
    world.policies(**TEN)
    fill(world, 12)  # the last at 1,700,000,720 s
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/h.a", mode, replay=replay)
    assert client.take() == [b"%d" % number for number in wanted]
    world.send("/topic/h.a", b"new")
    (message,) = [message for _, message in client.got]
    assert (message.body, message.headers["x-stream-offset"]) == (b"new", "12")


def test_offsets_are_told_and_go_on_after_a_restart(world: Any, new_client: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_age": 60_000}})
    client = new_client()
    world.subscribe(client, "/topic/h.a")
    fill(world, 3)
    world.pass_time(3_600_000)
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/h.a", replay="first")
    assert client.take() == []
    fill(world, 2, 3)
    assert [message.headers["x-stream-offset"] for _, message in client.got] == ["3", "4"]


def test_a_replay_obeys_credit_and_meets_the_present(world: Any, new_client: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_messages": 1000}})
    fill(world, 300)
    client = new_client()
    world.subscribe(client, "/topic/h.a", INDIVIDUAL, 2, retroactive=True)
    got = client.take()
    assert got == [b"0", b"1"]
    for number in range(300, 310):
        world.send("/topic/h.a", b"%d" % number)
    queue = next(iter(client.subscriptions.values())).queue
    while client.deliveries:
        world.ack(client)
        got += client.take()
        assert queue.waiting <= 64
    assert got == [b"%d" % number for number in range(310)]
    world.send("/topic/h.a", b"310")
    assert client.take() == [b"310"]


def test_a_replay_waits_for_a_slow_socket(world: Any, new_client: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_messages": 1000}})
    fill(world, 200)
    client = new_client()
    client.room = 10
    subscription = world.subscribe(client, "/topic/h.a", retroactive=True)
    assert len(client.got) == 10 and subscription.queue.waiting <= 64
    client.ready, client.room = True, None
    world.broker.resume(client)
    assert client.take() == [b"%d" % number for number in range(200)]
    assert world.broker.topics[subscription.destination].policy.history_messages == 1000


def test_what_is_trimmed_during_a_replay_is_missed(world: Any, new_client: Any) -> None:
    world.policies(**TEN)
    fill(world, 10)
    client = new_client()
    client.room = 1
    world.subscribe(client, "/topic/h.a", retroactive=True)
    fill(world, 100, 10)
    client.ready, client.room = True, None
    world.broker.resume(client)
    assert client.take() == [b"%d" % number for number in [*range(10), *range(100, 110)]]


def test_a_pattern_replays_all_its_topics_in_the_order_of_sending(world: Any, new_client: Any) -> None:
    world.policies(**TEN)
    for number in range(12):
        world.send(f"/topic/h.{number % 3}", b"%d" % number)
    world.send("/topic/h.0", b"12", headers={"skip": "1"})
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/h.*", INDIVIDUAL, 1, replay="offset=1", selector="skip IS NULL")
    world.send("/topic/h.9", b"13")
    world.send("/topic/h.1", b"14")
    got = client.take()
    while client.deliveries:
        world.ack(client)
        got += client.take()
    assert sorted(got) == sorted([b"%d" % number for number in [*range(3, 12), 13, 14]])
    assert [body for body in got if body != b"13"] == [b"%d" % number for number in [*range(3, 12), 14]]


def test_a_new_durable_subscription_can_begin_in_the_past(world: Any, new_client: Any) -> None:
    world.policies(**TEN)
    fill(world, 4)
    client = new_client()
    world.unsubscribe(
        world.subscribe(client, "/topic/h.a", durable="x", replay="offset=1", selector="n <> '2'")
    )
    assert client.take() == [b"1", b"3"]
    fill(world, 1, 4)
    world.restart()
    client = new_client()
    world.subscribe(client, "/topic/h.a", durable="x", replay="offset=1", selector="n <> '2'")
    assert client.take() == [b"4"]


def test_it_is_bounded_by_count_bytes_age_and_memory(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.policies(
        given={
            "/topic/count": {"history_messages": 2},
            "/topic/bytes": {"history_bytes": 5500},
            "/topic/age": {"history_age": 150_000},
            "/topic/all": {"history_messages": 1_000_000},
        }
    )
    for number in range(10):
        world.pass_time(60_000)
        for name in ("count", "bytes", "age"):
            world.send(f"/topic/{name}", b"%d" % number)
    histories = world.broker.fanout.histories
    lengths = {name: len(history) for name, history in histories.items()}
    assert lengths == {"/topic/count": 2, "/topic/bytes": 5, "/topic/age": 3}
    world.broker.memory.resize(4 * 15_000)
    for number in range(20):
        world.send("/topic/all", b"%d" % number)
    total = sum(history.bytes for history in histories.values())
    assert total == world.broker.memory.histories.used and len(histories["/topic/all"]) == 4
    world.commit()
    assert total == world.broker.memory.used
    world.rules["memory_limit"] = 4 * 15_000
    world.restart()
    assert sum(history.bytes for history in world.broker.fanout.histories.values()) == total
    assert world.broker.memory.histories.used == world.broker.memory.used == total
    monkeypatch.setattr(fanout, "HISTORIES", 4)
    world.policies(given={"/topic/>": {"history_messages": 2}})
    for name in "abcd":
        world.send(f"/topic/{name}", b"1")
    assert list(world.broker.fanout.histories) == [f"/topic/{name}" for name in "abcd"]
    assert world.broker.memory.histories.used == world.broker.memory.used
    assert set(world.broker.topics) == {f"/topic/{name}" for name in "abcd"}


def test_a_policy_that_ends_it_lets_go_of_it(world: Any, new_client: Any) -> None:
    world.policies(**TEN)
    fill(world, 3)
    world.restart()
    world.policies(given={})
    world.send("/topic/h.a", b"x")
    world.commit()
    assert not world.broker.topics and not world.broker.memory.used and not any(world.stored.values())
    client = new_client()
    world.subscribe(client, "/topic/h.a", replay="first")
    assert "no history" in world.granted.warning
    world.send("/topic/h.a", b"y")
    assert client.take() == [b"y"]


@pytest.mark.parametrize(
    "replay", ["tomorrow", "offset=x", "timestamp=", "-5", "-5x", "offset=" + "9" * 30, "=", "²"]
)
def test_a_start_that_means_nothing_is_refused(world: Any, new_client: Any, replay: str) -> None:
    with pytest.raises(Refused) as refused:
        world.subscribe(new_client(), "/topic/h.a", replay=replay)
    assert "offset=N" in refused.value.rule
    assert not world.broker.topics


def test_a_quiet_topic_forgets_in_time(world: Any) -> None:
    world.policies(given={"/topic/h.>": {"history_age": 150_000}})
    fill(world, 4)
    history = world.broker.fanout.histories["/topic/h.a"]
    assert len(history) == 3
    world.restart()
    world.pass_time(150_000)
    world.pass_time(150_000)
    history = world.broker.fanout.histories["/topic/h.a"]
    assert len(history) == 1 and world.broker.memory.histories.used == world.broker.memory.used
    assert world.broker.deadlines.next() is None


def test_a_replay_that_is_over_costs_nothing_more(memory_world: Any, new_client: Any) -> None:
    world, client = memory_world, new_client()
    world.policies(**TEN)
    fill(world, 3)
    client.room = 1
    world.subscribe(client, "/topic/#", replay="first")
    world.send("/topic/plain", b"1")
    assert world.broker.topics["/topic/plain"].epoch < 0
    client.ready, client.room = True, None
    world.broker.resume(client)
    for body in (b"2", b"3"):
        world.send("/topic/plain", body)
    assert world.broker.topics["/topic/plain"].epoch == world.broker.fanout.epoch
    assert sorted(client.take()) == sorted([b"0", b"1", b"2", b"1", b"2", b"3"])
    world.broker.drop(client)
    world.send("/topic/h.a", b"x")
    assert not world.broker.fanout.replayed
