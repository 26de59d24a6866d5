"""A browser is shown each message that waits, once and in the order of the queue, wherever it waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

LOOK = "browser:true\n"
FOLLOW = "browser:true\nbrowser-end:false\n"
ONE = "client-individual"
END = "the end"


def fill(client: Any, queue: str, bodies: range, more: str = "", rest: str = "") -> None:
    """Send that many, in one go."""
    frames = [f"SEND\ndestination:/queue/{queue}\n{more}\n{body}{rest}\0" for body in bodies]
    client.send("".join(frames[:-1]))
    client.receipt(frames[-1])


def look(queue: str, more: str) -> str:
    """A SUBSCRIBE that only looks."""
    return f"SUBSCRIBE\nid:look\ndestination:/queue/{queue}\n{more}\n\0"


def shown(client: Any, count: int) -> list[str]:
    """The bodies of what a browser was shown, and nothing more is there."""
    frames = [client.message() for _ in range(count)]
    client.nothing()
    return [END if frame.has("browser") else frame.body for frame in frames]


def seen(client: Any) -> list[str]:
    """What a browser was shown until the end of its look."""
    bodies: list[str] = []
    while not (frame := client.message()).has("browser"):
        if frame["subscription"] == "look":
            bodies.append(frame.body)
    return bodies


def test_what_is_sent_right_behind_the_subscribe_is_shown_after_what_only_the_store_has(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    fill(client, queue, range(600))
    client.leave()
    house.restart()
    client = house.connect()
    later = "".join([f"SEND\ndestination:/queue/{queue}\n\n{body}\0" for body in range(600, 610)])
    client.send(look(queue, FOLLOW) + later)
    assert shown(client, 611) == [*map(str, range(600)), END, *map(str, range(600, 610))]
    client.publish(queue, "610")
    assert shown(client, 1) == ["610"]
    assert house.connect().contents(queue) == [*map(str, range(611))], "all of it is still there"


def test_the_same_where_what_comes_later_goes_before(house: Any) -> None:
    queue = house.name("ranked")
    client = house.connect()
    fill(client, queue, range(300), "priority:7\n")
    fill(client, queue, range(300, 600), "priority:2\n")
    client.leave()
    house.restart()
    client = house.connect()
    later = [(600, 2), (601, 9), (602, 7)]
    sends = [f"SEND\ndestination:/queue/{queue}\npriority:{rank}\n\n{body}\0" for body, rank in later]
    client.send(look(queue, FOLLOW) + "".join(sends))
    bodies = shown(client, 604)
    assert bodies[:601] == [*map(str, range(600)), END]
    # As they came, where it was at the end before they did; else in the order of the queue.
    assert bodies[601:] in (["600", "601", "602"], ["601", "602", "600"])


def test_who_does_not_look_on_is_not_shown_what_comes(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    fill(client, queue, range(300))
    client.leave()
    house.restart()
    client = house.connect()
    client.send(look(queue, LOOK) + f"SEND\ndestination:/queue/{queue}\n\nlater\0")
    assert shown(client, 301) == [*map(str, range(300)), END]


@pytest.mark.parametrize("persistent", ["true", "false"])
def test_what_comes_while_its_client_does_not_read_and_goes_to_the_store(house: Any, persistent: str) -> None:
    queue = house.name()
    sender, client = house.connect(), house.connect()
    fill(sender, queue, range(10))
    client.send(look(queue, FOLLOW))
    assert shown(client, 11) == [*map(str, range(10)), END]
    # More than sockets hold, and more than a queue has in memory beside a store.
    fill(sender, queue, range(10, 9010), f"persistent:{persistent}\n", " " * 1000)
    assert [int(client.message().body) for _ in range(9000)] == list(range(10, 9010))
    client.nothing()
    sender.publish(queue, "9010")
    assert shown(client, 1) == ["9010"]


def test_what_waits_for_the_consumer_of_its_group(house: Any) -> None:
    queue = house.name()
    client, worker = house.connect(), house.connect()
    worker.subscribe(queue, "prefetch-count:1\n", ONE)
    for body in range(200):
        client.send(f"SEND\ndestination:/queue/{queue}\nJMSXGroupID:{'ab'[body % 2]}\n\n{body}\0")
    client.publish(queue, "200")
    assert worker.message().body == "0"
    client.send(look(queue, LOOK))
    assert shown(client, 201) == [*map(str, range(1, 201)), END]


def test_a_consumer_beside_it_has_the_rest_read_from_the_store(house: Any) -> None:
    """The whole queue is in memory before the browser has read more than a page."""
    queue = house.name()
    client = house.connect()
    fill(client, queue, range(1000))
    client.leave()
    house.restart()
    client = house.connect()
    worker = f"SUBSCRIBE\nid:worker\ndestination:/queue/{queue}\nack:{ONE}\nprefetch-count:1\n\n\0"
    client.send(look(queue, LOOK) + worker)
    bodies = seen(client)
    assert bodies[-999:] == [*map(str, range(1, 1000))]
    assert len(bodies) in (999, 1000), "the first may be the worker's already"


def test_what_a_selector_took_out_of_the_store_and_gave_back(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    fill(client, queue, range(5000))
    fill(client, queue, range(5000, 5003), "colour:red\n")
    fill(client, queue, range(5003, 5300))
    client.leave()
    house.restart()
    worker, client = house.connect(), house.connect()
    worker.subscribe(queue, "selector:colour = 'red'\n", ONE)
    first, second, third = (worker.message() for _ in range(3))
    worker.nack(second)
    assert worker.message().body == "5001"
    worker.ack(first)
    worker.part()
    client.send(look(queue, LOOK))
    assert seen(client) == [*map(str, range(5000)), *map(str, range(5001, 5300))]
    assert third.body == "5002"


def test_what_is_purged_is_not_shown(new_house: Any) -> None:
    house = new_house("")
    client = house.connect()
    fill(client, "purged", range(3000))
    client.leave()
    house.restart()
    client = house.connect()
    client.send(
        "SEND\ndestination:/queue/stompserver.management\naction:purge\nqueue:/queue/purged\n\n\0"
        + look("purged", LOOK)
    )
    assert shown(client, 1) == [END]


# Who looks does not use the queue


def test_who_looks_does_not_keep_others_from_saying_what_the_queue_is_like(house: Any) -> None:
    queue, grave = house.name(), house.name("grave")
    looker, client = house.connect(), house.connect()
    looker.subscribe(queue, FOLLOW, id="look")
    assert shown(looker, 1) == [END]
    answer = client.subscribe(queue, f"x-dead-letter-routing-key:{grave}\n", ONE)
    assert not answer.has("warning"), answer
    client.publish(queue, "bad")
    client.nack(client.message(), "requeue:false\n")
    client.leave()
    assert shown(looker, 1) == ["bad"]
    other = house.connect()
    assert other.contents(grave) == ["bad"]
    # Nobody uses it any more: the next one may say something else.
    answer = other.subscribe(queue, "x-max-length:2\n", ONE)
    assert not answer.has("warning"), answer
    other.unsubscribe()
    other.publish(queue, "1", "2", "3")
    assert shown(looker, 3) == ["1", "2", "3"]
    assert house.connect().contents(queue) == ["2", "3"]


def test_what_a_sender_says_of_a_queue_that_is_looked_at(house: Any) -> None:
    queue = house.name()
    looker, client = house.connect(), house.connect()
    looker.subscribe(queue, FOLLOW, id="look")
    client.publish(queue, "1", "2", "3", more="x-max-length:2\n")
    assert client.contents(queue) == ["2", "3"]


def test_who_takes_does(house: Any) -> None:
    queue = house.name()
    worker, client = house.connect(), house.connect()
    worker.subscribe(queue)
    assert "in use" in client.subscribe(queue, "x-max-length:2\n")["warning"]


@pytest.mark.parametrize("more", [LOOK, FOLLOW])
def test_a_queue_does_not_go_because_somebody_looked(house: Any, more: str) -> None:
    queue = house.name("gone")
    client = house.connect()
    client.publish(queue, "1", "2")
    client.subscribe(queue, more, id="look")
    assert shown(client, 3) == ["1", "2", END]
    client.unsubscribe("look")
    client.subscribe(queue, f"auto-delete:true\n{more}", id="look")
    assert shown(client, 3) == ["1", "2", END]
    client.leave()
    client = house.connect()
    client.subscribe(queue)
    assert client.bodies(2) == ["1", "2"]


def test_a_queue_goes_with_its_last_subscription_when_nobody_looks_any_more(house: Any) -> None:
    queue = house.name("gone")
    looker, worker, other = house.connect(), house.connect(), house.connect()
    looker.subscribe(queue, FOLLOW, id="look")
    other.subscribe(queue, LOOK, id="look")
    worker.subscribe(queue, "prefetch-count:1\n", ONE)
    other.publish(queue, "1", "2")
    assert worker.message().body == "1"
    worker.leave()
    other.unsubscribe("look")
    assert shown(other, 1) == [END]
    assert queue in other.queues(), "it does not vanish under who looks"
    looker.leave()
    assert queue not in other.queues()


def test_a_queue_that_was_to_go_stays_for_the_next_subscription(house: Any) -> None:
    queue = house.name("gone")
    looker, worker = house.connect(), house.connect()
    looker.subscribe(queue, FOLLOW, id="look")
    worker.subscribe(queue)
    worker.unsubscribe()
    worker.publish(queue, "1")
    worker.subscribe(queue, "prefetch-count:1\n", ONE)
    looker.unsubscribe("look")
    assert worker.message().body == "1"
    assert queue in worker.queues()
    worker.unsubscribe()
    assert queue not in worker.queues()


def test_a_queue_that_somebody_looks_at_is_not_deleted(house: Any) -> None:
    queue = house.name()
    looker, client = house.connect(), house.connect()
    looker.subscribe(queue, FOLLOW, id="look")
    client.send(
        f"SEND\ndestination:/queue/stompserver.management\naction:delete\nqueue:/queue/{queue}\n"
        "reply-to:/temp-queue/answers\n\n\0"
    )
    answer = client.message()
    assert json.loads(answer.body)["error"] == f"Queue /queue/{queue} is in use"
    looker.unsubscribe("look")
    client.manage("delete", queue)
    assert queue not in client.queues()
