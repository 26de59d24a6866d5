"""The dbm libraries: Berkeley DB, GNU dbm and ndbm, each as two acts: write a database at one go, and look into it.

None of them is asked to change a database: GNU dbm and ndbm have no transactions, and a process that dies while
they write leaves a file that they may read wrongly ever after.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol
from zlib import crc32

_PART: Final = struct.Struct(">I")

PAIR: Final = 900
"""Octets of a value where the library may refuse more than about 1 KiB for key and value."""

PAGE: Final = 32 << 10
"""Octets of a page in Berkeley DB."""

_UNKNOWN: Final = errno.ENOSPC
"""What a write failed of when the library does not say. The messages are in the log, so nothing is lost by it, and
where the disk has another trouble the log will find it.
"""

MISSING: Final = (
    "install the Python package berkeleydb (pip install 'stompserver[dbm]', which builds against Debian's"
    " libdb-dev), or use a Python that has GNU dbm (Debian's, with python3-gdbm)"
)


class Reader(Protocol):
    """A database open for reading. Both raise OSError."""

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``."""

    def close(self) -> None:
        """Let go of the file."""


class Engine(Protocol):
    """A library; ``product`` is its name for people, ``package`` where to get it. A database is up to ``swell``
    times as large as what is in it.

    Constructing it raises ImportError when it is not there; the rest raises OSError.
    """

    product: str
    package: str
    swell: float

    def create(self, path: Path, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Make a database at ``path``, to which the library may add suffixes. Not synced."""

    def open(self, path: Path) -> Reader:
        """Open what ``create`` made."""


class BerkeleyDb:
    """Berkeley DB's B-tree with page checksums, by the package ``berkeleydb``."""

    package = "the Python package berkeleydb (pip install 'stompserver[dbm]', with Debian's libdb-dev)"
    swell = 1.3

    def __init__(self) -> None:
        self._db: Any = import_module("berkeleydb").db
        self.product = "Berkeley DB " + ".".join(str(part) for part in self._db.version())

    def create(self, path: Path, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Best with ``items`` in the order of their keys."""
        db = self._db
        try:
            made = db.DB()
            try:
                made.set_flags(db.DB_CHKSUM)
                # What is larger than a quarter of a page takes whole pages.
                made.set_pagesize(PAGE)
                made.open(
                    os.fspath(path), dbtype=db.DB_BTREE, flags=db.DB_CREATE | db.DB_TRUNCATE, mode=0o600
                )
                for key, value in items:
                    made.put(key, value)
            finally:
                made.close()
        except db.DBError as problem:
            raise OSError(*problem.args) from problem

    def open(self, path: Path) -> Reader:
        """Open read-only."""
        db = self._db
        try:
            made = db.DB()
            made.open(os.fspath(path), dbtype=db.DB_BTREE, flags=db.DB_RDONLY)
        except db.DBError as problem:
            raise OSError(*problem.args) from problem
        return _BerkeleyReader(made, db.DBError)


class _BerkeleyReader:
    def __init__(self, handle: Any, error: type[Exception]) -> None:
        self._handle = handle
        self._error = error

    def get(self, key: bytes) -> bytes | None:
        try:
            found: bytes | None = self._handle.get(key)
        except self._error as problem:
            raise OSError(*problem.args) from problem
        return found

    def close(self) -> None:
        try:
            self._handle.close()
        except self._error as problem:
            raise OSError(*problem.args) from problem


class GnuDbm:
    """GNU dbm, by the standard library's ``dbm.gnu``."""

    package = "GNU dbm for Python (Debian's python3-gdbm, for Debian's Python)"
    swell = 1.5

    def __init__(self) -> None:
        self._dbm: Any = import_module("dbm.gnu")
        version = getattr(import_module("_gdbm"), "_GDBM_VERSION", None)
        self.product = "GNU dbm" + ("" if version is None else " " + ".".join(map(str, version)))

    def create(self, path: Path, items: Iterable[tuple[bytes, bytes]]) -> None:
        """In GNU dbm's fast mode: it is synced once, by the caller."""
        written: dict[bytes, int] = {}
        with self._dbm.open(os.fspath(path), "nf", 0o600) as made:
            for key, value in items:
                made[key] = value
                written[key] = crc32(value)
        _verify(self.open(path), written)

    def open(self, path: Path) -> Reader:
        """Open read-only."""
        made: Reader = self._dbm.open(os.fspath(path), "r")
        return made


class Ndbm:
    """What the standard library's ``dbm.ndbm`` was built with. Values are kept in parts of ``part`` octets, since
    an old ndbm takes no more than about 1 KiB for key and value; 0 is for whole ones.
    """

    package = "a Python built with ndbm"
    swell = 4.0

    def __init__(self, part: int | None = None) -> None:
        self._dbm: Any = import_module("dbm.ndbm")
        library = str(getattr(self._dbm, "library", "unknown library"))
        self.product = f"ndbm ({library})"
        whole = library in ("Berkeley DB", "GNU gdbm")
        self.part: int = part if part is not None else 0 if whole else PAIR

    def create(self, path: Path, items: Iterable[tuple[bytes, bytes]]) -> None:
        """The library adds ``.db``, or ``.dir`` and ``.pag``."""
        written: dict[bytes, int] = {}
        try:
            with self._dbm.open(os.fspath(path), "n", 0o600) as made:
                for key, value in items:
                    written[key] = crc32(value)
                    self._put(made, key, value)
        except self._dbm.error as problem:
            if problem.errno is not None:
                raise
            raise OSError(_UNKNOWN, str(problem)) from problem
        _verify(self.open(path), written)

    def _put(self, made: Any, key: bytes, value: bytes) -> None:
        parts = -(-len(value) // self.part) if self.part else 1
        if parts > 1:
            for number in range(1, parts):
                start = number * self.part
                made[key + _PART.pack(number)] = value[start : start + self.part]
            value = value[: self.part]
        # How many parts there are stands before the first.
        made[key] = _PART.pack(parts) + value

    def open(self, path: Path) -> Reader:
        """Open read-only."""
        return _NdbmReader(self._dbm.open(os.fspath(path), "r"))


class _NdbmReader:
    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def get(self, key: bytes) -> bytes | None:
        first: bytes | None = self._handle.get(key)
        if first is None or len(first) < _PART.size:
            return None
        (parts,) = _PART.unpack_from(first)
        found = [first[_PART.size :]]
        for number in range(1, parts):
            part = self._handle.get(key + _PART.pack(number))
            if part is None:
                return None
            found.append(part)
        return b"".join(found)

    def close(self) -> None:
        self._handle.close()


def _verify(reader: Reader, written: dict[bytes, int]) -> None:
    """Whether all is there that was written: Python does not say when these libraries fail to write at closing.
    Raises OSError.
    """
    try:
        for key, check in written.items():
            value = reader.get(key)
            if value is None or crc32(value) != check:
                raise OSError(_UNKNOWN, "the dbm library could not write all of it")
    finally:
        reader.close()


ENGINES: Final[dict[str, type[BerkeleyDb] | type[GnuDbm] | type[Ndbm]]] = {
    "berkeleydb": BerkeleyDb,
    "gnu": GnuDbm,
    "ndbm": Ndbm,
}
"""By preference. Python's own dumb dbm is not among them."""


def available() -> tuple[str, Engine]:
    """The first library that is there, with its name in ENGINES. Raises ImportError when none is."""
    for name, engine in ENGINES.items():
        try:
            return name, engine()
        except ImportError:
            continue
    raise ImportError(MISSING)
