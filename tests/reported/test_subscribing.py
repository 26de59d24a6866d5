"""Reports about subscriptions: their ids, their end, whom they serve, patterns, browsers."""

from __future__ import annotations

from typing import Any

import pytest


def test_leaving_and_coming_back_at_once(place: Any) -> None:
    """spring-projects/spring-framework#23104: UNSUBSCRIBE and SUBSCRIBE without a pause, and each message came
    twice.
    """
    client = place.connect()
    client.send(
        "".join(
            f"SUBSCRIBE\nid:{n}\ndestination:{place.topic}\n\n\0UNSUBSCRIBE\nid:{n}\n\n\0" for n in range(50)
        )
    )
    client.subscribe(place.topic, id="0")
    client.publish(place.topic, "x")
    (frame,) = client.take(1)
    assert frame["subscription"] == "0"


def test_an_id_that_is_in_use(place: Any) -> None:
    """emqx/emqx#11195: one subscription could be made a second time."""
    client = place.connect()
    client.subscribe(place.queue)
    client.send(f"SUBSCRIBE\nid:0\ndestination:{place.queue}.b\n\n\0")
    assert client.error()["message"] == "Subscription id is in use '0'"


def test_two_subscriptions_of_one_topic(place: Any) -> None:
    """stompgem/stomp#21: who subscribes twice gets two copies, and after a reconnect one."""
    client = place.connect()
    client.subscribe(place.topic, id="a")
    client.subscribe(place.topic, id="b")
    client.publish(place.topic, "x")
    assert sorted(frame["subscription"] for frame in client.take(2)) == ["a", "b"]
    client.receipt("UNSUBSCRIBE\nid:a\n\n\0")
    client.publish(place.topic, "y")
    assert [frame["subscription"] for frame in client.take(1)] == ["b"]


def test_leaving_what_was_never_subscribed(place: Any) -> None:
    """salmar/spring-websocket-chat#9: a relay passed on an UNSUBSCRIBE whose SUBSCRIBE it had kept, and was cut."""
    client = place.connect()
    assert client.receipt("UNSUBSCRIBE\nid:sub-2\n\n\0").has("warning")
    client.nothing()


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_each_message_says_its_subscription(place: Any, version: str) -> None:
    """hozn/coilmq#25: MESSAGEs did not say for which subscription they were."""
    client = place.connect(version)
    for id in ("a", "b"):
        client.subscribe(f"{place.topic}.{id}", id=id)
    for id in ("b", "a"):
        client.publish(f"{place.topic}.{id}", id)
    assert [(frame["subscription"], frame.body) for frame in client.take(2)] == [("b", "b"), ("a", "a")]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_subscription_needs_an_id(place: Any, version: str) -> None:
    """nikipore/stompest#53: a client of 1.1 subscribed without an id."""
    client = place.connect(version)
    client.send(f"SUBSCRIBE\ndestination:{place.topic}\nack:auto\n\n\0")
    assert client.error()["message"] == "SUBSCRIBE without id"


def test_what_belongs_to_a_subscriber_goes_with_it(new_world: Any) -> None:
    """apache/artemis#801 (ARTEMIS-741): queues of topic subscribers that had left stayed behind, and filled."""
    world = new_world()
    sender = world.connect("1.2")
    for ack in ("auto", "client", "client-individual"):
        client = world.connect("1.2")
        client.subscribe("/topic/a", ack)
        sender.publish("/topic/a", b"x")
        client.session.lost()
    sender.publish("/topic/a", b"x")
    world.broker.tick(1_700_000_000_000)
    assert not [queue for queue in world.broker.queues.values() if queue.waiting or queue.subscriptions]


def test_a_queue_that_goes_with_its_subscriber_can_come_back(place: Any) -> None:
    """rabbitmq/rabbitmq-web-stomp#94: after UNSUBSCRIBE from an auto-delete queue, SUBSCRIBE did not find it."""
    client = place.connect()
    for number in range(3):
        client.subscribe(place.queue, id=f"sub-{number}", more="durable:false\nauto-delete:true\n")
        client.publish(place.queue, str(number))
        assert client.bodies(1) == [str(number)]
        client.receipt(f"UNSUBSCRIBE\nid:sub-{number}\n\n\0")


