"""Producers whose SENDs differ in values alone are read by a shorter way, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.oplog import PUT
from stompserver.session.events import Traced
from stompserver.session.session import Session
from stompserver.stores.record import decode, encode
from stompserver.wire.alike import LEARN

LESSON = b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:1\nn:0\n\nx\0" * (LEARN + 1)

ASKING = b"SEND\ndestination:%b\nreceipt:%b\npersistent:%b\ncontent-length:1\n\nx\0"
LESSONS = (LESSON, ASKING % (b"/queue/a", b"r", b"true") * (LEARN + 1))

ALIKE = b"SEND\ndestination:%b\ncolour:%b\ncontent-length:%d\nn:%d\n\n%b\0"
VALUES = st.sampled_from([b"red", b"", b"a b", b"\xc3\xbc", b"a\\cb", b"a:b", b"x" * 300])
PLACES = st.sampled_from(
    [b"/queue/a", b"/queue/b", b"/topic/a", b"queue/a", b"/queue/b?x=1", b"", b"/queue/\xc3\xbc"]
)
SENDS = st.builds(
    lambda place, value, number, body: ALIKE % (place, value, len(body), number, body),
    PLACES,
    VALUES,
    st.integers(0, 10**18),
    st.sampled_from([b"", b"x", b"\0", b"\n\n\0", b"y" * 200]),
)
RECEIPTS = st.builds(
    lambda *values: ASKING % values,
    PLACES,
    VALUES,
    st.sampled_from([b"true", b"true", b"true", b"false", b"maybe", b""]),
)
OTHERS = st.sampled_from(
    [
        b"SEND\ndestination:/queue/a\n\nx\0",
        b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:1\nn:0\nreceipt:r\n\nx\0",
        b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:1\nn:0\npriority:7\n\nx\0",
        b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:01\nn:0\n\nx\0",
        b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length: 1\nn:0\n\nx\0",
        b"SEND\ndestination:/queue/a\ncolour:red\ncontent-length:0\nn:0\n\nx\0",
        b"SEND\r\ndestination:/queue/a\r\ncolour:red\r\ncontent-length:1\r\nn:0\r\n\r\nx\0",
        b"\n",
        b"BEGIN\ntransaction:x\n\n\0ABORT\ntransaction:x\n\n\0",
        b"BOGUS\n\n\0",
    ]
)


def seen(new_world: Callable[..., Any], version: str, octets: bytes, cut: int, lesson: bytes) -> list[Any]:
    """What subscribers and the producer get."""
    world = new_world()
    reader = world.connect("1.2")
    for number, destination in enumerate(("/queue/a", "/queue/b", "/topic/a", "/queue/ü")):
        reader.subscribe(destination, id=f"s{number}")
    producer = world.connect(version)
    producer.send(lesson)
    assert bool(producer.session.parser.learned) == (b"content-length" in lesson)
    reader.read()
    producer.read()
    producer.send(octets[:cut])
    producer.send(octets[cut:])
    return [
        (reply.command, sorted(reply.headers), reply.body) for reply in [*reader.read(), *producer.read()]
    ]


@example([ALIKE % (b"/queue/b", b"red", 1, 7, b"x")] * 3, 400, "1.2", LESSON)
@example([ASKING % (b"/queue/b", b"1", b"true")] * 3 + [b"BOGUS\n\n\0"], 400, "1.2", LESSONS[1])
@example([ALIKE % (b"/queue/b", b"red", 1, 7, b"x"), b"BOGUS\n\n\0"], 30, "1.1", LESSON)
@given(
    st.lists(st.one_of(SENDS, RECEIPTS, OTHERS), max_size=10),
    st.integers(0, 900),
    st.sampled_from(["1.0", "1.1", "1.2"]),
    st.sampled_from(LESSONS),
)
def test_the_same_for_one_whose_headers_are_known(
    new_world: Callable[..., Any], frames: list[bytes], cut: int, version: str, lesson: bytes
) -> None:
    octets = b"".join(frames)
    # As many octets, from which nothing is learned.
    nothing = lesson.replace(b"content-length", b"content-depth-")
    assert seen(new_world, version, octets, cut, lesson) == seen(new_world, version, octets, cut, nothing)


def taught(world: Any, traced: bool = False) -> Any:
    """A producer whose next SENDs are read by the shorter way."""
    peer = world.connect("1.2", traced=traced)
    peer.send(LESSON.replace(b"/queue/a", b"/topic/nobody"))
    return peer


@pytest.fixture
def producer(world: Any) -> Any:
    return taught(world)


def alike(place: str, body: str = "x", colour: str = "red") -> bytes:
    return ALIKE % (place.encode(), colour.encode(), len(body), 7, body.encode())


def test_the_octets_of_a_delivery(world: Any, producer: Any) -> None:
    reader = world.connect("1.2")
    reader.subscribe("/queue/a")
    producer.send(alike("/queue/a"))
    # By now its name is known to be a plain one.
    reader.take()
    producer.send(alike("/queue/a"))
    number = world.broker.number
    assert reader.take() == (
        b"MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:%d\n"
        b"colour:red\ncontent-length:1\nn:7\n\nx\0\n" % number
    )


def test_a_selector_reads_them(world: Any, producer: Any) -> None:
    reader = world.connect("1.2")
    reader.subscribe("/queue/a", more="selector:colour = 'blue' AND n = 7\n")
    producer.send(alike("/queue/a", "1") + alike("/queue/a", "2", "blue"))
    (reply,) = reader.read()
    assert reply.body == b"2"
    assert (reply["colour"], reply["n"]) == ("blue", "7")


def test_what_comes_back_and_dies_has_its_headers(world: Any, producer: Any) -> None:
    reader = world.connect("1.2")
    producer.send(alike("/queue/a"))
    reader.subscribe("/queue/a", "client-individual")
    first = reader.read()[0]
    (again,) = reader.ask(b"NACK\nid:" + first["ack"].encode() + b"\n\n\0")
    assert (again["redelivered"], again["colour"], again["n"]) == ("true", "red", "7")
    reader.send(b"NACK\nid:" + again["ack"].encode() + b"\nrequeue:false\n\n\0")
    reader.subscribe("/queue/dead", id="dead")
    (dead,) = reader.read()
    assert (dead["dead-letter-reason"], dead["colour"], dead["n"]) == ("rejected", "red", "7")
    assert [value for name, value in dead.headers if name == "content-length"] == ["1"]


def test_a_trace_shows_them(world: Any) -> None:
    producer = taught(world, traced=True)
    producer.session.events()
    producer.send(alike("/queue/a"))
    assert [event.text for event in producer.events(Traced)] == [
        "received SEND destination:/queue/a colour:red content-length:1 n:7 | x"
    ]


def test_no_memory_for_them_is_an_error(world: Any, producer: Any) -> None:
    world.broker.memory.used = world.broker.memory.limit + 1
    assert "memory" in producer.fails(alike("/queue/a"))["message"].lower()


def test_a_queue_with_a_limit_refuses_them(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(policies=Policies([(Pattern("/queue/a"), {"max_messages": 1})])))
    producer = world.connect("1.2")
    producer.send(LESSON.replace(b"/queue/a", b"/topic/nobody"))
    producer.send(alike("/queue/a"))
    assert producer.read() == []
    producer.fails(alike("/queue/a"))


def test_a_store_keeps_their_headers(new_world: Callable[..., Any]) -> None:
    world = new_world(recording=True)
    producer, other = world.connect("1.2"), world.connect("1.2")
    producer.send(LESSON)
    other.send(alike("/queue/b"))
    # The first time it is the destination that needs a closer look.
    producer.send(alike("/queue/b") * 2)
    _, ops = world.broker.log.drain()
    long, _, short = [op.message for op in ops if op.kind == PUT and op.queue == "/queue/b"]
    assert short.lines
    assert not long.lines
    records = [decode(1, encode(message)) for message in (short, long)]
    for record in records:
        assert (record.destination, record.body, record.plain, record.size) == (
            "/queue/b",
            b"x",
            True,
            long.size,
        )
        assert list(record.headers.items()) == [("colour", "red"), ("n", "7")]
    assert short.headers == long.headers


@pytest.mark.parametrize("lines", ["", "a:b\n", "a:b\nc:\n", "a:\n"])
@pytest.mark.parametrize("place", [0, 1, 9])
def test_any_place_of_content_length(new_world: Callable[..., Any], lines: str, place: int) -> None:
    each = lines.splitlines(keepends=True)
    each.insert(min(place, len(each)), "content-length:1\n")
    world = new_world(recording=True)
    producer = world.connect("1.1")
    for _ in range(LEARN + 2):
        producer.send(f"SEND\ndestination:/queue/a\n{''.join(each)}\nx\0".encode())
    _, ops = world.broker.log.drain()
    message = ops[-1].message
    assert message.lines == "".join(each).encode()
    wanted = dict(line.rstrip("\n").split(":") for line in lines.splitlines())
    assert decode(1, encode(message)).headers == message.headers == message.copy().headers == wanted


def test_one_that_sends_different_ones_in_turn_learns_ever_more_rarely(world: Any) -> None:
    producer: Any = world.connect("1.2")
    session: Session = producer.session
    learned: list[bytes] = []
    for number in range(40 * LEARN):
        producer.send(b"SEND\ndestination:/queue/a\nx%d:\ncontent-length:0\n\n\0" % (number % 5))
        shape = session.parser.learned
        if shape and (not learned or learned[-1] != shape):
            learned.append(shape)
    assert 1 <= len(learned) <= 6


def test_a_policy_adds_to_theirs(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(policies=Policies([(Pattern("/queue/a"), {"timestamp": True})])))
    world.broker.tick(12345)
    producer, reader = world.connect("1.2"), world.connect("1.2")
    reader.subscribe("/queue/a")
    producer.send(LESSON.replace(b"/queue/a", b"/topic/nobody"))
    producer.send(alike("/queue/a"))
    (reply,) = reader.read()
    assert reply["timestamp"] == "12345"


def test_each_has_its_own_place_in_a_history(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(policies=Policies([(Pattern("/topic/a"), {"history_messages": 100})])))
    producer, reader = world.connect("1.2"), world.connect("1.2")
    for _ in range(3):
        producer.send(LESSON.replace(b"/queue/a", b"/topic/a"))
    reader.subscribe("/topic/a", more="x-stream-offset:first\n")
    assert [int(reply["x-stream-offset"]) for reply in reader.read()] == list(range(3 * (LEARN + 1)))
