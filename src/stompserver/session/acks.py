"""Which deliveries an ACK or NACK means (STOMP, ACK; the three versions name them in three ways)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.broker import ACK, NACK, Action
from stompserver.broker.destination import MONITOR
from stompserver.broker.subscription import AUTO, UNLIMITED, Consumer, Delivery, Subscription
from stompserver.errors import ProtocolError
from stompserver.session import faults, values
from stompserver.session.versions import BY_ACK_ID, BY_MESSAGE_ID_AND_SUBSCRIPTION, Version
from stompserver.wire.frame import Frame

if TYPE_CHECKING:
    from stompserver.session.session import Session

MONITOR_ACK: Final = "monitor"
"""The ``ack`` header of the monitor's reports: they never count as unsettled, as in the original."""

BROWSER_ACK: Final = "browser"
"""The same of what a browser was shown."""

_LAPSED: Final = 1000
"""Deliveries whose lease ended that a connection remembers, so that a late ACK is not an ERROR."""


def settle(session: Session, frame: Frame, kind: int) -> int:
    """ACK or NACK (``kind``), at once or in a transaction."""
    headers = frame.headers
    command = frame.command.upper()
    for name in session.version.required[command]:
        if name not in headers:
            raise faults.missing(name, frame, session.version)
    found = find(session, session.version, command, headers, session.settings.strict, session.lapsed)
    transaction = headers.get("transaction")
    if found is None:
        if transaction is not None:
            session.need_transactions().get(transaction)
        _excuse(session, headers)
        return 0
    deliveries = covered(found)
    requeue = True
    delay: int = -1
    reason = ""
    if kind == NACK:
        if values.truth(headers.get("touch"), False):
            return session.broker.touch(deliveries)
        requeue = values.truth(headers.get("requeue"), True)
        reason = headers.get("reason", "")
        if "delay" in headers:
            delay = max(values.number(headers, "delay"), 0)
    if transaction is not None:
        actions = [Action(kind, None, delivery, requeue, delay, reason) for delivery in deliveries]
        session.queue_up(transaction, actions, 0)
        for delivery in deliveries:
            delivery.held = transaction
        return 0
    for delivery in deliveries:
        del session.deliveries[delivery.name]
    number: int = 0
    # Those of a pattern, or of several destinations, come from several queues.
    rest = deliveries
    while rest:
        subscription = rest[0].subscription
        same = [delivery for delivery in rest if delivery.subscription is subscription]
        rest = [delivery for delivery in rest if delivery.subscription is not subscription]
        if kind == ACK:
            number = session.broker.ack_all(subscription, same)
        else:
            number = session.broker.nack(same, requeue, delay, reason)
    trim(found)
    return number


def settled(consumer: Consumer, actions: list[Action]) -> None:
    """A transaction did ``actions``: forget the deliveries that they settled."""
    for action in actions:
        delivery = action.delivery
        if delivery is not None:
            # What came back may have been delivered again meanwhile, under the same name in 1.0 and 1.1.
            if consumer.deliveries.get(delivery.name) is delivery:
                del consumer.deliveries[delivery.name]
            trim(delivery)


def free(actions: list[Action]) -> None:
    """A transaction with ``actions`` was aborted: the deliveries it held may be settled again."""
    for action in actions:
        if action.delivery is not None:
            action.delivery.held = None


def _excuse(session: Session, headers: dict[str, str]) -> None:
    name = headers.get("id") or headers.get("message-id", "")
    if session.version.settles != BY_ACK_ID:
        name = pair(name, headers.get("subscription", ""))
    if name in session.lapsed:
        session.warn("Its ack-timeout is over, so the message went back before")
    elif name not in (MONITOR_ACK, BROWSER_ACK):
        session.sin("ack-of-auto")


def lapse(consumer: Consumer, lapsed: dict[str, None], delivery: Delivery) -> None:
    """The lease of ``delivery`` is over: it is not the consumer's any more."""
    if consumer.deliveries.get(delivery.name) is delivery:
        del consumer.deliveries[delivery.name]
    if len(lapsed) >= _LAPSED:
        del lapsed[next(iter(lapsed))]
    lapsed[delivery.name] = None


