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
from stompserver.wire.alike import KEPT, LEARN, Alike

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


def untaught(peer: Any) -> None:
    """Have nothing learned of what ``peer`` sends from now on."""
    alike = peer.session.parser._alike = Alike()
    alike._due = 1 << 60


def seen(
    new_world: Callable[..., Any], version: str, octets: bytes, cut: int, lesson: bytes, learn: bool
) -> list[Any]:
    """What subscribers and the producer get, and what a store is told to keep."""
    world = new_world(recording=True)
    world.broker.tick(1_795_999_093_405)
    readers = []
    for other in ("1.0", "1.1", "1.2"):
        reader = world.connect(other)
        for number, destination in enumerate(("/queue/a", "/queue/b", "/topic/a", "/queue/ü")):
            reader.subscribe(destination, id=f"s{number}")
        readers.append(reader)
    producer = world.connect(version)
    if not learn:
        untaught(producer)
    # Learned are those to a name that is known to be a plain one.
    producer.send(b"SEND\ndestination:/queue/a\n\nx\0")
    producer.send(lesson)
    if not learn:
        assert not producer.session.parser.learned
    producer.send(octets[:cut])
    producer.send(octets[cut:])
    ops = world.broker.log.drain()[1]
    world.commit()
    # In what order the headers are is nobody's business.
    found: list[Any] = [
        [(reply.command, sorted(reply.headers), reply.body) for reply in peer.read()]
        for peer in (*readers, producer)
    ]
    for op in ops:
        if op.kind == PUT:
            message = op.message
            kept = decode(1, encode(message))
            assert (kept.headers, kept.plain, kept.size) == (message.headers, message.plain, message.size)
            found.append(
                (op.queue, sorted(kept.headers.items()), kept.body, kept.size, kept.plain, kept.persistent)
            )
            found.append((kept.priority, kept.expires, kept.group, kept.exceptions, kept.extras))
    return found


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
    known = seen(new_world, version, octets, cut, lesson, True)
    assert known == seen(new_world, version, octets, cut, lesson, False)


FIELD = {
    b"content-length": (None,),
    b"receipt": (b"r1", b"r2", b"", b"r\\c3", b"\xc3\xbc"),
    b"transaction": (b"t", b"t", b"t", b"u", b"none", b"\xc3\xbc", b""),
    b"JMSXGroupID": (b"g1", b"g2", b"", b"g\\c", b"\xc3\xbc"),
    b"message_group": (b"g3", b"g4"),
    b"JMSXGroupSeq": (b"1", b"-1", b"x"),
    b"persistent": (b"true", b"true", b"false", b"maybe", b""),
    b"persist": (b"false", b"true"),
    b"priority": (b"4", b"4", b"7", b"0", b"10", b"x"),
    b"expires": (b"0", b"0", b"1795999093405", b"1795999099999", b"x", b""),
    b"ttl": (b"60000", b"60000", b"1", b"0", b"-1", b"x"),
    b"expiration": (b"70000", b"50000"),
    b"x-message-ttl": (b"60000", b"50000"),
    b"max-exceptions": (b"3", b"3", b"0", b"x"),
    b"reply-to": (b"/queue/answers", b"/queue/others", b"/temp-queue/t", b"temp-queue://t", b"x\\cy"),
    b"user-id": (b"", b"", b"bob"),
    b"destination-type": (b"ANYCAST", b"MULTICAST"),
    b"retain": (b"true",),
    b"dedup-id": (b"d1", b"d2"),
    b"ack": (b"forged",),
    b"correlation-id": (b"1", b"a\\cb", b"http\\c//example.org/?a\\n\\\\b", b"\\\\c", b"\\r", b"\\x", b"a:b"),
    b"content-type": (b"text/plain", b"application/json; charset=utf-8"),
    b"timestamp": (b"1795999093405", b"2"),
    b"c-name": (b"Gr\xc3\xbc\xc3\x9fe", b"\xf0\x9f\x8c\x8d", b"\xff", b"\xed\xa0\x80", b"x\r", b" x ", b"\t"),
}
"""Header names of the field with values, the one that is learned often first."""

FORMS = st.lists(st.sampled_from(sorted(FIELD)), max_size=5, unique=True).flatmap(
    lambda names: st.permutations([b"destination", *names])
)


def frame_of(draw: Callable[[Any], Any], form: list[bytes], first: bool) -> bytes:
    """A SEND with headers of that form."""
    body = draw(st.sampled_from([b"x", b"", b"y" * 200]))
    if b"content-length" in form:
        body = draw(st.sampled_from([body, b"\0", b"\n\n\0"]))
    lines = [b"SEND"]
    for name in form:
        if name == b"destination":
            value = (
                b"/queue/a"
                if first
                else draw(st.sampled_from([b"/queue/a", b"/queue/a", b"/queue/b", b"/topic/a"]))
            )
        elif name == b"content-length":
            value = b"%d" % len(body)
        else:
            choices = FIELD[name]
            value = choices[0] if first else draw(st.sampled_from(choices))
        lines.append(name + b":" + value)
    return b"\n".join([*lines, b"", body]) + b"\0"


