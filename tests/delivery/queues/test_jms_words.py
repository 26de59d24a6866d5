"""Selectors in JMS's own words, as programs have them that come from ActiveMQ or Artemis; what never matches."""

from __future__ import annotations

import time
from typing import Any

import pytest

LINES = (
    "type:order",
    "correlation-id:c-1",
    "reply-to:/temp-queue/answers",
    "JMSXGroupID:g1",
    "priority:7",
    "persistent:true",
    "x-kind:a",
)


def found(house: Any, queue: str, selector: str) -> list[str]:
    """The bodies that a browser with that selector sees."""
    client = house.connect()
    client.subscribe(queue, f"browser:true\nselector:{selector}\n")
    bodies = []
    while not (frame := client.message()).has("browser"):
        bodies.append(frame.body)
    client.leave()
    return bodies


@pytest.mark.parametrize(
    "selector",
    [
        "JMSMessageID LIKE 'ID:%'",
        "JMSMessageID IS NOT NULL AND JMSMessageID NOT LIKE 'ID:host-%'",
        "AMQUserID LIKE 'ID:%'",
        "JMSTimestamp > {before} AND JMSTimestamp < {after}",
        "JMSTimestamp BETWEEN {before} AND {after} AND AMQTimestamp IS NOT NULL",
        "JMSPriority = 7 AND JMSPriority > 4 AND AMQPriority IN (7, 8)",
        "JMSExpiration = 0",
        "JMSCorrelationID = 'c-1'",
        "JMSCorrelationID LIKE 'c-%'",
        "JMSType = 'order' AND JMSType <> 'ORDER'",
        "JMSDeliveryMode = 'PERSISTENT' AND AMQDurable = 'DURABLE'",
        "JMSXGroupID = 'g1' AND AMQGroupID IS NOT NULL",
        "JMSXDeliveryCount = 1 AND NOT JMSRedelivered",
        "JMSRedelivered = FALSE",
        "JMSDestination = 'queue://{queue}' AND JMSDestination LIKE '/queue/%'",
        "JMSReplyTo LIKE 'temp-queue://%'",
    ],
)
def test_they_mean_what_they_mean_there(house: Any, selector: str) -> None:
    queue, client = house.name(), house.connect()
    # From a selector that asks for the time on, messages tell it.
    client.subscribe(house.name(), "selector:JMSTimestamp > 0\n")
    before = int(time.time() * 1000) - 5000
    client.publish(queue, "all", more="\n".join(LINES) + "\n")
    text = selector.format(queue=queue, before=before, after=before + 120_000)
    assert found(house, queue, text) == ["all"]
    assert found(house, queue, f"NOT ({text})") == []
    house.restart()
    assert found(house, queue, text) == ["all"]


def test_where_the_sender_says_nothing(house: Any) -> None:
    queue, client = house.name(), house.connect()
    client.publish(queue, "bare")
    client.publish(queue, "own", more="JMSType:order\nJMSCorrelationID:c-2\n")
    client.publish(queue, "dated", more="timestamp:1000\n")
    for selector, bodies in (
        ("JMSPriority = 4", ["bare", "own", "dated"]),
        ("JMSTimestamp < 2000", ["dated"]),
        ("JMSTimestamp IS NULL", []),
        ("timestamp IS NULL", ["bare", "own"]),
        ("JMSType IS NULL AND JMSCorrelationID IS NULL", ["bare", "dated"]),
        ("JMSType = 'order' AND JMSCorrelationID = 'c-2'", ["own"]),
        ("JMSXGroupID IS NULL AND JMSReplyTo IS NULL", ["bare", "own", "dated"]),
    ):
        assert found(house, queue, selector) == bodies, selector


def test_a_message_by_its_id(house: Any) -> None:
    queue, client = house.name(), house.connect()
    client.publish(queue, "1", "2", "3")
    client.subscribe(queue, "browser:true\n")
    second = [client.message() for _ in range(4)][1]["message-id"]
    for written in (f"'{second}'", f"'ID:{second}'", second):
        assert found(house, queue, f"JMSMessageID = {written}") == ["2"]
        assert found(house, queue, f"JMSMessageID IN ({written})") == ["2"]
    assert found(house, queue, f"message-id = '{second}'") == ["2"]
    assert found(house, queue, f"JMSMessageID LIKE 'ID:{second[:-1]}%'") == found(
        house, queue, f"JMSMessageID LIKE '{second[:-1]}%'"
    )


def test_how_often_it_was_delivered(house: Any) -> None:
    queue, client = house.name(), house.connect()
    client.publish(queue, "1", "2")
    client.subscribe(queue, ack="client-individual")
    client.take(2)
    client.leave()
    for selector, bodies in (
        ("JMSXDeliveryCount > 1 AND JMSRedelivered", ["1"]),
        ("JMSXDeliveryCount = 1 AND JMSRedelivered = TRUE", ["2"]),
        ("NOT JMSRedelivered", []),
    ):
        assert found(house, queue, selector) == bodies, selector


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("JMSDeliveryMode = 2", "JMSDeliveryMode is 'PERSISTENT' or 'NON_PERSISTENT'"),
        ("JMSPriority > 9", "JMSPriority is a whole number from 0 to 9"),
        ("JMSMessageID LIKE 'ID:host-%'", "JMSMessageID is ID: and a number"),
        ("colour = NULL", "it is false or unknown whatever the message is"),
    ],
)
@pytest.mark.parametrize(
    "destination", ["/queue/never", "/topic/never", "/queue/never,/topic/never", "/queue/never.*"]
)
def test_what_never_matches_is_told(house: Any, destination: str, selector: str, why: str) -> None:
    client = house.connect()
    answer = client.receipt(f"SUBSCRIBE\nid:0\ndestination:{destination}\nselector:{selector}\n\n\0")
    text = f"No message can match this selector: {why}"
    assert answer["warning"].replace("\\c", ":") == text
    house.server.wait_for_log(text)
    # The subscription is there.
    assert not client.receipt("UNSUBSCRIBE\nid:0\n\n\0").has("warning")


@pytest.mark.parametrize(
    "selector", ["JMSDestination LIKE '/queue/%'", "JMSType = 'x'", "a > 1 AND a < 0", ""]
)
def test_what_can_match_is_not(house: Any, selector: str) -> None:
    client = house.connect()
    answer = client.receipt(f"SUBSCRIBE\nid:0\ndestination:/queue/maybe\nselector:{selector}\n\n\0")
    assert not answer.has("warning")
