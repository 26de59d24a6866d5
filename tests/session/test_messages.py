"""MESSAGE: whose headers reach whom, written for each version, encoded once for all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = ("1.0", "1.1", "1.2")
ESCAPES = {"1.1": {"\\n": "\n", "\\c": ":", "\\\\": "\\"}}
ESCAPES["1.2"] = {**ESCAPES["1.1"], "\\r": "\r"}
OURS = ("subscription", "ack", "redelivered", "destination", "message-id", "content-length")


def written(version: str, text: str) -> str:
    """How a client of ``version`` writes a header text; only what it can express."""
    for escape, meant in sorted(ESCAPES.get(version, {}).items(), key=lambda pair: pair[1] != "\\"):
        text = text.replace(meant, escape)
    return text


def meant(version: str, text: str) -> str:
    """What a client of ``version`` reads, one escape after the other from the left."""
    out, at = "", 0
    while at < len(text):
        step = 2 if version in ESCAPES and text[at] == "\\" else 1
        out += ESCAPES[version][text[at : at + 2]] if step == 2 else text[at]
        at += step
    return out


def users(reply: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in reply.headers if name not in OURS]


@pytest.mark.parametrize("sender", VERSIONS)
@pytest.mark.parametrize("receiver", VERSIONS)
def test_headers_and_body_pass_through(world: Any, sender: str, receiver: str) -> None:
    producer, consumer = world.connect(sender), world.connect(receiver)
    consumer.subscribe("/queue/q", id="7")
    body = bytes(range(256))
    producer.send(
        b"SEND\ndestination:/queue/q\nb:2\ncontent-length:256\na:1\nb:3\ncontent-type:x/y\npersistent:true\n\n%b\0"
        % body
    )
    (reply,) = consumer.read()
    assert reply.headers == [
        ("subscription", "7"),
        ("destination", "/queue/q"),
        ("message-id", "1"),
        ("content-length", "256"),
        ("b", "2"),
        ("a", "1"),
        ("content-type", "x/y"),
        ("persistent", "true"),
    ]
    assert reply.body == body


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_passed_on(world: Any, version: str) -> None:
    """Headers that are ours to write, or the sender's own affair."""
    peer = world.connect(version)
    peer.subscribe("/queue/q", "client", id="7")
    peer.send(
        b"SEND\ndestination:/queue/q\nmessage-id:x\nsubscription:x\nack:x\nredelivered:x\nlogin:x\npasscode:x\n"
        b"receipt:r\nx-sanitized:x\nmax-exceptions:3\nx:y\n\n\0"
    )
    message, receipt = peer.read()
    assert receipt["receipt-id"] == "r"
    assert users(message) == [("max-exceptions", "3"), ("x", "y")]
    names = [name for name, _ in message.headers]
    assert len(names) == len(set(names))
    assert (message["message-id"], message["subscription"]) == ("1", "7")


TEXT = st.text(alphabet=st.sampled_from("ab \\:\n\rcnä\u2028"), max_size=8)


@given(TEXT, TEXT, st.sampled_from(VERSIONS), st.sampled_from(VERSIONS), st.booleans())
def test_text_between_versions(
    new_world: Any, name: str, value: str, sender: str, receiver: str, queue: bool
) -> None:
    """A receiver reads what the sender meant; a line end that its version cannot express becomes a blank, and
    nothing that a sender can write becomes a header line of its own.
    """
    unwritable = {"1.0": "\n\r", "1.1": "\r", "1.2": ""}[sender]
    for character in unwritable:
        name, value = name.replace(character, ""), value.replace(character, "")
    if sender == "1.0":
        name, value = name.replace(":", "").strip(" "), value.strip(" ")
    name = "x" + name
    world = new_world()
    producer, consumer = world.connect(sender), world.connect(receiver)
    destination = "/queue/q" if queue else "/topic/t"
    consumer.subscribe(destination)
    producer.send(
        f"SEND\ndestination:{destination}\n{written(sender, name)}:{written(sender, value)}\n\n\0".encode()
    )
    assert producer.state == "connected"
    (reply,) = consumer.read()
    cannot = {"1.0": "\n\r", "1.1": "", "1.2": ""}[receiver]
    no_name = {"1.0": "\n\r:", "1.1": "\r", "1.2": ""}[receiver]
    lossy = any(letter in value for letter in cannot) or any(letter in name for letter in no_name)
    (header, *sanitized) = users(reply)
    assert sanitized == [("x-sanitized", "true")] * lossy
    for character in cannot:
        value = value.replace(character, " ")
    for character in no_name:
        name = name.replace(character, " ")
    assert (meant(receiver, header[0]), meant(receiver, header[1])) == (name, value)


