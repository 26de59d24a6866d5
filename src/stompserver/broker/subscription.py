"""Who wants messages of a destination, how many at a time, and what it was handed and has not settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from stompserver.broker.message import Message
    from stompserver.broker.queue import Queue
    from stompserver.broker.topic import Topic

AUTO: Final = 0
CLIENT: Final = 1
INDIVIDUAL: Final = 2

UNLIMITED: Final = 1 << 60


class Delivery:
    """A message handed to a subscription that must settle it, under ``name``, the consumer's for it.

    ``held`` names the transaction that will settle it.
    """

    __slots__ = ("held", "message", "name", "settled", "subscription")

    def __init__(self, name: str, subscription: Subscription, message: Message) -> None:
        self.name = name
        self.subscription = subscription
        self.message = message
        self.settled = False
        self.held: str | None = None


# Compiled classes have no interpreted children unless they say so.
@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer:
    """What the broker delivers to: a session, or anything of its shape.

    ``ready`` is false while it can take no more (its socket is full); the broker then holds queue messages
    back until ``Broker.resume`` and notes in ``stalled`` which subscriptions missed their turn for that.
    ``deliveries`` are the unsettled ones, under whatever name the consumer settles them by. ``behind`` is
    counted as memory: bytes that wait for its socket among messages of topics.
    """

    __slots__ = ("behind", "deliveries", "ready", "stalled", "subscriptions")

    def __init__(self) -> None:
        self.ready = False
        self.behind: int = 0
        self.subscriptions: dict[str, Subscription] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.stalled: list[Subscription] = []

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Take ``message``; only appends to an outbox, never calls back into the broker."""
        raise AssertionError("a consumer delivers")

    def lag(self, subscription: Subscription) -> None:
        """Hear that ``subscription`` of a topic has fallen too far behind; never calls back."""
        raise AssertionError("a consumer hears of its lag")

    def durable(self, number: int) -> None:
        """Hear that ops up to ``number`` are durable; never calls back."""
        raise AssertionError("a consumer hears of what is durable")


class Subscription:
    """One subscription of a consumer, which knows it by ``id`` and calls it ``label`` towards its client
    (empty: the client gave no name).

    ``mode`` is AUTO, CLIENT (cumulative) or INDIVIDUAL; ``credit`` counts the deliveries it may still be
    handed, in messages. ``prefix`` is the consumer's, opaque to the broker: octets that open each delivery.
    ``order`` holds the unsettled deliveries of a CLIENT subscription, oldest first.
    """

    __slots__ = (
        "closed",
        "consumer",
        "credit",
        "destination",
        "id",
        "label",
        "mode",
        "order",
        "prefetch",
        "prefix",
        "queue",
        "topic",
        "waiting",
    )

    def __init__(self, consumer: Consumer, id: str, destination: str, mode: int, prefetch: int) -> None:
        self.consumer = consumer
        self.id = id
        self.destination = destination
        self.mode: int = mode
        self.prefetch: int = prefetch
        self.credit: int = UNLIMITED if mode == AUTO or prefetch == 0 else prefetch
        self.label: str = ""
        self.prefix: bytes = b""
        self.closed = False
        self.waiting = False
        """Whether the queue's round of subscriptions that can take a message has it."""
        self.queue: Queue | None = None
        self.topic: Topic | None = None
        self.order: deque[Delivery] | None = deque() if mode == CLIENT else None
