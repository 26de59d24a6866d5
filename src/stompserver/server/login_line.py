"""Who is next among logins that wait to be checked: fair by where they come from, and by the name they give."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar


class Claim(Protocol):
    """A login to be checked: ``origin`` is where it comes from, ``login`` whose it says that it is."""

    @property
    def origin(self) -> str: ...
    @property
    def login(self) -> str: ...


Each = TypeVar("Each", bound=Claim)


class LoginLine(Generic[Each]):
    """Claims that wait, by origin and then by login. Each origin has its turn, and within it each login: many that
    try one login, or come from one place, wait for each other and for nobody else. Of a login the newest claim comes
    first: after a flood the next one does not wait for what is left of it.
    """

    def __init__(self) -> None:
        self._origins: dict[str, dict[str, deque[Each]]] = {}

    def add(self, claim: Each, most: int) -> None:
        """Let it wait. When more than ``most`` of its origin do, one gives way: the oldest of the login that has the
        most of them.
        """
        logins = self._origins.setdefault(claim.origin, {})
        logins.setdefault(claim.login, deque()).append(claim)
        if sum(map(len, logins.values())) > most:
            self.discard(max(logins.values(), key=len)[0])

    def take(self) -> Each | None:
        """The next one; None when there is none."""
        if not self._origins:
            return None
        origin, logins = next(iter(self._origins.items()))
        login, claims = next(iter(logins.items()))
        claim = claims.pop()
        # Both go to the end.
        del self._origins[origin], logins[login]
        if claims:
            logins[login] = claims
        if logins:
            self._origins[origin] = logins
        return claim

    def discard(self, claim: Each) -> None:
        """Let it wait no more, if it does."""
        logins = self._origins.get(claim.origin, {})
        claims = logins.get(claim.login, deque())
        if claim not in claims:
            return
        claims.remove(claim)
        if not claims:
            del logins[claim.login]
        if not logins:
            del self._origins[claim.origin]
