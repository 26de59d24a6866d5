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

# OWASP's recommendation for argon2id: 20 ms and 19 MiB a check, bearable when a herd of clients comes back.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_BLANKS = " \t\r\n\f\v"
_ENTRY = re.compile(r"(\S+)\s*:\s*(.*)", re.ASCII)
_COMMENT = "#"
_HASHED = "$argon2"
_ESCAPES = {"\\c": ":", "\\n": "\n", "\\\\": "\\", "\\r": "\r"}


class Users:
    """Logins and passcodes as they were at ``load``; several threads may call ``check`` at once."""

    def __init__(self, plain: dict[str, bytes], hashed: dict[str, str], warnings: list[str]) -> None:
        self.warnings = warnings
        self._plain = plain
        self._hashed = hashed
        self._key = secrets.token_bytes(32)
        self._known_good: dict[str, bytes] = {}
        # Whatever is wrong costs one check of a hash; that of the most expensive line, where there are any.
        self._decoy = max(hashed.values(), key=_cost, default="") or _HASHER.hash(secrets.token_bytes(16))

    def __len__(self) -> int:
        return len(self._plain) + len(self._hashed)

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
        if others:
            users.warnings.append(f"{path}: open to every user of this machine; make it 0640 or less")
        if not len(users):
            users.warnings.append(f"{path}: no login in it; nobody can log in")
        return users

    def check(self, login: str | None, passcode: str | None) -> bool:
        """Whether this is a login with its passcode, which is tried literally, then without STOMP's escapes.

        What is wrong costs the time of a hash, and the same whether the login exists or not; what is right
        and was seen before costs nothing, so that clients can come back all at once.
        """
        if login is None or passcode is None:
            login, passcode = "", passcode or ""
        forms = dict.fromkeys((passcode, _unescaped(passcode)))
        return any(self._matches(login, _encoded(form)) for form in forms)

    def _matches(self, login: str, passcode: bytes) -> bool:
        if (plain := self._plain.get(login)) is not None:
            return hmac.compare_digest(plain, passcode) or self._verify(self._decoy, passcode, decoy=True)
        if (encoded := self._hashed.get(login)) is None:
            return self._verify(self._decoy, passcode, decoy=True)
        seen = hmac.digest(self._key, passcode, "sha256")
        if hmac.compare_digest(self._known_good.get(login, b""), seen):
            return True
        if not self._verify(encoded, passcode):
            return False
        self._known_good[login] = seen
        return True

    @staticmethod
    def _verify(encoded: str, passcode: bytes, decoy: bool = False) -> bool:
        try:
            return _HASHER.verify(encoded, passcode) and not decoy
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


def _unescaped(text: str) -> str:
    """STOMP 1.2's header escapes undone; anything else after a backslash stays as it is."""
    return re.sub(r"\\[cnr\\]", lambda match: _ESCAPES[match[0]], text) if "\\" in text else text
