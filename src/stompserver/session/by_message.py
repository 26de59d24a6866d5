"""The unsettled deliveries of a connection of STOMP 1.2 by message-id, for clients that acknowledge by that."""

from __future__ import annotations

from typing import Final

from stompserver.broker.subscription import Delivery

SPARE: Final = 100
"""Names of settled deliveries that are kept, beside as many as there are deliveries."""


class ByMessage:
    """An index that is behind: what was delivered since it was asked last is added when it is asked. So nobody pays
    for it but who asks, and who asks pays once for each delivery.

    ``deliveries`` are the connection's, under ``mark`` and their number each.
    """

    __slots__ = ("_deliveries", "_mark", "_names", "_newest", "steps")

    def __init__(self, deliveries: dict[str, Delivery], mark: str) -> None:
        self._deliveries = deliveries
        self._mark = mark
        self._names: dict[str, list[str]] = {}
        """Those of the deliveries of each message, the oldest first; they may be settled."""
        self._newest: int = -1
        """The number of the newest that it knows; -1 for none."""
        self.steps: int = 0
        """How many deliveries were looked at so far."""

    def find(self, id: str, label: str | None, newest: int) -> Delivery | None:
        """The oldest unsettled delivery of message ``id`` to a subscription that its client calls ``label``, to any
        when there is none, or when that is None; ``newest`` is the number of the newest delivery.
        """
        self._follow(newest)
        names = self._names.get(id)
        if names is None:
            return None
        found: Delivery | None = None
        left: list[str] = []
        self.steps += len(names)
        for name in names:
            delivery = self._deliveries.get(name)
            if delivery is None:
                continue
            left.append(name)
            if found is None or (found.subscription.wish.label != label == delivery.subscription.wish.label):
                found = delivery
        if left:
            self._names[id] = left
        else:
            del self._names[id]
        return found

    def _follow(self, newest: int) -> None:
        count: int = len(self._deliveries)
        if self._newest < 0 or newest - self._newest > count or len(self._names) > 2 * count + SPARE:
            self._names = {}
            self.steps += count
            for delivery in self._deliveries.values():
                self._add(delivery)
        else:
            self.steps += newest - self._newest
            for number in range(self._newest + 1, newest + 1):
                added = self._deliveries.get(self._mark + str(number))
                if added is not None:
                    self._add(added)
        self._newest = newest

    def _add(self, delivery: Delivery) -> None:
        id = str(delivery.message.number)
        names = self._names.get(id)
        if names is None:
            self._names[id] = [delivery.name]
        else:
            names.append(delivery.name)
