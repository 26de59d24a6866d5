"""The store that keeps nothing: messages live in the broker's memory and are gone at exit."""

from __future__ import annotations

from collections.abc import Iterator

from stompserver.broker.message import Message
from stompserver.broker.oplog import Op
from stompserver.stores.base import Damage, Place, Stored


class MemoryStore:
    """The null store (the original's ``memory`` queue type)."""

    keeps = False
    local = False
    most = 0
    swell = 1
    description = "memory: nothing survives a restart"

    def __init__(self, place: Place) -> None:
        del place

    def load(self) -> list[Stored]:
        """Nothing is left of an earlier run."""
        return []

    def commit(self, ops: list[Op], sync: bool) -> None:
        """Nothing is written; the broker's memory has it all."""

    def sync(self) -> None:
        """Nothing to make safe."""

    def verify(self) -> None:
        """Nothing lies anywhere."""

    def spare(self) -> int:
        """Nothing is taken from a disk."""
        return 0

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """Nothing is ever paged out."""
        return []

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """Nothing is stored."""
        return iter(())

    def compact(self) -> tuple[int, int]:
        """Nothing takes space."""
        return 0, 0

    def close(self) -> None:
        """Nothing is held."""
