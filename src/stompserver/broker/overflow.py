"""What happens to a message that a queue has no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import OVERHEAD
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.policy import Policy
    from stompserver.broker.queue import Queue

REJECT: Final = "reject"
DROP_TAIL: Final = "drop-tail"
DEAD_LETTER: Final = "dead-letter"
OVERFLOW: Final = "overflow"
"""Why a dead letter is one."""
BLOCK: Final = "block"


def over(queue: Queue, size: int, count: int = 1) -> bool:
    """Whether ``count`` messages of ``size`` bytes together are more than the limits of ``queue`` let in."""
    return beyond(queue.policy, queue, size, count)


def beyond(policy: Policy, queue: Queue | None, size: int, count: int) -> bool:
    """The same, also for a queue that is not there yet. Bytes are those of the messages, not of our memory."""
    messages: int = policy.max_messages
    bytes: int = policy.max_bytes
    size -= OVERHEAD * count
    if queue is not None:
        count += queue.waiting + queue.delayed
        size += queue.total - OVERHEAD * (queue.waiting + queue.delayed + queue.unacked)
    return 0 < messages < count or 0 < bytes < size


def make_room(queue: Queue, size: int) -> bool:
    """Let the oldest messages go until one of ``size`` bytes fits, as far as they are at hand; false when the
    newest is to go instead. For the policies that give up messages.
    """
    while over(queue, size):
        if queue.policy.overflow == DROP_TAIL:
            return False
        if not queue.shed(queue.policy.overflow == DEAD_LETTER):
            break
    return True


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
        mend="Send again when some of them were consumed.",
    )


def storage_full(room: int) -> Refused:
    """The storage has room for ``room`` bytes only."""
    return Refused(
        "The storage is full",
        where="header destination",
        rule=f"This server's storage has room for {room} bytes of messages now",
        mend="Send again later: the server goes on by itself when there is room.",
    )
