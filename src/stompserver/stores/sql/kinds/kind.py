"""What the SQL store needs of a database, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import sqlalchemy as sa

from stompserver.errors import StoreError
from stompserver.stores.sql.database import Database

CONNECT_SECONDS: Final = 10
"""How long a server may take to answer a new connection, unless connect_timeout says otherwise."""

LOCK_SECONDS: Final = 10
"""How long to wait for what somebody else has locked in the database."""

PIECE: Final = 256 << 20
"""Below what the databases can have in one value (SQLite and PostgreSQL: 1 GB)."""


class Kind(ABC):
    """A kind of database. ``piece`` is how many bytes of a frame one statement may carry; ``relaxes`` tells whether
    commits without sync are less durable, ``one_by_one`` that the driver waits for an answer to each row of a DELETE.
    """

    relaxes = False
    one_by_one = False

    longtext: sa.types.TypeEngine[str] = sa.Text()
    longbinary: sa.types.TypeEngine[bytes] = sa.LargeBinary()
    table_options: dict[str, Any] = {}

    def __init__(self, database: Database, limit: int) -> None:
        self.database = database
        self.limit: int = limit
        self.piece: int = PIECE
        self.engine = sa.create_engine(
            self.url(), poolclass=sa.NullPool, connect_args=self.arguments(), hide_parameters=True
        )

    @abstractmethod
    def url(self) -> sa.URL:
        """SQLAlchemy's name for dialect and driver."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What the driver's connect wants. Raises StoreError."""

    def prepare(self, connection: sa.Connection) -> None:
        """Settings of a new connection."""

    @abstractmethod
    def insert(self, table: sa.Table) -> sa.Insert:
        """An INSERT that leaves alone what is there already."""

    @abstractmethod
    def lock(self, connection: sa.Connection, seconds: int) -> bool:
        """Keep other servers out for as long as ``connection`` lasts; false when another is in after that time."""

    def session(self, connection: sa.Connection) -> int:
        """The server's number for this connection."""
        return 0

    def end_session(self, connection: sa.Connection, session: int) -> None:
        """End an earlier connection of ours that the server may not know to be dead."""

    @abstractmethod
    def trouble(self, problem: sa.exc.DBAPIError, opening: bool) -> StoreError:
        """What a driver's error means. ``opening``: it is the first connection, so the settings may be wrong."""

    def before(self, connection: sa.Connection, sync: bool, added: int) -> None:
        """Get ready for a transaction that adds so many bytes, with or without sync (servers decide about that by
        their own settings). Raises StoreFull where it would leave no room for what has to be removed.
        """

    def make_room(self, connection: sa.Connection) -> bool:
        """Try to have room for what adds nothing, after it failed for want of room; whether that may help."""
        return False

    def committed(self, connection: sa.Connection, written: int) -> None:
        """After a commit of about so many bytes."""

    def verify(self) -> None:
        """Raise StoreError when what is open does not lie any more where the next start will look for it."""

    def spare(self, connection: sa.Connection) -> int:
        """Bytes of messages that fit into what the database has of the disk already."""
        return 0

    def mend(self, connection: sa.Connection, table: sa.Table) -> bool:
        """Make the indexes of ``table`` anew without reading the old ones; whether that is possible here."""
        return False

    def check(self, connection: sa.Connection) -> list[str]:
        """What the database itself finds wrong."""
        return []

    @abstractmethod
    def size(self, connection: sa.Connection, tables: list[str]) -> int:
        """Bytes that the tables take."""

    @abstractmethod
    def compact(self, connection: sa.Connection, tables: list[str]) -> None:
        """Give unused space back; ``connection`` is in autocommit."""

    def close(self) -> None:
        """Let go of what is held beside the connection."""
        self.engine.dispose()


def text_of(problem: sa.exc.DBAPIError) -> str:
    """One line of the driver's own words; never parameters or rows, which are messages."""
    cause = problem.orig
    # PostgreSQL's details may quote the row.
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    arguments = (primary,) if primary else cause.args if cause is not None else ()
    return " ".join(str(arguments[-1] if arguments else "").split())[:500] or type(cause).__name__
