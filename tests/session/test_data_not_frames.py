"""Any text, by every way on which it becomes a header, to a receiver of any version, straight or by any store: its
own parser finds one frame with exactly these headers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stompserver.broker.message import Message
from stompserver.broker.oplog import PUT
from stompserver.migrate.frame import Frame
from stompserver.migrate.original import Notes, item
from stompserver.session import frames
from stompserver.stores import record
from stompserver.stores.file import frame as file_frame
from stompserver.stores.sql import frame_yaml
from stompserver.wire.headers import TEXT_10, TEXT_11, TEXT_12, Text

VERSIONS = ("1.0", "1.1", "1.2")
WRITING = {"1.0": TEXT_10, "1.1": TEXT_11, "1.2": TEXT_12}
ESCAPES = {
    "1.0": {},
    "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
Pairs = list[tuple[str, str]]

texts = st.one_of(
    st.text("\\:\n\r\0ab \tnrc%é€", max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        ["\n\nbody\0\nMESSAGE\nsubscription:s\n\nforged\0", "a\nb:c", "\\", "content-length:0\n"]
    ),
)


def decoded(text: str, version: str) -> str:
    if version == "1.0":
        return text
    meant = {code[1]: letter for letter, code in ESCAPES[version].items()}
    letters = iter(text)
    return "".join([meant[next(letters)] if letter == "\\" else letter for letter in letters])


def read(block: bytes, version: str) -> Pairs:
    """The headers of a block that ends with an empty line: nothing else is in it."""
    text = block.decode()
    assert text.endswith("\n\n") and "\n\n" not in text[:-1]
    assert "\0" not in text and (version == "1.1" or "\r" not in text)
    pairs = []
    for line in text[:-2].split("\n"):
        name, colon, value = line.partition(":")
        assert colon and "\r" not in name and (version == "1.0" or ":" not in value), line
        pairs.append((decoded(name, version), decoded(value, version)))
    return pairs


def heard(text: str, version: str, name: bool = False) -> str:
    lost = [letter for letter in "\n\r\0" if letter not in ESCAPES[version]]
    if version == "1.1" and not name:
        # There it may be in a value as it is.
        lost.remove("\r")
    if name and version == "1.0":
        lost.append(":")
    return "".join([" " if letter in lost else letter for letter in text])


def check(message: Message, pairs: Pairs) -> None:
    """What is written of ``message``, also of what stores make of it, has the headers ``pairs``."""
    by_record = record.decode(message.key, record.encode(message))
    octets, body = file_frame.encode(message)
    by_file = file_frame.decode(message.key, message.attempts, octets + body)
    headers, _ = frame_yaml.load(frame_yaml.dump(message.headers, None))
    by_sql = Message(message.destination, headers, message.body, 1, message.plain)
    for copy in (message, by_record, by_file, by_sql):
        for version in VERSIONS:
            found = dict(read(frames.head(copy, WRITING[version]), version))
            del found["content-length"], found["message-id"]
            found.pop("x-sanitized", "")
            assert found == {heard(name, version, True): heard(value, version) for name, value in pairs}


def send(world: Any, version: str, pairs: Pairs, more: Pairs | None = None) -> Message | None:
    """The message that a SEND makes; None where that version cannot say it, or the server refuses it."""
    lines = []
    for name, value in [*pairs, *(more or [])]:
        for text in (name, value):
            if [letter for letter in "\n\r\0" if letter in text and letter not in ESCAPES[version]]:
                return None
            if version == "1.0" and (text != text.strip(" \t") or not text):
                return None
        if not name or (version == "1.0" and ":" in name):
            return None
        coded = [text.translate(str.maketrans(ESCAPES[version])) for text in (name, value)]
        lines.append(":".join(coded) + "\n")
    peer = world.connect(version)
    peer.send(("SEND\n" + "".join(lines) + "\nbody\0").encode())
    replies = peer.read()
    assert [reply.command for reply in replies] == ["ERROR"] * len(replies)
    ops = world.broker.log.drain()[1]
    found = [op.message for op in ops if op.kind == PUT and not op.queue.startswith("$")]
    if not found and not replies:
        # What asks not to be kept is in no log.
        assert "persist" in "".join(lines)
        return None
    assert len(found) == (0 if replies else 1)
    return found[0] if found else None


PROPERTY = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@PROPERTY
@given(version=st.sampled_from(VERSIONS), name=texts, value=texts)
def test_headers(new_world: Callable[..., Any], version: str, name: str, value: str) -> None:
    pairs = [("destination", "/queue/a"), ("x-y" + name + "z", value), ("last", "1")]
    message = send(new_world(recording=True), version, pairs)
    if message is not None:
        check(message, pairs)


@PROPERTY
@given(version=st.sampled_from(VERSIONS), value=texts)
def test_destinations(new_world: Callable[..., Any], version: str, value: str) -> None:
    pairs = [("destination", "/queue/a" + value.replace("?", "").replace(",", "") + "z"), ("last", "1")]
    message = send(new_world(recording=True), version, pairs)
    if message is not None and message.destination == pairs[0][1]:
        check(message, pairs)


@PROPERTY
@example(version="1.2", value="\\", option="JMSXGroupID")
@given(
    version=st.sampled_from(VERSIONS),
    value=texts,
    option=st.sampled_from(["_AMQ_LVQ_NAME", "JMSXGroupID", "dedup-id", "message_group", "persistent"]),
)
def test_options(new_world: Callable[..., Any], version: str, value: str, option: str) -> None:
    destination = f"/queue/a?{option}={quote(value)}"
    message = send(new_world(recording=True), version, [("destination", destination), ("last", "1")])
    possible = (*ESCAPES[version], *("\r" if version == "1.1" else ""))
    impossible = [letter for letter in "\n\r\0" if letter in value and letter not in possible]
    if option != "persistent" or impossible:
        # What asks not to be kept is in no log.
        assert (message is None) is bool(impossible)
    if message is not None:
        check(message, [("destination", "/queue/a"), (option, value), ("last", "1")])


@PROPERTY
@given(value=texts, more=texts, name=texts, plain=st.booleans())
def test_dead_letters(new_world: Callable[..., Any], value: str, more: str, name: str, plain: bool) -> None:
    """The reason is a client's word, the origin the name of a queue."""
    world = new_world(recording=True)
    queue = "/queue/q" + name.replace("\0", "").replace(",", "").replace("?", "") + "z"
    coded = {key: text.translate(str.maketrans(ESCAPES["1.2"])) for key, text in (("q", queue), ("v", value))}
    if "\0" in value or "::" in queue or "{" in queue or "*" in queue:
        return
    peer = world.connect("1.2")
    peer.send(f"SUBSCRIBE\nid:1\ndestination:{coded['q']}\nack:client\n\n\0".encode())
    header = "x:1" if plain or "\0" in more else "x:" + more.translate(str.maketrans(ESCAPES["1.2"]))
    peer.send(f"SEND\ndestination:{coded['q']}\ncontent-length:1\n{header}\n\nx\0".encode())
    peer.send(f"NACK\nid:1-1\nrequeue:false\nreason:{coded['v']}\n\n\0".encode())
    assert [reply.command for reply in peer.read()] == ["MESSAGE"]
    (dead,) = [
        op.message for op in world.broker.log.drain()[1] if op.kind == PUT and op.queue == "/queue/dead"
    ]
    cause = [("dead-letter-cause", value)] if value else []
    counted = [
        (name, text) for name, text in dead.headers.items() if name.startswith(("delivery", "first", "last"))
    ]
    assert all(text.isdecimal() for _, text in counted)
    check(
        dead,
        [
            ("destination", "/queue/dead"),
            ("x", "1" if plain or "\0" in more else more),
            ("original-destination", queue),
            ("dead-letter-reason", "rejected"),
            *cause,
            ("dlqDeliveryFailureCause", value or "rejected"),
            *counted,
        ],
    )


