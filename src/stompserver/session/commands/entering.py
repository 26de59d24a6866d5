"""The subscriptions that a SUBSCRIBE asks for are made known, to the broker and to the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.commit import UNDER_WAY
from stompserver.broker.queues.queue import COST
from stompserver.broker.selectors.selector import TEXT, TREE
from stompserver.broker.subscription import AUTO, CLIENT, Granted, Subscription, Wish
from stompserver.broker.topics.filling import Subscriber
from stompserver.errors import Refused
from stompserver.manage.bring import Bringing
from stompserver.session import asking
from stompserver.session.events import Subscribed
from stompserver.session.reply import Reply
from stompserver.session.state import FAILED

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.session.client import Client

PLAIN: Final = 1000
"""Bytes of memory that a subscription takes beside its names (measured: 600 to 900)."""

ORDER: Final = 700
"""Bytes more that one with ack:client takes, for the order of what it was given."""


class Entering(Subscriber):
    """Makes a subscription of each of ``wishes``, one after the other, under the ``id`` of the frame. Where topics
    kept very much for one, that takes more than a turn: the session waits, and does after it what its client sends
    meanwhile.
    """

    __slots__ = ("_id", "_left", "_made", "_pending", "_position", "_principal", "_reply", "_session")

    def __init__(self, session: Client, id: str, wishes: list[Wish]) -> None:
        self._session = session
        self._principal = session.principal
        self._id = id
        self._left = wishes[:]
        self._made: list[Subscription] = []
        self._pending: Subscription | None = None
        """The one that takes more than a turn."""
        self._position: int = 0
        self._reply: Reply | None = None

    def start(self, reply: Reply) -> int:
        """Make them, and answer with ``reply`` when all are there; return up to where the log must be durable before
        that, 0 when they are not there yet. Raises Refused.
        """
        if self._go_on(reply):
            self._end(reply)
            return self._position
        self._reply = reply.take()
        self._session.wait_for(self)
        return 0

    def _go_on(self, reply: Reply) -> bool:
        """Make those that are left; false when one of them takes more than a turn."""
        session = self._session
        while self._left:
            wish = self._left.pop(0)
            subscription = Subscription(session, wish)
            if self._made and self._made[0].order is not None and subscription.order is not None:
                # ACK of one message means all before it of the same id, from whichever destination.
                subscription.order = self._made[0].order
            if self._made:
                subscription.progress = self._made[0].progress
            durable = wish.durable
            if durable is not None:
                session.roster.take(session, durable)
            granted = session.broker.subscribe(subscription, self)
            if durable is not None:
                session.roster.hold(session, durable)
            if granted.position == UNDER_WAY:
                self._pending = subscription
                return False
            self._enter(subscription, granted, reply)
        return True

    def _enter(self, subscription: Subscription, granted: Granted, reply: Reply) -> None:
        session = self._session
        # Nobody but us sees the names of a composite's other parts; ids have no NUL in them.
        key = self._id + "\0" + str(len(self._made)) if self._made else self._id
        session.subscriptions[key] = subscription
        subscription.weight = weight(session, subscription.wish)
        session.broker.memory.subscriptions.take(subscription.weight)
        if session.usage is not None:
            session.usage.subscriptions += 1
        session.happened.append(Subscribed(subscription.destination))
        session.warn(reply, granted.warning)
        self._position = max(self._position, granted.position)
        self._made.append(subscription)

    def _end(self, reply: Reply) -> None:
        """All are there: the RECEIPT goes out before what already waits for them."""
        session = self._session
        session.answer(reply, self._position)
        for subscription in self._made:
            session.broker.start(subscription)
        bring(session.broker)

    # What the broker calls

    def gone(self) -> bool:
        """Whether its client is: nobody was told that it is subscribed."""
        if self._session.state < FAILED:
            return False
        self._release()
        return True

    def granted(self, granted: Granted) -> None:
        """The one that took more than a turn is there; go on with the others."""
        pending, reply = self._pending, self._reply
        if pending is None or reply is None:
            return
        self._pending = None
        self._enter(pending, granted, reply)
        if self._session.principal is not self._principal:
            # Since it was asked for, its client may have lost the right to it.
            self._principal = self._session.principal
            lost = asking.withdrawn(self._session)
            if lost is not None:
                self._session.fail(lost, reply.receipt)
                self._session.let_go()
                self._release()
                return
        try:
            if not self._go_on(reply):
                return
        except Refused as error:
            self.refused(error)
            return
        self._end(reply)
        self._release()

    def refused(self, error: Refused) -> None:
        """Tell the client."""
        if self._reply is not None:
            self._session.fail(error, self._reply.receipt)
        self._release()

    def dropped(self) -> None:
        """The connection may end."""
        self._release()

    def _release(self) -> None:
        """The session waits no more."""
        session = self._session
        pending = self._pending
        if pending is not None and pending.wish.durable is not None:
            session.roster.release(session, pending.wish.durable)
        self._pending = None
        session.waiting = None
        session.vacate()


def weight(session: Client, wish: Wish) -> int:
    """Bytes of memory that a subscription takes."""
    size: int = PLAIN + 4 * len(wish.label) + sum([len(topic) for topic in wish.topics])
    if wish.mode == CLIENT:
        size += ORDER
    if wish.mode != AUTO and wish.durable is None and not session.broker.is_queue(wish.destination):
        # A queue of its own.
        size += COST
    if wish.selector is not None:
        size += TREE + TEXT * len(wish.selector.text)
    return size


def bring(broker: Broker) -> None:
    """Begin to bring what waits in queues of an earlier version to where it belongs now."""
    durables = broker.fanout.durables
    while durables.bringing:
        Bringing(broker, durables.bringing.pop()).start()
