"""Message groups: who has each, and which are remembered while nothing of them is on its way."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import RESERVED
from stompserver.broker.queues.line import Line

if TYPE_CHECKING:
    from stompserver.broker.memory import Memory, Share
    from stompserver.broker.message import Message
    from stompserver.broker.subscription import Subscription

COST: Final = 350
"""Bytes of memory that a group takes beside its name (measured: 290 to 310 with a short name)."""


class Holder:
    """The ``subscription`` that has some groups of a queue; None once it is gone. Nobody tells these groups of that,
    as there may be very many, and they keep no more than this alive.
    """

    __slots__ = ("subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self.subscription: Subscription | None = subscription


class Group:
    """A message group: its messages go to the subscription of its ``holder``, in order. ``out`` are delivered and not
    settled; ``due`` wait in the owner's own line. While its owner has such, it moves to nobody: what the owner does
    not want, and all behind that, is kept back in ``line`` (None until there is some: it takes much memory). So is
    everything while ``blocked`` messages wait for their redelivery. ``closing``: it is its owner's no more when
    nothing is due.

    ``era`` is when it got its owner: nobody tells it either that all owners were dismissed, and who asks for that
    sees whether it still holds.
    """

    __slots__ = ("blocked", "closing", "due", "era", "holder", "line", "out")

    def __init__(self) -> None:
        self.holder: Holder | None = None
        self.era: int = 0
        self.out: int = 0
        self.due: int = 0
        self.blocked: int = 0
        self.closing = False
        self.line: Line | None = None

    def keep_back(self, message: Message) -> None:
        """``message`` waits until the group may move, or its owner wants what is before it."""
        message.state = RESERVED
        if self.line is None:
            self.line = Line()
        self.line.push(message)

    def busy(self) -> bool:
        """Whether messages of it are on their way, so that it has to be remembered."""
        return self.out > 0 or self.due > 0 or self.blocked > 0

    def is_behind(self, message: Message) -> bool:
        """Whether one is kept back that goes before ``message``."""
        if self.line is None:
            return False
        first = self.line.first(RESERVED)
        return first is not None and first.key < message.key


class Grouping(metaclass=ABCMeta):
    """A queue's groups, as those of other queues know them."""

    __slots__ = ()

    @abstractmethod
    def forget_resting(self) -> None:
        """Forget the group that rests for longest, of which there is one."""


class Resting:
    """Which queues have groups that rest: nothing of them is on its way, and they are remembered so that what comes
    goes to the same consumer. ``share`` is what groups may take of the memory; when it is used up, one that rests is
    forgotten for each that comes, or two.
    """

    __slots__ = ("_queues", "share")

    def __init__(self, memory: Memory) -> None:
        self.share: Share = memory.groups
        self._queues: OrderedDict[Grouping, None] = OrderedDict()

    def add(self, queue: Grouping) -> None:
        """It has one that rests."""
        self._queues[queue] = None

    def discard(self, queue: Grouping) -> None:
        """It has none that rests, if it had."""
        self._queues.pop(queue, None)

    def make_room(self) -> None:
        """One more is to come: forget two where there are too many, so that they become fewer again after many could
        not be forgotten.
        """
        for _ in range(2):
            if not self.share.exceeded or not self._queues:
                return
            next(iter(self._queues)).forget_resting()


def weight(name: str) -> int:
    """Bytes of memory that the group ``name`` takes."""
    return COST + len(name)
