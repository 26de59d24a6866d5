"""Temporary destinations: private to a connection, and gone with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.session import faults, naming
from stompserver.session.naming import Speaker
from stompserver.wire.frame import Frame

if TYPE_CHECKING:
    from stompserver.session.session import Session


def own(session: Session, name: str) -> None:
    """``name`` is a temporary destination of this connection from now on."""
    temps = session.broker.temps
    names = temps.get(session.id)
    if names is None:
        temps[session.id] = {name}
    elif name not in names:
        if len(names) >= session.settings.max_subscriptions:
            raise faults.too_many_temporary(session.settings.max_subscriptions)
        names.add(name)


def expect_answers(session: Session, text: str) -> str:
    """The name under which others may answer to a temporary destination. Who has not subscribed to it is, as
    RabbitMQ does it: the subscription's id is then the destination as the client calls it.
    """
    name = naming.resolve(text, Speaker(session.id, session.login, session.broker.naming.bare)).name
    own(session, name)
    for subscription in session.subscriptions.values():
        if subscription.destination == name:
            return name
    receipt = session.receipt
    session.receipt = None
    session.on_subscribe(Frame("SUBSCRIBE", {"id": text, "destination": text}, b""))
    session.receipt = receipt
    return name


def reachable(session: Session, name: str) -> bool:
    """Whether a name has somebody behind it: a temporary one goes with its connection."""
    owner = naming.temp_owner(name)
    if not owner:
        return True
    if owner == session.id:
        own(session, name)
        return True
    living = session.broker.temps.get(owner)
    return living is not None and name in living


def leave(session: Session) -> None:
    """The connection is gone, and its temporary destinations with what waits in them."""
    broker = session.broker
    names = broker.temps.pop(session.id, None)
    if names is not None:
        for name in names:
            queue = broker.queues.get(name)
            if queue is not None:
                broker.delete(queue)
