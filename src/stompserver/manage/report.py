"""The text that ``/queue/monitor`` reports, as the original has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.names.pattern import HIDDEN
from stompserver.manage import fields
from stompserver.manage.fields import Row, named
from stompserver.manage.queues import Queues

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

_ONE_LINE: Final = {10: "\\n", 13: "\\r"}
"""STOMP 1.1 and 1.2 can write line ends in names, which would forge lines of the report."""


_PRIVATE: Final = tuple([f"/queue/{level}/" for level in sorted(HIDDEN)])


def block(row: Row) -> str:
    """A queue in the man page's order: size, dequeued, enqueued; an empty line ends it."""
    name = str(row["queue"]).translate(_ONE_LINE)
    return (
        f"Queue: {name}\nsize: {row['waiting']}\ndequeued: {row['dequeued']}\nenqueued: {row['enqueued']}\n\n"
    )


class Report(Queues):
    """A job that writes ``text``: a block for each queue, but for those of one connection or login. Reports are for
    everybody, and who knows the name of a temporary queue can send to it.
    """

    __slots__ = ()

    def __init__(self, broker: Broker) -> None:
        shown = named(fields.QUEUE, "queue", "waiting", "dequeued", "enqueued")
        super().__init__(broker, shown, without=_PRIVATE)
        self.write = block

    @property
    def text(self) -> str:
        """All blocks that are written."""
        return "".join(self.texts)
