"""Reports about what a message has with it: selectors, times, order, headers."""

from __future__ import annotations

from typing import Any

import pytest

NOW = 1_700_000_000_000


def test_own_messages_are_left_out_whatever_the_selector(place: Any) -> None:
    """apache/artemis#5408 (ARTEMIS-5182): no-local and a selector with OR were joined without brackets."""
    client, other = place.connect(), place.connect()
    client.subscribe(place.topic, more="no-local:true\nselector:colour = 'red' OR colour = 'blue'\n")
    client.publish(place.topic, "own", "colour:red\n")
    for colour in ("red", "green", "blue"):
        other.publish(place.topic, colour, f"colour:{colour}\n")
    assert client.bodies(2) == ["red", "blue"]


def test_a_selector_belongs_to_the_subscriber(place: Any) -> None:
    """gdaws/stompit#94: the sender had put the selector into SEND, and nothing came."""
    client = place.connect()
    client.subscribe(place.topic, more="selector:key = 'A'\n")
    client.publish(place.topic, "no", "selector:key = 'A'\n")
    client.publish(place.topic, "yes", "key:A\n")
    assert client.bodies(1) == ["yes"]


def test_a_selector_compares_two_headers(place: Any) -> None:
    """gdaws/stompit#94: `key=A` compares two headers, and every message came or none."""
    client = place.connect()
    client.subscribe(place.topic, more="selector:key=A\n")
    client.publish(place.topic, "no", "key:A\n")
    client.publish(place.topic, "yes", "key:B\nA:B\n")
    assert client.bodies(1) == ["yes"]


def test_a_selector_on_a_topic(place: Any) -> None:
    """nikipore/stompest#14: a selector was taken, and filtered nothing."""
    client = place.connect()
    client.subscribe(place.topic, more="selector:size > 10\n")
    for size in (9, 10, 11, 100):
        client.publish(place.topic, str(size), f"size:{size}\n")
    assert client.bodies(2) == ["11", "100"]


def test_a_time_that_is_no_number(place: Any) -> None:
    """go-stomp/stomp#47: expires with a date as text, and the message was gone without a word."""
    client = place.connect()
    client.send(f"SEND\ndestination:{place.queue}\nexpires:2049-12-31 23:59:59\nreceipt:r\n\nx\0")
    error = client.error()
    assert error["message"].startswith("Header expires is not a number")


def test_a_short_life_behind_a_long_one(new_world: Any) -> None:
    """rabbitmq/rabbitmq-server#2074: a message with a short time to live stayed as long as the one in front of it."""
    world = new_world()
    world.broker.tick(NOW)
    peer = world.connect("1.2")
    peer.send(
        b"SEND\ndestination:/queue/a\nttl:600000\n\nlong\0SEND\ndestination:/queue/a\nttl:60000\n\nshort\0"
    )
    world.broker.tick(NOW + 61_000)
    assert sum(queue.waiting for queue in world.broker.queues.values()) == 1
    peer.subscribe("/queue/a")
    assert peer.messages() == [b"long"]


def test_a_time_to_live(new_world: Any) -> None:
    """jasonrbriggs/stomp.py#145: messages that nobody reads stayed for ever; Apollo's word is ttl."""
    world = new_world()
    world.broker.tick(NOW)
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/a\nttl:30000\n\nx\0")
    world.broker.tick(NOW + 30_001)
    peer.subscribe("/queue/a")
    assert peer.messages() == []


def test_a_delay_on_a_queue_and_a_bare_name(new_world: Any) -> None:
    """gdaws/stompit#128: a delayed message to a bare name came at once."""
    world = new_world()
    world.broker.tick(NOW)
    peer = world.connect("1.2")
    peer.subscribe("TestQueue")
    peer.send(b"SEND\ndestination:TestQueue\nAMQ_SCHEDULED_DELAY:20000\n\nx\0")
    assert peer.messages() == []
    world.broker.tick(NOW + 19_999)
    assert peer.messages() == []
    world.broker.tick(NOW + 20_000)
    assert peer.messages() == [b"x"]


def test_a_series(new_world: Any) -> None:
    """gdaws/stompit#97: a message with delay, period and repetitions came once, and at once."""
    world = new_world()
    world.broker.tick(NOW)
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(
        b"SEND\ndestination:/queue/a\nAMQ_SCHEDULED_DELAY:10000\nAMQ_SCHEDULED_PERIOD:10000\nAMQ_SCHEDULED_REPEAT:3\n\nx\0"
    )
    came = []
    for second in range(0, 70, 10):
        world.broker.tick(NOW + 1000 * second)
        came.append(len(peer.messages()))
    assert came == [0, 1, 1, 1, 1, 0, 0]


def test_a_time_of_delivery(new_world: Any) -> None:
    """apache/artemis#1319 (ARTEMIS-821): a message for later could be sent over other protocols only."""
    world = new_world()
    world.broker.tick(NOW)
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(b"SEND\ndestination:/queue/a\nAMQ_SCHEDULED_TIME:%d\n\nx\0" % (NOW + 5000))
    world.broker.tick(NOW + 4999)
    assert peer.messages() == []
    world.broker.tick(NOW + 5000)
    assert peer.messages() == [b"x"]


