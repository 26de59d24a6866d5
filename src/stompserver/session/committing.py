"""A COMMIT, or a SEND to several destinations, that takes more than a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.commit import Committer
from stompserver.session import acks
from stompserver.session.reply import Reply
from stompserver.session.state import FAILED

if TYPE_CHECKING:
    from stompserver.broker.broker import Action
    from stompserver.errors import Refused
    from stompserver.session.client import Client


class Committing(Committer):
    """``session`` waits until ``actions`` are done, for which ``taken`` bytes of what transactions may take are kept
    until then. What its client sends meanwhile is done after that.
    """

    __slots__ = ("_actions", "_reply", "_session", "_share", "_taken")

    def __init__(self, session: Client, actions: list[Action], taken: int) -> None:
        self._session = session
        self._actions = actions
        self._share = session.broker.memory.transactions
        self._taken: int = taken
        self._reply: Reply | None = None

    def start(self, reply: Reply) -> None:
        """It goes on: keep the ``reply`` until it is over."""
        self._reply = reply.take()
        self._share.take(self._taken)
        self._session.wait_for(self)

    def gone(self) -> bool:
        """Whether its client is: nobody was told that it is done."""
        if self._session.state < FAILED:
            return False
        self._end()
        return True

    def begun(self) -> None:
        """What it acknowledges is the client's no more, also when that is gone."""
        acks.settled(self._session, self._actions)
        self._give()

    def applied(self, position: int) -> None:
        """Owe the RECEIPT."""
        session = self._session
        if self._reply is not None and session.state < FAILED:
            session.tell_unheard(self._reply)
            session.answer(self._reply, position)
        self._end()

    def refused(self, error: Refused) -> None:
        """Tell the client."""
        if self._reply is not None:
            self._session.fail(error, self._reply.receipt)
        self._end()

    def dropped(self) -> None:
        """The connection may end."""
        self._end()

    def _give(self) -> None:
        self._share.give(self._taken)
        self._taken = 0

    def _end(self) -> None:
        self._give()
        self._session.waiting = None
        self._session.vacate()
