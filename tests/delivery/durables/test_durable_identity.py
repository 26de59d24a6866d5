"""What a durable subscription is known by: what people do to brokers that join its parts to one text."""

from __future__ import annotations

from typing import Any

import pytest


def named(name: str) -> str:
    return f"activemq.subscriptionName:{name}\n"


def test_the_same_id_on_two_topics_as_with_rabbitmq(house: Any) -> None:
    """Libraries number ids themselves, so two programs have the same."""
    for topic in ("/topic/a", "/topic/b"):
        client = house.connect()
        client.subscribe(topic, "sub-0", "durable:true\n")
        client.leave()
        house.connect().publish("/topic/a", f"a, when {topic} is there")
    house.restart()
    sender = house.connect()
    sender.publish("/topic/b", "b")
    one, two = house.connect(), house.connect()
    one.subscribe("/topic/a", "sub-0", "durable:true\n")
    assert one.bodies(2) == ["a, when /topic/a is there", "a, when /topic/b is there"]
    two.subscribe("/topic/b", "sub-0", "durable:true\n")
    assert two.bodies(1) == ["b"]
    # One connection has both, under other ids of its own; each is deleted by itself.
    two.receipt("UNSUBSCRIBE\nid:sub-0\ndurable:true\n\n\0")
    sender.publish("/topic/b", "nobody")
    sender.publish("/topic/a", "still")
    assert one.bodies(1) == ["still"]


def test_an_id_that_several_have_is_not_enough_to_delete_one(house: Any) -> None:
    client = house.connect()
    for topic in ("/topic/a", "/topic/b"):
        client.subscribe(topic, "0", "durable:true\n")
        client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
        client.publish(topic, topic)
    other = house.connect()
    other.send("UNSUBSCRIBE\nid:0\ndurable:true\n\n\0")
    assert "Several" in other.error()["message"]
    client.receipt("UNSUBSCRIBE\nid:0\ndestination:/topic/b\ndurable:true\n\n\0")
    house.restart()
    other = house.connect()
    other.receipt("SUBSCRIBE\nid:1\ndestination:/dsub/0\n\n\0")
    assert other.bodies(1) == ["/topic/a"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("client-id:app\n", "eu.orders"), ("client-id:app.eu\n", "orders")),
        (("client-id:app\n", "orders"), ("", "app.orders")),
        (("client-id:a@b.org\n", "n"), ("client-id:a@b\n", "org.n")),
        (("client-id:a=2e=b\n", "n"), ("client-id:a.b\n", "n")),
    ],
)
def test_client_ids_and_names_that_join_to_one_text(
    house: Any, first: tuple[str, str], second: tuple[str, str]
) -> None:
    who = ((first, "/topic/t"), (second, "/topic/u"))
    for (connect, name), topic in who:
        client = house.connect(connect)
        client.subscribe(topic, more=named(name))
        client.leave()
        house.connect().publish("/topic/t", "to t")
    house.connect().publish("/topic/u", "to u")
    house.restart()
    for ((connect, name), topic), bodies in zip(who, (["to t", "to t"], ["to u"]), strict=True):
        client = house.connect(connect)
        client.subscribe(topic, more=named(name))
        assert client.bodies(len(bodies)) == bodies


WAYS = (
    ("/topic/w1", "0", named("n")),
    ("/topic/w2", "0", "x-queue-name:n\ndurable:true\n"),
    ("/topic/w3", "n", "durable:true\n"),
    ("/topic/w4", "n", "persistent:true\n"),
    ("/topic/w5::n", "0", ""),
    ("/topic/w6", "0", "client-id:c\n" + named("n")),
)


def test_each_dialect_has_names_of_its_own(house: Any) -> None:
    for destination, id, more in WAYS:
        client = house.connect()
        client.subscribe(destination, id, more)
        client.leave()
    sender = house.connect()
    for destination, _, _ in WAYS:
        sender.publish(destination.removesuffix("::n"), destination)
    house.restart()
    for destination, id, more in WAYS:
        client = house.connect()
        client.subscribe(destination, id, more)
        assert client.bodies(1) == [destination]
        # It is deleted in the same words, and the others stay.
        where = f"destination:{destination}\n" if "::" in destination else ""
        client.receipt(f"UNSUBSCRIBE\nid:{id}\n{where}{more}\n\0")