@pytest.mark.parametrize("name", ["redelivered", "subscription", "message-id"])
def test_a_colon_in_a_name_is_no_way_to_write_our_headers(world: Any, name: str) -> None:
    old, new = world.connect("1.0"), world.connect("1.2")
    old.subscribe("/topic/t", id="")
    new.send(f"SEND\ndestination:/topic/t\n{name}\\ctrue:x\n\n\0".encode())
    (reply,) = old.read()
    assert users(reply) == [(f"{name} true", "x"), ("x-sanitized", "true")]


def test_octets_that_are_no_utf_8(world: Any) -> None:
    """1.0 has no encoding: to 1.0 they leave as they came, to the others as something that is UTF-8."""
    old = world.connect("1.0")
    old.subscribe("/topic/t")
    new = world.connect("1.2")
    new.subscribe("/topic/t")
    old.send(b"SEND\ndestination:/topic/t\n\xff\xfe:\xe4\n\n\xff\0")
    assert b"\n\xff\xfe:\xe4\n" in old.take()
    octets = new.take()
    octets.partition(b"\n\n")[0].decode()
    assert octets.endswith(b"\n\n\xff\0\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_destinations_are_opaque(world: Any, version: str) -> None:
    for name in ("/queue/a b", "/queue/ä/€", "/queue/A", "/queue//", "/queue/a?b=c&d", "/topic/😀"):
        producer, consumer = world.connect(version), world.connect(version)
        consumer.subscribe(name)
        producer.publish(name, b"x")
        (reply,) = consumer.read()
        assert reply["destination"] == name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_comes_back(world: Any, version: str) -> None:
    """The same message-id, and redelivered:true before the user's headers."""
    first, second = world.connect(version), world.connect(version)
    first.subscribe("/queue/q", "client")
    first.publish("/queue/q", b"x")
    (before,) = first.read()
    assert not before.has("redelivered")
    first.session.lost()
    second.subscribe("/queue/q", "client")
    (after,) = second.read()
    assert after["redelivered"] == "true"
    assert after["message-id"] == before["message-id"]


# Encoded once


def heads(peer: Any, body: bytes) -> list[bytes]:
    """The piece of the outbox before each body that is this very object."""
    outbox = peer.session.outbox.pieces
    return [outbox[i - 1] for i, piece in enumerate(outbox) if piece is body]


def fan_out(
    world: Any, frame: bytes, ack: str, versions: tuple[str, ...] = VERSIONS
) -> dict[str, list[bytes]]:
    """The header blocks that two peers of each version got."""
    peers = {version: [world.connect(version), world.connect(version)] for version in versions}
    for pair in peers.values():
        for peer in pair:
            peer.subscribe("/topic/t", ack)
    producer = world.connect("1.2")
    producer.send(frame)
    everybody = [peer for pair in peers.values() for peer in pair]
    bodies = [piece for peer in everybody for piece in peer.session.outbox.pieces if piece == b"some body"]
    assert len(bodies) == 2 * len(versions)
    assert len({id(body) for body in bodies}) == 1, "one body for all"
    return {
        version: [head for peer in pair for head in heads(peer, bodies[0])] for version, pair in peers.items()
    }


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_a_plain_head_is_encoded_once_for_all_versions(world: Any, ack: str) -> None:
    found = fan_out(world, b"SEND\ndestination:/topic/t\nx:y\n\nsome body\0", ack)
    assert len({id(head) for pair in found.values() for head in pair}) == 1


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_another_head_is_encoded_once_for_each_version(world: Any, ack: str) -> None:
    found = fan_out(world, b"SEND\ndestination:/topic/t\nx:\\r\\n\\c\n\nsome body\0", ack)
    assert all(one is other for one, other in found.values())
    blocks = {version: pair[0] for version, pair in found.items()}
    assert len(set(blocks.values())) == 3
    assert b"\nx:  :\nx-sanitized:true\n\n" in blocks["1.0"]
    assert b"\nx:\r\\n\\c\n\n" in blocks["1.1"]
    assert b"\nx:\\r\\n\\c\n\n" in blocks["1.2"]


@pytest.mark.parametrize("value", [b"y", b"\\c"])
def test_also_when_all_who_listen_acknowledge(world: Any, value: bytes) -> None:
    frame = b"SEND\ndestination:/topic/t\nx:%b\n\nsome body\0" % value
    (found,) = fan_out(world, frame, "client", ("1.2",)).values()
    assert found[0] is found[1]


def test_a_redelivery_is_not_encoded_again(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client")
    peer.publish("/queue/q", b"some body")
    body = peer.session.outbox.pieces[-2]
    (first,) = heads(peer, body)
    peer.take()
    peer.send(b"NACK\nid:1-1\n\n\0")
    (second,) = heads(peer, body)
    assert first is second
