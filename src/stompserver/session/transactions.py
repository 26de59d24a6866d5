"""Open transactions of one client: what COMMIT will do."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import Action
from stompserver.broker.memory import Share
from stompserver.errors import ProtocolError, Refused

OPEN: Final = 400
"""Bytes of memory that an open transaction takes beside its id and what is in it (measured: 330 to 380)."""

PART: Final = 200
"""Bytes of memory that an action takes beside its message (measured: 140 to 190)."""


class Transaction:
    """The actions so far, in order. ``begun`` is when it was opened (s, any clock), put off by as long as its client
    was not read; ``bytes`` is what its messages hold, and ``taken`` all that it takes of the memory.
    """

    __slots__ = ("actions", "begun", "bytes", "taken")

    def __init__(self, begun: float, taken: int) -> None:
        self.actions: list[Action] = []
        self.begun: float = begun
        self.bytes: int = 0
        self.taken: int = taken


class Transactions:
    """The open transactions of a connection by id, bounded in number, frames and bytes all together. ``share`` is
    what those of all connections may take of the memory.
    """

    __slots__ = ("_share", "bytes", "frames", "max_bytes", "max_frames", "max_open", "open")

    def __init__(self, share: Share, max_open: int, max_frames: int, max_bytes: int) -> None:
        self._share = share
        self.open: dict[str, Transaction] = {}
        self.frames: int = 0
        self.bytes: int = 0
        self.max_open: int = max_open
        self.max_frames: int = max_frames
        self.max_bytes: int = max_bytes

    def begin(self, id: str, now: float) -> None:
        """Open transaction ``id`` at ``now`` (s). Raises ProtocolError when it is open already, Refused when too many
        are, or take too much.
        """
        if id in self.open:
            raise ProtocolError(
                f"Transaction already begun {id[:80]!r}",
                where="header transaction",
                rule="STOMP, BEGIN: different transactions of a connection have different ids",
                fix="COMMIT or ABORT it first, or take another id.",
            )
        if len(self.open) >= self.max_open:
            raise Refused(
                "Too many open transactions",
                where="header transaction",
                rule=f"This server keeps {self.max_open} open for a connection (max-transactions)",
                fix="COMMIT or ABORT some, or ask the administrator to raise that option.",
            )
        taken = OPEN + len(id)
        self._take(taken)
        self.open[id] = Transaction(now, taken)

    def get(self, id: str) -> Transaction:
        """The open transaction ``id``. Raises ProtocolError when there is none."""
        transaction = self.open.get(id)
        if transaction is None:
            raise ProtocolError(
                f"No such transaction {id[:80]!r}",
                where="header transaction",
                rule="STOMP, BEGIN: a transaction exists from BEGIN to COMMIT or ABORT, on its connection",
                fix="Send BEGIN with this id first.",
            )
        return transaction

    def add(self, transaction: Transaction, action: Action, size: int) -> None:
        """Add an action whose message holds ``size`` bytes. Raises Refused when that is too much."""
        if self.frames >= self.max_frames:
            raise Refused(
                "Transaction too long",
                where="header transaction",
                rule=f"This server keeps {self.max_frames} frames in open transactions of a connection"
                " (max-transaction-frames)",
                fix="COMMIT more often, or ask the administrator to raise that option.",
            )
        if self.bytes + size > self.max_bytes:
            raise Refused(
                "Transaction too large",
                where="header transaction",
                rule=f"This server keeps {self.max_bytes} bytes in open transactions of a connection"
                " (max-transaction-bytes)",
                fix="COMMIT more often, or ask the administrator to raise that option.",
            )
        self._take(PART + size)
        transaction.actions.append(action)
        transaction.bytes += size
        transaction.taken += PART + size
        self.frames += 1
        self.bytes += size

    def _take(self, size: int) -> None:
        if not self._share.fits(size):
            raise Refused(
                "Open transactions take too much memory",
                where="header transaction",
                rule=f"This server keeps {self._share.most} bytes in the open transactions of all connections"
                " (a quarter of memory-limit)",
                fix="COMMIT more often, send again later, or ask the administrator to raise that option.",
            )
        self._share.take(size)

    def end(self, id: str) -> Transaction:
        """Take a transaction out to be applied or forgotten. Raises ProtocolError when there is none."""
        transaction = self.get(id)
        del self.open[id]
        self.frames -= len(transaction.actions)
        self.bytes -= transaction.bytes
        self._share.give(transaction.taken)
        return transaction

    def clear(self) -> None:
        """Forget all of them."""
        for transaction in self.open.values():
            self._share.give(transaction.taken)
        self.open.clear()
        self.frames = 0
        self.bytes = 0

    def put_off(self, seconds: float) -> None:
        """The client was not read for so long, so that it could not end any."""
        for transaction in self.open.values():
            transaction.begun += seconds

    def oldest(self) -> tuple[str, float] | None:
        """The id of the one that is open for longest, and since when; None when none is open."""
        for id, transaction in self.open.items():
            return id, transaction.begun
        return None
