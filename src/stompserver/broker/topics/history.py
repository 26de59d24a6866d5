"""What was sent to a topic, as far as its policy says, for those who subscribe later."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from stompserver.broker.deadlines import Clock
from stompserver.broker.memory import Memory
from stompserver.broker.message import Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.names.policy import Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.slices import BUDGET, Sliced

HISTORY: Final = SYSTEM + "history:"
"""What the system queue of a topic's history begins with."""

OFFSET: Final = "x-stream-offset"
"""The header that tells a message's place in the history, from 0 on, as RabbitMQ's streams have it."""

_TIME: Final = "time"
_SLACK: Final = 1000


class History:
    """Messages of one topic in the order they were sent, the oldest at ``start`` of ``messages``.

    All are in memory and count there; the log has them too. The newest is never forgotten by the log, because the
    offsets go on from it.
    """

    __slots__ = (
        "born",
        "bytes",
        "clock",
        "log",
        "memory",
        "messages",
        "offset",
        "policy",
        "queue",
        "start",
        "topic",
    )

    def __init__(self, topic: str, log: OpLog, memory: Memory, clock: Clock, policy: Policy) -> None:
        self.topic = topic
        self.born: int = 0
        """The number of the newest message there was when it began in this run."""
        self.queue: str = HISTORY + topic
        self.log = log
        self.memory = memory
        self.clock = clock
        self.policy = policy
        self.messages: list[Message] = []
        self.start: int = 0
        self.offset: int = 0
        """Of the next message."""
        self.bytes: int = 0

    def __len__(self) -> int:
        return len(self.messages) - self.start

    def prepare(self, message: Message, now: int) -> Message:
        """Give ``message`` its offset; return the copy to be remembered, which needs a key of its own.

        ``now`` in Unix ms.
        """
        message.headers = {**message.headers, OFFSET: str(self.offset)}
        self.offset += 1
        twin = message.copy()
        twin.persistent = True
        extras = twin.extras
        if extras is None:
            extras = twin.extras = {}
        extras[_TIME] = str(now)
        return twin

    def add(self, twin: Message) -> None:
        """Remember what ``prepare`` made; there may be too much then."""
        self._admit(twin)
        self.log.put(self.queue, twin)

    def _admit(self, message: Message) -> None:
        self.messages.append(message)
        self.bytes += message.size
        self.memory.histories.take(message.size)

    def trim(self, now: int, budget: int) -> int:
        """Forget what is too much, or too old at ``now``, but never the newest, and no more than ``budget`` messages;
        return how many more there could have been.
        """
        policy = self.policy
        most: int = policy.history_messages
        room: int = policy.history_bytes
        while budget > 0 and len(self.messages) - self.start > 1:
            oldest = self.messages[self.start]
            if not (
                0 < most < len(self.messages) - self.start
                or 0 < room < self.bytes
                or self._too_old(oldest, now)
            ):
                break
            self.forget_oldest()
            budget -= 1
        return budget

    def _too_old(self, message: Message, now: int) -> bool:
        age: int = self.policy.history_age
        return age > 0 and time_of(message) + self.clock.moved(message.number) + age <= now

    def forget_oldest(self) -> int:
        """Make room; return how many bytes it made."""
        oldest = self.messages[self.start]
        self.start += 1
        self.bytes -= oldest.size
        self.memory.histories.give(oldest.size)
        self.log.remove(self.queue, oldest)
        if self.start > _SLACK and self.start * 2 > len(self.messages):
            del self.messages[: self.start]
            self.start = 0
        return oldest.size

    def clear(self) -> Sliced | None:
        """Forget everything; what there is to be done for that still, when that is much."""
        messages = self.messages
        much = len(self) > BUDGET
        if much:
            self.memory.histories.give(self.bytes)
            self.log.drop(self.queue)
            self.bytes = 0
            self.messages = []
        else:
            while len(messages) > self.start:
                self.forget_oldest()
            messages.clear()
        self.start = 0
        return _Release(messages) if much else None

    def restore(self, messages: list[Message]) -> None:
        """Take back what the store has of an earlier run."""
        for message in sorted(messages, key=number_of):
            message.stored = True
            self._admit(message)
            self.offset = max(self.offset, offset_of(message) + 1)

    # Places: numbers of messages, which grow with time over all topics; a place is before what comes after it. They
    # are asked for some time after somebody wanted to know, when ``last`` was the newest number: what has come since
    # is behind them.

    def newest(self) -> int:
        """The place of the newest message; 0 when there is none."""
        return self.messages[-1].number if len(self) else 0

    def before_offset(self, offset: int, last: int) -> int:
        """The place before the message with that offset, or before the next there is."""
        return self._before(bisect_left(self.messages, offset, self.start, key=offset_of), last)

    def before_time(self, when: int, last: int) -> int:
        """The place before what was sent at ``when`` (Unix ms) or later."""
        return self._before(bisect_left(self.messages, when, self.start, key=time_of), last)

    def before_last(self, last: int) -> int:
        """The place before the newest message."""
        index = bisect_right(self.messages, last, self.start, key=number_of) - 1
        return self._before(max(self.start, index), last)

    def _before(self, index: int, last: int) -> int:
        if index >= len(self.messages):
            return last
        return min(self.messages[index].number - 1, last)

    def following(self, place: int) -> int:
        """The number of the first message after ``place``; 0 when there is none."""
        if place >= self.newest():
            return 0
        return self.messages[bisect_right(self.messages, place, self.start, key=number_of)].number

    def between(self, place: int, last: int, most: int, now: int) -> tuple[list[Message], int]:
        """Look at up to ``most`` messages after ``place``, up to the place ``last``: those that are not too old or
        expired at ``now`` (Unix ms), and the place that was reached.
        """
        found: list[Message] = []
        at: int = bisect_right(self.messages, place, self.start, key=number_of)
        end: int = min(len(self.messages), at + most)
        while at < end:
            message = self.messages[at]
            if message.number > last:
                break
            at += 1
            place = message.number
            if not self.clock.is_over(message) and not self._too_old(message, now):
                found.append(message)
        return found, place if at == end and at < len(self.messages) else max(place, last)


class _Release(Sliced):
    """Lets go of ``messages``, which nobody looks at any more."""

    __slots__ = ("_messages",)

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def slice(self, budget: int) -> bool:
        """Let go of some."""
        del self._messages[-4 * budget :]
        return len(self._messages) > 0


def number_of(message: Message) -> int:
    """The place of a message."""
    return message.number


def offset_of(message: Message) -> int:
    """The offset of a message in the history of its topic; -1 when it has none."""
    text = message.headers.get(OFFSET, "")
    return int(text) if text.isdecimal() and text.isascii() else -1


def time_of(message: Message) -> int:
    """When a message came into the history, Unix time in ms; 0 when that is not known."""
    text = message.extras.get(_TIME, "") if message.extras is not None else ""
    return int(text) if text.isdecimal() and text.isascii() else 0


def wanted(policy: Policy) -> bool:
    """Whether a topic with that policy has a history."""
    return policy.history_messages > 0 or policy.history_bytes > 0 or policy.history_age > 0
