"""The times of cron, in a zone whose clock changes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.server.cron import LOCAL, next_cron

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True, scope="module")
def in_berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def times(spec: str, after: datetime, count: int) -> list[str]:
    """The next times, as they are in Berlin."""
    found = []
    at = int(after.timestamp() * 1000)
    for _ in range(count):
        at = next_cron(spec, at)
        found.append(datetime.fromtimestamp(at / 1000, BERLIN).strftime("%d. %H:%M %z"))
    return found


SPRING = datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN)
AUTUMN = datetime(2026, 10, 25, 1, 55, tzinfo=BERLIN)


def test_an_hour_that_is_left_out() -> None:
    assert times("30 2 * * *", SPRING, 2) == ["29. 03:00 +0200", "30. 02:30 +0200"]
    assert times("*/30 * * * *", SPRING, 3) == ["29. 03:00 +0200", "29. 03:30 +0200", "29. 04:00 +0200"]


def test_an_hour_that_comes_twice() -> None:
    assert times("0,30 2 * * *", AUTUMN, 3) == ["25. 02:00 +0200", "25. 02:30 +0200", "26. 02:00 +0100"]
    assert times("*/30 * * * *", AUTUMN, 5) == [
        "25. 02:00 +0200",
        "25. 02:30 +0200",
        "25. 02:00 +0100",
        "25. 02:30 +0100",
        "25. 03:00 +0100",
    ]
    second_pass = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN)
    assert times("0,30 2 * * *", second_pass, 1) == ["26. 02:00 +0100"]


def test_the_earlier_of_day_and_weekday() -> None:
    start = datetime(2026, 11, 1, 12, tzinfo=BERLIN)
    assert times("30 6 15 * MON", start, 3) == ["02. 06:30 +0100", "09. 06:30 +0100", "15. 06:30 +0100"]


field = st.sampled_from(["*", "*/7", "3", "1,4", "2-5", "1-6/2"])


@settings(max_examples=60)
@given(st.tuples(field, field, field, field, field), st.integers(0, 1 << 41))
def test_the_machines_zone_is_as_good_as_a_named_one(fields: tuple[str, ...], after: int) -> None:
    spec = " ".join(fields)
    found = next_cron(spec, after)
    assert found == next_cron(spec, after, BERLIN)
    assert found > after
    assert found % 60_000 == 0


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "0 fields"),
        ("* * * * * *", "6 fields, not the five of cron: minute hour"),
        ("@daily", "1 fields"),
        ("61 * * * *", "bad minute"),
        ("* * * * FUN", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("9" * 5000 + " * * * *", "longer than 200"),
        ("\u0663 * * * *", "bad minute"),
    ],
)
def test_what_is_no_cron_line(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        next_cron(spec, 0)


def test_the_zone_names_its_hours() -> None:
    assert LOCAL.tzname(datetime(2026, 7, 1)) == "CEST"
    assert LOCAL.tzname(None) is None
    assert LOCAL.dst(None) is None
