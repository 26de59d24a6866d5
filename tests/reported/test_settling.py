"""Reports about ACK and NACK, redelivery and prefetch."""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = ["1.0", "1.1", "1.2"]


@pytest.mark.parametrize("word", ["message-id:{0}\nsubscription:0", "id:{0}\nmessage-id:{0}\nsubscription:0"])
def test_an_ack_by_message_id_in_the_last_version(place: Any, word: str) -> None:
    """blackhorse-one/stomp_dart_client#106, stomp-js/stompjs#308: an ACK of 1.2 in the words of 1.1 was refused."""
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.receipt("ACK\n" + word.format(frame["message-id"]) + "\n\n\0")
    client.leave()
    assert place.left() == []


@pytest.mark.parametrize(("version", "word"), [("1.0", "ACK"), ("1.1", "ACK"), ("1.1", "NACK")])
def test_an_id_in_the_versions_before(place: Any, version: str, word: str) -> None:
    """jasonrbriggs/stomp.py#1: a client that speaks 1.0 or 1.1 says `id` where message-id belongs."""
    client = place.connect(version)
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.receipt(f"{word}\nid:{frame['message-id']}\nsubscription:0\n\n\0")
    if word == "NACK":
        assert client.take(1)[0]["redelivered"] == "true"
    client.leave()
    assert place.left() == (["x"] if word == "NACK" else [])


def test_a_nack_with_the_id_of_its_subscription(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#10: a NACK of 1.2 by way of Spring has message-id, and the subscription's name as
    `id`.
    """
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual", id="141414")
    client.publish(place.queue, "x")
    client.publish(place.queue, "y")
    one, two = client.take(2)
    client.receipt(f"NACK\nmessage-id:{two['message-id']}\nsubscription:141414\nid:141414\n\n\0")
    assert client.take(1)[0].body == "y"
    client.receipt(f"ACK\nmessage-id:{one['message-id']}\nsubscription:141414\nid:141414\n\n\0")
    client.leave()
    assert place.left() == ["y"]


def test_a_late_ack_with_a_message_id_beside_it_settles_nothing(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#10, gdaws/stompit#123: all headers of the MESSAGE sent back, and the message came
    again since.
    """
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (old,) = client.take(1)
    client.part()
    again = place.connect()
    again.subscribe(place.queue, ack="client-individual")
    (new,) = again.take(1)
    assert new["message-id"] == old["message-id"]
    late = f"ACK\nid:{old['ack']}\nmessage-id:{old['message-id']}\nsubscription:0\n\n\0"
    assert again.receipt(late).has("warning")
    again.part()
    assert place.left() == ["x"]


@pytest.mark.parametrize("no", ["false", "False"])
def test_a_refusal_for_good_in_any_spelling(place: Any, no: str) -> None:
    """stomp-php/stomp-php#102: NACK could not say that the message shall not come again."""
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.settle(frame, "NACK", f"requeue:{no}\n")
    client.nothing()
    client.leave()
    assert place.left() == []


def test_only_the_last_version_has_an_ack_header(place: Any) -> None:
    """openraildata/td-trust-example-python3#2: a program looked for `ack` in the MESSAGEs of 1.1."""
    old, new = place.connect("1.1"), place.connect("1.2")
    old.subscribe(place.queue, ack="client")
    old.publish(place.queue, "x")
    assert not old.take(1)[0].has("ack")
    old.leave()
    new.subscribe(place.queue, ack="client")
    assert new.take(1)[0].has("ack")


def test_an_ack_header_always_comes_where_one_is_wanted(place: Any) -> None:
    """go-stomp/stomp#132: MESSAGEs had no ack header, and the client could not acknowledge."""
    client = place.connect()
    for number, destination in enumerate([place.queue, place.topic, place.topic + ".*"]):
        client.subscribe(destination, id=str(number), ack="client-individual")
    client.publish(place.queue, "1")
    client.publish(place.topic, "2")
    client.publish(place.topic + ".a", "3")
    names = [frame["ack"] for frame in client.take(3)]
    assert len(set(names)) == 3


def test_the_first_version_says_message_id(place: Any) -> None:
    """hozn/coilmq#55: an ACK of 1.0 was looked for by a header that 1.0 does not have."""
    client = place.connect("1.0")
    client.subscribe(place.queue, ack="client")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.receipt(f"ACK\nmessage-id:{frame['message-id']}\n\n\0")
    client.leave()
    assert place.left() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_ack_of_what_nobody_got(place: Any, version: str) -> None:
    """hornetq/hornetq#1484 (HORNETQ-727): an ACK that was not expected ended in an exception of the server."""
    client = place.connect(version)
    client.send("ACK\nid:nobody\nmessage-id:1\nsubscription:0\nreceipt:r\n\n\0")
    error = client.error()
    assert error["message"].startswith("ACK of no known delivery")
    assert error["receipt-id"] == "r"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_an_ack_behind_unsubscribe(place: Any, version: str) -> None:
    """rabbitmq/rabbitmq-server#17208: an ACK that came after UNSUBSCRIBE ended the connection."""
    client = place.connect(version)
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "one")
    client.publish(place.queue, "two")
    one, _ = client.take(2)
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    client.settle(one)
    client.leave()
    assert place.left() == ["two"]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_refused_message_comes_again(place: Any, version: str) -> None:
    """jasonrbriggs/stomp.py#315: NACK did what ACK does, and messages were gone."""
    client = place.connect(version)
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    for count in (2, 3):
        client.settle(frame, "NACK")
        (frame,) = client.take(1)
        assert (frame["redelivered"], frame["delivery-count"]) == ("true", str(count))


