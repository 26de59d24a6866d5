"""A way through all that waits in a queue, in slices: what is in memory, then what is in the store."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections import deque
from heapq import heappop
from itertools import islice
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import OUT, RESERVED, WAITING, Message
from stompserver.broker.queues.line import Line
from stompserver.broker.queues.window import Reader
from stompserver.broker.slices import BUDGET
from stompserver.manage.jobs import Job

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue

BYTES: Final = 4 << 20
"""Bytes of a page from the store; such a page is one slice."""


class Walk(Job):
    """Comes by each message that waits in ``queue`` when it begins, in the order of the keys; those whose group has a
    consumer come after the others that are in memory.

    The queue goes on meanwhile. What somebody took before the walk came to it is passed over, and so is what came
    later, or was delivered at the beginning and came back. What the window reads from the store during the walk is
    looked for there. One walk at a time has to do with what a queue has in the store, so that nothing leaves it
    twice.
    """

    __slots__ = ("_at", "_bound", "_groups", "_heap", "_held", "_inside", "_pages", "limit", "queue")

    def __init__(self, broker: Broker, queue: Queue) -> None:
        super().__init__(broker)
        self.queue = queue
        self.limit: int = broker.number
        """Messages with a higher number came later."""
        self._at: int = 0
        """The key it came to, in memory and then in the store."""
        self._inside: int = 0
        """Where the window ended when all in memory was seen: what it has above that came from the store later."""
        self._bound: int = -1
        """The highest key in the store at that time; -1 until then."""
        # A copy of a heap is a heap; it costs some 25 ns a message that came back or went past others.
        self._heap: list[tuple[int, Message]] = queue.returned[:]
        self._groups: list[Line] | None = None
        """Lines of groups that are to be seen; None until all others in memory are."""
        self._held: deque[Message] = deque()
        """What stands in one of them."""
        self._pages: _Pages | None = None
        """What reads the store, while that is to be read: it has the walk, so who is over lets it go."""

    @abstractmethod
    def visit(self, message: Message, paged: bool) -> None:
        """Do with ``message`` what is to be done; with ``paged`` only the store has it. May ``end`` the walk."""

    def step(self, budget: int) -> bool:
        """Visit some of those in memory, or have a page read from the store."""
        if self.queue.deleted:
            self.finish()
        if self._pages is not None and self._pages.asking:
            return False
        return self._visit_some(budget)

    def _visit_some(self, budget: int) -> bool:
        while budget > 0 and self._groups is None and not self.over:
            budget = self._walk_line(budget)
        while budget > 0 and (self._groups or self._held) and not self.over:
            budget = self._walk_groups(budget)
        self.queue.tidy(2 * BUDGET)
        if self.over:
            return False
        if self._groups is None or self._groups or self._held:
            return True
        return self._read()

    def _walk_line(self, budget: int) -> int:
        """Visit up to ``budget`` of those that anybody may have; what is left of it."""
        queue = self.queue
        heap = self._heap
        line = _following(queue.ready, self._at, budget)
        seen: int = 0
        while budget > 0 and not self.over:
            if heap and (seen == len(line) or heap[0][0] < line[seen].key):
                message = heappop(heap)[1]
            elif seen < len(line):
                message = line[seen]
                seen += 1
            else:
                matching = queue.matching
                self._groups = []
                if matching is not None:
                    self._groups = matching.kept()
                break
            budget -= 1
            self._at = max(self._at, message.key)
            if message.state == WAITING and message.number <= self.limit:
                self.visit(message, False)
        return budget

    def _walk_groups(self, budget: int) -> int:
        held = self._held
        if not held and self._groups:
            held.extend(self._groups.pop().all(RESERVED))
            budget -= 1
        while held and budget > 0 and not self.over:
            message = held.popleft()
            budget -= 1
            if message.state < OUT and message.number <= self.limit:
                self.visit(message, False)
        return budget

    # The store

    def _read(self) -> bool:
        """All in memory is seen: have the next page read, or end; true when the window has more to be seen."""
        queue = self.queue
        window = self.broker.window
        if self._bound < 0:
            self._bound = queue.last if queue.paged else 0
            self._inside = queue.tail
        if window is not None and queue.paged and max(self._at, queue.tail) < self._bound:
            if queue.walker is not None and queue.walker is not self._pages:
                # Another goes through the store.
                return True
            if self._pages is None:
                self._pages = _Pages(self)
            queue.walker = self._pages
            self._pages.want(window)
            return False
        if self._inside < min(queue.tail, self._bound):
            self._at = self._inside
            self._inside = queue.tail
            self._heap = [each for each in queue.returned if each[0] > self._at]
            self._heap.sort()
            self._groups = None
            return True
        self.finish()
        return False

    def after(self) -> int:
        """Behind what it and the window have seen."""
        return max(self._at, self.queue.tail)

    def load(self, messages: list[Message], last: int, late: int) -> None:
        """A page of what is in the store, true up to the key ``late``."""
        queue = self.queue
        if queue.deleted:
            self.finish()
        for message in messages:
            if message.key >= late or self.over:
                break
            if message.number <= self.limit and message.key > queue.tail and not queue.is_apart(message.key):
                self.visit(message, True)
        if not self.over:
            self._at = max(self._at, min(last, late - 1))
            if self._read():
                self.later()

    def all_read(self) -> None:
        """The store has no more."""
        if not self.over:
            self._at = max(self._at, self._bound)
            if self._read():
                self.later()

    def stop(self) -> None:
        """Stop before the end."""
        super().stop()
        self._leave()

    def finish(self, problem: str = "") -> None:
        """Be over; ``problem`` is why before its time."""
        if not self.over:
            self._leave()
            self.end(problem)

    def _leave(self) -> None:
        queue = self.queue
        if self._pages is not None and queue.walker is self._pages:
            queue.walker = None
        self._pages = None
        self._heap = []
        self._held.clear()
        self.broker.retire(queue)


class _Pages(Reader):
    """What a walk reads from the store."""

    __slots__ = ("_walk",)

    def __init__(self, walk: Walk) -> None:
        super().__init__(walk.queue.name)
        self._walk = walk

    def after(self) -> int:
        return self._walk.after()

    def room(self) -> tuple[int, int]:
        return BUDGET, BYTES

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        self.asking = False
        self._walk.load(messages, last, self.late)

    def all_read(self) -> None:
        self.asking = False
        self._walk.all_read()


def _following(ready: deque[Message], key: int, most: int) -> list[Message]:
    """Up to ``most`` messages above ``key``, which are in the order of their keys.

    To turn a deque of a million and back costs less than a ms; to walk to its middle costs 10, because that touches
    each message.
    """
    at = bisect_right(ready, key, key=_key)
    ready.rotate(-at)
    found = list(islice(ready, min(most, len(ready) - at)))
    ready.rotate(at)
    return found


def _key(message: Message) -> int:
    return message.key
