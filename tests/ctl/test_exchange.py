"""Messages as JSON lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.message import Message
from stompserver.ctl import exchange
from stompserver.errors import StoreError

HEAD = '{"stompserver-export": 1}'
ROW = {
    "queue": "/queue/a",
    "key": 7,
    "number": 7,
    "destination": "/queue/a",
    "headers": [["x", "1"]],
    "body": "hi",
}


def read(*lines: str) -> list[tuple[str, Message]]:
    return list(exchange.parse(lines))


def test_a_line_as_it_is_documented() -> None:
    message = Message("/queue/a", {"x": "1", "y": "é"}, b"hi", 1000, True)
    message.key, message.number, message.attempts = 7, 8, 2
    assert json.loads(exchange.line("/queue/b", message)) == {
        "queue": "/queue/b",
        "key": 7,
        "number": 8,
        "destination": "/queue/a",
        "headers": [["x", "1"], ["y", "é"]],
        "size": 1000,
        "body": "hi",
        "attempts": 2,
    }
    message.body = b"\xff\0"
    message.persistent = False
    message.exceptions = 0
    message.priority = 9
    message.extras = {"due": "5"}
    row = json.loads(exchange.line("/queue/b", message))
    assert (row["body64"], row["persistent"], row["exceptions"]) == ("/wA=", False, 0)
    assert row["kept"] == {"due": "5", "priority": "9"}
    assert "body" not in row


def test_what_came_back_and_does_not_count() -> None:
    message = Message("/queue/a", {}, b"", 1000, True)
    message.key = message.number = 7
    message.attempts = 2**31 - 1
    line = exchange.line("/queue/b", message)
    row = json.loads(line)
    assert row["redelivered"] is True
    assert "attempts" not in row
    ((_, back),) = read(HEAD, line)
    assert (back.attempts, back.tried) == (2**31 - 1, 0)


def test_more_attempts_than_are_counted() -> None:
    ((_, message),) = read(HEAD, json.dumps(ROW | {"attempts": 2**40}))
    assert message.attempts == message.tried == 2**31 - 2


text = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(
    st.dictionaries(text, text, max_size=5),
    st.binary(max_size=100),
    text,
    st.integers(1, (1 << 62) - 1),
    st.integers(0, 9),
    st.booleans(),
    st.integers(-1, 5),
    st.dictionaries(text, text, max_size=3),
)
def test_what_goes_out_comes_back(
    headers: dict[str, str],
    body: bytes,
    name: str,
    number: int,
    attempts: int,
    persistent: bool,
    exceptions: int,
    extras: dict[str, str],
) -> None:
    message = Message("/queue/" + name, headers, body, 1000, False, persistent, exceptions)
    message.key = message.number = number
    message.attempts = attempts
    message.regain({**extras, "group": "g", "priority": "0", "expires": "3"})
    line = exchange.line("/queue/x" + name, message)
    assert "\n" not in line
    ((queue, twin),) = read(HEAD, line)
    assert queue == "/queue/x" + name
    for attribute in ("destination", "body", "key", "number", "size", "attempts", "persistent", "exceptions"):
        assert getattr(twin, attribute) == getattr(message, attribute)
    assert list(twin.headers.items()) == list(headers.items())
    assert twin.kept() == message.kept()
    awkward = set("\\\r\n:\0")
    everything = "".join([twin.destination, *headers, *headers.values()])
    surrogates = any("\ud800" <= c <= "\udfff" for c in everything)
    assert twin.plain is (not awkward & set(everything) and not surrogates)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([], "line 1: not an export"),
        (["[]"], "line 1: not an export"),
        (["hello"], "line 1: not an export"),
        (['{"stompserver-export": 2}'], "line 1: export format 2; this version knows 1"),
        ([HEAD, "{"], "line 2: not a message"),
        ([HEAD, json.dumps(ROW), "3"], "line 3: not a message"),
        ([HEAD, json.dumps(ROW | {"key": "7"})], "'7' is not a whole number"),
        ([HEAD, json.dumps(ROW | {"key": True})], "True is not a whole number"),
        ([HEAD, json.dumps(ROW | {"key": 1 << 62})], "is not a whole number"),
        ([HEAD, json.dumps(ROW | {"attempts": -1})], "-1 is not a whole number"),
        ([HEAD, json.dumps(ROW | {"headers": [["x"]]})], "line 2: not a message"),
        ([HEAD, json.dumps(ROW | {"headers": [["x", 1]]})], "1 is not a text"),
        ([HEAD, json.dumps(ROW | {"kept": []})], "line 2: not a message"),
        ([HEAD, json.dumps(ROW | {"kept": {"due": 1}})], "1 is not a text"),
        ([HEAD, json.dumps(ROW | {"kept": {"priority": "x"}})], "line 2: not a message"),
        ([HEAD, json.dumps(ROW | {"body": 1})], "1 is not a text"),
        ([HEAD, json.dumps(ROW | {"body64": "!"})], "line 2: not a message"),
        ([HEAD, json.dumps({k: v for k, v in ROW.items() if k != "queue"})], "queue"),
    ],
)
def test_a_bad_line_is_named(lines: list[str], error: str) -> None:
    with pytest.raises(StoreError, match="line") as caught:
        read(*lines)
    assert error in str(caught.value)


def test_empty_lines_are_nothing() -> None:
    assert len(read(HEAD, "", json.dumps(ROW), "  ", "")) == 1
