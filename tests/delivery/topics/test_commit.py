"""COMMIT and SENDs to several destinations are all or nothing, as clients see it, on memory and over a kill."""

from __future__ import annotations

from typing import Any

import pytest

LIMITS = """
  /dsub/x/topic/t:
    max-messages: 1
    overflow: reject
  /dsub/two/topic/t:
    max-messages: 2
    overflow: reject
  /queue/q:
    max-messages: 1
    overflow: reject
  /queue/Consumer.>:
    max-messages: 2
    overflow: reject
"""


def begin(client: Any, *frames: tuple[str, str]) -> None:
    """A transaction with a SEND of each body to its destination, not committed."""
    client.send("BEGIN\ntransaction:t\n\n\0")
    for destination, body in frames:
        client.send(f"SEND\ndestination:{destination}\ntransaction:t\n\n{body}\0")


def refused(client: Any, frame: str, what: str) -> None:
    client.send(frame)
    assert client.error()["message"] == what


COMMIT = "COMMIT\ntransaction:t\nreceipt:c\n\n\0"


@pytest.mark.policies(LIMITS)
def test_a_refused_commit_does_nothing_and_leaves_limits_as_they_were(house: Any) -> None:
    client = house.connect()
    client.subscribe("/topic/t", "x", "durable:true\n", "client-individual")
    client.leave()
    full = house.connect()
    full.publish("/queue/q", "first")
    refused(full, "SEND\ndestination:/queue/q\n\nmore\0", "Queue /queue/q is full")
    sender = house.connect()
    begin(sender, ("/topic/t", "1"), ("/topic/t", "2"))
    refused(sender, COMMIT, "Queue /dsub/x/topic/t is full")
    for _ in range(3):
        refused(house.connect(), "SEND\ndestination:/queue/q\nreceipt:r\n\nmore\0", "Queue /queue/q is full")
    house.restart()
    client = house.connect()
    client.subscribe("/topic/t", "x", "durable:true\n", "client-individual")
    client.nothing()
    house.connect().publish("/topic/t", "3")
    assert client.bodies(1) == ["3"]


@pytest.mark.policies(LIMITS)
def test_a_commit_that_fills_a_durable_subscription_is_done(house: Any) -> None:
    wish = "durable:true\n"
    client = house.connect()
    client.subscribe("/topic/t", "two", wish, "client-individual")
    client.leave()
    sender = house.connect()
    begin(sender, ("/topic/t", "1"), ("/queue/other", "a"), ("/topic/t", "2"))
    sender.receipt("COMMIT\ntransaction:t\n\n\0")
    house.restart()
    refused(house.connect(), "SEND\ndestination:/topic/t\n\n3\0", "Queue /dsub/two/topic/t is full")
    client = house.connect()
    client.subscribe("/queue/other")
    assert client.bodies(1) == ["a"]
    client.subscribe("/topic/t", "two", wish)
    assert client.bodies(2) == ["1", "2"]


@pytest.mark.policies(LIMITS)
def test_a_commit_that_is_too_much_for_a_consumer_group_does_nothing(house: Any) -> None:
    group = "/queue/Consumer.g.VirtualTopic.t"
    client = house.connect()
    client.subscribe(group, ack="client-individual")
    client.leave()
    sender = house.connect()
    begin(sender, ("/queue/other", "a"), ("/topic/VirtualTopic.t", "1"), (group, "2"), (group, "3"))
    refused(sender, COMMIT, f"Queue {group} is full")
    sender = house.connect()
    begin(sender, (group, "1"), ("/topic/VirtualTopic.t", "2"), (group, "3"))
    refused(sender, COMMIT, f"Queue {group} is full")
    sender = house.connect()
    begin(sender, ("/topic/VirtualTopic.t", "4"), (group, "5"))
    sender.receipt("COMMIT\ntransaction:t\n\n\0")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/other")
    client.nothing()
    client.subscribe(group, "g")
    assert client.bodies(2) == ["4", "5"]


@pytest.mark.policies(LIMITS)
def test_a_send_to_several_destinations_goes_to_all_or_none(house: Any) -> None:
    sender = house.connect()
    sender.publish("/queue/free,/queue/q", "1")
    house.restart()
    refused(
        house.connect(),
        "SEND\ndestination:/queue/free,/queue/q,/queue/new\n\n2\0",
        "Queue /queue/q is full",
    )
    house.restart()
    client = house.connect()
    client.subscribe("/queue/new", "new")
    client.nothing()
    client.subscribe("/queue/free", "free")
    assert client.bodies(1) == ["1"]
    client.subscribe("/queue/q", "q")
    assert client.bodies(1) == ["1"]


@pytest.mark.policies(LIMITS)
def test_a_refused_commit_settles_nothing(house: Any) -> None:
    client = house.connect()
    client.publish("/queue/work", "job")
    client.publish("/queue/q", "first")
    client.subscribe("/queue/work", ack="client-individual")
    (job,) = client.take(1)
    begin(client, ("/queue/q", "second"))
    client.send(f"ACK\nid:{job['ack']}\ntransaction:t\n\n\0")
    refused(client, COMMIT, "Queue /queue/q is full")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/work", "w")
    assert client.bodies(1) == ["job"]
