"""What an import did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from stompserver.migrate.original import LEFT, REPAIRED, Note

SHOWN: Final = 3
"""Places of a note that are named in the text; all are in the data."""


@dataclass(slots=True)
class Line:
    """One queue: messages ``taken``, of ``bytes`` in their bodies, and messages that ``already`` were imported."""

    queue: str
    taken: int = 0
    bytes: int = 0
    already: int = 0


@dataclass(slots=True)
class Report:
    """What was taken from ``place`` (of storage ``kind``), repaired and left; ``dry`` when nothing was written."""

    kind: str
    place: str
    dry: bool
    queues: list[Line] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """Messages."""
        return sum(line.taken for line in self.queues)

    @property
    def already(self) -> int:
        """Messages that an earlier import took."""
        return sum(line.already for line in self.queues)

    def data(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """All of it as text."""
        done = "would be taken" if self.dry else "taken"
        out = [f"{self.place}: the original's storage of queue type {self.kind}", ""]
        out.append(f"{'messages':>12} {'bytes':>16}  queue")
        for line in self.queues:
            tail = f"  ({line.already:,} imported before)" if line.already else ""
            out.append(f"{line.taken:>12,} {line.bytes:>16,}  {_safe(line.queue)}{tail}")
        size = sum(line.bytes for line in self.queues)
        out.append(
            f"{self.taken:>12,} {size:>16,}  {done}, in {len(self.queues):,} queue{'s' * (len(self.queues) != 1)}"
        )
        for kind, title in ((REPAIRED, "Repaired:"), (LEFT, "Left where it is:")):
            notes = [note for note in self.notes if note.kind == kind]
            if notes:
                out += ["", title, *(_note(note) for note in notes)]
        return out

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _note(note: Note) -> str:
    places = ", ".join(_safe(place) for place in note.places[:SHOWN])
    more = f" and {len(note.places) - SHOWN:,} more" if len(note.places) > SHOWN else ""
    where = _safe(note.queue) + ": " if note.queue else ""
    return f"  {where}{_safe(note.reason)}: {places}{more}"


def _safe(text: str) -> str:
    """Names as clients chose them, fit for a terminal and a log."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
