"""Where a session asks what its client may do: before anything is done, with the broker's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stompserver.broker.kept import properties
from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.subscription import Wish
from stompserver.broker.topics.feed import virtual_topic
from stompserver.broker.topics.mailbox import Mailbox
from stompserver.errors import Refused
from stompserver.session.client import Client
from stompserver.session.dialect import faults, naming
from stompserver.session.dialect.faults import NotAllowed
from stompserver.session.principal import BROWSE, CONSUME, CREATE, DURABLE, SEND
from stompserver.session.reply import Reply

LOOKED: Final = 1000
"""Destinations that are compared with a pattern to tell how many it is without: some ms."""


def ask(session: Client, verb: str, name: str) -> None:
    """Raises NotAllowed when the client may not do ``verb`` with ``name``."""
    topics = _instead(session, verb, name)
    if topics:
        for topic in topics:
            _ask_all(session, verb, topic)
    elif virtual_topic(name):
        # One queue, also where its name looks like a pattern.
        _ask_all(session, verb, name)
    elif not may(session, verb, name):
        raise faults.not_allowed(verb, name)


def may(session: Client, verb: str, name: str) -> bool:
    """Whether the client may do ``verb`` with ``name``, with any that fits where that is a pattern. What it may not
    is noted.
    """
    return session.principal.may(verb, name) or session.denied(verb, name)


def _instead(session: Client, verb: str, name: str) -> list[str]:
    """The topics that are asked for instead of the queue of a durable subscription: what those are called is of no
    interest to who says who may do what. None where something is said of that queue, or it is another.
    """
    if not name.startswith(DURABLES) or session.principal.rules(verb, name):
        return []
    return session.broker.fanout.durables.topics_of(name)


def may_all(session: Client, verb: str, name: str) -> bool:
    """Likewise, with all that fit: a durable subscription gets what comes while nobody is there to be asked."""
    return session.principal.may_all(verb, name) or session.denied(verb, name)


class Sight:
    """What the client may do ``verb`` with, of many; nothing is noted."""

    __slots__ = ("_session", "_verb")

    def __init__(self, session: Client, verb: str) -> None:
        self._session = session
        self._verb = verb

    def sees(self, name: str) -> bool:
        """Whether ``name`` is among them."""
        principal = self._session.principal
        topics = _instead(self._session, self._verb, name)
        if topics:
            return all(principal.may_all(self._verb, topic) for topic in topics)
        # A queue may be called like a pattern, of virtual topics.
        return principal.may_all(self._verb, name)


def sight(session: Client, verb: str) -> Callable[[str], bool] | None:
    """What tells which of many things are for who may do ``verb`` with some; None: all are."""
    principal = session.principal
    return Sight(session, verb).sees if principal.limited and not principal.observes else None


def to_send(session: Client, names: list[str]) -> None:
    """Ask for a SEND to all of ``names``."""
    for name in names:
        to_answer(session, name)
        _to_create(session, name)


def to_answer(session: Client, name: str) -> None:
    """Ask for messages to ``name``, if there is such a queue then. Raises Refused where only the server sends."""
    if name == MONITOR:
        raise faults.only_reports(name)
    ask(session, SEND, name)


def to_subscribe(session: Client, name: str, browser: bool) -> None:
    """Ask for a subscription to ``name``, or only to look."""
    ask(session, BROWSE if browser else CONSUME, name)
    for topic in fed_by(session, name):
        _to_have(session, topic, name)
    _to_create(session, name)


def to_subscribe_durably(session: Client, topics: list[str], queue: str) -> None:
    """Ask for a subscription to ``topics`` by the durable subscription that has the ``queue``."""
    known = fed_by(session, queue)
    for topic in topics:
        _ask_all(session, CONSUME, topic)
    for topic in topics:
        _ask_all(session, DURABLE, topic)
    to_durable(session, queue, topics)
    # While others are subscribed to it, it goes on with those that it has.
    for topic in known:
        if topic not in topics:
            _ask_all(session, CONSUME, topic)
    if not queue.startswith(DURABLES):
        ask(session, CONSUME, queue)
        if not set(topics).issubset(known):
            # Else who may read a topic could have its messages sent to any queue.
            ask(session, SEND, queue)
        _to_create(session, queue)


def to_durable(session: Client, queue: str, topics: list[str] | None = None) -> None:
    """Ask for making, using or deleting the durable subscription that has the ``queue``; of ``topics`` that was
    asked already. One to what is somebody else's alone is his as well.
    """
    asked = topics or []
    for topic in session.broker.fanout.durables.topics_of(queue):
        if topic not in asked:
            _ask_all(session, DURABLE, topic)
    if not queue.startswith(DURABLES) or session.principal.rules(DURABLE, queue):
        ask(session, DURABLE, queue)
    if not owns(session, queue):
        raise naming.foreign(queue)
    for topic in fed_by(session, queue):
        if not owns(session, topic):
            raise naming.foreign(queue)


def to_shape(session: Client, name: str, wanted: dict[str, str], reply: Reply) -> dict[str, str] | None:
    """What of the properties ``wanted`` the client may give the queue ``name``, None for nothing; what it may not
    stands in the RECEIPT. Whoever may not subscribe to a queue has no say in what it is.
    """
    if not may_shape(session, name):
        session.warn(reply, f"The properties of {name[:80]} are for those who may subscribe to it")
        return None
    return to_bury(session, name, wanted, reply)


def to_bury(session: Client, name: str, wanted: dict[str, str], reply: Reply) -> dict[str, str]:
    """What is left of the properties ``wanted`` of the queue ``name``, which are the client's to say: no dead letters
    go where it may not send.
    """
    grave = properties.grave_of(wanted, name)
    if not grave or _may_bury(session, grave):
        return wanted
    session.warn(reply, f"Dead letters cannot go to {grave[:80]}, where you may not send")
    return {key: value for key, value in wanted.items() if key != properties.GRAVE}


def may_shape(session: Client, name: str) -> bool:
    """Whether the client may say what the queue ``name`` is like."""
    return owns(session, name) and may_consume(session, name)


def owns(session: Client, name: str) -> bool:
    """Whether ``name`` is for everybody, or the client's own."""
    return not naming.is_private(name) or naming.owns(name, session.id, session.login)


