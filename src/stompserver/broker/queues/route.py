"""Who remembers the way to a queue, and hears when it leads there no more."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod


class RouteTable(metaclass=ABCMeta):
    """What somebody remembers of the way to queues, by their names."""

    __slots__ = ()

    @abstractmethod
    def drop(self, name: str) -> None:
        """The queue ``name`` is gone or has other rules: whoever sends there has to look again."""
