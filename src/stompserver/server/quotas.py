"""What logins use of what they may: one count for all connections of a login, for those that are limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from stompserver.errors import Refused
from stompserver.security.account import Allowance
from stompserver.session.principal import Principal
from stompserver.session.usage import Usage

SWEPT: Final = 10
"""Logins without a connection that are looked at when another one comes."""

NOTHING: Final = Allowance(0, 0, 0.0, 0.0)


class Quotas:
    """Counts by login. ``usual`` is what each may have, ``special`` what some logins may; what an account itself says
    counts more than either. ``time`` is the loop's clock, in s.
    """

    def __init__(self, usual: Allowance, special: Mapping[str, Allowance], time: Callable[[], float]) -> None:
        self._usual = usual
        self._special = special
        self._time = time
        self._open: dict[str, tuple[Usage, Allowance | None]] = {}
        self._idle: dict[str, Usage] = {}
        """Without a connection, until what they sent too fast is paid; the longest first."""

    def adjust(self, usual: Allowance, special: Mapping[str, Allowance]) -> None:
        """Have these limits from now on, also for those who are connected."""
        self._usual = usual
        self._special = special
        for login, (usage, own) in self._open.items():
            usage.limit(*self._limits(login, own))

    def enter(self, principal: Principal) -> Usage | None:
        """Count one more connection of that login, where it is limited. Raises Refused when it has too many."""
        login = principal.login
        if login is None:
            return None
        own = principal.allowance if isinstance(principal.allowance, Allowance) else None
        limits = self._limits(login, own)
        if not any(limits) and login not in self._open:
            return None
        now = self._time()
        self._sweep(now)
        known = self._open.get(login)
        usage = known[0] if known is not None else self._idle.pop(login, None)
        if usage is None:
            usage = Usage(login, now)
        usage.limit(*limits)
        if 0 < usage.max_connections <= usage.connections:
            raise Refused(
                "Too many connections of your login",
                where="header login",
                rule=f"This login may have {usage.max_connections} connections at once",
                fix="Close connections that are not used, or ask the administrator for max-connections in users.",
            )
        self._open[login] = (usage, own)
        usage.connections += 1
        return usage

    def leave(self, usage: Usage) -> None:
        """One connection of it is over."""
        usage.connections -= 1
        if not usage.connections:
            del self._open[usage.login]
            if usage.rated:
                # Who comes back at once has not forgotten what it owes.
                self._idle[usage.login] = usage

    def _limits(self, login: str, own: Allowance | None) -> tuple[int, int, float, float]:
        given = [each for each in (own, self._special.get(login), self._usual) if each is not None]

        def first(name: str) -> float:
            found = [getattr(each, name) for each in given]
            return next((each for each in found if each is not None), 0)

        return (
            int(first("connections")),
            int(first("subscriptions")),
            float(first("message_rate")),
            float(first("byte_rate")),
        )

    def _sweep(self, now: float) -> None:
        for login in list(self._idle)[:SWEPT] if self._idle else ():
            usage = self._idle.pop(login)
            if usage.use(0, 0, now):
                self._idle[login] = usage
