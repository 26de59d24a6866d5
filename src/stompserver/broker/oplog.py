"""The changes that must survive, each with its position, gathered until a store commits them."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker.message import Message

if TYPE_CHECKING:
    from types import TracebackType

PUT: Final = 1
MARK: Final = 2
REMOVE: Final = 3
DROP: Final = 4

FOREVER: Final = (1 << 62) - 1
"""A watermark that every position is below."""


@mypyc_attr(acyclic=True)
class Op:
    """One change: ``kind`` (PUT, MARK, REMOVE, DROP) to ``queue``.

    PUT carries the message; MARK and REMOVE its ``key``; MARK ``attempts``; PUT and REMOVE its ``size`` in
    bytes. ``position`` is its place in the log. ``paged`` says that nothing but the log has the message.
    ``group`` is not 0 for the ops of a transaction: they are durable together or not at all. ``live`` turns
    false when a later op of the same batch made this one pointless.
    """

    __slots__ = ("attempts", "group", "key", "kind", "live", "message", "paged", "position", "queue", "size")

    def __init__(
        self,
        kind: int,
        queue: str,
        key: int,
        message: Message | None,
        size: int = 0,
        attempts: int = 0,
        group: int = 0,
        position: int = 0,
    ) -> None:
        self.kind: int = kind
        self.queue = queue
        self.key: int = key
        self.message = message
        self.size: int = size
        self.attempts: int = attempts
        self.group: int = group
        self.position: int = position
        self.paged = False
        self.live = True


def weigh(ops: list[Op]) -> tuple[int, int]:
    """Bytes of the messages that ``ops`` put, and of those that nothing but the log has (bench: fill)."""
    put: int = 0
    paged: int = 0
    for op in ops:
        if op.kind == PUT:
            put += op.size
        if op.paged:
            paged += op.size
    return put, paged


@mypyc_attr(allow_interpreted_subclasses=True)
class Debtor(metaclass=ABCMeta):
    """Who has something to say when what was logged is durable: a RECEIPT, or an answer."""

    __slots__ = ()

    @abstractmethod
    def durable(self, position: int) -> None:
        """Hear that ops up to ``position`` are durable, once for each time that it is in ``OpLog.debtors``."""


class Group:
    """The context in which all that is logged is one transaction: durable together or not at all.

    A log has one, which may be entered again while it is open: ``depth`` counts how often, and the outermost ends it.
    """

    __slots__ = ("_log", "depth")

    def __init__(self, log: OpLog) -> None:
        self._log = log
        self.depth: int = 0

    def __enter__(self) -> None:
        if self.depth == 0:
            self._log._group = self._log.position + 1
        self.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.depth -= 1
        if self.depth == 0:
            self._log._group = 0


class OpLog:
    """Ops in the order of their positions, and the watermark up to which they are durable.

    With ``recording`` false (the memory store: nothing survives) ops are only counted, and all of
    them count as durable at once. ``bytes`` is what messages hold that no commit has made durable yet;
    ``debtors`` are told when the watermark moves next.
    """

    __slots__ = (
        "_before",
        "_context",
        "_group",
        "_moved",
        "_ops",
        "_puts",
        "bytes",
        "debtors",
        "durable",
        "position",
        "recording",
    )

    def __init__(self, recording: bool = False) -> None:
        self.recording = recording
        self.position: int = 0
        self.durable: int = 0 if recording else FOREVER
        self.bytes: int = 0
        self.debtors: list[Debtor] = []
        self._group: int = 0
        self._context = Group(self)
        self._moved: dict[int, int] = {}
        """By undrained transaction: the lowest position of a PUT from before it that it cancelled. Such a PUT is
        durable with the transaction and not earlier, since nothing else may have its message.
        """
        self._ops: list[Op] = []
        self._before: list[Op] | None = None
        """While a transaction goes on for more than a turn: the ops from before it, which alone may be drained."""
        self._puts: dict[int, Op] = {}

    def put(self, queue: str, message: Message, paged: bool = False) -> int:
        """Log that ``message`` is in ``queue``; return the op's position.

        A message that asked not to be kept is logged only when ``paged``, because then nothing else has it.
        """
        self.position += 1
        if self.recording and (message.persistent or paged):
            message.stored = True
            self.bytes += message.size
            op = Op(PUT, queue, message.key, message, message.size, 0, self._group, self.position)
            op.paged = paged
            self._ops.append(op)
            self._puts[message.key] = op
        return self.position

    def mark(self, queue: str, message: Message) -> int:
        """Log that a delivery of ``message`` came back: its attempts."""
        self.position += 1
        # A PUT of the same batch carries the message, and with it the attempts as they are at the commit.
        if message.stored and message.key not in self._puts:
            self._ops.append(
                Op(MARK, queue, message.key, None, 0, message.attempts, self._group, self.position)
            )
        return self.position

    def remove(self, queue: str, message: Message) -> int:
        """Log that ``message`` left ``queue``; a PUT in the same batch is cancelled instead."""
        self.position += 1
        if message.stored:
            put = self._puts.pop(message.key, None)
            if put is not None:
                put.live = False
                put.message = None
                if self._group and put.group != self._group:
                    self._move(put)
                self.bytes -= put.size
            else:
                self._ops.append(
                    Op(REMOVE, queue, message.key, None, message.size, 0, self._group, self.position)
                )
        return self.position

    def drop(self, queue: str) -> int:
        """Log that all in ``queue`` is gone."""
        self.position += 1
        if self.recording:
            self._ops.append(Op(DROP, queue, 0, None, 0, 0, self._group, self.position))
        return self.position

    def transaction(self) -> Group:
        """The context of a transaction; one inside another is part of it.

        An error that leaves the outermost ends it, too; what was logged until then stays logged.
        """
        return self._context

    @property
    def held(self) -> bool:
        """Whether a transaction goes on for more than a turn."""
        return self._before is not None

    def hold(self) -> None:
        """Begin a transaction that goes on for more than a turn. All that is logged until ``release``, by whomever,
        is part of it, so that nothing that follows from it is durable without it. There may be one at a time.
        """
        self._context.__enter__()
        self._before = self._ops
        self._ops = []

    def release(self) -> None:
        """End the transaction that ``hold`` began."""
        before = self._before
        if before is not None:
            self._before = None
            self._ops = before + self._ops
            self._context.__exit__(None, None, None)

    def drain(self, most: int = 0) -> tuple[int, list[Op]]:
        """The position up to which all was drained, and the live ops since the last call, in order.

        Not more than ``most`` of them (0: all), but for a transaction, which is never cut; nothing of one that goes
        on.
        """
        before = self._before
        ops = [op for op in (self._ops if before is None else before) if op.live]
        if before is None and not 0 < most < len(ops):
            self._ops = []
            self._puts = {}
            self._moved = {}
            return self.position, ops
        cut: int = most if 0 < most < len(ops) else len(ops)
        while cut < len(ops) and ops[cut].group and ops[cut].group == ops[cut - 1].group:
            cut += 1
        if before is None:
            self._ops = ops[cut:]
        else:
            self._before = ops[cut:]
        for op in ops[:cut]:
            if op.kind == PUT:
                del self._puts[op.key]
        return self._drained(), ops[:cut]

    def _move(self, put: Op) -> None:
        """The open transaction has cancelled ``put``, and what that stood for."""
        moved = self._moved
        lowest: int = min(put.position, moved.get(self._group, put.position))
        if put.group in moved:
            lowest = min(lowest, moved.pop(put.group))
        moved[self._group] = lowest

    def _drained(self) -> int:
        """The position below which nothing is left that a commit has to make durable."""
        before = self._before
        if before is None and not self._ops:
            self._moved = {}
            return self.position
        # A transaction that goes on is there with its first op, even when that was cancelled.
        position: int = self._group - 1 if before is not None else self._ops[0].position - 1
        if before:
            position = before[0].position - 1
        if self._moved:
            left = {op.group for op in (self._ops if before is None else before)}
            if before is not None:
                left.add(self._group)
            self._moved = {group: lowest for group, lowest in self._moved.items() if group in left}
            for lowest in self._moved.values():
                position = min(position, lowest - 1)
        return position

    def undrained(self) -> list[Op]:
        """The live ops that the last ``drain`` left."""
        ops = self._ops if self._before is None else self._before + self._ops
        return [op for op in ops if op.live] if ops else []

    def committed(self, position: int, bytes: int) -> None:
        """Ops up to ``position`` are durable; their PUTs held ``bytes``."""
        self.durable = position
        self.bytes -= bytes
        debtors = self.debtors
        self.debtors = []
        for debtor in debtors:
            debtor.durable(position)
