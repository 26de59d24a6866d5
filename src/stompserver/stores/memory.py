"""The store that keeps nothing: messages live in the broker's memory and are gone at exit."""

from __future__ import annotations

from stompserver.broker.message import Message
from stompserver.broker.oplog import Op


class MemoryStore:
    """The null store (the original's ``memory`` queue type)."""

    keeps = False

    def load(self) -> list[tuple[str, int, int, int]]:
        """Nothing is left of an earlier run."""
        return []

    def commit(self, ops: list[Op]) -> None:
        """Nothing is written; the broker's memory has it all."""

    def read(self, queue: str, after: int, limit: int) -> list[Message]:
        """Nothing is ever paged out."""
        return []

    def close(self) -> None:
        """Nothing is held."""
