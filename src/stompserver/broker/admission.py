"""Whether a transaction can be done, seen before anything of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker import overflow
from stompserver.broker.action import Action
from stompserver.broker.destination import DURABLE, QUEUE
from stompserver.broker.fanout import pattern_sent_to
from stompserver.broker.pattern import is_pattern
from stompserver.broker.subscription import Consumer

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker


def check(broker: Broker, actions: list[Action], sender: Consumer | None) -> dict[str, None]:
    """The queues that ``actions`` need and that are not in use. Raises Refused when one of them cannot be done."""
    fresh: dict[str, None] = {}
    limited: dict[str, list[int]] = {}
    size: int = 0
    later: int = 0
    for action in actions:
        message = action.message
        if message is None:
            continue
        if action.plan is not None:
            later += 1
            size += message.size
        elif broker.naming.kind(message.destination) != QUEUE:
            broker.fanout.check(message, sender)
        else:
            if message.destination.startswith(DURABLE):
                raise broker.fanout.durables.sent_to(message.destination)
            size += message.size if message.persistent else 0
            queue = broker.queues.get(message.destination)
            if queue is None and is_pattern(message.destination):
                raise pattern_sent_to(message.destination)
            if queue is None or queue.idle:
                fresh[message.destination] = None
            policy = broker.shapes.policy(message.destination) if queue is None else queue.policy
            if policy.overflow == overflow.REJECT and (policy.max_messages or policy.max_bytes):
                taken = limited.setdefault(message.destination, [0, 0])
                taken[0] += 1
                taken[1] += message.size
                if overflow.beyond(policy, queue, taken[1], taken[0]):
                    raise overflow.refusal(message.destination, policy)
    if size > broker.room:
        raise overflow.storage_full(broker.room)
    if fresh:
        broker.check_room(len(fresh))
    if later:
        broker.schedule.check(later, 0)
    return fresh
