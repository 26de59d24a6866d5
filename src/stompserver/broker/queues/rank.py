"""The places of messages in a queue that has priorities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import HIGHEST, LANES, NUMBER, Message

if TYPE_CHECKING:
    from stompserver.broker.names.policy import Policy

_DIGITS: Final = 15


class Rank:
    """``most`` is 0 where the priorities are JMS's: 0 to 9, 4 for a message that names none. Else they are 0 to
    ``most`` (up to 31), as RabbitMQ reads x-max-priority: 0 for a message that names none, and what is higher counts
    as ``most``.
    """

    __slots__ = ("_first", "most")

    def __init__(self, most: int) -> None:
        self.most: int = min(most, LANES - 1)
        self._first: int = max(self.most, HIGHEST)
        """The priority of the first lane: a small ``most`` has the lanes of JMS, so that these agree."""

    def place(self, message: Message) -> int:
        """The key of ``message``, which has one of a queue without priorities: that of its number in its lane."""
        priority: int = message.priority
        if self.most:
            priority = min(_said(message), self.most)
        return message.key & NUMBER | (self._first - priority) << 57


def rank_of(policy: Policy) -> Rank | None:
    """How a queue with that policy ranks messages; None where the first that came is the first that goes."""
    if policy.max_priority:
        return Rank(policy.max_priority)
    return Rank(0) if policy.priorities else None


def _said(message: Message) -> int:
    """What the priority header says, 0 or more; 0 without one, or where it says no number."""
    digits = message.headers.get("priority", "").strip().partition(".")[0].removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return 0
    return int(digits) if len(digits) <= _DIGITS else LANES
