"""What an option chooses where brokers differ: a NACK that says no more, a second holder of a client-id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies, Policy
from stompserver.session.settings import Settings

NewWorld = Callable[..., Any]
DURABLE = "activemq.subscriptionName:n\n"


def rules(**options: str) -> Rules:
    """What a policy for /queue/a says, with /queue/dead as the dead letter queue of all."""
    base = Policy().changed({"deadletter": "/queue/dead"})
    return Rules(policies=Policies([(Pattern("/queue/a"), dict(options))] if options else [], base))


def refused(peer: Any, more: str = "", queue: str = "/queue/a", ack: str = "client-individual") -> None:
    """The one message of a queue is delivered, and refused by a NACK with ``more``."""
    peer.publish(queue, b"x")
    peer.subscribe(queue, ack)
    (message,) = peer.read()
    names = (
        f"id:{message['ack']}\n"
        if message.has("ack")
        else f"message-id:{message['message-id']}\nsubscription:s\n"
    )
    peer.send(f"NACK\n{names}{more}\n\0".encode())


def dead(world: Any) -> list[bytes]:
    """What is in the dead letter queue."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/dead")
    return list(peer.messages())


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("ack", ["client", "client-individual"])
@pytest.mark.parametrize(
    ("nack", "policy", "more", "buried"),
    [
        ("again", "", "", False),
        ("deadletter", "", "", True),
        ("again", "deadletter", "", True),
        ("deadletter", "again", "", False),
        ("deadletter", "", "requeue:true\n", False),
        ("again", "", "requeue:false\n", True),
        ("deadletter", "", "delay:500\n", False),
    ],
)
def test_what_nack_means(
    new_world: NewWorld, version: str, ack: str, nack: str, policy: str, more: str, buried: bool
) -> None:
    world = new_world(rules(nack=policy) if policy else rules(), nack=nack)
    peer = world.connect(version)
    refused(peer, more, ack=ack)
    world.broker.tick(10**13)
    again = peer.messages()
    assert (again, dead(world)) == (([], [b"x"]) if buried else ([b"x"], []))


def test_a_nack_in_a_transaction(new_world: NewWorld) -> None:
    world = new_world(rules(), nack="deadletter")
    peer = world.connect("1.2")
    peer.send(b"BEGIN\ntransaction:t\n\n\0")
    refused(peer, "transaction:t\n")
    assert "/queue/dead" not in world.broker.queues
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    assert (dead(world), peer.messages()) == ([b"x"], [])


def test_who_asks_for_redelivery_gets_it(new_world: NewWorld) -> None:
    """A SUBSCRIBE that says how often something is to be tried again is not content with once."""
    world = new_world(rules(), nack="deadletter")
    peer = world.connect("1.2")
    peer.publish("/queue/a", b"x")
    peer.subscribe("/queue/a", "client", more="activemq.maximumRedeliveries:1\n")
    for _ in range(2):
        (message,) = peer.read()
        peer.send(f"NACK\nid:{message['ack']}\n\n\0".encode())
    assert (peer.messages(), dead(world)) == ([], [b"x"])


@pytest.mark.parametrize(
    ("ack", "done", "buried"),
    [("client", "", [b"1", b"2", b"3"]), ("client", "2", [b"3"]), ("client-individual", "", [b"3"])],
)
def test_a_nack_is_for_all_up_to_it(new_world: NewWorld, ack: str, done: str, buried: list[bytes]) -> None:
    """As the specification has it; ActiveMQ refuses the one alone."""
    world = new_world(rules(), nack="deadletter")
    peer = world.connect("1.2")
    for body in (b"1", b"2", b"3"):
        peer.publish("/queue/a", body)
    peer.subscribe("/queue/a", ack, more="prefetch-count:3\n")
    names = [message["ack"] for message in peer.read()]
    if done:
        peer.send(f"ACK\nid:{names[1]}\n\n\0".encode())
    peer.send(f"NACK\nid:{names[2]}\n\n\0".encode())
    assert dead(world) == buried


