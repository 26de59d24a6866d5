"""Disk space kept free for the moment when there is no other."""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """A file of ``bytes`` in the storage directory that is given up when the disk is full, so that what was
    accepted can still be written and what is consumed can still be removed (beanstalkd reserves likewise).
    """

    def __init__(self, directory: Path, bytes: int) -> None:
        self._path = directory / "reserve"
        self._bytes = bytes

    def hold(self) -> bool:
        """Take the space, if it is there; whether it is held now."""
        if not self._bytes:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            if os.fstat(file).st_size != self._bytes:
                os.posix_fallocate(file, 0, self._bytes)
            return True
        except OSError:
            self.give_up()
            return False
        finally:
            os.close(file)

    def give_up(self) -> bool:
        """Give the space back to the file system; whether any was held."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def free(self) -> int:
        """Bytes that the file system has for us beside the reserve."""
        status = os.statvfs(self._path.parent)
        return status.f_bavail * status.f_frsize
