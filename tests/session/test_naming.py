"""Destinations in all forms of the field, by literal octets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules

VERSIONS = ("1.0", "1.1", "1.2")

ALIASES = [
    ("queue/a", "/queue/a"),
    ("queue://a", "/queue/a"),
    ("jms.queue.a.b", "/queue/a.b"),
    ("topic/a", "/topic/a"),
    ("topic://a", "/topic/a"),
    ("jms.topic.a", "/topic/a"),
    ("/amq/queue/a", "/queue/a"),
    ("/exchange/amq.topic/a.b", "/topic/a.b"),
    ("/exchange/amq.direct/a", "/queue/a"),
    ("/exchange/amq.fanout", "/topic/amq.fanout"),
    ("/exchange/amq.fanout/whatever", "/topic/amq.fanout"),
    ("/exchange/prices/eur", "/topic/prices/eur"),
    ("/exchange/prices", "/topic/prices"),
    ("/queue/a::a", "/queue/a"),
    ("VirtualTopic.a", "/topic/VirtualTopic.a"),
    ("Consumer.g.VirtualTopic.a", "/queue/Consumer.g.VirtualTopic.a"),
    ("ActiveMQ.DLQ", "/queue/ActiveMQ.DLQ"),
    ("DLQ", "/queue/DLQ"),
    ("DLQ.a", "/queue/DLQ.a"),
    ("dlq.a", "/queue/dlq.a"),
]


def one(peer: Any) -> Any:
    """The one MESSAGE there is."""
    (reply,) = peer.read()
    assert reply.command == "MESSAGE", reply
    return reply


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_an_alias_is_the_same_destination(world: Any, alias: str, name: str) -> None:
    """Each is shown the name by which it subscribed, so that its callback's key matches."""
    first, second = world.connect("1.2"), world.connect("1.1")
    first.subscribe(alias)
    second.publish(name, b"to the alias")
    assert one(first).headers[:2] == [("subscription", "s"), ("destination", alias.replace(":", "\\c"))]
    first.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    second.subscribe(name)
    first.publish(alias, b"from the alias")
    message = one(second)
    assert message["destination"] == name
    assert message.body == b"from the alias"


@pytest.mark.parametrize("alias", ["queue://a", "/amq/queue/a"])
def test_the_destination_is_shown_once(world: Any, alias: str) -> None:
    peer = world.connect("1.0")
    peer.subscribe(alias, "client")
    peer.publish("/queue/a", b"1")
    message = one(peer)
    assert [value for name, value in message.headers if name == "destination"] == [alias]


@pytest.mark.parametrize(
    "name",
    [
        "/queue/a,b",
        "/queue/a%2Fb",
        "/queue/What now?",
        "/queue/Foo::Bar",
        "/queue/a?b",
        "/queuea",
        "/topic/$x",
        "/topic/ActiveMQ.Advisory.Queue",
        "ActiveMQ.Statistics.Broker",
        "activemq.management",
        "/x/y",
    ],
)
def test_other_names_are_taken_as_they_are(world: Any, name: str) -> None:
    peer = world.connect("1.0")
    peer.subscribe(name)
    peer.publish(name, b"1")
    assert one(peer)["destination"] == name
    assert name in {*world.broker.queues, *world.broker.topics}


@pytest.mark.parametrize(
    "name",
    [
        "/queue/",
        "queue://",
        "/topic/",
        "/temp-queue/",
        "/exchange/",
        "/exchange/amq.topic",
        "/exchange/amq.direct/",
        "/user/queue/",
    ],
)
@pytest.mark.parametrize("frame", [b"SEND\ndestination:%b\n\nx\0", b"SUBSCRIBE\nid:1\ndestination:%b\n\n\0"])
def test_a_name_is_needed(world: Any, name: str, frame: bytes) -> None:
    error = world.connect("1.2").fails(frame % name.encode())
    assert "has no name" in error["message"]


# Bare names


