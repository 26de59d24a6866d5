"""What a destination's name says: queue or topic."""

from __future__ import annotations

from typing import Final

from stompserver.errors import Refused

QUEUE: Final = 1
TOPIC: Final = 2

MONITOR: Final = "/queue/monitor"
"""The original's statistics. Every subscriber gets each report and none is stored, so it is a topic."""


class Naming:
    """The rules that tell queues from topics.

    ``bare`` is ``topic`` (the original's rule), ``queue`` or ``error``: what a name is that starts with
    neither ``/queue`` nor ``/topic``.
    """

    __slots__ = ("bare",)

    def __init__(self, bare: str = "topic") -> None:
        self.bare = bare

    def kind(self, name: str) -> int:
        """QUEUE or TOPIC. Raises Refused for a bare name when those are errors."""
        if name.startswith("/queue"):
            return TOPIC if name == MONITOR else QUEUE
        if name.startswith("/topic") or self.bare == "topic":
            return TOPIC
        if self.bare == "queue":
            return QUEUE
        raise Refused(
            f"Destination {name[:80]!r} is neither a queue nor a topic",
            where="header destination",
            rule="This server wants names that start with /queue or /topic (bare-destination: error)",
            mend="Write /queue/" + name[:40].lstrip("/") + " or /topic/" + name[:40].lstrip("/") + ".",
        )
