"""What a destination's name says: queue or topic."""

from __future__ import annotations

from typing import Final

from stompserver.errors import Refused

QUEUE: Final = 1
TOPIC: Final = 2

MONITOR: Final = "/queue/monitor"
"""The original's statistics. Every subscriber gets each report and none is stored, so it is a topic."""

DURABLE: Final = "/dsub/"
"""The queues of durable subscriptions to topics, by their names (dialects.md 1.14, Apollo)."""

SYSTEM: Final = "$stompserver/"
"""The store's queues with what the server itself has to remember. Nobody may send or subscribe to them."""


class Naming:
    """The rules that tell queues from topics.

    ``bare`` is ``topic`` (the original's rule), ``queue`` or ``error``: what a name is that starts with
    neither ``/queue`` nor ``/topic``.
    """

    __slots__ = ("bare", "plain")

    def __init__(self, bare: str = "topic") -> None:
        self.bare = bare
        self.plain: set[str] = set()
        """Names, some of those in use, that mean themselves whoever sends to them, and ask for nothing special."""

    def kind(self, name: str) -> int:
        """QUEUE or TOPIC. Raises Refused for a name of the server's own, and for a bare one when those are errors."""
        if name.startswith("/queue"):
            return TOPIC if name == MONITOR else QUEUE
        if name.startswith("/topic"):
            return TOPIC
        if name.startswith(DURABLE):
            return QUEUE
        if name.startswith(SYSTEM):
            raise Refused(
                f"Destination {name[:80]!r} is the server's own",
                where="header destination",
                rule=f"Names that start with {SYSTEM} are what this server remembers for itself",
                mend="Use another name.",
            )
        if self.bare == "topic":
            return TOPIC
        if self.bare == "queue":
            return QUEUE
        raise Refused(
            f"Destination {name[:80]!r} is neither a queue nor a topic",
            where="header destination",
            rule="This server wants names that start with /queue or /topic (bare-destination: error)",
            mend="Write /queue/" + name[:40].lstrip("/") + " or /topic/" + name[:40].lstrip("/") + ".",
        )
