"""Shared by the tests of the migration: the fixtures that the original wrote, and writers of what it could write."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.broker.oplog import PUT, Op
from stompserver.migrate.gnu import Layout
from stompserver.migrate.unreadable import Unreadable
from stompserver.stores.base import Damage, Place, Stored

DATA = Path(__file__).parent / "data"
STORAGES = ("file/ruby18", "file/debian31", "dbm/ruby18", "dbm/debian31")
DATABASES = ("activerecord/ruby18", "activerecord/debian31")


class Fixtures:
    """Paths of what the original wrote, and its manifests."""

    storages = STORAGES
    databases = DATABASES

    def path(self, name: str) -> Path:
        """The storage directory, or the SQLite file."""
        return DATA / (name + ".sqlite3" if name in DATABASES else name)

    def manifest(self, name: str) -> Any:
        """What the original says is in it."""
        return json.loads((DATA / (name + ".manifest.json")).read_text("utf-8"))

    def delivered(self, name: str) -> dict[str, list[tuple[dict[str, str], bytes]]]:
        """By queue, the headers and bodies that the restarted original delivered."""
        return {
            queue: [
                (
                    {_text(name): _text(value) for name, value in one["headers"].items()},
                    base64.b64decode(one["body_base64"]),
                )
                for one in messages
            ]
            for queue, messages in self.manifest(name)["delivered_by_original_after_restart"].items()
        }

    def copy(self, name: str, to: Path, *parts: str) -> Path:
        """A copy to spoil: of all, or of ``parts`` of the directory."""
        source = self.path(name)
        if source.is_file():
            shutil.copy(source, to)
            return to / source.name
        target = to / source.name
        target.mkdir()
        for part in sorted(source.iterdir()):
            if parts and part.name not in parts:
                continue
            if part.is_dir():
                shutil.copytree(part, target / part.name)
            else:
                shutil.copy(part, target)
        return target


def _text(latin: str) -> str:
    return latin.encode("latin-1").decode("utf-8", "surrogateescape")


class Ruby:
    """Writes Marshal 4.8 as Ruby does, without links: every symbol and string is written out."""

    def dump(self, value: Any) -> bytes:
        """A whole stream."""
        return b"\x04\x08" + self.value(value)

    def number(self, number: int) -> bytes:
        """Ruby's packed integer."""
        if number == 0:
            return b"\0"
        if 0 < number < 123:
            return bytes((number + 5,))
        if -124 < number < 0:
            return bytes(((number - 5) & 255,))
        for size in range(1, 5):
            if -(1 << 8 * size) <= number < 1 << 8 * size:
                octets = (number & ((1 << 8 * size) - 1)).to_bytes(size, "little")
                return bytes((size if number > 0 else 256 - size,)) + octets
        raise OverflowError

    def symbol(self, name: str) -> bytes:
        """A symbol written out."""
        octets = name.encode("utf-8", "surrogateescape")
        return b":" + self.number(len(octets)) + octets

    def value(self, value: Any) -> bytes:
        """``str`` is a symbol, ``bytes`` a string of 1.8, a tuple of one a string of 1.9, a tuple an object."""
        if value is None:
            return b"0"
        if isinstance(value, bool):
            return b"T" if value else b"F"
        if isinstance(value, int):
            return b"i" + self.number(value)
        if isinstance(value, str):
            return self.symbol(value)
        if isinstance(value, bytes):
            return b'"' + self.number(len(value)) + value
        if isinstance(value, list):
            return b"[" + self.number(len(value)) + b"".join(map(self.value, value))
        if isinstance(value, dict):
            pairs = [self.value(key) + self.value(item) for key, item in value.items()]
            return b"{" + self.number(len(pairs)) + b"".join(pairs)
        if len(value) == 1:
            return b"I" + self.value(value[0]) + self.number(1) + self.symbol("E") + b"T"
        name, fields = value
        pairs = [self.symbol(key) + self.value(item) for key, item in fields.items()]
        return b"o" + self.symbol(name) + self.number(len(pairs)) + b"".join(pairs)

    def frame(self, headers: dict[bytes, Any], body: Any = b"") -> bytes:
        """A frame as dbm has it."""
        fields = {"@command": b"MESSAGE", "@headers": headers, "@body": body}
        return self.dump(("StompServer::StompFrame", fields))

    def file(self, queue: str, id: str, body: bytes, **more: str) -> bytes:
        """A message file."""
        headers = {b"destination": queue.encode(), b"message-id": id.encode()}
        headers |= {name.replace("_", "-").encode(): value.encode() for name, value in more.items()}
        frame = self.frame(headers)
        return b"%08x%08x" % (len(frame), len(body)) + frame + body

    def qinfo(
        self, queues: dict[str, list[str]], returns: dict[str, int] | None = None, **extra: Any
    ) -> bytes:
        """An index; ``extra`` goes into each queue."""
        returns = returns or {}
        listed = {
            name.encode("utf-8", "surrogateescape"): {
                "size": len(ids),
                "frames": [id.encode() for id in ids],
                "msgid": len(ids) + 1,
                "enqueued": len(ids),
                "dequeued": 0,
                "exceptions": 0,
                **extra,
            }
            for name, ids in queues.items()
        }
        frames = {
            name.encode("utf-8", "surrogateescape"): {
                id.encode(): {"exceptions": returns.get(id, 0)} for id in [*ids, *returns]
            }
            for name, ids in queues.items()
        }
        return self.dump({"queues": listed, "frames": frames})