def test_a_topics_message_is_refused(new_world: NewWorld) -> None:
    peer = new_world(rules(), nack="deadletter").connect("1.2")
    peer.subscribe("/topic/a", "client")
    peer.publish("/topic/a", b"x")
    (message,) = peer.read()
    peer.send(f"NACK\nid:{message['ack']}\n\n\0".encode())
    assert (peer.messages(), dead(peer.world)) == ([], [b"x"])


def test_a_lost_connection_is_no_nack(new_world: NewWorld) -> None:
    world = new_world(rules(), nack="deadletter")
    peer = world.connect("1.2")
    peer.publish("/queue/a", b"x")
    peer.subscribe("/queue/a", "client")
    peer.session.lost()
    other = world.connect("1.2")
    other.subscribe("/queue/a")
    assert other.messages() == [b"x"]


def test_a_dead_letter_that_is_refused_stays(new_world: NewWorld) -> None:
    world = new_world(rules(), nack="deadletter")
    peer = world.connect("1.2")
    refused(peer, queue="/queue/dead")
    assert peer.messages() == [b"x"]


# A second holder of a client-id


def connect(world: Any, login: str = "a") -> tuple[Any, Any]:
    """A connection of the client me, and what it is answered."""
    peer = world.stranger()
    (reply,) = peer.ask(f"CONNECT\naccept-version:1.2\nhost:h\nclient-id:me\nlogin:{login}\n\n\0".encode())
    return peer, reply


def test_the_second_is_refused(new_world: NewWorld) -> None:
    world = new_world(client_ids="refuse")
    first, _ = connect(world)
    second, error = connect(world)
    assert (error.command, second.state, first.state) == ("ERROR", "failed", "connected")
    assert "Client id is in use" in error["message"] and b"client-id-in-use: refuse" in error.body
    second.session.lost()
    first.subscribe("/topic/a", more=DURABLE)
    first.session.lost()
    third, reply = connect(world)
    assert reply.command == "CONNECTED"
    third.session.lost()
    assert world.roster.clients("me") == [] and world.roster.holders == 0


def test_both_have_the_durable_subscription(new_world: NewWorld) -> None:
    world = new_world(client_ids="share")
    (first, _), (second, reply) = connect(world), connect(world)
    assert reply.command == "CONNECTED"
    for peer in (first, second):
        peer.subscribe("/topic/a", more=DURABLE)
    first.publish("/topic/a", b"1", b"2", b"3", b"4")
    assert sorted([*first.messages(), *second.messages()]) == [b"1", b"2", b"3", b"4"]
    assert (first.state, second.state) == ("connected", "connected")
    first.session.lost()
    second.publish("/topic/a", b"5")
    assert second.messages() == [b"5"]
    second.session.lost()
    assert world.roster.holders == 0 and not world.broker.memory.subscriptions.used


def test_another_login_is_refused_even_so(new_world: NewWorld) -> None:
    world = new_world(client_ids="share")
    connect(world)
    assert connect(world, "b")[1].command == "ERROR"


def test_the_newcomers_listener_decides(new_world: NewWorld) -> None:
    world = new_world(client_ids="takeover")
    first, _ = connect(world)
    first.subscribe("/topic/a", more=DURABLE)
    world.settings = Settings(client_ids="share")
    second, _ = connect(world)
    second.subscribe("/topic/a", more=DURABLE)
    assert first.state == "connected"
    world.settings = Settings(client_ids="takeover")
    third, _ = connect(world)
    third.subscribe("/topic/a", more=DURABLE)
    assert (first.state, second.state) == ("failed", "connected")
    for peer in (first, second, third):
        peer.session.lost()
    assert world.roster.holders == 0


# Wildcards


