"""A broker with a store that is a dictionary, which can be killed and started again."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.commit import UNDER_WAY
from stompserver.broker.message import Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.names.durable import APOLLO, Key
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import AUTO, Consumer, Delivery, Granted, Subscription, Wish
from stompserver.broker.topics.filling import Subscriber
from stompserver.errors import Refused


class Client(Consumer):
    """``got`` has every delivery; it takes ``room`` messages before it is not ready (None: any number)."""

    def __init__(self, client_id: str = "") -> None:
        super().__init__()
        self.ready = True
        self.client_id = client_id
        self.room: int | None = None
        self.got: list[tuple[Subscription, Message]] = []
        self.lagging: list[Subscription] = []

    def deliver(self, subscription: Subscription, message: Message) -> None:
        self.got.append((subscription, message))
        if subscription.mode != AUTO:
            name = f"{message.number} {subscription.id}"
            assert name not in self.deliveries
            self.deliveries[name] = Delivery(name, subscription, message)
        if self.room is not None:
            self.room -= 1
            self.ready = self.room > 0

    def lag(self, subscription: Subscription) -> None:
        self.lagging.append(subscription)

    def take(self) -> list[bytes]:
        """The bodies that came since the last call."""
        got, self.got = self.got, []
        return [message.body for _, message in got]

    def names(self) -> list[tuple[str, bytes]]:
        """The same with their destinations."""
        got, self.got = self.got, []
        return [(message.destination, message.body) for _, message in got]

    def ended(self, subscription: Subscription) -> None:
        pytest.fail("nobody browses here")

    def expired(self, delivery: Delivery) -> None:
        pytest.fail("no lease ends here")


class Entering(Subscriber):
    """Who waits for ``subscription``: until it is there, or there was an ``error``."""

    def __init__(self, world: World, subscription: Subscription) -> None:
        self.world = world
        self.subscription = subscription
        self.waiting = True
        self.lost = False
        self.warning = ""
        self.error: Refused | None = None

    def begin(self) -> None:
        granted = self.world.broker.subscribe(self.subscription, self)
        if granted.position != UNDER_WAY:
            self.granted(granted)

    def gone(self) -> bool:
        assert self.waiting
        self.waiting = not self.lost
        return self.lost

    def granted(self, granted: Granted) -> None:
        assert self.waiting and granted.position <= self.world.broker.log.position
        self.waiting = False
        self.warning = granted.warning
        self.world.enter(self.subscription)

    def refused(self, error: Refused) -> None:
        assert self.waiting
        self.waiting = False
        self.error = error

    def dropped(self) -> None:
        assert self.waiting
        self.waiting = False


class World:
    """``policies`` maps patterns to options. What was committed is in ``stored``, by queue and key."""

    def __init__(self, kept: bool, **rules: Any) -> None:
        self.kept = kept
        self.rules: dict[str, Any] = rules
        self.stored: dict[str, dict[int, Message]] = {}
        self.count = 0
        self.now = 1_700_000_000_000
        self.start()

    def policies(self, **given: Any) -> None:
        """The policies from now on, as text of patterns by options."""
        self.rules["policies"] = Policies(
            [(Pattern(text), options) for text, options in given["given"].items()]
        )
        self.broker.adjust(Rules(**self.rules))

    def start(self) -> None:
        self.broker = Broker(Rules(**self.rules), OpLog(self.kept), 1, Window() if self.kept else None)
        self.broker.tick(self.now)
        for later in (False, True):
            for name, messages in sorted(self.stored.items()):
                if messages and name.startswith(SYSTEM) == later:
                    keys = sorted(messages)
                    if later:
                        assert not self.broker.recall(name, [messages[key] for key in keys])
                    else:
                        size = sum(message.size for message in messages.values())
                        self.broker.restore(name, len(messages), keys[0], keys[-1], size)
        self.feed()

    def commit(self) -> None:
        """What was logged is written, whole transactions only."""
        number, ops = self.broker.log.drain()
        for op in ops:
            messages = self.stored.setdefault(op.queue, {})
            if op.kind == PUT:
                assert op.message is not None
                assert not any(op.key in others for others in self.stored.values())
                messages[op.key] = op.message
            elif op.kind == REMOVE:
                messages.pop(op.key, None)
            elif op.kind == DROP:
                messages.clear()
            else:
                assert op.kind == MARK
        self.broker.log.committed(number, sum(op.size for op in ops if op.kind == PUT))
        self.broker.memory.used -= sum(op.size for op in ops if op.paged)

    def feed(self) -> None:
        """Give the windows what they want of the store."""
        window = self.broker.window
        while window is not None:
            self.commit()
            asking = window.take_asking()
            if not asking:
                return
            for reader in asking:
                most, _ = reader.room()
                after = reader.after()
                messages = self.stored.get(reader.name, {})
                found = [messages[key] for key in sorted(messages) if key > after][:most]
                if found:
                    reader.load(found, found[-1].key, [])
                else:
                    reader.all_read()

    def restart(self) -> None:
        """Killed after the last commit, and started again: nothing but the store is left."""
        if self.kept:
            self.commit()
            for messages in self.stored.values():
                for key, message in messages.items():
                    again = message.copy()
                    again.headers = dict(message.headers)
                    again.head = again.variants = None
                    messages[key] = again
            self.start()

    def pass_time(self, ms: int) -> None:
        self.now += ms
        self.broker.tick(self.now)

    def message(self, destination: str, body: bytes = b"", **given: Any) -> Message:
        retain = given.pop("retain", None)
        headers = {name.replace("_", "-"): value for name, value in given.pop("headers", {}).items()}
        message = Message(destination, headers, body, 1000 + len(body), plain=True, **given)
        if retain is not None:
            message.extras = {"retain": retain}
        return message

    def send(self, destination: str, body: bytes = b"", sender: Consumer | None = None, **given: Any) -> int:
        return self.broker.send(self.message(destination, body, **given), sender)

    def wished(
        self, client: Client, destination: str, mode: int = AUTO, prefetch: int = 0, **wishes: Any
    ) -> Subscription:
        self.count += 1
        if isinstance(wishes.get("durable"), str):
            wishes["durable"] = Key(APOLLO, wishes["durable"])
        if "selector" in wishes:
            wishes["selector"] = compile_selector(wishes["selector"])
        return Subscription(client, Wish(str(self.count), destination, mode, prefetch, **wishes))

    def subscribe(self, client: Client, destination: str, *given: Any, **wishes: Any) -> Subscription:
        subscription = self.wished(client, destination, *given, **wishes)
        self.granted = self.broker.subscribe(subscription)
        self.enter(subscription)
        return subscription

    def enter(self, subscription: Subscription) -> None:
        """It is there: its client gets what waits."""
        subscription.consumer.subscriptions[subscription.id] = subscription
        self.broker.start(subscription)
        self.feed()

    def begin(self, client: Client, destination: str, *given: Any, **wishes: Any) -> Entering:
        """Subscribe as a client does that can wait for it."""
        entering = Entering(self, self.wished(client, destination, *given, **wishes))
        entering.begin()
        return entering

    def unsubscribe(self, subscription: Subscription) -> None:
        del subscription.consumer.subscriptions[subscription.id]
        self.broker.unsubscribe(subscription)

    def ack(self, client: Client) -> None:
        """The oldest unsettled delivery."""
        self.broker.ack(client.deliveries.pop(next(iter(client.deliveries))))
        self.feed()


@pytest.fixture(params=["memory", "store"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param == "store")


@pytest.fixture
def stored_world() -> World:
    return World(True)


@pytest.fixture
def memory_world() -> World:
    return World(False)


@pytest.fixture(scope="session")
def new_client() -> type[Client]:
    return Client


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    return World
