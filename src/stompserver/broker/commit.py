"""A transaction that takes more than a turn: what it needs is added up, and then it is done, both in slices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker import transaction
from stompserver.broker.slices import BUDGET, Sliced, Waiting
from stompserver.broker.transaction import EACH, LIGHT, Action, Needs
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

UNDER_WAY: Final = -1
"""Instead of a position in the log: it goes on for more than a turn."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Committer(Waiting):
    """Who waits for a transaction that is done in slices."""

    __slots__ = ()

    @abstractmethod
    def begun(self) -> None:
        """All of it will be done now, whatever becomes of its client."""

    @abstractmethod
    def applied(self, position: int) -> None:
        """It is done, with the newest op at ``position`` of the log."""

    @abstractmethod
    def refused(self, error: Refused) -> None:
        """It cannot be done, and nothing of it was; but for what was forbidden while it went on, of which nothing can
        be done any more, all was.
        """


class Commit(Sliced):
    """Does ``actions``, of which ``needs`` knows the first ``seen``. ``admit`` is called when it knows all, and
    raises Refused when that is too much; ``do`` does one.

    From the first action to the last everything that is logged is one transaction of the log, so that a crash leaves
    all of it or nothing. One is done at a time; others wait for that.
    """

    __slots__ = (
        "_actions",
        "_admit",
        "_admitted",
        "_at",
        "_committer",
        "_desk",
        "_do",
        "_doing",
        "_error",
        "_needs",
    )

    def __init__(
        self,
        desk: Desk,
        actions: list[Action],
        needs: Needs,
        seen: int,
        admit: Callable[[], None],
        do: Callable[[Action], None],
        committer: Committer,
    ) -> None:
        self._desk = desk
        self._actions = actions
        self._needs = needs
        self._admit = admit
        self._do = do
        self._committer = committer
        self._at: int = seen
        self._admitted = False
        self._doing = False
        self._error: Refused | None = None

    def slice(self, budget: int) -> bool:
        """Add up, or do, some of it."""
        if self._doing:
            return self._do_some()
        if self._committer.gone():
            return False
        try:
            if not self._admitted:
                self._admitted = self._see_some()
        except Refused as error:
            self._committer.refused(error)
            return False
        if not self._admitted or self._desk.log.held:
            return True
        self._doing = True
        self._at = 0
        self._actions = self._needs.actions
        self._committer.begun()
        self._desk.log.hold()
        return self._do_some()

    def _see_some(self) -> bool:
        """Add up what some need; whether all of it is known, and there is room for it."""
        needs = self._needs
        end: int = needs.work + transaction.COPIES
        while self._at < len(self._actions):
            if needs.work >= end:
                return False
            needs.add(self._actions[self._at])
            self._at += 1
        self._admit()
        return True

    def _do_some(self) -> bool:
        desk = self._desk
        log = desk.log
        left: int = transaction.COPIES
        try:
            while self._at < len(self._actions) and left > 0:
                position: int = log.position
                work: int = desk.work
                self._at += 1
                try:
                    self._do(self._actions[self._at - 1])
                except Refused as error:
                    # Names or rights were changed meanwhile. The rest is done, and its client is told.
                    self._error = error
                left -= EACH + log.position - position + (desk.work - work) // LIGHT
        except BaseException:
            log.release()
            raise
        if self._at < len(self._actions):
            return True
        log.release()
        if self._error is not None:
            self._committer.refused(self._error)
        else:
            self._committer.applied(log.position)
        return False

    def finish(self) -> None:
        """What is half done is done; what has not begun is not."""
        if not self._doing:
            self._committer.dropped()
        while self._doing and self.slice(BUDGET):
            pass
