"""Priorities, groups, expiry, duplicates and dead letters over crashes: what was promised is there, nothing twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.names.policy import Policies, Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.subscription import INDIVIDUAL, Subscription, Wish

QUEUE = "/queue/q"
DEAD = "/queue/dead"
SIZE = 10


class Sent:
    """What the model knows of a message: the number of the op of its SEND, and of the one that ended it."""

    def __init__(self, number: int, message: Message, twin: bool) -> None:
        self.number = number
        self.message = message
        self.twin = twin
        """Whether it is a duplicate of one that is known."""
        self.gone = False
        self.dead = False


class World:
    """A broker, the store behind it, and what must hold. Bodies name messages."""

    def __init__(self, new_consumer: Any, store: Any, window: int) -> None:
        self.new_consumer = new_consumer
        self.store = store
        self.size = window
        self.now = 1000
        self.first = 1
        self.sent: dict[bytes, Sent] = {}
        self.ids: dict[str, bytes] = {}
        self.ended: list[tuple[int, bytes, bool]] = []
        """Ops that are to end a message, with whether it is dead then, as long as they are not durable."""
        self.heard: list[Message] = []
        self.begin()

    def begin(self) -> None:
        base = Policy().changed(
            {"priorities": True, "deadletter": DEAD, "max_redeliveries": 3, "expired": "deadletter"}
        )
        self.window = Window(self.size)
        self.log = OpLog(recording=True)
        rules = Rules(deadletter=DEAD, policies=Policies([], base))
        # As the shell does: no number of an earlier run is given again.
        self.first += 1_000_000
        self.broker = Broker(rules, self.log, self.first, self.window)
        self.broker.tick(self.now)
        self.subscriptions: list[Subscription] = []
        registers = []
        for name, messages in self.store.queues.items():
            if name.startswith(SYSTEM):
                registers.append(name)
            elif messages:
                self.broker.restore(name, len(messages), min(messages), max(messages), SIZE * len(messages))
        for name in registers:
            self.broker.recall(name, self.read(name, 0, 1 << 30))

    def read(self, name: str, after: int, limit: int) -> list[Message]:
        """As a store gives messages back: other objects."""
        found = []
        for message in self.store.read(name, after, limit):
            twin = message.copy()
            twin.attempts = self.store.attempts[message.key]
            found.append(twin)
        return found

    def commit(self) -> None:
        number, ops = self.log.drain()
        self.store.commit(ops)
        self.broker.memory.used -= sum(op.size for op in ops if op.paged)
        self.log.committed(number, 0)
        for due, body, dead in self.ended:
            if due <= number:
                self.sent[body].gone = not dead
                self.sent[body].dead = self.sent[body].dead or dead
        self.ended = [each for each in self.ended if each[0] > number]

    def serve(self) -> bool:
        self.commit()
        readers = self.window.take_asking()
        for reader in readers:
            found = self.read(reader.name, reader.after(), max(1, reader.room()[0]))
            if found:
                reader.load(found, found[-1].key, [])
            else:
                reader.all_read()
        return bool(readers)

    def crash(self) -> None:
        """What is not durable is lost, and was promised to nobody."""
        durable = self.log.durable
        self.sent = {body: each for body, each in self.sent.items() if each.number <= durable}
        for each in self.sent.values():
            each.number = 0
        self.ids = {id: body for id, body in self.ids.items() if body in self.sent}
        self.ended = []
        places: list[bytes] = []
        for name in (QUEUE, DEAD):
            places.extend(message.body for message in self.store.queues.get(name, {}).values())
        assert len(places) == len(set(places)), "in one queue or in the other"
        self.begin()

    def send(self, body: bytes, priority: int, group: str, id: str, ttl: int) -> None:
        message = Message(QUEUE, {}, body, SIZE)
        message.priority = priority
        message.group = group
        if id:
            message.extras = {"dedup": id}
        if ttl:
            message.expires = self.now + ttl
        known = bool(id) and id in self.ids
        sent = self.sent[body] = Sent(0, message, known)
        sent.number = self.broker.send(message)
        if id and not known:
            self.ids[id] = body

    def subscribe(self, prefetch: int) -> Subscription:
        consumer = self.new_consumer()
        subscription = Subscription(consumer, Wish("s", QUEUE, INDIVIDUAL, prefetch))
        consumer.heard = self.hear
        consumer.subscriptions["s"] = subscription
        self.subscriptions.append(subscription)
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        return subscription

    def hear(self, subscription: Subscription, message: Message) -> None:
        self.heard.append(message)
        assert not message.expires or message.expires > self.now
        sent = self.sent[message.body]
        assert not sent.twin, "a duplicate is not delivered"
        assert not sent.gone, "what was consumed is not delivered again"
        assert not sent.dead, "nor what is dead"

    def settle(self, subscription: Subscription, verb: str, choice: int) -> None:
        consumer: Any = subscription.consumer
        there = list(consumer.deliveries.values())
        if not there:
            return
        delivery = there[choice % len(there)]
        del consumer.deliveries[delivery.name]
        body = delivery.message.body
        attempts = delivery.message.attempts
        if verb == "ack":
            self.ended.append((self.broker.ack(delivery), body, False))
        elif verb == "reject":
            self.ended.append((self.broker.nack([delivery], requeue=False), body, True))
        else:
            number = self.broker.nack([delivery], delay=100 if verb == "delay" else -1)
            if attempts >= 3:
                self.ended.append((number, body, True))

    def pass_time(self, ms: int) -> None:
        self.now += ms
        self.broker.tick(self.now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["send"] * 6
            + ["ack"] * 3
            + ["subscribe", "subscribe", "nack", "delay", "reject", "time", "crash", "crash"]
            + ["serve"] * 2
        ),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    min_size=20,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.sampled_from([1, 3, 100]), st.booleans(), st.booleans(), st.booleans())
def test_crashes_lose_nothing_that_was_promised(
    new_consumer: Any,
    new_store: Any,
    steps: Any,
    window: int,
    grouped: bool,
    prioritised: bool,
    mortal: bool,
) -> None:
    world = World(new_consumer, new_store(), window)
    for step, (verb, first, second) in enumerate(steps):
        if verb == "send":
            world.send(
                b"%d" % step,
                (first * 7 + second) % 10 if prioritised else 4,
                f"g{second % 3}" if grouped else "",
                f"id {second % 3}" if first % 3 == 0 else "",
                50 * (1 + second) if mortal and first % 4 == 0 else 0,
            )
        elif verb == "subscribe":
            if len(world.subscriptions) < 3:
                world.subscribe(1 + second % 3)
        elif verb == "time":
            world.pass_time(50 * second)
        elif verb == "crash":
            world.crash()
        elif verb == "serve":
            world.serve()
        elif world.subscriptions:
            world.settle(world.subscriptions[second % len(world.subscriptions)], verb, first)
    world.commit()
    world.crash()
    world.heard.clear()
    last = world.subscribe(1)
    for _ in range(3 * len(world.sent) + 5):
        while world.serve():
            pass
        world.settle(last, "ack", 0)
    world.commit()
    keys = [message.key for message in world.heard]
    assert keys == sorted(keys), "after a restart all are in the order of their keys"
    dead = {message.body for message in world.store.queues.get(DEAD, {}).values()}
    assert world.store.queues.get(QUEUE, {}) == {}
    for body, sent in world.sent.items():
        if sent.twin:
            assert body not in dead
        elif sent.dead:
            assert body in dead
        else:
            expired = 0 < sent.message.expires <= world.now
            assert sent.gone != (body in dead), "consumed, or a dead letter"
            assert body not in dead or expired
