"""Disk space kept free for the moment when there is no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SHARE: Final = 4
"""The reserve is at most this part of its file system, so that a small disk has room for messages besides."""


class Reserve:
    """A file of ``bytes`` in the storage directory that is given up when the disk is full, so that what was
    accepted can still be written and what is consumed can still be removed (beanstalkd reserves likewise).
    ``held`` tells whether the space is taken now.
    """

    def __init__(self, directory: Path, bytes: int) -> None:
        self._path = directory / "reserve"
        self.bytes: int = bytes
        self.held = not bytes

    def hold(self) -> bool:
        """Take the space, if it is there; whether it is held now."""
        if not self.bytes:
            return True
        try:
            status = os.statvfs(self._path.parent)
            self.bytes = min(self.bytes, status.f_blocks * status.f_frsize // SHARE)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            if os.fstat(file).st_size != self.bytes:
                os.posix_fallocate(file, 0, self.bytes)
            self.held = True
            return True
        except OSError:
            self.give_up()
            return False
        finally:
            os.close(file)

    def give_up(self) -> bool:
        """Give the space back to the file system; whether any was held."""
        self.held = not self.bytes
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def free(self) -> int:
        """Bytes that the file system has for us beside the reserve."""
        status = os.statvfs(self._path.parent)
        return status.f_bavail * status.f_frsize
