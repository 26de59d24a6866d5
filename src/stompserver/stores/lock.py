"""One process at a time on a storage directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from stompserver.errors import StoreError, StoreLocked
from stompserver.stores.disk import stay


class Lock:
    """Holds ``directory`` (made when missing, 0700), or what ``name`` stands for in it, until ``release`` or the end
    of the process.

    Raises StoreLocked, naming the process that has it, and StoreError when the directory cannot be used.
    """

    def __init__(self, directory: Path, name: str = "lock") -> None:
        self._path = directory / name
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: int | None = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StoreError(f"cannot use the storage {directory}: {problem.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreLocked(
                f"the storage {directory} is in use by process {holder or 'unknown'}; stop it, or use another"
                " storage"
            ) from None
        except OSError as problem:
            os.close(self._file)
            raise StoreError(f"cannot lock the storage {directory}: {problem.strerror}") from None
        self._held = os.fstat(self._file)
        with contextlib.suppress(OSError):
            # On a full disk the lock holds all the same, it only cannot say whose it is.
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def verify(self) -> None:
        """Raise StoreError when the lock keeps nobody out any more: its file was removed, moved or replaced."""
        if self._file is not None:
            self._held = stay(self._path, self._held, self._file)

    def release(self) -> None:
        """Let others have it. May be called again. The file stays: removing it would let two in."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
