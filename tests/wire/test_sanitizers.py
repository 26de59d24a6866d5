"""The leaf in C under AddressSanitizer and UndefinedBehaviorSanitizer, beside its twin in Python."""

from __future__ import annotations

import importlib.machinery
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stompserver.wire import leaf as twin

HERE = Path(__file__).parent
SOURCE = Path(twin.__file__).with_name("_leaf.c")
SANITIZE = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
    "-O1",
]
SECONDS = 20.0

# Python's own memory is allocated so that each object has its place and its end; it leaves things behind on purpose.
ENVIRONMENT = {
    "PYTHONMALLOC": "malloc",
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory, compiler: Callable[[Path, Path], list[str]]) -> Run:
    """Run the script with the leaf of `source`, built with the sanitizers; with those libraries loaded first."""
    room = tmp_path_factory.mktemp("sanitized")

    def run(source: Path, seed: int, seconds: float) -> subprocess.CompletedProcess[str]:
        module = room / f"{source.stem}{importlib.machinery.EXTENSION_SUFFIXES[0]}"
        if not module.exists():
            command = [*compiler(source, module), *SANITIZE]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stderr}"
        program = compiler(source, module)[0]
        libraries = []
        for name in ("libasan.so", "libubsan.so"):
            found = subprocess.run(
                [program, f"-print-file-name={name}"], capture_output=True, text=True
            ).stdout
            libraries.append(found.strip())
        if not all(Path(library).is_absolute() for library in libraries):
            pytest.skip(f"{program} has no sanitizers: {libraries}")
        return subprocess.run(
            [sys.executable, str(HERE / "sanitized.py"), str(module), str(seed), str(seconds)],
            env={**os.environ, **ENVIRONMENT, "LD_PRELOAD": " ".join(libraries)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.long
def test_octets_that_nobody_sends(sanitized: Run) -> None:
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns() % 1_000_000_000))
    done = sanitized(SOURCE, seed, SECONDS)
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
def test_a_mistake_would_be_noticed(
    sanitized: Run, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    text = SOURCE.read_text()
    assert right in text
    source = tmp_path / f"mistake_{len(wrong)}.c"
    source.write_text(text.replace(right, wrong))
    done = sanitized(source, 1, SECONDS)
    assert done.returncode != 0
    assert said in done.stderr, done.stderr[-3000:]
