"""A broker without sessions or a server, and a store that is a dictionary; time is a number here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.durable import APOLLO, Key
from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op, OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.subscription import AUTO, Consumer, Delivery, Subscription, Wish

NOW = 1_000_000
SIZE = 1000


class Client(Consumer):
    """``got`` has every delivery; ``heard`` is called for each."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = True
        self.got: list[Message] = []
        self.heard: Callable[[Message], None] | None = None

    def deliver(self, subscription: Subscription, message: Message) -> None:
        self.got.append(message)
        if subscription.mode != AUTO:
            name = f"{subscription.id} {message.number}"
            self.deliveries[name] = Delivery(name, subscription, message)
        if self.heard is not None:
            self.heard(message)

    def bodies(self) -> list[bytes]:
        return [message.body for message in self.got]

    def lag(self, subscription: Subscription) -> None:
        pytest.fail("nobody is slow here")

    def ended(self, subscription: Subscription) -> None:
        pytest.fail("nobody browses here")

    def expired(self, delivery: Delivery) -> None:
        pytest.fail("no lease ends here")


class World:
    """A broker; with ``paged`` only a window of ten messages of each queue is in memory, the rest in ``stored``."""

    def __init__(self, paged: bool = False, **rules: Any) -> None:
        self.stored: dict[str, dict[int, Message]] = {}
        self.paged = paged
        self.broker = Broker(Rules(**rules), OpLog(paged), 1, Window(10) if paged else None)
        self.broker.tick(NOW)

    def send(self, destination: str, *bodies: bytes, **headers: str) -> None:
        for body in bodies:
            self.broker.send(Message(destination, dict(headers), body, SIZE))

    def subscribe(
        self, client: Client, destination: str, mode: int = AUTO, credit: int = 0, durable: str = ""
    ) -> Subscription:
        id = str(len(client.subscriptions))
        subscription = Subscription(
            client, Wish(id, destination, mode, credit, durable=Key(APOLLO, durable) if durable else None)
        )
        client.subscriptions[subscription.id] = subscription
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        return subscription

    def commit(self) -> None:
        """All that was logged is in the store."""
        log = self.broker.log
        position, ops = log.drain()
        for op in ops:
            self._store(op)
        self.broker.memory.used -= sum(op.size for op in ops if op.paged)
        log.committed(position, sum(op.size for op in ops if op.kind == PUT))

    def _store(self, op: Op) -> None:
        held = self.stored.setdefault(op.queue, {})
        if op.kind == DROP:
            held.clear()
        elif op.kind == PUT:
            assert op.message is not None
            held[op.key] = op.message
        elif op.kind != MARK:
            assert op.kind == REMOVE
            del held[op.key]

    def read(self) -> bool:
        """Read a page for each who wants some of the store, then hand them out; whether anybody did."""
        window = self.broker.window
        asking = window.take_asking() if window is not None else []
        pages = []
        for reader in asking:
            after, most = reader.after(), reader.room()[0]
            held = self.stored.get(reader.name, {})
            pages.append([held[key] for key in sorted(held) if key > after][:most])
        for reader, found in zip(asking, pages, strict=True):
            if found:
                reader.load(found, found[-1].key, [])
            else:
                reader.all_read()
        return bool(asking)

    def turn(self) -> bool:
        """Commit, read, and go on to the next time when something is due; false when there is nothing to do."""
        self.commit()
        read = self.read()
        due = self.broker.deadlines.next()
        if due is not None:
            self.broker.tick(max(due, self.broker.now))
        return read or due is not None

    def settle(self) -> None:
        """Go on until nothing is to be done."""
        for _ in range(10_000):
            if not self.turn():
                return
        raise AssertionError("it never ends")

    def settle_until(self, more: int) -> None:
        """Go on for ``more`` ms."""
        end = self.broker.now + more
        while True:
            self.commit()
            read = self.read()
            due = self.broker.deadlines.next()
            if due is not None and due <= end:
                self.broker.tick(max(due, self.broker.now))
            elif not read:
                self.broker.tick(end)
                return

    def counts(self) -> dict[str, int]:
        """How many messages wait, by queue."""
        return {queue.name: queue.waiting for queue in self.broker.queues.values() if queue.waiting}

    def take(self, destination: str) -> list[bytes]:
        """All that waits in a queue, as it comes to one who subscribes."""
        client = Client()
        self.subscribe(client, destination)
        self.settle()
        self.broker.drop(client)
        return client.bodies()


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def new_client() -> type[Client]:
    return Client


@pytest.fixture(params=[True, False], ids=["paged", "in memory"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)
