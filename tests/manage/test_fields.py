"""The list of what is told of things, and those who show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stompserver.ctl import live
from stompserver.manage import fields

PAGE = Path(__file__).parents[2] / "docs/reference/management.md"

LISTS = {
    "the server": fields.BROKER,
    "a queue": fields.QUEUE,
    "a durable subscription": fields.DURABLE,
    "a message for later": fields.SCHEDULED,
}


@pytest.mark.parametrize(
    "name", ["QUEUE", "DURABLE", "SCHEDULED", "TOPIC", "SUBSCRIPTION", "CONNECTION", "BROKER"]
)
def test_each_has_a_name_of_its_own_and_a_meaning(name: str) -> None:
    found = getattr(fields, name)
    assert len({field.name for field in found}) == len(found)
    assert all(field.meaning for field in found)


@pytest.mark.parametrize("thing", LISTS)
def test_the_page_has_what_frames_answer(thing: str) -> None:
    _, _, table = PAGE.read_text().partition(f"What is told of {thing}:\n\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", table.partition("\n\n")[0], re.M)
    assert rows == [(field.name, field.unit, field.meaning) for field in fields.framed(LISTS[thing])]


@pytest.mark.parametrize(
    ("columns", "thing"),
    [
        (live.QUEUES, "a queue"),
        (live.DURABLES, "a durable subscription"),
        (live.SCHEDULED, "a message for later"),
    ],
)
def test_stompctl_shows_what_frames_answer(columns: dict[str, int], thing: str) -> None:
    assert columns.keys() <= {field.name for field in fields.framed(LISTS[thing])}
