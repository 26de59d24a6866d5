"""The broker against a naive model: random verbs, and after each step everything that must hold.

The model does not choose who gets a message. It hears of each delivery and says whether it may be: the first of
what is ready, to somebody with credit who is ready; and after each verb nothing may be left that could be delivered.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stompserver.broker.broker import ACK, NACK, SEND, Action, Broker, Rules
from stompserver.broker.message import SPARED, Message
from stompserver.broker.names.policy import Policies, Policy
from stompserver.broker.oplog import PUT, OpLog
from stompserver.broker.subscription import (
    AUTO,
    CLIENT,
    DELIVERY,
    INDIVIDUAL,
    UNLIMITED,
    Subscription,
    Wish,
)
from stompserver.manage import fields

QUEUES = ("/queue/a", "/queue/b", "/queue/dead")
TOPICS = ("/topic/t", "bare")
DEAD = "/queue/dead"


class Model:
    """Where each message is: ready in a queue, with a subscription, or gone. Queues are lists of keys."""

    def __init__(self, max_redeliveries: int) -> None:
        self.max_redeliveries = max_redeliveries
        self.number = 0
        self.ready: dict[Any, set[int]] = {}
        self.held: dict[Any, set[int]] = {}  # by subscription
        self.attempts: dict[int, int] = {}
        self.spent: dict[int, int] = {}  # max-exceptions
        self.size: dict[int, int] = {}
        self.kept: set[int] = set()  # asked to be persistent
        self.fan: list[tuple[Any, int]] = []  # direct deliveries that a topic owes, in order
        self.late: set[int] = set()  # returned in this verb, so others may have gone before
        self.enqueued: dict[str, int] = {}

    def send(self, place: Any, size: int, exceptions: int, persistent: bool) -> None:
        self.number += 1
        self.add(place, self.number, size, exceptions, persistent)

    def add(self, place: Any, key: int, size: int, exceptions: int, kept: bool) -> None:
        self.ready.setdefault(place, set()).add(key)
        self.attempts[key, place] = 0
        self.spent[key], self.size[key] = exceptions, size
        self.enqueued[place] = self.enqueued.get(place, 0) + 1
        if kept:
            self.kept.add(key)

    def back(self, subscription: Any, place: Any, key: int, requeue: bool) -> None:
        self.held[subscription].remove(key)
        tries = self.attempts[key, place] % SPARED
        limit = self.max_redeliveries
        if place != DEAD and (not requeue or 0 <= self.spent[key] <= tries or 0 < limit <= tries):
            self.send(DEAD, self.size[key], self.spent[key], key in self.kept)
        else:
            self.attempts[key, place] = tries + 1
            self.ready[place].add(key)
            self.late.add(key)

    def spare(self, subscription: Any, place: Any, key: int) -> None:
        """It comes back, and that does not count."""
        self.held[subscription].remove(key)
        self.attempts[key, place] = self.attempts[key, place] or SPARED
        self.ready[place].add(key)
        self.late.add(key)


class Verbs(RuleBasedStateMachine):
    recorder: Any
    store_class: Any

    @initialize(
        max_redeliveries=st.sampled_from([0, 0, 1, 2]), idle=st.sampled_from([0, 1, 10]), lag=st.just(1 << 20)
    )
    def begin(self, max_redeliveries: int, idle: int, lag: int) -> None:
        # What comes back is at its place at once, however often: nothing here waits for a time.
        base = Policy().changed(
            {"deadletter": DEAD, "max_redeliveries": max_redeliveries, "redelivery_delay": 0}
        )
        rules = Rules(deadletter=DEAD, idle_queues=idle, lag=lag, policies=Policies([], base))
        self.log = OpLog(recording=True)
        self.broker = Broker(rules, self.log)
        self.idle_limit = idle
        self.model = Model(max_redeliveries)
        self.consumers: list[Any] = []
        self.places: dict[Subscription, Any] = {}  # of all subscriptions there ever were
        self.store = self.store_class()
        self.subscribed = 0

    # What the broker tells

    def heard(self, subscription: Subscription, message: Message) -> None:
        model, place, key = self.model, self.places[subscription], message.number
        assert not subscription.closed
        if subscription.of_topic and subscription.mode == AUTO:
            assert model.fan.pop(0) == (subscription, key)
            return
        assert subscription.consumer in self.consumers
        assert self.was_ready[subscription.consumer], "delivered to a consumer that is not ready"
        self.was_ready[subscription.consumer] = subscription.consumer.ready
        ready = model.ready[place]
        assert key in ready
        assert all(earlier in model.late for earlier in ready if earlier < key), (key, ready, model.late)
        assert message.attempts == model.attempts[key, place]
        ready.remove(key)
        model.late.discard(key)
        if subscription.mode != AUTO:
            model.held[subscription].add(key)
            assert (
                not subscription.wish.prefetch or len(model.held[subscription]) <= subscription.wish.prefetch
            )

    def verb(self) -> None:
        """Forget what holds for one verb only."""
        self.model.late.clear()
        self.was_ready = {consumer: consumer.ready for consumer in self.consumers}

    def message(self, destination: str, size: int, exceptions: int, persistent: bool) -> Message:
        """A message that is about to be sent, for broker and model."""
        model = self.model
        if destination in QUEUES:
            model.send(destination, size, exceptions, persistent)
        else:
            model.number += 1
            self.expect_fan(destination, size, exceptions, persistent)
        return Message(destination, {}, b"", size, persistent=persistent, exceptions=exceptions)

    def expect_fan(self, destination: str, size: int, exceptions: int, persistent: bool) -> None:
        key = self.model.number
        here = [s for s in self.places if s.destination == destination and not s.closed]
        self.model.fan += [(s, key) for s in here if s.mode == AUTO]
        for subscription in here:
            if subscription.mode != AUTO:
                self.model.add(subscription, key, size, exceptions, persistent)

    # Verbs

    sizes = st.integers(1, 100)
    exceptions = st.sampled_from([-1, -1, -1, 0, 1, 2])
    destinations = st.sampled_from(QUEUES[:2] * 3 + QUEUES[2:] + TOPICS)

    @rule(destination=destinations, size=sizes, exceptions=exceptions, persistent=st.booleans())
    def send(self, destination: str, size: int, exceptions: int, persistent: bool) -> None:
        self.verb()
        number = self.broker.send(self.message(destination, size, exceptions, persistent))
        assert number == self.log.position

    @precondition(lambda self: len(self.consumers) < 4)
    @rule(ready=st.booleans())
    def connect(self, ready: bool) -> None:
        consumer = self.recorder(ready)
        consumer.heard = self.heard
        self.consumers.append(consumer)

    @precondition(lambda self: self.consumers)
    @rule(
        data=st.data(),
        destination=destinations,
        mode=st.sampled_from([AUTO, CLIENT, INDIVIDUAL, INDIVIDUAL]),
        prefetch=st.sampled_from([0, 1, 2, 3]),
    )
    def subscribe(self, data: st.DataObject, destination: str, mode: int, prefetch: int) -> None:
        self.verb()
        self.subscribed += 1
        consumer = data.draw(st.sampled_from(self.consumers))
        subscription = Subscription(consumer, Wish(str(self.subscribed), destination, mode, prefetch))
        self.places[subscription] = destination if destination in QUEUES else subscription
        self.model.held[subscription] = set()
        self.model.ready.setdefault(self.places[subscription], set())
        got = len(consumer.got)
        self.broker.subscribe(subscription)
        assert len(consumer.got) == got, "its backlog comes with start, after the receipt"
        consumer.subscriptions[subscription.id] = subscription
        self.broker.start(subscription)

    @precondition(lambda self: any(c.subscriptions for c in self.consumers))
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        self.verb()
        ids = [(c, id) for c in self.consumers for id in c.subscriptions]
        consumer, id = data.draw(st.sampled_from(ids))
        subscription = consumer.subscriptions.pop(id)
        self.end(subscription)
        self.broker.unsubscribe(subscription)

    def end(self, subscription: Subscription) -> None:
        if subscription.of_topic:
            self.model.ready[subscription] = set()

    @precondition(lambda self: any(c.deliveries for c in self.consumers))
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        self.verb()
        self.settle_by_ack(self.draw_delivery(data), self.broker.ack)

    def draw_delivery(self, data: st.DataObject) -> Any:
        names = [(c, name) for c in self.consumers for name in c.deliveries]
        consumer, name = data.draw(st.sampled_from(names))
        return consumer.deliveries.pop(name)

    def settle_by_ack(self, delivery: Any, ack: Any) -> None:
        self.model.held[delivery.subscription].remove(delivery.message.number)
        ack(delivery)

    @precondition(lambda self: any(c.deliveries for c in self.consumers))
    @rule(data=st.data(), requeue=st.sampled_from([True, True, False]), cumulative=st.booleans())
    def nack(self, data: st.DataObject, requeue: bool, cumulative: bool) -> None:
        """Of one delivery, or of all before it of the subscription too, in the order they were made."""
        self.verb()
        delivery = self.draw_delivery(data)
        subscription = delivery.subscription
        deliveries = [delivery]
        if cumulative:
            others = subscription.consumer.deliveries
            before = [name for name, other in others.items() if other.subscription is subscription]
            deliveries = [others.pop(name) for name in before] + deliveries
        for each in deliveries:
            self.give_back(each, requeue)
        # All are back before one is delivered again.
        self.model.late.clear()
        self.broker.nack(deliveries, requeue)

    def give_back(self, delivery: Any, requeue: bool) -> None:
        subscription = delivery.subscription
        if subscription.of_topic and subscription.closed:
            self.model.held[subscription].remove(delivery.message.number)
        else:
            self.model.back(subscription, self.places[subscription], delivery.message.number, requeue)

    @rule(data=st.data(), sends=st.lists(st.tuples(destinations, sizes), max_size=3), acks=st.integers(0, 3))
    def commit(self, data: st.DataObject, sends: list[tuple[str, int]], acks: int) -> None:
        self.verb()
        actions = []
        for _ in range(acks):
            if any(c.deliveries for c in self.consumers):
                kind = data.draw(st.sampled_from([ACK, NACK]))
                actions.append(Action(kind, None, self.draw_delivery(data), data.draw(st.booleans())))
        for destination, size in sends:
            actions.append(Action(SEND, Message(destination, {}, b"", size)))
        actions = data.draw(st.permutations(actions))
        for action in actions:
            if action.message is not None:
                self.message(action.message.destination, action.message.size, -1, True)
            elif action.kind == ACK:
                self.settle_by_ack(action.delivery, lambda delivery: None)
            else:
                self.give_back(action.delivery, action.requeue)
        self.broker.apply(actions)

    @precondition(lambda self: self.consumers)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.verb()
        consumer = data.draw(st.sampled_from(self.consumers))
        deliveries = list(consumer.deliveries.values())
        ended = list(consumer.subscriptions.values())
        self.consumers.remove(consumer)
        for subscription in ended:
            self.end(subscription)
        blamed = set()
        for delivery in deliveries:
            subscription = delivery.subscription
            place, key = self.places[subscription], delivery.message.number
            if subscription.of_topic:
                self.model.held[subscription].remove(key)
            elif subscription in blamed:
                self.model.spare(subscription, place, key)
            else:
                # The oldest of each subscription can have been in work.
                blamed.add(subscription)
                self.give_back(delivery, True)
        self.broker.drop(consumer)
        assert not consumer.ready
        assert not consumer.deliveries
        assert all(delivery.settled for delivery in deliveries)
        assert all(subscription.closed for subscription in ended)

    @precondition(lambda self: self.consumers)
    @rule(data=st.data(), room=st.sampled_from([None, None, 1, 2]))
    def resume(self, data: st.DataObject, room: int | None) -> None:
        consumer = data.draw(st.sampled_from(self.consumers))
        consumer.ready, consumer.room = True, room
        self.verb()
        self.broker.resume(consumer)

    @precondition(lambda self: self.consumers)
    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.consumers)).ready = False

    @rule()
    def drain(self) -> None:
        """The store has what is not consumed, in key order, with the attempts: as a restart would find it."""
        number, ops = self.log.drain()
        assert number == self.log.position
        self.store.commit(ops)
        held_back = sum(op.size for op in ops if op.kind == PUT)
        assert self.log.bytes == held_back
        self.log.committed(number, held_back)
        model = self.model
        for name, messages in self.store.queues.items():
            held = {k for s, keys in model.held.items() if self.places[s] == name for k in keys}
            there = (model.ready.get(name, set()) | held) & model.kept
            assert [key % (1 << 57) for key in messages] == sorted(there)
            assert {k % (1 << 57): self.store.attempts[k] for k in messages} == {
                k: model.attempts[k, name] for k in there
            }
        assert self.log.drain() == (number, [])

    # What must always hold

    @invariant()
    def places_agree(self) -> None:
        model = self.model
        assert not model.fan
        real: dict[Any, Any] = dict(self.broker.queues)
        real |= {s: s.queue for s in self.places if s.of_topic and s.mode != AUTO and not s.closed}
        for place, keys in model.ready.items():
            queue = real.get(place)
            if queue is None:
                assert not keys, f"{place} is gone with messages"
                continue
            ready = [m.number for m in queue.ready]
            returned = [m.number for _, m in queue.returned]
            assert ready == sorted(ready)
            assert set(ready) | set(returned) == keys
            assert len(ready) + len(returned) == len(keys) == queue.waiting
            held = [k for s, ks in model.held.items() if s.queue is queue for k in ks]
            assert len(held) == len(set(held)) == queue.unacked
            assert not keys & set(held)
            assert queue.bytes == sum(model.size[k] for k in [*keys, *held])
            assert queue.held == sum(model.size[k] for k in keys)
        for consumer in self.consumers:
            mine = sorted((d.subscription.id, d.message.number) for d in consumer.deliveries.values())
            assert mine == sorted(
                (s.id, k) for s, ks in model.held.items() if s.consumer is consumer for k in ks
            )

    @invariant()
    def memory_is_the_sum(self) -> None:
        model = self.model
        ready = sum(model.size[k] for keys in model.ready.values() for k in keys)
        held = sum(model.size[k] for keys in model.held.values() for k in keys)
        deliveries = sum(len(keys) for keys in model.held.values())
        assert self.broker.memory.used == ready + held + DELIVERY * deliveries

    @invariant()
    def credit_is_kept(self) -> None:
        for subscription, keys in self.model.held.items():
            whole = subscription.wish.prefetch if subscription.mode != AUTO else 0
            assert subscription.credit >= 0
            assert subscription.credit + len(keys) == (whole or UNLIMITED)

    @invariant()
    def nothing_waits_that_could_go(self) -> None:
        for subscription, place in self.places.items():
            able = subscription.consumer.ready and subscription.credit > 0 and not subscription.closed
            if able and not (subscription.of_topic and subscription.mode == AUTO):
                assert not self.model.ready[place], f"{place} has messages for {subscription.id}"

    @invariant()
    def idle_queues_are_known(self) -> None:
        broker, model = self.broker, self.model
        for name, queue in broker.queues.items():
            listening = any(s.destination == name and not s.closed for s in self.places)
            held = any(ks for s, ks in model.held.items() if self.places[s] == name)
            assert queue.idle is not (listening or held or bool(model.ready.get(name)))
        assert set(broker.idle.queues) == {name for name, queue in broker.queues.items() if queue.idle}
        assert len(broker.idle.queues) <= self.idle_limit
        assert set(broker.topics) == {s.destination for s in self.places if s.of_topic and not s.closed}

    @invariant()
    def statistics_add_up(self) -> None:
        broker = self.broker
        assert broker.enqueued == self.model.number
        for queue in broker.queues.values():
            row = fields.row(fields.QUEUE, queue)
            assert int(row["enqueued"]) - int(row["dequeued"]) == int(row["waiting"]) + int(row["unacked"])
            if self.idle_limit == 10:
                assert row["enqueued"] == self.model.enqueued.get(queue.name, 0)


def test_random_verbs(new_consumer: Any, new_store: Any) -> None:
    Verbs.recorder, Verbs.store_class = new_consumer, new_store
    run_state_machine_as_test(Verbs)
