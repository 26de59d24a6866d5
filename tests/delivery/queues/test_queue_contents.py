"""What a queue keeps, for how long, and what it gives up, as clients see it on memory and over a restart."""

from __future__ import annotations

import time
from typing import Any

import pytest

ONE = "client-individual"
MANY = 5000


# Limits


@pytest.mark.parametrize("family", ["reject", "bytes"])
def test_a_transaction_that_does_not_fit_does_nothing(house: Any, family: str) -> None:
    queue, other = house.name(family), house.name()
    body = "x" * (10 if family == "reject" else 1400)
    client, sender = house.connect(), house.connect()
    client.publish(other, "acked by nobody")
    client.publish(queue, body, body)
    sender.subscribe(other, ack=ONE)
    frame = sender.message()
    for line in (
        "BEGIN\ntransaction:t\n\n\0",
        f"SEND\ntransaction:t\ndestination:/queue/{other}\n\nnot sent\0",
        f"ACK\ntransaction:t\nid:{frame['ack']}\n\n\0",
        f"SEND\ntransaction:t\ndestination:/queue/{queue}\n\n{body}\0",
        f"SEND\ntransaction:t\ndestination:/queue/{queue}\n\n{body}\0",
        "COMMIT\ntransaction:t\n\n\0",
    ):
        sender.send(line)
    assert "full" in sender.error()
    house.restart()
    client = house.connect()
    client.transaction("t", f"SEND\ndestination:/queue/{queue}\n\n{body}\0")
    sender = house.connect()
    sender.send(f"SEND\ndestination:/queue/{queue}\n\n{body}\0")
    assert "full" in sender.error()
    client.subscribe(queue)
    assert client.bodies(3) == [body] * 3
    assert client.contents(other) == ["acked by nobody"]


@pytest.mark.parametrize("family", ["head", "tail", "dead"])
@pytest.mark.parametrize("together", [False, True])
def test_what_is_too_much_goes_at_one_end(house: Any, family: str, together: bool) -> None:
    queue = house.name(family)
    client = house.connect()
    if together:
        client.transaction("t", *[f"SEND\ndestination:/queue/{queue}\n\n{n}\0" for n in range(1, 6)])
    else:
        client.publish(queue, "1", "2", "3", "4", "5")
    house.restart()
    client = house.connect()
    client.subscribe(queue)
    assert client.bodies(3) == (["1", "2", "3"] if family == "tail" else ["3", "4", "5"])
    client.unsubscribe()
    if family == "dead":
        frames = client.drain(f"late.{queue}")
        assert [frame.body for frame in frames] == ["1", "2"]
        assert {frame["dead-letter-reason"] for frame in frames} == {"overflow"}
        assert frames[0]["original-destination"] == f"/queue/{queue}"
        assert not frames[0].has("first-failure")


def test_the_oldest_goes_also_when_it_is_in_the_store(house: Any) -> None:
    queue = house.name("head")
    client = house.connect()
    client.publish(queue, "1", "2", "3")
    house.restart()
    client = house.connect()
    client.publish(queue, "4")
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    got = []
    for _ in range(3):
        frame = client.message()
        got.append(frame.body)
        client.ack(frame)
    client.nothing()
    assert got == ["2", "3", "4"]


def test_who_sends_waits_for_room(house: Any) -> None:
    queue = house.name("block")
    sender, client = house.connect(), house.connect()
    sender.publish(queue, "1", "2", "3", "4")
    sender.send(f"SEND\ndestination:/queue/{queue}\n\n5\0SEND\ndestination:/queue/{queue}\nreceipt:6\n\n6\0")
    client.subscribe(queue, "browser:true\n", id="b")
    assert [client.message().body for _ in range(5)] == ["1", "2", "3", "4", ""]
    client.subscribe(queue, ack=ONE)
    got = []
    for _ in range(6):
        frame = client.message()
        got.append(frame.body)
        client.ack(frame)
    assert got == ["1", "2", "3", "4", "5", "6"]
    assert sender.frame()["receipt-id"] == "6"


def test_dead_letters_have_limits_too(house: Any) -> None:
    queue = house.name("small")
    client = house.connect()
    client.publish(queue, "1", "2", "3", "4")
    client.subscribe(queue, ack=ONE)
    for frame in client.take(4):
        client.nack(frame, "requeue:false\n")
    client.leave()
    house.restart()
    client = house.connect()
    client.subscribe(f"late.{queue}")
    assert client.bodies(2) == ["3", "4"]


# Last values


def prices(client: Any, queue: str, *prices: str) -> None:
    for price in prices:
        client.publish(queue, price, more=f"symbol:{price[0]}\n")


def test_only_the_last_value_waits(house: Any) -> None:
    queue = house.name("last")
    client = house.connect()
    prices(client, queue, "a1", "b1", "a2", "c1")
    client.publish(queue, "no key")
    house.restart()
    client = house.connect()
    prices(client, queue, "b2", "a3")
    client.subscribe(queue, ack=ONE)
    frames = {frame.body: frame for frame in client.take(4)}
    assert list(frames) == ["c1", "no key", "b2", "a3"]
    prices(client, queue, "a4")
    assert client.message().body == "a4"
    # What is out of date does not come back.
    client.nack(frames["a3"])
    client.nack(frames["c1"])
    assert client.bodies(1) == ["c1"]
    client.leave()
    house.restart()
    assert house.connect().contents(queue) == ["c1", "no key", "b2", "a4"]


