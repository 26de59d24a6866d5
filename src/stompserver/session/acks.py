"""Which deliveries an ACK or NACK means (STOMP, ACK; the three versions name them in three ways)."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import ACK, NACK, Action
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.queues.queue import queue_of
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, Delivery, Order, Subscription
from stompserver.errors import ProtocolError
from stompserver.session.by_message import ByMessage
from stompserver.session.client import NO_TWINS, NONE_LAPSED, Client
from stompserver.session.dialect import values
from stompserver.session.other_words import reworded
from stompserver.session.reply import Reply
from stompserver.session.settings import DEADLETTER
from stompserver.session.versions import (
    BY_ACK_ID,
    BY_MESSAGE_ID,
    BY_MESSAGE_ID_AND_SUBSCRIPTION,
    Version,
    pair,
)
from stompserver.wire.frame import Frame

MONITOR_ACK: Final = "monitor"
"""The ``ack`` header of the monitor's reports: they never count as unsettled, as in the original."""

BROWSER_ACK: Final = "browser"
"""The ``ack`` header of what a browser was shown: it is not the browser's to settle, so this settles nothing."""

_LAPSED: Final = 2000
"""Names of deliveries whose lease ended that a connection remembers, so that a late ACK is not an ERROR."""


def settle(session: Client, frame: Frame, kind: int, reply: Reply) -> int:
    """ACK or NACK (``kind``), at once or in a transaction."""
    headers = frame.headers
    command = frame.command.upper()
    for name in session.version.required[command]:
        if name not in headers:
            headers = reworded(session, frame)
            break
    found = find(session, command, headers)
    transaction = headers.get("transaction")
    if found is None:
        if transaction is not None:
            session.need_transactions().get(transaction)
        _excuse(session, headers, reply)
        return 0
    if (
        kind == ACK
        and transaction is not None
        and found.held == transaction
        and _covered(session, found, transaction)
    ):
        session.tolerate("ack-again")
        return 0
    _check_free(found)
    order = found.subscription.order
    requeue = True
    delay: int = -1
    reason = ""
    if kind == NACK:
        if values.truth(headers.get("touch"), False):
            deliveries = [found] if order is None else order.upto(found)
            session.broker.work += 2 * len(deliveries)
            return session.broker.touch(deliveries)
        requeue = _comes_back(session, found, headers)
        reason = headers.get("reason", "")
        if "delay" in headers:
            delay = max(values.number(headers, "delay"), 0)
    deliveries = [found] if order is None else order.take(found)
    session.broker.work += 2 * len(deliveries)
    if transaction is not None:
        actions = [Action(kind, None, delivery, requeue, delay, reason) for delivery in deliveries]
        session.queue_up(transaction, actions, 0)
        for delivery in deliveries:
            delivery.held = transaction
        return 0
    found.subscription.progress.settled(found)
    for delivery in deliveries:
        forget(session, delivery)
    if kind == NACK and len(deliveries) > BUDGET:
        later = _Later(session, reply)
        session.broker.put_back(deliveries, requeue, delay, reason, later.done)
        return 0
    if len(deliveries) == 1:
        return _settle(session, found.subscription, deliveries, kind, requeue, delay, reason)
    number: int = 0
    # Those of a pattern, or of several destinations, come from several queues.
    parts: dict[Subscription, list[Delivery]] = {}
    for delivery in deliveries:
        same = parts.get(delivery.subscription)
        if same is None:
            parts[delivery.subscription] = [delivery]
        else:
            same.append(delivery)
    for subscription, same in parts.items():
        number = _settle(session, subscription, same, kind, requeue, delay, reason)
    return number


def _comes_back(session: Client, delivery: Delivery, headers: dict[str, str]) -> bool:
    """Whether a NACK with ``headers``, that names ``delivery``, wants its messages delivered again."""
    asked = headers.get("requeue")
    if asked is not None:
        return values.truth(asked, True)
    subscription = delivery.subscription
    if "delay" in headers or subscription.wish.policy is not None:
        # Its client has said how it is to be delivered again.
        return True
    return (queue_of(subscription).policy.nack or session.settings.nack) != DEADLETTER


class _Later:
    """The RECEIPT of a frame whose work is done in slices."""

    __slots__ = ("_reply", "_session")

    def __init__(self, session: Client, reply: Reply) -> None:
        self._session = session
        self._reply = reply.take()

    def done(self) -> None:
        """All of it is done."""
        # After DISCONNECT and its RECEIPT nothing more is said.
        if self._session.live:
            self._session.answer(self._reply, self._session.broker.log.position)


def _settle(
    session: Client,
    subscription: Subscription,
    deliveries: list[Delivery],
    kind: int,
    requeue: bool,
    delay: int,
    reason: str,
) -> int:
    if kind == ACK:
        return session.broker.ack_all(subscription, deliveries)
    return session.broker.nack(deliveries, requeue, delay, reason)


