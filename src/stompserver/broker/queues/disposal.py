"""The messages of a queue that is no more are let go, in slices."""

from __future__ import annotations

from collections.abc import Callable

from stompserver.broker.slices import Sliced


class Disposal(Sliced):
    """Calls ``let_go``, which lets go of one message, until it returns false."""

    __slots__ = ("_let_go",)

    def __init__(self, let_go: Callable[[], bool]) -> None:
        self._let_go = let_go

    def slice(self, budget: int) -> bool:
        """Let go of some."""
        while budget > 0:
            budget -= 1
            if not self._let_go():
                return False
        return True
