"""What the readers of databases give: keys with their values, and what could not be read."""

from __future__ import annotations

from mmap import mmap
from typing import Final, TypeAlias

Octets: TypeAlias = "bytes | mmap"

MOST_DAMAGES: Final = 100
"""Damaged records reported one by one; the rest of a broken file is only counted."""


class Pairs:
    """``values`` by key, the first of a key counts; ``damages`` are one line each."""

    __slots__ = ("damages", "more", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.damages: list[str] = []
        self.more: int = 0
        """Damages beyond those that are told."""

    def add(self, key: bytes, value: bytes) -> None:
        """Take a pair."""
        self.values.setdefault(key, value)

    def damage(self, text: str) -> None:
        """Note something that could not be read."""
        if len(self.damages) < MOST_DAMAGES:
            self.damages.append(text)
        else:
            self.more += 1
