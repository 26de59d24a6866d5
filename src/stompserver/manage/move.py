"""Messages that go from one queue to another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from stompserver.broker.dead.letter import forget_hops
from stompserver.broker.message import NUMBER, Message
from stompserver.broker.queues.overflow import BLOCK, over, refusal, refused, storage_full
from stompserver.broker.selectors.selector import Selector
from stompserver.errors import Refused
from stompserver.manage.walk import Walk

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue


class Transfer(Walk):
    """Moves what waits in ``queue`` when it begins: all, or the message with number ``only``, at most ``most`` (0:
    any number). Each is in one queue or in the other, whatever happens; ``moved`` counts those that went. The first
    that finds no room in its queue, or in the storage, ends it, with a ``problem``.
    """

    __slots__ = ("_most", "_only", "moved")

    def __init__(self, broker: Broker, queue: Queue, only: int, most: int) -> None:
        super().__init__(broker, queue)
        self.moved: int = 0
        self._only: int = only
        self._most: int = most

    @abstractmethod
    def target(self, message: Message) -> str:
        """The name of the queue that ``message`` goes to; "" when it stays."""

    @abstractmethod
    def copy(self, message: Message) -> Message:
        """The message as it will be there, with a place of its own."""

    def check_room(self, target: Queue, message: Message) -> None:
        """Raises Refused when ``target`` has no room for ``message``: nobody waits here as a sender would."""
        if target.policy.overflow == BLOCK and over(target, message.size):
            raise refusal(target.name, target.policy)
        problem = refused(target, message.size)
        if problem is not None:
            raise problem

    def refused(self, message: Message, refusal: Refused) -> None:
        """``message`` has no place there: end, and say why."""
        self.finish(str(refusal))

    def visit(self, message: Message, paged: bool) -> None:
        """Move it, if it is one of those that are meant."""
        if self._only and message.number != self._only:
            return
        broker = self.broker
        target: Queue | None = None
        try:
            name = self.target(message)
            if name:
                target = broker.queue(name)
                self.check_room(target, message)
        except Refused as refusal:
            if target is not None:
                # It may have been made for this message.
                broker.retire(target)
                target = None
            self.refused(message, refusal)
        if target is not None:
            if message.size > broker.room:
                self.finish(str(storage_full(broker.room)))
                return
            with broker.log.transaction():
                twin = self.copy(message)
                if paged:
                    self.queue.lose_paged(message, "dropped")
                else:
                    self.queue.lose(message, "dropped")
                broker.put(target, twin)
                self.moved += 1
        if self._only or 0 < self._most <= self.moved:
            self.finish("")


class Move(Transfer):
    """Moves to the queue ``target``: what ``selector`` matches, in the order in which it waited, behind what waits
    there. Each is a message of that queue then, with a number of its own; when it expires stays the same, and its
    attempts are counted anew.
    """

    __slots__ = ("_selector", "_target")

    def __init__(
        self, broker: Broker, queue: Queue, target: str, selector: Selector | None, only: int, most: int
    ) -> None:
        super().__init__(broker, queue, only, most)
        self._target = target
        self._selector = selector

    def target(self, message: Message) -> str:
        """The queue that messages are moved to; empty for one that the selector does not match."""
        if self._selector is not None and not self._selector.matches(message):
            return ""
        return self._target

    def copy(self, message: Message) -> Message:
        """The same message, as if it was sent there."""
        twin = message.copy()
        twin.address(self._target)
        twin.failed = 0
        forget_hops(twin)
        self.broker.place(twin)
        # Copies of one message of a topic may meet there, and must be told apart.
        twin.number = twin.key & NUMBER
        # By its new number nobody knows how the clock was set before.
        twin.expires = self.broker.clock.expiry(message)
        return twin