def test_other_properties_than_the_queue_has(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#16, jmesnil/stomp-websocket#154: SUBSCRIBE with other properties, and the line was
    cut.
    """
    client = place.connect()
    client.subscribe(place.queue, more="x-max-length:10\nx-dead-letter-exchange:a\n")
    other = place.connect()
    receipt = other.subscribe(
        place.queue, more="x-max-length:20\nauto-delete:true\nx-dead-letter-exchange:b\ndurable:false\n"
    )
    assert receipt.has("warning")
    other.nothing()


def test_messages_between_unsubscribe_and_its_receipt(place: Any) -> None:
    """stomp-php/stomp-php#135: what came between UNSUBSCRIBE and its RECEIPT was lost, with ack:auto."""
    client, reader = place.connect(), place.connect()
    for number in range(20):
        client.publish(place.queue, str(number))
    reader.send(f"SUBSCRIBE\nid:0\ndestination:{place.queue}\nack:auto\n\n\0")
    reader.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    got = [frame.body for frame in reader.early]
    reader.early.clear()
    client.subscribe(place.queue)
    client.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
    assert got + [frame.body for frame in client.early] == [str(number) for number in range(20)]
    client.early.clear()
    reader.nothing()


def test_arguments_of_a_header_exchange(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#145, jmesnil/stomp-websocket#124: arguments for a headers exchange were not looked
    at.
    """
    client = place.connect()
    client.subscribe(place.topic, more="selector:code = 100\n")
    client.publish(place.topic, "no", "code:99\n")
    client.publish(place.topic, "yes", "code:100\n")
    assert client.bodies(1) == ["yes"]


def test_one_consumer_alone(place: Any) -> None:
    """nikipore/stompest#33: how a STOMP client asks to be the only consumer of a queue."""
    first, second = place.connect(), place.connect()
    first.subscribe(place.queue, more="activemq.exclusive:true\n")
    second.subscribe(f"{place.queue}?consumer.exclusive=true")
    for number in range(6):
        second.publish(place.queue, str(number))
    assert first.bodies(6) == [str(number) for number in range(6)]
    second.nothing()
    first.leave()
    second.publish(place.queue, "next")
    assert second.bodies(1) == ["next"]


def test_a_queue_of_an_address(place: Any) -> None:
    """apache/artemis#3202 (ARTEMIS-2817): a queue named together with its topic could not be subscribed."""
    client, other = place.connect(), place.connect()
    client.subscribe(f"{place.name}::{place.name}.q", more="subscription-type:MULTICAST\n")
    other.subscribe(f"{place.name}::{place.name}.q", more="subscription-type:MULTICAST\n")
    for number in range(4):
        client.publish(place.name, str(number), "destination-type:MULTICAST\n")
    client.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
    other.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
    got = [frame.body for frame in client.early + other.early]
    client.early.clear()
    other.early.clear()
    assert sorted(got) == ["0", "1", "2", "3"]


def test_leaving_while_messages_come(place: Any) -> None:
    """apache/artemis#2001 (ARTEMIS-1792): a race between UNSUBSCRIBE and deliveries."""
    client, sender = place.connect(), place.connect()
    sent = "".join(f"SEND\ndestination:{place.queue}\n\n{number}\0" for number in range(200))
    got = []
    client.subscribe(place.queue)
    sender.send(sent)
    while len(got) < 3:
        got.append(client.expect("MESSAGE").body)
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    got += [frame.body for frame in client.early]
    client.early.clear()
    client.nothing()
    sender.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
    assert got + place.left() == [str(number) for number in range(200)]


def test_a_destination_without_a_text(place: Any) -> None:
    """apache/activemq#334 (AMQ-7125): SUBSCRIBE with an empty destination got no answer."""
    client = place.connect()
    client.send("SUBSCRIBE\nid:0\ndestination:\nreceipt:r\n\n\0")
    error = client.error()
    assert (error["message"], error["receipt-id"]) == ("SUBSCRIBE without destination", "r")


def test_a_pattern_shows_where_each_message_was_sent(place: Any) -> None:
    """easternbloc/node-stomp-client#36, NaikSoftware/StompProtocolAndroid#171: what a MESSAGE for a pattern says."""
    client = place.connect()
    client.subscribe(f"{place.topic}.*", id="p")
    client.publish(f"{place.topic}.a", "x")
    (frame,) = client.take(1)
    assert (frame["destination"], frame["subscription"]) == (f"{place.topic}.a", "p")


def test_a_pattern_beside_a_name(place: Any) -> None:
    """jasonrbriggs/stomp.py#17: of two subscriptions that fit, a pattern and a name, one got the message."""
    client = place.connect()
    client.subscribe(f"{place.topic}.a", id="name")
    client.subscribe(f"{place.topic}.>", id="pattern")
    client.publish(f"{place.topic}.a", "x")
    assert sorted(frame["subscription"] for frame in client.take(2)) == ["name", "pattern"]


def test_a_pattern_of_queues(place: Any) -> None:
    """jasonrbriggs/stomp.py#416: whether one subscription can have several queues, those that come later too."""
    client = place.connect()
    client.publish(f"{place.queue}/q1", "1")
    client.subscribe(f"{place.queue}/*", ack="client-individual")
    client.publish(f"{place.queue}/q2", "2")
    frames = client.take(2)
    assert [frame["destination"] for frame in frames] == [f"{place.queue}/q1", f"{place.queue}/q2"]
    for frame in frames:
        client.settle(frame)
    client.nothing()


def test_a_look_into_a_queue_has_an_end(place: Any) -> None:
    """drone/mq#18: a subscription that looks through a queue and takes nothing was wanted, with a last MESSAGE."""
    client = place.connect()
    for body in ("1", "2"):
        client.publish(place.queue, body)
    client.subscribe(place.queue, more="browser:true\n")
    frames = client.take(3)
    assert [frame.body for frame in frames] == ["1", "2", ""]
    assert frames[2]["browser"] == "end"
    assert place.left() == ["1", "2"]


def test_a_look_into_a_queue_of_what_expires(new_world: Any) -> None:
    """apache/activemq#127 (AMQ-5340): a browser waited for ever where messages expired while it looked."""
    world = new_world()
    world.broker.tick(1_700_000_000_000)
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/a\nttl:1000\n\ngone\0SEND\ndestination:/queue/a\n\nthere\0")
    world.broker.tick(1_700_000_002_000)
    peer.subscribe("/queue/a", more="browser:true\n")
    assert peer.messages() == [b"there", b""]
