"""A look through a queue that takes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import LANES, NUMBER, OUT, Message
from stompserver.broker.queues.window import Reader
from stompserver.broker.subscription import Subscription

if TYPE_CHECKING:
    from stompserver.broker.queues.backlog import Backlog

PAGE: Final = (256, 256 << 10)
"""Messages and bytes that a browser reads from the store at a time: about what an outbox takes."""

STRIDE: Final = 64
"""Messages in memory that it looks at in one go."""

_LANES: Final = [lane << 57 for lane in range(LANES)]

# What comes after what.
_MEMORY: Final = 0
_STORE: Final = 1
_APART: Final = 2
_END: Final = 3


class Browse(Reader):
    """What one browser sees: all that waits when it comes, the end, and with ``follow`` what comes then, as long as
    it waits.

    It holds no message, only how far it has seen: what its client does not read stays the queue's alone. So a browser
    that follows misses what is taken, or goes to the store, before its client reads on.

    First it sees what is in memory, by keys up to ``_place``, then what the store has above the window's tail, by
    keys up to ``_cursor``, then what somebody took out of the store and gave back; all with keys up to ``_limit``.
    ``_newest`` is the number up to which it has seen what came later.
    """

    __slots__ = (
        "_cursor",
        "_limit",
        "_newest",
        "_phase",
        "_place",
        "_queue",
        "_stalled",
        "_start",
        "subscription",
    )

    def __init__(self, queue: Backlog, subscription: Subscription, newest: int) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self.subscription = subscription
        self._phase: int = _MEMORY
        self._place: int = -1
        self._cursor: int = -1
        self._limit: int = max(queue.tail, queue.last) if queue.paged else queue.tail
        self._start: int = newest
        self._newest: int = newest
        self._stalled = False
        """Whether its consumer knows that it missed its turn."""

    def after(self) -> int:
        """The key up to which it has seen the store."""
        return self._cursor

    def room(self) -> tuple[int, int]:
        """Messages and bytes of a page."""
        return PAGE

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Show a page, as far as the consumer can take it; the rest is read again then. What became part of the
        window meanwhile is shown as well.
        """
        self.asking = False
        if self.subscription.closed:
            return
        for message in messages:
            if message.key <= self._limit and not self._queue.is_apart(message.key):
                if not self._ready():
                    return
                self._show(message)
            self._cursor = message.key
        self._cursor = max(self._cursor, last)
        self.go()

    def all_read(self) -> None:
        """The store has no more."""
        self.asking = False
        self._cursor = self._limit
        self.go()

    def come(self, message: Message) -> None:
        """A message came to the queue, and has no place there yet."""
        if self._phase == _END and self.subscription.wish.follow and not self._stalled and self._ready():
            self._newest = message.key & NUMBER
            self._show(message)

    def go(self) -> None:
        """Show as much as the consumer can take."""
        self._stalled = False
        queue = self._queue
        if self.subscription.closed:
            return
        if self._phase == _MEMORY:
            end = min(queue.tail, self._limit)
            if not self._walk(end):
                return
            self._cursor = max(end, self._place)
            self._phase = _STORE
        if self._phase == _STORE:
            if not self._ready():
                return
            window = queue.window
            if window is not None and self._cursor < self._limit and queue.paged:
                self.want(window)
                return
            self._place = self._cursor = max(self._cursor, queue.tail)
            self._phase = _APART
        if self._phase == _APART:
            if queue.apart is not None and not self._walk(self._limit):
                return
            if not self._ready():
                return
            self._phase = _END
            self.subscription.consumer.ended(self.subscription)
        if self.subscription.wish.follow:
            self._catch_up()

    def _walk(self, end: int) -> bool:
        """Show what is in memory and has keys up to ``end``; false when the consumer cannot take all of it."""
        while True:
            page = _standing(self._queue, self._place, end)
            for message in page:
                if not self._ready():
                    return False
                if message.key & NUMBER <= self._start:
                    self._show(message)
                self._place = message.key
            if len(page) < STRIDE:
                return True

    def _catch_up(self) -> None:
        """Show what came since the consumer could take no more, and still waits in memory."""
        while True:
            page: list[Message] = []
            for lane in _LANES:
                page.extend(_standing(self._queue, lane | self._newest, lane | NUMBER))
            page.sort(key=_number)
            for message in page[:STRIDE]:
                if not self._ready():
                    return
                self._newest = message.key & NUMBER
                self._show(message)
            if len(page) < STRIDE:
                return

    def _ready(self) -> bool:
        """Whether the consumer can take more; it is told once when not."""
        consumer = self.subscription.consumer
        if consumer.ready:
            return True
        if not self._stalled:
            self._stalled = True
            consumer.stalled.append(self.subscription)
        return False

    def _show(self, message: Message) -> None:
        subscription = self.subscription
        selector = subscription.selector
        if message.state < OUT and (selector is None or selector.matches(message)):
            subscription.consumer.deliver(subscription, message)


def _standing(queue: Backlog, after: int, end: int) -> list[Message]:
    """Up to STRIDE messages that wait in memory, with keys above ``after`` and up to ``end``, in their order."""
    ready = queue.ready
    length: int = len(ready)
    at: int = 0
    above: int = length
    while at < above:
        middle = (at + above) // 2
        if ready[middle].key <= after:
            at = middle + 1
        else:
            above = middle
    found: list[Message] = []
    while at < length and len(found) < STRIDE:
        message = ready[at]
        if message.key > end:
            break
        if message.state < OUT:
            found.append(message)
        at += 1
    if queue.returned:
        found.extend(
            [message for key, message in queue.returned if after < key <= end and message.state < OUT]
        )
        found.sort(key=_key)
        del found[STRIDE:]
    return found


def _key(message: Message) -> int:
    return message.key


def _number(message: Message) -> int:
    return message.key & NUMBER
