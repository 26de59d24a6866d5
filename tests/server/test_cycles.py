"""Connections that came and went over a real loop leave nothing for the garbage collector, so that what it takes out
of its sight goes all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "visitors.py"
LOOPS = ("asyncio", "uvloop")


def visitors(
    loop: str, store: str, what: str, rounds: int, seconds: float = 120, tls: str = ""
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), loop, store, what, str(rounds), tls],
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("loop", "store"),
    [
        ("asyncio", "memory"),
        ("uvloop", "lmdb"),
        pytest.param("asyncio", "lmdb", marks=pytest.mark.long),
        pytest.param("uvloop", "memory", marks=pytest.mark.long),
    ],
)
def test_the_collector_finds_nothing_of_them(loop: str, store: str) -> None:
    assert visitors(loop, store, "left", 1) == {"left": {}}


@pytest.mark.parametrize("loop", LOOPS)
def test_the_collector_finds_nothing_of_those_with_tls(loop: str) -> None:
    assert visitors(loop, "memory", "left", 1, tls="tls") == {"left": {}}


@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.long)])
def test_they_go_although_the_collector_does_not_see_them(loop: str) -> None:
    found = visitors(loop, "memory", "kept", 2)
    assert found["frozen"] > 10 * found["visits"] / 2
    # One object of each would be too much. Some of the process's own come and go: asyncio keeps a hundred timers
    # that were cancelled.
    assert found["grown"] < found["visits"] - 20


@pytest.mark.long
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("store", ["memory", "lmdb"])
def test_thousands_do_not_make_the_process_grow(loop: str, store: str) -> None:
    found = visitors(loop, store, "kept", 50, 900)
    assert found["visits"] > 5000
    assert found["grown"] < 500
    assert found["KiB"] < 2048
