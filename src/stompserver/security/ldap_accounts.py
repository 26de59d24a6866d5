"""Accounts in an LDAP directory: a login is right when the directory lets its entry bind with the passcode (RFC 4511,
4.2), and its groups are what a search finds.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bonsai
from bonsai import LDAPClient, LDAPSearchScope
from bonsai.asyncio import AIOLDAPConnection
from bonsai.utils import escape_attribute_value, escape_filter_exp

from stompserver.security.account import Account, Attempt, Elsewhere, usable

MOST_GROUPS: Final = 1000
"""Groups that are read of a login."""

FIRST_LOOK: Final = 0.001
LAST_LOOK: Final = 0.02
"""Seconds between two looks whether the directory has answered, at first and then."""


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look, and by which filter, for which attribute. In the filter ``%u`` is the login, ``%d`` its DN."""

    base: str
    filter: str
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """How the directory is reached. ``user_dn`` has ``%u`` for the login; where it is "", ``user`` is searched, as
    ``bind_dn`` with ``bind_passcode``, or as nobody in particular. ``groups`` may be None.
    """

    url: str
    starttls: bool
    ca: Path | None
    user_dn: str
    user: Search | None
    bind_dn: str
    bind_passcode: str
    groups: Search | None


class Patient(AIOLDAPConnection):
    """A connection that looks whether there is an answer, now and then. The library's own way, when it is cancelled,
    leaves a watch on its socket, which is an error in the loop later (bonsai 1.5.5).
    """

    async def _poll(self, msg_id: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # as the library has it
        pause = FIRST_LOOK
        while True:
            found = super(AIOLDAPConnection, self).get_result(msg_id)
            if found is not None:
                return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_LOOK)


class LdapAccounts(Elsewhere):
    """Asks a directory, by a connection of its own for each login."""

    name = "ldap"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def log_in(self, attempt: Attempt) -> Account | None:
        """Raises bonsai's errors where the directory cannot be asked."""
        there = self._directory
        login = attempt.login
        if not usable(login) or not attempt.passcode:
            # A bind without a passcode is one of nobody in particular (RFC 4513, 5.1.2), and succeeds.
            return None
        if there.user_dn:
            dn = there.user_dn.replace("%u", escape_attribute_value(login))
        else:
            dn = await self._find(login)
            if not dn:
                return None
        try:
            connection = await self._client(dn, attempt.passcode).connect(is_async=True)
        except (bonsai.AuthenticationError, bonsai.InvalidDN):
            return None
        try:
            if there.groups is None:
                return Account(login)
            if not there.bind_dn:
                return Account(login, await self._groups(connection, there.groups, login, dn))
        finally:
            connection.close()
        async with self._client(there.bind_dn, there.bind_passcode).connect(is_async=True) as service:
            return Account(login, await self._groups(service, there.groups, login, dn))

    async def _find(self, login: str) -> str:
        """The DN of the one entry that has this login; "" where there is none, or several."""
        there = self._directory
        search = there.user
        assert search is not None
        client = self._client(there.bind_dn, there.bind_passcode)
        async with client.connect(is_async=True) as service:
            found = await service.search(
                search.base,
                LDAPSearchScope.SUBTREE,
                search.filter.replace("%u", escape_filter_exp(login)),
                attrlist=["1.1"],
                sizelimit=2,
            )
        return str(found[0].dn) if len(found) == 1 else ""

    async def _groups(self, connection: Any, search: Search, login: str, dn: str) -> frozenset[str]:
        words = {"%u": escape_filter_exp(login), "%d": escape_filter_exp(dn)}
        # At once: a login may look like a placeholder.
        text = "".join(words.get(part, part) for part in _parts(search.filter))
        found = await connection.search(
            search.base, LDAPSearchScope.SUBTREE, text, attrlist=[search.attribute], sizelimit=MOST_GROUPS
        )
        names = [str(name) for entry in found for name in entry.get(search.attribute, [])]
        return frozenset(name for name in names if usable(name))

    def _client(self, dn: str, passcode: str) -> LDAPClient:
        there = self._directory
        client = LDAPClient(there.url, there.starttls)
        if there.ca is not None:
            client.set_ca_cert(str(there.ca))
        client.set_cert_policy("demand")
        client.set_async_connection_class(Patient)
        client.set_server_chase_referrals(False)
        if dn:
            client.set_credentials("SIMPLE", user=dn, password=passcode)
        return client


def _parts(text: str) -> list[str]:
    """The text, cut at its placeholders, and these."""
    return re.split(r"(%[ud])", text)
