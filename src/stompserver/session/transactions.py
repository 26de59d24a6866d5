"""Open transactions of one client: what COMMIT will do."""

from __future__ import annotations

from stompserver.broker.broker import Action
from stompserver.errors import ProtocolError, Refused


class Transaction:
    """The actions so far, in order; ``bytes`` is what their messages hold in memory."""

    __slots__ = ("actions", "bytes")

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.bytes: int = 0


class Transactions:
    """The open transactions of a connection by id, bounded in number, frames and bytes all together."""

    __slots__ = ("bytes", "frames", "max_bytes", "max_frames", "max_open", "open")

    def __init__(self, max_open: int, max_frames: int, max_bytes: int) -> None:
        self.open: dict[str, Transaction] = {}
        self.frames: int = 0
        self.bytes: int = 0
        self.max_open: int = max_open
        self.max_frames: int = max_frames
        self.max_bytes: int = max_bytes

    def begin(self, id: str) -> None:
        """Raises ProtocolError when ``id`` is open, Refused when too many are."""
        if id in self.open:
            raise ProtocolError(
                f"Transaction already begun {id[:80]!r}",
                where="header transaction",
                rule="STOMP, BEGIN: different transactions of a connection have different ids",
                mend="COMMIT or ABORT it first, or take another id.",
            )
        if len(self.open) >= self.max_open:
            raise Refused(
                "Too many open transactions",
                where="header transaction",
                rule=f"This server keeps {self.max_open} open for a connection (max-transactions)",
                mend="COMMIT or ABORT some, or ask the administrator to raise that option.",
            )
        self.open[id] = Transaction()

    def get(self, id: str) -> Transaction:
        """Raises ProtocolError when there is no such transaction."""
        transaction = self.open.get(id)
        if transaction is None:
            raise ProtocolError(
                f"No such transaction {id[:80]!r}",
                where="header transaction",
                rule="STOMP, BEGIN: a transaction exists from BEGIN to COMMIT or ABORT, on its connection",
                mend="Send BEGIN with this id first.",
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
                mend="COMMIT more often, or ask the administrator to raise that option.",
            )
        if self.bytes + size > self.max_bytes:
            raise Refused(
                "Transaction too large",
                where="header transaction",
                rule=f"This server keeps {self.max_bytes} bytes in open transactions of a connection"
                " (max-transaction-bytes)",
                mend="COMMIT more often, or ask the administrator to raise that option.",
            )
        transaction.actions.append(action)
        transaction.bytes += size
        self.frames += 1
        self.bytes += size

    def end(self, id: str) -> Transaction:
        """Take a transaction out to be applied or forgotten. Raises ProtocolError when there is none."""
        transaction = self.get(id)
        del self.open[id]
        self.frames -= len(transaction.actions)
        self.bytes -= transaction.bytes
        return transaction
