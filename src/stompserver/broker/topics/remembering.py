"""Mailboxes begin with what their topics retain: in slices, where that is much to compare and to ask."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from stompserver.broker.slices import Sliced
from stompserver.broker.topics.mailbox import ASKED, Mailbox

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.message import Message
    from stompserver.broker.topics.choice import Choice
    from stompserver.broker.topics.retained import Retained

MUCH: Final = 20_000
"""Units of work above which retained messages are compared and asked by a mailbox, in slices, and not at once."""

TURN: Final = 10
"""Slices that one has before others that wait have theirs; more than one, as each turn lists anew what is left."""


class _Filling:
    """What ``box`` is to get: what ``choice`` has, with numbers above ``after`` and up to ``upto``. What is newer
    comes by itself.
    """

    __slots__ = ("after", "box", "choice", "upto")

    def __init__(self, box: Mailbox, choice: Choice, upto: int) -> None:
        self.box = box
        self.choice = choice
        self.after: int = 0
        self.upto: int = upto


class Fillings(Sliced):
    """Those that are under way, in turns of some slices: what there is to look at is listed for one at a time."""

    __slots__ = ("_desk", "_left", "_retained", "_turn", "_waiting")

    def __init__(self, retained: Retained, desk: Desk) -> None:
        self._retained = retained
        self._desk = desk
        self._waiting: deque[_Filling] = deque()
        self._left: deque[Message] | None = None
        """What the first of them has not looked at; None before its turn."""
        self._turn: int = 0
        """Slices that it has before the next one's turn."""

    def fill(self, box: Mailbox, choice: Choice) -> None:
        """Let ``box`` take what is retained of the topics that ``choice`` has, and what its owner wants, in slices
        where that is much work; nothing is delivered before that.
        """
        if not choice.patterns or self._retained.work(box.selector) <= ASKED:
            left = deque(self._retained.near(choice))
            while box.ask(left, choice):
                pass
            return
        box.block()
        self._waiting.append(_Filling(box, choice, self._desk.number))
        if len(self._waiting) == 1:
            self._desk.slices.add(self)

    def slice(self, budget: int) -> bool:
        """Ask of some; with its last one a mailbox delivers."""
        filling = self._waiting[0]
        box = filling.box
        if self._left is None and not box.deleted:
            self._left = deque(self._retained.near(filling.choice, filling.after, filling.upto))
            self._turn = TURN
        if self._left is not None and box.ask(self._left, filling.choice):
            self._turn -= 1
            if self._turn <= 0 and len(self._waiting) > 1:
                filling.after = self._left[0].number - 1
                self._left = None
                self._waiting.rotate(-1)
            return True
        self._left = None
        self._waiting.popleft()
        if not box.deleted:
            box.unblock()
            box.dispatch()
        return len(self._waiting) > 0
