"""API tokens: long random passcodes for programs, of which a file keeps only hashes.

A line is ``name:$sha256:HEX``, HEX being SHA-256 of the token. A plain hash is enough: what is as long as a token
cannot be guessed, so nothing has to be made slow. ``#`` starts a comment line; of repeated names each line counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stompserver.errors import ConfigError
from stompserver.security.account import Account, usable

PREFIX: Final = "sst_"
"""What each token begins with, so that those who look for secrets in what is published find it."""

OCTETS: Final = 32
"""Random octets of a token."""

_MARK: Final = ":$sha256:"
_LINE: Final = re.compile(r"(\S+?):\$sha256:([0-9a-fA-F]{64})", re.ASCII)


class Tokens:
    """The tokens of a file as they were at ``load``. ``warnings`` has a text for what an administrator should see."""

    name: Final = "tokens"

    def __init__(self, lines: list[tuple[str, bytes]], warnings: list[str]) -> None:
        self.warnings = warnings
        self._key = secrets.token_bytes(32)
        # Found by a digest with a key that nobody else has: how long that takes tells nothing about the hashes.
        self._found: dict[bytes, list[tuple[str, bytes]]] = {}
        for name, digest in lines:
            self._found.setdefault(self._digest(digest), []).append((name, digest))

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    @classmethod
    def load(cls, path: Path) -> Tokens:
        """Read the file; a missing one has no tokens. Raises ConfigError."""
        try:
            with path.open("rb") as file:
                text = file.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
                others = os.fstat(file.fileno()).st_mode & 0o007
        except FileNotFoundError:
            return cls([], [f"{path}: no such file; make a token with stompctl token add NAME"])
        except OSError as error:
            raise ConfigError(f"{path}: cannot read the tokens: {error.strerror}") from None
        lines = []
        warnings = []
        for number, raw in enumerate(text.split("\n"), start=1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None or not usable(match[1]):
                warnings.append(f"{path} line {number}: not of the form name:$sha256:HASH; ignored")
                continue
            lines.append((match[1], bytes.fromhex(match[2])))
        if others:
            warnings.append(f"{path}: open to every user of this machine; make it 0640 or less")
        return cls(lines, warnings)

    def recognise(self, login: str, passcode: str) -> Account | None:
        """Whose token the passcode is, for who gives its name as login, or no login."""
        digest = hashlib.sha256(passcode.encode("utf-8", "surrogatepass")).digest()
        found = None
        for name, right in self._found.get(self._digest(digest), ()):
            if hmac.compare_digest(right, digest) and login in ("", name):
                found = name
        return Account(found) if found is not None else None

    def _digest(self, octets: bytes) -> bytes:
        return hmac.digest(self._key, octets, "sha256")


def add(path: Path, name: str) -> str:
    """Add a new token of that name to the file, which is made where there is none, and return it: nobody can find it
    out later. Raises ConfigError.
    """
    if not usable(name) or re.search(r"\s|\$", name) or name.startswith("#"):
        raise ConfigError("a token's name is one word without $ that does not start with #")
    token = PREFIX + secrets.token_urlsafe(OCTETS)
    line = f"{name}{_MARK}{hashlib.sha256(token.encode()).hexdigest()}\n"
    with _locked(path):
        text = _read(path)
        if name in [each for each, _ in _entries(text)]:
            raise ConfigError(
                f"{path}: there is a token {name} already; remove it first, or choose another name"
            )
        _write(path, text + ("" if not text or text.endswith("\n") else "\n") + line)
    return token


def names(path: Path) -> list[str]:
    """The names of the tokens in the file, in its order. Raises ConfigError."""
    return [name for name, _ in _entries(_read(path))]


def remove(path: Path, name: str) -> None:
    """Take the token of that name out of the file. Raises ConfigError where there is none."""
    with _locked(path):
        text = _read(path)
        if name not in [each for each, _ in _entries(text)]:
            raise ConfigError(
                f"{path}: there is no token {name}; stompctl token list shows those that there are"
            )
        kept = []
        for line in text.splitlines(keepends=True):
            match = _LINE.fullmatch(line.strip())
            if match is None or match[1] != name:
                kept.append(line)
        _write(path, "".join(kept))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line.strip())) is not None:
            yield match[1], match[2]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the tokens: {error.strerror}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile: its folder is locked, as the file itself is replaced."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{path.parent}: cannot open the folder of the tokens: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole; it keeps its owner and mode, and a new one is its folder's owner's alone."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        try:
            old = path.stat()
            owner, mode = old, old.st_mode & 0o7777
        except FileNotFoundError:
            owner, mode = path.parent.stat(), 0o600
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                if os.geteuid() == 0:
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                os.fchmod(descriptor, mode)
                file.flush()
                os.fsync(descriptor)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot write the tokens: {error.strerror}") from None
