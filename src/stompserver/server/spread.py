"""Calls that may come a little late: so many that are due at once keep nobody else waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec

SHARE: Final = 0.005
"""Seconds of a turn for them."""

Arguments = ParamSpec("Arguments")


class Spread:
    """Makes calls in the order in which they are given, in each turn of ``loop`` at least one and as many as fit into
    SHARE. It is for what may be due for thousands of connections at the same moment: the answers to their wrong
    logins, the end of those that linger.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], object]] = deque()
        self._scheduled = False

    def call(
        self, callback: Callable[Arguments, object], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> None:
        """Call ``callback``, not before the next turn. What it raises goes to the loop's exception handler."""
        self._calls.append(partial(callback, *arguments, **named))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._some)

    def _some(self) -> None:
        end = self._loop.time() + SHARE
        while self._calls:
            call = self._calls.popleft()
            try:
                call()
            except Exception as problem:
                self._loop.call_exception_handler({"message": f"Exception in {call}", "exception": problem})
            if self._calls and self._loop.time() >= end:
                self._loop.call_soon(self._some)
                return
        self._scheduled = False
