"""Runs a stompserver and notes how long the turns of its loop take: `watched.py FILE OPTIONS...`.

It runs under the interpreter whose stompserver it is, so it imports nothing of this package. FILE is mapped by who
started it: three floats of 8 octets, the longest turn in seconds, the CPU time of the loop's thread in it,
and the number of turns. Writing zeros there begins anew. A turn is what happens between two looks at the sockets, so
asyncio's own loop is wanted (`--loop asyncio`).
"""

from __future__ import annotations

import mmap
import runpy
import selectors
import struct
import sys
import time

FORM = struct.Struct("ddd")

clock = time.perf_counter
cpu = time.thread_time


class Watched(selectors.DefaultSelector):
    """Times from the end of one `select` to the beginning of the next."""

    figures: mmap.mmap

    def __init__(self) -> None:
        super().__init__()
        self._wall = self._cpu = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        now = clock()
        if self._wall:
            longest, in_it, turns = FORM.unpack_from(self.figures)
            took = now - self._wall
            if took > longest:
                longest, in_it = took, cpu() - self._cpu
            FORM.pack_into(self.figures, 0, longest, in_it, turns + 1)
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        self._wall = clock()
        self._cpu = cpu()
        return found


if __name__ == "__main__":
    with open(sys.argv[1], "r+b") as file:
        Watched.figures = mmap.mmap(file.fileno(), FORM.size)
    # Before asyncio is imported, which asks for it by this name.
    selectors.DefaultSelector = Watched  # type: ignore[misc]  # a class, to mypy
    sys.argv = ["stompserver", *sys.argv[2:]]
    runpy.run_module("stompserver", run_name="__main__", alter_sys=True)
