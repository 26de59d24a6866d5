"""What topics do for those who come later, as clients see it, on memory and over a kill."""

from __future__ import annotations

from typing import Any

import pytest

NAMED = "activemq.subscriptionName:x\n"


def test_a_durable_subscription_goes_on_where_it_stopped(house: Any) -> None:
    client, sender = house.connect("me"), house.connect()
    client.subscribe("/topic/a", more=NAMED, ack="client-individual")
    sender.publish("/topic/a", "1", "2")
    first, _ = client.take(2)
    client.ack(first)
    client.leave()
    sender.publish("/topic/a", "3")
    house.restart()
    client, sender = house.connect("me"), house.connect()
    client.subscribe("/topic/a", more=NAMED)
    assert client.bodies(2) == ["2", "3"]
    # Without its name it is kept, with its name it is deleted.
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    sender.publish("/topic/a", "4")
    client.subscribe("/topic/a", more=NAMED)
    assert client.bodies(1) == ["4"]
    client.receipt(f"UNSUBSCRIBE\nid:0\n{NAMED}\n\0")
    sender.publish("/topic/a", "5")
    client.leave()
    house.restart()
    client, sender = house.connect("me"), house.connect()
    client.subscribe("/topic/a", more=NAMED)
    sender.publish("/topic/a", "6")
    assert client.bodies(1) == ["6"]


def test_a_durable_subscription_to_a_pattern_with_a_selector(house: Any) -> None:
    client = house.connect()
    wish = "durable:true\nselector:n > 1\n"
    client.subscribe("/topic/p.>", "mine", wish)
    client.leave()
    house.restart()
    sender = house.connect()
    for number in range(4):
        sender.publish(f"/topic/p.{number}", str(number), more=f"n:{number}\n")
    house.restart()
    client = house.connect()
    client.subscribe("/topic/p.>", "mine", wish)
    assert client.places(2) == [("/topic/p.2", "2"), ("/topic/p.3", "3")]


def test_two_connections_share_a_durable_subscription(house: Any) -> None:
    sender = house.connect()
    ones = [house.connect(), house.connect()]
    for one in ones:
        one.subscribe("/topic/a", "s", "durable:true\nprefetch-count:1\n", "client-individual")
    sender.publish("/topic/a", "0", "1", "2", "3")
    held = [one.take(1)[0] for one in ones]
    assert sorted(frame.body for frame in held) == ["0", "1"]
    ones[0].ack(held[0])
    assert ones[0].bodies(1) == ["2"]
    ones[0].leave()
    house.restart()
    one = house.connect() if house.keeps else ones[1]
    if house.keeps:
        one.subscribe("/dsub/s", "s", ack="client-individual")
        assert sorted(one.bodies(3)) == ["1", "2", "3"]
    else:
        one.ack(held[1])
        assert one.bodies(1) == ["2"]


@pytest.mark.parametrize("ack", ["auto", "client-individual"])
def test_a_durable_subscription_by_its_short_name_shows_where_each_was_sent(house: Any, ack: str) -> None:
    one, sender = house.connect(), house.connect()
    one.subscribe("/topic/a,/topic/b", "s", "durable:true\n")
    one.leave()
    sender.publish("/topic/a", "1")
    sender.publish("/topic/b", "2")
    reader = house.connect()
    reader.subscribe("/dsub/s", "r", ack=ack)
    assert [(frame["destination"], frame.body) for frame in reader.take(2)] == [
        ("/topic/a", "1"),
        ("/topic/b", "2"),
    ]
    # Also in a subscription to several, and to who looks only.
    other, looker = house.connect(), house.connect()
    other.subscribe("/dsub/s,/queue/q", "o")
    looker.send("SUBSCRIBE\nid:l\ndestination:/dsub/s\nbrowser:true\n\n\0")
    end = looker.take(1)[0]
    assert end["browser"] == "end" and end.has("destination")


