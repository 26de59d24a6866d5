"""Dead letters on their way back to the queues they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker.deadletter import ORIGIN, revived
from stompserver.broker.deadlines import Timed
from stompserver.broker.destination import DURABLE, QUEUE
from stompserver.broker.message import WAITING, Message
from stompserver.broker.window import Reader
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queue import Queue

STEP: Final = 500
"""Messages in one go; other work comes between."""

BYTES: Final = 4 << 20
"""Bytes of a page from the store."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Asker:
    """Who asked for a redrive."""

    __slots__ = ()

    def redriven(self, moved: int, left: int, problem: str) -> None:
        """Hear that it is done: so many went back, so many could not because nobody knows where they came from or
        their queue is no more; ``problem`` is what ended it before its time, or "".
        """
        raise AssertionError("who asks is told")


class Redrive(Reader):
    """Moves what waited in ``queue`` when it began: all, or the message with number ``only``, at most ``most``
    (0: any number). Each is in one queue or in the other, whatever happens.
    """

    __slots__ = (
        "_asker",
        "_at",
        "_broker",
        "_cursor",
        "_done",
        "_left",
        "_limit",
        "_line",
        "_more",
        "_most",
        "_moved",
        "_only",
        "_queue",
        "_stayed",
    )

    def __init__(self, broker: Broker, queue: Queue, only: int, most: int, asker: Asker) -> None:
        super().__init__(queue.name)
        self._broker = broker
        self._queue = queue
        self._only: int = only
        self._most: int = most
        self._asker = asker
        self._limit: int = broker.number
        """What failed again meanwhile has a higher number."""
        self._cursor: int = 0
        self._moved: int = 0
        self._left: int = 0
        self._line: list[Message] = []
        self._at: int = 0
        """Those in memory, and how many of them were looked at."""
        self._stayed: set[int] = set()
        """Those that could not go, of what is in memory."""
        self._more = False
        """Whether the store had some that the window took meanwhile."""
        self._done = False

    def start(self) -> None:
        """Begin."""
        self._look()
        self.step()

    def _look(self) -> None:
        self._at = 0
        self._line = [message for message in self._queue.standing() if message.number not in self._stayed]

    def step(self) -> None:
        """Move some of those in memory, then what is in the store."""
        line = self._line
        end: int = min(self._at + STEP, len(line))
        while self._at < end and not self._done:
            message = line[self._at]
            self._at += 1
            if message.state == WAITING and message.number <= self._limit:
                self._move(message, False)
        if self._done:
            return
        if self._at < len(line):
            self._broker.deadlines.add(_Step(self._broker.now + 1, self))
            return
        self._line = []
        if self._queue.paged and self._broker.window is not None:
            self._cursor = max(self._cursor, self._queue.tail)
            self.want(self._broker.window)
        else:
            self._end("")

    def after(self) -> int:
        """Behind what it has seen, and what the window has."""
        return max(self._cursor, self._queue.tail)

    def room(self) -> tuple[int, int]:
        """A page."""
        return STEP, BYTES

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Move a page of what is in the store."""
        self.hungry = False
        queue = self._queue
        late: int = self.late
        for message in messages:
            if message.key >= late or self._done:
                break
            if message.key <= queue.tail:
                self._more = True
            elif message.number <= self._limit and (
                queue.matching is None or message.key not in queue.matching.apart
            ):
                self._move(message, True)
        self._cursor = max(self._cursor, min(last, late - 1))
        if self._done:
            return
        if queue.paged and self._cursor < queue.last and self._broker.window is not None:
            self.want(self._broker.window)
        else:
            self.all_read()

    def all_read(self) -> None:
        """The store has no more; the window may have some of it now."""
        self.hungry = False
        if self._more:
            self._more = False
            self._look()
            self._broker.deadlines.add(_Step(self._broker.now + 1, self))
        elif not self._done:
            self._end("")

    def _move(self, message: Message, paged: bool) -> None:
        if self._only and message.number != self._only:
            if not paged:
                self._stayed.add(message.number)
            return
        broker = self._broker
        origin = message.headers.get(ORIGIN, "")
        if (
            not origin
            or origin == self._queue.name
            or (origin.startswith(DURABLE) and origin not in broker.queues)
        ):
            self._left += 1
            self._stayed.add(message.number)
            return
        alone = broker.log.begin()
        try:
            if broker.naming.kind(origin) != QUEUE:
                # Whose subscription it was nobody knows, and the others have had it.
                self._left += 1
                self._stayed.add(message.number)
                return
            broker.check_storage(message.size)
            target = broker.queue(origin)
            twin = revived(message)
            broker.place(twin)
            if paged:
                self._queue.lose_paged(message, "dropped")
            else:
                self._queue.lose(message, "dropped")
            broker.put(target, twin)
            self._moved += 1
        except Refused as problem:
            self._end(str(problem))
        finally:
            if alone:
                broker.log.end()
        if self._only or 0 < self._most <= self._moved:
            self._end("")

    def _end(self, problem: str) -> None:
        if not self._done:
            self._done = True
            self._broker.rest(self._queue)
            self._asker.redriven(self._moved, self._left, problem)


class _Step(Timed):
    __slots__ = ("_redrive",)

    def __init__(self, when: int, redrive: Redrive) -> None:
        super().__init__(when)
        self._redrive = redrive

    def due(self, now: int) -> None:
        self._redrive.step()
