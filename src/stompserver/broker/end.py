"""The end of a queue that nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.deadlines import Timed

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queue import Queue


class End(Timed):
    """The end of an empty queue that nobody used for a time."""

    __slots__ = ("_broker", "_queue")

    def __init__(self, when: int, broker: Broker, queue: Queue) -> None:
        super().__init__(when)
        self._broker = broker
        self._queue = queue

    def due(self, now: int) -> None:
        self._broker.end(self._queue, self.when)