def settled(session: Client, actions: list[Action]) -> None:
    """A transaction did ``actions``: forget the deliveries that they settled."""
    if not session.deliveries:
        return
    for action in actions:
        delivery = action.delivery
        # What came back may have been delivered again meanwhile, under the same name in 1.0 and 1.1.
        if delivery is not None and session.deliveries.get(delivery.name) is delivery:
            delivery.subscription.progress.settled(delivery)
            forget(session, delivery)


def free(actions: list[Action]) -> None:
    """A transaction with ``actions`` was aborted: the deliveries it held may be settled again."""
    taken: dict[Order, list[Delivery]] = {}
    for action in actions:
        delivery = action.delivery
        if delivery is not None:
            delivery.held = None
            order = delivery.subscription.order
            if order is not None:
                taken.setdefault(order, []).append(delivery)
    for order, deliveries in taken.items():
        order.put_back(deliveries)


def _excuse(session: Client, headers: dict[str, str], reply: Reply) -> None:
    """Answer what names nothing that could be settled, and is no ERROR (see ``find``)."""
    name = headers["id" if session.version.settles == BY_ACK_ID else "message-id"]
    called = name
    if session.version.settles == BY_MESSAGE_ID_AND_SUBSCRIPTION:
        called = pair(name, headers["subscription"])
    if called in session.lapsed:
        session.warn(reply, "Its ack-timeout is over, so the message went back before")
    elif _elsewhere(session, name):
        session.warn(reply, "The message was delivered on another connection, so nothing is settled")
    elif name not in (MONITOR_ACK, BROWSER_ACK):
        session.tolerate("ack-of-auto")


def _lapse_message(session: Client, delivery: Delivery) -> None:
    """Remember the message-id of ``delivery``, too, where its client may call it so."""
    if session.version.settles == BY_ACK_ID and not session.settings.strict:
        session.lapsed[str(delivery.message.number)] = None


def lapse(session: Client, delivery: Delivery) -> None:
    """The lease of ``delivery`` is over: it is not the client's any more."""
    name = _called(session, delivery.name)
    if session.lapsed is NONE_LAPSED:
        session.lapsed = {}
    _lapse_message(session, delivery)
    if session.deliveries.get(delivery.name) is delivery:
        forget(session, delivery)
        # Only then it stands there: what is settled in slices was taken out before.
        order = delivery.subscription.order
        if order is not None:
            order.lapsed()
    lapsed = session.lapsed
    while len(lapsed) >= _LAPSED:
        del lapsed[next(iter(lapsed))]
    lapsed[name] = None


def part(session: Client) -> None:
    """``session`` is gone and settles nothing more: let go of the orders of what it was given. There is none that has
    something and nothing unsettled.
    """
    for delivery in session.deliveries.values():
        order = delivery.subscription.order
        if order is not None:
            order.clear()


def twin(session: Client, name: str, number: int) -> str:
    """The name of a new delivery that ACK calls as one that is not settled: in 1.0 the same message by another
    subscription, in 1.1 by another part of one for several topics. The older is settled first, so the newer one has
    a name of its own until then, made of ``number``, which no other delivery of the connection has.
    """
    own = name + "\0" + str(number)
    if session.twins is NO_TWINS:
        session.twins = {}
    session.twins.setdefault(name, []).append(own)
    return own


def _called(session: Client, name: str) -> str:
    """What ACK calls the delivery ``name``: that, or what it is a twin of."""
    if session.twins and name not in session.twins:
        other = name.rpartition("\0")[0]
        names = session.twins.get(other)
        if names is not None and name in names:
            return other
    return name


def forget(session: Client, delivery: Delivery) -> None:
    """``delivery`` is settled: its name means nothing any more, or the next delivery that has the same for ACK."""
    name = delivery.name
    del session.deliveries[name]
    if not session.twins:
        return
    called = _called(session, name)
    names = session.twins.get(called)
    if names is None:
        return
    if name != called:
        names.remove(name)
    elif names:
        older = session.deliveries.pop(names.pop(0))
        older.name = name
        session.deliveries[name] = older
    if not names:
        del session.twins[called]