@pytest.mark.parametrize("version", ["1.0", "1.2"])
@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("*,#", "/topic/a.>"),
        ("*,#", "/topic/**.b"),
        ("*,>", "/queue/a.#"),
        ("#", "/topic/*"),
        ("", "/topic/*"),
    ],
)
def test_a_wildcard_of_another_broker(new_world: NewWorld, version: str, words: str, name: str) -> None:
    world = new_world(wildcards=frozenset(words.split(",")) - {""})
    error = world.connect(version).fails(f"SUBSCRIBE\nid:1\ndestination:{name}\n\n\0".encode())
    assert "no wildcard here" in error["message"]
    assert f"The wildcards of this listener: {words.replace(',', ' and ') or 'none'}" in error.body.decode()


@pytest.mark.parametrize("name", ["/topic/a.*", "/topic/#", "/topic/a.b>", "/topic/x*", "/topic/a"])
def test_its_own_wildcards_and_plain_names(new_world: NewWorld, name: str) -> None:
    peer = new_world(wildcards=frozenset("*#")).connect("1.2")
    peer.subscribe(name)
    assert (peer.read(), peer.state) == ([], "connected")


# Bytes ahead


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ("", 2),
        ("prefetch-count:5\n", 5),
        ("consumer-window-size:-1\n", 9),
        ("consumer-window-size:35000\n", 4),
        ("activemq.prefetchSize:0\n", 9),
    ],
)
def test_a_window_for_who_says_nothing(new_world: NewWorld, more: str, count: int) -> None:
    world = new_world(prefetch=0, prefetch_bytes=15_000)
    peer = world.connect("1.2")
    peer.publish("/queue/a", *[b"x" * 10_000] * 9)
    peer.subscribe("/queue/a", "client-individual", more=more)
    messages = peer.read()
    assert len(messages) == count
    if not more:
        peer.send(f"ACK\nid:{messages[0]['ack']}\n\n\0".encode())
        assert len(peer.read()) == 1


def test_a_topic_has_no_window(new_world: NewWorld) -> None:
    peer = new_world(prefetch=0, prefetch_bytes=10).connect("1.2")
    peer.subscribe("/topic/a", "client")
    peer.publish("/topic/a", *[b"x" * 10_000] * 9)
    assert len(peer.read()) == 9


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize(
    ("called", "full"),
    [
        ("a", "/queue/a"),
        ("/queue/a", "/queue/a"),
        ("/amq/queue/a", "/queue/a"),
        ("queue://a", "/queue/a"),
        ("/topic/a", "/topic/a"),
        ("/exchange/amq.topic/a.b", "/topic/a.b"),
        ("DLQ.a", "/queue/DLQ.a"),
        # RabbitMQ shows these as they are called; the last two are nobody else's.
        ("/exchange/amq.direct/a", "/exchange/amq.direct/a"),
        ("/exchange/prices/eur", "/exchange/prices/eur"),
        ("/temp-queue/a", "/temp-queue/a"),
        ("/temp-topic/a", "/temp-topic/a"),
    ],
)
def test_the_full_name_of_a_destination(new_world: NewWorld, version: str, called: str, full: str) -> None:
    world = new_world(full_names=True, bare="queue")
    peer = world.connect(version)
    peer.subscribe(called)
    peer.publish(called, b"x")
    (message,) = peer.read()
    shown = [value.replace("\\c", ":") for name, value in message.headers if name == "destination"]
    assert shown == [full]


def test_the_full_name_of_one_of_several_destinations(new_world: NewWorld) -> None:
    peer = new_world(full_names=True, bare="queue").connect("1.2")
    peer.subscribe("queue://a,topic://b")
    peer.publish("/topic/b", b"x")
    peer.publish("a", b"y")
    assert [message["destination"] for message in peer.read()] == ["/topic/b", "/queue/a"]


def test_a_named_queue_shows_where_a_message_was_sent(new_world: NewWorld) -> None:
    """As RabbitMQ does it, where the queue has a name, and the topic is what was sent to."""
    world = new_world(full_names=True, bare="queue")
    first = world.connect("1.2")
    first.subscribe("/topic/a", more="x-queue-name:q\ndurable:true\n")
    first.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    second = world.connect("1.2")
    second.publish("/topic/a", b"x")
    second.subscribe("/amq/queue/q")
    (message,) = second.read()
    assert message["destination"] == "/topic/a"
