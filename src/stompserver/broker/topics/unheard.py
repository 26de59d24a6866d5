"""Messages to bare names that nobody listens to: gone, as in the original, but not in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.subscription import Consumer

# Not Final, because a test lowers it: compiled, a Final is written into the code.
NAMES: int = 1000
"""Names of which the log is told: clients may make them up without end."""


class Unheard:
    """Counts in ``messages`` those that went to a topic whose name does not say that it is one, and to nobody. The
    log is told of each name once; the sender remembers it until it has told its client.
    """

    __slots__ = ("_desk", "_names", "messages")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._names: set[str] = set()
        self.messages: int = 0

    def note(self, name: str, sender: Consumer | None) -> None:
        """A message to the topic ``name`` had nobody to go to; not of interest where the name says that it is one."""
        if name.startswith("/topic"):
            return
        self.messages += 1
        if sender is not None:
            if not sender.astray:
                sender.astray_name = name
            sender.astray += 1
        if name in self._names or len(self._names) > NAMES:
            return
        self._names.add(name)
        if len(self._names) > NAMES:
            self._desk.notes.append(
                f"More than {NAMES:,} bare names are sent to and not heard: no more are told"
            )
        else:
            self._desk.notes.append(unheard(name[:200]) + ", or set bare-destination to queue")


def unheard(name: str) -> str:
    """What became of a message to the bare ``name``, and what its sender may have meant."""
    queue = "/queue/" + name.lstrip("/")
    return f"Bare name {name!r} is a topic, and nobody listens: the message is gone. If a queue is meant: {queue!r}"
