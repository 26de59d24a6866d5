"""Python's garbage collector, which looks for objects that hold each other and nobody else does."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SELDOM: Final = (5_000, 10, 0)
"""Objects made until the collector looks at those made since; how often it does so until it looks at what was left of
them, too; how often that until it looks at all. With 0 this is often, so that little is new: some 60,000 objects.
"""

MANY: Final = 50_000
"""Objects after a look at all, from which they are never looked at again: to look at as many takes some ms, for which
all clients wait.
"""


@contextmanager
def relieved() -> Iterator[None]:
    """For the while, no look of the collector takes long, however much there is (bench: fill; bench/hostile).

    Queues and messages are there by the million and none is garbage. By itself the collector would look at all of
    them again whenever there is a quarter more, 0.1 s for 100,000 queues, and find nothing. What it has looked at
    and left is taken out of its sight here. It is freed all the same when the last reference goes. Only what is in a
    cycle when it ends stays for ever, so nothing that comes and goes may be (``tests/server/test_cycles.py``).

    Python 3.14 looks at parts of the old at a time by itself: there nothing is taken out after the beginning.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    gc.callbacks.append(_looked)
    try:
        yield
    finally:
        # What is out of sight stays there: at the end of the process Python would look at all of it again.
        gc.callbacks.remove(_looked)
        gc.set_threshold(*before)


def _looked(phase: str, about: dict[str, int]) -> None:
    """The collector begins, or is done."""
    if phase == "stop" and about["generation"] == 2 and len(gc.get_objects(generation=2)) > MANY:
        gc.freeze()
