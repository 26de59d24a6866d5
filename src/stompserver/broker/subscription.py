"""Who wants messages of a destination, how many at a time, and what it was handed and has not settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from stompserver.broker.browse import Browse
    from stompserver.broker.lease import Lease
    from stompserver.broker.line import Line
    from stompserver.broker.matching import Filter
    from stompserver.broker.message import Message
    from stompserver.broker.policy import Policy
    from stompserver.broker.queue import Queue
    from stompserver.broker.ring import Ring
    from stompserver.broker.selector import Selector
    from stompserver.broker.topic import Topic

AUTO: Final = 0
CLIENT: Final = 1
INDIVIDUAL: Final = 2

UNLIMITED: Final = 1 << 60


class Delivery:
    """A message handed to a subscription that must settle it, under ``name``, the consumer's for it.

    ``held`` names the transaction that will settle it; ``due`` is when its lease ends (Unix ms, 0: never).
    """

    __slots__ = ("due", "held", "message", "name", "settled", "subscription")

    def __init__(self, name: str, subscription: Subscription, message: Message) -> None:
        self.name = name
        self.subscription = subscription
        self.message = message
        self.settled = False
        self.held: str | None = None
        self.due: int = 0


# Compiled classes have no interpreted children unless they say so.
@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer:
    """What the broker delivers to: a session, or anything of its shape.

    ``ready`` is false while it can take no more (its socket is full); the broker then holds queue messages
    back until ``Broker.resume`` and notes in ``stalled`` which subscriptions missed their turn for that.
    ``deliveries`` are the unsettled ones, under whatever name the consumer settles them by. ``behind`` is
    counted as memory: bytes that wait for its socket among messages of topics. ``client_id`` is who it says it
    is, over many connections. ``choked`` is a queue to which it sent more than fits, and which wants it to wait.
    """

    __slots__ = ("behind", "choked", "client_id", "deliveries", "ready", "stalled", "subscriptions")

    def __init__(self) -> None:
        self.ready = False
        self.behind: int = 0
        self.client_id: str = ""
        self.choked: Queue | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.stalled: list[Subscription] = []

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Take ``message``; only appends to an outbox, never calls back into the broker."""
        raise AssertionError("a consumer delivers")

    def lag(self, subscription: Subscription) -> None:
        """Hear that ``subscription`` of a topic has fallen too far behind; never calls back."""
        raise AssertionError("a consumer hears of its lag")

    def ended(self, subscription: Subscription) -> None:
        """Hear that a browser has seen all there is; never calls back."""
        raise AssertionError("a consumer hears of the end")

    def expired(self, delivery: Delivery) -> None:
        """Hear that the lease of ``delivery`` ended: it is the consumer's no more; never calls back."""
        raise AssertionError("a consumer hears of its leases")

    def durable(self, number: int) -> None:
        """Hear that ops up to ``number`` are durable; never calls back."""
        raise AssertionError("a consumer hears of what is durable")


class Subscription:
    """One subscription of a consumer, which knows it by ``id`` and calls it ``label`` towards its client
    (empty: the client gave no name).

    ``mode`` is AUTO, CLIENT (cumulative) or INDIVIDUAL; ``credit`` counts the deliveries it may still be
    handed, in messages. ``prefix`` is the consumer's, opaque to the broker: octets that open each delivery.
    ``order`` holds the unsettled deliveries of a CLIENT subscription, oldest first.

    What it may ask for: only what ``selector`` matches; to look and not to take (``browser``), and to go on
    looking at what comes (``follow``); to be served before others (``priority``, the higher first) or alone
    (``exclusive``); at most ``window`` bytes unsettled (0: any); that what it does not settle within ``ack_timeout``
    ms comes back; nothing of what its own consumer sent (``no_local``); another redelivery (``policy``); to be
    remembered under the unique name ``durable``; what a topic remembers, from ``replay`` on or all of it
    (``retroactive``); that the queue goes with its last subscription (``auto_delete``).

    ``warning`` is the broker's answer where it could not have all it asked for. ``shown`` is the destination as
    its client calls it, where that is another name; with ``odd`` its deliveries differ from those of others.
    """

    __slots__ = (
        "ack_timeout",
        "auto_delete",
        "bound",
        "browse",
        "browser",
        "closed",
        "consumer",
        "credit",
        "destination",
        "durable",
        "exclusive",
        "filter",
        "follow",
        "id",
        "label",
        "lease",
        "mode",
        "no_local",
        "odd",
        "order",
        "own",
        "pending",
        "policy",
        "prefetch",
        "prefix",
        "priority",
        "queue",
        "replay",
        "retroactive",
        "ring",
        "selector",
        "shown",
        "spare",
        "topic",
        "waiting",
        "warning",
        "window",
    )

    def __init__(self, consumer: Consumer, id: str, destination: str, mode: int, prefetch: int) -> None:
        # What every delivery asks for is next to each other (bench: growth).
        self.consumer = consumer
        self.mode: int = mode
        self.credit: int = UNLIMITED if mode == AUTO or prefetch == 0 else prefetch
        self.prefix: bytes = b""
        self.topic: Topic | None = None
        self.odd = False
        self.window: int = 0

        self.id = id
        self.destination = destination
        self.prefetch: int = prefetch
        self.label: str = ""
        self.closed = False
        self.waiting = False
        """Whether a ring has it: it can take a message, as far as is known."""
        self.queue: Queue | None = None
        self.order: deque[Delivery] | None = deque() if mode == CLIENT else None

        self.selector: Selector | None = None
        self.browser = False
        self.follow = False
        self.priority: int = 0
        self.exclusive = False
        self.ack_timeout: int = 0
        self.no_local = False
        self.policy: Policy | None = None
        self.durable: str = ""
        self.replay: str = ""
        self.retroactive = False
        self.auto_delete = False
        self.pending: int = 0
        """Messages of a topic that may wait for it; it misses the oldest of more (0: any number)."""
        self.warning: str = ""
        self.shown: str = ""

        self.ring: Ring | None = None
        """Where its queue gives it turns."""
        self.filter: Filter | None = None
        self.browse: Browse | None = None
        self.own: Line | None = None
        """Messages of the groups that it has."""
        self.lease: Lease | None = None
        self.bound: int = 0
        """Bytes of what is unsettled; counted with a ``window`` only."""
        self.spare: int = 0
        """Credit that is kept from it while ``bound`` is above its ``window``."""

    def give_back(self, bytes: int) -> None:
        """A message of that many bytes is settled, with a ``window``."""
        self.bound -= bytes
        if self.spare and self.bound < self.window:
            self.credit += self.spare
            self.spare = 0
        if self.spare:
            self.spare += 1
        else:
            self.credit += 1
