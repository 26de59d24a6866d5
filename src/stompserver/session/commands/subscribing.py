"""SUBSCRIBE and UNSUBSCRIBE: what a client wants of a destination, under all the names of the field."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.names.durable import APOLLO, ARTEMIS, JMS, QUEUE_NAME, RABBITMQ, Key, Parts
from stompserver.broker.names.pattern import MARKS, is_pattern, levels_of
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import AUTO, CLIENT, Subscription, Wish
from stompserver.broker.topics.feed import Fed
from stompserver.session import acks, asking
from stompserver.session.client import Client
from stompserver.session.commands import entering, selecting
from stompserver.session.dialect import faults, lenience, naming, values
from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect.naming import Target
from stompserver.session.events import Unsubscribed
from stompserver.session.reply import Reply
from stompserver.session.versions import BY_ACK_ID, V10
from stompserver.wire.frame import Frame

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
    _check_room(session, len(targets))
    session.client_id = _client(session, headers)
    # All that can be wrong with one of them comes before the first is done.
    parts = _parts(session, frame, headers, targets)
    wishes = [_wish(session, frame, reply, id, mode, part, len(targets) > 1) for part in parts]
    selecting.check_costs(session, wishes)
    _check_memory(session, sum([entering.weight(session, wish) for wish in wishes]))
    selecting.look_at(session, reply, wishes[0].selector)
    return entering.Entering(session, id, wishes).start(reply)


def subscribe_to(session: Client, target: Target, label: str) -> None:
    """As SUBSCRIBE does it, with nothing but the destination ``target`` and the id ``label``."""
    _check_room(session, 1)
    asking.to_subscribe(session, target.name, False)
    session.broker.naming.check_pattern(target.name)
    id = _id(session, label)
    prefix = _prefix(session, label, target)
    special = target.aliased or session.settings.shown != 0
    shown, headed = _shown(target), target.headed
    wish = Wish(
        id, target.name, AUTO, 0, label=label, shown=shown, headed=headed, special=special, prefix=prefix
    )
    _check_memory(session, entering.weight(session, wish))
    entering.Entering(session, id, [wish]).start(Reply())


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
    usage = session.usage
    if usage is not None and 0 < usage.max_subscriptions < usage.subscriptions + more:
        raise faults.too_many_of_login(usage.max_subscriptions)


def _check_memory(session: Client, size: int) -> None:
    """Raises Refused when subscriptions that take so many bytes are too much."""
    share = session.broker.memory.subscriptions
    if not share.fits(size):
        raise faults.subscriptions_too_large(size, share.most)


def _targets(session: Client, text: str, headers: dict[str, str]) -> list[Target]:
    if naming.is_plain(text):
        return [Target(text, text)]
    kind = ""
    for name in dialect.SUBSCRIPTION_KIND:
        kind = kind or values.choice(headers, name, naming.TYPES)
    speaker = session.speak(kind)
    targets: list[Target] = []
    parts = naming.split(text)
    if len(parts) > session.settings.max_destinations:
        raise faults.too_many_destinations(len(parts), session.settings.max_destinations)
    for part in parts:
        part, options = naming.options_of(part)
        if options:
            lenience.take_options(session, headers, options, _OPTIONS)
        target = naming.resolve(part, speaker)
        if target.name.startswith(DURABLES):
            fed = session.broker.fanout.durables.find(target.name)
            if fed is not None:
                target = Target(fed.queue, target.shown, several=True)
        if session.settings.full_names:
            target = naming.in_full(target)
        targets.append(target)
    return targets


class _Part:
    """What one subscription comes of: one destination, or all ``topics`` of a durable subscription with that ``key``,
    of which ``target`` is the first.
    """

    __slots__ = ("key", "queue", "target", "topics")

    def __init__(self, target: Target, queue: bool, key: Key | None) -> None:
        self.target = target
        self.queue = queue
        self.key: Key | None = key
        self.topics: list[str] = [target.name]


def _parts(session: Client, frame: Frame, headers: dict[str, str], targets: list[Target]) -> list[_Part]:
    """What subscriptions a SUBSCRIBE to ``targets`` is for."""
    topics: list[str] = []
    queues = [_enter(session, target) for target in targets]
    for target, queue in zip(targets, queues, strict=True):
        if not queue and target.name != MONITOR and target.name not in topics:
            topics.append(target.name)
    parts: list[_Part] = []
    durables: dict[Parts, _Part] = {}
    for target, queue in zip(targets, queues, strict=True):
        key: Key | None = None
        if not queue and target.name != MONITOR:
            key = _key(session, frame, headers, target, topics)
        if key is not None:
            if naming.temp_owner(target.name):
                raise faults.no_durable(target.shown)
            if key.parts in durables:
                known = durables[key.parts]
                if target.name not in known.topics:
                    known.topics.append(target.name)
                continue
        part = _Part(target, queue, key)
        parts.append(part)
        if key is not None:
            durables[key.parts] = part
    return parts


def _wish(
    session: Client, frame: Frame, reply: Reply, id: str, mode: int, part: _Part, composite: bool
) -> Wish:
    """What a SUBSCRIBE asks for at one of its destinations, or at all of those that one durable subscription has."""
    headers = frame.headers
    target = part.target
    name = target.name
    label = headers.get("id", "")
    queue = part.queue
    durable = part.key
    browser = queue and values.truth(headers.get("browser"), False)
    wanted = values.properties(headers) if queue or durable is not None else None
    if durable is not None:
        called = session.broker.fanout.durables.queue_for(durable, part.topics)
        _check_durable(session, called)
        asking.to_subscribe_durably(session, part.topics, called)
        if wanted is not None:
            wanted = asking.to_bury(session, called, wanted, reply)
        if len(part.topics) > 1:
            target = Target(name, name)
    else:
        asking.to_subscribe(session, name, browser)
        if is_pattern(name):
            session.warn(reply, asking.left_out(session, name, queue))
        if wanted is not None and not is_pattern(name):
            wanted = asking.to_shape(session, name, wanted, reply)
    # As in the original, the monitor's reports never count as unsettled; nor does what is only looked at.
    looks = browser or name == MONITOR
    taking, prefetch = (
        (AUTO, 0) if looks else _credit(session, name, queue or durable is not None, mode, headers)
    )
    ack = ""
    if mode != AUTO and session.version.settles == BY_ACK_ID:
        # The number of a delivery follows at once.
        ack = session.need_mark()
        if looks:
            ack = (acks.BROWSER_ACK if browser else acks.MONITOR_ACK) + "\n"
    window = _window(session, queue or durable is not None, headers)
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
        topics=part.topics,
        replay=replay,
        retroactive=retroactive,
        pending=max(values.count(headers, dialect.PENDING), 0),
        shown=_shown(target),
        headed=target.headed,
        special=composite or target.aliased or replay != "" or retroactive or session.settings.shown != 0,
        prefix=_prefix(session, label, target, ack),
    )


def _enter(session: Client, target: Target) -> bool:
    """Let ``session`` be where it may subscribe; whether that is a queue. Raises Refused where it may not, or where a
    bare name, or one of the server's own, is an error.
    """
    name = target.name
    session.broker.naming.check(name)
    session.broker.naming.check_pattern(name)
    allowed = session.settings.wildcards
    if len(allowed) < len(MARKS) and is_pattern(name):
        for level in levels_of(name):
            if level in MARKS and level not in allowed:
                raise faults.no_wildcard(target.shown, level, allowed)
    if naming.is_private(name):
        if not naming.owns(name, session.id, session.login):
            raise naming.foreign(target.shown)
        if naming.temp_owner(name):
            session.roster.own(session.id, name, session.settings.max_subscriptions)
    return session.broker.is_queue(name)


def _shown(target: Target) -> str:
    return target.shown if target.aliased else ""


def _prefix(session: Client, label: str, target: Target, ack: str = "") -> bytes:
    """What each MESSAGE of a subscription begins with, ``ack`` being an ack header, or the beginning of one."""
    text = session.text()
    lines = text.line("subscription", label) if label or session.version is not V10 else ""
    if target.headed:
        lines += text.line("destination", target.shown)
    if ack:
        lines += "ack:" + ack
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


def _window(session: Client, queued: bool, headers: dict[str, str]) -> int:
    """Bytes that it may hold; 0: as many as it likes."""
    asked = values.window(headers)
    if asked or not queued or not session.settings.prefetch_bytes:
        return asked
    said = values.named(headers, dialect.PREFETCH) or values.named(headers, dialect.WINDOW)
    return session.settings.prefetch_bytes if not said else 0


def _client(session: Client, headers: dict[str, str]) -> str:
    return session.client_id or headers.get(dialect.CLIENT_ID[0], "")


def _auto_delete(headers: dict[str, str], durable: Key | None) -> bool:
    if values.truth(headers.get("auto-delete"), False) or values.truth(headers.get("temp"), False):
        return True
    # RabbitMQ: a queue that only has a name goes with its last consumer.
    return (
        durable is not None
        and durable.way == QUEUE_NAME
        and not values.truth(values.first(headers, dialect.DURABLE), False)
        and values.truth(headers.get("auto-delete"), True)
    )


def _key(
    session: Client, frame: Frame, headers: dict[str, str], target: Target, topics: list[str]
) -> Key | None:
    """What the durable subscription is known by that a SUBSCRIBE or UNSUBSCRIBE means, of ``topics`` (none where no
    destination is named); None where none is meant.

    ActiveMQ and Artemis name it by client-id and name, RabbitMQ by destination and id, Apollo by id; RabbitMQ's
    x-queue-name and Artemis' address::queue are names of queues.
    """
    if target.durable:
        return Key(ARTEMIS, target.durable, "", (target.name,))
    name = values.first(headers, dialect.DURABLE_NAME)
    if name:
        return Key(JMS, name, _client(session, headers))
    name = values.first(headers, dialect.QUEUE_NAME)
    if name:
        return Key(QUEUE_NAME, name, "", (_named_queue(session, name, topics),))
    if not values.truth(values.first(headers, dialect.DURABLE), False):
        return None
    label = headers.get("id", "")
    if not label:
        raise faults.missing("id", frame, session.version)
    if dialect.DURABLE[0] in headers:
        return Key(RABBITMQ, label, "", tuple(sorted(topics)))
    return Key(APOLLO, label)


def _named_queue(session: Client, name: str, topics: list[str]) -> str:
    """The queue that is called ``name`` where ``topics`` feed it: what only a login may have goes to one of its own,
    so that nobody else can be there first.
    """
    for topic in topics:
        if naming.is_private(topic):
            return _own_queue(session, name)
    return "/queue/" + name


def _own_queue(session: Client, name: str) -> str:
    return naming.USER_QUEUE + naming.level(session.login or "") + "/" + name


def _check_durable(session: Client, queue: str) -> None:
    """Raises Refused when there can be no durable subscription with the ``queue``."""
    session.broker.naming.check(queue)
    if is_pattern(queue) or queue == MONITOR or naming.temp_owner(queue):
        raise faults.no_queue_name(queue)


def unsubscribe(session: Client, frame: Frame, reply: Reply) -> int:
    """UNSUBSCRIBE: by id, or in 1.0 by destination too; what was handed out may still be settled. With a durable
    name, of this connection or an earlier one, the durable subscription is deleted. While others are subscribed to
    it, it stays: that is an error only where nothing of this connection ends.
    """
    headers = frame.headers
    label = headers.get("id", "")
    destination = headers.get("destination")
    meant = _meant(session, frame, headers, destination)
    ended: list[str] = []
    if session.version is V10:
        if not label and "id" not in headers and destination is None and meant is None:
            raise faults.missing("destination", frame, session.version)
        wanted = destination or ""
        for key, subscription in session.subscriptions.items():
            if subscription.wish.label == label if "id" in headers else _calls(subscription, wanted):
                ended.append(key)
        if not ended and meant is None:
            session.tolerate("unsubscribe")
    else:
        if meant is None:
            label = session.required(frame, "id")
        key = label
        while key in session.subscriptions:
            ended.append(key)
            key = label + "\0" + str(len(ended))
        if not ended and meant is None:
            if session.settings.strict:
                raise faults.unknown_subscription(label, session.version)
            session.tolerate("unsubscribe")
            reply.warn("There is no such subscription on this connection")
    number: int = 0
    had: list[Key] = []
    for key in ended:
        subscription = session.subscriptions.pop(key)
        session.broker.memory.subscriptions.give(subscription.weight)
        if session.usage is not None:
            session.usage.subscriptions -= 1
        number = session.broker.unsubscribe(subscription)
        session.happened.append(Unsubscribed(subscription.destination))
        if subscription.wish.durable is not None:
            had.append(subscription.wish.durable)
            session.roster.release(session, subscription.wish.durable)
    if meant is None:
        return number
    if ended:
        # A queue's subscription may say durable too; whose durable subscription has its id is another matter.
        for known in had:
            if _may_mean(meant, known):
                durables = session.broker.fanout.durables
                fed = durables.lookup(known, [])
                if fed is not None and durables.is_held(fed):
                    session.warn(
                        reply, f"Durable subscription {fed.name[:80]} stays: others are subscribed to it"
                    )
                elif fed is not None:
                    number = _forget(session, fed)
        return number
    return _forget(session, _found(session, meant))


def _meant(session: Client, frame: Frame, headers: dict[str, str], destination: str | None) -> Key | None:
    """What the durable subscription is known by that an UNSUBSCRIBE means; without places where it names none."""
    target = Target("", "")
    topics: list[str] = []
    named = values.first(headers, dialect.QUEUE_NAME) or values.first(headers, dialect.DURABLE)
    if destination and (named or "::" in destination):
        targets = _targets(session, destination, headers)
        target = targets[0]
        topics = [each.name for each in targets]
    return _key(session, frame, headers, target, topics)


def _may_mean(meant: Key, known: Key) -> bool:
    """Whether a client that says ``meant``, maybe without places, means ``known``."""
    if meant.way in (RABBITMQ, ARTEMIS) and meant.places and meant.places != known.places:
        return False
    return meant.way == known.way and meant.client == known.client and meant.name == known.name


def _found(session: Client, meant: Key) -> Fed:
    """The durable subscription ``meant`` by a client that is not subscribed to it. Raises Refused when there is none,
    or it could be one of several.
    """
    durables = session.broker.fanout.durables
    fed = durables.lookup(meant, list(meant.places) if meant.way != QUEUE_NAME else [])
    if fed is None and meant.way == QUEUE_NAME and session.login:
        fed = durables.lookup(Key(QUEUE_NAME, meant.name, "", (_own_queue(session, meant.name),)), [])
    if fed is None and meant.way == RABBITMQ and not meant.places:
        several = durables.named(meant.name, RABBITMQ)
        if len(several) > 1:
            raise faults.several_durables(meant.name)
        fed = several[0] if several else None
    if fed is None:
        raise durables.unknown(meant.short)
    return fed


def _forget(session: Client, fed: Fed) -> int:
    asking.to_durable(session, fed.queue)
    return session.broker.fanout.durables.forget(fed)


def _calls(subscription: Subscription, destination: str) -> bool:
    return destination in (subscription.destination, subscription.wish.shown)
