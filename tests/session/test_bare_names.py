"""What a bare name is to the clients of one listener, where it is something else to the server's others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.session.settings import Settings

NewWorld = Callable[..., Any]


def two(new_world: NewWorld, server: str, own: str) -> tuple[Any, Any]:
    """A client of a listener with bare names of its ``own``, and one of the server's first listener."""
    world = new_world(Rules(bare=server))
    plain = world.connect("1.2")
    world.settings = Settings(bare=own)
    return world.connect("1.2"), plain


@pytest.mark.parametrize("server", ["topic", "error"])
@pytest.mark.parametrize("name", ["orders", "/orders", "a/b.c"])
def test_a_queue(new_world: NewWorld, server: str, name: str) -> None:
    own, plain = two(new_world, server, "queue")
    own.publish(name, b"waits")
    plain.subscribe("/queue/" + name.lstrip("/"))
    assert plain.messages() == [b"waits"]
    plain.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    own.subscribe(name, ack="client")
    plain.publish("/queue/" + name.lstrip("/"), b"back")
    (message,) = own.read()
    assert (message["destination"], message.body) == (name, b"back")


@pytest.mark.parametrize("server", ["queue", "error"])
def test_a_topic(new_world: NewWorld, server: str) -> None:
    own, plain = two(new_world, server, "topic")
    plain.subscribe("/topic/news")
    own.publish("news", b"1")
    assert plain.messages() == [b"1"]
    own.subscribe("news")
    plain.publish("/topic/news", b"2")
    (message,) = own.read()
    assert (message["destination"], message.body) == ("news", b"2")


def test_at_a_reload_a_listener_keeps_what_it_says(new_world: NewWorld) -> None:
    own, plain = two(new_world, "topic", "topic")
    own.subscribe("news")
    plain.publish("news", b"the same topic")
    assert own.messages() == [b"the same topic"]
    own.world.broker.adjust(Rules(bare="queue"))
    own.subscribe("news", id="2")
    plain.publish("news", b"to a queue")
    own.publish("news", b"to a topic")
    assert own.messages() == [b"to a topic"]
    plain.subscribe("news")
    assert plain.messages() == [b"to a queue"]


def test_a_topic_that_nobody_hears(new_world: NewWorld) -> None:
    own, plain = two(new_world, "queue", "topic")
    for name in ("news", "/news"):
        (receipt,) = own.ask(b"SEND\ndestination:%b\nreceipt:r\n\nx\0" % name.encode())
        assert receipt["warning"].startswith(f"Bare name '{name}' is a topic, and nobody listens")
    plain.subscribe("/topic/news")
    for name in (b"news", b"topic/unheard", b"/topic/unheard", b"VirtualTopic.unheard", b"/queue/a"):
        (receipt,) = own.ask(b"SEND\ndestination:%b\nreceipt:r\n\nx\0" % name)
        assert not receipt.has("warning"), name
    assert own.world.broker.fanout.unheard.messages == 2


@pytest.mark.parametrize("frame", [b"SEND\ndestination:a\n\nx\0", b"SUBSCRIBE\nid:1\ndestination:/a\n\n\0"])
@pytest.mark.parametrize("server", ["queue", "topic"])
def test_an_error(new_world: NewWorld, server: str, frame: bytes) -> None:
    own, plain = two(new_world, server, "error")
    assert "neither a queue nor a topic" in own.fails(frame)["message"]
    assert plain.ask(frame) == []


@pytest.mark.parametrize("name", ["/queue/a", "queue://a", "jms.queue.a", "DLQ.a", "/exchange/amq.direct/a"])
def test_names_that_say_what_they_are(new_world: NewWorld, name: str) -> None:
    own, _ = two(new_world, "topic", "error")
    assert own.ask(b"SEND\ndestination:%b\nreceipt:r\n\nx\0" % name.encode())[0].command == "RECEIPT"


def test_the_type_that_a_frame_names_counts_more(new_world: NewWorld) -> None:
    own, plain = two(new_world, "topic", "queue")
    plain.subscribe("/topic/a")
    own.send(b"SEND\ndestination:a\ndestination-type:MULTICAST\n\nx\0")
    assert plain.messages() == [b"x"]