def test_a_limit_of_redeliveries_said_by_the_subscription(place: Any) -> None:
    """stomp-js/stompjs#635: headers of SUBSCRIBE that say how often a message comes again did nothing."""
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual", more="activemq.maximumRedeliveries:2\n")
    client.publish(place.queue, "x")
    for _ in range(3):
        (frame,) = client.take(1)
        client.settle(frame, "NACK")
    client.nothing()


def test_prefetch_counts_what_is_not_acknowledged(place: Any) -> None:
    """gdaws/stompit#55: a consumer that is slow got thousands of messages."""
    client = place.connect()
    for number in range(5):
        client.publish(place.queue, str(number))
    client.subscribe(place.queue, ack="client-individual", more="prefetch-count:2\n")
    one, _ = client.take(2)
    client.settle(one)
    assert client.bodies(1) == ["2"]


def test_prefetch_means_nothing_where_nothing_is_acknowledged(place: Any) -> None:
    """benjaminws/stomp-js#33: with a prefetch of 1 all 35 messages came at once."""
    client = place.connect()
    for number in range(35):
        client.publish(place.queue, str(number))
    client.subscribe(place.queue, more="activemq.prefetchSize:1\n")
    assert len(client.take(35)) == 35


def test_a_consumer_does_not_stop_at_some_number(place: Any) -> None:
    """jasonrbriggs/stomp.py#325: after 45 messages with acknowledgements no more came."""
    client = place.connect()
    for number in range(120):
        client.send(f"SEND\ndestination:{place.queue}\n\n{number}\0")
    client.subscribe(place.queue, ack="client-individual", more="consumer.prefetchSize:10\n")
    got = []
    while len(got) < 120:
        frame = client.expect("MESSAGE")
        got.append(frame.body)
        client.settle(frame)
    assert got == [str(number) for number in range(120)]


def test_a_dead_connection_gets_nothing_more(new_world: Any) -> None:
    """apache/artemis#2664 (ARTEMIS-2333): messages went to a connection that was gone, and counted as
    acknowledged.
    """
    world = new_world()
    dead, sender = world.connect("1.2"), world.connect("1.2")
    dead.subscribe("/queue/a")
    dead.session.lost()
    sender.publish("/queue/a", b"x")
    other = world.connect("1.2")
    other.subscribe("/queue/a")
    assert other.messages() == [b"x"]


def test_what_a_client_leaves_behind_goes_to_others(place: Any) -> None:
    """hornetq/hornetq#1148 (HORNETQ-1227): messages of a client that closed without UNSUBSCRIBE were lost."""
    client, other = place.connect(), place.connect()
    client.subscribe(place.queue, ack="client")
    for number in range(10):
        client.publish(place.queue, str(number))
    client.take(10)
    other.subscribe(place.queue)
    client.part()
    assert [other.expect("MESSAGE").body for _ in range(10)] == [str(number) for number in range(10)]


@pytest.mark.parametrize("word", ["message-id", "id"])
def test_an_ack_without_its_subscription(place: Any, word: str) -> None:
    """stomp-php/stomp-php#46, danieleteti/delphistompclient#15: clients of 1.1 say no subscription in ACK."""
    client = place.connect("1.1")
    client.subscribe(place.queue, ack="client")
    client.subscribe(place.topic, id="other", ack="client")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.receipt(f"ACK\n{word}:{frame['message-id']}\n\n\0")
    client.leave()
    assert place.left() == []


def test_an_ack_that_two_subscriptions_could_mean(place: Any) -> None:
    """stomp-php/stomp-php#46: without a subscription nobody knows which copy of a topic's message is acknowledged."""
    client = place.connect("1.1")
    for id in ("a", "b"):
        client.subscribe(place.topic, id=id, ack="client")
    client.publish(place.topic, "x")
    (frame, _) = client.take(2)
    client.send(f"ACK\nmessage-id:{frame['message-id']}\n\n\0")
    error = client.error()
    assert error["message"] == "ACK without subscription"
    assert "subscription" in error.body.split("Fix:")[1]


def test_an_ack_without_its_subscription_that_settles_nothing(new_world: Any) -> None:
    """stomp-php/stomp-php#46: the same for what needs no ACK, and for what went back when its time was over."""
    world = new_world()
    world.broker.tick(1_700_000_000_000)
    peer = world.connect("1.1")
    peer.subscribe("/queue/auto")
    peer.subscribe("/queue/a", "client", id="a", more="ack-timeout:1000\n")
    peer.publish("/queue/auto", b"x")
    peer.publish("/queue/a", b"y")
    x, y = peer.read()
    peer.get(f"ACK\nmessage-id:{x['message-id']}\nreceipt:r\n\n\0".encode())
    other = world.connect("1.1")
    other.subscribe("/queue/a", "client", more="x-priority:10\n")
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    world.broker.tick(1_700_000_001_001)
    assert other.messages() == [b"y"]
    late = peer.get(f"ACK\nmessage-id:{y['message-id']}\nreceipt:r\n\n\0".encode())
    assert late.has("warning")
