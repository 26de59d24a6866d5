"""Whatever stands in a header of the field, the answer is a frame: never an exception, never a lost broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect import naming

ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c", "\0": " "})

WORDS = [
    "true", "false", "1", "0", "-1", "", " ", "10", "1.5", "-", "+", ".", "1e9", "9" * 40, "²", "٣", "first", "next",
    "offset=", "timestamp=x", "-10m", "-m", "set", "remove", "ANYCAST", "a = 1", "a = '", "((", "* * * * *", "5,7",
    "/queue/a", "/temp-queue/", "/temp-queue/r", "x\ny", "é:€",
]  # fmt: skip
PARTS = [
    *[text for form in naming.FORMS for text in form.written.split(", ")],
    "/queue/", "/topic/", "/exchange/", "/user/", "/dsub/", "$temp", "$user", "$stompserver/", "::", ",", "?", "=",
    "%", "%41", "*", ">", "#", "**", "{x}", ".", "/", "a", "queue", "topic", "amq.topic", "consumer.", "&", "é",
]  # fmt: skip

values = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
destinations = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join)
OFTEN = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def names(*commands: str) -> st.SearchStrategy[str]:
    found = {name for header in dialect.HEADERS if {*commands} & {*header.commands} for name in header.names}
    return st.sampled_from(sorted(found - {"id", "destination", "transaction", "receipt"}))


def frame(command: str, headers: dict[str, str]) -> bytes:
    lines = [f"{name}:{value.translate(ESCAPES)}\n" for name, value in headers.items()]
    return (command + "\n" + "".join(lines) + "\n\0").encode()


def check(world: Any, peer: Any) -> None:
    """It answered, and a connection that goes leaves nothing behind; others still get what they want."""
    commands = [reply.command for reply in peer.read()]
    assert peer.state in ("connected", "failed")
    assert ("ERROR" in commands) is (peer.state == "failed")
    peer.session.lost()
    world.broker.tick(world.broker.now + 1000)
    assert world.roster.temporary == 0
    other = world.connect("1.2")
    other.subscribe("/queue/healthy")
    other.publish("/queue/healthy", b"yes")
    assert b"yes" in [reply.body for reply in other.read()]


@OFTEN
@given(headers=st.dictionaries(names("SEND"), values, max_size=4), destination=destinations)
def test_send(new_world: Callable[..., Any], headers: dict[str, str], destination: str) -> None:
    world = new_world()
    peer = world.connect("1.2")
    peer.send(frame("SEND", {"destination": destination, **headers}))
    check(world, peer)


@OFTEN
@given(headers=st.dictionaries(names("SUBSCRIBE"), values, max_size=4), destination=destinations)
@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE"])
def test_subscribe(
    new_world: Callable[..., Any], command: str, headers: dict[str, str], destination: str
) -> None:
    world = new_world()
    peer = world.connect("1.2")
    peer.send(frame(command, {"id": "1", "destination": destination, **headers}))
    peer.publish("/queue/a", b"1")
    check(world, peer)


@OFTEN
@given(headers=st.dictionaries(names("ACK", "NACK"), values, max_size=4))
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_settle(new_world: Callable[..., Any], command: str, headers: dict[str, str]) -> None:
    world = new_world()
    peer = world.connect("1.2")
    peer.publish("/queue/a", b"1")
    peer.subscribe("/queue/a", "client-individual")
    (message,) = peer.read()
    peer.send(frame(command, {"id": message["ack"], **headers}))
    check(world, peer)


@OFTEN
@given(headers=st.dictionaries(names("CONNECT"), values, max_size=4))
def test_connect(new_world: Callable[..., Any], headers: dict[str, str]) -> None:
    world = new_world()
    peer = world.stranger()
    # Nothing is escaped in CONNECT.
    lines = [f"{name}:{value}\n" for name, value in headers.items() if not {"\0", "\n", "\r"} & {*value}]
    peer.send(("CONNECT\n" + "".join(lines) + "\n\0").encode())
    check(world, peer)
