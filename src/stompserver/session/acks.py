"""Which deliveries an ACK or NACK means (STOMP, ACK; the three versions name them in three ways)."""

from __future__ import annotations

from collections import deque

from stompserver.broker.destination import MONITOR
from stompserver.broker.subscription import AUTO, UNLIMITED, Consumer, Delivery, Subscription
from stompserver.errors import ProtocolError
from stompserver.session.versions import BY_ACK_ID, BY_MESSAGE_ID_AND_SUBSCRIPTION, Version

MONITOR_ACK = "monitor"
"""The ``ack`` header of the monitor's reports: they never count as unsettled, as in the original."""


def pair(message_id: str, subscription_id: str) -> str:
    """The name of a delivery in 1.0 and 1.1; a NUL cannot occur in either part."""
    return message_id + "\0" + subscription_id


def find(
    consumer: Consumer, version: Version, command: str, headers: dict[str, str], strict: bool
) -> Delivery | None:
    """The unsettled delivery that ``command`` (ACK or NACK) names; None when it names one that needs none
    (ack:auto, unless ``strict``).

    Raises ProtocolError for an unknown, foreign or settled one.
    """
    if version.settles == BY_ACK_ID:
        name = headers["id"]
        delivery = consumer.deliveries.get(name)
        if delivery is not None:
            return delivery
        if name == MONITOR_ACK:
            return None
        raise _unknown(command, headers, name, "header id", version)
    message_id = headers["message-id"]
    if version.settles == BY_MESSAGE_ID_AND_SUBSCRIPTION:
        id = headers["subscription"]
        delivery = consumer.deliveries.get(pair(message_id, id))
        if delivery is not None:
            return delivery
        subscription = consumer.subscriptions.get(id)
        if subscription is not None and _free(subscription, strict):
            return None
        raise _unknown(
            command, headers, message_id, "headers message-id and subscription " + repr(id[:80]), version
        )
    auto = False
    for id, subscription in consumer.subscriptions.items():
        delivery = consumer.deliveries.get(pair(message_id, id))
        if delivery is not None:
            return delivery
        auto = auto or _free(subscription, strict)
    # Of a subscription that ended: rare, so a scan is good enough.
    for name, delivery in consumer.deliveries.items():
        if name.partition("\0")[0] == message_id:
            return delivery
    if auto:
        return None
    raise _unknown(command, headers, message_id, "header message-id", version)


def _free(subscription: Subscription, strict: bool) -> bool:
    """Whether ACKs for ``subscription`` have nothing to do and harm nobody."""
    if subscription.destination == MONITOR:
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
        subscription.order = deque([later for later in order if not later.settled])


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
