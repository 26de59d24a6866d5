"""Which connection is the client of an id: one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.session import faults
from stompserver.session.outbox import Outbox
from stompserver.session.state import CONNECTED

if TYPE_CHECKING:
    from stompserver.session.session import Session


def claim(session: Session, id: str) -> None:
    """Be the client of ``id``. A connection of the same login that is so is likely the client's own, from before it
    lost the network, and ends. Raises Refused for another login's.
    """
    clients = session.broker.clients
    other = clients.get(id)
    if isinstance(other, Outbox) and other is not session and other.state <= CONNECTED:
        if other.login != session.login:
            raise faults.client_id_in_use(id)
        other.receipt = None
        other.fail(faults.client_id_taken(id))
    clients[id] = session


def release(session: Session) -> None:
    """Be nobody's client any more."""
    if session.broker.clients.get(session.client_id) is session:
        del session.broker.clients[session.client_id]
