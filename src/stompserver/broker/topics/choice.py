"""Which topics somebody wants what was kept of, where there may be very many to compare."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.pattern import Pattern
from stompserver.broker.subscription import Consumer

_LEVELS: Final = 8
"""Levels of a name that are compared in one unit of work."""


class Choice:
    """The topics ``names``, and those that fit one of ``patterns`` and that ``consumer`` may hear."""

    __slots__ = ("consumer", "names", "patterns")

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.names: list[str] = []
        self.patterns: list[Pattern] = []

    def add(self, name: str, pattern: Pattern | None) -> None:
        """Have the topic ``name`` too, or what fits it as a ``pattern``."""
        if pattern is None:
            self.names.append(name)
        else:
            self.patterns.append(pattern)

    def has(self, name: str) -> bool:
        """Whether what was kept of the topic ``name`` is wanted."""
        if name in self.names:
            return True
        for pattern in self.patterns:
            if pattern.matches(name):
                return self.consumer.may_consume(name)
        return False

    def effort(self, name: str) -> int:
        """What that counts for, in units of work (``Desk.work``)."""
        return effort_of(name) * len(self.patterns) + 1


def effort_of(name: str) -> int:
    """What it counts for to compare ``name`` with one pattern, in units of work."""
    return 2 + (name.count(".") + name.count("/")) // _LEVELS
