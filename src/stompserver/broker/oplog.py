"""The numbered changes that must survive, gathered until a store commits them."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message

PUT: Final = 1
MARK: Final = 2
REMOVE: Final = 3
CREATE: Final = 4
DROP: Final = 5

FOREVER: Final = 1 << 61
"""A watermark that every number is below."""


class Op:
    """One change: ``kind`` (PUT, MARK, REMOVE, CREATE, DROP) to ``queue``.

    PUT carries the message; MARK and REMOVE its ``key``, MARK also ``attempts``. ``live`` turns false when
    a later op of the same batch made this one pointless.
    """

    __slots__ = ("attempts", "key", "kind", "live", "message", "queue")

    def __init__(
        self, kind: int, queue: str, key: int, message: Message | None = None, attempts: int = 0
    ) -> None:
        self.kind: int = kind
        self.queue = queue
        self.key: int = key
        self.message = message
        self.attempts: int = attempts
        self.live = True


class OpLog:
    """Ops in the order of their numbers, and the watermark up to which they are durable.

    With ``recording`` false (the memory store: nothing survives) ops are only numbered, and everything is as
    durable as it will ever be at once.
    """

    __slots__ = ("_ops", "_puts", "durable", "number", "recording")

    def __init__(self, recording: bool = False) -> None:
        self.recording = recording
        self.number: int = 0
        self.durable: int = 0 if recording else FOREVER
        self._ops: list[Op] = []
        self._puts: dict[int, Op] = {}

    def put(self, queue: str, message: Message, paged: bool = False) -> int:
        """Log that ``message`` is in ``queue``; return the op's number.

        A message that asked not to be kept is logged only when ``paged``, because then nothing else has it.
        """
        self.number += 1
        if self.recording and (message.persistent or paged):
            message.stored = True
            op = Op(PUT, queue, message.key, message)
            self._ops.append(op)
            self._puts[message.key] = op
        return self.number

    def mark(self, queue: str, message: Message) -> int:
        """Log that a delivery of ``message`` came back: its attempts."""
        self.number += 1
        # A PUT of the same batch carries the message, and with it the attempts as they are at the commit.
        if message.stored and message.key not in self._puts:
            self._ops.append(Op(MARK, queue, message.key, None, message.attempts))
        return self.number

    def remove(self, queue: str, message: Message) -> int:
        """Log that ``message`` left ``queue``; a PUT in the same batch is cancelled instead."""
        self.number += 1
        if message.stored:
            put = self._puts.pop(message.key, None)
            if put is not None:
                put.live = False
                put.message = None
            else:
                self._ops.append(Op(REMOVE, queue, message.key))
        return self.number

    def create(self, queue: str) -> int:
        """Log that ``queue`` exists."""
        self.number += 1
        if self.recording:
            self._ops.append(Op(CREATE, queue, 0))
        return self.number

    def drop(self, queue: str) -> int:
        """Log that ``queue`` and all in it are gone."""
        self.number += 1
        if self.recording:
            self._ops.append(Op(DROP, queue, 0))
        return self.number

    def drain(self) -> tuple[int, list[Op]]:
        """The number of the newest op, and the live ops since the last call, in order."""
        ops = [op for op in self._ops if op.live]
        self._ops = []
        self._puts = {}
        return self.number, ops
