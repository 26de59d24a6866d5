"""Who wants messages of a destination, what was asked for, and what was handed out and is not settled."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr, trait

if TYPE_CHECKING:
    from stompserver.broker.message import Message
    from stompserver.broker.names.durable import Key
    from stompserver.broker.names.policy import Policy
    from stompserver.broker.selectors.selector import Selector

AUTO: Final = 0
CLIENT: Final = 1
INDIVIDUAL: Final = 2

UNLIMITED: Final = 1 << 60

DELIVERY: Final = 300
"""Bytes that a delivery takes beside its message, while it is not settled: itself, its name, and its place among
those of its consumer.
"""


class Wish:
    """What somebody asked for with a subscription. It is never changed: what comes of it stands in the Subscription.

    ``id`` is what the consumer knows it by, ``label`` what its client calls it (empty: the client gave no name).
    ``mode`` is AUTO, CLIENT (cumulative) or INDIVIDUAL; at most ``prefetch`` messages (0: any number) and ``window``
    bytes (0: any) are unsettled at once.

    ``prefix`` is the consumer's, opaque to the broker: octets that open each delivery. ``shown`` is the destination
    as its client calls it, where that is another name, and with ``headed`` the prefix has it; with ``special`` its
    deliveries differ from those of others.

    It may be for what ``selector`` matches only; for nothing that its own consumer sent (``no_local``); to look and
    not to take (``browser``), and to go on looking at what comes (``follow``); to be served before others
    (``priority``, the higher first) or alone (``exclusive``); that what is not settled within ``ack_timeout`` ms
    comes back; another redelivery than the queue's (``policy``); that the queue goes with its last subscription
    (``auto_delete``), and is such as ``properties`` say. Of a topic: to be remembered under the key ``durable``, and
    then of all of ``topics``; what the topic remembers, from ``replay`` on or all of it (``retroactive``); to miss
    the oldest of more than ``pending`` messages that wait (0: any number may).
    """

    __slots__ = (
        "ack_timeout",
        "auto_delete",
        "browser",
        "destination",
        "durable",
        "exclusive",
        "follow",
        "headed",
        "id",
        "label",
        "mode",
        "no_local",
        "pending",
        "policy",
        "prefetch",
        "prefix",
        "priority",
        "properties",
        "replay",
        "retroactive",
        "selector",
        "shown",
        "special",
        "topics",
        "window",
    )

    def __init__(
        self,
        id: str,
        destination: str,
        mode: int,
        prefetch: int,
        *,
        label: str = "",
        selector: Selector | None = None,
        no_local: bool = False,
        browser: bool = False,
        follow: bool = False,
        priority: int = 0,
        exclusive: bool = False,
        window: int = 0,
        ack_timeout: int = 0,
        policy: Policy | None = None,
        auto_delete: bool = False,
        properties: dict[str, str] | None = None,
        durable: Key | None = None,
        topics: list[str] | None = None,
        replay: str = "",
        retroactive: bool = False,
        pending: int = 0,
        shown: str = "",
        headed: bool = False,
        special: bool = False,
        prefix: bytes = b"",
    ) -> None:
        self.id: Final = id
        self.destination: Final = destination
        self.mode: Final = mode
        self.prefetch: Final = prefetch
        self.label: Final = label
        self.selector: Final = selector
        self.no_local: Final = no_local
        self.browser: Final = browser
        self.follow: Final = follow
        self.priority: Final = priority
        self.exclusive: Final = exclusive
        self.window: Final = window
        self.ack_timeout: Final = ack_timeout
        self.policy: Final = policy
        self.auto_delete: Final = auto_delete
        self.properties: Final = properties
        self.durable: Final = durable
        self.topics: Final = topics if topics is not None else [destination]
        self.replay: Final = replay
        self.retroactive: Final = retroactive
        self.pending: Final = pending
        self.shown: Final = shown
        self.headed: Final = headed
        self.special: Final = special
        self.prefix: Final = prefix


class Granted:
    """The broker's answer to a wish. What it took for it is durable when the log's watermark has reached ``position``
    (0: nothing was logged); ``warning`` says what could not be had as asked, "" for nothing.
    """

    __slots__ = ("position", "warning")

    def __init__(self, position: int, warning: str) -> None:
        self.position: Final = position
        self.warning: Final = warning


@trait
class Source:
    """What a subscription gets its messages from: a Queue, of which this module needs to know no more."""

    __slots__ = ()


@trait
class Lease:
    """How long a subscription may keep each of its deliveries without settling it."""

    __slots__ = ()

    @abstractmethod
    def add(self, delivery: Delivery) -> None:
        """``delivery`` begins, or begins anew."""

    @abstractmethod
    def remove(self, delivery: Delivery) -> None:
        """``delivery`` is settled."""

    @abstractmethod
    def close(self) -> None:
        """Its subscription gets nothing more; what it has may still be settled."""


# The collector does not look at it: who settles it, or ends its subscription, takes it out of the consumer's
# ``deliveries``, and with that ends the cycle (tests/session/test_cycles.py; bench: individual, cumulative).
@mypyc_attr(acyclic=True)
class Delivery:
    """A message handed to a subscription that must settle it, under ``name``, the consumer's for it.

    ``held`` names the transaction that will settle it; ``due`` is when its lease ends (ms of the
    steady clock, 0: never); ``place`` is higher than that of all earlier ones of its subscription, and where it
    stands in an Order, if in any.
    """

    __slots__ = ("due", "held", "message", "name", "place", "settled", "subscription")

    def __init__(self, name: str, subscription: Subscription, message: Message, place: int = 0) -> None:
        self.name = name
        self.subscription = subscription
        self.message = message
        self.settled = False
        self.held: str | None = None
        self.due: int = 0
        self.place: int = place


class Progress:
    """How far a client has come with a subscription: ``newest`` is the place of the newest delivery that it settled.
    The parts of a subscription to several destinations share one.
    """

    __slots__ = ("newest",)

    def __init__(self) -> None:
        self.newest: int = 0

    def settled(self, delivery: Delivery) -> None:
        """The client settled ``delivery``."""
        if delivery.place > self.newest:
            self.newest = delivery.place


class Order:
    """The deliveries of a CLIENT subscription that wait to be settled, oldest first: settling one settles all before
    it. What is taken is looked at no more, so each is looked at once, however many there are and whatever is settled.
    """

    __slots__ = ("_gone", "_last", "deliveries")

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque()
        self._last: int = 0
        """The place of the newest."""
        self._gone: int = 0
        """Those among them that were settled otherwise."""

    def add(self, delivery: Delivery) -> None:
        """``delivery`` is the newest."""
        self._last += 1
        delivery.place = self._last
        self.deliveries.append(delivery)

    def upto(self, last: Delivery) -> list[Delivery]:
        """``last`` and all before it, which stay."""
        found: list[Delivery] = []
        for delivery in self.deliveries:
            if not delivery.settled:
                found.append(delivery)
            if delivery is last:
                break
        return found

    def take(self, last: Delivery) -> list[Delivery]:
        """``last`` and all before it, which are to be settled."""
        found: list[Delivery] = []
        deliveries = self.deliveries
        while deliveries:
            delivery = deliveries.popleft()
            if delivery.settled:
                self._gone -= 1
            else:
                found.append(delivery)
            if delivery is last:
                break
        self._tidy()
        return found

    def put_back(self, taken: list[Delivery]) -> None:
        """Some that were ``taken``, in their order, are not to be settled: they stand at their places again."""
        deliveries = self.deliveries
        last: int = taken[-1].place
        # Only what was put back before can stand before them.
        while deliveries and deliveries[0].place < last:
            taken.append(deliveries.popleft())
        taken.sort(key=_place, reverse=True)
        deliveries.extendleft(taken)

    def lapsed(self) -> None:
        """One of them was settled otherwise."""
        self._gone += 1
        self._tidy()
        if self._gone > 100 and 2 * self._gone > len(self.deliveries):
            left = [delivery for delivery in self.deliveries if not delivery.settled]
            # In place: the subscriptions of a composite destination share it.
            self.deliveries.clear()
            self.deliveries.extend(left)
            self._gone = 0

    def _tidy(self) -> None:
        """Where all that stand here are settled, none needs to: each holds its subscription, which has this order."""
        if self._gone and self._gone == len(self.deliveries):
            self.clear()

    def clear(self) -> None:
        """Nobody is there any more to settle what stands here."""
        self.deliveries.clear()
        self._gone = 0


def _place(delivery: Delivery) -> int:
    return delivery.place


# Compiled classes have no interpreted children unless they say so.
@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer(metaclass=ABCMeta):
    """What the broker delivers to: a session, or anything else that has these attributes and verbs.

    ``ready`` is false while it can take no more (its socket is full); the broker then holds queue messages
    back until ``Broker.resume`` and notes in ``stalled`` which subscriptions missed their turn for that.
    ``deliveries`` are the unsettled ones, under whatever name the consumer settles them by. ``behind`` is
    counted as memory: bytes that wait for its socket among messages of topics. ``client_id`` is who it says it
    is, over many connections. ``choked`` is a queue to which it sent more than fits, and which wants it to wait.
    ``astray`` counts what it sent to bare names that nobody hears, of which ``astray_name`` is the first, until its
    client was told.
    """

    __slots__ = (
        "astray",
        "astray_name",
        "behind",
        "choked",
        "client_id",
        "deliveries",
        "ready",
        "stalled",
        "subscriptions",
    )

    def __init__(self) -> None:
        self.ready = False
        self.behind: int = 0
        self.client_id: str = ""
        self.choked: Source | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.stalled: list[Subscription] = []
        self.astray: int = 0
        self.astray_name: str = ""

    @abstractmethod
    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Take ``message``; only appends to an outbox, never calls back into the broker."""

    def may_consume(self, name: str) -> bool:
        """Whether it may have what comes to the queue or topic ``name``, which fits a pattern that it subscribed to.
        Asked when a name is found to fit, not for each message; never calls back.
        """
        return True

    @abstractmethod
    def lag(self, subscription: Subscription) -> None:
        """Hear that ``subscription`` of a topic has fallen too far behind; never calls back."""

    @abstractmethod
    def ended(self, subscription: Subscription) -> None:
        """Hear that a browser has seen all there is; never calls back."""

    def unheard(self) -> bool:
        """Whether something that its client sent is not done yet, by which it may have settled what seems late."""
        return False

    @abstractmethod
    def expired(self, delivery: Delivery) -> None:
        """Hear that the lease of ``delivery`` ended: it is the consumer's no more; never calls back."""


