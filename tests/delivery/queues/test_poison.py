"""A message that ends its consumer each time: it becomes a dead letter, and what waited behind it does not."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

LIMIT = 3  # max-redeliveries of the queues here
BODIES = [f"{number}" for number in range(100)]
RESET = struct.pack("ii", 1, 0)


def crash(house: Any, queue: str, ack: str, count: int, settled: int = 0, reset: bool = False) -> list[Any]:
    """A client gets ``count`` messages, settles the first ``settled``, and is gone without a word: by a TCP reset,
    or else in a way that lets the test know when the server is done with it.
    """
    client = house.connect()
    client.subscribe(queue, f"prefetch-count:{count}\n", ack)
    frames = [client.message() for _ in range(count)]
    for frame in frames[:settled]:
        client.receipt(f"ACK\nid:{frame['ack']}\n\n\0")
    if reset:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    else:
        client.socket.shutdown(socket.SHUT_WR)
        while client.socket.recv(1 << 16):
            pass
    client.close()
    return frames


@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_it_goes_alone(house: Any, ack: str) -> None:
    queue = house.name("poison")
    client = house.connect()
    client.publish(queue, *BODIES)
    # Forty are well, then comes the bad one.
    seen = [crash(house, queue, ack, 60, 40, reset=True)]
    seen.append(crash(house, queue, ack, 60, reset=True))
    seen += [crash(house, queue, ack, 60) for _ in range(LIMIT - 1)]
    assert [[frame.body for frame in frames] for frames in seen] == [BODIES[:60]] + [BODIES[40:]] * LIMIT
    (dead,) = client.drain(f"DLQ.{queue}")
    assert (dead.body, dead["delivery-count"]) == ("40", str(LIMIT + 1))
    left = client.drain(queue)
    assert [frame.body for frame in left] == BODIES[41:]
    assert {frame["redelivered"] for frame in left} == {"true"}
    assert {frame["delivery-count"] for frame in left} == {"1"}
    assert {frame["JMSXDeliveryCount"] for frame in left} == {"1"}


def test_it_counts_over_restarts_and_its_neighbours_were_delivered_still(house: Any) -> None:
    queue = house.name("poison")
    house.connect().publish(queue, "bad", "good", "better")
    for count in range(1, LIMIT + 2):
        frames = crash(house, queue, "client-individual", 3)
        assert [frame.body for frame in frames] == ["bad", "good", "better"]
        assert [frame.has("redelivered") for frame in frames] == [count > 1] * 3
        if count > 1:
            assert [frame["delivery-count"] for frame in frames] == [str(count), "1", "1"]
        house.restart(kill=False)
    client = house.connect()
    assert client.contents(f"DLQ.{queue}") == ["bad"]
    assert client.contents(queue) == ["good", "better"]


def test_never_takes_what_was_at_work_alone(new_house: Any) -> None:
    house = new_house("policies:\n  /queue/>:\n    max-redeliveries: never\n    deadletter: /queue/DLQ\n")
    client = house.connect()
    client.publish("a", "1", "2", "3")
    crash(house, "a", "client", 3)
    assert client.contents("DLQ") == ["1"]
    assert client.contents("a") == ["2", "3"]


def test_max_exceptions_of_the_original_likewise(house: Any) -> None:
    queue = house.name("poison")
    client = house.connect()
    client.publish(queue, "1", "2", "3", more="max-exceptions:0\n")
    crash(house, queue, "client", 3)
    assert client.contents(f"DLQ.{queue}") == ["1"]
    assert client.contents(queue) == ["2", "3"]


def test_a_long_queue_that_is_mostly_in_the_store(house: Any) -> None:
    """What comes back is so much that it does so in slices, and more than stays in memory."""
    queue = house.name("poison")
    client = house.connect()
    client.publish(queue, "bad")
    client.flood(queue, count=4000)
    for _ in range(LIMIT + 1):
        crash(house, queue, "client", 2500)
    client.subscribe(f"DLQ.{queue}")
    dead = client.message()
    assert (dead.body, dead["delivery-count"]) == ("bad", str(LIMIT + 1))
    if house.keeps:
        # All of it is read from the store.
        house.restart(kill=False)
        client = house.connect()
    left = client.drain(queue)
    assert [frame.has("redelivered") for frame in left] == [True] * 2499 + [False] * 1501
    assert {frame["delivery-count"] for frame in left[:2499]} == {"1"}
