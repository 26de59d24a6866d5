"""``message-headers``: what each MESSAGE of a listener says, also where its sender did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.message import Message
from stompserver.broker.moment import came_at, number_at
from stompserver.session.settings import EXPIRES, PRIORITY, REDELIVERED, TIMESTAMP, Settings

NewWorld = Callable[..., Any]
NOW = 1_795_000_000_123
ALL = REDELIVERED | TIMESTAMP | PRIORITY | EXPIRES
NAMES = ("redelivered", "timestamp", "priority", "expires")


def two(new_world: NewWorld, shown: int = ALL) -> tuple[Any, Any]:
    """A consumer who is shown these, and a sender who is not; the clock shows NOW."""
    world = new_world(Rules(dated=True))
    world.broker.look(NOW, NOW)
    sender = world.connect("1.2")
    world.settings = Settings(shown=shown)
    return world.connect("1.2"), sender


def told(message: Any) -> dict[str, str]:
    """What a MESSAGE says of these; none of them twice."""
    found = [(name, value) for name, value in message.headers if name in NAMES]
    assert len(found) == len(dict(found)), found
    return dict(found)


@pytest.mark.parametrize("ack", ["auto", "client", "client-individual"])
@pytest.mark.parametrize("name", ["/queue/a", "/topic/a", "bare"])
def test_all_of_them(new_world: NewWorld, ack: str, name: str) -> None:
    consumer, sender = two(new_world)
    consumer.subscribe(name, ack)
    # The ninth and later of one shape go by a shorter way to the broker.
    sender.publish(name, *[b"%d" % number for number in range(12)])
    messages = consumer.read()
    assert [message.body for message in messages] == [b"%d" % number for number in range(12)]
    for message in messages:
        assert told(message) == dict(zip(NAMES, ("false", str(NOW), "4", "0"), strict=True))
        assert (message["destination"], message["subscription"]) == (name, "s")


@pytest.mark.parametrize(
    ("shown", "names"), [(REDELIVERED, NAMES[:1]), (TIMESTAMP | EXPIRES, NAMES[1::2]), (0, ())]
)
def test_some_of_them(new_world: NewWorld, shown: int, names: tuple[str, ...]) -> None:
    consumer, sender = two(new_world, shown)
    consumer.subscribe("/queue/a")
    sender.publish("/queue/a", b"x")
    assert tuple(told(consumer.read()[0])) == names


def test_what_its_sender_said_is_not_said_twice(new_world: NewWorld) -> None:
    consumer, sender = two(new_world)
    consumer.subscribe("/queue/a")
    for _ in range(12):
        sender.send(
            b"SEND\ndestination:/queue/a\ntimestamp:5\npriority:7\nexpires:9795000000000\nredelivered:true\n\nx\0"
        )
    for message in consumer.read():
        assert told(message) == {
            "redelivered": "false", "timestamp": "5", "priority": "7", "expires": "9795000000000"
        }  # fmt: skip


def test_a_time_to_live_is_shown_as_a_time(new_world: NewWorld) -> None:
    consumer, sender = two(new_world)
    consumer.subscribe("/queue/a")
    sender.send(b"SEND\ndestination:/queue/a\nttl:1000\n\nx\0")
    assert consumer.read()[0]["expires"] == str(NOW + 1000)


def test_the_time_is_that_of_the_send(new_world: NewWorld) -> None:
    consumer, sender = two(new_world)
    world = consumer.world
    for later in (0, 1, 777, 777, 60_000):
        world.broker.look(NOW + later, NOW + later)
        sender.publish("/queue/a", b"x")
    world.broker.look(NOW + 90_000, NOW + 90_000)
    consumer.subscribe("/queue/a", "client")
    messages = consumer.read()
    assert [int(message["timestamp"]) - NOW for message in messages] == [0, 1, 777, 777, 60_000]
    consumer.session.lost()
    again = world.connect("1.1")
    again.subscribe("/queue/a")
    messages = again.read()
    assert [int(message["timestamp"]) - NOW for message in messages] == [0, 1, 777, 777, 60_000]
    assert {message["redelivered"] for message in messages} == {"true"}
    assert all(message.has("delivery-count") for message in messages)


def test_with_the_destination_as_the_client_calls_it(new_world: NewWorld) -> None:
    consumer, sender = two(new_world)
    consumer.subscribe("queue://a", "client")
    sender.publish("/queue/a", b"x")
    (message,) = consumer.read()
    assert [value for name, value in message.headers if name == "destination"] == ["queue\\c//a"]
    assert told(message) == dict(zip(NAMES, ("false", str(NOW), "4", "0"), strict=True))


def test_a_reply_to_a_temporary_queue(new_world: NewWorld) -> None:
    consumer, sender = two(new_world)
    sender.subscribe("/queue/ask")
    consumer.send(b"SEND\ndestination:/queue/ask\nreply-to:/temp-queue/me\n\nx\0")
    sender.publish(sender.read()[0]["reply-to"], b"answer")
    assert told(consumer.read()[0])["redelivered"] == "false"


def test_others_pay_nothing_for_it(new_world: NewWorld) -> None:
    """Of a server without, no number goes up by itself, and no subscription takes the longer way."""
    world = new_world()
    before = world.broker.number
    world.broker.look(NOW, NOW)
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    assert world.broker.number == before
    assert not any(each.special for each in peer.session.subscriptions.values())


@pytest.mark.parametrize("now", [1_577_836_801_000, NOW, NOW + 1, NOW + 999, 3_000_000_000_000])
def test_a_number_tells_the_millisecond(now: int) -> None:
    assert came_at(number_at(now) + 1) == now
    assert number_at(now) < number_at(now + 1) < 1 << 57


def test_numbers_never_go_back(new_world: NewWorld) -> None:
    world = new_world(Rules(dated=True))
    given = []
    for now in (NOW, NOW - 5000, NOW + 1):
        world.broker.look(now, now)
        message = Message("/queue/a", {}, b"", 1)
        world.broker.send(message)
        given.append(message.number)
    assert given == sorted(given) and len(set(given)) == 3
