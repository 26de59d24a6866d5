"""What happens to a message that a queue has no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import OVERHEAD
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.names.policy import Policy
    from stompserver.broker.queues.backlog import Backlog

REJECT: Final = "reject"
DROP_HEAD: Final = "drop-head"
DROP_TAIL: Final = "drop-tail"
DEAD_LETTER: Final = "dead-letter"
OVERFLOW: Final = "overflow"
"""Why a dead letter is one."""
DROPPED: Final = "dropped"
BLOCK: Final = "block"

_CIRCLE: Final = "dead letters would go round, or on without end: the queues after it are full as well"


def over(queue: Backlog, size: int, count: int = 1) -> bool:
    """Whether ``count`` messages of ``size`` bytes together are more than the limits of ``queue`` let in."""
    return beyond(queue.policy, queue, size, count)


def beyond(policy: Policy, queue: Backlog | None, size: int, count: int) -> bool:
    """Whether ``count`` messages of ``size`` bytes together are more than ``policy`` lets into ``queue``, which
    is None where it does not exist yet. Bytes are those of the messages, without what an object costs in memory.
    """
    messages: int = policy.max_messages
    bytes: int = policy.max_bytes
    size -= OVERHEAD * count
    if queue is not None:
        count += queue.waiting + queue.delayed
        size += queue.total - OVERHEAD * (queue.waiting + queue.delayed + queue.unacked)
    return 0 < messages < count or 0 < bytes < size


def make_room(queue: Backlog, size: int) -> bool:
    """Let the oldest messages go until one of ``size`` bytes fits, as far as they are at hand; false when the
    newest is to go instead. For the policies that give up messages.

    Those that become dead letters stay, above the limits, when there is no end to the way of dead letters: see
    ``Keeper.has_way``. While they go, no other queue gives this one its own.
    """
    if queue.policy.overflow == DROP_TAIL:
        return not over(queue, size)
    _shed(queue, size, 1)
    return True


def shrink(queue: Backlog) -> None:
    """Let the oldest messages go that are more than the limits allow, for the policies that give up such: they were
    not at hand before, or the limits are new.
    """
    if queue.policy.overflow in (DROP_HEAD, DEAD_LETTER):
        _shed(queue, 0, 0)


def _shed(queue: Backlog, size: int, count: int) -> None:
    if queue.policy.overflow != DEAD_LETTER:
        while over(queue, size, count) and queue.shed(DROPPED):
            pass
        return
    if queue.shedding or not over(queue, size, count):
        return
    queue.shedding = True
    try:
        while over(queue, size, count):
            if not queue.keeper.has_way(queue.name, queue.policy, size):
                queue.keeper.tell(f"{queue.name[:200]} holds more than its policy allows: its {_CIRCLE}")
                break
            if not queue.shed(OVERFLOW):
                break
    finally:
        queue.shedding = False


def refused(queue: Backlog, size: int) -> Refused | None:
    """What who sends a message of ``size`` bytes is told, when ``queue`` takes no more; None when it takes it."""
    return refused_by(queue.policy, queue.name, queue, size, 1)


def refused_by(policy: Policy, name: str, queue: Backlog | None, size: int, count: int) -> Refused | None:
    """The same for ``count`` messages of ``size`` bytes together, and a ``queue`` which may not exist yet (None)."""
    if policy.overflow != REJECT and policy.overflow != DEAD_LETTER:
        return None
    if not beyond(policy, queue, size, count):
        return None
    if policy.overflow == REJECT:
        return refusal(name, policy)
    if queue is None or queue.keeper.has_way(queue.name, queue.policy, size // count):
        return None
    return Refused(
        f"Queue {name[:80]} is full",
        where="header destination",
        rule=f"It gives its oldest message to its dead letter queue (overflow: dead-letter), but {_CIRCLE}",
        fix="Consume from it, or from its dead letter queue, or let the last of these queues have another overflow.",
    )


def refusal(name: str, policy: Policy) -> Refused:
    """What the sender is told."""
    limits = []
    if policy.max_messages:
        limits.append(f"{policy.max_messages} messages (max-messages)")
    if policy.max_bytes:
        limits.append(f"{policy.max_bytes} bytes (max-bytes)")
    return Refused(
        f"Queue {name[:80]} is full",
        where="header destination",
        rule=f"Its policy lets {' and '.join(limits)} wait, and rejects what is more (overflow: reject)",
        fix="Send again when some of them were consumed.",
    )


def storage_full(room: int) -> Refused:
    """The storage has room for ``room`` bytes only."""
    return Refused(
        "The storage is full",
        where="header destination",
        rule=f"This server's storage has room for {room} bytes of messages now",
        fix="Send again later: the server goes on by itself when there is room.",
    )
