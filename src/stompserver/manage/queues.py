"""Queues: what there are, and what can be done with one. Names are those of the broker, ``/queue/a``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stompserver.broker.names.destination import DURABLE, QUEUE
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.selectors.selector import check_cost, compile_selector
from stompserver.errors import Refused
from stompserver.manage import durables, fields
from stompserver.manage.delete import Delete
from stompserver.manage.fields import Field, Row
from stompserver.manage.listing import UNLIMITED, Listing, order_of
from stompserver.manage.move import Move
from stompserver.manage.purge import Purge
from stompserver.manage.redrive import Redrive

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue


class Queues(Listing[str, "Queue"]):
    """Rows of queues, but for those whose names begin with one of ``without``; only those that ``match`` has, and
    that are ``seen``.
    """

    __slots__ = ("_match", "_seen", "_without")

    def __init__(
        self,
        broker: Broker,
        shown: tuple[Field[Queue], ...] = fields.QUEUE,
        order: str = "",
        down: bool = False,
        limit: int = UNLIMITED,
        without: tuple[str, ...] = (),
        match: Pattern | None = None,
        seen: Callable[[str], bool] | None = None,
    ) -> None:
        by = order_of(fields.QUEUE, order) if order else None
        super().__init__(broker, list(broker.queues), shown, by, down, limit)
        self._without = without
        self._match = match
        self._seen = seen

    def find(self, key: str) -> Queue | None:
        """The queue of that name."""
        if key.startswith(self._without) or not (self._match is None or self._match.matches(key)):
            return None
        if self._seen is not None and not self._seen(key):
            return None
        return self.broker.queues.get(key)


def find(broker: Broker, name: str) -> Queue:
    """The queue called ``name``. Raises Refused when there is none."""
    queue = broker.queues.get(name)
    if queue is None:
        raise no_queue(name)
    return queue


def no_queue(name: str) -> Refused:
    """The error for a queue that does not exist."""
    return Refused(
        f"There is no queue {name[:80]}",
        where="header queue",
        rule="Queues are there from their first message or subscription on",
        fix="Look with action:queues.",
    )


def queue(broker: Broker, name: str) -> Row:
    """What is told of one queue. Raises Refused when there is none."""
    return fields.row(fields.QUEUE, find(broker, name))


def pause(broker: Broker, name: str) -> None:
    """Let a queue deliver nothing until it is resumed; made when there is none. Raises Refused for what is none."""
    if broker.naming.kind(name) != QUEUE:
        raise no_queue(name)
    broker.pauses.pause(name)


def resume(broker: Broker, name: str) -> None:
    """Let a queue deliver again. Raises Refused when there is none."""
    broker.pauses.resume(find(broker, name).name)


def purge(broker: Broker, name: str) -> Purge:
    """A job that removes all that waits in a queue. Raises Refused when there is none."""
    return Purge(broker, find(broker, name))


def move(broker: Broker, name: str, target: str, selector: str = "", only: int = 0, most: int = 0) -> Move:
    """A job that moves messages from the queue ``name`` to the queue ``target``, which is made when there is none:
    those that ``selector`` matches; only that with the number ``only``, or at most ``most``, or all (0).

    Raises Refused when there is no such queue, or there can be none; ProtocolError for what is no selector.
    """
    found = find(broker, name)
    chosen = compile_selector(selector) if selector else None
    if chosen is not None:
        check_cost(chosen, broker.rules.max_selector_cost)
    if broker.naming.kind(target) != QUEUE or is_pattern(target) or target.startswith(DURABLE):
        raise no_queue(target)
    broker.queue(target)
    return Move(broker, found, target, chosen, only, most)


def redrive(broker: Broker, name: str = "", only: int = 0, most: int = 0) -> Redrive:
    """A job that sends dead letters back from the queue ``name``, by default the configured one: that with the number
    ``only``, or at most ``most``, or all (0). Raises Refused when there is no such queue.
    """
    if not name:
        name = broker.rules.deadletter
        if "%" in name:
            raise Refused(
                "Each queue has a dead letter queue of its own",
                where="header queue",
                rule=f"They are called {name[:80]} (deadletter), % being what the queue is called",
                fix="Name the dead letter queue that is meant.",
            )
    return Redrive(broker, find(broker, name), only, most)


def delete(broker: Broker, name: str) -> Delete:
    """A job that deletes a queue with all that waits in it, or a durable subscription with its queue. Raises Refused
    when there is none, or somebody is subscribed to it.
    """
    found = find(broker, name)
    used = broker.fanout.durables.used(found)
    if used and name.startswith(DURABLE):
        durables.delete(broker, name)
    if used or found.browsers:
        raise Refused(
            f"Queue {name[:80]} is in use",
            where="header queue",
            rule=f"It has {len(found.subscriptions) + len(found.browsers)} subscriptions",
            fix="End them first, or purge it.",
        )
    return Delete(broker, found)
