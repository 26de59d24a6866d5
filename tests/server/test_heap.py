from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from stompserver.server.process import heap
kept = heap.keep()

def use():
    bodies = [bytes(1 << 20) for _ in range(8)]

for _ in range(10):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    use()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

needs_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="the C library has no mallopt, so there is nothing to set",
)


def run(**environment: str) -> tuple[str, int]:
    """What `keep` said, and page faults of 50 times eight bodies of 1 MiB."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | environment, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    kept, faults = printed.split()
    return kept, int(faults)


@needs_glibc
def test_bodies_find_the_memory_of_those_before_them() -> None:
    kept, faults = run()
    assert kept == "True"
    # 102,400 pages if each body asked the system for its own.
    assert faults < 10_240


@needs_glibc
@pytest.mark.parametrize(
    "setting",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}],
)
def test_the_environment_is_not_overruled(setting: dict[str, str]) -> None:
    kept, _ = run(**setting)
    assert kept == "False"
