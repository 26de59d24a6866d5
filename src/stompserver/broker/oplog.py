"""The numbered changes that must survive, gathered until a store commits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import Message

if TYPE_CHECKING:
    from stompserver.broker.subscription import Consumer

PUT: Final = 1
MARK: Final = 2
REMOVE: Final = 3
DROP: Final = 4

FOREVER: Final = 1 << 61
"""A watermark that every number is below."""


class Op:
    """One change: ``kind`` (PUT, MARK, REMOVE, DROP) to ``queue``.

    PUT carries the message; MARK and REMOVE its ``key``; MARK ``attempts``; PUT and REMOVE its ``size`` in
    bytes. ``number`` is its place in the log. ``paged`` says that nothing but the log has the message.
    ``group`` is not 0 for the ops of a transaction: they are durable together or not at all. ``live`` turns
    false when a later op of the same batch made this one pointless.
    """

    __slots__ = ("attempts", "group", "key", "kind", "live", "message", "number", "paged", "queue", "size")

    def __init__(
        self,
        kind: int,
        queue: str,
        key: int,
        message: Message | None,
        size: int = 0,
        attempts: int = 0,
        group: int = 0,
        number: int = 0,
    ) -> None:
        self.kind: int = kind
        self.queue = queue
        self.key: int = key
        self.message = message
        self.size: int = size
        self.attempts: int = attempts
        self.group: int = group
        self.number: int = number
        self.paged = False
        self.live = True


class OpLog:
    """Ops in the order of their numbers, and the watermark up to which they are durable.

    With ``recording`` false (the memory store: nothing survives) ops are only numbered, and everything is as
    durable as it will ever be at once. ``bytes`` is what messages hold that no commit has made durable yet;
    ``debtors`` are the consumers that owe their clients a word when the watermark moves.
    """

    __slots__ = ("_group", "_ops", "_puts", "bytes", "debtors", "durable", "number", "recording")

    def __init__(self, recording: bool = False) -> None:
        self.recording = recording
        self.number: int = 0
        self.durable: int = 0 if recording else FOREVER
        self.bytes: int = 0
        self.debtors: list[Consumer] = []
        self._group: int = 0
        self._ops: list[Op] = []
        self._puts: dict[int, Op] = {}

    def put(self, queue: str, message: Message, paged: bool = False) -> int:
        """Log that ``message`` is in ``queue``; return the op's number.

        A message that asked not to be kept is logged only when ``paged``, because then nothing else has it.
        """
        self.number += 1
        if self.recording and (message.persistent or paged):
            message.stored = True
            self.bytes += message.size
            op = Op(PUT, queue, message.key, message, message.size, 0, self._group, self.number)
            op.paged = paged
            self._ops.append(op)
            self._puts[message.key] = op
        return self.number

    def mark(self, queue: str, message: Message) -> int:
        """Log that a delivery of ``message`` came back: its attempts."""
        self.number += 1
        # A PUT of the same batch carries the message, and with it the attempts as they are at the commit.
        if message.stored and message.key not in self._puts:
            self._ops.append(
                Op(MARK, queue, message.key, None, 0, message.attempts, self._group, self.number)
            )
        return self.number

    def remove(self, queue: str, message: Message) -> int:
        """Log that ``message`` left ``queue``; a PUT in the same batch is cancelled instead."""
        self.number += 1
        if message.stored:
            put = self._puts.pop(message.key, None)
            if put is not None:
                put.live = False
                put.message = None
                self.bytes -= put.size
            else:
                self._ops.append(
                    Op(REMOVE, queue, message.key, None, message.size, 0, self._group, self.number)
                )
        return self.number

    def drop(self, queue: str) -> int:
        """Log that all in ``queue`` is gone."""
        self.number += 1
        if self.recording:
            self._ops.append(Op(DROP, queue, 0, None, 0, 0, self._group, self.number))
        return self.number

    def begin(self) -> bool:
        """What is logged until ``end`` is one transaction; false when it is part of one that is open already."""
        if self._group:
            return False
        self._group = self.number + 1
        return True

    def end(self) -> None:
        """The transaction is complete."""
        self._group = 0

    def drain(self, most: int = 0) -> tuple[int, list[Op]]:
        """The number up to which all was drained, and the live ops since the last call, in order.

        Not more than ``most`` of them (0: all), but for a transaction, which is never cut.
        """
        ops = [op for op in self._ops if op.live]
        if not 0 < most < len(ops):
            self._ops = []
            self._puts = {}
            return self.number, ops
        cut: int = most
        while cut < len(ops) and ops[cut].group and ops[cut].group == ops[cut - 1].group:
            cut += 1
        self._ops = ops[cut:]
        for op in ops[:cut]:
            if op.kind == PUT:
                del self._puts[op.key]
        return self._ops[0].number - 1 if self._ops else self.number, ops[:cut]

    def undrained(self) -> list[Op]:
        """The live ops that the last ``drain`` left."""
        return [op for op in self._ops if op.live] if self._ops else []

    def committed(self, number: int, bytes: int) -> None:
        """Ops up to ``number`` are durable; their PUTs held ``bytes``."""
        self.durable = number
        self.bytes -= bytes
        debtors = self.debtors
        self.debtors = []
        for debtor in debtors:
            debtor.durable(number)