def test_several_topics_feed_one(house: Any) -> None:
    """ActiveMQ's composite destination; each message once, whatever the parts have in common."""
    wish = ("/topic/a,/topic/b,topic://b.*,/topic/b.c", "0", named("n"))
    client = house.connect("client-id:c\n")
    assert not client.subscribe(*wish).has("warning")
    client.leave()
    house.restart()
    sender = house.connect()
    places = ["/topic/a", "/topic/b", "/topic/b.c", "/topic/a", "/topic/b.d"]
    for place in places:
        sender.publish(place, place)
    sender.send("BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\ndestination:/topic/b.c\n\nlast\0")
    sender.receipt("COMMIT\ntransaction:t\n\n\0")
    house.restart()
    client = house.connect("client-id:c\n")
    assert not client.subscribe(*wish).has("warning")
    frames = client.take(6)
    assert [frame.body for frame in frames] == [*places, "last"]
    assert [frame["destination"] for frame in frames] == [*places, "/topic/b.c"]
    # Fewer topics are another subscription of the name, as in JMS.
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    sender = house.connect()
    sender.publish("/topic/a", "dropped")
    client.subscribe("/topic/b", "0", named("n"))
    sender.publish("/topic/a", "not wanted")
    sender.publish("/topic/b", "wanted")
    assert client.bodies(1) == ["wanted"]


def test_queues_beside_the_topics_of_a_composite(house: Any) -> None:
    client = house.connect("client-id:c\n")
    client.subscribe("/queue/q,/topic/a,/topic/b", "0", named("n"))
    for place in ("/topic/b", "/queue/q", "/topic/a"):
        client.receipt(f"SEND\ndestination:{place}\n\n{place}\0")
    assert client.bodies(3) == ["/topic/b", "/queue/q", "/topic/a"]
    client.receipt("UNSUBSCRIBE\nid:0\n" + named("n") + "\n\0")
    client.send("SUBSCRIBE\nid:1\ndestination:/dsub/c.n\n\n\0")
    assert "no durable" in client.error()["message"]


@pytest.mark.parametrize("read", ["/amq/queue/q", "/queue/q", "/dsub/q"])
def test_a_queue_that_is_named_is_a_queue_that_others_can_have(house: Any, read: str) -> None:
    """RabbitMQ's x-queue-name; two SUBSCRIBEs bind two topics to it, and it takes SENDs itself."""
    client = house.connect()
    for number, topic in enumerate(("/topic/a", "/topic/b")):
        assert not client.subscribe(topic, str(number), "x-queue-name:q\ndurable:true\n").has("warning")
        client.receipt(f"UNSUBSCRIBE\nid:{number}\n\n\0")
    house.restart()
    sender = house.connect()
    for place in ("/topic/a", "/topic/b", "/amq/queue/q", "/queue/q"):
        sender.publish(place, place)
    other = house.connect()
    other.subscribe(read, "0", ack="client-individual")
    assert other.bodies(4) == ["/topic/a", "/topic/b", "/amq/queue/q", "/queue/q"]
    other.close()
    house.restart()
    client = house.connect()
    client.subscribe("/topic/b", "0", "x-queue-name:q\ndurable:true\n")
    assert client.bodies(4) == ["/topic/a", "/topic/b", "/amq/queue/q", "/queue/q"]
    client.publish("/topic/a", "bound still")
    assert client.bodies(1) == ["bound still"]
    client.receipt("UNSUBSCRIBE\nid:0\nx-queue-name:q\n\n\0")
    house.connect().publish("/topic/a", "nobody")
    again = house.connect()
    again.subscribe("/queue/q")
    again.nothing()


def test_a_queue_that_was_there_stays_with_what_is_in_it(house: Any) -> None:
    """Without durable:true the queue goes with its last subscription, if that made it."""
    sender = house.connect()
    sender.publish("/queue/q", "old")
    client = house.connect()
    warning = client.subscribe("/topic/a", "0", "x-queue-name:q\n", "client-individual")["warning"]
    assert "/queue/q was there before" in warning
    client.leave()
    house.restart()
    other = house.connect()
    other.subscribe("/queue/q", ack="client-individual")
    assert other.bodies(1) == ["old"]


