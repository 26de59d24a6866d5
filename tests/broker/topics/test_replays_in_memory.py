"""What a replay of many topics remembers counts as memory, until it is over or nobody wants it any more."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.subscription import AUTO
from stompserver.broker.topics.replay import PLACE
from stompserver.errors import Refused

TOPICS = 200
PATTERN = "/topic/h.*"


@pytest.fixture
def kept(memory_world: Any) -> Any:
    """A world with a message of each of many topics."""
    memory_world.policies(given={"/topic/h.>": {"history_messages": 10}})
    for number in range(TOPICS):
        memory_world.send(f"/topic/h.{number}", b"%d" % number)
    return memory_world


def end(world: Any) -> None:
    while world.broker.deadlines.next() is not None:
        world.pass_time(1)


def test_it_counts_while_it_goes_on(kept: Any, new_client: Any) -> None:
    share = kept.broker.memory.subscriptions
    client = new_client()
    client.ready = False
    kept.subscribe(client, PATTERN, AUTO, replay="first")
    end(kept)
    assert share.used == TOPICS * PLACE
    client.ready = True
    kept.broker.resume(client)
    end(kept)
    assert share.used == 0
    assert len(client.got) == TOPICS


@pytest.mark.parametrize("way", ["unsubscribe", "lost"])
def test_it_counts_no_more_when_its_subscription_ends(kept: Any, new_client: Any, way: str) -> None:
    share = kept.broker.memory.subscriptions
    client = new_client()
    client.ready = False
    subscription = kept.subscribe(client, PATTERN, AUTO, replay="first")
    assert share.used == TOPICS * PLACE
    if way == "unsubscribe":
        kept.unsubscribe(subscription)
    else:
        kept.broker.drop(client)
    end(kept)
    assert share.used == 0


def test_too_many_at_once_are_refused_with_nothing_done(kept: Any, new_client: Any) -> None:
    broker = kept.broker
    share = broker.memory.subscriptions
    clients = [new_client() for _ in range(share.most // (TOPICS * PLACE))]
    for client in clients:
        client.ready = False
        kept.subscribe(client, PATTERN, AUTO, replay="first")
    refused = new_client()
    with pytest.raises(Refused, match="Too much is replayed at once"):
        kept.subscribe(refused, PATTERN, AUTO, replay="first")
    assert share.most - TOPICS * PLACE < share.used <= share.most
    # All that is not of a pattern goes on.
    other = new_client()
    kept.subscribe(other, "/topic/h.7", AUTO, replay="first")
    assert [message.body for _, message in other.got] == [b"7"]
    for client in clients:
        broker.drop(client)
    end(kept)
    assert share.used == 0
    late = new_client()
    kept.subscribe(late, PATTERN, AUTO, replay="first")
    end(kept)
    assert len(late.got) == TOPICS
