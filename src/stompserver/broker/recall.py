"""What the broker itself remembers, read back from its system queues at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker import duplicates
from stompserver.broker.message import NUMBER, Message
from stompserver.broker.pauses import PAUSES
from stompserver.broker.schedule import SCHEDULE
from stompserver.broker.shape import SHAPES

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


def restore(broker: Broker, name: str, messages: list[Message]) -> list[str]:
    """What the system queue ``name`` has of an earlier run, after all other queues; return what of it cannot be used,
    as text.
    """
    for message in messages:
        broker.number = max(broker.number, message.key & NUMBER)
    if name == duplicates.QUEUE:
        broker.duplicates.restore(messages)
        return []
    if name == SCHEDULE:
        broker.schedule.restore(messages)
        return []
    if name == PAUSES:
        return broker.pauses.restore(messages)
    if name == SHAPES:
        broker.shapes.restore(messages)
        return []
    if broker.fanout.restores(name):
        return broker.fanout.restore(name, messages)
    return [f"{name} is not known"]
