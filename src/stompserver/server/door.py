"""Who is let in: the limits on connections, counted from the moment each is accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.errors import Refused
from stompserver.server.process.process import connections_that_fit

SURPLUS: Final = 100
"""Connections above the limit that are told so; more than these are just closed."""


class Place:
    """What one accepted connection counts for, with the ``address`` it came from. ``local`` is whether that is this
    machine, where the address alone does not tell, and ``since`` when it was accepted, where that was not just now.

    ``refused`` is what to tell a client there is no room for, ``crowded`` that there are too many of those to tell
    them anything. Whoever accepted the connection closes its place when it is over, also when a handshake before
    STOMP fails.
    """

    __slots__ = ("_counts", "_door", "_open", "address", "crowded", "local", "refused", "since")

    def __init__(self, door: Door, address: str, refused: Refused | None, crowded: bool) -> None:
        self._door = door
        self._counts = True
        self._open = True
        self.address = address
        self.refused = refused
        self.crowded = crowded
        self.local: bool | None = None
        self.since = 0.0

    def leave(self) -> None:
        """Count no more against the limits: the connection only lingers. May be called again."""
        if self._counts:
            self._counts = False
            self._door.left(self.address)

    def close(self) -> None:
        """The connection is gone. May be called again."""
        self.leave()
        if self._open:
            self._open = False
            self._door.closed()


class Door:
    """Counts connections, all together and by address, against ``most`` and ``most_per_address`` (0: any number).
    Where there are too many, ``make_room`` is asked to end one that is not logged in, of that address or ("") of any.

    Whoever accepts a connection enters it: Connection a plain one, Entrance one of which something else is wanted
    before STOMP. It hands its place to the Connection, and closes the place when the handshake fails. Of address ""
    there may be as many as there is room for in all: whose they are is not known yet.
    """

    def __init__(self, most: int, most_per_address: int, make_room: Callable[[str], bool]) -> None:
        self._make_room = make_room
        self.most = most
        self.most_per_address = most_per_address
        self._total = 0
        """Those that count against the limits."""
        self._present = 0
        """All of them, with those that linger and those that are being refused."""
        self._addresses: dict[str, int] = {}

    def enter(self, address: str) -> Place:
        """Count a connection that was just accepted."""
        count = self._addresses.get(address, 0) + 1
        self._addresses[address] = count
        self._total += 1
        most = connections_that_fit(self.most)
        crowded = self._present >= most + SURPLUS
        self._present += 1
        too_many = self._total > most
        many_alike = count > self.most_per_address > 0 and address != ""
        if (too_many or many_alike) and self._make_room("" if too_many else address):
            count = self._addresses.get(address, 0)
        return Place(self, address, self._refusal(address, count, most), crowded)

    def left(self, address: str) -> None:
        """A connection from there counts no more."""
        self._total -= 1
        count = self._addresses[address] - 1
        if count:
            self._addresses[address] = count
        else:
            del self._addresses[address]

    def closed(self) -> None:
        """A connection that had left is gone."""
        self._present -= 1

    def _refusal(self, address: str, count: int, most: int) -> Refused | None:
        if self._total > most:
            reason = "max-connections" if most == self.most else "the system's limit of open files"
            return Refused(
                "Too many connections",
                where="the server",
                rule=f"This server takes {most} connections ({reason})",
                fix="Close connections that are not used, or ask the administrator to raise that option.",
            )
        if count > self.most_per_address > 0 and address:
            return Refused(
                "Too many connections from your address",
                where=address,
                rule=f"This server takes {self.most_per_address} connections from an address"
                " (max-connections-per-address)",
                fix="Close connections that are not used, or ask the administrator to raise that option.",
            )
        return None