class Subscription:
    """One subscription of a consumer to ``destination``: the ``wish`` that it was made from, and how far it has come.

    ``destination`` is the wish's, or one queue that fits it where that is a pattern. ``credit`` counts the
    deliveries it may still be handed, in messages. ``order`` has the unsettled deliveries of a CLIENT
    subscription, and ``progress`` how far its client has come. What is asked for with each message is copied from the
    wish here, nowhere else.

    ``selector`` and ``no_local`` are what it chooses by itself: nothing where what sends it messages, such as
    the feed of a durable subscription, has chosen already. ``of_topic`` tells that a topic sends it messages, either
    at once or by a queue of its own; ``looking`` that it looks through its queue and takes nothing.
    """

    __slots__ = (
        "bound",
        "closed",
        "consumer",
        "credit",
        "destination",
        "id",
        "lease",
        "looking",
        "mode",
        "no_local",
        "of_topic",
        "order",
        "prefix",
        "progress",
        "queue",
        "rank",
        "selector",
        "spare",
        "special",
        "turn",
        "waiting",
        "weight",
        "window",
        "wish",
        "withheld",
    )

    def __init__(self, consumer: Consumer, wish: Wish, destination: str = "") -> None:
        mode: int = wish.mode
        prefetch: int = wish.prefetch
        # What every delivery asks for is next to each other (bench: growth).
        self.consumer = consumer
        self.mode: int = mode
        self.credit: int = UNLIMITED if mode == AUTO or prefetch == 0 else prefetch
        self.prefix: bytes = wish.prefix
        self.of_topic = False
        self.special = wish.special
        self.window: int = wish.window

        self.wish = wish
        self.id: str = wish.id
        self.destination: str = destination or wish.destination
        self.closed = False
        self.waiting = False
        """Whether a ring has it: it can take a message, as far as is known."""
        self.rank: int = 0
        """Its place among those of its queue or topic: found by it, one of many needs not be looked for."""
        self.turn: int = 0
        """Likewise among those of a ring."""
        self.queue: Source | None = None
        self.order: Order | None = Order() if mode == CLIENT else None
        self.progress = Progress()
        self.selector: Selector | None = wish.selector
        self.no_local = wish.no_local
        self.looking = False
        self.lease: Lease | None = None
        self.weight: int = 0
        """Bytes of memory that it is counted with, by whoever made it."""
        self.bound: int = 0
        """Bytes of what is unsettled; counted with a ``window`` only."""
        self.spare: int = 0
        """Credit that is kept from it while ``bound`` is above its ``window``."""
        self.withheld: int = 0
        """Credit that is kept from it while memory is short."""

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


def append(subscriptions: list[Subscription], subscription: Subscription) -> None:
    """Let ``subscription`` be the last of ``subscriptions``."""
    subscription.rank = subscriptions[-1].rank + 1 if subscriptions else 0
    subscriptions.append(subscription)


def remove(subscriptions: list[Subscription], subscription: Subscription) -> None:
    """Take out ``subscription``, which was appended to ``subscriptions`` and to no others; it is not looked for."""
    del subscriptions[bisect_left(subscriptions, subscription.rank, key=rank_of)]


def rank_of(subscription: Subscription) -> int:
    """What subscriptions stand in order of."""
    return subscription.rank
