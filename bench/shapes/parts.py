"""What is measured of the shapes: each in the modes of acknowledgement in which it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.shapes.shape import MODES, recorded

SHAPES = recorded()
OWN = "own shape"
"""The SEND of the scenario `auto`, and the ACK of `individual` and `cumulative`."""
WORDS = {"auto": "", "client-individual": ", individual", "client": ", cumulative"}


@dataclass(frozen=True, slots=True)
class Part:
    """A shape, or the benchmark's own, in a mode of acknowledgement."""

    shape: str
    mode: str

    @property
    def metric(self) -> str:
        return self.shape + WORDS[self.mode]

    def own(self) -> Part:
        """What it is compared with."""
        return Part(OWN, self.mode)


def parts(names: Sequence[str] = ()) -> list[Part]:
    """All, or those of the shapes that are named; the benchmark's own is the first of each mode."""
    found = []
    for mode in MODES:
        chosen = [Part(name, mode) for name in (names or SHAPES) if mode in SHAPES[name].modes()]
        found += [Part(OWN, mode), *chosen] if chosen else []
    return found
