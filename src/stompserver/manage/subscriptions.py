"""Who takes from a queue, or is subscribed to a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.manage import fields
from stompserver.manage.fields import Field
from stompserver.manage.listing import UNLIMITED, Listing
from stompserver.manage.queues import find

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.subscription import Subscription


class Subscriptions(Listing["Subscription", "Subscription"]):
    """Rows of some subscriptions, in the order in which they came."""

    __slots__ = ()

    def __init__(
        self,
        broker: Broker,
        subscriptions: list[Subscription],
        shown: tuple[Field[Subscription], ...] = fields.SUBSCRIPTION,
        limit: int = UNLIMITED,
    ) -> None:
        super().__init__(broker, subscriptions, shown, None, False, limit)

    def find(self, key: Subscription) -> Subscription | None:
        """The subscription, unless it has ended."""
        return None if key.closed else key


def of_queue(broker: Broker, name: str, limit: int = UNLIMITED) -> Subscriptions:
    """A job that lists who takes from a queue, and who looks through it. Raises Refused when there is none."""
    queue = find(broker, name)
    return Subscriptions(broker, [*queue.subscriptions, *queue.browsers], limit=limit)


def of_topic(broker: Broker, name: str, limit: int = UNLIMITED) -> Subscriptions:
    """A job that lists who is subscribed to a topic by its name, which may be a pattern; nobody when there is none.
    Durable subscriptions are listed with their queues.
    """
    topic = broker.topics.get(name)
    if topic is None:
        return Subscriptions(broker, [])
    found = topic.own_direct + topic.own_chosen
    for box in topic.queues:
        found.extend(box.subscriptions)
    return Subscriptions(broker, found, limit=limit)
