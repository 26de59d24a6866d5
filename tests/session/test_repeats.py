"""Producers that send the same headers again and again are read by a shorter way, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

HEADS = (
    b"destination:/queue/a",
    b"destination:/queue/a\ncolour:red",
    b"destination:/queue/b\ncontent-length:1",
    b"destination:/queue/a\nreceipt:same",
    b"destination:/queue/a\npriority:7",
    b"destination:/queue/a\ntransaction:t",
    b"destination:queue/a\ncolour:a\\cb",
    b"destination:/topic/a\ncolour:red",
)
BREAK = b"BEGIN\ntransaction:x\n\n\0ABORT\ntransaction:x\n\n\0"


def seen(new_world: Callable[..., Any], chosen: list[int], between: bytes, cut: int) -> list[Any]:
    """What subscribers and the producer get; ``between`` comes between the frames."""
    world = new_world()
    reader = world.connect("1.2")
    for number, destination in enumerate(("/queue/a", "/queue/b", "/topic/a")):
        reader.subscribe(destination, id=f"s{number}")
    producer = world.connect("1.2")
    octets = b"BEGIN\ntransaction:t\n\n\0"
    for number, head in enumerate(chosen):
        octets += b"SEND\n" + HEADS[head] + b"\n\n%d\0" % (number % 10) + between
    octets += b"COMMIT\ntransaction:t\n\n\0"
    producer.send(octets[:cut])
    producer.send(octets[cut:])
    replies = [*reader.read(), *producer.read()]
    return [
        (reply.command, [(n, v) for n, v in reply.headers if n != "message-id"], reply.body)
        for reply in replies
    ]


@given(st.lists(st.integers(0, len(HEADS) - 1), max_size=12), st.integers(0, 600))
def test_the_same_with_and_without_anything_between(
    new_world: Callable[..., Any], chosen: list[int], cut: int
) -> None:
    doubled = [head for head in chosen for _ in range(3)]
    assert seen(new_world, doubled, b"", cut) == seen(new_world, doubled, BREAK, cut)


def test_a_dead_letter_leaves_the_headers_of_others_alone(world: Any) -> None:
    """They share them."""
    producer, reader = world.connect("1.2"), world.connect("1.2")
    producer.send(b"SEND\ndestination:/queue/a\ncolour:red\n\nx\0" * 3)
    reader.subscribe("/queue/a", "client-individual")
    first = reader.read()[0]
    reader.send(b"NACK\nid:" + first["ack"].encode() + b"\nrequeue:false\n\n\0")
    reader.subscribe("/queue/dead", id="dead")
    (dead,) = reader.read()
    assert dead["dead-letter-reason"] == "rejected"
    late = world.connect("1.2")
    producer.send(b"SEND\ndestination:/queue/b\ncolour:red\n\nx\0" * 2)
    late.subscribe("/queue/b")
    for reply in late.read():
        assert not reply.has("dead-letter-reason")
        assert reply["colour"] == "red"