def test_the_type_of_a_body_comes_back(place: Any) -> None:
    """apache/artemis#178 (ARTEMIS-230): content-type was lost on the way."""
    client = place.connect()
    client.subscribe(place.queue)
    client.publish(place.queue, "{}", "content-type:application/json;charset=utf-8\n")
    assert client.take(1)[0]["content-type"] == "application/json;charset=utf-8"


@pytest.mark.parametrize("form", ["/queue/{}", "queue://{}", "jms.queue.{}", "/amq/queue/{}"])
def test_a_destination_comes_back_as_it_was_said(place: Any, form: str) -> None:
    """apache/artemis#2077 (ARTEMIS-1834): MESSAGE had another destination than the client had subscribed to."""
    client = place.connect()
    client.subscribe(form.format(place.name))
    client.publish(form.format(place.name), "x")
    assert client.take(1)[0]["destination"].replace("\\c", ":") == form.format(place.name)


def test_what_a_bare_name_is_said_by_a_header(place: Any) -> None:
    """apache/artemis#2004 (ARTEMIS-1793): the header destination-type went wrong."""
    client = place.connect()
    client.publish(place.name, "x", "destination-type:ANYCAST\n")
    client.subscribe(place.name, more="subscription-type:ANYCAST\n")
    assert client.bodies(1) == ["x"]


def test_headers_of_the_sender_arrive(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#113: headers of the sender did not reach the subscriber."""
    client = place.connect()
    client.subscribe(place.topic)
    client.publish(place.topic, "x", "x-custom:1\nUPPER:2\ncorrelation-id:3\nlöwe:4\n")
    (frame,) = client.take(1)
    assert [frame[name] for name in ("x-custom", "UPPER", "correlation-id", "löwe")] == ["1", "2", "3", "4"]


def test_a_queue_with_priorities(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#52, #13: x-max-priority in SUBSCRIBE ended the queue, or was not passed on."""
    client = place.connect()
    client.subscribe(place.queue, ack="client", more="x-max-priority:9\nprefetch-count:1\n")
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    for priority in (1, 9, 5):
        client.publish(place.queue, str(priority), f"priority:{priority}\n")
    client.subscribe(place.queue)
    assert client.bodies(3) == ["9", "5", "1"]


def test_a_message_survives_without_a_word(start_server: Any, new_place: Any, tmp_path: Any) -> None:
    """Islandora/documentation#1857: messages without persistent:true were gone after a restart."""
    options = ("-q", "lmdb", "--monitor-interval=0", "--linger=0.1")
    server = start_server(*options, directory=tmp_path)
    new_place(server.port).connect().publish("/queue/a", "x")
    server.kill()
    client = new_place(start_server(*options, directory=tmp_path).port).connect()
    client.subscribe("/queue/a")
    assert client.bodies(1) == ["x"]


def test_a_missing_destination_is_told(place: Any) -> None:
    """stomp/stomp-spec#21: whoever sends to a name that nobody knows gets a RECEIPT as if all were well."""
    client = place.connect()
    assert client.receipt(f"SEND\ndestination:{place.name}\n\nx\0").has("warning")


@pytest.mark.parametrize(
    "name",
    [
        "using.periods",
        "maybe:colons",
        "maybe/slashes",
        "maybe\\\\backslashes",
        "maybe%2Fpercent",
        "with blank",
        "ünicode",
    ],
)
def test_names_of_queues(place: Any, name: str) -> None:
    """php-enqueue/enqueue-dev#1067: names with colons, slashes, backslashes were changed on the way or refused."""
    client = place.connect()
    queue = f"{place.queue}.{name}"
    client.subscribe(queue)
    client.publish(queue, "x")
    (frame,) = client.take(1)
    assert frame["destination"].replace("\\c", ":") == queue


def test_a_dead_letter_says_where_it_comes_from(place: Any) -> None:
    """spring-projects/spring-framework#24415: of a dead letter's story not all came over STOMP."""
    client = place.connect()
    client.subscribe(place.queue, ack="client-individual")
    client.publish(place.queue, "x")
    (frame,) = client.take(1)
    client.receipt(f"NACK\nid:{frame['ack']}\nrequeue:false\nreason:broken\n\n\0")
    client.subscribe("/queue/deadletter", id="d", more=f"selector:original-destination = '{place.queue}'\n")
    (dead,) = client.take(1)
    assert dead["original-destination"] == place.queue
    assert (dead["dead-letter-reason"], dead["dead-letter-cause"]) == ("rejected", "broken")


def test_a_message_group_has_one_consumer(place: Any) -> None:
    """apache/artemis#1710 (ARTEMIS-1558): the group of a message was lost, and several consumers had it."""
    first, second = place.connect(), place.connect()
    first.subscribe(place.queue, ack="client-individual")
    second.subscribe(place.queue, ack="client-individual")
    for number in range(6):
        first.publish(place.queue, str(number), "JMSXGroupID:g\n")
    second.receipt("SEND\ndestination:/topic/nobody.listens\n\n\0")
    both = [frame.body for frame in first.early], [frame.body for frame in second.early]
    first.early.clear()
    second.early.clear()
    assert sorted(both) == [[], ["0", "1", "2", "3", "4", "5"]]


def test_a_message_id_is_digits(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#93: Apache.NMS.Stomp wants a number behind the last colon of a message-id."""
    client = place.connect()
    client.subscribe(place.queue)
    client.publish(place.queue, "x")
    name = client.take(1)[0]["message-id"]
    assert name.isdigit()
    assert int(name) < 1 << 63
