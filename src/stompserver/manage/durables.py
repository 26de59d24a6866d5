"""Durable subscriptions: what there are, and the end of one. Their names are without ``/dsub/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.manage import fields
from stompserver.manage.fields import Bound, Field
from stompserver.manage.listing import UNLIMITED, Listing, order_of

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


class Durables(Listing[str, Bound]):
    """Rows of durable subscriptions, by their names."""

    __slots__ = ()

    def __init__(
        self, broker: Broker, shown: tuple[Field[Bound], ...] = fields.DURABLE, limit: int = UNLIMITED
    ) -> None:
        keys = list(broker.fanout.durables.feeds)
        super().__init__(broker, keys, shown, order_of(fields.DURABLE, "name"), False, limit)

    def find(self, key: str) -> Bound | None:
        """The durable subscription with that queue."""
        feed = self.broker.fanout.durables.feeds.get(key)
        if feed is None or not feed.durable:
            return None
        return feed, self.broker.queues.get(key)


def delete(broker: Broker, name: str) -> None:
    """Delete a durable subscription with all that waits for it. Raises Refused when there is none, or it is used."""
    broker.forget_durable(name)