def pair(message_id: str, subscription_id: str) -> str:
    """The name of a delivery in 1.0 and 1.1; a NUL cannot occur in either part."""
    return message_id + "\0" + subscription_id


def find(
    consumer: Consumer,
    version: Version,
    command: str,
    headers: dict[str, str],
    strict: bool,
    lapsed: dict[str, None],
) -> Delivery | None:
    """The unsettled delivery that ``command`` (ACK or NACK) names; None when it names one that needs none
    (ack:auto, unless ``strict``, or one whose lease ended).

    Raises ProtocolError for an unknown, foreign or settled one.
    """
    if version.settles == BY_ACK_ID:
        name = headers["id"]
        delivery = consumer.deliveries.get(name)
        if delivery is not None:
            return delivery
        if name in (MONITOR_ACK, BROWSER_ACK) or name in lapsed:
            return None
        raise _unknown(command, headers, name, "header id", version)
    message_id = headers["message-id"]
    if version.settles == BY_MESSAGE_ID_AND_SUBSCRIPTION:
        id = headers["subscription"]
        delivery = consumer.deliveries.get(pair(message_id, id))
        if delivery is not None:
            return delivery
        subscription = consumer.subscriptions.get(id)
        if (subscription is not None and _free(subscription, strict)) or pair(message_id, id) in lapsed:
            return None
        raise _unknown(
            command, headers, message_id, "headers message-id and subscription " + repr(id[:80]), version
        )
    auto = False
    for subscription in consumer.subscriptions.values():
        delivery = consumer.deliveries.get(pair(message_id, subscription.id))
        if delivery is not None:
            return delivery
        auto = auto or _free(subscription, strict)
    # Of a subscription that ended: rare, so a scan is good enough.
    for name, delivery in consumer.deliveries.items():
        if name.partition("\0")[0] == message_id:
            return delivery
    if auto or message_id in [name.partition("\0")[0] for name in lapsed]:
        return None
    raise _unknown(command, headers, message_id, "header message-id", version)


def _free(subscription: Subscription, strict: bool) -> bool:
    """Whether ACKs for ``subscription`` have nothing to do and harm nobody."""
    if subscription.destination == MONITOR or subscription.browser:
        return True
    return subscription.mode == AUTO and (not strict or subscription.topic is not None)


def covered(delivery: Delivery) -> list[Delivery]:
    """The deliveries that settling ``delivery`` settles: with a CLIENT subscription all before it too, but for
    those that an open transaction holds.

    Raises ProtocolError when ``delivery`` itself is held.
    """
    if delivery.held is not None:
        raise ProtocolError(
            "Delivery is already part of transaction " + delivery.held[:80],
            where="header transaction",
            rule="STOMP, ACK: a delivery is settled once",
            mend="COMMIT or ABORT that transaction first.",
        )
    order = delivery.subscription.order
    if order is None:
        return [delivery]
    found: list[Delivery] = []
    for earlier in order:
        if not earlier.settled and earlier.held is None:
            found.append(earlier)
        if earlier is delivery:
            break
    return found


def trim(delivery: Delivery) -> None:
    """Forget the settled deliveries at the head of the subscription's order."""
    subscription = delivery.subscription
    order = subscription.order
    if order is None:
        return
    while order and order[0].settled:
        order.popleft()
    # One that an open transaction holds at the head must not keep all that are settled after it.
    unsettled = (subscription.prefetch or UNLIMITED) - subscription.credit
    if len(order) > 2 * unsettled + 100:
        # In place: the subscriptions of a composite destination share it.
        kept = [later for later in order if not later.settled]
        order.clear()
        order.extend(kept)


def _unknown(command: str, headers: dict[str, str], name: str, where: str, version: Version) -> ProtocolError:
    mend = "Use the values of the MESSAGE's own headers, once, on the connection that received it."
    if version.settles == BY_ACK_ID:
        mend = "Use the value of the MESSAGE's ack header, once, on the connection that received it."
        if "message-id" in headers:
            mend += " (STOMP 1.2 does not look at message-id.)"
    return ProtocolError(
        f"{command} of no known delivery {name[:80]!r}",
        where=where,
        rule=f"{version.section}, {command}: it names a message that was delivered on this connection and is not"
        " settled yet",
        mend=mend,
    )
