"""A browser is shown each message that waits, once and in the order of the queue, wherever it waits."""

from __future__ import annotations

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
