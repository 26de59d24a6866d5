"""What an ACK says that was meant for a connection that is gone, on a connection that came after it."""

from __future__ import annotations

import re
from typing import Any

import pytest

QUEUE = "/queue/late"


def begin(house: Any, count: int = 4, ack: str = "client-individual") -> tuple[Any, list[Any]]:
    """A client that was given so many messages, m0 and so on."""
    client = house.connect()
    for number in range(count):
        client.publish(QUEUE, f"m{number}")
    client.subscribe(QUEUE, ack=ack)
    return client, client.take(count)


def again(house: Any, first: Any, restarted: bool, count: int, ack: str = "client-individual") -> Any:
    """The same client behind its next connection, and what it was given there."""
    first.close()
    if restarted:
        house.restart()
    client = house.connect()
    client.subscribe(QUEUE, ack=ack)
    return client, client.take(count)


def left(house: Any, client: Any, count: int) -> list[str]:
    """What a connection after ``client``'s gets."""
    client.close()
    other = house.connect()
    other.subscribe(QUEUE)
    return list(other.bodies(count))


RESTARTED = pytest.mark.parametrize("restarted", [False, True])


@RESTARTED
def test_it_settles_no_other_message(house: Any, restarted: bool) -> None:
    first, (m0, m1, _, _) = begin(house)
    first.receipt(f"ACK\nid:{m0['ack']}\n\n\0")
    second, (_, m2, _) = again(house, first, restarted, 3)
    late = second.receipt(f"ACK\nid:{m1['ack']}\n\n\0")
    assert "another connection" in late["warning"]
    assert not second.receipt(f"ACK\nid:{m2['ack']}\n\n\0").has("warning")
    second.nothing()
    assert left(house, second, 2) == ["m1", "m3"]


@RESTARTED
def test_nor_do_a_late_nack_and_a_cumulative_ack(house: Any, restarted: bool) -> None:
    first, messages = begin(house, 3, "client")
    second, _ = again(house, first, restarted, 3, "client")
    for message in messages:
        for frame in (
            f"NACK\nid:{message['ack']}\nrequeue:false\n\n\0",
            f"NACK\nid:{message['ack']}\ntouch:true\n\n\0",
            f"ACK\nid:{message['ack']}\n\n\0",
        ):
            assert "another connection" in second.receipt(frame)["warning"]
    second.nothing()
    assert left(house, second, 3) == ["m0", "m1", "m2"]


def test_in_a_transaction(house: Any) -> None:
    """It is no part of it; all else is done."""
    first, (m0, _) = begin(house, 2)
    second, (_, m1) = again(house, first, False, 2)
    second.receipt("BEGIN\ntransaction:t\n\n\0")
    assert second.receipt(f"ACK\nid:{m0['ack']}\ntransaction:t\n\n\0").has("warning")
    second.receipt(f"ACK\nid:{m1['ack']}\ntransaction:t\n\n\0")
    second.receipt("COMMIT\ntransaction:t\n\n\0")
    assert left(house, second, 1) == ["m0"]


@pytest.mark.options("--strict")
def test_on_a_strict_server(house: Any) -> None:
    first, (m0, _) = begin(house, 2)
    second, _ = again(house, first, False, 2)
    assert second.receipt(f"ACK\nid:{m0['ack']}\n\n\0").has("warning")
    assert left(house, second, 2) == ["m0", "m1"]


def test_on_a_connection_that_has_no_deliveries(house: Any) -> None:
    _, (m0,) = begin(house, 1)
    other = house.connect()
    assert other.receipt(f"ACK\nid:{m0['ack']}\n\n\0").has("warning")
    other.nothing()


@pytest.mark.parametrize("change", ["again", "next", "later connection", "no digits", "capitals", "more"])
def test_what_was_never_given_out_is_an_error(house: Any, change: str) -> None:
    client, (message,) = begin(house, 1)
    mark, number = message["ack"].split("-")
    client.receipt(f"ACK\nid:{mark}-{number}\n\n\0")
    id = {
        "again": f"{mark}-{number}",
        "next": f"{mark}-{int(number) + 1}",
        "later connection": f"{int(mark, 16) + 1:x}-{number}",
        "no digits": f"{int(mark, 16) - 1:x}-",
        "capitals": f"{int(mark, 16) - 1:X}A-1",
        "more": f"0{mark * 2}-{number}",
    }[change]
    client.send(f"ACK\nid:{id}\n\n\0")
    assert client.error()["message"] == f"ACK of no known delivery '{id}'"


def test_names_are_used_once(house: Any) -> None:
    """On all connections, by all subscriptions, before and after a restart."""
    names: list[str] = []
    client = house.connect()
    for number in range(5):
        client.publish(QUEUE, f"m{number}")
    for round in range(6):
        if round == 3:
            house.restart()
            client = house.connect()
        other = house.connect()
        for id in ("a", "b"):
            other.subscribe(QUEUE, id=id, ack="client-individual", more="prefetch-count:2\n")
        found = [message["ack"] for message in other.take(4)]
        # Short, and nothing in it that any version escapes.
        assert all(re.fullmatch("[0-9a-f-]{3,20}", name) for name in found)
        names += found
        other.leave()
    assert len(set(names)) == len(names) == 24