def test_a_wish_that_cannot_be_granted_is_a_warning(house: Any) -> None:
    one, two = house.connect(), house.connect()
    named = "durable-subscription-name:s\n"
    assert not one.subscribe("/topic/a", "s", named + "selector:n = 1\n").has("warning")
    warning = two.subscribe("/topic/b", "s", named)["warning"]
    assert "/topic/a" in warning and "n = 1" in warning
    assert "no history" in two.subscribe("/topic/b", "t", "x-stream-offset:first\n")["warning"]
    assert "stays" in two.receipt(f"UNSUBSCRIBE\nid:s\n{named}\n\0")["warning"]
    two.send(f"UNSUBSCRIBE\nid:s\n{named}\n\0")
    assert "in use" in two.expect("ERROR")["message"]


def test_wildcards_show_where_a_message_was_sent(house: Any) -> None:
    client, sender = house.connect(), house.connect()
    client.subscribe("/topic/*.eu", "1")
    client.subscribe("/topic/a/#", "2", ack="client-individual")
    client.subscribe("/queue/w.>", "3")
    sender.publish("/topic/a.eu", "1")
    sender.publish("/topic/a/us", "2")
    sender.publish("/queue/w.1", "3")
    frames = client.take(4)
    shown = [(frame["subscription"], frame["destination"], frame.body) for frame in frames]
    assert shown == [
        ("1", "/topic/a.eu", "1"),
        ("2", "/topic/a.eu", "1"),
        ("2", "/topic/a/us", "2"),
        ("3", "/queue/w.1", "3"),
    ]
    client.receipt("UNSUBSCRIBE\nid:3\n\n\0")
    sender.publish("/queue/w.1", "4")
    client.ack(frames[1])
    client.ack(frames[2])
    sender.send("SEND\ndestination:/topic/a.*\n\nno\0")
    assert "pattern" in sender.expect("ERROR")["message"]
    assert client.take(0) == []
    house.restart()
    client = house.connect()
    client.subscribe("/queue/*")
    client.subscribe("/queue/*.*", "5")
    assert client.places(1) == [("/queue/w.1", "4")]


def test_a_retained_message_comes_first(house: Any) -> None:
    sender = house.connect()
    sender.publish("/topic/r.1", "old", more="retain:set\n")
    sender.publish("/topic/r.1", "kept", more="retain:set\nactivemq:x\n")
    sender.publish("/topic/r.2", "gone", more="retain:set\n")
    sender.publish("/topic/r.2", "", more="retain:remove\n")
    house.restart()
    client, sender = house.connect(), house.connect()
    client.subscribe("/topic/r.*", ack="client-individual")
    (frame,) = client.take(1)
    assert (frame.body, frame["ActiveMQ.Retained"], frame["activemq"]) == ("kept", "true", "x")
    sender.publish("/topic/r.1", "live")
    (frame,) = client.take(1)
    assert frame.body == "live" and not frame.has("ActiveMQ.Retained")


@pytest.mark.policies("  /topic/h.>:\n    history-messages: 4\n")
def test_history_is_replayed(house: Any) -> None:
    sender = house.connect()
    sender.publish("/topic/h.a", *"01234")
    house.restart()
    client, sender = house.connect(), house.connect()
    client.subscribe("/topic/h.a", "1", "x-stream-offset:offset=3\n")
    assert [(frame["x-stream-offset"], frame.body) for frame in client.take(2)] == [("3", "3"), ("4", "4")]
    client.subscribe("/topic/h.a", "2", "activemq.retroactive:true\nprefetch-count:1\n", "client")
    got = []
    sender.publish("/topic/h.a", "5")
    (frame,) = [frame for frame in client.take(2) if frame["subscription"] == "2"]
    for _ in range(3):
        got.append(frame.body)
        client.ack(frame)
        (frame,) = client.take(1)
    assert [*got, frame.body] == ["1", "2", "3", "4"]
    client.ack(frame)
    assert client.bodies(1) == ["5"]
    client.send("SUBSCRIBE\nid:3\ndestination:/topic/h.a\nx-stream-offset:soon\n\n\0")
    assert "soon" in client.expect("ERROR")["message"]


