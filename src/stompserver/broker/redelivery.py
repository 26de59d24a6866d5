"""When a message that came back is delivered again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stompserver.broker.policy import Policy

LONGEST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds: a delay that grows stops here where the policy has no bound."""


def delay(policy: Policy, attempts: int, seed: int) -> int:
    """Milliseconds until the next delivery of a message that came back ``attempts`` times.

    The jitter is a share of the delay that ``seed`` decides, so that messages which failed together do not come
    back together.
    """
    first: int = policy.redelivery_delay
    if first <= 0:
        return 0
    most: int = policy.max_redelivery_delay or LONGEST
    wait = float(min(first, most))
    for _ in range(min(attempts, 100) - 1):
        wait *= policy.redelivery_multiplier
        if wait >= most or policy.redelivery_multiplier == 1.0:
            break
    wait = min(wait, float(most))
    if policy.redelivery_jitter:
        # A multiplicative hash: numbers next to each other are spread over the whole range.
        spread = ((seed + attempts) * 2654435761) % 65536 / 65536.0
        wait += wait * policy.redelivery_jitter * (2.0 * spread - 1.0)
    return max(1, int(wait))
