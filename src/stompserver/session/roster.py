"""What all sessions of a broker share: which are the clients of an id, who has which durable subscription by it, who
has which temporary destinations, and by which marks they are told apart.
"""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.durable import Key, Parts
from stompserver.session.client import Client
from stompserver.session.dialect import faults, naming
from stompserver.session.lists import Lists
from stompserver.session.reply import Reply
from stompserver.session.settings import REFUSE, SHARE
from stompserver.session.talk import Talk

MESSAGES: Final = 13
"""Bits: there is a mark for each 8192 message numbers. These go on above all of earlier runs at 67 million for each
second since, so marks do so, too, as long as there are no more than 8192 new ones a second.
"""

_HEX: Final = frozenset("0123456789abcdef")

_LONGEST: Final = 16


class Roster:
    """The sessions of one broker, by what must be theirs alone.

    A client-id has live sessions of one login at a time, and a durable subscription that it is part of has one of
    them. A temporary destination is private to the session that has it, and goes with it. A mark is a session's for
    ever: no other has it, in this run of the server or another, that began with ``newest`` as its newest message
    number.
    """

    __slots__ = ("_clients", "_held", "_holders", "_newest", "_temporary", "dirty", "lists", "reply")

    def __init__(self, newest: int = 0) -> None:
        self._newest: int = newest >> MESSAGES
        """The newest mark."""
        self.reply = Reply()
        """The answer to the frame in hand, whoever sent it: they are done one after the other (bench: idle)."""
        self.dirty: list[Talk] = []
        """Sessions with something new to be written, each once; the shell empties it."""
        self.lists = Lists()
        """Lists of the management that are made, or wait for that."""
        self._clients: dict[str, dict[Client, None]] = {}
        """By client-id."""
        self._holders: dict[Parts, Client] = {}
        """Who has a durable subscription, by what it is known by."""
        self._held: dict[Parts, int] = {}
        """By how many subscriptions."""
        self._temporary: dict[str, set[str]] = {}
        """Names of temporary destinations by the id of the session that has them."""

    def claim(self, session: Client) -> None:
        """Let ``session`` be a client of its ``client_id``, beside others of the same login. Raises Refused when
        another login's is one, or where its listener wants no second one.
        """
        id = session.client_id
        sessions = self._clients.get(id)
        if sessions is None:
            sessions = self._clients[id] = {}
        for other in sessions:
            if other is not session and other.live:
                if other.login != session.login:
                    raise faults.client_id_in_use(id)
                if session.settings.client_ids == REFUSE:
                    raise faults.second_client_id(id)
                break
        sessions[session] = None

    def clients(self, id: str) -> list[Client]:
        """The sessions of the client ``id``."""
        return list(self._clients.get(id, ()))

    def take(self, session: Client, key: Key) -> None:
        """``session`` is about to subscribe to the durable subscription ``key``. Another session of its client-id
        that has it is likely the client's own, from before it lost the network, and ends.
        """
        if not key.client or session not in self._clients.get(key.client, ()):
            # A client-id that only SUBSCRIBE has is shared.
            return
        if session.settings.client_ids == SHARE:
            return
        other = self._holders.get(key.parts)
        if other is not None and other is not session:
            self._forget(key)
            other.fail(faults.client_id_taken(key.client))
            other.let_go()

    def hold(self, session: Client, key: Key) -> None:
        """``session`` has one more subscription to it."""
        if session.settings.client_ids == SHARE:
            # Nobody takes it over.
            return
        if key.client and session in self._clients.get(key.client, ()):
            self._holders[key.parts] = session
            self._held[key.parts] = self._held.get(key.parts, 0) + 1

    def release(self, session: Client, key: Key) -> None:
        """``session`` has one less."""
        if self._holders.get(key.parts) is session:
            self._held[key.parts] = self._held.get(key.parts, 1) - 1
            if self._held[key.parts] <= 0:
                self._forget(key)

    def _forget(self, key: Key) -> None:
        self._holders.pop(key.parts, None)
        self._held.pop(key.parts, None)

    def own(self, session: str, name: str, most: int) -> None:
        """``name`` is a temporary destination of the session with the id ``session`` from now on.

        Raises Refused when that has ``most`` already.
        """
        names = self._temporary.get(session)
        if names is None:
            self._temporary[session] = {name}
        elif name not in names:
            if len(names) >= most:
                raise faults.too_many_temporary(most)
            names.add(name)

    def exists(self, name: str) -> bool:
        """Whether some session has the temporary destination ``name``."""
        names = self._temporary.get(naming.temp_owner(name))
        return names is not None and name in names

    def leave(self, session: Client) -> set[str]:
        """``session`` is gone, and is nobody's client. Returns the temporary destinations it had."""
        sessions = self._clients.get(session.client_id)
        if sessions is not None and session in sessions:
            del sessions[session]
            if not sessions:
                del self._clients[session.client_id]
        return self._temporary.pop(session.id, set())

    def mark(self) -> str:
        """A new mark: lower-case hexadecimal digits and a hyphen."""
        self._newest += 1
        return format(self._newest, "x") + "-"

    def marked(self, name: str) -> bool:
        """Whether ``name`` is a mark with digits behind it, and the mark can be of this run or an earlier one."""
        mark, hyphen, number = name.partition("-")
        return (
            hyphen != ""
            and 0 < len(mark) <= _LONGEST
            and _HEX.issuperset(mark)
            and number.isdigit()
            and int(mark, 16) <= self._newest
        )

    @property
    def temporary(self) -> int:
        """How many sessions have temporary destinations."""
        return len(self._temporary)

    @property
    def holders(self) -> int:
        """How many durable subscriptions they have by their client-ids."""
        return len(self._holders)
