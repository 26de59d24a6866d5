"""Where a session asks what its client may do: before anything is done, with the broker's names."""

from __future__ import annotations

from stompserver.broker.kept import properties
from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.destination import MONITOR
from stompserver.broker.names.pattern import is_pattern
from stompserver.broker.topics.feed import virtual_topic
from stompserver.errors import Refused
from stompserver.session.client import Client
from stompserver.session.dialect import faults, naming
from stompserver.session.principal import BROWSE, CONSUME, CREATE, DURABLE, SEND
from stompserver.session.reply import Reply


def ask(session: Client, verb: str, name: str) -> None:
    """Raises NotAllowed when the client may not do ``verb`` with ``name``."""
    if not session.principal.may(verb, name):
        raise faults.not_allowed(verb, name)


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
    for topic in topics:
        ask(session, CONSUME, topic)
    to_durable(session, queue)
    # While others are subscribed to it, it goes on with those that it has.
    for topic in fed_by(session, queue):
        if topic not in topics:
            ask(session, CONSUME, topic)
    if not queue.startswith(DURABLES):
        ask(session, CONSUME, queue)
        _to_create(session, queue)


def to_durable(session: Client, queue: str) -> None:
    """Ask for making, using or deleting the durable subscription that has the ``queue``. One to what is somebody
    else's alone is his as well.
    """
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
    may = session.principal.may
    return may(CONSUME, name) and all(
        owns(session, topic) and may(CONSUME, topic) for topic in fed_by(session, name)
    )


def fed_by(session: Client, name: str) -> list[str]:
    """The topics whose messages the queue ``name`` gets."""
    topics = session.broker.fanout.durables.topics_of(name)
    virtual = virtual_topic(name)
    return [*topics, virtual] if virtual and virtual not in topics else topics


def _to_have(session: Client, topic: str, name: str) -> None:
    """Ask for what ``topic`` feeds the queue ``name`` with."""
    if not owns(session, topic):
        raise naming.foreign(name)
    ask(session, CONSUME, topic)


def _may_bury(session: Client, name: str) -> bool:
    """Whether the client may send to ``name``, and have a queue made there. A temporary queue has an end, and dead
    letters do not.
    """
    if naming.temp_owner(name) or not session.principal.may(SEND, name):
        return False
    return name in session.broker.queues or session.principal.may(CREATE, name)


def _to_create(session: Client, name: str) -> None:
    """Ask for the queue ``name``, if there has to be a new one. A temporary one is its connection's own to make."""
    broker = session.broker
    if name in broker.queues or is_pattern(name) or name.startswith(DURABLES) or naming.temp_owner(name):
        return
    try:
        queue = broker.is_queue(name)
    except Refused:
        # There can be none of that name, which its sender hears when it is really sent.
        return
    if queue:
        ask(session, CREATE, name)