@PROPERTY
@given(name=texts, value=texts)
def test_what_the_original_kept(name: str, value: str) -> None:
    """Its YAML and Marshal hold whatever a client sent, and more."""
    headers = {b"destination": b"/queue/a", b"x-y" + name.encode() + b"z": value.encode()}
    message = item("1", "/queue/a", Frame(headers, b"body"), 0, Notes()).message
    # The original split lines at the last colon.
    name, _, value = (f"x-y{name}z:{value}").replace("\0", " ").partition(":")
    check(message, [("destination", "/queue/a"), (name, value)])


@PROPERTY
@given(destination=texts, name=texts, value=texts, kept=texts)
def test_records(destination: str, name: str, value: str, kept: str) -> None:
    """Even of what no frame can say: no NUL moves names and values."""
    message = Message("/queue/" + destination, {name + "n": value, "last": "1"}, b"body", 1, True)
    message.extras = {"more": kept}
    back = record.decode(1, record.encode(message))
    assert back.destination == message.destination.replace("\0", " ")
    assert back.headers == {name.replace("\0", " ") + "n": value.replace("\0", " "), "last": "1"}
    assert back.extras == {"more": kept.replace("\0", " ")}


@PROPERTY
@given(label=texts, shown=texts, receipt=texts, version=st.sampled_from(VERSIONS))
def test_lines_that_are_the_sessions_own(label: str, shown: str, receipt: str, version: str) -> None:
    text: Text = WRITING[version]
    wanted = [("receipt-id", heard(receipt, version)), ("warning", heard(shown + "w", version))]
    octets = frames.receipt(receipt, shown + "w", text)
    command, _, rest = octets.partition(b"\n")
    assert command == b"RECEIPT" and rest.endswith(b"\0\n")
    assert read(rest[:-2], version) == wanted


@given(plain=st.booleans(), version=st.sampled_from(VERSIONS))
def test_what_a_store_has_does_not_stand_in_for_our_own(plain: bool, version: str) -> None:
    """Rows and exports can be written by others; the first header of a name counts."""
    headers = {
        "content-length": "0",
        "x": "1" if plain else "1:2",
        "message-id": "9",
        "destination": "/queue/b",
    }
    message = Message("/queue/a", headers, b"body", 1, True)
    message.number = 7
    first: dict[str, str] = {}
    for name, value in read(frames.head(message, WRITING[version]), version):
        first.setdefault(name, value)
    wanted = {"content-length": "4", "x": headers["x"], "message-id": "7", "destination": "/queue/a"}
    assert first == wanted
