"""Producers of a full queue that lets them wait (overflow: block), and that the waiting ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakeShell = Callable[..., Any]

LIMIT = (("/queue/small", {"max_messages": 3, "overflow": "block"}),)


def send(number: int) -> bytes:
    return b"SEND\ndestination:/queue/small\n\n%d\0" % number


SUBSCRIBE = b"SUBSCRIBE\nid:1\ndestination:/queue/small\nack:client-individual\nprefetch-count:1\n\n\0"


def fill(shell: Any) -> Any:
    producer = shell.connect()
    number = 0
    while producer.reading:
        number += 1
        producer.send(send(number))
    assert number == 4, "the one too many is taken, and nothing after it"
    producer.send(send(5))
    return producer


def test_a_producer_waits_for_room_and_goes_on(shell: MakeShell) -> None:
    here = shell(policies=LIMIT)
    producer = fill(here)
    other = here.connect()
    other.send(b"SEND\ndestination:/queue/other\n\nx\0")
    assert other.reading, "another queue has room"
    consumer = here.connect()
    consumer.send(SUBSCRIBE)
    assert producer.unread == 0, "there was room for one more"
    assert not producer.reading
    for number in range(1, 6):
        consumer.send(b"ACK\nid:%b\n\n\0" % consumer.acks()[number - 1])
    assert producer.reading
    assert consumer.bodies() == [b"1", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize("way", ["gone", "policy"])
def test_the_waiting_ends_when_its_reason_does(shell: MakeShell, way: str) -> None:
    here = shell(policies=LIMIT)
    producer = fill(here)
    broker = here.server.broker
    if way == "gone":
        producer.drop()
        here.turn(2)
        assert not here.server.producers.choked
    else:
        here.reload(policies=())
        here.turn(4)
        assert producer.reading
    assert broker.queues["/queue/small"].waiting == (4 if way == "gone" else 5)


def test_who_has_to_acknowledge_does_not_wait(shell: MakeShell) -> None:
    here = shell(policies=LIMIT)
    both = here.connect()
    both.send(SUBSCRIBE)
    for number in range(1, 9):
        both.send(send(number))
    assert both.reading
    for number in range(1, 9):
        both.send(b"ACK\nid:%b\n\n\0" % both.acks()[number - 1])
    assert len(both.bodies()) == 8
