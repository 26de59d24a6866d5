"""Rows of many things, sorted, in slices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from stompserver.manage.fields import Field, Row, Value, row
from stompserver.manage.jobs import Job

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

UNLIMITED: Final = 1 << 60
"""As many rows as there are."""

K = TypeVar("K")
T = TypeVar("T")


class Listing(Job, Generic[K, T]):
    """``rows`` of the first ``limit`` of some things, in the order of a value of theirs, and the ``count`` of all.

    Which things there are is noted when it begins: by their keys, which costs some 15 ns each. Then each slice asks
    some of them for the value that they are sorted by, and at last each slice makes some rows. So nothing comes
    twice; what goes meanwhile may be counted and has no row, what comes meanwhile is not there, and a row is as its
    thing was when the row was made.
    """

    __slots__ = (
        "_at",
        "_down",
        "_fields",
        "_keys",
        "_limit",
        "_made",
        "_merged",
        "_order",
        "_runs",
        "count",
        "rows",
        "texts",
        "write",
    )

    def __init__(
        self,
        broker: Broker,
        keys: list[K],
        fields: tuple[Field[T], ...],
        order: Callable[[T], Value] | None,
        down: bool,
        limit: int,
    ) -> None:
        super().__init__(broker)
        self.rows: list[Row] = []
        self.write: Callable[[Row], str] | None = None
        """What makes a text of each row; then ``texts`` has them, and ``rows`` has none. Of very many rows even the
        text is too long a work to be done at the end.
        """
        self.texts: list[str] = []
        self.count: int = 0
        self._keys = keys
        self._fields = fields
        self._order = order
        self._down = down
        self._limit: int = limit
        self._made: int = 0
        """Rows so far."""
        self._at: int = 0
        self._runs: list[list[tuple[Any, Any]]] = []
        """Sorted parts: what each slice found."""
        self._merged: Iterator[tuple[Any, Any]] | None = None

    @abstractmethod
    def find(self, key: K) -> T | None:
        """The thing of that key, if it is still there and is to be listed."""

    def step(self, budget: int) -> bool:
        """Sort a slice of the things, or make rows of a slice."""
        if self.over:
            return False
        merged = self._merged
        if merged is None:
            budget -= self._sort(budget)
            if self._at < len(self._keys):
                return True
            merged = self._merged = merge(*self._runs, reverse=self._down)
            if budget <= 0:
                return True
        most: int = min(budget, self._limit - self._made)
        seen: int = 0
        for _, key in islice(merged, most):
            seen += 1
            thing = self.find(key)
            if thing is not None:
                self._made += 1
                found = row(self._fields, thing)
                if self.write is None:
                    self.rows.append(found)
                else:
                    self.texts.append(self.write(found))
        if seen < budget:
            self.end()
        return not self.over

    def _sort(self, budget: int) -> int:
        order = self._order
        run: list[tuple[Any, Any]] = []
        keys = self._keys[self._at : self._at + budget]
        for key in keys:
            thing = self.find(key)
            if thing is not None:
                self.count += 1
                run.append((self.count if order is None else order(thing), key))
        self._at += len(keys)
        if run:
            run.sort(reverse=self._down)
            self._runs.append(run)
        return len(keys)


def order_of(fields: tuple[Field[T], ...], name: str) -> Callable[[T], Value]:
    """How things are sorted by the field ``name``. Raises KeyError when there is none, or not each thing has it."""
    for field in fields:
        if field.name == name:
            read = field.read
            return lambda thing: _there(name, read(thing))
    raise KeyError(name)


def _there(name: str, value: Value | None) -> Value:
    if value is None:
        raise KeyError(name)
    return value
