"""What a session remembers of destinations: its own, no more than needed, and nothing that is true no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.session import routes
from stompserver.wire.alike import LEARN

SEND = b"SEND\ndestination:%b\ncolour:red\ncontent-length:%d\n\n%b\0"
WAYS = ("learned", "plain", "priority")


@pytest.fixture(params=WAYS)
def publish(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A SEND by each way in: read in one step, by its headers, or with one that says something special."""

    def send(peer: Any, destination: str, body: bytes = b"x") -> Any:
        name = destination.encode()
        if request.param == "learned":
            if not peer.session.parser.learned:
                peer.send(SEND % (b"/topic/nobody", 1, b"x") * (LEARN + 1))
            assert peer.session.parser.learned
            return peer.ask(SEND % (name, len(body), body))
        more = b"priority:4\n" if request.param == "priority" else b""
        return peer.ask(b"SEND\ndestination:%b\n%b\n%b\0" % (name, more, body))

    return send


def test_a_name_that_means_itself_is_remembered(world: Any) -> None:
    peer, other = world.connect("1.2"), world.connect("1.2")
    peer.publish("/queue/a", b"", b"")
    peer.publish("/topic/a", b"")
    peer.publish("queue://b", b"")
    peer.publish("/queue/c,/topic/c", b"")
    assert len(peer.session.routes) == 2
    assert len(other.session.routes) == 0, "what one found out is nothing that others may build on"


