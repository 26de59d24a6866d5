"""Messages that stand in line in the order of their keys, whichever way they came."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stompserver.broker.message import Message

ALL: Final = 1 << 62
"""Above all keys."""


class Line:
    """``ready`` in the order they came, as long as that is the order of keys; ``returned`` (a heap) the others.

    Who takes a message from one line leaves it standing in others: only those in the right state count, and
    ``keys`` tells who stands here, so that nobody does so twice. ``upto`` is the key above which it may lack some
    that belong here, so that those there are wait for them.
    """

    __slots__ = ("keys", "ready", "returned", "upto")

    def __init__(self) -> None:
        self.ready: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self.keys: set[int] = set()
        self.upto: int = ALL

    def __len__(self) -> int:
        return len(self.ready) + len(self.returned)

    def push(self, message: Message) -> None:
        """Line up ``message`` at the place of its key, unless it still stands there."""
        key: int = message.key
        if key in self.keys:
            return
        self.keys.add(key)
        ready = self.ready
        if not ready or key > ready[-1].key:
            ready.append(message)
        else:
            heappush(self.returned, (key, message))

    def first(self, state: int) -> Message | None:
        """The first that is in ``state``, left where it is; those before it are sent away."""
        ready = self.ready
        while ready and ready[0].state != state:
            self.keys.discard(ready.popleft().key)
        returned = self.returned
        while returned and returned[0][1].state != state:
            self.keys.discard(heappop(returned)[0])
        if returned and (not ready or returned[0][0] < ready[0].key):
            return returned[0][1]
        return ready[0] if ready else None

    def shift(self) -> None:
        """Take the first message out of the line."""
        ready = self.ready
        returned = self.returned
        if returned and (not ready or returned[0][0] < ready[0].key):
            self.keys.discard(heappop(returned)[0])
        else:
            self.keys.discard(ready.popleft().key)

    def take(self) -> Message | None:
        """Take any message out of the line, whatever its state is; None when there is none."""
        message: Message | None = None
        if self.ready:
            message = self.ready.popleft()
        elif self.returned:
            message = self.returned.pop()[1]
        return message

    def all(self, state: int) -> list[Message]:
        """Those in ``state``, in the order of their keys."""
        found = [message for message in self.ready if message.state == state]
        if self.returned:
            found.extend([message for _, message in self.returned if message.state == state])
            found.sort(key=_key)
        return found

    def clear(self) -> None:
        """Take all messages out of the line."""
        self.ready.clear()
        self.returned.clear()
        self.keys.clear()


def _key(message: Message) -> int:
    return message.key
