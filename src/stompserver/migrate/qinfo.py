"""The original's index of a file or dbm storage: ``qinfo``."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path

from stompserver.migrate import marshal
from stompserver.migrate.frame import Frame, decode
from stompserver.migrate.marshal import Symbol, Value
from stompserver.migrate.original import DEADLETTER
from stompserver.migrate.unreadable import Unreadable
from stompserver.stores.originals import INDEX


@dataclass(slots=True)
class Listed:
    """One queue of the index: ``ids`` waiting in delivery order, and by id how often each message that was ever
    in the queue since it was empty came back. ``folder`` is where its messages are, beside the index.
    """

    name: str
    folder: str
    ids: list[str]
    returns: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Index:
    """The queues in the index's order."""

    queues: list[Listed]


def flat(queue: str) -> str:
    """The name of a queue's directory or database; different queues can have the same."""
    return queue.replace("/", "_")


def home(folder: str, found: Frame) -> str:
    """The queue of a message in ``folder`` that no index lists: its destination, but for dead letters, which keep the
    old one. Raises Unreadable when it has none.
    """
    if folder == flat(DEADLETTER):
        return DEADLETTER
    destination = found.text(b"destination")
    if not destination:
        raise Unreadable(0, "not listed in qinfo, and it has no destination")
    return destination


def identity(directory: Path) -> str:
    """Changes with the index's content, which is not looked at."""
    try:
        with open(directory / INDEX, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return "no-index"


def read(file: Path) -> Index:
    """The index. Raises Unreadable, and FileNotFoundError."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise Unreadable(0, f"cannot be read: {problem.strerror}") from None
    found = marshal.load(data)
    if not isinstance(found, dict):
        raise Unreadable(0, "an index that is no hash")
    queues = _hash(found.get(Symbol("queues")), "queues")
    frames = _hash(found.get(Symbol("frames")), "frames")
    listed = [
        _listed(_text(name), _hash(entry, "a queue"), frames.get(name)) for name, entry in queues.items()
    ]
    return Index(listed)


def _listed(name: str, entry: dict[bytes | Symbol, Value], frames: Value) -> Listed:
    ids = entry.get(Symbol("frames"))
    if not isinstance(ids, list):
        raise Unreadable(0, f"queue {name[:60]!r} of the index has no list of messages")
    # Another machine's absolute path, or one from before the directory moved: only its last part counts.
    folder = entry.get(Symbol("queue_dir"))
    last = (
        decode(folder).replace("\\", "/").rstrip("/").rpartition("/")[2] if isinstance(folder, bytes) else ""
    )
    returns: dict[str, int] = {}
    for id, counts in _hash(frames if frames is not None else {}, "the frames of a queue").items():
        number = counts.get(Symbol("exceptions"), 0) if isinstance(counts, dict) else 0
        returns[_text(id)] = number if isinstance(number, int) and 0 <= number < 1 << 31 else 0
    return Listed(name, last or flat(name), [_text(id) for id in ids], returns)


def _hash(value: Value, what: str) -> dict[bytes | Symbol, Value]:
    if not isinstance(value, dict):
        raise Unreadable(0, f"{what} of the index: no hash")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, bytes):
        raise Unreadable(0, "a name in the index that is no string")
    return decode(value)
