"""A look through a queue that takes nothing."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import OUT, Message
from stompserver.broker.subscription import Subscription
from stompserver.broker.window import Reader

if TYPE_CHECKING:
    from stompserver.broker.backlog import Backlog

PAGE: Final = (256, 1 << 20)
"""Messages and bytes that a browser reads from the store at a time."""

BEHIND: Final = 10_000
"""Messages that a browser which follows may fall behind; then it misses the oldest."""


class Browse(Reader):
    """What one browser sees: all that waits when it comes, the end, and with ``follow`` what comes then."""

    __slots__ = ("_cursor", "_ended", "_limit", "_queue", "_seen", "subscription")

    def __init__(self, queue: Backlog, subscription: Subscription) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self.subscription = subscription
        self._seen: deque[Message] = deque(queue.standing())
        self._cursor: int = queue.tail
        self._limit: int = queue.last if queue.paged else queue.tail
        self._ended = False

    def after(self) -> int:
        """Behind what it has seen."""
        return self._cursor

    def room(self) -> tuple[int, int]:
        """A page."""
        return PAGE

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Show a page; what became part of the window meanwhile is shown as well."""
        self.hungry = False
        matching = self._queue.matching
        for message in messages:
            if message.key <= self._limit and (matching is None or message.key not in matching.apart):
                self._seen.append(message)
        self._cursor = max(self._cursor, last)
        self.go()

    def all_read(self) -> None:
        """The store has no more."""
        self.hungry = False
        self._cursor = self._limit
        self.go()

    def come(self, message: Message) -> None:
        """A message came to the queue."""
        if self.subscription.follow:
            self._seen.append(message)
            if len(self._seen) > BEHIND:
                self._seen.popleft()
            if self._ended:
                self.go()

    def go(self) -> None:
        """Show as much as the consumer can take."""
        subscription = self.subscription
        if subscription.closed:
            self._seen.clear()
            return
        consumer = subscription.consumer
        selector = subscription.selector
        seen = self._seen
        while seen:
            if not consumer.ready:
                consumer.stalled.append(subscription)
                return
            message = seen.popleft()
            if message.state < OUT and (selector is None or selector.matches(message)):
                consumer.deliver(subscription, message)
        if self._ended:
            return
        window = self._queue.window
        if window is not None and self._cursor < self._limit and self._queue.paged:
            self.want(window)
            return
        self._ended = True
        consumer.ended(subscription)
