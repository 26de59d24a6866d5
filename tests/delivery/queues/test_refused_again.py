"""What is refused again and again waits a little longer each time, where no policy says how long; `never` ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire import Frame

SLOWED = "a message is refused again and again, so it waits a little longer each time"


def refuse(client: Any, body: str, times: int) -> Frame:
    """NACK as often the message that comes; the one that comes then."""
    for _ in range(times):
        frame = client.message()
        assert frame.body == body
        client.nack(frame)
    return client.message()


def test_three_times_at_once_and_then_others_pass(house: Any) -> None:
    queue, client = house.name(), house.connect()
    client.publish(queue, "bad", "good")
    client.subscribe(queue, "prefetch-count:1\n", ack="client-individual")
    # It comes back before the one behind it,
    frame = refuse(client, "bad", 3)
    assert (frame.body, frame["delivery-count"]) == ("bad", "4")
    # until it has to wait.
    client.nack(frame)
    good = client.message()
    assert good.body == "good"
    client.ack(good)
    again = client.message()
    assert (again.body, again["delivery-count"]) == ("bad", "5")
    client.publish(queue, "third")
    client.ack(again)
    third = client.message()
    assert (third.body, client.ack(third).command) == ("third", "RECEIPT")
    assert client.contents(queue) == []


def test_the_log_says_so_once_a_queue(house: Any) -> None:
    client = house.connect()
    queues = house.name(), house.name()
    for queue in queues:
        client.publish(queue, "bad")
        client.subscribe(queue, ack="client-individual", id=queue)
        assert refuse(client, "bad", 6)["delivery-count"] == "7"
        house.server.wait_for_log(f"WARNING /queue/{queue}: {SLOWED}")
    for queue in queues:
        assert house.server.log().count(f"/queue/{queue}: {SLOWED}") == 1


def test_it_stands_at_its_place_after_a_restart(new_house: Callable[[str], Any]) -> None:
    house = new_house("policies: {}\n")
    client = house.connect()
    client.publish("a", "1", "2", "3")
    client.subscribe("a", "prefetch-count:1\n", ack="client-individual")
    first = client.message()
    for _ in range(6):
        client.nack(first)
        first = client.message()
        while first.body != "1":
            client.ack(first)
            first = client.message()
    client.publish("a", "4")
    client.nack(first)
    house.restart()
    assert house.connect().contents("a") == ["1", "4"]


def test_a_transaction_and_a_cumulative_nack(house: Any) -> None:
    queue, client = house.name(), house.connect()
    client.publish(queue, "1", "2")
    client.subscribe(queue, ack="client")
    for attempt in range(1, 6):
        frames = [client.message(), client.message()]
        assert [frame.body for frame in frames] == ["1", "2"]
        assert [int(dict(frame.headers).get("delivery-count", 1)) for frame in frames] == [attempt] * 2
        client.transaction("t", f"NACK\nid:{frames[1]['ack']}\n\n\0")
    house.server.wait_for_log(f"/queue/{queue}: {SLOWED}")


@pytest.mark.parametrize("line", ["redelivery-delay: 0", "redelivery-delay: 5ms"])
def test_a_policy_that_says_how_long_is_obeyed(new_house: Callable[[str], Any], line: str) -> None:
    house = new_house(f"policies:\n  /queue/a:\n    {line}\n")
    client = house.connect()
    client.publish("a", "bad")
    client.subscribe("a", ack="client-individual")
    assert refuse(client, "bad", 50)["delivery-count"] == "51"
    assert SLOWED not in house.server.log()


def test_zero_keeps_the_order_however_often(new_house: Callable[[str], Any]) -> None:
    house = new_house("policies:\n  /queue/a:\n    redelivery-delay: 0\n")
    client = house.connect()
    client.publish("a", "bad", "good")
    client.subscribe("a", "prefetch-count:1\n", ack="client-individual")
    assert refuse(client, "bad", 50).body == "bad"


# never


@pytest.mark.parametrize(
    "configuration", ["max-redeliveries: never\n", "policies:\n  /queue/a:\n    max-redeliveries: never\n"]
)
def test_never_is_a_dead_letter_at_once(new_house: Callable[[str], Any], configuration: str) -> None:
    house = new_house(configuration)
    client = house.connect()
    client.publish("a", "bad", "good")
    client.subscribe("a", "prefetch-count:1\n", ack="client-individual")
    client.nack(client.message(), "reason:no such order\n")
    assert client.message().body == "good"
    house.restart()
    (dead,) = house.connect().drain("deadletter")
    assert (dead.body, dead["delivery-count"], dead["dead-letter-cause"]) == ("bad", "1", "no such order")
    assert dead["dead-letter-reason"] == "max-redeliveries"


def test_zero_is_still_for_ever(new_house: Callable[[str], Any]) -> None:
    house = new_house("max-redeliveries: 0\npolicies:\n  /queue/a:\n    redelivery-delay: 0\n")
    client = house.connect()
    client.publish("a", "bad")
    client.subscribe("a", ack="client-individual")
    assert refuse(client, "bad", 30)["delivery-count"] == "31"
