"""What was imported into a storage: a file in it that makes an import repeatable.

Each import is two lines of JSON. The first, synced before the store's one commit, names the messages by the
original's ids, with the numbers that they will have and digests; the second, after it, says that it is done. When a
crash leaves only the first the store tells which it was: a commit is all or nothing, so any of the messages that is
there under its number proves that all were.
"""

from __future__ import annotations

import contextlib
import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from stompserver.broker.message import Message
from stompserver.errors import StoreDamaged, StoreError
from stompserver.migrate.original import Original
from stompserver.stores.base import Store
from stompserver.stores.originals import LEDGER

BEGUN: Final = "begun"
DONE: Final = "done"
VOID: Final = "void"


def digest(message: Message) -> str:
    """Tells a message from another that a server gave the same number when the import had not been done."""
    parts = [str(message.number), message.destination]
    for name, value in message.headers.items():
        parts += [name, value]
    head = "\0".join(parts).encode("utf-8", "surrogateescape")
    return blake2b(b"%d:%b%b" % (len(head), head, message.body), digest_size=8).hexdigest()


class Ledger:
    """The file in ``directory``, which may be missing. ``what`` of an entry is a list of (kind, identity) of the
    original, ``ids`` its message-ids by queue.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LEDGER

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise StoreError(f"{self.path} cannot be read: {problem.strerror}") from None
        # A crash can cut the last line; what it announced was not begun then.
        whole, _ = lines[:-1], lines[-1]
        entries: list[dict[str, Any]] = []
        for number, line in enumerate(whole, 1):
            try:
                entry = json.loads(line)
                if entry["state"] not in (BEGUN, DONE, VOID):
                    raise ValueError
            except (ValueError, TypeError, KeyError, RecursionError):
                raise StoreDamaged(f"{self.path} line {number}: not a line of an import") from None
            entries.append(entry)
        return entries

    def identities(self) -> set[tuple[str, str]]:
        """Kind and identity of what was imported whole; empty when the file cannot be read."""
        with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
            return {
                (kind, identity)
                for entry in self._done()
                for kind, identity in zip(
                    entry["kind"].split(" and "), entry["identity"].split(" "), strict=False
                )
            }
        return set()

    def knows(self, original: Original) -> bool:
        """Whether an import of it, as it is now, is done."""
        done = self.identities()
        parts = zip(original.kind.split(" and "), original.identity.split(" "), strict=False)
        return all(part in done for part in parts)

    def ids(self) -> dict[str, set[str]]:
        """By queue the original's message-ids that are imported. Raises StoreError."""
        found: dict[str, set[str]] = {}
        for entry in self._done():
            for queue, ids in entry.get("ids", {}).items():
                found.setdefault(queue, set()).update(ids)
        return found

    def _done(self) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        pending: dict[str, Any] | None = None
        for entry in self._entries():
            if entry["state"] == BEGUN:
                pending = entry
            elif pending is not None:
                if entry["state"] == DONE:
                    done.append(pending)
                pending = None
        return done

    def unfinished(self) -> dict[str, Any] | None:
        """The import that was begun and neither done nor given up. Raises StoreError."""
        entries = self._entries()
        return entries[-1] if entries and entries[-1]["state"] == BEGUN else None

    def settle(self, store: Store) -> bool:
        """Find out what became of an interrupted import; true when it is in the store. Cheap when there was none.

        Whoever opens the storage calls this before a message can be consumed: a server, or the next import.
        Raises StoreError.
        """
        entry = self.unfinished()
        if entry is None:
            return False
        for queue, first in entry["numbers"].items():
            digests = entry["digests"][queue]
            for message in store.read(queue, first - 1, 1, 1):
                place = message.key - first
                if place < len(digests) and (
                    not isinstance(message, Message) or digest(message) == digests[place]
                ):
                    self.write({"state": DONE})
                    return True
        self.write({"state": VOID})
        return False

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line; it survives a power cut when this returns. Raises StoreError."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                end = self._end(file)
                os.ftruncate(file, end)
                while line:
                    written = os.pwrite(file, line, end)
                    end += written
                    line = line[written:]
                os.fsync(file)
            finally:
                os.close(file)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise StoreError(f"{self.path} cannot be written: {problem.strerror}") from None

    def _end(self, file: int) -> int:
        """Where the whole lines end."""
        end = os.fstat(file).st_size
        while end:
            start = max(0, end - 65536)
            at = os.pread(file, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0
