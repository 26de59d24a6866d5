"""/queue/monitor: the original's statistics, sent through the broker like any other message."""

from __future__ import annotations

from stompserver.broker.broker import Broker
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import MONITOR
from stompserver.manage.report import Report


def report(broker: Broker) -> None:
    """Send the statistics to whoever listens, if anybody does; with many queues that takes some slices."""
    if broker.listened(MONITOR):
        job = Report(broker)
        job.start(lambda: _send(broker, job))


def _send(broker: Broker, job: Report) -> None:
    body = job.text.encode("utf-8", "replace")
    if body and broker.listened(MONITOR):
        message = Message(
            MONITOR, {"content-type": "text/plain"}, body, len(body) + OVERHEAD, plain=True, persistent=False
        )
        broker.send(message)
