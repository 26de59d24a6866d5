"""A consumer that writes down what it gets, and a store that is a dictionary."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stompserver.broker.message import SPARED, Message
from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op
from stompserver.broker.subscription import AUTO, Consumer, Delivery, Subscription


class Recorder(Consumer):
    """Settles under running numbers; ``got`` has every delivery, ``lagging`` the subscriptions told to be slow.

    ``room`` is how many more messages it takes before it is not ready (None: any number).
    """

    def __init__(self, ready: bool = True) -> None:
        super().__init__()
        self.ready = ready
        self.room: int | None = None
        self.got: list[tuple[Subscription, Message]] = []
        self.lagging: list[Subscription] = []
        self.heard: Callable[[Subscription, Message], None] | None = None

    def deliver(self, subscription: Subscription, message: Message) -> None:
        self.got.append((subscription, message))
        if subscription.mode != AUTO:
            name = f"{subscription.id} {len(self.got)}"
            self.deliveries[name] = Delivery(name, subscription, message)
        if self.room is not None:
            self.room -= 1
            self.ready = self.ready and self.room > 0
        if self.heard is not None:
            self.heard(subscription, message)

    def lag(self, subscription: Subscription) -> None:
        self.lagging.append(subscription)

    def bodies(self) -> list[bytes]:
        return [message.body for _, message in self.got]

    def take(self, key: int) -> Delivery:
        """The unsettled delivery of the message with that key, which is about to be settled."""
        (name,) = [name for name, delivery in self.deliveries.items() if delivery.message.number == key]
        return self.deliveries.pop(name)

    def ended(self, subscription: Subscription) -> None:
        pytest.fail("nobody browses here")

    def expired(self, delivery: Delivery) -> None:
        pytest.fail("no lease ends here")


class DictStore:
    """What a store does, with nothing to gain by it: ``queues`` maps names to messages by key.

    ``attempts`` is what it knows of deliveries that came back. An op that makes no sense fails the test.
    """

    def __init__(self) -> None:
        self.queues: dict[str, dict[int, Message]] = {}
        self.attempts: dict[int, int] = {}

    def commit(self, ops: list[Op]) -> None:
        touched: dict[int, list[int]] = {}
        for op in ops:
            messages = self.queues.setdefault(op.queue, {})
            if op.kind == DROP:
                messages.clear()
                continue
            touched.setdefault(op.key, []).append(op.kind)
            if op.kind == PUT:
                assert op.message is not None
                assert (op.key, op.size) == (op.message.key, op.message.size)
                assert op.key not in messages
                below = op.key < max(messages, default=0)
                messages[op.key] = op.message
                if below:
                    # Of a higher priority than others.
                    self.queues[op.queue] = messages = dict(sorted(messages.items()))
                self.attempts[op.key] = op.message.attempts
            elif op.kind == MARK:
                assert op.key in messages
                assert op.attempts > self.attempts[op.key] % SPARED
                self.attempts[op.key] = op.attempts
            else:
                assert op.kind == REMOVE
                assert op.size == messages[op.key].size
                del messages[op.key], self.attempts[op.key]
        # A PUT that meets another op of its message in one batch cancels with it, or carries it.
        assert all(kinds == [PUT] or PUT not in kinds for kinds in touched.values())

    def read(self, queue: str, after: int, limit: int) -> list[Message]:
        messages = self.queues[queue]
        return [messages[key] for key in sorted(messages) if key > after][:limit]


@pytest.fixture(scope="session")
def new_consumer() -> type[Recorder]:
    return Recorder


@pytest.fixture(scope="session")
def new_store() -> type[DictStore]:
    return DictStore
