"""The leaf in C under AddressSanitizer and UndefinedBehaviorSanitizer, beside its twin in Python."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.leaves import sanitized, source_of

from stompserver.wire import leaf as twin

HERE = Path(__file__).parent
SOURCE = source_of(twin)
SECONDS = 20.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """``run(source, seed, seconds)``: the script with the leaf of that source, see ``sanitized``."""
    return partial(_run, tmp_path_factory.mktemp("sanitized"))


def _run(room: Path, source: Path, seed: int, seconds: float) -> subprocess.CompletedProcess[str]:
    return sanitized(HERE / "sanitized.py", source, room, seed, seconds)


@pytest.mark.long
def test_octets_that_nobody_sends(run: Run) -> None:
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns() % 1_000_000_000))
    done = run(SOURCE, seed, SECONDS)
    assert done.returncode == 0, f"seed {seed}:\n{done.stdout[-2000:]}\n{done.stderr[-5000:]}"
    assert int(done.stdout) > 10_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        # Reads behind the end of an object; asks for what a table does not have.
        ("(size_t)(size - 1 - from)", "(size_t)(size + 99 - from)", "AddressSanitizer"),
        ("kind = KIND[octet];", "kind = KIND[octet > 127 ? octet + 200 : octet];", "out of bounds"),
    ],
)
def test_a_mistake_would_be_noticed(run: Run, tmp_path: Path, right: str, wrong: str, said: str) -> None:
    text = SOURCE.read_text()
    assert right in text
    source = tmp_path / f"mistake_{len(wrong)}.c"
    source.write_text(text.replace(right, wrong))
    done = run(source, 1, SECONDS)
    assert done.returncode != 0
    assert said in done.stderr, done.stderr[-3000:]
