"""Classes of the compiled core that interpreted code derives from, as the garbage collector sees them.

In a process of its own: what goes wrong here ends the interpreter, or a later program in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stompserver

ROOT = Path(stompserver.__file__).parent
OPEN = sorted(
    ".".join([*source.relative_to(ROOT.parent).with_suffix("").parts, found[1]])
    for source in ROOT.rglob("*.py")
    for found in re.finditer(
        r"^@mypyc_attr\(allow_interpreted_subclasses=True\)\nclass (\w+)", source.read_text(), re.MULTILINE
    )
)

# Alone and in a cycle, each with a weak reference that must stay usable; some times, to reuse what was freed.
PROGRAM = """
import gc, sys, weakref
from importlib import import_module

module, name = sys.argv[1].rsplit(".", 1)
base = getattr(import_module(module), name)
abstract = getattr(base, "__abstractmethods__", ())
derived = type(base)("Derived", (base,), {"__init__": lambda self: None, **{method: None for method in abstract}})
for number in range(6):
    one = derived()
    one.itself = one if number % 2 else None
    seen = weakref.ref(one)
    holders = [seen, {"weak": seen}, (seen,)]
    del one
    gc.collect()
    assert seen() is None
    gc.collect()
    del seen, holders
    gc.collect()
print("collected")
"""


def test_there_are_open_classes() -> None:
    assert "stompserver.broker.subscription.Consumer" in OPEN


@pytest.mark.parametrize("name", OPEN)
def test_a_weak_reference_outlives_its_object(name: str) -> None:
    """A compiled class that inherits from ABC would free the reference as well: it takes a metaclass instead."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PROGRAM, name], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "collected\n"), done.stderr