def test_virtual_topics_feed_the_queues_of_groups(house: Any) -> None:
    client, sender = house.connect(), house.connect()
    for group in "AB":
        client.subscribe(f"/queue/Consumer.{group}.VirtualTopic.X", group)
        client.receipt(f"UNSUBSCRIBE\nid:{group}\n\n\0")
    house.restart()
    client, sender = house.connect(), house.connect()
    sender.publish("/topic/VirtualTopic.X", "1")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/Consumer.*.VirtualTopic.X", ack="client-individual")
    frames = client.take(2)
    assert {(frame["destination"], frame.body) for frame in frames} == {("/topic/VirtualTopic.X", "1")}
    for frame in frames:
        client.ack(frame)
    client.leave()
    house.restart()
    client = house.connect()
    client.subscribe("/queue/Consumer.*.VirtualTopic.X")
    assert client.take(0) == []


def test_no_local(house: Any) -> None:
    one, two = house.connect("one"), house.connect("two")
    one.subscribe("/topic/n", "1", "activemq.noLocal:true\n")
    one.subscribe("/topic/n", "2", "no-local:true\n", "client-individual")
    one.subscribe("/topic/n", "3", f"no-local:true\n{NAMED}")
    one.publish("/topic/n", "own")
    two.publish("/topic/n", "other")
    assert one.bodies(3) == ["other"] * 3
    one.leave()
    house.restart()
    one, two = house.connect("one"), house.connect("two")
    one.publish("/topic/n", "own")
    two.publish("/topic/n", "other")
    one.subscribe("/topic/n", "3", f"no-local:true\n{NAMED}")
    assert one.bodies(1) == ["other"]


def test_names_of_the_server_itself_are_refused(house: Any) -> None:
    for text in (
        "SUBSCRIBE\nid:1\ndestination:$stompserver/retained\n\n\0",
        "SEND\ndestination:$stompserver/retained\n\n\0",
        "SUBSCRIBE\nid:1\ndestination:/dsub/none\n\n\0",
        "SEND\ndestination:/dsub/none\n\n\0",
    ):
        client = house.connect()
        client.send(text)
        client.expect("ERROR")


@pytest.mark.policies("  /topic/slow.>:\n    slow: drop-oldest\n")
def test_who_is_slow_misses_the_oldest(house: Any) -> None:
    client, sender = house.connect(), house.connect()
    client.subscribe(
        "/topic/slow.a", more="activemq.maximumPendingMessageLimit:2\nprefetch-count:1\n", ack="client"
    )
    sender.publish("/topic/slow.a", *"0123456789")
    (frame,) = client.take(1)
    client.ack(frame)
    (frame,) = client.take(1)
    client.ack(frame)
    assert (frame.body, client.bodies(1)) == ("8", ["9"])


@pytest.mark.policies("  /topic/slow.>:\n    slow: block\n")
@pytest.mark.options("--slow-subscriber-limit=10000")
@pytest.mark.parametrize("destination", ["/topic/slow.a", "/topic/slow.*"])
def test_who_sends_waits_for_who_is_slow(house: Any, destination: str) -> None:
    client, sender = house.connect(), house.connect()
    client.subscribe(destination, more="prefetch-count:1\n", ack="client")
    for number in range(100):
        sender.send(f"SEND\ndestination:/topic/slow.a\nreceipt:{number}\n\n{number}\0")
    for number in range(100):
        frame = client.expect("MESSAGE")
        assert frame.body == str(number)
        client.ack(frame)
    assert [sender.expect("RECEIPT")["receipt-id"] for _ in range(100)] == [str(n) for n in range(100)]
