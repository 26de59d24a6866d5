"""What happens to a message that a queue has no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.queue import Queue

REJECT: Final = "reject"
DROP_HEAD: Final = "drop-head"
DROP_TAIL: Final = "drop-tail"
DEAD_LETTER: Final = "dead-letter"
OVERFLOW: Final = "overflow"
"""Why a dead letter is one."""
BLOCK: Final = "block"


def over(queue: Queue, size: int, count: int = 1) -> bool:
    """Whether ``count`` messages of ``size`` bytes together are more than the limits of ``queue`` let in."""
    policy = queue.policy
    messages: int = policy.max_messages
    bytes: int = policy.max_bytes
    return (0 < messages < queue.waiting + queue.delayed + count) or (0 < bytes < queue.total + size)


def refusal(queue: Queue) -> Refused:
    """What the sender is told."""
    policy = queue.policy
    limits = []
    if policy.max_messages:
        limits.append(f"{policy.max_messages} messages (max-messages)")
    if policy.max_bytes:
        limits.append(f"{policy.max_bytes} bytes (max-bytes)")
    return Refused(
        f"Queue {queue.name[:80]} is full",
        where="header destination",
        rule=f"Its policy lets {' and '.join(limits)} wait, and rejects what is more (overflow: reject)",
        mend="Send again when some of them were consumed.",
    )
