"""A server that can be killed, and programs that end with their test. Lets the tests here import what they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from programs import Program  # noqa: E402  (found only now)

from broker import Broker  # noqa: E402  (found only now)


@pytest.fixture
def start_broker(start_server: Any) -> Callable[..., Broker]:
    """`start_broker(*options)` starts a server on lmdb that can be killed and comes back."""
    return lambda *options: Broker(start_server, options)


@pytest.fixture
def start_program() -> Iterator[Callable[..., Program]]:
    """`start_program(command, **variables)` starts one; what still runs after the test is killed."""
    started: list[Program] = []

    def start(*command: object, **variables: object) -> Program:
        program = Program([str(word) for word in command], {k: str(v) for k, v in variables.items()})
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()
