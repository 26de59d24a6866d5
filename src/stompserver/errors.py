"""The exception tree of stompserver.

::

    StompserverError
    ├── ProtocolError   bytes or a frame that break STOMP's rules: ERROR, then close
    ├── Refused         a correct frame that cannot be obeyed (limit, login, full): ERROR, then close
    ├── StoreError      a store failed to keep or give back what it promised
    │   ├── StoreFull       no room: what was accepted stays, nothing new fits
    │   ├── StoreAway       the database does not answer now; it may again
    │   ├── StoreDamaged    what is stored cannot be read; says where
    │   ├── StoreForeign    a format that this version does not know, or not a store of this kind
    │   └── StoreLocked     another process uses it
    ├── ConfigError     an option that cannot be accepted, with the place it came from
    └── ListenError     an address that cannot be listened on
"""

from __future__ import annotations


class StompserverError(Exception):
    """Base of every error that stompserver raises on purpose."""


class ClientError(StompserverError):
    """An error whose text is meant for the person who wrote the client.

    ``summary`` is one line (the ERROR frame's ``message`` header); ``where`` names the byte offset or the
    header; ``rule`` cites what was broken; ``fix`` says what to do. The last three may be empty.
    """

    def __init__(self, summary: str, where: str = "", rule: str = "", fix: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.where = where
        self.rule = rule
        self.fix = fix
        self.receipt: str | None = None
        """The ``receipt`` header of the frame that caused it, where only the parser saw that."""

    def explanation(self) -> str:
        """The body of the ERROR frame: one labelled line for each thing known."""
        lines = [self.summary]
        if self.where:
            lines.append("Where: " + self.where)
        if self.rule:
            lines.append("Rule: " + self.rule)
        if self.fix:
            lines.append("Fix: " + self.fix)
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.summary + (" (" + self.where + ")" if self.where else "")


class ProtocolError(ClientError):
    """Bytes or a frame that break STOMP's rules; answered by ERROR and a close (STOMP 1.2, ERROR)."""


class Refused(ClientError):
    """A correct frame that this server will not or cannot obey now; answered by ERROR and a close."""


class StoreError(StompserverError):
    """A store could not keep, or could not give back, what it promised."""


class StoreFull(StoreError):
    """No room on the disk, in the quota or in the map. Nothing of the commit was done."""


class StoreAway(StoreError):
    """The database does not answer now. Nothing of the commit was done, or it may be done again unharmed."""


class StoreDamaged(StoreError):
    """What is stored cannot be read. The text names the place."""


class StoreForeign(StoreError):
    """A format that this version does not know, or a directory of another kind of store."""


class StoreLocked(StoreError):
    """Another process uses the storage."""


class ConfigError(StompserverError):
    """An option that cannot be accepted. The text is one line and names where the value came from."""


class ListenError(StompserverError):
    """An address that cannot be listened on (in use, not ours, not allowed)."""
