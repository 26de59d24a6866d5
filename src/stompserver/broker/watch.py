"""Subscriptions to patterns of queues: to all that fit, those there are and those there will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.pattern import Pattern
from stompserver.broker.subscription import Subscription
from stompserver.broker.wildcards import Wildcards
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queue import Queue

_WISHES: Final = (
    "ack_timeout",
    "exclusive",
    "label",
    "no_local",
    "odd",
    "policy",
    "prefix",
    "priority",
    "selector",
    "shown",
    "window",
)
"""What each queue's part has of the client's subscription."""


class Watch:
    """One client's subscription to a pattern, and its ``parts``: a subscription of the same id to each queue, with
    credit of its own. ACK of one message means all before it of whichever queue, where it means that.
    """

    __slots__ = ("parts", "pattern", "subscription")

    def __init__(self, subscription: Subscription, pattern: Pattern) -> None:
        self.subscription = subscription
        self.pattern = pattern
        self.parts: dict[str, Subscription] = {}

    def part(self, queue: str) -> Subscription:
        """A new subscription to ``queue``."""
        whole = self.subscription
        part = Subscription(whole.consumer, whole.id, queue, whole.mode, whole.prefetch)
        for wish in _WISHES:
            setattr(part, wish, getattr(whole, wish))
        part.order = whole.order
        self.parts[queue] = part
        return part


class Watches:
    """All of them: ``watches`` by pattern, ``watched`` by queue.

    A queue that only watches subscribe to is no less unused for that: when there are many, they leave those where
    nothing waits, and come back when something is sent there.
    """

    __slots__ = ("_enough", "broker", "owners", "watched", "watches", "wildcards")

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.wildcards = Wildcards()
        self.watches: dict[str, list[Watch]] = {}
        self.owners: dict[Subscription, Watch] = {}
        self.watched: dict[str, list[Watch]] = {}
        self._enough: int = 0

    def subscribe(self, subscription: Subscription) -> None:
        """Register ``subscription``, whose destination is a pattern. Raises Refused."""
        if subscription.browser:
            raise Refused(
                "Only one queue can be browsed at a time",
                where="header destination",
                rule="A browser is told when it has seen all of its queue",
                mend="Browse each queue by its name.",
            )
        name = subscription.destination
        watch = Watch(subscription, Pattern(name))
        self.wildcards.add(watch.pattern)
        self.watches.setdefault(name, []).append(watch)
        self.owners[subscription] = watch
        for queue in [queue for queue in self.broker.queues.values() if watch.pattern.matches(queue.name)]:
            if not queue.idle:
                self._join(watch, queue)

    def start(self, subscription: Subscription) -> None:
        """Deliver what waits in its queues."""
        for part in list(self.owners[subscription].parts.values()):
            if part.queue is not None:
                part.queue.dispatch(part)

    def unsubscribe(self, subscription: Subscription) -> list[Queue]:
        """End all parts of ``subscription``; return their queues, where nothing is delivered yet to others."""
        watch = self.owners.pop(subscription)
        subscription.closed = True
        same = self.watches[watch.pattern.text]
        same.remove(watch)
        if not same:
            del self.watches[watch.pattern.text]
            self.wildcards.discard(watch.pattern.text)
        left: list[Queue] = []
        for name in list(watch.parts):
            queue = self._leave(watch, name)
            if queue is not None:
                left.append(queue)
        return left

    def seen(self, queue: Queue) -> None:
        """``queue`` is new, or in use again: whoever watches for such is subscribed to it."""
        for text in self.wildcards.find(queue.name):
            for watch in self.watches[text]:
                self._join(watch, queue)
        if len(self.watched) > self._enough:
            self._leave_unused()

    def forget(self, queue: Queue) -> None:
        """``queue`` is no more."""
        for watch in self.watched.pop(queue.name, []):
            part = watch.parts.pop(queue.name)
            queue.discard(part)

    def _join(self, watch: Watch, queue: Queue) -> None:
        if queue.name not in watch.parts:
            part = watch.part(queue.name)
            self.watched.setdefault(queue.name, []).append(watch)
            self.broker.attach(queue, part)

    def _leave(self, watch: Watch, name: str) -> Queue | None:
        part = watch.parts.pop(name)
        watches = self.watched[name]
        watches.remove(watch)
        if not watches:
            del self.watched[name]
        if part.queue is not None:
            part.queue.discard(part)
        return part.queue

    def _leave_unused(self) -> None:
        """Leave the queues that have nothing and nobody else, so that they can be forgotten."""
        for name, watches in list(self.watched.items()):
            queue = self.broker.queues.get(name)
            if queue is None or queue.waiting or queue.unacked or queue.delayed:
                continue
            if len(queue.subscriptions) == len(watches):
                self.forget(queue)
                self.broker.rest(queue)
        self._enough = max(self.broker.rules.idle_queues, 2 * len(self.watched))
