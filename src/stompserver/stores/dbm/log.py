"""The log of the dbm store: batches of ops, appended, each all there or not at all.

A batch (numbers big-endian): ``sdb1``, length of the payload (8), octets of the log known to be synced when it was
written (8), CRC-32 (4) of the two numbers and the payload, payload (see ops.py).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from zlib import crc32

from stompserver.errors import StoreDamaged
from stompserver.stores.disk import allocate, refused, stay, sync_directory

_NUMBERS: Final = struct.Struct(">QQ")
_CHECK: Final = struct.Struct(">I")
_MAGIC: Final = b"sdb1"
HEAD: Final = len(_MAGIC) + _NUMBERS.size + _CHECK.size

STEP: Final = 4 << 20
"""Octets taken from the file system ahead of their use, where there is no limit."""


class Log:
    """A log file, made at the first write. ``end`` is where the next batch goes; ``step`` is how much more of the
    file system than needed it takes at once.
    """

    def __init__(self, path: Path, step: int = STEP) -> None:
        self.path = path
        self._step: int = step
        self.end: int = 0
        self._synced: int = 0
        self._taken: int = 0
        self._file: int | None = None
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise refused(problem, f"open {path}") from problem

    def batches(self) -> Iterator[tuple[int, bytes]]:
        """The whole batches: where the payload is, and the payload. What was being written when the writer died is
        cut off at the end. Raises StoreDamaged when a batch that was synced is not whole.
        """
        if self._file is None:
            return
        length = os.fstat(self._file).st_size
        at = 0
        while True:
            found = self._batch(at, length)
            if found is None:
                break
            start, payload, _ = found
            yield start, payload
            at = start + len(payload)
        self._refuse_hole(at, length)
        # What is zero was taken ahead and not written.
        if any(os.pread(self._file, 1 << 16, place).strip(b"\0") for place in range(at, length, 1 << 16)):
            os.ftruncate(self._file, at)
            length = at
        self.end = self._synced = at
        self._taken = length

    def _batch(self, at: int, length: int) -> tuple[int, bytes, int] | None:
        assert self._file is not None
        head = os.pread(self._file, HEAD, at)
        if len(head) < HEAD or head[: len(_MAGIC)] != _MAGIC:
            return None
        size, synced = _NUMBERS.unpack_from(head, len(_MAGIC))
        if at + HEAD + size > length:
            return None
        payload = _read(self._file, size, at + HEAD)
        (check,) = _CHECK.unpack_from(head, HEAD - _CHECK.size)
        if check != crc32(payload, crc32(head[len(_MAGIC) : HEAD - _CHECK.size])):
            return None
        return at + HEAD, payload, synced

    def _refuse_hole(self, at: int, length: int) -> None:
        """Whether a batch behind ``at``, where none is whole, says that ``at`` was synced before it."""
        assert self._file is not None
        place = at
        while place < length:
            window = os.pread(self._file, 1 << 20, place)
            hit = window.find(_MAGIC)
            if hit < 0:
                place += max(1, len(window) - len(_MAGIC) + 1)
                continue
            place += hit
            found = self._batch(place, length)
            if found is not None and found[2] > at:
                raise StoreDamaged(
                    f"{self.path}: the batch at octet {at} cannot be read; there are more after it"
                )
            place += 1

    def reserve(self, need: int, keep: int) -> None:
        """Take room for ``need`` octets, and ``keep`` behind them that only removals may use. Raises StoreFull."""
        wanted = self.end + need + keep
        if wanted <= self._taken:
            return
        file = self._opened()
        try:
            try:
                allocate(file, self._taken, wanted + self._step)
                self._taken = wanted + self._step
            except OSError:
                allocate(file, self._taken, wanted)
                self._taken = wanted
        except OSError as problem:
            raise refused(problem, f"enlarge {self.path}") from problem

    @property
    def ahead(self) -> int:
        """Octets taken and not written yet."""
        return self._taken - self.end

    def verify(self) -> None:
        """Raises StoreError when the file that is open does not lie at its place any more."""
        if self._file is not None:
            stay(self.path, os.fstat(self._file), -1)

    def trim(self) -> None:
        """Give back the room that was taken ahead."""
        if self._file is not None and self._taken > self.end:
            with suppress(OSError):
                os.ftruncate(self._file, self.end)
                self._taken = self.end

    def append(self, payload: bytes) -> int:
        """Write a batch; where its payload is. Raises StoreFull, StoreError; then nothing is in the log."""
        file = self._opened()
        numbers = _NUMBERS.pack(len(payload), self._synced)
        head = _MAGIC + numbers + _CHECK.pack(crc32(payload, crc32(numbers)))
        try:
            _write(file, head + payload, self.end)
        except OSError as problem:
            with suppress(OSError):
                os.ftruncate(file, self.end)
                self._taken = self.end
            raise refused(problem, f"write {self.path}") from problem
        place = self.end + HEAD
        self.end = place + len(payload)
        self._taken = max(self._taken, self.end)
        return place

    def sync(self) -> None:
        """Raises OSError."""
        if self._file is not None and self._synced < self.end:
            os.fdatasync(self._file)
            self._synced = self.end

    def read(self, place: int, length: int) -> bytes:
        """Octets of a record. Raises OSError."""
        return b"" if self._file is None else _read(self._file, length, place)

    def size(self) -> int:
        """Octets of the file."""
        return 0 if self._file is None else os.fstat(self._file).st_size

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _opened(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                sync_directory(self.path.parent)
            except OSError as problem:
                raise refused(problem, f"make {self.path}") from problem
        return self._file


def _read(file: int, length: int, at: int) -> bytes:
    # One call reads at most 2 GiB, and may read less than asked.
    found = os.pread(file, length, at)
    while len(found) < length:
        more = os.pread(file, length - len(found), at + len(found))
        if not more:
            break
        found += more
    return found


def _write(file: int, octets: bytes, at: int) -> None:
    view = memoryview(octets)
    while view:
        done = os.pwrite(file, view, at)
        view = view[done:]
        at += done
