"""SUBSCRIBE and UNSUBSCRIBE: what a client wants of a destination, under all the names of the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.destination import MONITOR
from stompserver.broker.pattern import is_pattern
from stompserver.broker.selector import compile_selector
from stompserver.broker.subscription import AUTO, CLIENT, Subscription
from stompserver.session import acks, dialect, faults, lenience, naming, temporary, values
from stompserver.session.naming import Speaker, Target
from stompserver.session.versions import BY_ACK_ID, V10
from stompserver.wire.frame import Frame

if TYPE_CHECKING:
    from stompserver.session.session import Session

_OPTIONS: Final = frozenset(
    (
        *dialect.PREFETCH,
        *dialect.WINDOW,
        *dialect.DURABLE,
        *dialect.DURABLE_NAME,
        *dialect.QUEUE_NAME,
        *dialect.PRIORITY,
        *dialect.EXCLUSIVE,
        *dialect.NO_LOCAL,
        *dialect.PENDING,
        *dialect.REPLAY,
        *dialect.REDELIVERY,
        *dialect.PROPERTIES,
        "ack-timeout",
        "activemq.dispatchAsync",
        "activemq.optimizedAcknowledge",
        "activemq.retroactive",
        "browser",
        "browser-end",
        "selector",
        "temp",
    )
)
"""What may stand behind the question mark of a destination."""


def subscribe(session: Session, frame: Frame) -> int:
    """SUBSCRIBE: the RECEIPT goes out before what already waits in a queue."""
    headers = frame.headers
    text = session.required(frame, "destination")
    label = headers.get("id", "")
    if "id" in session.version.required["SUBSCRIBE"]:
        id = session.required(frame, "id")
        if id in session.subscriptions:
            raise faults.id_in_use(id, session.version)
    else:
        id = session.name_subscription()
    asked = headers.get("ack", "auto")
    mode = dialect.ACK_MODES.get(asked)
    if mode is None:
        raise faults.unknown_ack_mode(asked)
    targets = _targets(session, text, headers)
    if len(session.subscriptions) + len(targets) > session.settings.max_subscriptions:
        raise faults.too_many_subscriptions(session.settings.max_subscriptions)
    log = session.broker.log
    before: int = log.number
    made: list[Subscription] = []
    for target in targets:
        subscription = _make(session, frame, id, label, mode, target, len(targets) > 1)
        if made and made[0].order is not None and subscription.order is not None:
            # ACK of one message means all before it of the same id, from whichever destination.
            subscription.order = made[0].order
        session.broker.subscribe(subscription)
        # Nobody but us sees the names of a composite's other parts; ids have no NUL in them.
        session.subscriptions[id + "\0" + str(len(made)) if made else id] = subscription
        made.append(subscription)
        session.notes.append(("subscribed", subscription.destination))
        session.warn(subscription.warning)
    # What others have sent meanwhile need not be durable first: the RECEIPT comes before what waits.
    number: int = log.number if log.number > before else 0
    session.answer(number)
    for subscription in made:
        session.broker.start(subscription)
    return number


def _targets(session: Session, text: str, headers: dict[str, str]) -> list[Target]:
    if naming.is_plain(text):
        return [Target(text, text)]
    kind = ""
    for name in dialect.SUBSCRIPTION_KIND:
        kind = kind or values.choice(headers, name, naming.TYPES)
    speaker = Speaker(session.id, session.login, session.broker.naming.bare, kind)
    targets: list[Target] = []
    for part in naming.split(text):
        part, options = naming.options_of(part)
        if options:
            lenience.take_options(session, headers, options, _OPTIONS)
        targets.append(naming.resolve(part, speaker))
    return targets


def _make(
    session: Session, frame: Frame, id: str, label: str, mode: int, target: Target, composite: bool
) -> Subscription:
    headers = frame.headers
    broker = session.broker
    name = target.name
    if naming.is_private(name):
        if not naming.owns(name, session.id, session.login):
            raise naming.foreign(target.shown)
        if naming.temp_owner(name):
            temporary.own(session, name)
    # Raises where a bare name, or one of the server's own, is an error.
    queue = broker.is_queue(name)
    durable = "" if queue or name == MONITOR else _durable(session, frame, headers, target, label)
    browser = queue and values.truth(headers.get("browser"), False)
    asked = mode
    if browser or name == MONITOR:
        # As in the original, the monitor's reports never count as unsettled; nor does what is only looked at.
        mode, prefetch = AUTO, 0
    else:
        mode, prefetch = _credit(session, name, queue or durable != "", mode, headers)
    subscription = Subscription(session, id, name, mode, prefetch)
    subscription.label = label
    subscription.browser = browser
    subscription.follow = browser and not values.truth(headers.get("browser-end"), True)
    if "selector" in headers and headers["selector"].strip():
        subscription.selector = compile_selector(headers["selector"])
    subscription.durable = durable
    if not session.client_id:
        session.client_id = headers.get(dialect.CLIENT_ID[0], "")
    subscription.exclusive = values.truth(headers.get(dialect.EXCLUSIVE[0]), False) or (
        queue and values.truth(headers.get(dialect.EXCLUSIVE[1]), False)
    )
    found = values.named(headers, dialect.PRIORITY)
    if found:
        subscription.priority = values.number(headers, found)
    window = values.window(headers)
    if mode != AUTO:
        subscription.window = window
    if "ack-timeout" in headers:
        subscription.ack_timeout = max(values.number(headers, "ack-timeout"), 0)
    found = values.named(headers, dialect.PENDING)
    if found:
        subscription.pending = max(values.number(headers, found), 0)
    subscription.no_local = values.truth(values.first(headers, dialect.NO_LOCAL), False)
    subscription.retroactive = values.truth(headers.get("activemq.retroactive"), False)
    subscription.policy = values.redelivery(headers, broker.rules.policies.find(name))
    subscription.auto_delete = _auto_delete(headers, durable)
    subscription.replay = values.replay(headers)
    if subscription.replay and queue:
        session.warn("A queue has no history; " + values.named(headers, dialect.REPLAY) + " is for topics")
    wanted = values.properties(headers)
    if wanted is not None and queue and not is_pattern(name):
        session.warn(broker.shapes.wish(name, wanted))
    prefix = [("subscription", label)] if label or session.version is not V10 else []
    if target.aliased:
        subscription.shown = target.shown
        prefix.append(("destination", target.shown))
    subscription.odd = composite or target.aliased or subscription.replay != "" or subscription.retroactive
    if mode != asked and (browser or name == MONITOR) and session.version.settles == BY_ACK_ID:
        prefix.append(("ack", acks.BROWSER_ACK if browser else acks.MONITOR_ACK))
    text = session.text()
    subscription.prefix = text.octetize(
        "MESSAGE\n" + "".join([text.line(header, value) for header, value in prefix])
    )
    return subscription


def _credit(session: Session, name: str, queued: bool, mode: int, headers: dict[str, str]) -> tuple[int, int]:
    """The mode and prefetch that a subscription really has.

    As in the original, 1.0 does not acknowledge topics. In 1.1 and 1.2 a topic's subscriber may, but is not held
    back unless it asks for a prefetch.
    """
    settings = session.settings
    if queued:
        ten = mode == CLIENT and session.version is V10
        default: int = session.broker.rules.policies.find(name).prefetch or (
            settings.prefetch10 if ten else settings.prefetch
        )
        return mode, values.prefetch(headers, default)
    if session.version is V10:
        return AUTO, 0
    return mode, values.prefetch(headers, 0)


def _client(session: Session, headers: dict[str, str]) -> str:
    return session.client_id or headers.get(dialect.CLIENT_ID[0], "")


def _auto_delete(headers: dict[str, str], durable: str) -> bool:
    if values.truth(headers.get("auto-delete"), False) or values.truth(headers.get("temp"), False):
        return True
    # RabbitMQ: a queue that only has a name goes with its last consumer.
    return (
        durable != ""
        and durable == headers.get(dialect.QUEUE_NAME[0])
        and not values.truth(values.first(headers, dialect.DURABLE), False)
        and values.truth(headers.get("auto-delete"), True)
    )


def _durable(session: Session, frame: Frame, headers: dict[str, str], target: Target, label: str) -> str:
    """The unique name of the durable subscription that a SUBSCRIBE or UNSUBSCRIBE means; "" for none.

    ActiveMQ and Artemis name it by client-id and name, Apollo and RabbitMQ by id; RabbitMQ's x-queue-name and
    Artemis' address::queue are names for everybody.
    """
    if target.durable:
        return target.durable
    name = values.first(headers, dialect.DURABLE_NAME)
    if name:
        client = _client(session, headers)
        return client + "." + name if client else name
    name = values.first(headers, dialect.QUEUE_NAME)
    if name:
        return name
    if values.truth(values.first(headers, dialect.DURABLE), False):
        if not label:
            raise faults.missing("id", frame, session.version)
        return label
    return ""


def unsubscribe(session: Session, frame: Frame) -> int:
    """UNSUBSCRIBE: by id, or in 1.0 by destination too; what was handed out may still be settled. With a durable
    name, of this connection or an earlier one, the durable subscription is deleted.
    """
    headers = frame.headers
    label = headers.get("id", "")
    destination = headers.get("destination")
    target = Target("", "")
    if destination and "::" in destination:
        target = _targets(session, destination, headers)[0]
    forgotten = _durable(session, frame, headers, target, label)
    ended: list[str] = []
    if session.version is V10:
        if not label and "id" not in headers and destination is None and not forgotten:
            raise faults.missing("destination", frame, session.version)
        wanted = destination or ""
        for key, subscription in session.subscriptions.items():
            if subscription.label == label if "id" in headers else _calls(subscription, wanted):
                ended.append(key)
        if not ended and not forgotten:
            session.sin("unsubscribe")
    else:
        if not forgotten:
            label = session.required(frame, "id")
        key = label
        while key in session.subscriptions:
            ended.append(key)
            key = label + "\0" + str(len(ended))
        if not ended and not forgotten:
            raise faults.unknown_subscription(label, session.version)
    number: int = 0
    for key in ended:
        subscription = session.subscriptions.pop(key)
        number = session.broker.unsubscribe(subscription)
        session.notes.append(("unsubscribed", subscription.destination))
        if subscription.durable != forgotten:
            # A queue's subscription may say durable too; whose durable subscription has its id is another matter.
            forgotten = ""
    if forgotten:
        number = session.broker.forget_durable(forgotten)
    return number


def _calls(subscription: Subscription, destination: str) -> bool:
    return destination in (subscription.destination, subscription.shown)
