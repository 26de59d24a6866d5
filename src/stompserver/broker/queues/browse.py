"""A look through a queue that takes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import NUMBER, OUT, RESERVED, WAITING, Message
from stompserver.broker.oplog import FOREVER
from stompserver.broker.queues.window import Reader
from stompserver.broker.subscription import Subscription

if TYPE_CHECKING:
    from collections import deque

    from stompserver.broker.queues.backlog import Backlog

PAGE: Final = (256, 256 << 10)
"""Messages and bytes that a browser reads from the store at a time: about what an outbox takes."""

STRIDE: Final = 64
"""Messages of each line in memory that it looks at in one go."""

# What comes after what.
_MEMORY: Final = 0
_STORE: Final = 1
_REST: Final = 2
_END: Final = 3


class Browse(Reader):
    """What one browser sees: all that waits when it comes, the end, and with ``follow`` what comes then, as long as
    it waits.

    It holds no message, only how far it has seen: what its client does not read stays the queue's alone. So a browser
    that follows misses what is taken before its client reads on.

    It goes through the queue in rounds, by keys up to ``_place``: first what is in memory up to the window's tail,
    then what the store has, up to the key ``_limit``, with what is in memory of it, then the rest in memory. A round
    shows the messages with numbers above ``_floor`` and up to ``_ceiling``. Who follows sees what comes as it comes;
    when it cannot, because a round is under way or its client does not read, ``_missed`` is the number of the newest
    of these, and one more round shows them.
    """

    __slots__ = (
        "_ceiling",
        "_ended",
        "_floor",
        "_limit",
        "_missed",
        "_phase",
        "_place",
        "_queue",
        "_stalled",
        "subscription",
    )

    def __init__(self, queue: Backlog, subscription: Subscription, newest: int) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self.subscription = subscription
        self._phase: int = _END
        self._place: int = 0
        self._limit: int = 0
        self._floor: int = 0
        self._ceiling: int = 0
        self._missed: int = newest
        self._ended = False
        """Whether its client knows that it has seen all that waited when it came."""
        self._stalled = False
        """Whether its consumer knows that it missed its turn."""
        self._begin()

    def _begin(self) -> None:
        """Begin a round for all that came since the last."""
        queue = self._queue
        self._floor = self._ceiling
        self._ceiling = self._missed
        self._limit = max(queue.tail, queue.last) if queue.paged else queue.tail
        self._place = 0
        self._phase = _MEMORY

    def after(self) -> int:
        """The key up to which it has seen the store."""
        return self._place

    def room(self) -> tuple[int, int]:
        """Messages and bytes of a page."""
        return PAGE

    def passed_by(self, key: int) -> None:
        """A message with that key went to the store, where it is to be looked for, or left it."""
        if key > self._place:
            super().passed_by(key)
            if self._phase == _REST:
                self._phase = _STORE

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Show a page, as far as the consumer can take it; the rest is read again then. What is in memory by now is
        shown as it is there.
        """
        self.asking = False
        queue = self._queue
        if self.subscription.closed:
            return
        end: int = min(last, self.late - 1)
        found = [message for message in messages if message.key <= end and queue.has_paged(message.key)]
        place: int = self._place
        standing = _standing(queue, place, end)
        while standing:
            found.extend(standing)
            place = standing[-1].key
            standing = _standing(queue, place, end)
        found.sort(key=_key)
        for message in found:
            if self._floor < message.key & NUMBER <= self._ceiling and not self._offer(message):
                return
            self._place = message.key
        self._place = max(self._place, end)
        self.go()

    def all_read(self) -> None:
        """The store has no more."""
        self.asking = False
        self._phase = _REST
        self.go()

    def come(self, message: Message) -> None:
        """A message came to the queue, and has no place there yet."""
        if not self.subscription.wish.follow:
            return
        number: int = message.key & NUMBER
        if self._phase == _END and not self._stalled and self._ready():
            self._ceiling = self._missed = number
            self._show(message)
        else:
            self._missed = number

    def go(self) -> None:
        """Show as much as the consumer can take."""
        self._stalled = False
        if self.subscription.closed or self.asking:
            return
        while self._phase != _END or self._missed > self._ceiling:
            if self._phase == _END:
                self._begin()
            if not self._go_on():
                return

    def _go_on(self) -> bool:
        """Go on with the round; whether that is its end."""
        queue = self._queue
        if self._phase == _MEMORY:
            if not self._walk(queue.tail):
                return False
            self._place = max(self._place, queue.tail)
            self._phase = _STORE
        if self._phase == _STORE:
            if not self._ready():
                return False
            self._skip()
            window = queue.window
            if window is not None and self._place < self._limit and queue.paged:
                self.want(window)
                return False
            self._phase = _REST
        if not self._walk(FOREVER) or not self._ready():
            return False
        self._phase = _END
        if not self._ended:
            self._ended = True
            self.subscription.consumer.ended(self.subscription)
        return True

    def _walk(self, end: int) -> bool:
        """Show what is in memory and has keys up to ``end``; false when the consumer cannot take all of it."""
        while True:
            self._skip()
            page = _standing(self._queue, self._place, end)
            if not page:
                return True
            for message in page:
                meant = self._floor < message.key & NUMBER <= self._ceiling
                if meant and not self._offer(message):
                    return False
                self._place = message.key
                if not meant:
                    break

    def _skip(self) -> None:
        """Pass over what is not meant by this round, in the lane that it is in."""
        number: int = self._place & NUMBER
        if number < self._floor:
            self._place += self._floor - number
        elif number >= self._ceiling:
            self._place |= NUMBER

    def _offer(self, message: Message) -> bool:
        """Show ``message``, if it still waits; false when the consumer cannot take it."""
        if message.state >= OUT or (message.expires and self._queue.lapsed(message)):
            return True
        if not self._ready():
            return False
        self._show(message)
        return True

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
        if selector is None or selector.matches(message):
            subscription.consumer.deliver(subscription, message)


def _standing(queue: Backlog, after: int, end: int) -> list[Message]:
    """The first messages that wait in memory, with keys above ``after`` and up to ``end``, in their order; none only
    when there are none.
    """
    found: list[Message] = []
    # Up to where all lines were looked through.
    end = _gather(found, queue.ready, queue.returned, after, end, WAITING)
    lines = queue.kept_back()
    for line in lines:
        end = _gather(found, line.ready, line.returned, after, end, RESERVED)
    if lines or queue.returned:
        found = [message for message in found if message.key <= end]
        found.sort(key=_key)
    return found


def _gather(
    found: list[Message],
    ready: deque[Message],
    returned: list[tuple[int, Message]],
    after: int,
    end: int,
    state: int,
) -> int:
    """Append to ``found`` what stands in one line in that ``state``, with keys above ``after`` and up to ``end``;
    return up to which key that is all.
    """
    length: int = len(ready)
    at: int = 0
    above: int = length
    while at < above:
        middle = (at + above) // 2
        if ready[middle].key <= after:
            at = middle + 1
        else:
            above = middle
    room: int = STRIDE
    while at < length:
        message = ready[at]
        if message.key > end:
            break
        if message.state == state:
            found.append(message)
            room -= 1
            if not room:
                end = message.key
                break
        at += 1
    if returned:
        found.extend([message for key, message in returned if after < key <= end and message.state == state])
    return end


def _key(message: Message) -> int:
    return message.key