def may_consume(session: Client, name: str) -> bool:
    """Whether the client may have what comes to ``name``, that fits a pattern it subscribed to."""
    principal = session.principal
    if principal.observes:
        return True
    if not Sight(session, CONSUME).sees(name):
        return False
    return all(owns(session, topic) and principal.may_all(CONSUME, topic) for topic in fed_by(session, name))


def fed_by(session: Client, name: str) -> list[str]:
    """The topics whose messages the queue ``name`` gets."""
    topics = session.broker.fanout.durables.topics_of(name)
    virtual = virtual_topic(name)
    return [*topics, virtual] if virtual and virtual not in topics else topics


def _to_have(session: Client, topic: str, name: str) -> None:
    """Ask for what ``topic`` feeds the queue ``name`` with."""
    if not owns(session, topic):
        raise naming.foreign(name)
    _ask_all(session, CONSUME, topic)


def _ask_all(session: Client, verb: str, topic: str) -> None:
    if not may_all(session, verb, topic):
        if is_pattern(topic):
            raise faults.not_allowed_all(verb, topic)
        raise faults.not_allowed(verb, topic)


def _may_bury(session: Client, name: str) -> bool:
    """Whether the client may send to ``name``, and have a queue made there. A temporary queue has an end, and dead
    letters do not.
    """
    if naming.temp_owner(name) or not may(session, SEND, name):
        return False
    return name in session.broker.queues or may(session, CREATE, name)


def _to_create(session: Client, name: str) -> None:
    """Ask for the queue ``name``, if there has to be a new one. A temporary one is its connection's own to make."""
    broker = session.broker
    if name in broker.queues or name.startswith(DURABLES) or naming.temp_owner(name):
        return
    if is_pattern(name) and not virtual_topic(name):
        return
    try:
        queue = broker.is_queue(name)
    except Refused:
        # There can be none of that name, which its sender hears when it is really sent.
        return
    if queue:
        ask(session, CREATE, name)


# What was allowed before


def withdrawn(session: Client) -> NotAllowed | None:
    """What the client has, and may not have any more: a subscription, or a message in an open transaction."""
    try:
        for subscription in session.subscriptions.values():
            _to_keep(session, subscription.wish)
            box = subscription.queue
            if isinstance(box, Mailbox) and is_pattern(box.name):
                # What waits in it came when that was allowed, and would come still.
                for topic in box.topics():
                    ask(session, CONSUME, topic)
        for name in session.promised():
            to_answer(session, name)
    except NotAllowed as error:
        return error
    return None


def _to_keep(session: Client, wish: Wish) -> None:
    """Ask once more for a subscription. What there is of other rights, to make a queue, is spent."""
    name = wish.destination
    if wish.durable is None:
        ask(session, BROWSE if wish.browser else CONSUME, name)
        for topic in fed_by(session, name):
            _ask_all(session, CONSUME, topic)
        return
    queue = session.broker.fanout.durables.queue_for(wish.durable, wish.topics)
    for topic in dict.fromkeys([*wish.topics, *fed_by(session, queue)]):
        _ask_all(session, CONSUME, topic)
        _ask_all(session, DURABLE, topic)
    if not queue.startswith(DURABLES):
        ask(session, CONSUME, queue)


def left_out(session: Client, name: str, queue: bool) -> str:
    """How many destinations of the pattern ``name`` the client subscribes to without them, as a warning; "" for none
    that there is.
    """
    principal = session.principal
    if not principal.limited or virtual_topic(name) or principal.may_all(CONSUME, name):
        return ""
    pattern = Pattern(name)
    broker = session.broker
    count: int = 0
    looked: int = 0
    names = broker.queues if queue else broker.fanout.topics
    for each in names:
        looked += 1
        if looked > LOOKED:
            break
        if not is_pattern(each) and pattern.matches(each) and not principal.may(CONSUME, each):
            count += 1
    broker.work += looked // 8
    if not count:
        return ""
    least = "at least " if looked > LOOKED else ""
    left = "would be left out" if principal.observes else "are left out"
    return f"Of the destinations that fit {name[:80]} {least}{count} {left}, which you may not subscribe to"
