"""The certificates in use: made anew at SIGHUP, or when their files change, and watched until they expire."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Sequence

from stompserver.errors import ConfigError
from stompserver.security.certificates import Certificate, Credentials, Wanted, load, state_of
from stompserver.server.fronts import Front

log = logging.getLogger("stompserver")


class _Used:
    """What is in use for one ``wanted``, and what its files were like when that was made, or last tried."""

    __slots__ = ("credentials", "seen", "wanted")

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.seen = state_of(wanted)
        self.credentials = load(wanted)


class Renewal:
    """Credentials for all listeners with TLS. Raises ConfigError when they cannot be made: without them there is no
    start. Later, what cannot be made leaves what was there in use, with a line in the log. ``clock`` is Unix's time.
    """

    def __init__(self, fronts: Sequence[Front], clock: Callable[[], float] = time.time) -> None:
        self.failures = 0
        """How often new files could not be used."""
        self._clock = clock
        self._told: dict[tuple[str, float], int] = {}
        """How far the end of a certificate has come near, as it was told."""
        made: dict[Wanted, _Used] = {}
        self._used: list[_Used | None] = []
        for front in fronts:
            wanted = front.wanted
            if wanted is not None and wanted not in made:
                made[wanted] = _Used(wanted)
            self._used.append(made[wanted] if wanted is not None else None)

    def context(self, listener: int) -> ssl.SSLContext:
        """What that listener's next handshake is made with."""
        used = self._used[listener]
        assert used is not None  # who has no TLS does not ask
        return used.credentials.context

    def certificates(self) -> list[Certificate]:
        """All that are in use."""
        found: dict[Certificate, None] = {}
        for used in self._used:
            if used is not None:
                found.update(dict.fromkeys(used.credentials.certificates))
        return list(found)

    def reload(self, fronts: Sequence[Front]) -> None:
        """Make all of them anew, as the listeners want them now."""
        made: dict[Wanted, _Used | None] = {}
        for number, front in enumerate(fronts):
            wanted = front.wanted
            if wanted is None or self._used[number] is None:
                continue
            if wanted not in made:
                made[wanted] = self._made(wanted)
            fresh = made[wanted]
            if fresh is not None:
                self._used[number] = fresh
        self.tell()

    def look(self) -> None:
        """Make those anew whose files changed, and tell of those that expire."""
        states: dict[Wanted, tuple[object, ...]] = {}
        changed: dict[Wanted, _Used | None] = {}
        for number, used in enumerate(self._used):
            if used is None:
                continue
            wanted = used.wanted
            if wanted not in states:
                states[wanted] = state_of(wanted)
                if states[wanted] != used.seen:
                    changed[wanted] = self._made(wanted)
            # What could not be used is not tried again before it changes again.
            used.seen = states[wanted]
            fresh = changed.get(wanted)
            if fresh is not None:
                self._used[number] = fresh
        self.tell()

    def tell(self) -> None:
        """Warn of certificates that expire soon, or did, once for each of the stages."""
        now = self._clock()
        for certificate in self.certificates():
            key = (str(certificate.path), certificate.expires)
            stage = certificate.stage(now)
            problem = certificate.problem(now)
            if problem and stage > self._told.get(key, -2):
                self._told[key] = stage
                log.warning(
                    "%s", problem, extra={"event": "certificate_expires", "expires": certificate.expires}
                )

    def _made(self, wanted: Wanted) -> _Used | None:
        try:
            fresh = _Used(wanted)
        except ConfigError as error:
            self.failures += 1
            text = "the certificates were not read again, the old ones stay in use: %s"
            log.error(text, error, extra={"event": "tls_reload_failed"})
            return None
        for each in fresh.credentials.certificates:
            log.info("%s", line_about(each), extra={"event": "certificate", "expires": each.expires})
        return fresh


def line_about(certificate: Certificate) -> str:
    """A certificate in one line."""
    from stompserver.security.certificates import day_of

    names = ", ".join(certificate.names) or "no names"
    return f"Certificate {certificate.path}: {certificate.subject}, for {names}, until {day_of(certificate.expires)}"


def credentials_of(front: Front) -> Credentials | None:
    """What a listener would use; None without TLS. Raises ConfigError."""
    return load(front.wanted) if front.wanted is not None else None
