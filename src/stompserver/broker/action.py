"""A part of a transaction."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.plan import Plan
from stompserver.broker.subscription import Delivery

SEND: Final = 1
ACK: Final = 2
NACK: Final = 3


class Action:
    """One part of a transaction: SEND of a message, or ACK or NACK of a delivery (for NACK with ``requeue``,
    ``delay`` and ``cause`` as Broker.nack takes them); a SEND with a ``plan`` is for later.
    """

    __slots__ = ("cause", "delay", "delivery", "kind", "message", "plan", "requeue")

    def __init__(
        self,
        kind: int,
        message: Message | None,
        delivery: Delivery | None = None,
        requeue: bool = True,
        delay: int = -1,
        cause: str = "",
        plan: Plan | None = None,
    ) -> None:
        self.kind: int = kind
        self.plan = plan
        self.message = message
        self.delivery = delivery
        self.requeue = requeue
        self.delay: int = delay
        self.cause = cause