@given(
    st.data(),
    st.lists(FORMS, min_size=1, max_size=3),
    st.sampled_from(["1.0", "1.1", "1.2"]),
    st.integers(0, 900),
)
def test_the_same_for_any_headers(
    new_world: Callable[..., Any], data: Any, forms: list[list[bytes]], version: str, cut: int
) -> None:
    """Whatever clients of the field write is done alike, by the way that was learned and by the long one."""
    draw = data.draw
    begin = b"BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:u\n\n\0"
    lesson = begin
    for number, form in enumerate(forms):
        lesson += frame_of(draw, form, True) * (LEARN * 2**number + 1)
    order = draw(st.lists(st.sampled_from(forms), max_size=8))
    octets = b"".join([frame_of(draw, form, draw(st.booleans())) for form in order])
    octets += draw(st.sampled_from([b"", b"COMMIT\ntransaction:t\n\n\0", b"ABORT\ntransaction:t\n\n\0"]))
    known = seen(new_world, version, octets, cut, lesson, True)
    assert known == seen(new_world, version, octets, cut, lesson, False)


CLIENTS = {
    "stomp.py": b"SEND\ncontent-length:1\ncorrelation-id:7\ndestination:/queue/a\n\nx\0",
    "no content-length": b"SEND\ndestination:/queue/a\n\nx\0",
    "the user's first": b"SEND\nfoo:bar\ndestination:/queue/a\nreceipt:7\n\nx\0",
    "jms": b"SEND\nexpires:0\ndestination:/queue/a\npriority:4\npersistent:true\nreply-to:/queue/b\n\nx\0",
    "url": b"SEND\nurl:http\\c//example.org\ndestination:/queue/a\n\nx\0",
    "text": b"SEND\nname:Gr\xc3\xbc\xc3\x9fe\ndestination:/queue/a\n\nx\0",
    "group": b"SEND\nJMSXGroupID:g\ndestination:/queue/a\n\nx\0",
    "transaction": b"SEND\ndestination:/queue/a\ntransaction:t\n\nx\0",
    "ttl": b"SEND\nttl:60000\ndestination:/queue/a\n\nx\0",
    "transient": b"SEND\npersistent:false\ndestination:/queue/a\n\nx\0",
    "priority": b"SEND\npriority:7\ndestination:/queue/a\n\nx\0",
}


@pytest.mark.parametrize("frame", CLIENTS.values(), ids=CLIENTS)
def test_what_clients_write_is_learned(world: Any, frame: bytes) -> None:
    producer = world.connect("1.2")
    producer.send(b"SEND\ndestination:/queue/a\n\nx\0BEGIN\ntransaction:t\n\n\0")
    producer.send(frame * LEARN)
    parser = producer.session.parser
    assert parser.learned
    (found,) = parser.feed(frame)
    assert type(found).__name__ == "PlainSend"


@pytest.mark.parametrize(
    "line",
    [
        *("dedup-id:1", "retain:true", "JMSXGroupSeq:1", "AMQ_SCHEDULED_DELAY:0", "destination-type:ANYCAST"),
        *("reply-to:/temp-queue/a", "expires:9", "ttl:x", "x-message-ttl:60000", "JMSXUserID:bob", "ack:1"),
        *("priority:10", "persistent:maybe", "max-exceptions:x"),
    ],
)
def test_what_has_to_be_looked_at_each_time_is_not_learned(world: Any, line: str) -> None:
    producer = world.connect("1.2")
    for _ in range(3 * LEARN):
        producer.send(f"SEND\ndestination:/queue/a\n{line}\n\nx\0".encode())
    assert not producer.session.parser.learned


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
    learned = [session.parser.learned]
    for number in range(40 * LEARN):
        producer.send(b"SEND\ndestination:/queue/a\nx%d:\ncontent-length:0\n\n\0" % (number % 9))
        if session.parser.learned != learned[-1]:
            learned.append(session.parser.learned)
    assert 2 <= len(learned) <= 7
    assert len(learned[-1]) == KEPT


def test_one_that_sends_a_few_in_turn_has_all_of_them_learned(world: Any) -> None:
    producer: Any = world.connect("1.2")
    frames = [b"SEND\ndestination:/queue/a\nx%d:\n\n\0" % number for number in range(KEPT)]
    for _ in range(20 * LEARN):
        for frame in frames:
            producer.send(frame)
    assert len(producer.session.parser.learned) == KEPT
    found = producer.session.parser.feed(b"".join(frames))
    assert [type(frame).__name__ for frame in found] == ["PlainSend"] * KEPT


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
