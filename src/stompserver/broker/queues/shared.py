"""What all queues of a broker have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stompserver.broker.deadlines import Clock, Deadlines
    from stompserver.broker.memory import Memory
    from stompserver.broker.message import Message
    from stompserver.broker.names.policy import Policy
    from stompserver.broker.oplog import OpLog
    from stompserver.broker.queues.groups import Resting
    from stompserver.broker.queues.restraint import Restraint
    from stompserver.broker.queues.window import Window
    from stompserver.broker.slices import Slices
    from stompserver.broker.subscription import Delivery


class Keeper(metaclass=ABCMeta):
    """What becomes of messages that a queue cannot deliver, or not now."""

    __slots__ = ()

    @abstractmethod
    def bury(self, queue: str, policy: Policy, message: Message, reason: str, cause: str) -> None:
        """``message`` left the queue of that name, which has that policy, for good and was not consumed: see whether
        a dead letter queue takes it.
        """

    @abstractmethod
    def has_way(self, queue: str, policy: Policy, size: int) -> bool:
        """Whether a dead letter of about ``size`` bytes that the queue of that name and policy has no room for comes
        to rest somewhere.
        """

    @abstractmethod
    def tell(self, text: str) -> None:
        """Let the administrator know of something, once."""

    @abstractmethod
    def emptied(self, queue: str) -> None:
        """The queue of that name lost messages while nobody did anything with it: it may be idle now."""

    @abstractmethod
    def overdue(self, deliveries: list[Delivery]) -> None:
        """The leases of ``deliveries``, all of one subscription, ended."""


class Shared:
    """Where queues write their changes (``log``), how much memory they have together, how much of each queue is in
    memory when a store has the rest (``window``; None: all of it), the time, what is to happen when, what is done in
    slices, which message groups rest, and who gets no more of the store while memory is short (``restraint``; None:
    nobody, as all is in memory anyway).
    """

    __slots__ = ("clock", "deadlines", "keeper", "log", "memory", "resting", "restraint", "slices", "window")

    def __init__(
        self,
        log: OpLog,
        memory: Memory,
        clock: Clock,
        deadlines: Deadlines,
        slices: Slices,
        keeper: Keeper,
        resting: Resting,
        window: Window | None = None,
        restraint: Restraint | None = None,
    ) -> None:
        self.log = log
        self.memory = memory
        self.clock = clock
        self.deadlines = deadlines
        self.slices = slices
        self.keeper = keeper
        self.resting = resting
        self.window = window
        self.restraint = restraint
