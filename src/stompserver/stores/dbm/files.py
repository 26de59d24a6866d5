"""The files of the dbm store's directory, but for the log: databases, their keys, and the state.

``state`` is one line, ``stompserver dbm FORMAT CRC-32``, one line of JSON (log: number of the log; next: number of
the next segment; segments: number, library, octets of files, octets of places gone; marks: queue, key, attempts),
and the places gone of all segments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from zlib import crc32

from stompserver.errors import StoreDamaged, StoreError, StoreForeign
from stompserver.stores.dbm.engines import ENGINES, Engine, Reader
from stompserver.stores.dbm.index import Segment, write_keys
from stompserver.stores.disk import Anchor, allocate, refused, sync_directory

FORMAT: Final = 1

_OPEN: Final = 16
"""Databases kept open."""

_SUFFIX: Final = {"berkeleydb": ".db", "gnu": ".gdbm", "ndbm": ".ndbm"}

Mark = tuple[str, int, int]
"""Queue, key, attempts."""


class State:
    """What counts: the ``segments``, by number, the log's number, ``following``, the number of the next segment, and
    ``marks``.
    """

    __slots__ = ("following", "log", "marks", "segments")

    def __init__(self, segments: list[Segment], marks: list[Mark], log: int, following: int) -> None:
        self.segments = segments
        self.marks = marks
        self.log: int = log
        self.following: int = following


class Files:
    """What is in ``directory``; ``engines`` are the libraries loaded already."""

    def __init__(self, directory: Path, engines: dict[str, Engine]) -> None:
        self.directory = directory
        self._state = directory / "state"
        self._engines = engines
        self._readers: dict[int, Reader] = {}
        self._anchor = Anchor()

    def library(self, name: str) -> Engine:
        """The library that ENGINES has under that name. Raises StoreError."""
        engine = self._engines.get(name)
        if engine is None:
            if name not in ENGINES:
                raise StoreForeign(f"{self.directory}: this version knows no dbm library {name!r}")
            try:
                engine = self._engines[name] = ENGINES[name]()
            except ImportError as missing:
                need = ENGINES[name].package
                text = f"{self.directory}: to read it needs {need}, which is not installed: {missing}"
                raise StoreError(text) from missing
        return engine

    def base(self, number: int, engine: str) -> Path:
        """The database of a segment, as its library is told."""
        return self.directory / f"{number:08d}{_SUFFIX[engine]}"

    def keys(self, number: int) -> Path:
        """The file of keys of a segment."""
        return self.directory / f"{number:08d}.keys"

    def databases(self, number: int) -> list[Path]:
        """The database of a segment as it is on the disk."""
        return [path for path in self.directory.glob(f"{number:08d}.*") if path.suffix != ".keys"]

    def record(self, segment: Segment, place: bytes) -> bytes | None:
        """What ``segment`` has at ``place``. Raises OSError, also when the database is not as it was written."""
        number = segment.number
        reader = self._readers.pop(number, None)
        if reader is None:
            size = sum(path.stat().st_size for path in self.databases(number))
            if size != segment.size:
                # Before the library finds out, which may have mapped the file into memory.
                raise OSError(f"the file has {size} octets, not {segment.size}")
            if len(self._readers) >= _OPEN:
                self._readers.pop(next(iter(self._readers))).close()
            reader = self.library(segment.engine).open(self.base(number, segment.engine))
        self._readers[number] = reader
        return reader.get(place)

    def write(
        self,
        number: int,
        engine: str,
        items: Iterable[tuple[bytes, bytes]],
        held: dict[str, list[tuple[int, int]]],
        octets: int,
    ) -> int:
        """Make the files of a segment from ``octets`` of records; octets of its database. Raises StoreFull,
        StoreError: then none are there.
        """
        base = self.base(number, engine)
        try:
            library = self.library(engine)
            self._try_room(int(octets * library.swell) + (64 << 10))
            library.create(base, items)
            size = 0
            for path in self.databases(number):
                path.chmod(0o600)
                size += _sync(path)
            write_keys(self.keys(number), held)
            _sync(self.keys(number))
            sync_directory(self.directory)
        except BaseException as problem:
            for path in [*self.databases(number), self.keys(number)]:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            if isinstance(problem, OSError):
                raise refused(problem, f"write {base}") from problem
            raise
        return size

    def _try_room(self, octets: int) -> None:
        """Whether the disk has so much: Berkeley DB takes seconds to find out. Raises OSError."""
        aside = self.directory / "room"
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            allocate(file, 0, octets)
        finally:
            os.close(file)
            aside.unlink()

    def read_state(self) -> State:
        """Raises StoreDamaged, StoreForeign, OSError."""
        try:
            self._anchor.hold(self._state)
            octets = self._state.read_bytes()
        except FileNotFoundError:
            raise StoreDamaged(f"{self._state} is missing") from None
        first, _, rest = octets.partition(b"\n")
        words = first.split()
        if len(words) != 4 or words[:2] != [b"stompserver", b"dbm"] or not words[2].isdigit():
            raise StoreDamaged(f"{self._state} cannot be read")
        if int(words[2]) > FORMAT:
            raise StoreForeign(
                f"{self.directory} has format {int(words[2])}, of a newer version; this one knows {FORMAT}"
            )
        if words[3] != b"%08x" % crc32(rest):
            raise StoreDamaged(f"{self._state}: checksum does not fit")
        head, _, gone = rest.partition(b"\n")
        said = json.loads(head)
        segments: list[Segment] = []
        at = 0
        for number, engine, size, length in said["segments"]:
            segments.append(Segment(number, engine, size, gone[at : at + length]))
            at += length
        marks = [(name, key, attempts) for name, key, attempts in said["marks"]]
        return State(segments, marks, said["log"], said["next"])

    def write_state(self, state: State) -> None:
        """Make ``state`` what counts, at once and for good. Raises StoreFull, with the old state in force, and
        StoreError.
        """
        said = {
            "log": state.log,
            "next": state.following,
            "segments": [[each.number, each.engine, each.size, len(each.gone)] for each in state.segments],
            "marks": state.marks,
        }
        rest = b"\n".join((json.dumps(said).encode(), b"".join(each.gone for each in state.segments)))
        aside = self.directory / "state.new"
        try:
            aside.touch(0o600)
            aside.write_bytes(b"stompserver dbm %d %08x\n" % (FORMAT, crc32(rest)) + rest)
            _sync(aside)
            aside.replace(self._state)
        except OSError as problem:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise refused(problem, f"write {aside}") from problem
        try:
            self._anchor.hold(self._state)
            sync_directory(self.directory)
        except OSError as problem:
            raise StoreError(f"cannot sync {self.directory}: {problem.strerror}") from problem

    def verify(self) -> None:
        """Raises StoreError when ``state`` is not the one that was read or written last."""
        self._anchor.verify()

    def strays(self, numbers: Container[int], log: int) -> list[Path]:
        """Files that belong neither to these segments nor to that log."""
        found = []
        for path in self.directory.iterdir():
            stem, _, suffix = path.name.partition(".")
            if stem == "log":
                kept = suffix == str(log)
            else:
                kept = path.name == "state" or (stem.isdigit() and int(stem) in numbers)
            if not kept:
                found.append(path)
        return found

    def clean(self, numbers: Container[int], log: int) -> None:
        """Remove strays: what a crash leaves between a new state and the end of the old. Raises OSError."""
        for number in [each for each in self._readers if each not in numbers]:
            self._readers.pop(number).close()
        for path in self.strays(numbers, log):
            path.unlink(missing_ok=True)

    def used(self) -> int:
        """Octets of all files. Raises OSError."""
        return sum(path.stat().st_size for path in self.directory.iterdir())

    def close(self) -> None:
        """Close the databases."""
        self._anchor.release()
        readers, self._readers = self._readers, {}
        for reader in readers.values():
            with suppress(OSError):
                reader.close()


def _sync(path: Path) -> int:
    """Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
        return os.fstat(file).st_size
    finally:
        os.close(file)
