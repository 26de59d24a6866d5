"""What a session remembers of the destinations that its client sends to."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.names.destination import QUEUE
from stompserver.broker.queues.queue import Queue
from stompserver.broker.queues.route import RouteTable

# Not Final, because a test lowers it: compiled, a Final is written into the code.
MOST: int = 10_000
"""Destinations that are remembered: a client may use names without end."""

LONG: Final = 200
"""Characters of a name above which it is not remembered."""


_NO_TOPICS: Final[set[str]] = set()
"""What most clients remember of topics, and is never added to: one for all (bench: idle)."""


class Routes(RouteTable):
    """Destinations of which nothing more has to be found out for a SEND that says nothing special: each means itself,
    the client may send to it, and its policy adds nothing to a message.

    They are this client's only: another may have other rights. ``queues`` has those that are queues; one that goes,
    or gets other rules, leaves it at once, so there is nothing to check. Topics are remembered until
    ``Broker.epoch`` moves.
    """

    __slots__ = ("_broker", "_epoch", "_topics", "queues")

    def __init__(self, broker: Broker) -> None:
        self.queues: dict[str, Queue] = {}
        self._broker = broker
        self._epoch: int = broker.epoch
        self._topics = _NO_TOPICS

    def __len__(self) -> int:
        return len(self.queues) + len(self._topics)

    def topic(self, name: str) -> bool:
        """Whether ``name`` is remembered, as a topic's."""
        if self._epoch != self._broker.epoch:
            self._epoch = self._broker.epoch
            self._topics.clear()
        return name in self._topics

    def knows(self, name: str) -> bool:
        """Whether ``name`` is remembered."""
        return name in self.queues or self.topic(name)

    def remember(self, name: str) -> None:
        """Note that nothing more has to be found out about ``name``; not of a queue that there is not yet."""
        if len(name) > LONG:
            return
        if len(self) >= MOST:
            self.clear()
        queue = self._broker.queues.get(name)
        if queue is not None:
            self.queues[name] = queue
            queue.remembered_by(self)
        elif self._broker.naming.kind(name) != QUEUE and not self.topic(name):
            if self._topics is _NO_TOPICS:
                self._topics = set()
            self._topics.add(name)

    def drop(self, name: str) -> None:
        """The queue ``name`` is gone or has other rules."""
        del self.queues[name]

    def clear(self) -> None:
        """Forget all: the client is gone, or may do other things than before."""
        for queue in self.queues.values():
            queue.forgotten_by(self)
        self.queues.clear()
        self._topics.clear()
