"""Reads the original's queue type ``file``: an index, and a directory of message files for each queue."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from stompserver.migrate import marshal
from stompserver.migrate.frame import Frame, decode, from_marshal
from stompserver.migrate.order import gathered, stamp
from stompserver.migrate.original import Item, Notes, Queue, check_name, item
from stompserver.migrate.qinfo import Index, Listed, flat, home
from stompserver.migrate.unreadable import Unreadable
from stompserver.stores.originals import PREFIX

_HEAD: Final = 16


def folders(directory: Path) -> list[Path]:
    """The directories of queues, by name."""
    return sorted(path for path in directory.iterdir() if path.name.startswith(PREFIX) and path.is_dir())


def read(directory: Path, index: Index, notes: Notes) -> list[Queue]:
    """All messages, in the order of ``index``; what it does not list comes from the directories."""
    return _Reader(directory, index, notes).read()


def frame(path: Path) -> Frame:
    """The message in a file: two lengths of 8 hexadecimal digits, Marshal, body. Raises Unreadable."""
    try:
        # A link could lead anywhere, a pipe would never end.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise Unreadable(0, f"cannot be read: {problem.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Unreadable(0, "no file")
        size = os.fstat(file).st_size
        head = os.pread(file, _HEAD, 0)
        if len(head) < _HEAD:
            raise Unreadable(len(head), "cut off in the lengths that a message file starts with")
        lengths = [_hex(head[:8], 0), _hex(head[8:], 8)]
        if size < _HEAD + sum(lengths):
            raise Unreadable(size, f"cut off: a message of {_HEAD + sum(lengths)} bytes")
        data = _read(file, _HEAD, sum(lengths))
    except OSError as problem:
        raise Unreadable(0, f"cannot be read: {problem.strerror}") from None
    finally:
        os.close(file)
    found = from_marshal(marshal.load(data[: lengths[0]], _HEAD), _HEAD)
    found.body = data[lengths[0] :]
    return found


def _hex(digits: bytes, at: int) -> int:
    if digits.strip(b"0123456789abcdef"):
        raise Unreadable(at, f"{digits!r} is no length in hexadecimal digits: not a message file")
    return int(digits, 16)


def _read(file: int, at: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.pread(file, min(length, 1 << 30), at)
        if not part:
            raise Unreadable(at, "cut off while it was read")
        parts.append(part)
        at += len(part)
        length -= len(part)
    return b"".join(parts)


class _Reader:
    def __init__(self, directory: Path, index: Index, notes: Notes) -> None:
        self._directory = directory
        self._index = index
        self._notes = notes
        self._files: dict[str, dict[str, Path]] = {}
        """By directory the files that no message came from yet, by name."""
        self._owners: dict[str, list[Listed]] = {}

    def read(self) -> list[Queue]:
        for folder in folders(self._directory):
            self._files[_name(folder)] = self._look(folder)
        # Taken first: what is left is not listed.
        listed = [(each.name, self._listed(each)) for each in self._index.queues]
        return gathered(listed, self._unlisted())

    def _look(self, folder: Path) -> dict[str, Path]:
        try:
            return {_name(path): path for path in folder.iterdir()}
        except OSError as problem:
            self._notes.left("", f"a directory cannot be read: {problem.strerror}", folder.name)
            return {}

    def _listed(self, listed: Listed) -> list[Item]:
        try:
            check_name(listed.name)
        except Unreadable as problem:
            self._notes.left(listed.name, problem.reason, f"{len(listed.ids)} messages")
            self._files.pop(listed.folder, None)
            return []
        folder = listed.folder if listed.folder in self._files else flat(listed.name)
        self._owners.setdefault(folder, []).append(listed)
        files = self._files.get(folder, {})
        items: list[Item] = []
        for id in listed.ids:
            path = files.pop(id, None)
            if path is None:
                self._notes.left(listed.name, "listed in qinfo, but there is no such file", id)
                continue
            try:
                items.append(item(id, listed.name, frame(path), listed.returns.get(id, 0), self._notes))
            except Unreadable as problem:
                self._notes.left(listed.name, str(problem), f"{folder}/{id}")
        return items

    def _unlisted(self) -> dict[str, list[Item]]:
        """Messages by queue whose files no index mentions: it was not saved (checkpoint, crash)."""
        items: dict[str, list[Item]] = {}
        for folder, files in self._files.items():
            for id, path in sorted(files.items(), key=lambda file: stamp(file[0])):
                place = f"{folder}/{id}"
                try:
                    found = frame(path)
                    name = home(folder, found)
                    check_name(name)
                    returns = [listed.returns.get(id, 0) for listed in self._owners.get(folder, [])]
                    items.setdefault(name, []).append(
                        item(id, name, found, max(returns, default=0), self._notes)
                    )
                    self._notes.repaired(name, "not listed in qinfo, but the file is there", id)
                except Unreadable as problem:
                    self._notes.left("", str(problem), place)
        return items


def _name(path: Path) -> str:
    """A file's name as qinfo would have it."""
    return decode(os.fsencode(path.name))
