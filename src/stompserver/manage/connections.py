"""Connections of clients: what there are, and the end of one. The broker knows none: whoever carries them tells."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from stompserver.errors import ClientError, Refused
from stompserver.manage import fields
from stompserver.manage.connection import Connection
from stompserver.manage.fields import Field
from stompserver.manage.listing import UNLIMITED, Listing

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


# Whoever carries connections is not compiled.
@mypyc_attr(allow_interpreted_subclasses=True)
class Connections(metaclass=ABCMeta):
    """All connections of a server, by their ids."""

    @abstractmethod
    def keys(self) -> list[str]:
        """The ids of those that there are, in the order in which they came."""

    @abstractmethod
    def find(self, key: str) -> Connection | None:
        """That one as it is now; None when it is gone, or about to be."""

    @abstractmethod
    def close(self, key: str, error: ClientError) -> bool:
        """End that one with ``error``; false when it is gone, or about to be."""


class Connected(Listing[str, Connection]):
    """Rows of connections, in the order in which they came."""

    __slots__ = ("_connections",)

    def __init__(
        self,
        broker: Broker,
        connections: Connections,
        shown: tuple[Field[Connection], ...] = fields.CONNECTION,
        limit: int = UNLIMITED,
    ) -> None:
        super().__init__(broker, connections.keys(), shown, None, False, limit)
        self._connections = connections

    def find(self, key: str) -> Connection | None:
        """The connection with that id."""
        return self._connections.find(key)


def close(connections: Connections, id: str, reason: str) -> None:
    """End the connection ``id`` with an ERROR that tells ``reason``; what it did not settle goes back to its queues.
    Raises Refused when there is none.
    """
    error = Refused(
        f"The administrator closed this connection: {reason}",
        rule="Messages that were not acknowledged go back to their queues",
    )
    if not connections.close(id, error):
        raise Refused(
            f"There is no connection {id[:80]}",
            where="header id",
            rule="It is the id of a connection that is open",
            fix="List the connections.",
        )
