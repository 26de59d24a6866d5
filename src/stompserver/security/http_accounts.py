"""Accounts behind an HTTP server, asked as RabbitMQ asks (``rabbitmq_auth_backend_http``, its ``user_path``).

The request has ``username`` and ``password``, in the query of a GET or as the form of a POST. The answer is 200 with
``allow``, ``allow`` and tags with blanks between them, or ``deny``. The tags are groups here.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import aiohttp

from stompserver.errors import ConfigError
from stompserver.security.account import Account, Attempt, Elsewhere, usable

LONGEST: Final = 64 * 1024
"""Bytes of an answer."""

AT_ONCE: Final = 32
"""Connections to the server."""


class HttpAccounts(Elsewhere):
    """Asks at ``url``, by GET where ``get``, else by POST. ``ca`` is a file of certificates that are trusted, where
    those of the system are not meant. Raises ConfigError.
    """

    name = "http"

    def __init__(self, url: str, get: bool, ca: Path | None) -> None:
        self._url = url
        self._get = get
        self._session: aiohttp.ClientSession | None = None
        try:
            self._tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca) if ca else True
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{ca}: cannot read http-accounts-ca: {error.strerror or error}") from None

    async def log_in(self, attempt: Attempt) -> Account | None:
        """Raises OSError and aiohttp's errors where there is no answer that can be understood."""
        if not usable(attempt.login):
            return None
        session = self._session
        if session is None:
            connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=self._tls)
            # The deadline is the caller's.
            session = self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        words = {"username": attempt.login, "password": attempt.passcode}
        if self._get:
            request = session.get(self._url, params=words, allow_redirects=False)
        else:
            request = session.post(self._url, data=words, allow_redirects=False)
        async with request as response:
            if response.status != 200:
                raise OSError(f"it answered with status {response.status}")
            octets = await response.content.read(LONGEST)
        said = octets.decode("utf-8", "replace").split()
        verdict = said[0].lower() if said else ""
        if verdict == "allow":
            return Account(attempt.login, frozenset(tag for tag in said[1:] if usable(tag)))
        if verdict == "deny":
            return None
        raise OSError("it answered neither allow nor deny")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
