"""Nobody is judged by silence before what has come is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def after_hearing(loop: asyncio.AbstractEventLoop, judge: Callable[[], None]) -> None:
    """Call ``judge`` when each socket that has something to read was read once from now on.

    A loop that stood still, because the machine slept or something took long, finds its timers due before it looks
    at its sockets (uvloop), or after a look that was over when they came (asyncio). So a timer that may end something
    because nothing was heard comes here. The sockets of this turn, or the next, are read before ``judge`` is called.
    """
    loop.call_soon(loop.call_soon, judge)