class ListStore:
    """A store in a list; ``fail`` is raised by the next commit, after it did all when ``late``."""

    keeps = True

    def __init__(self, place: Place | None = None) -> None:
        self.queues: dict[str, dict[int, Message]] = {}
        self.commits: int = 0
        self.fail: BaseException | None = None
        self.late = False

    def load(self) -> list[Stored]:
        """Counts."""
        return [
            Stored(name, len(found), sum(one.size for one in found.values()), min(found), max(found))
            for name, found in self.queues.items()
            if found
        ]

    def commit(self, ops: list[Op], sync: bool) -> None:
        """All or, with ``fail``, nothing."""
        assert sync
        fail, self.fail = self.fail, None
        if fail is not None and not self.late:
            raise fail
        self.commits += 1
        for op in ops:
            assert op.kind == PUT
            assert op.message is not None
            self.queues.setdefault(op.queue, {}).setdefault(op.key, op.message)
        if fail is not None:
            raise fail

    def sync(self) -> None:
        """Nothing to do."""

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        """In key order."""
        found = self.queues.get(queue, {})
        return [found[key] for key in sorted(found) if key > after][:limit]

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        """All."""
        for queue in self.queues:
            for message in self.read(queue, -1, 1 << 30, 0):
                yield queue, message

    def compact(self) -> tuple[int, int]:
        """Nothing to do."""
        return 0, 0

    def close(self) -> None:
        """Nothing to do."""

    def consume(self) -> int:
        """Take all out, as consumers would; how many."""
        count = sum(map(len, self.queues.values()))
        self.queues.clear()
        return count


@pytest.fixture(scope="session")
def fixtures() -> Fixtures:
    """What the original wrote."""
    return Fixtures()


@pytest.fixture(scope="session")
def ruby() -> Ruby:
    """A writer of Marshal."""
    return Ruby()


@pytest.fixture
def store() -> ListStore:
    """A store that can fail."""
    return ListStore()


@pytest.fixture(scope="session")
def ruby_command() -> str:
    """A Ruby, to compare with."""
    found = shutil.which("ruby")
    if found is None:
        pytest.skip("no ruby is installed (package ruby)")
    return found


class Library:
    """A Python, this one or the system's, that has a library to write databases with."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.python = ""
        for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
            if (
                python
                and not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode
            ):
                self.python = python
                break

    def run(self, script: str, *arguments: str) -> Any:
        """What the script, which has ``json`` and ``base64``, printed as JSON."""
        if not self.python:
            pytest.skip(f"no Python here has {self.module}")
        command = [self.python, "-c", "import base64, json, random, sys\n" + script, *arguments]
        done = subprocess.run(command, capture_output=True, timeout=120)
        assert not done.returncode, done.stderr.decode()
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def gnu_library() -> Library:
    """GNU dbm."""
    return Library("dbm.gnu")


@pytest.fixture(scope="session")
def berkeley_library() -> Library:
    """Berkeley DB."""
    return Library("berkeleydb")


@pytest.fixture(scope="session")
def refusal() -> Callable[..., Unreadable | None]:
    """Calls a reader and gives its error; any other than ours goes through."""

    def call(reader: Callable[..., object], *arguments: Any) -> Unreadable | None:
        try:
            reader(*arguments)
        except Unreadable as refused:
            return refused
        return None

    return call


def write_gnu(
    pairs: dict[bytes, bytes], order: str = "<", wide: bool = True, spare: int = 16, magic: int = 0x13579ACF
) -> bytes:
    """A file as another machine would have it: header, directory, one bucket, values."""
    layout = Layout(order, wide, spare)
    room = 1024
    elements = (room - layout.table_at) // layout.element.size
    directory, bucket, at = 1024, 2048, 3072
    values = b""
    table = b""
    for key, value in pairs.items():
        place = at + len(values)
        table += layout.element.pack(len(key), key[:4].ljust(4, b"\0"), place, len(key), len(value))
        values += key + value
    table += layout.element.pack(-1, b"", 0, 0, 0) * (elements - len(pairs))
    head = layout.head.pack(
        magic, 1024, directory, layout.offset.size << 1, 1, room, elements, at + len(values)
    )
    return b"".join(
        (
            head.ljust(1024, b"\0"),
            (layout.offset.pack(bucket) * 2).ljust(1024, b"\0"),
            (b"\0" * layout.table_at + table).ljust(1024, b"\0"),
            values,
        )
    )


@pytest.fixture(scope="session")
def gnu_file() -> Callable[..., bytes]:
    """Writes a GNU dbm file."""
    return write_gnu
