"""`stompctl move` between brokers that are scripts, and servers that are really started."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stompserver.ctl.main import main
from stompserver.ctl.move import move

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from scripted import Scripted, Wire  # noqa: E402  (found only now)


@pytest.fixture
def stompctl(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``stompctl(*words, code=)`` runs ``stompctl move`` with these words."""
    monkeypatch.delenv("STOMPCTL_FROM", raising=False)
    monkeypatch.delenv("STOMPCTL_TO", raising=False)
    main.add_command(move)

    def run(*words: str, code: int = 0, input: str | None = None) -> Result:
        ended = CliRunner().invoke(main, ["move", *words], prog_name="stompctl", input=input)
        assert ended.exit_code == code, ended.output
        return ended

    return run


@pytest.fixture
def events() -> list[str]:
    """What happened at both brokers, in order."""
    return []


@pytest.fixture
def scripted(events: list[str]) -> Iterator[Callable[[Callable[[Wire], None]], Any]]:
    """``scripted(script)`` is a broker that does what the function says, for one connection."""
    made: list[Scripted] = []

    def make(script: Callable[[Wire], None]) -> Scripted:
        made.append(Scripted(script, events))
        return made[-1]

    yield make
    for each in made:
        each.end()