def find(session: Client, command: str, headers: dict[str, str]) -> Delivery | None:
    """The unsettled delivery that ``command`` (ACK or NACK) names; None when it names one that needs none
    (ack:auto, unless the session is strict), or that comes too late: its lease ended, or its connection.

    Raises ProtocolError for an unknown or settled one.
    """
    version = session.version
    if version.settles == BY_ACK_ID:
        name = headers["id"]
        delivery = session.deliveries.get(name)
        if delivery is not None:
            return delivery
        if not session.settings.strict:
            delivery = _by_message(session, name, headers.get("subscription"))
            if delivery is not None:
                session.tolerate("ack-by-message-id")
                return delivery
        if name in (MONITOR_ACK, BROWSER_ACK) or name in session.lapsed or _elsewhere(session, name):
            return None
        if name == headers.get("subscription") and not session.settings.strict:
            # Spring's way with some clients: `id` is that of the subscription, and message-id says what is meant.
            delivery = _by_message(session, headers.get("message-id", ""), name)
            if delivery is not None:
                session.tolerate("ack-by-message-id")
                return delivery
        where = "header id"
    elif version.settles == BY_MESSAGE_ID_AND_SUBSCRIPTION:
        name = headers["message-id"]
        id = headers["subscription"]
        delivery = session.deliveries.get(pair(name, id))
        if delivery is not None:
            return delivery
        if pair(name, id) in session.lapsed:
            return None
        where = "headers message-id and subscription " + repr(id[:80])
    else:
        name = headers["message-id"]
        delivery = _of_1_0(session, name, headers.get("subscription"))
        if delivery is not None:
            return delivery
        if name in session.lapsed:
            return None
        where = "header message-id"
    if _needs_none(session, name, headers):
        return None
    raise _unknown(command, headers, name, where, version)


def _of_1_0(session: Client, message_id: str, label: str | None) -> Delivery | None:
    """The unsettled delivery of that message in 1.0: to the subscription that its client calls ``label``, if it has
    one so, else the oldest. Copies of a topic's message for several subscriptions have one message-id.
    """
    oldest = session.deliveries.get(message_id)
    if label is None or oldest is None or oldest.subscription.wish.label == label:
        return oldest
    names = session.twins.get(message_id)
    if names is not None:
        session.broker.work += len(names)
        for name in names:
            delivery = session.deliveries[name]
            if delivery.subscription.wish.label == label:
                return delivery
    for subscription in session.subscriptions.values():
        if subscription.wish.label == label:
            # Its own is settled: another one's is not meant.
            return None
    return oldest


def _by_message(session: Client, message_id: str, label: str | None) -> Delivery | None:
    """The unsettled delivery of that message in 1.2, where it is not asked for so."""
    if not session.mark or not _is_number(message_id):
        return None
    found = session.by_message
    if found is None:
        found = session.by_message = ByMessage(session.deliveries, session.mark)
    before: int = found.steps
    delivery = found.find(message_id, label, session.named)
    session.broker.work += found.steps - before
    return delivery


def _is_number(text: str) -> bool:
    return 0 < len(text) < 20 and text.isascii() and text.isdigit()


def _elsewhere(session: Client, name: str) -> bool:
    """Whether ``name`` is that of a delivery on another connection, which may be of an earlier run of the server."""
    mark = session.mark
    return (not mark or not name.startswith(mark)) and session.roster.marked(name)


def _needs_none(session: Client, name: str, headers: dict[str, str]) -> bool:
    """Whether message ``name`` can have come by a subscription whose messages need no ACK."""
    strict = session.settings.strict
    settles: int = session.version.settles
    if settles == BY_ACK_ID and strict:
        return False
    if settles != BY_MESSAGE_ID and "subscription" in headers:
        subscription = session.subscriptions.get(headers["subscription"])
        return subscription is not None and _free(subscription, strict)
    if settles == BY_ACK_ID and not (_is_number(name) and int(name) <= session.broker.number):
        return False
    return any(_free(subscription, strict) for subscription in session.subscriptions.values())


def _free(subscription: Subscription, strict: bool) -> bool:
    """Whether ACKs for ``subscription`` have nothing to do and harm nobody."""
    if subscription.destination == MONITOR or subscription.wish.browser:
        return True
    return subscription.mode == AUTO and (not strict or subscription.of_topic)


def _covered(session: Client, delivery: Delivery, transaction: str) -> bool:
    """Whether ``transaction``, which holds ``delivery``, has it by a cumulative ACK."""
    if session.settings.strict or delivery.subscription.order is None:
        return False
    actions = session.need_transactions().get(transaction).actions
    at: int = len(actions) - 1
    while actions[at].delivery is not delivery:
        at -= 1
    session.broker.work += (len(actions) - at) // 8
    return actions[at].kind == ACK


def _check_free(delivery: Delivery) -> None:
    """Raises ProtocolError when an open transaction holds ``delivery``."""
    if delivery.held is not None:
        raise ProtocolError(
            "Delivery is already part of transaction " + delivery.held[:80],
            where="header transaction",
            rule="STOMP, ACK: a delivery is settled once",
            fix="COMMIT or ABORT that transaction first.",
        )


def _unknown(command: str, headers: dict[str, str], name: str, where: str, version: Version) -> ProtocolError:
    fix = "Use the values of the MESSAGE's own headers, once, on the connection that received it."
    if version.settles == BY_ACK_ID:
        fix = "Use the value of the MESSAGE's ack header, once, on the connection that received it."
        if "message-id" in headers:
            fix += " (STOMP 1.2 does not look at message-id.)"
    return ProtocolError(
        f"{command} of no known delivery {name[:80]!r}",
        where=where,
        rule=f"{version.section}, {command}: it names a message that was delivered on this connection and is not"
        " settled yet",
        fix=fix,
    )