def test_last_values_under_artemis_name(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    for body in ("a1", "b1", "a2"):
        client.publish(queue, body, more=f"_AMQ_LVQ_NAME:{body[0]}\n")
    house.restart()
    client = house.connect()
    client.publish(queue, "b2", more="_AMQ_LVQ_NAME:b\n")
    assert client.contents(queue) == ["a2", "b2"]


def test_last_values_in_a_transaction_and_of_many(house: Any) -> None:
    queue = house.name("last")
    client = house.connect()
    client.send(
        "".join(
            f"SEND\ndestination:/queue/{queue}\nsymbol:{number % 3}\n\n{number}\0" for number in range(MANY)
        )
    )
    client.transaction(
        "t",
        f"SEND\ndestination:/queue/{queue}\nsymbol:0\n\nx\0",
        f"SEND\ndestination:/queue/{queue}\nsymbol:0\n\ny\0",
    )
    house.restart()
    # 4998 had the key 0.
    assert house.connect().contents(queue) == ["4997", "4999", "y"]


# Duplicates


@pytest.mark.parametrize("name", ["_AMQ_DUPL_ID", "x-deduplication-header", "dedup-id"])
def test_a_duplicate_is_answered_and_dropped_also_after_a_kill(house: Any, name: str) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "first", more=f"{name}:id 1\n")
    house.restart()
    client = house.connect()
    client.publish(queue, "again", more=f"{name}:id 1\n")
    client.publish(queue, "second", more=f"{name}:id 2\n")
    client.transaction(
        "t",
        f"SEND\ndestination:/queue/{queue}\n{name}:id 2\n\nagain\0",
        f"SEND\ndestination:/queue/{queue}\n{name}:id 3\n\nthird\0",
        f"SEND\ndestination:/queue/{queue}\n{name}:id 3\n\nagain\0",
    )
    assert client.contents(queue) == ["first", "second", "third"]
    house.restart()
    client = house.connect()
    # Consumed, and known all the same.
    client.publish(queue, "again", more=f"{name}:id 1\n")
    client.publish(queue, "again", more=f"{name}:id 3\n")
    client.publish(house.name(), "another queue", more=f"{name}:id 1\n")
    assert client.contents(queue) == []


def test_ids_are_forgotten_by_count_and_by_time(house: Any) -> None:
    queue, brief = house.name("once"), house.name("once-soon")
    client = house.connect()
    client.publish(brief, "a", more="dedup-id:1\n")
    for number in "1234":
        client.publish(queue, number, more=f"dedup-id:{number}\n")
    house.restart()
    client = house.connect()
    client.publish(queue, "again", more="dedup-id:2\n")
    client.publish(queue, "anew", more="dedup-id:1\n")
    assert client.contents(queue) == ["1", "2", "3", "4", "anew"]
    time.sleep(0.15)
    client.publish(brief, "b", more="dedup-id:1\n")
    assert client.contents(brief) == ["a", "b"]


def test_what_was_refused_is_no_duplicate(house: Any) -> None:
    queue = house.name("reject")
    client, sender = house.connect(), house.connect()
    client.publish(queue, "1", "2", "3")
    sender.send(f"SEND\ndestination:/queue/{queue}\ndedup-id:x\n\n4\0")
    assert "full" in sender.error()
    client.subscribe(queue)
    assert client.bodies(3) == ["1", "2", "3"]
    client.publish(queue, "4", more="dedup-id:x\n")
    assert client.bodies(1) == ["4"]


# Time


@pytest.mark.parametrize("family", ["ttl", "max-ttl"])
def test_time_is_limited_by_policy(house: Any, family: str) -> None:
    queue = house.name(family)
    client = house.connect()
    client.publish(queue, "a", more="ttl:3600000\n" if family == "max-ttl" else "")
    house.restart()
    client = house.connect()
    # With nobody there in some cases, with a consumer that comes too late in others.
    client.subscribe(f"late.{queue}", ack=ONE)
    if house.keeps:
        time.sleep(0.15)
        client.subscribe(queue, id="1")
    frame = client.message()
    assert (frame.body, frame["dead-letter-reason"]) == ("a", "expired")
    assert frame["original-destination"] == f"/queue/{queue}"
    client.nothing()


def test_what_expires_behind_a_prefetch_goes(house: Any) -> None:
    queue = house.name("expired")
    client = house.connect()
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    client.subscribe(f"late.{queue}", id="late")
    client.publish(queue, "held", "brief", more="ttl:300\n")
    client.publish(queue, "kept")
    held = client.message()
    late = client.message()
    assert (late.body, late["dead-letter-reason"]) == ("brief", "expired")
    # Its time is over as well, but who has it may still be done with it.
    client.ack(held)
    frame = client.message()
    assert frame.body == "kept"
    client.publish(queue, "brief", more="ttl:1\n")
    assert client.message()["dead-letter-reason"] == "expired"
    client.ack(frame)
    client.nothing()