@pytest.mark.parametrize(
    ("bare", "kind", "name"),
    [
        ("topic", "", "a"),
        ("topic", "ANYCAST", "/queue/a"),
        ("topic", "multicast", "a"),
        ("queue", "", "/queue/a"),
        ("queue", "ANYCAST", "/queue/a"),
        ("queue", "MULTICAST", "/topic/a"),
        ("error", "ANYCAST", "/queue/a"),
        ("error", "MULTICAST", "/topic/a"),
    ],
)
def test_what_a_bare_name_is(new_world: Callable[..., Any], bare: str, kind: str, name: str) -> None:
    world = new_world(Rules(bare=bare))
    plain, other = world.connect("1.2"), world.connect("1.2")
    more = f"subscription-type:{kind}\n" if kind else ""
    other.subscribe("a", more=more)
    plain.publish(name, b"1")
    assert one(other)["destination"] == "a"
    more = f"destination-type:{kind}\n" if kind else ""
    plain.send(f"SEND\ndestination:a\n{more}\n2\0".encode())
    assert one(other).body == b"2"


def test_a_type_that_is_none(world: Any) -> None:
    error = world.connect("1.2").fails(b"SUBSCRIBE\nid:1\ndestination:a\nsubscription-type:QUEUE\n\n\0")
    assert "ANYCAST, MULTICAST" in error.body.decode()


@pytest.mark.parametrize("frame", [b"SEND\ndestination:%b\n\nx\0", b"SUBSCRIBE\nid:1\ndestination:%b\n\n\0"])
@pytest.mark.parametrize("name", [b"$stompserver/schedule", b"$stompserver/x"])
def test_the_servers_own_names_are_refused(world: Any, frame: bytes, name: bytes) -> None:
    error = world.connect("1.2").fails(frame % name)
    assert "the server's own" in error["message"]


# Several at once


