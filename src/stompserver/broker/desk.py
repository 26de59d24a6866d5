"""What the parts of a broker may use of it."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Clock, Deadlines
from stompserver.broker.memory import Memory
from stompserver.broker.message import NORMAL_LANE
from stompserver.broker.oplog import FOREVER
from stompserver.broker.queues.overflow import storage_full
from stompserver.broker.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from stompserver.broker.message import Message
    from stompserver.broker.names.rules import Rules
    from stompserver.broker.oplog import OpLog
    from stompserver.broker.queues.queue import Queue
    from stompserver.broker.queues.window import Window
    from stompserver.errors import Refused

    Restorer = Callable[[str, list[Message]], list[str]]
    """Takes back what a system queue, called by its name, has of an earlier run; returns what of it cannot be used,
    as text.
    """

_TOLD: Final = 1000


class Desk(metaclass=ABCMeta):
    """What all parts share, and the few verbs of the whole that they may use. A part is given this and not the
    broker; what only one part needs is an argument of its constructor.

    ``log``, ``memory``, ``window``, ``clock``, ``deadlines`` and ``slices`` (long work that is under way) are those
    of the queues, and ``queues`` has all of these by name. ``number`` is that of the newest message; ``enqueued``
    counts those that were sent. ``room`` is how many bytes of messages the store can take; the shell keeps it true.
    ``lacked`` is what the last message needed that was refused for want of it, until the shell has heard of it.
    ``work`` counts what was done, in units of about a microsecond: who has many frames to do looks at it, to do a
    part of them at a time.
    """

    __slots__ = (
        "_told",
        "clock",
        "deadlines",
        "enqueued",
        "lacked",
        "log",
        "memory",
        "notes",
        "number",
        "queues",
        "restorers",
        "room",
        "rules",
        "slices",
        "window",
        "work",
    )

    def __init__(self, rules: Rules, log: OpLog, first: int, window: Window | None) -> None:
        self.rules = rules
        self.log = log
        self.window = window
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)
        self.slices = Slices(self.deadlines)
        self.memory = Memory(rules.memory_limit)
        self.queues: dict[str, Queue] = {}
        self.number: int = first - 1
        self.enqueued: int = 0
        self.room: int = FOREVER
        self.notes: list[str] = []
        """What the administrator is to know; the shell takes it from here into the log."""
        self._told: set[str] = set()
        self.work: int = 0
        self.lacked: int = 0
        self.restorers: dict[str, Restorer] = {}
        """Who takes back what was kept, by the names of system queues; one that ends with a colon stands for all
        names that begin so. Whoever keeps something in a system queue enters itself here.
        """

    @property
    def now(self) -> int:
        """Unix time in ms, as the shell told it last."""
        return self.clock.now

    # Numbers

    def fresh(self) -> int:
        """A number for something that is kept like a message and is none."""
        self.number += 1
        return self.number

    def place(self, copy: Message) -> None:
        """Give ``copy`` a place of its own: a key that no other message has. A queue with priorities changes it."""
        self.number += 1
        copy.key = self.number | NORMAL_LANE

    def assign(self, message: Message) -> None:
        """Give a message that was sent its number and its place, and count it. A queue with priorities changes the
        place.
        """
        self.enqueued += 1
        number: int = self.number + 1
        self.number = number
        message.number = number
        message.key = number | NORMAL_LANE

    # Room

    def check_storage(self, size: int) -> None:
        """Raises Refused when the storage has no room for ``size`` bytes."""
        if size > self.room:
            raise self.no_room(size)

    def no_room(self, size: int) -> Refused:
        """The answer to who sends ``size`` bytes that the storage has no room for."""
        self.lacked = size
        return storage_full(self.room)

    # What the administrator is to know

    def tell(self, text: str) -> None:
        """Let the shell log ``text`` as a warning, the first time. Who makes up names without end is not told all."""
        if len(self._told) < _TOLD and text not in self._told:
            self._told.add(text)
            self.notes.append(text)

    # Queues and messages

    @abstractmethod
    def queue(self, name: str) -> Queue:
        """The queue of that name, made when there is none. Raises Refused when there are too many."""

    @abstractmethod
    def make(self, name: str) -> Queue:
        """A new queue of that name, however many there are."""

    @abstractmethod
    def use(self, queue: Queue) -> None:
        """``queue`` is in use (again), if it was idle."""

    @abstractmethod
    def retire(self, queue: Queue) -> None:
        """Let ``queue`` be idle, if nobody uses it."""

    @abstractmethod
    def delete(self, queue: Queue) -> None:
        """Let ``queue`` be no more, with all that waits in it. What is delivered may still be settled."""

    @abstractmethod
    def put(self, queue: Queue, copy: Message, lasting: bool = False) -> None:
        """Let ``queue`` have a copy of a message that was sent elsewhere, which is refused no more; ``lasting`` when
        it is not to expire there.
        """
