"""The log says something of every event of a session."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from stompserver.server import lines
from stompserver.server.log_rate import TOLD, WINDOW, LogRate
from stompserver.server.process.logs import JsonLines, TextLines
from stompserver.session import events


@pytest.fixture
def rate(hand_loop: Any) -> Iterator[LogRate]:
    made = LogRate(hand_loop)
    yield made
    made.close()


CASES = [
    (
        events.Connected("1.2", "me"),
        "INFO",
        "Connected h with STOMP 1.2 as me",
        {"event": "connected", "login": "me"},
    ),
    (events.Connected("1.1", None), "INFO", "Connected h with STOMP 1.1 as nobody", {"login": None}),
    (events.Failed("Not so (there)"), "WARNING", "Refused h: Not so (there)", {"event": "error"}),
    (
        events.Denied("eve", "send", "/queue/a", "f line 3: permissions: /queue/#: send", False),
        "WARNING",
        "Denied to eve at h: send /queue/a (f line 3: permissions: /queue/#: send)",
        {"event": "denied", "login": "eve", "verb": "send", "destination": "/queue/a"},
    ),
    (
        events.Denied(None, "browse", "/queue/a", "why", True),
        "WARNING",
        "Would be denied to nobody at h: browse /queue/a (why)",
        {"event": "observed", "login": None},
    ),
    (events.Warned("otherwise"), "WARNING", "Not as asked by h: otherwise", {"event": "warning"}),
    (
        events.Tolerated({"truth": 1, "blanks": 2}),
        "INFO",
        "Tolerated protocol errors of h: blanks 2, truth 1",
        {"event": "tolerated", "tolerated": "blanks 2, truth 1"},
    ),
    (
        events.Subscribed("/queue/%s"),
        "INFO",
        "Subscribing to /queue/%s",
        {"event": "subscribed", "destination": "/queue/%s"},
    ),
    (
        events.Unsubscribed("/queue/a"),
        "INFO",
        "Unsubscribing from /queue/a",
        {"event": "unsubscribed", "destination": "/queue/a"},
    ),
    (
        events.Denied("me", "send", "/queue/a", "file:3", False),
        "WARNING",
        "Denied to me at h: send /queue/a (file:3)",
        {"event": "denied", "login": "me", "verb": "send", "destination": "/queue/a", "why": "file:3"},
    ),
    (
        events.Denied("me", "send", "/queue/a", "file:3", True),
        "WARNING",
        "Would be denied to me at h: send /queue/a (file:3)",
        {"event": "observed"},
    ),
    (
        events.Managed("purge", "/queue/a", "", True),
        "INFO",
        "Managed by h: purge /queue/a",
        {"event": "managed", "action": "purge", "target": "/queue/a"},
    ),
    (
        events.Managed("purge", "/queue/a", "why", True),
        "INFO",
        "Managed by h: purge /queue/a: not done: why",
        {"problem": "why"},
    ),
    (events.Managed("queues", "", "", False), "DEBUG", "Managed by h: queues ", {"event": "managed"}),
    (events.Renewing(), "DEBUG", "Checking a new token of h", {"event": "renewing"}),
    (events.Renewed("me", ""), "INFO", "Renewed the login of me at h", {"event": "renewed", "login": "me"}),
    (
        events.Renewed("me", "why"),
        "WARNING",
        "Refused a new token of me at h: why",
        {"event": "renewal_refused", "login": "me"},
    ),
    (events.Traced("received SEND"), "DEBUG", "id received SEND", {}),
]


@pytest.mark.parametrize(
    ("event", "level", "text", "fields"), CASES, ids=[type(case[0]).__name__ for case in CASES]
)
def test_an_event_is_a_line(
    caplog: pytest.LogCaptureFixture,
    rate: LogRate,
    event: events.Event,
    level: str,
    text: str,
    fields: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    lines.tell(event, "id", "h", rate)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, text)
    said = vars(record)
    assert said["connection"] == "id"
    assert {name: said[name] for name in fields} == fields


def test_no_event_is_without_a_line() -> None:
    made = {
        kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)
    }
    made.remove(events.Event)
    assert made == set(events.CLASSES)
    assert made == {*lines.LINES, events.Traced}
    assert made == {type(event) for event, _, _, _ in CASES}


def test_what_is_unknown_is_not_dropped_in_silence(rate: LogRate) -> None:
    with pytest.raises(KeyError):
        lines.tell(events.Event(), "id", "h", rate)


LONG = "\x01" * 60_000


@pytest.mark.parametrize(
    "event",
    [
        events.Connected("1.2", LONG),
        events.Failed(LONG),
        events.Warned(LONG),
        events.Subscribed(LONG),
        events.Unsubscribed(LONG),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_a_client_says_is_cut(
    caplog: pytest.LogCaptureFixture, rate: LogRate, event: events.Event
) -> None:
    caplog.set_level(logging.INFO)
    lines.tell(event, "id", "h", rate)
    (record,) = caplog.records
    assert len(TextLines().format(record)) < 200 * 4 + 200
    assert len(JsonLines().format(record)) < 2 * 200 * 6 + 500
    assert "... (60000 characters)" in record.getMessage()


def test_warnings_of_a_connection_are_counted_beyond_some(
    caplog: pytest.LogCaptureFixture, rate: LogRate, hand_loop: Any
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(1000):
        lines.tell(events.Warned("otherwise"), "busy", "h", rate)
    lines.tell(events.Warned("otherwise"), "other", "h", rate)
    assert len(caplog.records) == lines.MOST_WARNINGS + 1
    hand_loop.advance(WINDOW)
    record = caplog.records[-1]
    count = 1000 - lines.MOST_WARNINGS
    assert record.getMessage() == f"And {count} more lines like it (warning) of h within 10 s"
    assert vars(record)["connection"] == "busy"
    assert vars(record)["count"] == count
    caplog.clear()
    lines.tell(events.Warned("otherwise"), "busy", "h", rate)
    hand_loop.advance(WINDOW)
    assert len(caplog.records) == 1, "a new window, and nothing left out"


def test_lines_of_connections_are_counted_by_address(
    caplog: pytest.LogCaptureFixture, rate: LogRate, hand_loop: Any
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(300):
        lines.tell(events.Failed("wrong"), f"id {number}", "192.0.2.1", rate)
        lines.tell(events.Failed("wrong"), f"id {number}", f"2001:db8::{number}", rate)
    assert len(caplog.records) == 2 * lines.BY_ADDRESS[events.Failed]
    caplog.clear()
    rate.close()
    assert len(caplog.records) == 2
    assert "And 200 more lines like it (error) of 192.0.2.1 within 10 s" in caplog.text


def test_many_clients_with_many_lines_are_few_lines_in_the_end(
    caplog: pytest.LogCaptureFixture, rate: LogRate
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(100):
        for _ in range(lines.MOST_WARNINGS + 1):
            lines.tell(events.Warned("otherwise"), f"id {number}", "h", rate)
    caplog.clear()
    rate.close()
    assert len(caplog.records) == TOLD + 1
    assert (
        caplog.records[-1].getMessage()
        == f"And {100 - TOLD} more lines of {100 - TOLD} other clients within 10 s"
    )


def test_debugging_has_every_line(caplog: pytest.LogCaptureFixture, rate: LogRate) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(1000):
        lines.tell(events.Warned("otherwise"), "id", "h", rate)
    assert len(caplog.records) == 1000
