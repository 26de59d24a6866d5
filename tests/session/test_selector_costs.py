"""The selectors of a connection, and those of a topic's durable subscriptions, have a sum."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules

FIVE = "a=1 OR b=2 OR c=3 OR d=4 OR e=5"
"""It costs 10."""


@pytest.fixture
def world(new_world: Any) -> Any:
    return new_world(Rules(max_selector_cost=100))


def frame(selector: str, destination: str = "/queue/q", id: str = "s", more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nselector:{selector}\n{more}\n\0".encode()


def test_one_selector(world: Any) -> None:
    world.connect("1.2").send(frame(FIVE))
    error = world.connect("1.2").fails(frame(FIVE + " OR f=6"))
    assert error["message"] == "The selector is too costly"
    assert b"cost 12" in error.body and b"takes 10" in error.body and b"max-selector-cost" in error.body
    assert not world.broker.queues["/queue/q"].waiting


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_all_of_a_connection(world: Any, kind: str) -> None:
    peer = world.connect("1.2")
    for number in range(10):
        peer.send(frame(FIVE, f"/{kind}/q", f"s{number}"))
    # Those without a selector, and those that went, cost nothing.
    peer.subscribe(f"/{kind}/q", id="plain")
    for _ in range(20):
        peer.send(b"UNSUBSCRIBE\nid:s3\n\n\0" + frame(FIVE, f"/{kind}/q", "s3"))
    assert peer.state == "connected"
    error = peer.fails(frame("a=1", f"/{kind}/q", "more"))
    assert error["message"] == "The selectors are too costly together"
    assert b"cost 102" in error.body and b"takes 100" in error.body
    world.connect("1.2").send(frame(FIVE, f"/{kind}/q"))


def test_each_destination_of_one_frame_counts(world: Any) -> None:
    several = ",".join(f"/queue/{number}" for number in range(11))
    error = world.connect("1.2").fails(frame(FIVE, several))
    assert b"cost 110" in error.body and not world.broker.queues


@pytest.mark.parametrize(("name", "other"), [("/topic/t", "/topic/u"), ("/topic/#", "/queue/q")])
def test_durable_subscriptions_of_a_topic(world: Any, name: str, other: str) -> None:
    """They cost every SEND to it, also when nobody is connected."""
    for number in range(10):
        peer = world.connect("1.2")
        peer.send(frame(FIVE, name, f"d{number}", "durable:true\n"))
        assert peer.state == "connected"
        peer.session.lost()
    pattern = "/topic/*" if "#" in name else name
    error = world.connect("1.2").fails(frame("a=1", pattern, "more", "durable:true\n"))
    assert error["message"] == "The selectors are too costly together"
    assert b"durable subscriptions of" in error.body and b"cost 102" in error.body
    assert len(world.broker.fanout.durables.fed) == 10
    # Another topic has its own; the same one may have another selector, or go.
    peer = world.connect("1.2")
    peer.send(frame(FIVE, other, "another", "durable:true\n"))
    peer.send(frame("z=1", name, "d3", "durable:true\n"))
    peer.send(frame("z=1 OR y=1", pattern, "more", "durable:true\n"))
    peer.send(b"UNSUBSCRIBE\nid:d4\ndurable:true\n\n\0")
    peer.send(frame(FIVE, pattern, "yet more", "durable:true\n"))
    assert peer.state == "connected"
