"""What a store is, and the names under which stores are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from stompserver.broker.message import Message
from stompserver.broker.oplog import Op
from stompserver.errors import StoreError

STORES: Final = {
    "memory": "stompserver.stores.memory:MemoryStore",
    "lmdb": "stompserver.stores.lmdb.store:LmdbStore",
    "file": "stompserver.stores.file.store:FileStore",
    "dbm": "stompserver.stores.dbm.store:DbmStore",
    "activerecord": "stompserver.stores.sql.store:SqlStore",
}
"""Queue types and where their stores are."""


class Stored:
    """What a store knows of one queue without reading it: ``count`` messages of ``bytes`` (as Message.size
    counts them), with keys from ``lowest`` to ``highest``.
    """

    __slots__ = ("bytes", "count", "highest", "lowest", "name")

    def __init__(self, name: str, count: int, bytes: int, lowest: int, highest: int) -> None:
        self.name = name
        self.count: int = count
        self.bytes: int = bytes
        self.lowest: int = lowest
        self.highest: int = highest


class Damage:
    """A stored message that cannot be read: its ``key`` (0 where even that is unknown), the ``place`` (file, row or
    record) and the ``reason``. It stays where it is; nothing is guessed.
    """

    __slots__ = ("key", "place", "reason")

    def __init__(self, key: int, place: str, reason: str) -> None:
        self.key: int = key
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Place:
    """Where a store lives: its directory ``storage``, and ``etc``, the folder of ``database.yml``.

    ``limit`` is the most bytes the store may take, 0 for as many as the disk has.
    """

    __slots__ = ("etc", "limit", "storage")

    def __init__(self, storage: Path, etc: Path, limit: int = 0) -> None:
        self.storage = storage
        self.etc = etc
        self.limit: int = limit


class Store(Protocol):
    """Keeps messages; called from one thread at a time, so it needs no locks of its own.

    The constructor takes a Place and opens, or makes, the store there; files are 0600, directories 0700. It
    raises StoreForeign for a format it does not know, StoreDamaged where nothing can be read, StoreAway for a
    database that does not answer, StoreError for the rest. ``keeps`` is false for a store that forgets: nothing
    is logged for it. ``local`` tells that it is on this machine's disk, whose space is then watched.
    ``most`` is how many ops are good in one commit, so that receipts do not wait long; 0 for any number.
    ``swell`` is how many bytes of the disk a byte of a message may need until it is stored. ``description`` names the
    engine, for the log.

    Messages have ``key`` (order, unique in the store), ``number``, ``destination``, ``headers``, ``body``,
    ``size``, ``plain``, ``persistent``, ``exceptions`` and ``attempts``: all come back from ``read`` as they were
    put, ``attempts`` as the newest MARK said.
    """

    keeps: bool
    local: bool
    most: int
    swell: int
    description: str

    def load(self) -> list[Stored]:
        """The queues that hold messages; after it, what was put with ``persistent`` false by an earlier run is
        gone. Reads no messages where the engine can tell without. Repairs a torn tail.
        """

    def commit(self, ops: list[Op], sync: bool) -> None:
        """Do all of ``ops`` in their order, or none; with ``sync`` they survive a power cut when it returns.

        PUT adds ``op.message`` to ``op.queue`` (putting what is there already changes nothing); MARK sets
        attempts, REMOVE takes out, both by ``op.queue`` and ``op.key`` (what is not there is no error); DROP
        empties the queue. Raises StoreFull or StoreAway when it may work later, StoreError when not. What was
        put can always be removed, also when the store is full.
        """

    def sync(self) -> None:
        """Make everything committed survive a power cut."""

    def verify(self) -> None:
        """Raise StoreError when what is open does not lie any more where the next start will look for it: it was
        removed, moved or replaced. Asked after each commit, and each half second.
        """

    def spare(self) -> int:
        """How many bytes of messages fit into what the store has of the disk already, beside what it keeps for
        removals; it may tidy up for that. Asked only while the disk has little room.
        """

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """Up to ``limit`` messages of ``queue`` with keys above ``after``, in key order, until they hold ``room``
        bytes (at least one comes, however large). A message that cannot be read comes as Damage.
        """

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """All messages with their queues, each queue's in key order, without holding them all; for check and
        export. Also finds what ``load`` and ``read`` need not see (stray files, wrong counts), as Damage.
        """

    def compact(self) -> tuple[int, int]:
        """Give unused space back to the system; bytes before and after. Only while no server runs."""

    def close(self) -> None:
        """Let go of everything held. May be called again."""


class StoreKind(Protocol):
    """A class of stores."""

    keeps: bool

    def __call__(self, place: Place, /) -> Store:
        """Open, or make, the store there."""


def store_class(name: str) -> StoreKind:
    """What makes stores of that queue type. Raises StoreError when a library for it is missing."""
    module, _, attribute = STORES[name].partition(":")
    try:
        found: StoreKind = getattr(import_module(module), attribute)
    except ImportError as missing:
        raise StoreError(f"queue type {name} needs a library that is not installed: {missing}") from missing
    return found


def open_store(name: str, place: Place) -> Store:
    """The store of that queue type at ``place``. Raises StoreError and its kin."""
    return store_class(name)(place)
