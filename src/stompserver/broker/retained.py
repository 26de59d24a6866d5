"""The newest message of a topic that its sender asked to be kept for those who subscribe later."""

from __future__ import annotations

from typing import Final

from stompserver.broker.destination import SYSTEM
from stompserver.broker.memory import Memory
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.pattern import Pattern
from stompserver.broker.register import Register
from stompserver.errors import Refused

RETAINED: Final = SYSTEM + "retained"
"""The system queue."""

# Not Final, because a test lowers it: compiled, a Final is written into the code.
MOST: int = 10_000
"""Topics that may have one."""

SIGN: Final = "ActiveMQ.Retained"
"""The header of one that comes because it was kept, as ActiveMQ has it: it is not news."""


class Retained:
    """At most one message a topic, and MOST in all; counted as memory."""

    __slots__ = ("memory", "register")

    def __init__(self, log: OpLog, memory: Memory) -> None:
        self.register = Register(log, RETAINED)
        self.memory = memory

    def check(self, topic: str) -> None:
        """Raises Refused when ``topic`` cannot have one too."""
        if topic not in self.register.entries and len(self.register.entries) >= MOST:
            raise Refused(
                "Too many topics have a retained message",
                where="header retain",
                rule=f"This server keeps {MOST} retained messages",
                mend="Send retain:remove to topics that need none any more.",
            )

    def prepare(self, message: Message) -> Message:
        """The copy of ``message`` that is to be kept; it needs a key of its own."""
        kept = message.copy()
        # The header it is given out with makes it differ from all others.
        kept.head = None
        kept.variants = None
        kept.headers = dict(message.headers)
        kept.headers[SIGN] = "true"
        return kept

    def keep(self, topic: str, kept: Message) -> None:
        """Let what ``prepare`` made be the one of ``topic``."""
        self._release(topic)
        self.memory.used += kept.size
        self.register.set(topic, kept)

    def remove(self, topic: str) -> None:
        """Let ``topic`` have none."""
        self._release(topic)
        self.register.remove(topic)

    def _release(self, topic: str) -> None:
        old = self.register.entries.get(topic)
        if old is not None:
            self.memory.used -= old.size

    def restore(self, messages: list[Message]) -> None:
        """Take back what the store has of an earlier run."""
        for message in messages:
            name = (message.extras or {}).get("name", "")
            self._release(name)
            self.memory.used += message.size
            self.register.restore([message])

    def find(self, topic: str, pattern: Pattern | None, now: int) -> list[Message]:
        """Those of ``topic``, or of all that ``pattern`` has, without what has expired at ``now`` (Unix ms); in the
        order in which they were sent.
        """
        entries = self.register.entries
        if not entries:
            return []
        if pattern is None:
            one = entries.get(topic)
            found = [one] if one is not None else []
        else:
            found = [message for name, message in entries.items() if pattern.matches(name)]
            found.sort(key=_number)
        return [message for message in found if not 0 < message.expires <= now]


def _number(message: Message) -> int:
    return message.number
