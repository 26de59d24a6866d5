"""The newest message of a topic that its sender asked to be kept for those who subscribe later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.register import Register
from stompserver.broker.message import Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.oplog import FOREVER
from stompserver.broker.selectors.selector import Selector
from stompserver.broker.topics.choice import Choice, effort_of
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

RETAINED: Final = SYSTEM + "retained"
"""The system queue."""

# Not Final, because a test lowers it: compiled, a Final is written into the code.
MOST: int = 10_000
"""Topics that may have one."""

SIGN: Final = "ActiveMQ.Retained"
"""The header of one that comes because it was kept, as ActiveMQ has it: it is not news."""


class Retained:
    """At most one message a topic, and MOST in all; ``share`` is what they may take of the memory. ``effort`` is what
    it counts for to compare the names of all with a pattern, in units of work (``Desk.work``).
    """

    __slots__ = ("_clock", "_desk", "effort", "register", "share")

    def __init__(self, desk: Desk) -> None:
        self._clock = desk.clock
        self._desk = desk
        self.register = Register(desk, RETAINED, self._restore)
        self.share = desk.memory.retained
        self.effort: int = 0

    def check(self, topic: str, size: int, more: int = 1) -> None:
        """Raises Refused when ``topic`` has none and cannot have one, because there would be ``more`` than there are;
        or when ``size`` more bytes are too many.
        """
        if self._fits(topic, size, more):
            return
        self._forget_expired()
        if self._fits(topic, size, more):
            return
        if topic not in self.register.entries and len(self.register.entries) + more > MOST:
            raise Refused(
                "Too many topics have a retained message",
                where="header retain",
                rule=f"This server keeps {MOST} retained messages",
                fix="Send retain:remove to topics that need none any more.",
            )
        raise Refused(
            "Retained messages take too much memory",
            where="header retain",
            rule=f"This server keeps {self.share.most} bytes of retained messages (an eighth of memory-limit)",
            fix="Send retain:remove to topics that need none any more, retain less in each, or ask the"
            " administrator to raise that option.",
        )

    def _fits(self, topic: str, size: int, more: int) -> bool:
        old = self.register.entries.get(topic)
        if old is None and len(self.register.entries) + more > MOST:
            return False
        return self.share.fits(size if old is None else size - old.size)

    def _forget_expired(self) -> None:
        """Nobody is given these any more."""
        self._desk.work += len(self.register.entries) // 4
        for topic, message in list(self.register.entries.items()):
            if self._clock.is_over(message):
                self.remove(topic)

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
        self.share.take(kept.size)
        self.effort += effort_of(topic)
        self.register.set(topic, kept)

    def remove(self, topic: str) -> None:
        """Let ``topic`` have none."""
        self._release(topic)
        self.register.remove(topic)

    def _release(self, topic: str) -> None:
        old = self.register.entries.get(topic)
        if old is not None:
            self.share.give(old.size)
            self.effort -= effort_of(topic)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run."""
        for message in messages:
            topic = (message.extras or {}).get("name", "")
            self._release(topic)
            self.share.take(message.size)
            self.effort += effort_of(topic)
            self.register.restore([message])
        return []

    def find(self, choice: Choice) -> list[Message]:
        """Those that ``choice`` has, without what has expired; in the order in which they were sent."""
        if choice.patterns:
            found = [message for name, message in self.register.entries.items() if choice.has(name)]
            found.sort(key=_number)
        else:
            found = self.near(choice)
        return [message for message in found if not self._clock.is_over(message)]

    def near(self, choice: Choice, after: int = 0, upto: int = FOREVER) -> list[Message]:
        """Those that ``choice`` may have, which is to be asked of each; with numbers above ``after`` and not above
        ``upto``, in the order in which they were sent.
        """
        entries = self.register.entries
        if choice.patterns:
            near = list(entries.values())
        else:
            near = [entries[name] for name in choice.names if name in entries]
        found = [message for message in near if after < message.number <= upto]
        found.sort(key=_number)
        return found

    def work(self, selector: Selector | None) -> int:
        """What it counts for to compare all with a pattern, and ask a ``selector`` of them, in units of work."""
        cost: int = selector.cost if selector is not None else 0
        return len(self.register.entries) * cost + self.effort


def _number(message: Message) -> int:
    return message.number
