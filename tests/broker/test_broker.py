"""What the model leaves open: whose turn it is, and what is all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import ACK, NACK, SEND, Action, Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.destination import MONITOR, QUEUE, TOPIC, Naming
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies, Policy, Value
from stompserver.broker.oplog import DROP, FOREVER, Debtor, OpLog
from stompserver.broker.queues.window import SCARCE, Window
from stompserver.broker.subscription import AUTO, CLIENT, DELIVERY, INDIVIDUAL, Subscription, Wish
from stompserver.errors import Refused


def message(destination: str, body: bytes = b"", size: int = 10, exceptions: int = -1) -> Message:
    return Message(destination, {}, body, size, exceptions=exceptions)


def subscribe(
    broker: Broker, consumer: Any, destination: str, mode: int = AUTO, prefetch: int = 0, id: str = "s"
) -> Subscription:
    subscription = Subscription(consumer, Wish(id, destination, mode, prefetch))
    broker.subscribe(subscription)
    consumer.subscriptions[id] = subscription
    broker.start(subscription)
    return subscription


def send(broker: Broker, destination: str, *bodies: bytes) -> None:
    for body in bodies:
        broker.send(message(destination, body))


@pytest.fixture
def broker() -> Broker:
    return Broker(Rules(deadletter="/queue/dead"), OpLog())


# Whose turn


@pytest.mark.parametrize("mode", [AUTO, CLIENT, INDIVIDUAL])
def test_round_robin(broker: Broker, new_consumer: Any, mode: int) -> None:
    consumers = [new_consumer() for _ in range(3)]
    for consumer in consumers:
        subscribe(broker, consumer, "/queue/q", mode)
    send(broker, "/queue/q", *(b"%d" % i for i in range(9)))
    assert [c.bodies() for c in consumers] == [[b"0", b"3", b"6"], [b"1", b"4", b"7"], [b"2", b"5", b"8"]]


def test_a_backlog_is_shared_too(broker: Broker, new_consumer: Any) -> None:
    send(broker, "/queue/q", *(b"%d" % i for i in range(9)))
    consumers = [new_consumer() for _ in range(3)]
    for consumer in consumers:
        subscribe(broker, consumer, "/queue/q", INDIVIDUAL, 3)
    assert [len(c.got) for c in consumers] == [3, 3, 3]


def test_who_is_not_ready_is_passed_over_and_then_has_turns_again(broker: Broker, new_consumer: Any) -> None:
    consumers = [new_consumer() for _ in range(3)]
    for consumer in consumers:
        subscribe(broker, consumer, "/queue/q")
    consumers[1].ready = False
    send(broker, "/queue/q", *(b"%d" % i for i in range(6)))
    assert [len(c.got) for c in consumers] == [3, 0, 3]
    consumers[1].ready = True
    broker.resume(consumers[1])
    send(broker, "/queue/q", *(b"%d" % i for i in range(6)))
    assert [len(c.got) for c in consumers] == [5, 2, 5]


def test_credit_is_shared_by_those_who_have_it(broker: Broker, new_consumer: Any) -> None:
    slow, fast = new_consumer(), new_consumer()
    subscribe(broker, slow, "/queue/q", INDIVIDUAL, 1)
    subscribe(broker, fast, "/queue/q", INDIVIDUAL, 5)
    send(broker, "/queue/q", *(b"%d" % i for i in range(9)))
    assert (len(slow.got), len(fast.got)) == (1, 5)
    broker.ack(slow.take(1))
    assert slow.bodies() == [b"0", b"6"]


def test_nobody_loses_a_turn_when_another_leaves(broker: Broker, new_consumer: Any) -> None:
    consumers = [new_consumer() for _ in range(4)]
    subscriptions = [subscribe(broker, consumer, "/queue/q") for consumer in consumers]
    send(broker, "/queue/q", b"0", b"1")
    broker.unsubscribe(subscriptions[0])
    send(broker, "/queue/q", b"2", b"3", b"4")
    assert [c.bodies() for c in consumers] == [[b"0"], [b"1", b"4"], [b"2"], [b"3"]]


def test_a_consumer_that_fills_up_while_its_backlog_comes(broker: Broker, new_consumer: Any) -> None:
    """Two queues share its room; nothing is lost or doubled when it resumes again and again."""
    for name in ("/queue/a", "/queue/b"):
        send(broker, name, *(b"%d" % i for i in range(5)))
    consumer = new_consumer(ready=False)
    subscribe(broker, consumer, "/queue/a", id="a")
    subscribe(broker, consumer, "/queue/b", INDIVIDUAL, 0, id="b")
    for turn in range(1, 6):
        consumer.room, consumer.ready = 2, True
        broker.resume(consumer)
        assert len(consumer.got) == 2 * turn
    assert sorted(consumer.bodies()) == sorted(b"%d" % i for i in [*range(5), *range(5)])


# Topics


def test_fan_out_is_in_the_order_of_subscribing(broker: Broker, new_consumer: Any) -> None:
    order: list[str] = []
    for name in "abc":
        consumer = new_consumer()
        consumer.heard = lambda subscription, _: order.append(subscription.id)
        subscribe(broker, consumer, "/topic/t", id=name)
    send(broker, "/topic/t", b"1", b"2")
    assert order == list("abcabc")


def test_a_topic_gives_each_subscription_the_same_message(broker: Broker, new_consumer: Any) -> None:
    """Also two of one consumer, and those that acknowledge; the body is one object."""
    body = b"x" * 1000
    one, other = new_consumer(), new_consumer()
    for id, mode in (("a", AUTO), ("b", AUTO), ("c", INDIVIDUAL), ("d", CLIENT)):
        subscribe(broker, one, "/topic/t", mode, id=id)
    subscribe(broker, other, "/topic/t", INDIVIDUAL)
    broker.send(message("/topic/t", body))
    got = one.got + other.got
    assert len(got) == 5
    assert len({m.number for _, m in got}) == 1
    assert all(m.body is body for _, m in got)


def test_a_topic_keeps_nothing_for_who_comes_later(broker: Broker, new_consumer: Any) -> None:
    send(broker, "/topic/t", b"1")
    consumer = new_consumer()
    subscription = subscribe(broker, consumer, "/topic/t")
    assert consumer.got == []
    assert broker.listened("/topic/t")
    broker.unsubscribe(subscription)
    send(broker, "/topic/t", b"2")
    assert consumer.got == []
    assert not broker.listened("/topic/t")
    assert broker.memory.used == 0


def test_a_subscriber_that_does_not_acknowledge_is_told_of_its_lag(new_consumer: Any) -> None:
    broker = Broker(Rules(lag=100), OpLog())
    slow, fast = new_consumer(), new_consumer()
    subscription = subscribe(broker, slow, "/topic/t", INDIVIDUAL, 2)
    subscribe(broker, fast, "/topic/t")
    sent = 0
    while not slow.lagging:
        send(broker, "/topic/t", b"x")
        sent += 1
        assert sent < 100
    assert slow.lagging == [subscription]
    assert sent == 12  # a newest message, of any size, is no lag
    assert len(fast.got) == 12
    broker.drop(slow)
    assert broker.memory.used == 0


def test_new_rules_hold_for_topics_that_exist(new_consumer: Any) -> None:
    broker = Broker(Rules(lag=1000, memory_limit=1000), OpLog())
    consumer = new_consumer()
    subscribe(broker, consumer, "/topic/t", INDIVIDUAL, 1)
    broker.adjust(Rules(lag=10, memory_limit=500, bare="queue"))
    send(broker, "/topic/t", b"1", b"2", b"3")
    assert len(consumer.lagging) == 1
    assert (broker.memory.limit, broker.memory.high, broker.memory.low) == (500, 400, 350)
    send(broker, "bare", b"3")
    assert "bare" in broker.queues


def test_what_came_back_ends_with_its_subscription(broker: Broker, new_consumer: Any) -> None:
    """Whether it was given back before or after."""
    consumer = new_consumer()
    subscription = subscribe(broker, consumer, "/topic/t", INDIVIDUAL, 2)
    send(broker, "/topic/t", b"1", b"2", b"3")
    consumer.ready = False
    broker.nack([consumer.take(1)])
    del consumer.subscriptions["s"]
    broker.unsubscribe(subscription)
    assert broker.memory.used == 10 + DELIVERY
    broker.nack([consumer.take(2)], False)
    assert broker.memory.used == 0
    assert "/queue/dead" not in broker.queues


# Coming back


def test_a_message_comes_back_to_its_old_place(broker: Broker, new_consumer: Any) -> None:
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL, 3)
    send(broker, "/queue/q", *(b"%d" % i for i in range(1, 6)))
    consumer.ready = False
    broker.nack([consumer.take(3), consumer.take(1)])
    broker.ack(consumer.take(2))
    consumer.ready = True
    broker.resume(consumer)
    assert consumer.bodies() == [b"1", b"2", b"3", b"1", b"3", b"4"]
    assert [m.attempts for _, m in consumer.got] == [1, 0, 1, 1, 1, 0]


@pytest.mark.parametrize("exceptions", [0, 1, 3])
def test_max_exceptions(broker: Broker, new_consumer: Any, exceptions: int) -> None:
    """Delivered N + 1 times, as in the original; then it is the newest in the dead letter queue."""
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    broker.send(message("/queue/q", b"x", exceptions=exceptions))
    for _ in range(exceptions + 1):
        broker.nack([consumer.take(1)])
    assert consumer.bodies() == [b"x"] * (exceptions + 1)
    (dead,) = broker.queues["/queue/dead"].ready
    assert (dead.body, dead.destination, dead.attempts, dead.number) == (b"x", "/queue/dead", 0, 2)


@pytest.mark.parametrize("limit", [1, 2])
def test_max_redeliveries_counts_lost_connections_too(new_consumer: Any, limit: int) -> None:
    broker = Broker(Rules(deadletter="/queue/dead", max_redeliveries=limit), OpLog())
    send(broker, "/queue/q", b"x")
    for _ in range(limit + 1):
        assert "/queue/dead" not in broker.queues
        consumer = new_consumer()
        subscribe(broker, consumer, "/queue/q", CLIENT, 1)
        assert consumer.bodies() == [b"x"]
        broker.drop(consumer)
    assert broker.queues["/queue/dead"].waiting == 1


def test_the_dead_letter_queue_keeps_what_it_has(broker: Broker, new_consumer: Any) -> None:
    """There is nowhere else to go: neither max-exceptions nor requeue:false lead out of it."""
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/dead", INDIVIDUAL)
    broker.send(message("/queue/dead", b"x", exceptions=0))
    for _ in range(3):
        broker.nack([consumer.take(1)], False)
    assert consumer.bodies() == [b"x"] * 4


def test_the_dead_letter_queue_is_not_bound_by_max_queues(new_consumer: Any) -> None:
    broker = Broker(Rules(deadletter="/queue/dead", max_queues=1), OpLog())
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"x")
    broker.nack([consumer.take(1)], False)
    assert broker.queues["/queue/dead"].waiting == 1


# All or nothing


def test_a_commit_that_is_refused_does_nothing(new_consumer: Any) -> None:
    """Here the one queue that is unused comes back to life first, and leaves no room for the other."""
    broker = Broker(Rules(max_queues=2), OpLog())
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"x")
    other = subscribe(broker, consumer, "/queue/idle", id="other")
    broker.unsubscribe(other)
    assert list(broker.idle.queues) == ["/queue/idle"]
    actions = [
        Action(ACK, None, consumer.take(1)),
        Action(SEND, message("/queue/idle")),
        Action(SEND, message("/queue/new")),
    ]
    with pytest.raises(Refused, match="Too many queues"):
        broker.apply(actions)
    assert list(broker.idle.queues) == ["/queue/idle"]
    assert set(broker.queues) == {"/queue/q", "/queue/idle"}
    assert broker.queues["/queue/q"].unacked == 1
    assert broker.enqueued == 1


def test_a_commit_to_a_name_that_may_not_be(new_consumer: Any) -> None:
    broker = Broker(Rules(bare="error"), OpLog())
    with pytest.raises(Refused, match="neither a queue nor a topic"):
        broker.apply([Action(SEND, message("/queue/q")), Action(SEND, message("bare"))])
    assert broker.queues == {}


def test_a_commit_that_just_fits(new_consumer: Any) -> None:
    """An idle queue that is to be used again is not forgotten in the middle of it, nor does the dead letter queue
    take the last place.
    """
    broker = Broker(Rules(deadletter="/queue/dead", max_queues=3, idle_queues=1), OpLog())
    consumer = new_consumer()
    for name in ("/queue/idle", "/queue/gone"):
        subscription = subscribe(broker, consumer, name)
        if name == "/queue/idle":
            broker.unsubscribe(subscription)
    gone = consumer.subscriptions.pop("s")
    busy = subscribe(broker, consumer, "/queue/busy", INDIVIDUAL)
    send(broker, "/queue/busy", b"1", b"2")
    broker.unsubscribe(busy)
    broker.unsubscribe(gone)
    assert list(broker.idle.queues) == ["/queue/gone"]
    broker.apply(
        [
            Action(NACK, None, consumer.take(1), False),
            Action(ACK, None, consumer.take(2)),
            Action(SEND, message("/queue/gone", b"3")),
            Action(SEND, message("/queue/new", b"4")),
        ]
    )
    assert {name: queue.waiting for name, queue in broker.queues.items() if not queue.idle} == {
        "/queue/dead": 1,
        "/queue/gone": 1,
        "/queue/new": 1,
    }


# A storage that is full


def test_a_full_storage_refuses_what_is_to_be_kept() -> None:
    """And leaves no queue behind for it; what is not to be kept, and topics, go on."""
    broker = Broker(Rules(), OpLog(recording=True))
    send(broker, "/queue/old", b"1")
    broker.room = 9
    for name in ("/queue/old", "/queue/new"):
        with pytest.raises(Refused, match="storage is full"):
            send(broker, name, b"2")
        with pytest.raises(Refused, match="storage is full"):
            broker.apply([Action(SEND, message(name, size=5)), Action(SEND, message(name, size=5))])
    assert set(broker.queues) == {"/queue/old"}
    assert broker.enqueued == 1
    send(broker, "/topic/t", b"3")
    broker.send(message("/queue/new", size=9))
    broker.send(Message("/queue/old", {}, b"", 1000, persistent=False))
    assert {name: queue.waiting for name, queue in broker.queues.items()} == {
        "/queue/old": 2,
        "/queue/new": 1,
    }


def test_a_full_storage_is_no_reason_not_to_consume(new_consumer: Any) -> None:
    broker = Broker(Rules(deadletter="/queue/dead"), OpLog(recording=True))
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"1", b"2", b"3")
    broker.room = 0
    broker.ack(consumer.take(1))
    broker.nack([consumer.take(2)], False)
    broker.apply([Action(NACK, None, consumer.take(3))])
    assert consumer.bodies() == [b"1", b"2", b"3", b"3"]
    assert broker.queues["/queue/dead"].waiting == 1


def test_what_an_earlier_run_left(new_consumer: Any) -> None:
    """Counts, and numbers above those that were given."""
    broker = Broker(Rules(), OpLog(recording=True), first=10, window=Window())
    broker.restore("/queue/q", 3, 5, 77)
    queue = broker.queues["/queue/q"]
    assert (queue.waiting, queue.enqueued, queue.dequeued, queue.unacked) == (3, 3, 0, 0)
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q")
    assert consumer.got == []
    assert broker.window is not None
    assert broker.window.take_asking() == [broker.queues["/queue/q"]]
    assert broker.window.take_asking() == []
    send(broker, "/queue/q", b"new")
    assert broker.number == 78
    assert broker.queues["/queue/q"].paged == 4


# Queues that nobody uses


def test_the_longest_unused_queue_is_forgotten(new_consumer: Any) -> None:
    broker = Broker(Rules(idle_queues=2), OpLog())
    consumer = new_consumer()
    subscriptions = {
        name: subscribe(broker, consumer, name, id=name) for name in ("/queue/a", "/queue/b", "/queue/c")
    }
    for name in ("/queue/b", "/queue/a"):
        broker.unsubscribe(subscriptions[name])
    assert list(broker.idle.queues) == ["/queue/b", "/queue/a"]
    send(broker, "/queue/b", b"used again")
    broker.unsubscribe(subscriptions["/queue/c"])
    assert list(broker.idle.queues) == ["/queue/a", "/queue/c"]
    broker.unsubscribe(subscribe(broker, consumer, "/queue/b"))
    assert list(broker.idle.queues) == ["/queue/c", "/queue/b"]
    assert set(broker.queues) == {"/queue/c", "/queue/b"}


def test_max_queues(new_consumer: Any) -> None:
    broker = Broker(Rules(max_queues=2, idle_queues=5), OpLog())
    send(broker, "/queue/a", b"1")
    send(broker, "/queue/b", b"1")
    with pytest.raises(Refused, match="Too many queues"):
        send(broker, "/queue/c", b"1")
    with pytest.raises(Refused, match="Too many queues"):
        subscribe(broker, new_consumer(), "/queue/c")
    send(broker, "/topic/t", b"1")
    broker.unsubscribe(subscribe(broker, new_consumer(), "/queue/a"))
    send(broker, "/queue/c", b"1")
    assert set(broker.queues) == {"/queue/a", "/queue/b", "/queue/c"}


# Names


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("/queue/a", (QUEUE, QUEUE, QUEUE)),
        ("/queue", (QUEUE, QUEUE, QUEUE)),
        ("/queueing", (QUEUE, QUEUE, QUEUE)),
        ("/topic/a", (TOPIC, TOPIC, TOPIC)),
        (MONITOR, (TOPIC, TOPIC, TOPIC)),
        (MONITOR + "s", (QUEUE, QUEUE, QUEUE)),
        ("a", (TOPIC, QUEUE, None)),
        ("queue/a", (TOPIC, QUEUE, None)),
        ("/Queue/a", (TOPIC, QUEUE, None)),
        (" /queue/a", (TOPIC, QUEUE, None)),
    ],
)
def test_names(name: str, kinds: tuple[int | None, ...]) -> None:
    for bare, kind in zip(("topic", "queue", "error"), kinds, strict=True):
        naming = Naming(bare)
        if kind is not None:
            assert naming.kind(name) == kind
        else:
            with pytest.raises(Refused, match="neither a queue nor a topic"):
                naming.kind(name)


# The log


def test_a_log_that_does_not_record_is_durable_at_once(broker: Broker) -> None:
    send(broker, "/queue/q", b"1")
    assert broker.log.durable == FOREVER > broker.log.position > 0
    assert broker.log.drain() == (broker.log.position, [])


def test_the_ops_of_a_transaction_belong_together(new_consumer: Any) -> None:
    broker = Broker(Rules(), OpLog(recording=True))
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"1", b"2")
    broker.log.drain()
    groups = []
    for actions in (
        [
            Action(ACK, None, consumer.take(1)),
            Action(SEND, message("/queue/a")),
            Action(SEND, message("/queue/b")),
        ],
        [Action(NACK, None, consumer.take(2)), Action(SEND, message("/queue/a"))],
    ):
        send(broker, "/queue/c", b"alone")
        broker.apply(actions)
        ops = broker.log.drain()[1]
        assert len(ops) == 1 + len(actions)
        assert ops[0].group == 0
        (group,) = {op.group for op in ops[1:]}
        groups.append(group)
    assert 0 < groups[0] < groups[1]


class Waiting(Debtor):
    def __init__(self, heard: list[int]) -> None:
        self.heard = heard

    def durable(self, position: int) -> None:
        self.heard.append(position)


def test_who_owes_a_word_hears_of_the_watermark() -> None:
    """Once, and only who asked to."""
    log = OpLog(recording=True)
    heard: list[int] = []
    log.debtors.append(Waiting(heard))
    log.committed(5, 0)
    log.committed(6, 0)
    assert heard == [5]
    assert log.durable == 6


def test_all_of_a_queue_at_once() -> None:
    log = OpLog(recording=True)
    assert log.drop("/queue/q") == 1
    assert [(op.kind, op.queue) for op in log.drain()[1]] == [(DROP, "/queue/q")]
    assert OpLog().drop("/queue/q") == 1


def test_what_comes_and_goes_between_two_commits_is_not_written(new_consumer: Any) -> None:
    broker = Broker(Rules(), OpLog(recording=True))
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL, 1)
    send(broker, "/queue/q", b"1", b"2")
    broker.nack([consumer.take(1)])
    broker.ack(consumer.take(1))
    number, ops = broker.log.drain()
    assert [op.key % (1 << 57) for op in ops] == [2]
    broker.ack(consumer.take(2))
    later, ops = broker.log.drain()
    assert [op.key % (1 << 57) for op in ops] == [2]
    assert later > number


# Windows


def test_windows_are_small_while_memory_is_scarce() -> None:
    window = Window(1000)
    window.adapt(True)
    assert window.count == SCARCE
    window.adapt(False)
    assert window.count == 1000
    small = Window(3)
    small.adapt(True)
    assert small.count == 3


def test_dead_letters_of_a_transaction_do_not_break_it(new_consumer: Any) -> None:
    given: list[tuple[Pattern, dict[str, Value]]] = [(Pattern("/queue/dead"), {"max_messages": 1})]
    policies = Policies(given, Policy().changed({"deadletter": "/queue/dead"}))
    broker = Broker(Rules(deadletter="/queue/dead", policies=policies), OpLog())
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"bad")
    (delivery,) = consumer.deliveries.values()
    broker.apply([Action(NACK, None, delivery, requeue=False), Action(SEND, message("/queue/dead", b"new"))])
    assert broker.queues["/queue/dead"].waiting == 2
    with pytest.raises(Refused):
        send(broker, "/queue/dead", b"more")


def test_limits_of_a_dead_letter_queue_hold_for_what_comes_there(new_consumer: Any) -> None:
    given: list[tuple[Pattern, dict[str, Value]]] = [
        (Pattern("/queue/dead"), {"max_messages": 2, "overflow": "drop-head", "ttl": 50})
    ]
    policies = Policies(given, Policy().changed({"deadletter": "/queue/dead"}))
    broker = Broker(Rules(deadletter="/queue/dead", policies=policies), OpLog())
    consumer = new_consumer()
    subscribe(broker, consumer, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", b"1", b"2", b"3")
    broker.nack(list(consumer.deliveries.values()), requeue=False)
    assert [each.body for each in broker.queues["/queue/dead"].standing()] == [b"2", b"3"]
    broker.tick(broker.now + 51)
    assert broker.queues["/queue/dead"].waiting == 0
