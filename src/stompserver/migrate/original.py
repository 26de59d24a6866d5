"""What was found in a storage of the original: queues of messages, ready for a store, and notes on the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import MONITOR
from stompserver.migrate.frame import Frame, decode
from stompserver.migrate.unreadable import Unreadable
from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect import values

REPAIRED: Final = "repaired"
LEFT: Final = "left"

DEADLETTER: Final = "/queue/deadletter"
"""The original's dead letter queue; messages in it name the queue that they were sent to."""


@dataclass(slots=True)
class Item:
    """A message and the ``id`` that it had there (its message-id)."""

    id: str
    message: Message


@dataclass(slots=True)
class Queue:
    """Messages in the order in which the original would have delivered them."""

    name: str
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Note:
    """Why something was ``repaired`` (taken although the original would have stumbled over it) or ``left``.

    ``places`` are message-ids, files or rows; ``queue`` is empty where nobody can tell.
    """

    kind: str
    queue: str
    reason: str
    places: list[str] = field(default_factory=list)


class Notes:
    """Notes, one for each reason and queue; ``step`` is called for each message that was read."""

    def __init__(self, step: Callable[[], None] = lambda: None) -> None:
        self.step = step
        self._notes: dict[tuple[str, str, str], Note] = {}

    def repaired(self, queue: str, reason: str, place: str) -> None:
        """Something is taken, but not as it was found."""
        self._add(REPAIRED, queue, reason, place)

    def left(self, queue: str, reason: str, place: str) -> None:
        """Something stays where it is."""
        self._add(LEFT, queue, reason, place)

    def _add(self, kind: str, queue: str, reason: str, place: str) -> None:
        self._notes.setdefault((kind, queue, reason), Note(kind, queue, reason)).places.append(place)

    def all(self) -> list[Note]:
        """All of them, in the order of their first places."""
        return list(self._notes.values())


@dataclass(slots=True)
class Original:
    """What ``place`` (a directory, a SQLite file or a server's database) holds, of storage ``kind`` (file, dbm,
    activerecord; several when several are there). ``identity`` tells whether it changed since.
    """

    kind: str
    place: str
    queues: list[Queue]
    notes: list[Note]
    identity: str

    @property
    def count(self) -> int:
        """Messages."""
        return sum(len(queue.items) for queue in self.queues)


def item(id: str, queue: str, frame: Frame, attempts: int, notes: Notes) -> Item:
    """The message that a SEND of that frame would have made here. Raises Unreadable.

    The original forwarded all headers; those that this server never forwards are dropped. A name with a colon in
    it comes from the original splitting lines at the last colon: what it sent, and what its clients read, was a
    header up to the first.
    """
    notes.step()
    headers: dict[str, str] = {}
    for name, value in frame.headers.items():
        name, _, value = (name + b":" + value).partition(b":")
        if b"\0" in name or b"\0" in value:
            notes.repaired(queue, "NULs in headers became blanks", id)
            name, value = name.replace(b"\0", b" "), value.replace(b"\0", b" ")
        if name:
            headers.setdefault(decode(name), decode(value))
        else:
            notes.repaired(queue, "headers without a name were dropped", id)
    destination = headers.get("destination") or queue
    for private in dialect.PRIVATE.intersection(headers):
        del headers[private]
    length = sum(len(name) + len(value) + 2 for name, value in headers.items())
    message = Message(
        destination,
        headers,
        frame.body,
        length + len(destination) + len(frame.body) + OVERHEAD,
        _plain(destination, headers),
        # Whatever its own header says: the original kept it, so it must not be gone after the next restart.
        True,
        values.exceptions(headers),
    )
    message.attempts = attempts
    return Item(id, message)


def check_name(queue: str) -> None:
    """Raises Unreadable for a queue whose messages nobody could get here."""
    if queue == MONITOR:
        raise Unreadable(0, "messages to the monitor, which the original never delivered either")
    if not queue.startswith("/queue"):
        raise Unreadable(0, "no queue: here as there the names of queues start with /queue")
    if "\0" in queue:
        raise Unreadable(0, "a name with a NUL")


def _plain(destination: str, headers: dict[str, str]) -> bool:
    """Whether no version of STOMP would escape anything (see wire.frame.Frame)."""
    text = "".join((destination, *headers, *headers.values()))
    if any(character in text for character in "\r\n\\:"):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
