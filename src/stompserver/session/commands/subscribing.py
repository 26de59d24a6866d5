"""SUBSCRIBE and UNSUBSCRIBE: what a client wants of a destination, under all the names of the field."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.names.pattern import is_pattern
from stompserver.broker.queues.queue import COST
from stompserver.broker.selectors.selector import TEXT, TREE, check_cost, compile_selector, too_costly
from stompserver.broker.subscription import AUTO, CLIENT, Subscription, Wish
from stompserver.session import acks, asking
from stompserver.session.client import Client
from stompserver.session.dialect import faults, lenience, naming, values
from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect.naming import Speaker, Target
from stompserver.session.events import Subscribed, Unsubscribed
from stompserver.session.reply import Reply
from stompserver.session.versions import BY_ACK_ID, V10
from stompserver.wire.frame import Frame

PLAIN: Final = 1000
"""Bytes of memory that a subscription takes beside its names (measured: 600 to 900)."""

ORDER: Final = 700
"""Bytes more that one with ack:client takes, for the order of what it was given."""

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


def subscribe(session: Client, frame: Frame, reply: Reply) -> int:
    """SUBSCRIBE: the RECEIPT goes out before what already waits in a queue."""
    headers = frame.headers
    text = session.required(frame, "destination")
    if "id" in session.version.required["SUBSCRIBE"]:
        session.required(frame, "id")
    id = _id(session, headers.get("id", ""))
    asked = headers.get("ack", "auto")
    mode = dialect.ACK_MODES.get(asked)
    if mode is None:
        raise faults.unknown_ack_mode(asked)
    targets = _targets(session, text, headers)
    position: int = 0
    made: list[Subscription] = []
    _check_room(session, len(targets))
    session.client_id = _client(session, headers)
    # All that can be wrong with one of them comes before the first is done.
    wishes = [_wish(session, frame, reply, id, mode, target, len(targets) > 1) for target in targets]
    _check_selectors(session, wishes)
    _check_memory(session, sum([_weight(session, wish) for wish in wishes]))
    for wish in wishes:
        subscription = Subscription(session, wish)
        if made and made[0].order is not None and subscription.order is not None:
            # ACK of one message means all before it of the same id, from whichever destination.
            subscription.order = made[0].order
        # Nobody but us sees the names of a composite's other parts; ids have no NUL in them.
        granted = _register(session, id + "\0" + str(len(made)) if made else id, subscription, reply)
        position = max(position, granted)
        made.append(subscription)
    session.answer(reply, position)
    for subscription in made:
        session.broker.start(subscription)
    return position


def subscribe_to(session: Client, target: Target, label: str) -> None:
    """As SUBSCRIBE does it, with nothing but the destination ``target`` and the id ``label``."""
    _check_room(session, 1)
    asking.to_subscribe(session, target.name, False, "")
    session.broker.naming.check_pattern(target.name)
    id = _id(session, label)
    prefix = _prefix(session, label, target)
    wish = Wish(
        id, target.name, AUTO, 0, label=label, shown=_shown(target), special=target.aliased, prefix=prefix
    )
    _check_memory(session, _weight(session, wish))
    subscription = Subscription(session, wish)
    _register(session, id, subscription, Reply())
    session.broker.start(subscription)


def _id(session: Client, label: str) -> str:
    """What a subscription is known by, that its client calls ``label``. Raises ProtocolError when it has one so."""
    if "id" not in session.version.required["SUBSCRIBE"]:
        return session.name_subscription()
    if label in session.subscriptions:
        raise faults.id_in_use(label, session.version)
    return label


def _check_room(session: Client, more: int) -> None:
    most: int = session.settings.max_subscriptions
    if len(session.subscriptions) + more > most:
        raise faults.too_many_subscriptions(most)


def _check_selectors(session: Client, wishes: list[Wish]) -> None:
    """Raises Refused when the selectors of ``wishes`` cost too much, alone or with those that there are."""
    cost: int = 0
    most: int = session.broker.rules.max_selector_cost
    for wish in wishes:
        if wish.selector is not None:
            check_cost(wish.selector, most)
            cost += wish.selector.cost
    if not cost:
        return
    for subscription in session.subscriptions.values():
        if subscription.wish.selector is not None:
            cost += subscription.wish.selector.cost
    if cost > most:
        raise too_costly("header selector, with those of other subscriptions", cost, most)


def _check_memory(session: Client, size: int) -> None:
    """Raises Refused when subscriptions that take so many bytes are too much."""
    share = session.broker.memory.subscriptions
    if not share.fits(size):
        raise faults.subscriptions_too_large(size, share.most)


def _weight(session: Client, wish: Wish) -> int:
    """Bytes of memory that a subscription takes."""
    size: int = PLAIN + 4 * len(wish.label) + len(wish.destination)
    if wish.mode == CLIENT:
        size += ORDER
    if wish.mode != AUTO and not wish.durable and not session.broker.is_queue(wish.destination):
        # A queue of its own.
        size += COST
    if wish.selector is not None:
        size += TREE + TEXT * len(wish.selector.text)
    return size


def _register(session: Client, key: str, subscription: Subscription, reply: Reply) -> int:
    """Make ``subscription`` known to the broker, and to the session by ``key``; return up to where the log must be
    durable before its client is told.
    """
    granted = session.broker.subscribe(subscription)
    session.subscriptions[key] = subscription
    subscription.weight = _weight(session, subscription.wish)
    session.broker.memory.subscriptions.take(subscription.weight)
    session.happened.append(Subscribed(subscription.destination))
    session.warn(reply, granted.warning)
    return granted.position


def _targets(session: Client, text: str, headers: dict[str, str]) -> list[Target]:
    if naming.is_plain(text):
        return [Target(text, text)]
    kind = ""
    for name in dialect.SUBSCRIPTION_KIND:
        kind = kind or values.choice(headers, name, naming.TYPES)
    speaker = Speaker(session.id, session.login, session.broker.naming.bare, kind)
    targets: list[Target] = []
    parts = naming.split(text)
    if len(parts) > session.settings.max_destinations:
        raise faults.too_many_destinations(len(parts), session.settings.max_destinations)
    for part in parts:
        part, options = naming.options_of(part)
        if options:
            lenience.take_options(session, headers, options, _OPTIONS)
        targets.append(naming.resolve(part, speaker))
    return targets


def _wish(
    session: Client, frame: Frame, reply: Reply, id: str, mode: int, target: Target, composite: bool
) -> Wish:
    """What a SUBSCRIBE asks for at one of its destinations."""
    headers = frame.headers
    name = target.name
    label = headers.get("id", "")
    queue = _enter(session, target)
    durable = "" if queue or name == MONITOR else _durable(session, frame, headers, target, label)
    if durable:
        if naming.temp_owner(name):
            raise faults.no_durable(target.shown)
        session.broker.naming.check(DURABLES + durable)
    browser = queue and values.truth(headers.get("browser"), False)
    asking.to_subscribe(session, name, browser, durable)
    wanted = values.properties(headers) if queue else None
    if wanted is not None and not is_pattern(name):
        wanted = asking.to_shape(session, name, wanted, reply)
    # As in the original, the monitor's reports never count as unsettled; nor does what is only looked at.
    looks = browser or name == MONITOR
    taking, prefetch = (AUTO, 0) if looks else _credit(session, name, queue or durable != "", mode, headers)
    ack = ""
    if looks and mode != AUTO and session.version.settles == BY_ACK_ID:
        ack = acks.BROWSER_ACK if browser else acks.MONITOR_ACK
    window = values.window(headers)
    selector = headers.get("selector", "")
    replay = values.replay(headers)
    retroactive = values.truth(headers.get("activemq.retroactive"), False)
    if replay and queue:
        session.warn(
            reply,
            "A queue has no history; " + values.named(headers, dialect.REPLAY) + " is for topics",
        )
    return Wish(
        id,
        name,
        taking,
        prefetch,
        label=label,
        selector=compile_selector(selector) if selector.strip() else None,
        no_local=values.truth(values.first(headers, dialect.NO_LOCAL), False),
        browser=browser,
        follow=browser and not values.truth(headers.get("browser-end"), True),
        priority=values.count(headers, dialect.PRIORITY),
        exclusive=_exclusive(headers, queue),
        window=window if taking != AUTO else 0,
        ack_timeout=max(values.count(headers, ("ack-timeout",)), 0),
        policy=values.redelivery(headers, session.broker.rules.policies.find(name)),
        # Who only looks does not have a queue go when he does.
        auto_delete=_auto_delete(headers, durable) and (not browser or asking.may_shape(session, name)),
        properties=wanted,
        durable=durable,
        replay=replay,
        retroactive=retroactive,
        pending=max(values.count(headers, dialect.PENDING), 0),
        shown=_shown(target),
        special=composite or target.aliased or replay != "" or retroactive,
        prefix=_prefix(session, label, target, ack),
    )


def _enter(session: Client, target: Target) -> bool:
    """Let ``session`` be where it may subscribe; whether that is a queue. Raises Refused where it may not, or where a
    bare name, or one of the server's own, is an error.
    """
    name = target.name
    session.broker.naming.check(name)
    session.broker.naming.check_pattern(name)
    if naming.is_private(name):
        if not naming.owns(name, session.id, session.login):
            raise naming.foreign(target.shown)
        if naming.temp_owner(name):
            session.roster.own(session.id, name, session.settings.max_subscriptions)
    return session.broker.is_queue(name)


def _shown(target: Target) -> str:
    return target.shown if target.aliased else ""


def _prefix(session: Client, label: str, target: Target, ack: str = "") -> bytes:
    """What each MESSAGE of a subscription begins with."""
    text = session.text()
    lines = text.line("subscription", label) if label or session.version is not V10 else ""
    if target.aliased:
        lines += text.line("destination", target.shown)
    if ack:
        lines += text.line("ack", ack)
    return text.octetize("MESSAGE\n" + lines)


def _exclusive(headers: dict[str, str], queue: bool) -> bool:
    ours, queues = dialect.EXCLUSIVE[0], dialect.EXCLUSIVE[1]
    return values.truth(headers.get(ours), False) or (queue and values.truth(headers.get(queues), False))


def _credit(session: Client, name: str, queued: bool, mode: int, headers: dict[str, str]) -> tuple[int, int]:
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


def _client(session: Client, headers: dict[str, str]) -> str:
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


def _durable(session: Client, frame: Frame, headers: dict[str, str], target: Target, label: str) -> str:
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


def unsubscribe(session: Client, frame: Frame) -> int:
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
            if subscription.wish.label == label if "id" in headers else _calls(subscription, wanted):
                ended.append(key)
        if not ended and not forgotten:
            session.tolerate("unsubscribe")
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
        session.broker.memory.subscriptions.give(subscription.weight)
        number = session.broker.unsubscribe(subscription)
        session.happened.append(Unsubscribed(subscription.destination))
        if subscription.wish.durable != forgotten:
            # A queue's subscription may say durable too; whose durable subscription has its id is another matter.
            forgotten = ""
    if forgotten:
        asking.to_durable(session, forgotten)
        number = session.broker.forget_durable(forgotten)
    return number


def _calls(subscription: Subscription, destination: str) -> bool:
    return destination in (subscription.destination, subscription.wish.shown)