def test_what_expired_meanwhile_does_not_come_back(house: Any) -> None:
    queue = house.name("expired")
    client = house.connect()
    client.publish(queue, "brief", more="expiration:100\nJMSXGroupID:g\n")
    client.publish(queue, "next", more="JMSXGroupID:g\n")
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    client.subscribe(f"late.{queue}", id="late")
    frame = client.message()
    if frame.body == "brief":
        client.nack(frame, "delay:120\n")
        got = [client.message(), client.message()]
    else:
        got = [frame, client.message()]
    assert sorted((each.body, each["subscription"]) for each in got) == [("brief", "late"), ("next", "0")]


def test_what_expired_in_the_store_is_not_delivered(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.flood(queue, "ttl:150\n")
    client.publish(queue, "kept", more="priority:3\n")
    house.restart()
    time.sleep(0.2)
    client = house.connect()
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    assert client.bodies(1) == ["kept"]


def test_a_time_that_is_over_is_no_delivery(house: Any) -> None:
    queue = house.name("expired")
    client = house.connect()
    client.subscribe(queue)
    client.publish(queue, "late", more="expires:1000\n")
    client.publish(queue, "kept", more="expires:0\n")
    assert client.bodies(1) == ["kept"]
    assert client.contents(f"late.{queue}") == ["late"]


# Life


def test_a_queue_goes_with_its_last_subscription(house: Any) -> None:
    queue, asked = house.name("gone"), house.name()
    client, other = house.connect(), house.connect()
    for name, more in ((queue, ""), (asked, "auto-delete:true\n")):
        client.subscribe(name, f"prefetch-count:1\n{more}", ONE, name)
        client.publish(name, "1", "2")
        assert client.bodies(1) == ["1"]
        client.unsubscribe(name)
        assert other.contents(name) == []
    other.subscribe(queue, "prefetch-count:1\n", ONE)
    other.publish(queue, "3", "4")
    assert other.bodies(1) == ["3"]
    other.leave()
    client.leave()
    house.restart()
    client = house.connect()
    assert client.contents(queue) == client.contents(asked) == []


def test_an_unused_queue_is_forgotten(house: Any) -> None:
    queue = house.name("brief")
    client = house.connect()
    client.publish(queue, "a")
    assert client.contents(queue) == ["a"]
    until = time.monotonic() + 60
    while queue in client.queues() and time.monotonic() < until:
        time.sleep(0.02)
    assert queue not in client.queues()


# What is added


def test_the_time_and_the_sender_on_what_is_sent(house: Any) -> None:
    queue = house.name("signed")
    client = house.connect("ann")
    began = int(time.time() * 1000) - 1
    client.publish(queue, "a", more="JMSXUserID:bob\ntimestamp:1\n")
    client.transaction("t", f"SEND\ndestination:/queue/{queue}\n\nb\0")
    ended = int(time.time() * 1000) + 1
    house.restart()
    for frame in house.connect().drain(queue)[:2]:
        assert frame["JMSXUserID"] == "ann"
        assert began <= int(frame["timestamp"]) <= ended


def test_properties_of_a_queue_come_from_its_first_frame(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    assert not client.receipt(f"SEND\ndestination:/queue/{queue}\nx-max-length:2\n\n1\0").has("warning")
    client.publish(queue, "2", "3")
    said = client.receipt(f"SEND\ndestination:/queue/{queue}\nx-max-length:5\n\n4\0")["warning"]
    assert "max-messages" in said
    house.restart()
    client = house.connect()
    said = client.subscribe(queue, "x-max-length:5\nx-expires:600000\nprefetch-count:1\n", ONE)["warning"]
    assert "max-messages" in said
    client.publish(queue, "5")
    frame = client.message()
    # From the store it may come after the 5 that took the place of the 3.
    assert frame.body in ("3", "4")
    client.publish(queue, "6", "7")
    client.leave()
    assert house.connect().contents(queue)[-2:] == ["6", "7"]


def test_policies_are_reloaded_for_queues_that_are_there(new_house: Any) -> None:
    house = new_house("policies:\n  /queue/q:\n    max-messages: 3\n")
    client = house.connect()
    prices(client, "q", "a1", "b1", "a2")
    client.subscribe("q", "prefetch-count:1\n", ONE)
    frame = client.message()
    house.reload(
        "policies:\n  /queue/q:\n    max-messages: 4\n    overflow: drop-head\n    last-value: symbol\n"
        "    max-redeliveries: 1\n    deadletter: /queue/dead\n"
    )
    assert frame.body == "a1"
    client.nack(frame)
    frame = client.message()
    assert frame.body == "b1"
    client.nack(frame)
    frame = client.message()
    assert (frame.body, frame["delivery-count"]) == ("b1", "2")
    client.nack(frame)
    assert client.message().body == "a2"
    prices(client, "q", "d1", "e1", "f1", "g1", "h1")
    client.leave()
    client = house.connect()
    assert client.contents("dead") == ["b1"]
    assert client.contents("q") == ["a2", "e1", "f1", "g1", "h1"]
