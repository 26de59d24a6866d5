"""What all sessions of a broker share: which one is the client of an id, and who has which temporary destinations."""

from __future__ import annotations

from stompserver.session.client import Client
from stompserver.session.dialect import faults, naming
from stompserver.session.talk import Talk


class Roster:
    """The sessions of one broker, by what must be theirs alone.

    A client-id has one live session at a time. A temporary destination is private to the session that has it, and
    goes with it.
    """

    __slots__ = ("_clients", "_temporary", "dirty")

    def __init__(self) -> None:
        self.dirty: list[Talk] = []
        """Sessions with something new to be written, each once; the shell empties it."""
        self._clients: dict[str, Client] = {}
        """By client-id."""
        self._temporary: dict[str, set[str]] = {}
        """Names of temporary destinations by the id of the session that has them."""

    def claim(self, session: Client) -> None:
        """Let ``session`` be the client of its ``client_id``. Another session of the same login that is so is likely
        the client's own, from before it lost the network, and ends. Raises Refused for another login's.
        """
        id = session.client_id
        other = self._clients.get(id)
        if other is not None and other is not session and other.live:
            if other.login != session.login:
                raise faults.client_id_in_use(id)
            other.fail(faults.client_id_taken(id))
        self._clients[id] = session

    def client(self, id: str) -> Client | None:
        """The session of the client ``id``, None when it is not connected."""
        return self._clients.get(id)

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
        if self._clients.get(session.client_id) is session:
            del self._clients[session.client_id]
        return self._temporary.pop(session.id, set())

    @property
    def temporary(self) -> int:
        """How many sessions have temporary destinations."""
        return len(self._temporary)
