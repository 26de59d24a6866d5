"""Dead letters on their way back to the queues they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.dead.letter import ORIGIN, revived
from stompserver.broker.message import Message
from stompserver.broker.names.destination import DURABLE, QUEUE, SYSTEM
from stompserver.broker.names.pattern import is_pattern
from stompserver.errors import Refused
from stompserver.manage.move import Transfer

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue

NAMED: Final = 100
"""How many of those that stay are told by name."""


class Redrive(Transfer):
    """Moves each message to where it came from. Those stay, and are counted in ``left``, of which nobody knows that,
    or whose queue is no queue any more, or has no room; ``stayed`` has the numbers and reasons of the first of them.
    """

    __slots__ = ("_left", "stayed")

    def __init__(self, broker: Broker, queue: Queue, only: int = 0, most: int = 0) -> None:
        super().__init__(broker, queue, only, most)
        self._left: set[int] = set()
        self.stayed: list[tuple[int, str]] = []

    @property
    def left(self) -> int:
        """How many stayed."""
        return len(self._left)

    def target(self, message: Message) -> str:
        """Where it came from."""
        origin = message.headers.get(ORIGIN, "")
        reason = self._reason(origin)
        if reason:
            self._stay(message, reason)
            return ""
        return origin

    def _reason(self, origin: str) -> str:
        """Why nothing can go back to ``origin``, or ""."""
        broker = self.broker
        if not origin:
            return "says no origin"
        if origin == self.queue.name:
            return "came from here"
        if origin.startswith(DURABLE):
            # Whose subscription to a topic it was nobody knows, and the others have had it.
            return "" if origin in broker.queues else "the durable subscription is no more"
        if origin.startswith(SYSTEM) or is_pattern(origin) or broker.naming.kind(origin) != QUEUE:
            return f"{origin[:200]} is no queue"
        return ""

    def refused(self, message: Message, refusal: Refused) -> None:
        """It stays, and the others may go."""
        self._stay(message, str(refusal))

    def _stay(self, message: Message, reason: str) -> None:
        if message.number not in self._left:
            self._left.add(message.number)
            if len(self.stayed) < NAMED:
                self.stayed.append((message.number, reason))

    def copy(self, message: Message) -> Message:
        """As it was before it died."""
        clock = self.broker.clock
        twin = revived(message, clock.now, clock.moved(message.number))
        self.broker.place(twin)
        return twin
