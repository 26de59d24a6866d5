"""A server with permissions, on memory and on lmdb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guarded import Guarded


@pytest.fixture(params=["memory", "lmdb"])
def guard(
    request: pytest.FixtureRequest, start_server: Any, tmp_path: Path
) -> Iterator[Callable[..., Guarded]]:
    """``guard(configuration, *logins)`` starts one for a test."""
    made: list[Guarded] = []

    def build(configuration: str, *logins: str, options: tuple[str, ...] = ()) -> Guarded:
        made.append(Guarded(start_server, request.param, tmp_path, configuration, logins, *options))
        return made[-1]

    yield build
    for each in made:
        each.close()
