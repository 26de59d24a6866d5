"""By which names one sees that a directory may hold something of Ruby's stompserver, or of its import.

``migrate`` knows the rest, which is much, and which a start where nothing of the kind lies about does not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

INDEX: Final = "qinfo"
NEW_INDEX: Final = "qinfo.new"
"""Under this name it is written before it replaces the old one."""
PREFIX: Final = "_queue"
"""What names of directories and databases start with, because queues start with /queue."""
SQLITE: Final = b"SQLite format 3\0"
"""What a database of SQLite starts with."""
LEDGER: Final = "original-import.jsonl"
"""What was imported into a storage; there from the first import on."""


def perhaps(storage: Path, etc: Path) -> bool:
    """Whether ``migrate.found`` has anything to look at. Never raises."""
    return any(
        path.name in (INDEX, NEW_INDEX) or path.name.startswith(PREFIX) for path in _paths(storage)
    ) or any(is_sqlite(path) for folder in (storage, etc) for path in _paths(folder))


def was_begun(storage: Path) -> bool:
    """Whether an import was ever begun; true also where that cannot be seen."""
    try:
        (storage / LEDGER).lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def is_sqlite(path: Path) -> bool:
    """Whether the file starts as a SQLite database does."""
    try:
        # Opening a pipe would wait for ever.
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def _paths(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
