"""The open connections of a server by their ids, for those who manage it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stompserver.errors import ClientError
from stompserver.manage import connection as managed
from stompserver.manage.connections import Connections


class Carried(Protocol):
    """A connection, as those see it who manage the server. ``id`` is its session's."""

    id: str

    def describe(self, now: float) -> managed.Connection | None:
        """What is told of it at ``now`` (the loop's clock, in seconds); None when it ends."""

    def refuse(self, error: ClientError) -> bool:
        """End it with ``error``; false when it ends already."""


class Roll(Connections):
    """Knows each connection from its session on until it is lost. ``time`` is the loop's clock, in seconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._open: dict[str, Carried] = {}

    def add(self, connection: Carried) -> None:
        """It has a session and an id."""
        self._open[connection.id] = connection

    def remove(self, connection: Carried) -> None:
        """It is lost."""
        self._open.pop(connection.id, None)

    def keys(self) -> list[str]:
        """The ids of those that there are."""
        return list(self._open)

    def find(self, key: str) -> managed.Connection | None:
        """That one as it is now."""
        connection = self._open.get(key)
        return connection.describe(self._time()) if connection is not None else None

    def close(self, key: str, error: ClientError) -> bool:
        """End that one."""
        connection = self._open.get(key)
        return connection is not None and connection.refuse(error)
