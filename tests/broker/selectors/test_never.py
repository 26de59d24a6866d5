"""Selectors that are accepted, and that no message can match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.message import Message
from stompserver.broker.selectors.never import never
from stompserver.broker.selectors.selector import compile_selector

MODE = "JMSDeliveryMode is 'PERSISTENT' or 'NON_PERSISTENT'"
PRIORITY = "JMSPriority is a whole number from 0 to 9"
ID = "JMSMessageID is ID: and a number"
ALWAYS = "it is false or unknown whatever the message is"

NEVER = {
    "JMSDeliveryMode = 2": MODE,
    "JMSDeliveryMode = 'persistent'": MODE,
    "JMSDeliveryMode <> 2": MODE,
    "JMSDeliveryMode IN ('1', '2')": MODE,
    "JMSDeliveryMode IN (1, 2)": MODE,
    "JMSDeliveryMode LIKE 'TRANS%'": MODE,
    "NOT JMSDeliveryMode LIKE '%PERSISTENT'": MODE,
    "NOT JMSDeliveryMode IN ('PERSISTENT', 'NON_PERSISTENT')": MODE,
    "JMSDeliveryMode BETWEEN 1 AND 2": MODE,
    "JMSDeliveryMode > JMSPriority": MODE,
    "JMSDeliveryMode": MODE,
    "JMSDeliveryMode IS NULL": MODE,
    "AMQDurable = 'PERSISTENT'": "AMQDurable is 'DURABLE' or 'NON_DURABLE'",
    "JMSPriority = 10": PRIORITY,
    "JMSPriority = 4.5": PRIORITY,
    "JMSPriority > 9": PRIORITY,
    "JMSPriority >= 9.5": PRIORITY,
    "9 < JMSPriority": PRIORITY,
    "JMSPriority < 0": PRIORITY,
    "JMSPriority <= -1": PRIORITY,
    "NOT JMSPriority < 10": PRIORITY,
    "JMSPriority NOT BETWEEN 5 AND 4 AND JMSPriority = 12": PRIORITY,
    "JMSPriority BETWEEN 10 AND 20": PRIORITY,
    "JMSPriority IN (10, 11)": PRIORITY,
    "JMSPriority IS NULL": PRIORITY,
    "JMSXDeliveryCount = 0": "JMSXDeliveryCount is a whole number from 1",
    "JMSExpiration < 0": "JMSExpiration is a whole number from 0, which is never",
    "AMQSize = -1": "AMQSize is a whole number from 0",
    "JMSMessageID = 'ID:host-1234:1:1'": ID,
    "JMSMessageID = ''": ID,
    "JMSMessageID LIKE 'ID:host%'": ID,
    "JMSMessageID LIKE 'msg%'": ID,
    "JMSMessageID IN ('a', 'b')": ID,
    "JMSMessageID": ID,
    "JMSMessageID IS NULL": ID,
    "JMSTimestamp IS NULL": "what is asked for is never NULL",
    "JMSDestination IS NULL": "what is asked for is never NULL",
    "colour = 'red' AND JMSPriority > 9": PRIORITY,
    "(JMSPriority > 9 OR JMSDeliveryMode = 2) AND a = 1": PRIORITY,
    "(JMSPriority > 9) = TRUE": PRIORITY,
    "colour = NULL": ALWAYS,
    "colour BETWEEN 5 AND 1": ALWAYS,
    "FALSE": ALWAYS,
    "1 = 2": ALWAYS,
    "'a' = 'b' OR NULL": ALWAYS,
}

MAYBE = """
    JMSDeliveryMode = 'PERSISTENT'
    JMSDeliveryMode <> 'persistent'
    JMSDeliveryMode LIKE 'NON%'
    JMSDeliveryMode = kind
    JMSDeliveryMode NOT IN ('1')
    JMSPriority > 8
    JMSPriority = 9.0
    NOT JMSPriority = 10
    JMSPriority = 10 OR colour = 'red'
    JMSPriority <> 4.5
    JMSPriority IN (10, 9)
    JMSPriority + 5 > 10
    JMSXDeliveryCount > 1
    JMSExpiration > 1e15
    JMSMessageID = '77'
    JMSMessageID = 'ID:77'
    JMSMessageID LIKE 'ID:%'
    JMSMessageID LIKE '%:%'
    JMSMessageID LIKE '_D:_7%'
    JMSMessageID LIKE 'I%'
    JMSMessageID <> 'abc'
    JMSMessageID = 77
    JMSMessageID = correlation-id
    JMSTimestamp > 0
    JMSTimestamp = 'some day'
    JMSRedelivered
    NOT JMSRedelivered
    JMSXGroupID IS NULL
    JMSXGroupID = 5
    JMSDestination LIKE '/queue/%'
    JMSDestination LIKE 'queue://%'
    JMSDestination = 5
    JMSType IS NULL
    (JMSPriority > 9) = FALSE
    (colour = 1) IS NULL
    colour > 5 AND NOT colour < 3
    colour
    TRUE
