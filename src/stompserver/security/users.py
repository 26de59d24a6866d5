"""Who may log in: the file ``.passwd`` of the original, plus lines with hashed passcodes.

A line is ``login:passcode``, split at the last colon of its first run of non-blanks (``a:b:c`` is login
``a:b``; in ``a: b:c`` the passcode is ``b:c``), white space at the ends of both taken away; of repeated logins
the last counts; ``#`` starts a comment line. A passcode that starts with ``$argon2`` is a hash in the usual
encoded form.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from stompserver.errors import ConfigError
from stompserver.security.account import Elsewhere, Source
from stompserver.session.principal import Principal

# OWASP's recommendation for argon2id: 20 ms and 19 MiB a check, bearable when a herd of clients comes back.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_BLANKS = " \t\r\n\f\v"
_ENTRY = re.compile(r"(\S+)\s*:\s*(.*)", re.ASCII)
_COMMENT = "#"
_HASHED = "$argon2"
DEAR = 32
"""Times the work of a usual hash from which one is told to be too dear: a login then takes about a second."""
_NOTHING = bytes(32)
"""Compared with the digest of a passcode where there is none to compare it with."""
_ESCAPES = {"\\c": ":", "\\n": "\n", "\\\\": "\\", "\\r": "\r"}


class Users:
    """Logins and passcodes as they were at ``load``; several threads may call ``check`` at once."""

    def __init__(self, plain: dict[str, bytes], hashed: dict[str, str], warnings: list[str]) -> None:
        self.warnings = warnings
        self._plain = plain
        self._hashed = hashed
        self._key = secrets.token_bytes(32)
        self._known_good: dict[str, bytes] = {}
        """For logins with a hash, at most one each: a digest of the passcode that was found right."""
        # Whatever is wrong costs one check of a hash; that of the most expensive line, where there are any.
        self._decoy = max(hashed.values(), key=_cost, default="") or _HASHER.hash(secrets.token_bytes(16))

    def __contains__(self, login: object) -> bool:
        return login in self._plain or login in self._hashed

    def __len__(self) -> int:
        return len(self._plain) + len(self._hashed)

    @property
    def logins(self) -> tuple[str, ...]:
        """Who can log in."""
        return (*self._plain, *self._hashed)

    @classmethod
    def load(cls, path: Path) -> Users:
        """Read the file. A missing one lets nobody in, as in the original. Raises ConfigError.

        ``warnings`` of the result has a text for everything an administrator should look at.
        """
        try:
            with path.open("rb") as file:
                text = file.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
                others = os.fstat(file.fileno()).st_mode & 0o007
        except FileNotFoundError:
            return cls({}, {}, [f"{path}: no such file; nobody can log in"])
        except OSError as error:
            raise ConfigError(f"{path}: cannot read the logins: {error.strerror}") from None
        users = cls(*_parse(text, str(path)))
        users.warnings += users._told_of_costs(str(path))
        if others:
            users.warnings.append(f"{path}: open to every user of this machine; make it 0640 or less")
        if not len(users):
            users.warnings.append(f"{path}: no login in it; nobody can log in")
        return users

    def _told_of_costs(self, path: str) -> list[str]:
        """What there is to say about the cost of hashes."""
        texts = []
        dearest = _cost(self._decoy)
        cheaper = [login for login, encoded in self._hashed.items() if _cost(encoded) < dearest]
        if cheaper:
            texts.append(
                f"{path}: hashes of different cost: {_some(cheaper)} can be tried faster than the others by"
                " who has the file; make all of them anew with stompserver --hash-password"
            )
        usual = _HASHER.time_cost * _HASHER.memory_cost
        dear = [login for login, encoded in self._hashed.items() if _cost(encoded) > DEAR * usual]
        if dear:
            times = dearest // usual
            texts.append(
                f"{path}: the hash of {_some(dear)} takes {times} times the work of a usual one, and so does each"
                " wrong login; make it anew with stompserver --hash-password"
            )
        return texts

    def remember(self, old: Source) -> None:
        """Take over which passcodes were found right before, of the logins whose line is the same as in ``old``."""
        before = old.users
        if before is None:
            return
        self._key = before._key
        for login, seen in list(before._known_good.items()):
            if self._hashed.get(login, "") == before._hashed[login]:
                self._known_good[login] = seen

    def recognise(self, login: str | None, passcode: str | None) -> Principal | None:
        """Who that is, where it takes no hash to tell: the passcode is in the file as it is, or was found right
        before. None for whoever else, right or wrong. Takes as long for a login that does not exist.
        """
        if login is None or passcode is None:
            return None
        plain = self._plain.get(login)
        right = _NOTHING
        if plain is not None:
            right = self._digest(plain)
        elif login in self._known_good:
            right = self._known_good[login]
        found = [hmac.compare_digest(right, self._digest(_encoded(form))) for form in _forms(passcode)]
        return Principal(login) if any(found) else None

    def has_hash(self, login: str | None, passcode: str | None) -> bool:
        """Whether a hash has to be computed to tell if this passcode is right; else no work can make it right."""
        return passcode is not None and login in self._hashed

    elsewhere: tuple[Elsewhere, ...] = ()
    """Nobody else is asked."""

    @property
    def users(self) -> Users:
        """As Source has it."""
        return self

    def knew(self, login: str | None, passcode: str | None) -> bool:
        """As Source has it: nobody is known from elsewhere."""
        return False

    async def ask(self, login: str | None, passcode: str | None, address: str) -> Principal | None:
        """As Source has it: there is nobody to ask."""
        return None

    async def close(self) -> None:
        """As Source has it: nothing is open."""

    def can_be_right(self, login: str | None, passcode: str | None) -> bool:
        """Whether any work can make this right."""
        return self.has_hash(login, passcode)

    def token(self, login: str | None, passcode: str | None) -> bytes:
        """What is the same for the same login and passcode in this process, and tells nothing about either."""
        name = _encoded(login or "")
        return hmac.digest(self._key, b"%d %b%b" % (len(name), name, _encoded(passcode or "")), "sha256")

    def check(self, login: str | None, passcode: str | None) -> Principal | None:
        """Who has this login and passcode, which is tried literally, then without STOMP's escapes; None for nobody.

        What is wrong costs the work of a hash, whether the login exists or not; what ``recognise`` knows costs none.
        """
        known = self.recognise(login, passcode)
        if known is not None:
            return known
        encoded = self._hashed.get(login) if login is not None and passcode is not None else None
        for form in _forms(passcode or ""):
            octets = _encoded(form)
            if encoded is None:
                self._verify(self._decoy, octets)
            elif self._verify(encoded, octets):
                assert login is not None
                self._known_good[login] = self._digest(octets)
                return Principal(login)
        return None

    def _digest(self, passcode: bytes) -> bytes:
        return hmac.digest(self._key, passcode, "sha256")

    @staticmethod
    def _verify(encoded: str, passcode: bytes) -> bool:
        try:
            return _HASHER.verify(encoded, passcode)
        except (VerificationError, InvalidHashError):
            return False


def hashed_line(login: str, passcode: str) -> str:
    """The line of ``.passwd`` for this login. Raises ValueError when the file could not give it back."""
    if not login or login.startswith(_COMMENT) or re.search(r"\s", login, re.ASCII):
        raise ValueError("a login is one word that does not start with #")
    if not login.isprintable() or not passcode.isprintable():
        raise ValueError("a login or passcode has no control characters")
    if not passcode:
        raise ValueError("the passcode is empty")
    return f"{login}:{_HASHER.hash(_encoded(passcode))}"


def _parse(text: str, path: str) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    plain: dict[str, bytes] = {}
    hashed: dict[str, str] = {}
    warnings = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(_BLANKS)
        if not line or line.startswith(_COMMENT):
            continue
        match = _ENTRY.fullmatch(line)
        if match is None:
            warnings.append(f"{path} line {number}: not of the form login:passcode; ignored")
            continue
        login, passcode = match.groups()
        plain.pop(login, None)
        hashed.pop(login, None)
        if not passcode.startswith(_HASHED):
            plain[login] = _encoded(passcode)
        elif _cost(passcode):
            hashed[login] = passcode
        else:
            warnings.append(f"{path} line {number}: not a hash that can be checked; ignored")
    return plain, hashed, warnings


def _some(logins: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(logins) - 5} more" if len(logins) > 5 else ""
    return ", ".join(logins[:5]) + more


def _cost(encoded: str) -> int:
    """How much work a hash is; 0 when it is none."""
    try:
        parameters = extract_parameters(encoded)
    except InvalidHashError:
        return 0
    return parameters.memory_cost * parameters.time_cost


def _encoded(text: str) -> bytes:
    """The bytes that were sent or read; lone surrogates, which no decoder makes, are no exception either."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _forms(passcode: str) -> list[str]:
    """What a passcode that was sent may mean: itself, and itself without STOMP's escapes."""
    return list(dict.fromkeys((passcode, _unescaped(passcode))))


def _unescaped(text: str) -> str:
    """STOMP 1.2's header escapes undone; anything else after a backslash stays as it is."""
    return re.sub(r"\\[cnr\\]", lambda match: _ESCAPES[match[0]], text) if "\\" in text else text
