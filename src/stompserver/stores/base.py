"""What a store is, and the names under which stores are chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol

from stompserver.broker.message import Message
from stompserver.broker.oplog import Op

STORES: Final = {"memory": "stompserver.stores.memory:MemoryStore"}
"""Queue types and where their stores are."""


class Store(Protocol):
    """Keeps messages; called from one thread, so it needs no locks.

    ``keeps`` is false for a store that forgets: nothing is logged for it.
    """

    keeps: bool

    def load(self) -> list[tuple[str, int, int, int]]:
        """Per queue: name, messages, lowest key, highest key. Raises StoreError when it cannot be told."""

    def commit(self, ops: list[Op]) -> None:
        """Make all of ``ops`` durable, or none; done when it returns. Raises StoreError."""

    def read(self, queue: str, after: int, limit: int) -> list[Message]:
        """Up to ``limit`` messages of ``queue`` with keys above ``after``, in key order. Raises StoreError."""

    def close(self) -> None:
        """Let go of everything held."""


def open_store(name: str) -> Store:
    """The store of that queue type."""
    module, _, attribute = STORES[name].partition(":")
    store: Store = getattr(import_module(module), attribute)()
    return store
