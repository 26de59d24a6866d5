"""All places where accounts are, asked one after the other; the first that knows a login and passcode counts."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from stompserver.security.account import Account, Attempt, Elsewhere, Source, Unavailable, usable
from stompserver.security.users import Users
from stompserver.session.principal import Principal

log = logging.getLogger("stompserver")

REMEMBERED: Final = 10_000
"""Logins found right elsewhere that are remembered."""


class Here(Protocol):
    """A place within this process that knows at once whose a passcode is."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    def recognise(self, login: str, passcode: str) -> Account | None:
        """Who that is; None for nobody."""


class Accounts:
    """``users`` are those of ``.passwd`` (None: that is not asked), ``here`` what answers at once, ``elsewhere`` what
    has to be waited for, at most ``patience`` s each. Who was found right there is let in again for ``keep`` s
    without a question. ``time`` is any clock in s. ``complain`` takes a text about a place that could not be asked.

    Those that answer at once are asked first, then those elsewhere, each in the order in which they are given.
    """

    def __init__(
        self,
        users: Users | None,
        here: Sequence[Here],
        elsewhere: Sequence[Elsewhere],
        patience: float,
        keep: float,
        time: Callable[[], float],
        complain: Callable[[str], None] = log.warning,
    ) -> None:
        self._users = users
        self.elsewhere = tuple(elsewhere)
        self._here = tuple(here)
        self._patience = patience
        self._keep = keep
        self._time = time
        self._complain = complain
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, tuple[Principal, float]] = {}
        """Who was found right elsewhere, and until when that counts; the oldest first."""

    @property
    def users(self) -> Users | None:
        """Those of ``.passwd``."""
        return self._users

    def remember(self, old: Source) -> None:
        """Take over which passcodes of ``.passwd`` were found right. What was found elsewhere is asked again."""
        if self.users is not None:
            self.users.remember(old)

    def recognise(self, login: str | None, passcode: str | None) -> Principal | None:
        """Who that is, where it takes neither a hash nor a question to tell. None for whoever else."""
        if passcode is None:
            return None
        if self.users is not None and (known := self.users.recognise(login, passcode)) is not None:
            return known
        for place in self._here:
            account = place.recognise(login or "", passcode)
            if account is not None:
                return self._principal(account, place.name)
        if self._right:
            token = self.token(login, passcode)
            remembered = self._right.get(token)
            if remembered is not None and remembered[1] > self._time():
                return remembered[0]
        return None

    def knew(self, login: str | None, passcode: str | None) -> bool:
        """Whether that was found right elsewhere, however long ago: it is asked for before what is unknown."""
        return bool(self._right) and self.token(login, passcode) in self._right

    def has_hash(self, login: str | None, passcode: str | None) -> bool:
        """Whether a hash of ``.passwd`` has to be computed."""
        return self.users is not None and self.users.has_hash(login, passcode)

    def can_be_right(self, login: str | None, passcode: str | None) -> bool:
        """Whether any work can make this right."""
        return self.has_hash(login, passcode) or (bool(self.elsewhere) and bool(passcode))

    def token(self, login: str | None, passcode: str | None) -> bytes:
        """What is the same for the same login and passcode in this process, and tells nothing about either."""
        name = (login or "").encode("utf-8", "surrogatepass")
        word = (passcode or "").encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, b"%d %b%b" % (len(name), name, word), "sha256")

    def check(self, login: str | None, passcode: str | None) -> Principal | None:
        """As ``Users.check``: what can be told without a question, by as much work as that takes."""
        known = self.recognise(login, passcode)
        if known is not None or self.users is None:
            return known
        return self.users.check(login, passcode)

    async def ask(self, login: str | None, passcode: str | None, address: str) -> Principal | None:
        """Who that is by what is known elsewhere; None for nobody. Raises Unavailable."""
        attempt = Attempt(login or "", passcode or "", address)
        if not attempt.passcode:
            # In LDAP, a login without a passcode is one of nobody in particular, and always right.
            return None
        missing = False
        for place in self.elsewhere:
            try:
                async with asyncio.timeout(self._patience):
                    account = await place.log_in(attempt)
                principal = self._principal(account, place.name) if account is not None else None
            except TimeoutError:
                missing = True
                self._complain(f"accounts: {place.name} did not answer within {self._patience:g} s")
                continue
            except Exception as problem:
                # Whatever a library or a plug-in raises: the others are still to be asked.
                missing = True
                self._complain(
                    f"accounts: {place.name} could not be asked: {type(problem).__name__}: {problem}"
                )
                continue
            if principal is not None:
                self._keep_in_mind(self.token(login, passcode), principal)
                return principal
        self._right.pop(self.token(login, passcode), None)
        if missing:
            raise Unavailable
        return None

    async def close(self) -> None:
        """Nobody is asked any more."""
        for place in self.elsewhere:
            try:
                async with asyncio.timeout(self._patience):
                    await place.close()
            except Exception as problem:
                self._complain(f"accounts: {place.name} could not be closed: {problem}")

    def _principal(self, account: Account, name: str) -> Principal | None:
        if not isinstance(account, Account) or not usable(account.login):
            self._complain(f"accounts: {name} gave a login that cannot be one; refused")
            return None
        return Principal(account.login, account.groups, account.expires, account.allowance)

    def _keep_in_mind(self, token: bytes, principal: Principal) -> None:
        self._right.pop(token, None)
        while len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[token] = (principal, self._time() + self._keep)
