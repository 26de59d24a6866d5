"""The commit record of the file store: what a batch changes in directories, so that all of it happens or nothing.

Bodies are never in it: they are written once, aside, before it. The file ``journal`` holds one record at a time: 8
hexadecimal digits with the length of the text, 8 with its CRC-32, the text (JSON). It lies in blocks taken when the
store was made, so that a full disk does not keep it from being written. The batch happens at the moment when its
record is whole; a record that is cut or torn is none. Each change in it can be done again unharmed.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from stompserver.stores.disk import allocate

ROOM: Final = 1 << 20
"""Bytes taken for the record ahead of its use: about 20,000 removals."""

_HEAD: Final = 16


class Changes:
    """What a batch does: for each bucket (a path below the store's directory) the files to ``remove``, to rename
    within it, and to move there from ``new``; and the queues' directories to drop, with names for them in ``new``.
    """

    __slots__ = ("drops", "puts", "removes", "renames")

    def __init__(self) -> None:
        self.drops: list[tuple[str, str]] = []
        self.removes: dict[str, list[str]] = {}
        self.renames: dict[str, list[tuple[str, str]]] = {}
        self.puts: dict[str, list[tuple[str, str]]] = {}

    def __len__(self) -> int:
        count = len(self.drops) + sum([len(names) for names in self.removes.values()])
        return count + sum([len(pairs) for each in (self.renames, self.puts) for pairs in each.values()])

    def directories(self) -> set[str]:
        """The directories that it changes, but ``new``."""
        changed = {*self.removes, *self.renames, *self.puts}
        return changed | {"queues"} if self.drops else changed

    def apply(self, root: str, again: bool = False) -> None:
        """Do it below ``root``; ``again`` after a crash that may have left any part of it done. Raises OSError."""
        gone = (FileNotFoundError,) if again else ()
        for directory, aside in self.drops:
            path = f"{root}/queues/{directory}"
            if again and os.path.lexists(f"{root}/new/{aside}"):
                # Nothing came into that queue since. On some file systems it may now have both names.
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    os.rename(path, f"{root}/new/{aside}")
        for directory, names in self.removes.items():
            for name in names:
                with suppress(FileNotFoundError):
                    os.unlink(f"{root}/{directory}/{name}")
        for directory, pairs in self.renames.items():
            for old, name in pairs:
                with suppress(FileNotFoundError):
                    os.rename(f"{root}/{directory}/{old}", f"{root}/{directory}/{name}")
        for directory, pairs in self.puts.items():
            for aside, name in pairs:
                with suppress(*gone):
                    os.rename(f"{root}/new/{aside}", f"{root}/{directory}/{name}")

    def encode(self) -> bytes:
        """The record, with its head."""
        fields = {
            "drops": self.drops,
            "removes": self.removes,
            "renames": self.renames,
            "puts": self.puts,
        }
        text = json.dumps(fields, separators=(",", ":"), check_circular=False).encode("ascii")
        return b"%08x%08x%b" % (len(text), crc32(text), text)

    @classmethod
    def decode(cls, octets: bytes) -> Changes | None:
        """The changes of a record; None where there is no whole one."""
        try:
            length, check = int(octets[:8], 16), int(octets[8:_HEAD], 16)
        except ValueError:
            return None
        text = octets[_HEAD : _HEAD + length]
        if not length or len(text) != length or crc32(text) != check:
            return None
        fields: dict[str, Any] = json.loads(text)
        changes = cls()
        for name in cls.__slots__:
            setattr(changes, name, fields[name])
        return changes


class Journal:
    """The file with the record. Methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._taken = os.fstat(self._file).st_size
        self.live = False
        """Whether a record may be in it."""

    def reserve(self, length: int = ROOM) -> None:
        """Take blocks for a record of ``length`` bytes."""
        assert self._file is not None
        if length > self._taken:
            allocate(self._file, self._taken, length)
            self._taken = length

    def read(self) -> Changes | None:
        """The record, if a whole one is there."""
        assert self._file is not None
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            return Changes.decode(file.read())

    def write(self, record: bytes, sync: bool) -> None:
        """Put ``record`` in the place of the last one."""
        assert self._file is not None
        self.reserve(len(record))
        self.live = True
        rest = memoryview(record)
        place = 0
        while place < len(record):
            place += os.pwrite(self._file, rest[place:], place)
        if sync:
            os.fdatasync(self._file)

    def clear(self, sync: bool) -> None:
        """Leave no record."""
        assert self._file is not None
        os.pwrite(self._file, bytes(_HEAD), 0)
        if sync:
            os.fdatasync(self._file)
        self.live = False

    def close(self) -> None:
        """Close the file. May be called again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