def test_nothing_is_remembered_of_a_queue_that_is_not_there_yet(world: Any) -> None:
    peer = world.connect("1.2")
    peer.send(b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\n\0")
    assert len(peer.session.routes) == 0
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    peer.publish("/queue/a", b"")
    assert len(peer.session.routes) == 1


@pytest.mark.parametrize(("most", "left"), [(3, 3), (2, 1)])
def test_not_more_than_a_number_is_remembered(
    world: Any, monkeypatch: pytest.MonkeyPatch, most: int, left: int
) -> None:
    monkeypatch.setattr(routes, "MOST", most)
    peer = world.connect("1.2")
    for number in range(3):
        peer.publish(f"/topic/{number}", b"")
    assert len(peer.session.routes) == left


@pytest.mark.parametrize(("length", "remembered"), [(200, 1), (201, 0)])
def test_long_names_are_not_remembered(world: Any, length: int, remembered: int) -> None:
    peer = world.connect("1.2")
    peer.publish("/topic/".ljust(length, "x"), b"")
    assert len(peer.session.routes) == remembered


def test_a_policy_that_adds_to_messages_is_asked_each_time(new_world: Callable[..., Any]) -> None:
    policies = Policies([(Pattern("/topic/a"), {"timestamp": True}), (Pattern("/topic/b"), {"user": True})])
    peer = new_world(Rules(policies=policies)).connect("1.2")
    for name in ("/topic/a", "/topic/b", "/topic/c"):
        peer.publish(name, b"", b"")
    assert len(peer.session.routes) == 1


def test_a_deleted_queue_gets_nothing(world: Any, publish: Callable[..., Any]) -> None:
    peer, reader = world.connect("1.2"), world.connect("1.2")
    publish(peer, "/queue/a", b"1")
    publish(peer, "/queue/a", b"2")
    old = world.broker.queues["/queue/a"]
    enqueued = old.enqueued
    world.broker.delete(old)
    publish(peer, "/queue/a", b"3")
    new = world.broker.queues["/queue/a"]
    assert new is not old
    assert (old.enqueued, new.enqueued) == (enqueued, 1)
    reader.subscribe("/queue/a")
    assert reader.messages() == [b"3"]


def test_a_queue_that_goes_with_its_last_subscription_gets_nothing(
    world: Any, publish: Callable[..., Any]
) -> None:
    peer, reader = world.connect("1.2"), world.connect("1.2")
    for body in (b"1", b"2"):
        reader.subscribe("/queue/a", more="auto-delete:true\n")
        publish(peer, "/queue/a", body)
        publish(peer, "/queue/a", body)
        assert reader.messages() == [body, body]
        reader.send(b"UNSUBSCRIBE\nid:s\n\n\0")
        assert "/queue/a" not in world.broker.queues
    publish(peer, "/queue/a", b"3")
    assert world.broker.queues["/queue/a"].waiting == 1


def test_an_idle_queue_that_was_forgotten_gets_nothing(
    new_world: Callable[..., Any], publish: Callable[..., Any]
) -> None:
    world = new_world(Rules(idle_queues=1))
    peer, reader = world.connect("1.2"), world.connect("1.2")
    for name in ("/queue/a", "/queue/b"):
        reader.subscribe(name)
        publish(peer, name)
        publish(peer, name)
        reader.send(b"UNSUBSCRIBE\nid:s\n\n\0")
        reader.read()
    assert list(world.broker.queues) == ["/queue/b"]
    publish(peer, "/queue/a", b"new")
    assert world.broker.queues["/queue/a"].waiting == 1
    reader.subscribe("/queue/a")
    assert reader.messages() == [b"new"]


def test_what_is_remembered_of_a_deleted_queue_does_not_keep_it(world: Any) -> None:
    peer = world.connect("1.2")
    peer.publish("/queue/a", b"", b"")
    assert peer.session.routes.knows("/queue/a")
    world.broker.delete(world.broker.queues["/queue/a"])
    assert not peer.session.routes.knows("/queue/a")
    assert len(peer.session.routes) == 0


@pytest.mark.parametrize("end", ["lost", "full"])
def test_a_queue_does_not_keep_who_remembers_it_no_more(
    world: Any, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    stays, goes = world.connect("1.2"), world.connect("1.2")
    for peer in (stays, goes):
        peer.publish("/queue/a", b"")
    queue = world.broker.queues["/queue/a"]
    assert queue.routes == {stays.session.routes, goes.session.routes}
    if end == "lost":
        goes.session.lost()
    else:
        monkeypatch.setattr(routes, "MOST", 1)
        goes.publish("/topic/a", b"")
    assert queue.routes == {stays.session.routes}
    world.broker.delete(queue)
    assert len(stays.session.routes) == 0


def test_other_rules_are_seen_at_once(world: Any, publish: Callable[..., Any]) -> None:
    peer, reader = world.connect("1.2"), world.connect("1.2")
    for name in ("/queue/a", "/topic/a"):
        reader.subscribe(name, id=name)
        publish(peer, name)
        publish(peer, name)
    assert not any(reply.has("timestamp") for reply in reader.read())
    world.broker.tick(12345)
    world.broker.adjust(Rules(policies=Policies([(Pattern("/>"), {"timestamp": True})])))
    for name in ("/queue/a", "/topic/a"):
        publish(peer, name)
        (reply,) = reader.read()
        assert reply["timestamp"] == "12345"


def test_a_limit_that_a_frame_gave_a_queue_is_seen_at_once(world: Any, publish: Callable[..., Any]) -> None:
    peer, other = world.connect("1.2"), world.connect("1.2")
    for _ in range(2):
        publish(peer, "/queue/a")
    other.subscribe("/queue/a")
    other.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    other.read()
    other.send(b"SEND\ndestination:/queue/a\nx-max-length:1\nx-overflow:reject-publish\nreceipt:r\n\n\0")
    assert [(reply.command, reply.has("warning")) for reply in other.read()] == [("RECEIPT", False)]
    (error,) = publish(peer, "/queue/a")
    assert error["message"] == "Queue /queue/a is full"


def test_a_paused_queue_delivers_nothing(world: Any, publish: Callable[..., Any]) -> None:
    peer, reader = world.connect("1.2"), world.connect("1.2")
    reader.subscribe("/queue/a")
    for _ in range(2):
        publish(peer, "/queue/a")
    reader.read()
    world.broker.pauses.pause("/queue/a")
    publish(peer, "/queue/a", b"later")
    assert reader.read() == []
    world.broker.pauses.resume("/queue/a")
    assert reader.messages() == [b"later"]
