"""The frames that the benchmark has of real clients are those which the clients that are installed write today."""

from __future__ import annotations

import pytest
from bench.shapes.shape import recorded
from clients import why_missing
from record import AGAIN, PROGRAMS, USES, record

pytestmark = pytest.mark.interop
SHAPES = recorded()


def test_each_use_has_its_file_and_each_file_its_use() -> None:
    assert set(SHAPES) == set(USES), AGAIN


@pytest.mark.parametrize("name", USES)
def test_the_client_writes_what_is_recorded(name: str) -> None:
    client = PROGRAMS[USES[name].program].client
    if reason := why_missing(client):
        pytest.skip(f"{name}: {reason}. Install it: {client.install}")
    today = record(name)
    before = SHAPES[name]
    # Another version of a library may write the same.
    changed = f"{before.client} was recorded, {today.client} writes something else; {AGAIN}"
    assert (dict(today.frames), today.version) == (dict(before.frames), before.version), changed
    assert today.about == before.about, AGAIN