@pytest.mark.parametrize("version", VERSIONS)
def test_a_send_to_several(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.subscribe("/topic/b", id="b")
    reply = peer.ask(b"SEND\ndestination:/queue/a,/topic/b,queue://c\nreceipt:r\n\nhello\0")
    assert {(each.command, each.body) for each in reply} == {("MESSAGE", b"hello"), ("RECEIPT", b"")}
    for name in ("/queue/a", "/queue/c"):
        peer.subscribe(name, id=name)
        message = one(peer)
        assert (message["destination"], message.body) == (name, b"hello")


def test_a_send_to_several_is_all_or_nothing(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(max_queues=1))
    peer = world.connect("1.2")
    peer.fails(b"SEND\ndestination:/queue/a,/queue/b\n\nhello\0")
    assert sum(queue.waiting for queue in world.broker.queues.values()) == 0


def test_a_send_to_several_in_a_transaction(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", id="a")
    peer.subscribe("/queue/b", id="b")
    peer.send(b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a,/queue/b\ntransaction:t\n\nhello\0")
    assert peer.messages() == []
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    assert peer.messages() == [b"hello", b"hello"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subscription_to_several(world: Any, version: str) -> None:
    """It has one id: UNSUBSCRIBE ends all of it."""
    peer, sender = world.connect(version), world.connect("1.2")
    peer.subscribe("/queue/a,/topic/b")
    for name in ("/queue/a", "/topic/b"):
        sender.publish(name, name.encode())
        message = one(peer)
        assert (message["subscription"], message["destination"]) == ("s", name)
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    for name in ("/queue/a", "/topic/b"):
        sender.publish(name, b"no more")
    assert peer.read() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_ack_of_a_subscription_to_several_means_all_before(world: Any, version: str) -> None:
    peer, sender = world.connect(version), world.connect("1.2")
    peer.subscribe("/queue/a,/queue/b", "client", more="prefetch-count:10\n")
    for number in range(4):
        sender.publish("/queue/" + "ab"[number % 2], b"%d" % number)
    messages = peer.read()
    assert [each.body for each in messages] == [b"0", b"1", b"2", b"3"]
    third = messages[2]
    name = {
        "1.0": f"message-id:{third['message-id']}",
        "1.1": f"message-id:{third['message-id']}\nsubscription:s",
        "1.2": f"id:{third['ack'] if version == '1.2' else ''}",
    }[version]
    peer.send(f"ACK\n{name}\n\n\0".encode())
    assert [world.broker.queues[name].unacked for name in ("/queue/a", "/queue/b")] == [0, 1]
    peer.session.lost()
    sender.subscribe("/queue/a,/queue/b")
    assert sender.messages() == [b"3"]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("destination", ["/queue/x.a,/queue/x.b", "/queue/x.*"])
def test_a_nack_of_a_subscription_to_several(world: Any, version: str, destination: str) -> None:
    peer, sender = world.connect(version), world.connect("1.2")
    peer.subscribe(destination, "client")
    for name in ("a", "b", "a", "b"):
        sender.publish("/queue/x." + name, name.encode())
    last = peer.read()[-1]
    name = f"message-id:{last['message-id']}\nsubscription:s" if version == "1.1" else f"id:{last['ack']}"
    peer.send(f"NACK\n{name}\n\n\0".encode())
    again = peer.read()
    assert sorted(each.body for each in again) == [b"a", b"a", b"b", b"b"]
    assert all(each["redelivered"] == "true" for each in again)


# Options in the name


def test_options_of_a_destination_are_headers(world: Any) -> None:
    peer = world.connect("1.2")
    peer.publish("/queue/a", *[b"x"] * 5)
    peer.subscribe("/queue/a?consumer.prefetchSize=2&consumer.exclusive=true", "client")
    assert len(peer.messages()) == 2
    (subscription,) = peer.session.subscriptions.values()
    assert (subscription.destination, subscription.wish.exclusive) == ("/queue/a", True)


def test_a_header_comes_before_an_option(world: Any) -> None:
    peer = world.connect("1.2")
    peer.publish("/queue/a", *[b"x"] * 5)
    peer.subscribe("/queue/a?consumer.prefetchSize=2", "client", more="activemq.prefetchSize:3\n")
    assert len(peer.messages()) == 3


def test_a_selector_as_an_option(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a?consumer.selector=kind%3D'%61'")
    peer.send(b"SEND\ndestination:/queue/a\nkind:b\n\n1\0SEND\ndestination:/queue/a\nkind:a\n\n2\0")
    assert peer.messages() == [b"2"]


def test_an_option_of_send(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(b"SEND\ndestination:/queue/a?priority=7\n\n1\0")
    message = one(peer)
    assert (message["destination"], message["priority"]) == ("/queue/a", "7")


def test_an_unknown_option_is_tolerated_and_counted(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a?consumer.nonsense=1")
    assert peer.session.tolerated == {"option": 1}


# Artemis' address::queue


def test_a_queue_of_a_topic(world: Any) -> None:
    """Two that name it share it; it is durable."""
    first, second, sender = world.connect("1.2"), world.connect("1.2"), world.connect("1.2")
    first.subscribe("/topic/a::b")
    first.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    sender.publish("/topic/a", b"1", b"2")
    second.subscribe("/topic/a::b", "client")
    assert second.messages() == [b"1", b"2"]


# Private ones


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_temporary_destination_is_its_connections_own(world: Any, version: str, kind: str) -> None:
    """Both call theirs the same, and neither gets the other's."""
    first, second = world.connect(version), world.connect(version)
    for peer in (first, second):
        peer.subscribe(f"/temp-{kind}/r")
    first.publish(f"/temp-{kind}/r", b"mine")
    assert one(first)["destination"] == f"/temp-{kind}/r"
    assert second.read() == []


@pytest.mark.parametrize("kind", ["queue", "topic"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_to_a_temporary_destination(world: Any, version: str, kind: str) -> None:
    client, service = world.connect(version), world.connect(version)
    service.subscribe("/queue/requests")
    client.subscribe(f"/temp-{kind}/r", id="mine")
    client.send(f"SEND\ndestination:/queue/requests\nreply-to:/temp-{kind}/r\n\nask\0".encode())
    reply_to = one(service)["reply-to"]
    assert reply_to == {"queue": "/reply-queue/session-1.r", "topic": "/remote-temp-topic/session-1.r"}[kind]
    service.publish(reply_to, b"answer")
    message = one(client)
    assert (message.body, message["subscription"], message["destination"]) == (
        b"answer",
        "mine",
        f"/temp-{kind}/r",
    )


def test_an_answer_comes_without_a_subscription_as_with_rabbitmq(world: Any) -> None:
    client, service = world.connect("1.2"), world.connect("1.2")
    service.subscribe("/queue/requests")
    for _ in range(2):
        client.send(b"SEND\ndestination:/queue/requests\nreply-to:/temp-queue/r\nreceipt:1\n\nask\0")
        assert [reply.command for reply in client.read()] == ["RECEIPT"]
        service.publish(one(service)["reply-to"], b"answer")
        message = one(client)
        assert (message.body, message["subscription"]) == (b"answer", "/temp-queue/r")


@pytest.mark.parametrize(
    "name",
    [
        "/queue/$temp/session-1/r",
        "/reply-queue/session-1.r",
        "/reply-queue/session-1/r",
        "/remote-temp-queue/session-1.r",
        "/remote-temp-queue/session-1/r",
    ],
)
def test_only_the_owner_subscribes_to_a_temporary_destination(world: Any, name: str) -> None:
    client, thief = world.connect("1.2"), world.connect("1.2")
    client.subscribe("/temp-queue/r")
    error = thief.fails(f"SUBSCRIBE\nid:1\ndestination:{name}\n\n\0".encode())
    assert "somebody else's" in error["message"]


@pytest.mark.parametrize(
    "pattern", ["/queue/>", "/queue/*/*/r", "/queue/#", "/queue/$temp/>", "/queue/$temp/*/r", "/queue/**/r"]
)
def test_no_pattern_hears_what_is_private(world: Any, pattern: str) -> None:
    client, thief = world.connect("1.2"), world.connect("1.2")
    client.subscribe("/temp-queue/r", "client")
    thief.send(f"SUBSCRIBE\nid:1\ndestination:{pattern}\n\n\0".encode())
    thief.read()
    client.publish("/temp-queue/r", b"mine", b"mine")
    assert client.messages() == [b"mine", b"mine"]
    assert thief.read() == []


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_temporary_destination_ends_with_its_connection(world: Any, kind: str) -> None:
    client, service = world.connect("1.2"), world.connect("1.2")
    client.subscribe(f"/temp-{kind}/r", "client")
    service.publish(f"/{kind}/$temp/session-1/r", b"1")
    client.session.lost()
    assert not [name for name in {*world.broker.queues, *world.broker.topics} if "$temp" in name]
    receipt = service.get(f"SEND\ndestination:/{kind}/$temp/session-1/r\nreceipt:r\n\n2\0".encode())
    assert "temporary" in receipt["warning"]
    assert not [name for name in {*world.broker.queues, *world.broker.topics} if "$temp" in name]
    assert world.roster.temporary == 0


def test_temporary_destinations_are_bounded(new_world: Callable[..., Any]) -> None:
    world = new_world(max_subscriptions=3)
    peer = world.connect("1.2")
    for number in range(3):
        peer.send(b"SEND\ndestination:/temp-queue/%d\n\n\0" % number)
    assert "temporary" in peer.fails(b"SEND\ndestination:/temp-queue/x\n\n\0")["message"]


@pytest.mark.parametrize("form", ["/user/queue/a", "/user/topic/a", "/user/a", "/user/news/today"])
def test_what_a_login_has_for_itself(world: Any, form: str) -> None:
    alice, other, bob = (world.stranger() for _ in range(3))
    for peer, login in ((alice, "alice"), (other, "alice"), (bob, "bob")):
        peer.ask(f"CONNECT\naccept-version:1.2\nhost:h\nlogin:{login}\n\n\0".encode())
        peer.subscribe(form)
    alice.publish(form, b"1")
    got = [len(peer.messages()) for peer in (alice, other, bob)]
    assert got == [1, 0 if "queue" in form else 1, 0]


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_message_to_another_login(world: Any, kind: str) -> None:
    alice, bob = world.stranger(), world.stranger()
    for peer, login in ((alice, "alice"), (bob, "b/*:b")):
        peer.ask(f"CONNECT\naccept-version:1.2\nhost:h\nlogin:{login}\n\n\0".encode())
    bob.subscribe(f"/user/{kind}/a")
    bob.publish(f"/user/{kind}/a", b"own")
    assert bob.messages() == [b"own"]
    alice.publish(f"/user/bob/{kind}/a", b"of another")
    assert bob.messages() == []
    error = alice.fails(f"SUBSCRIBE\nid:1\ndestination:/user/bob/{kind}/a\n\n\0".encode())
    assert "somebody else's" in error["message"]


def test_nobody_has_no_destinations_of_its_own(world: Any) -> None:
    error = world.connect("1.2").fails(b"SUBSCRIBE\nid:1\ndestination:/user/queue/a\n\n\0")
    assert "login" in error["message"]
