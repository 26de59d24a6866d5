"""``message-headers: x-first-death``: what RabbitMQ says of dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies, Policy
from stompserver.session.settings import FIRST_DEATH, REDELIVERED, Settings

NewWorld = Callable[..., Any]
NAMES = ("x-first-death-exchange", "x-first-death-queue", "x-first-death-reason")
POLICIES: dict[str, dict[str, Any]] = {
    "/queue/short": {"max_messages": 1, "overflow": "dead-letter"},
    "/queue/brief": {"ttl": 1000, "expired": "deadletter"},
    "/queue/spent": {"max_redeliveries": 1},
    "/queue/dead": {"ttl": 5000, "expired": "deadletter", "deadletter": "/queue/deader"},
}


@pytest.fixture
def world(new_world: NewWorld) -> Any:
    base = Policy()
    base.deadletter = "/queue/dead"
    policies = Policies([(Pattern(name), options) for name, options in POLICIES.items()], base)
    made = new_world(Rules(policies=policies))
    made.settings = Settings(shown=FIRST_DEATH | REDELIVERED)
    made.broker.look(1000, 1000)
    return made


def deaths(world: Any, queue: str = "/queue/dead", version: str = "1.2") -> list[tuple[str, ...]]:
    """Exchange, queue and reason of what is there; each is said once."""
    peer = world.connect(version)
    peer.subscribe(queue, "client")
    found = []
    for message in peer.read():
        lines = dict([pair for pair in message.headers if pair[0] in NAMES])
        assert [name for name, _ in message.headers if name in NAMES] == list(lines)
        found.append(tuple(lines[name] for name in NAMES if name in lines))
    peer.session.lost()
    return found


def refuse(
    world: Any, destination: str, more: str = "requeue:false\n", times: int = 1, id: str = "s"
) -> None:
    peer = world.connect("1.2")
    peer.subscribe(destination, "client", id)
    for _ in range(times):
        for message in peer.read():
            peer.send(f"NACK\nid:{message['ack']}\n{more}\n\0".encode())


def test_why_and_from_where(world: Any) -> None:
    sender = world.connect("1.2")
    sender.publish("/queue/a/b", b"refused")
    refuse(world, "/queue/a/b")
    sender.publish("/queue/spent", b"again and again")
    refuse(world, "/queue/spent", "", 2)
    sender.publish("/queue/short", b"1", b"2")
    sender.publish("/queue/brief", b"old")
    world.broker.look(3000, 3000)
    world.broker.tick(3000)
    assert deaths(world) == [
        ("", "a/b", "rejected"),
        ("", "spent", "delivery_limit"),
        ("", "short", "maxlen"),
        ("", "brief", "expired"),
    ]


def test_others_have_none(world: Any) -> None:
    sender = world.connect("1.2")
    sender.publish("/queue/a", b"x")
    assert deaths(world, "/queue/a") == [()]
    world.settings = Settings(shown=REDELIVERED)
    refuse(world, "/queue/a")
    assert deaths(world) == [()]


def test_the_first_time_counts(world: Any) -> None:
    sender = world.connect("1.2")
    sender.publish("/queue/a", b"x")
    refuse(world, "/queue/a")
    world.broker.look(9000, 9000)
    world.broker.tick(9000)
    assert deaths(world, "/queue/deader") == [("", "a", "rejected")]


def test_who_sends_one_on_says_it_himself(world: Any) -> None:
    sender = world.connect("1.2")
    head = b"x-first-death-queue:old\nx-first-death-reason:expired\nx-first-death-exchange:e\n"
    sender.send(b"SEND\ndestination:/queue/a\n" + head + b"\nx\0")
    assert deaths(world, "/queue/a") == [("e", "old", "expired")]
    refuse(world, "/queue/a")
    assert deaths(world) == [("e", "old", "expired")]


@pytest.mark.parametrize(
    ("version", "written"), [("1.0", "a:b\\c"), ("1.1", "a\\cb\\\\c"), ("1.2", "a\\cb\\\\c")]
)
def test_names_are_escaped_by_version(world: Any, version: str, written: str) -> None:
    sender = world.connect("1.2")
    sender.send(b"SEND\ndestination:/queue/a\\cb\\\\c\n\nx\0")
    refuse(world, "/queue/a\\cb\\\\c")
    assert deaths(world, version=version) == [("", written, "rejected")]


def test_of_a_topic(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/topic/t", "client")
    world.connect("1.2").publish("/topic/t", b"x")
    (message,) = peer.read()
    peer.send(f"NACK\nid:{message['ack']}\nrequeue:false\n\n\0".encode())
    assert deaths(world) == [("amq.topic", "t", "rejected")]
