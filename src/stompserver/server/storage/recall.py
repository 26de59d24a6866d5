"""What the server itself had to remember, read back from the store before anybody is served."""

from __future__ import annotations

import logging
from typing import Final

from stompserver.broker.broker import Broker
from stompserver.broker.message import Message
from stompserver.broker.schedule.schedule import SCHEDULE
from stompserver.server.process.logs import shortened
from stompserver.stores.base import Store, Stored

log = logging.getLogger("stompserver.storage")

CHUNK: Final = (1000, 16 << 20)
"""Messages and bytes that are read at a time."""


def recall(store: Store, broker: Broker, queues: list[Stored]) -> None:
    """Give the broker all that the system queues ``queues`` hold; the other queues it must have already."""
    for queue in queues:
        messages: list[Message] = []
        after = 0
        while True:
            found = store.read(queue.name, after, *CHUNK)
            for each in found:
                after = max(after, each.key)
                if isinstance(each, Message):
                    messages.append(each)
                else:
                    log.error(
                        "A part of %s cannot be read and stays where it is: %s",
                        shortened(queue.name),
                        each,
                        extra={"event": "damage", "destination": shortened(queue.name)},
                    )
            if queue.name == SCHEDULE:
                # May be more than memory holds.
                broker.recall(queue.name, messages)
                messages = []
            if len(found) == 0 or after >= queue.highest:
                break
        for problem in broker.recall(queue.name, messages):
            log.error("%s", problem, extra={"event": "damage", "destination": shortened(queue.name)})
