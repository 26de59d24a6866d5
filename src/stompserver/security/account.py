"""An account, as a place gives it where accounts are; and what such a place has to do, also a plug-in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from stompserver.security.users import Users
    from stompserver.session.principal import Principal

LONGEST: Final = 1024
"""Characters of a login: it is kept as long as the connection."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one login may have at once, and send in a second, over all of its connections; None: as the server's
    options say, 0: any number.
    """

    connections: int | None = None
    subscriptions: int | None = None
    message_rate: float | None = None
    """Messages a second."""
    byte_rate: float | None = None
    """Bytes a second."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who somebody was found to be. ``expires`` is Unix time in s, after which the connection ends; None: never."""

    login: str
    groups: frozenset[str] = frozenset()
    expires: float | None = None
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client sent to show who it is; "" for what it did not send. ``address`` is where it comes from."""

    login: str
    passcode: str
    address: str

    def __repr__(self) -> str:
        """Without the passcode: it must not come into a log."""
        return f"Attempt({self.login!r}, from {self.address!r})"


class Elsewhere(ABC):
    """A place outside this process where accounts are. ``name`` is what the log calls it."""

    name: str = "elsewhere"

    @abstractmethod
    async def log_in(self, attempt: Attempt) -> Account | None:
        """Who that is; None for nobody known, or a wrong passcode. Whatever it raises is logged, and the client is
        told that its login cannot be checked now. It is cancelled when it takes longer than accounts-timeout.
        """

    async def close(self) -> None:
        """Nobody is asked any more."""
        return


class Source(Protocol):
    """What logins are checked against: the file ``.passwd`` alone, or several places. Threads may call ``check``."""

    elsewhere: tuple[Elsewhere, ...]
    """Places that have to be asked, and waited for."""

    @property
    def users(self) -> Users | None:
        """Those of ``.passwd``, where that is one of the places."""

    def remember(self, old: Source) -> None:
        """Take over what ``old`` found right, where that still holds."""

    def recognise(self, login: str | None, passcode: str | None) -> Principal | None:
        """Who that is, where it takes neither a hash nor a question to tell. None for whoever else."""

    def knew(self, login: str | None, passcode: str | None) -> bool:
        """Whether that was found right elsewhere, however long ago."""

    def has_hash(self, login: str | None, passcode: str | None) -> bool:
        """Whether a hash has to be computed to tell."""

    def can_be_right(self, login: str | None, passcode: str | None) -> bool:
        """Whether any work can make this right."""

    def token(self, login: str | None, passcode: str | None) -> bytes:
        """What is the same for the same login and passcode in this process, and tells nothing about either."""

    def check(self, login: str | None, passcode: str | None) -> Principal | None:
        """Who that is, without a question to anybody; what is wrong costs the work of a hash where there are any."""

    async def ask(self, login: str | None, passcode: str | None, address: str) -> Principal | None:
        """Who that is by what is known elsewhere; None for nobody. Raises Unavailable."""

    async def close(self) -> None:
        """Nobody is asked any more."""


class Unavailable(Exception):
    """No place knows this login and passcode, but not all of them could be asked."""


def usable(login: object) -> bool:
    """Whether that can be a login here: text that is not empty, not too long, and on one line."""
    return isinstance(login, str) and 0 < len(login) <= LONGEST and login.isprintable()
