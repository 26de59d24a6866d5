"""What a destination's name says: queue or topic."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.pattern import is_pattern, levels_of
from stompserver.errors import Refused

QUEUE: Final = 1
TOPIC: Final = 2

MONITOR: Final = "/queue/monitor"
"""The original's statistics. Every subscriber gets each report and none is stored, so it is a topic."""

DURABLE: Final = "/dsub/"
"""The queues of durable subscriptions to topics, by their names (as in Apollo; docs/reference/dialects.md)."""

SYSTEM: Final = "$stompserver/"
"""The store's queues with what the server itself has to remember. Nobody may send or subscribe to them."""

BYTES: Final = 1024
LEVELS: Final = 64
WILDCARDS: Final = 8
"""How large names and patterns may be where nothing else is said: several times what is in use. RabbitMQ takes 255
octets; the levels of ActiveMQ's and RabbitMQ's users are some ten, and their patterns have one or two ``#``.
"""


class Naming:
    """The rules that tell queues from topics, and how large a name may be.

    ``bare`` is ``topic`` (the original's rule), ``queue`` or ``error``: what a name is that starts with
    neither ``/queue`` nor ``/topic``. A name has at most that many ``bytes`` and ``levels``, a pattern at most that
    many ``wildcards`` that stand for any number of levels.
    """

    __slots__ = ("_short", "bare", "bytes", "levels", "wildcards")

    def __init__(
        self, bare: str = "topic", bytes: int = BYTES, levels: int = LEVELS, wildcards: int = WILDCARDS
    ) -> None:
        self.bare = bare
        self.bytes: int = bytes
        self.levels: int = levels
        self.wildcards: int = wildcards
        # A character is at most four octets, and between two levels there is one.
        self._short: int = min(bytes // 4, levels - 1)

    def check(self, name: str) -> None:
        """Raises Refused when ``name`` is too long, or has too many levels."""
        if len(name) <= self._short:
            return
        size = len(name) if name.isascii() else len(name.encode("utf-8", "replace"))
        if size > self.bytes:
            raise Refused(
                f"Destination {name[:80]!r} is too long",
                where=f"header destination, {size} bytes",
                rule=f"This server takes names of {self.bytes} bytes (max-destination-bytes)",
                fix="Use a shorter name, and headers for what it is about, or ask the administrator to raise that"
                " option.",
            )
        levels = 1 + name.count(".") + name.count("/")
        if levels > self.levels:
            raise Refused(
                f"Destination {name[:80]!r} has too many levels",
                where=f"header destination, {levels} levels",
                rule=f"This server takes names of {self.levels} levels, which . and / divide"
                " (max-destination-levels)",
                fix="Use a shorter name, and headers for what it is about, or ask the administrator to raise that"
                " option.",
            )

    def check_pattern(self, name: str) -> None:
        """Raises Refused when ``name`` is a pattern with too many wildcards for any number of levels."""
        if not is_pattern(name):
            return
        many = len([level for level in levels_of(name) if level == ">" or level == "#" or level == "**"])
        if many > self.wildcards:
            raise Refused(
                f"Pattern {name[:80]!r} has too many wildcards",
                where=f"header destination, {many} of >, # and **",
                rule=f"This server takes {self.wildcards} that stand for any number of levels in one pattern"
                " (max-destination-wildcards)",
                fix="Write * where one level is meant, or ask the administrator to raise that option.",
            )

    def kind(self, name: str) -> int:
        """QUEUE or TOPIC. Raises Refused for a name that is too large or the server's own, and for a bare one when
        those are errors.
        """
        if len(name) > self._short:
            self.check(name)
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
                fix="Use another name.",
            )
        if self.bare == "topic":
            return TOPIC
        if self.bare == "queue":
            return QUEUE
        raise neither(name)


def neither(name: str) -> Refused:
    """A bare name where those are errors."""
    return Refused(
        f"Destination {name[:80]!r} is neither a queue nor a topic",
        where="header destination",
        rule="This server wants names that start with /queue or /topic (bare-destination: error)",
        fix="Write /queue/" + name[:40].lstrip("/") + " or /topic/" + name[:40].lstrip("/") + ".",
    )
