"""What an attack is, and what is measured while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.hostile.stage import Stage

MIB = 1 << 20
LONGEST = 0.050
"""Seconds that a turn of the loop may take through anything that one connection sends."""
P99 = 0.020
"""Seconds below which the 99th percentile of the canary's messages is to be."""
ROOM = 64 * MIB
"""Memory that the whole process may take above memory-limit."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`run(stage)` prepares what it needs, calls `stage.begin()`, attacks, and says in some words what came of it."""

    name: str
    about: str
    run: Callable[[Stage], str]
    options: tuple[str, ...] = ()
    policies: str = ""
    """Of the server's configuration file."""
    limit: int = 0
    """The server's memory-limit in bytes where memory is what is attacked; 0: turns are."""
    auth: bool = False
    """Whether everybody needs a login."""
    held: bool = False
    """Whether it is held up by the system, so that turns say nothing: the outcome counts alone."""
    seconds: float = 30.0
    """After that it is cut, and what it waits for counts as never answered."""


@dataclass(slots=True)
class Figures:
    """What one attack did to one server. Times in seconds, memory in bytes."""

    outcome: str
    turn: float = 0.0
    turn_cpu: float = 0.0
    longest: float = 0.0
    p99: float = 0.0
    never: bool = False
    """The canary's last message did not come back at all."""
    missed: str = ""
    """What the attack itself found that must not be: `locked`, a producer is not served though what it would wait for
    is nobody's to consume; `late`, a right login took too long; `cut`, clients that had done nothing wrong.
    """
    before: int = 0
    peak: int = 0
    after: int = 0
    died: bool = False

    def over(self, attack: Attack) -> str:
        """What is over the goal, in a word or two; empty when nothing is. With a question mark where the loop's
        thread did not work for so long: something else had the core.
        """
        if self.died:
            return "the server ended"
        if attack.limit:
            words = ["memory"] if self.peak > attack.limit + ROOM else []
            return ", ".join([*words, self.missed] if self.missed else words)
        if self.never:
            return "never"
        found = [self.missed] if self.missed else []
        if attack.held:
            return self.missed
        if self.turn > LONGEST:
            found.append("turn" if self.turn_cpu > LONGEST else "turn?")
        if self.p99 > P99:
            found.append("p99")
        return ", ".join(found)
