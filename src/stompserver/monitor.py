"""/queue/monitor: the original's statistics, sent through the broker like any other message."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.destination import MONITOR
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.stats import BrokerStats

_ONE_LINE: Final = {10: "\\n", 13: "\\r"}
"""STOMP 1.1 and 1.2 can write line ends in names, which would forge lines of the report."""


def text(stats: BrokerStats) -> str:
    """One block a queue in the man page's order: size, dequeued, enqueued; an empty line ends each."""
    return "".join(
        [
            f"Queue: {queue.name.translate(_ONE_LINE)}\nsize: {queue.size}\ndequeued: {queue.dequeued}\n"
            f"enqueued: {queue.enqueued}\n\n"
            for queue in stats.queues
        ]
    )


def report(broker: Broker) -> bool:
    """Send the statistics to whoever listens now; whether there was something to send, and somebody."""
    if not broker.listened(MONITOR):
        return False
    body = text(broker.snapshot()).encode("utf-8", "replace")
    if not body:
        return False
    message = Message(
        MONITOR, {"content-type": "text/plain"}, body, len(body) + OVERHEAD, plain=True, persistent=False
    )
    broker.send(message)
    return True
