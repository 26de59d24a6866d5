"""Durable subscriptions: what there are, and the end of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stompserver.manage import fields
from stompserver.manage.fields import Bound, Field
from stompserver.manage.listing import UNLIMITED, Listing, order_of

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


class Durables(Listing[str, Bound]):
    """Rows of durable subscriptions, by their names: those of their queues, without ``/dsub/`` in front. Only
    those whose queues are ``seen``.
    """

    __slots__ = ("_seen",)

    def __init__(
        self,
        broker: Broker,
        shown: tuple[Field[Bound], ...] = fields.DURABLE,
        limit: int = UNLIMITED,
        seen: Callable[[str], bool] | None = None,
    ) -> None:
        keys = list(broker.fanout.durables.fed)
        super().__init__(broker, keys, shown, order_of(fields.DURABLE, "name"), False, limit)
        self._seen = seen

    def find(self, key: str) -> Bound | None:
        """The durable subscription with that queue."""
        fed = self.broker.fanout.durables.fed.get(key)
        if fed is None or fed.key is None or not (self._seen is None or self._seen(key)):
            return None
        return fed, self.broker.queues.get(key)


def delete(broker: Broker, name: str) -> None:
    """Delete the durable subscription that people call ``name``, or whose queue is called so, with all that waits for
    it. Raises Refused when there is none, or it could be one of several, or it is used.
    """
    broker.forget_durable(name)