"""


@pytest.mark.parametrize(("text", "reason"), NEVER.items())
def test_it_is_said_why(text: str, reason: str) -> None:
    assert never(compile_selector(text).condition) == reason


@pytest.mark.parametrize("text", [line.strip() for line in MAYBE.splitlines() if line.strip()])
def test_what_can_match_is_left_alone(text: str) -> None:
    assert never(compile_selector(text).condition) == ""


FIELDS = st.sampled_from(
    [
        "JMSPriority",
        "JMSXDeliveryCount",
        "JMSExpiration",
        "AMQSize",
        "JMSDeliveryMode",
        "JMSMessageID",
        "kind",
    ]
)
NUMBERS = st.sampled_from(["-1", "0", "1", "4", "4.5", "9", "10", "77"])
TEXTS = st.sampled_from(["'PERSISTENT'", "'NON_PERSISTENT'", "'77'", "'ID:77'", "'ID:x'", "''", "'1'"])
PATTERNS = st.sampled_from(["'%'", "'ID:%'", "'ID:7_'", "'P%'", "'%7'", "'x%'", "'_'"])
LEAVES = st.one_of(
    st.tuples(FIELDS, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), NUMBERS).map(" ".join),
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), FIELDS).map(" ".join),
    st.tuples(FIELDS, st.just("BETWEEN"), NUMBERS, st.just("AND"), NUMBERS).map(" ".join),
    st.tuples(FIELDS, st.sampled_from(["IN", "NOT IN"]), NUMBERS.map("({})".format)).map(" ".join),
    st.tuples(
        st.sampled_from(["JMSDeliveryMode", "JMSMessageID", "kind"]),
        st.sampled_from(["= {}", "<> {}", "IN ({}, 77)", "NOT IN ({})"]),
        TEXTS,
    ).map(lambda parts: f"{parts[0]} {parts[1].format(parts[2])}"),
    st.tuples(
        st.sampled_from(["JMSDeliveryMode", "JMSMessageID", "kind"]),
        st.sampled_from(["LIKE", "NOT LIKE"]),
        PATTERNS,
    ).map(" ".join),
    FIELDS.map("{} IS NULL".format),
)
SELECTORS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map("NOT ({})".format),
        st.tuples(inner, st.sampled_from(["AND", "OR", "=", "<>"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=5,
)


def messages() -> list[Message]:
    found = []
    for priority in (0, 1, 4, 9):
        for attempts in (0, 3):
            for kind in ("1", "ID:77", None):
                message = Message("/queue/a", {} if kind is None else {"kind": kind}, b"x" * priority, 9)
                message.priority, message.attempts, message.number = priority, attempts, 77 + attempts
                message.persistent = kind is None
                message.expires = 10 * attempts
                found.append(message)
    return found


MESSAGES = messages()


@given(SELECTORS)
def test_nothing_matches_what_never_can(text: str) -> None:
    selector = compile_selector(text)
    if never(selector.condition):
        assert not any(selector.matches(message) for message in MESSAGES)
