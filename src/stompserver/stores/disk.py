"""What stores on a file system share: which errors mean full, and directories that survive a power cut."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from stompserver.errors import StoreError, StoreFull

NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""The disk is full, the quota used up, the file larger than this process may write."""


def refused(problem: OSError, doing: str) -> StoreError:
    """The error to raise for ``problem``: StoreFull where room may come back, else StoreError."""
    text = f"cannot {doing}: {problem.strerror or problem}"
    return StoreFull(text) if problem.errno in NO_ROOM else StoreError(text)


def sync_directory(path: str | Path) -> None:
    """Make the names in ``path`` survive a power cut. Raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def allocate(file: int, start: int, end: int) -> None:
    """Take the blocks from ``start`` to ``end`` of an open file, so that writing there needs no more room.

    Does nothing where the system knows no such call. Raises OSError.
    """
    if end <= start or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, start, end - start)
    except OSError as problem:
        if problem.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
