"""SUBSCRIBE and UNSUBSCRIBE in each version: ids, modes, prefetch, and who is told what."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.session.events import Connected, Subscribed, Unsubscribed

VERSIONS = ("1.0", "1.1", "1.2")
FROM_1_1 = ("1.1", "1.2")


# 1.0: ids are optional


def test_without_an_id_messages_have_no_subscription_header(world: Any) -> None:
    peer = world.connect("1.0")
    peer.send(b"SUBSCRIBE\ndestination:/topic/t\n\n\0SUBSCRIBE\nid:me\ndestination:/topic/t\n\n\0")
    peer.publish("/topic/t", b"1")
    replies = peer.read()
    assert [reply.has("subscription") for reply in replies] == [False, True]
    assert replies[1]["subscription"] == "me"


def test_an_empty_id_is_none(world: Any) -> None:
    peer = world.connect("1.0")
    peer.send(b"SUBSCRIBE\nid:\ndestination:/topic/t\n\n\0")
    peer.publish("/topic/t", b"1")
    (reply,) = peer.read()
    assert not reply.has("subscription")


@pytest.mark.parametrize(
    ("frame", "left"),
    [
        (b"UNSUBSCRIBE\ndestination:/topic/t\n\n\0", []),
        (b"UNSUBSCRIBE\nid:me\n\n\0", [None]),
        (b"UNSUBSCRIBE\nid:me\ndestination:/topic/other\n\n\0", [None]),
        (b"UNSUBSCRIBE\ndestination:/topic/other\n\n\0", [None, "me"]),
        (b"UNSUBSCRIBE\nid:you\n\n\0", [None, "me"]),
    ],
)
def test_unsubscribe_by_id_or_destination(world: Any, frame: bytes, left: list[str | None]) -> None:
    peer = world.connect("1.0")
    peer.send(b"SUBSCRIBE\ndestination:/topic/t\n\n\0SUBSCRIBE\nid:me\ndestination:/topic/t\n\n\0")
    peer.send(frame)
    peer.publish("/topic/t", b"1")
    assert [reply["subscription"] if reply.has("subscription") else None for reply in peer.read()] == left
    assert peer.state == "connected"


def test_1_0_needs_one_of_them(world: Any) -> None:
    peer = world.connect("1.0")
    peer.fails(b"UNSUBSCRIBE\n\n\0")


def test_two_of_one_id(world: Any) -> None:
    """1.0 says nothing against it: both go with one UNSUBSCRIBE."""
    peer = world.connect("1.0")
    peer.send(b"SUBSCRIBE\nid:me\ndestination:/topic/t\n\n\0SUBSCRIBE\nid:me\ndestination:/topic/u\n\n\0")
    peer.publish("/topic/t", b"1")
    peer.publish("/topic/u", b"2")
    assert [r["subscription"] for r in peer.read()] == ["me", "me"]
    peer.send(b"UNSUBSCRIBE\nid:me\n\n\0")
    assert world.broker.topics == {}


# 1.1 and 1.2: ids name subscriptions


@pytest.mark.parametrize("version", FROM_1_1)
def test_ids_differ_and_may_be_used_again(world: Any, version: str) -> None:
    peer, other = world.connect(version), world.connect(version)
    for _ in range(3):
        peer.subscribe("/topic/t", id="s")
        other.subscribe("/topic/t", id="s")
        peer.get(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
        other.get(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
    peer.subscribe("/topic/t", id="s")
    error = peer.fails(b"SUBSCRIBE\nid:s\ndestination:/topic/other\n\n\0")
    assert "in use" in error["message"]


@pytest.mark.parametrize("version", FROM_1_1)
@pytest.mark.parametrize("id", ["x", "", "S", "gone"])
@pytest.mark.parametrize("strict", [True, False])
def test_unsubscribe_of_nothing(new_world: Any, version: str, id: str, strict: bool) -> None:
    peer = new_world(strict=strict).connect(version)
    peer.subscribe("/topic/t", id="s")
    peer.subscribe("/topic/t", id="gone")
    peer.get(b"UNSUBSCRIBE\nid:gone\nreceipt:r\n\n\0")
    frame = f"UNSUBSCRIBE\nid:{id}\nreceipt:r\n\n\0".encode()
    if strict or not id:
        assert peer.fails(frame)["message"].startswith("No such" if id else "UNSUBSCRIBE without id")
        return
    assert "no such subscription" in peer.get(frame)["warning"]
    assert peer.session.tolerated == {"unsubscribe": 1}
    peer.publish("/topic/t", b"still here")
    assert peer.messages() == [b"still here"]


def test_ids_are_written_as_the_version_wants_it(world: Any) -> None:
    for version, written in (("1.1", "a\\n\\c\\\\"), ("1.2", "a\\r\\n\\c\\\\")):
        peer = world.connect(version)
        peer.send(f"SUBSCRIBE\nid:{written}\ndestination:/topic/t\nack:client\n\n\0".encode())
        peer.publish("/topic/t", b"1")
        (reply,) = peer.read()
        assert reply["subscription"] == written
        peer.get(f"UNSUBSCRIBE\nid:{written}\nreceipt:r\n\n\0".encode())


@pytest.mark.parametrize("version", VERSIONS)
def test_after_unsubscribe_nothing_comes(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.subscribe("/queue/q")
    peer.get(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
    peer.publish("/queue/q", b"1")
    assert peer.read() == []
    assert world.broker.queues["/queue/q"].waiting == 1


# Modes and prefetch


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ack", ["Client", "none-of-these", "", "AUTO", "client-individual "])
def test_other_modes_are_wrong(world: Any, version: str, ack: str) -> None:
    if version == "1.0" and ack.strip() == "client-individual":
        return
    peer = world.connect(version)
    peer.fails(f"SUBSCRIBE\nid:s\ndestination:/queue/q\nack:{ack}\n\n\0".encode())


@pytest.mark.parametrize(
    ("version", "ack", "header", "delivered"),
    [
        ("1.0", "client", "", 1),
        ("1.0", "client-individual", "", 100),
        ("1.1", "client", "", 100),
        ("1.2", "client", "", 100),
        ("1.2", "client-individual", "", 100),
        ("1.2", "auto", "prefetch-count:2\n", 150),
        ("1.0", "client", "prefetch-count:7\n", 7),
        ("1.2", "client", "prefetch-count:7\n", 7),
        ("1.2", "client", "activemq.prefetchSize:7\n", 7),
        ("1.2", "client", "consumer.prefetchSize:7\n", 7),
        ("1.2", "client", "credit:7,1000\n", 7),
        ("1.2", "client", "prefetch-count: 7 \n", 7),
        ("1.2", "client", "prefetch-count:0\n", 150),
        ("1.2", "client", "prefetch-count:-1\n", 150),
        ("1.2", "client", "credit:9\nprefetch-count:3\n", 3),
    ],
)
def test_prefetch(world: Any, version: str, ack: str, header: str, delivered: int) -> None:
    peer = world.connect(version)
    peer.publish("/queue/q", *[b""] * 150)
    peer.subscribe("/queue/q", ack, more=header)
    assert len(peer.messages()) == delivered
    assert world.broker.queues["/queue/q"].waiting == 150 - delivered


@pytest.mark.parametrize("value", ["", "x", "-2", "1.5", "1e3", "9" * 30, "٣", ","])
def test_a_prefetch_that_is_no_number(world: Any, value: str) -> None:
    peer = world.connect("1.2")
    error = peer.fails(
        f"SUBSCRIBE\nid:s\ndestination:/queue/q\nack:client\nprefetch-count:{value}\n\n\0".encode()
    )
    assert b"prefetch-count" in error.body


def test_the_defaults_are_settings(new_world: Any) -> None:
    world = new_world(prefetch=3, prefetch10=2)
    for version, count in (("1.0", 2), ("1.2", 3)):
        peer = world.connect(version)
        peer.publish(f"/queue/{version}", *[b""] * 9)
        peer.subscribe(f"/queue/{version}", "client")
        assert len(peer.messages()) == count


# Refusals


def test_max_subscriptions(new_world: Any) -> None:
    world = new_world(max_subscriptions=2)
    peer = world.connect("1.2")
    for id in "abcd":
        peer.subscribe("/topic/t", id=id)
        peer.get(f"UNSUBSCRIBE\nid:{id}\nreceipt:r\n\n\0".encode())
    peer.subscribe("/topic/t", id="a")
    peer.subscribe("/topic/t", id="b")
    assert b"max-subscriptions" in peer.fails(b"SUBSCRIBE\nid:c\ndestination:/topic/t\n\n\0").body
    peer.session.lost()
    assert world.broker.topics == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_destination_that_may_not_be(new_world: Any, version: str) -> None:
    world = new_world(Rules(bare="error"))
    peer = world.connect(version)
    peer.fails(b"SUBSCRIBE\nid:s\ndestination:bare\n\n\0")
    assert peer.session.subscriptions == {}
    assert world.broker.topics == {}


def test_what_was_subscribed_is_noted(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/q")
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    connected, subscribed, unsubscribed = peer.session.events()
    assert (type(connected), connected.version, connected.login) == (Connected, "1.2", None)
    assert (type(subscribed), subscribed.destination) == (Subscribed, "/queue/q")
    assert (type(unsubscribed), unsubscribed.destination) == (Unsubscribed, "/queue/q")
    assert peer.session.events() == []
