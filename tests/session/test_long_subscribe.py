"""A SUBSCRIBE that begins with more than a turn can copy: the session waits, and others may want the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.topics import filling

MANY = 100
HOW = b"activemq.subscriptionName:n\nactivemq.retroactive:true\n"
SUBSCRIBE = b"SUBSCRIBE\nid:%b\ndestination:%b\n" + HOW + b"receipt:%b\n\n\0"


@pytest.fixture
def world(new_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(filling, "COPIES", 10)
    made = new_world(Rules(policies=Policies([(Pattern("/topic/h.>"), {"history_messages": 1000})])))
    made.broker.tick(1)
    made.connect("1.2").publish("/topic/h.a", *numbers(0, MANY))
    return made


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


def client(world: Any, id: bytes = b"me") -> Any:
    peer = world.stranger()
    peer.send(b"CONNECT\naccept-version:1.2\nhost:h\nclient-id:%b\n\n\0" % id)
    peer.read()
    return peer


def turns(world: Any, count: int = 1000) -> None:
    broker = world.broker
    while broker.deadlines.next() is not None and count:
        broker.tick(broker.now + 1)
        count -= 1


def settle(world: Any, *peers: Any) -> None:
    """What waited for it is done, as the shell does it."""
    turns(world)
    for peer in peers:
        peer.send(b"")
    turns(world)


def names(replies: list[Any]) -> list[str]:
    return [reply["receipt-id"] for reply in replies if reply.command == "RECEIPT"]


def bodies(replies: list[Any]) -> list[bytes]:
    return [reply.body for reply in replies if reply.command == "MESSAGE"]


def test_what_comes_behind_it_waits_for_it(world: Any) -> None:
    peer = client(world)
    peer.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    peer.send(b"SEND\ndestination:/topic/h.a\nreceipt:r\n\nbehind\0UNSUBSCRIBE\nid:1\nreceipt:u\n\n\0")
    assert peer.read() == [] and peer.session.busy
    settle(world, peer)
    replies = peer.read()
    assert names(replies) == ["s", "r", "u"] and replies[0].command == "RECEIPT"
    assert bodies(replies) == [*numbers(0, MANY), b"behind"]
    assert not peer.session.busy and not peer.session.subscriptions


def test_one_of_several_destinations(world: Any) -> None:
    peer = client(world)
    peer.send(SUBSCRIBE % (b"1", b"/queue/q,/topic/h.a,/queue/r", b"s"))
    assert peer.read() == []
    settle(world, peer)
    replies = peer.read()
    assert names(replies) == ["s"] and bodies(replies) == numbers(0, MANY)
    world.connect("1.2").publish("/queue/q", b"q")
    world.connect("1.2").publish("/queue/r", b"r")
    assert bodies(peer.read()) == [b"q", b"r"]
    peer.send(b"UNSUBSCRIBE\nid:1\n\n\0")
    assert not peer.session.subscriptions


@pytest.mark.parametrize("after", [0, 3])
def test_the_same_client_comes_again(world: Any, after: int) -> None:
    """As after a lost network: the first connection ends, and the second has all of it."""
    first, second = client(world), client(world)
    first.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    turns(world, after)
    second.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    assert first.read()[-1].command == "ERROR"
    settle(world, second)
    assert bodies(second.read()) == numbers(0, MANY)
    first.session.lost()
    second.session.lost()
    assert world.roster.holders == 0
    assert not first.session.busy and first.session.occupied == 0


@pytest.mark.parametrize("after", [0, 3])
def test_the_connection_is_lost(world: Any, after: int) -> None:
    peer = client(world)
    before = world.broker.memory.subscriptions.used
    peer.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    turns(world, after)
    peer.session.lost()
    turns(world)
    assert not world.broker.fanout.durables.fed and world.roster.holders == 0
    assert world.broker.memory.subscriptions.used == before


def test_the_client_sends_no_more(world: Any) -> None:
    """Its last words are done, and the connection stays open for that."""
    peer = client(world)
    peer.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    peer.session.end_of_stream()
    assert not peer.session.closing
    turns(world)
    assert names(peer.read()) == ["s"] and peer.session.closing
    peer.session.lost()
    (name,) = world.broker.fanout.durables.fed
    assert world.broker.queues[name].waiting == MANY


def test_it_is_refused(world: Any) -> None:
    peer = client(world)
    peer.send(SUBSCRIBE % (b"1", b"/topic/h.a", b"s"))
    turns(world, 3)
    (name,) = world.broker.fanout.durables.fed
    world.broker.delete(world.broker.queues[name])
    turns(world)
    (error,) = peer.read()
    assert error.command == "ERROR" and error["receipt-id"] == "s" and "was deleted" in error["message"]
    assert peer.session.closing and world.roster.holders == 0