@pytest.mark.parametrize("name", ["*", "a.>", "monitor", "$temp/x/y"])
def test_what_is_no_name_of_a_queue(house: Any, name: str) -> None:
    client = house.connect()
    client.send(f"SUBSCRIBE\nid:0\ndestination:/topic/a\nx-queue-name:{name}\ndurable:true\n\n\0")
    assert name in client.error()["message"]


PROPERTIES = "x-dead-letter-routing-key:lost\nx-max-length:2\nx-overflow:drop-head\n"


@pytest.mark.parametrize(
    ("id", "more", "queue"),
    [
        ("0", "x-queue-name:q\ndurable:true\n", "/queue/q"),
        ("0", "durable:true\n", "/dsub/0/topic/a"),
        ("0", "client-id:c\n" + named("n"), "/dsub/c.n"),
    ],
)
def test_properties_hold_for_its_queue(house: Any, id: str, more: str, queue: str) -> None:
    client = house.connect()
    assert not client.subscribe("/topic/a", id, more + PROPERTIES).has("warning")
    client.leave()
    # With nothing in it.
    house.restart()
    sender = house.connect()
    for body in ("1", "2", "3"):
        sender.publish("/topic/a", body)
    client = house.connect()
    client.subscribe("/topic/a", id, more, "client-individual")
    first, second = client.take(2)
    assert (first.body, second.body) == ("2", "3")
    client.receipt(f"NACK\nid:{first['ack']}\nrequeue:false\n\n\0")
    dead = house.connect()
    dead.subscribe("/queue/lost")
    (frame,) = dead.take(1)
    assert (frame.body, frame["original-destination"]) == ("2", queue)


def test_no_dead_letters_go_where_no_queue_can_be(house: Any) -> None:
    client = house.connect()
    more = "durable:true\nx-dead-letter-routing-key:monitor\n"
    assert "not the name of a queue" in client.subscribe("/topic/a", "0", more)["warning"]


def test_management_shows_the_parts_and_takes_what_it_shows(house: Any) -> None:
    who = (
        ("client-id:app.eu\n", "/topic/t", "0", named("orders")),
        ("client-id:app\n", "/topic/t,/topic/u", "0", named("eu.orders")),
        ("", "/topic/t", "sub-0", "durable:true\n"),
        ("", "/topic/u.*", "sub-0", "durable:true\n"),
        ("", "/topic/t", "0", "x-queue-name:q\ndurable:true\n"),
    )
    for connect, destination, id, more in who:
        client = house.connect(connect)
        client.subscribe(destination, id, more)
        client.leave()
    house.restart()
    client = house.connect()
    rows = {
        (row["way"], row["client_id"], row["id"], row["topic"]): row["name"]
        for row in client.ask("durables")["durables"]
    }
    assert rows == {
        ("jms", "app.eu", "orders", "/topic/t"): "app=2e=eu.orders",
        ("jms", "app", "eu.orders", "/topic/t,/topic/u"): "app.eu.orders",
        ("rabbitmq", "", "sub-0", "/topic/t"): "sub-0/topic/t",
        ("rabbitmq", "", "sub-0", "/topic/u.*"): "sub-0/topic/u.=2a=",
        ("x-queue-name", "", "q", "/topic/t"): "/queue/q",
    }
    assert "Several" in client.ask("durable-delete", "name:sub-0\n")["error"]
    assert client.ask("durable-delete", "name:app.eu.orders\n")["name"] == "app.eu.orders"
    # Only one is left that could be meant by what both were called.
    assert client.ask("durable-delete", "name:app.eu.orders\n")["name"] == "app=2e=eu.orders"
    for _, name in sorted(rows.items()):
        if not name.startswith("app"):
            house.connect().receipt(
                f"SUBSCRIBE\nid:1\ndestination:{name if name[0] == '/' else '/dsub/' + name}\n\n\0"
            )
            house.clients[-1].leave()
            assert client.ask("durable-delete", f"name:{name}\n")["name"] == name
    assert client.ask("durables")["count"] == 0
