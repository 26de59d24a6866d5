"""A queue of which only a window is in memory behaves as one that is in memory whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.policy import Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.queue import Queue
from stompserver.broker.queues.window import Window
from stompserver.broker.subscription import AUTO, DELIVERY, INDIVIDUAL, Subscription, Wish

SIZE = 10


class Pump:
    """A queue with a window, the store behind it, and what carries messages between them."""

    def __init__(self, consumer: Any, store: Any, window: Window | None, mode: int, prefetch: int) -> None:
        self.consumer, self.store, self.window = consumer, store, window
        self.log = OpLog(recording=True)
        broker = Broker(Rules(), self.log, window=window)
        self.memory = broker.memory
        # What comes back is at its place at once, however often: nothing here waits for a time.
        self.queue = Queue("/queue/q", broker.shared, Policy().changed({"redelivery_delay": 0}))
        self.subscription = Subscription(consumer, Wish("s", "/queue/q", mode, prefetch))
        self.queue.add(self.subscription)
        self.sent = 0

    def do(self, verb: str, choice: int) -> None:
        """One verb; ``choice`` says which delivery, where there are several."""
        if verb == "send":
            self.sent += 1
            message = Message("/queue/q", {}, b"%d" % self.sent, SIZE)
            message.key = message.number = self.sent
            self.queue.send(message)
        elif verb == "ready":
            self.consumer.ready = True
            self.queue.offer(self.subscription)
            self.queue.dispatch()
        elif verb == "full":
            self.consumer.ready = False
        elif self.consumer.deliveries:
            keys = sorted(d.message.key for d in self.consumer.deliveries.values())
            delivery = self.consumer.take(keys[choice % len(keys)])
            if verb == "ack":
                self.queue.settle(delivery)
            else:
                self.queue.put_back(delivery)
            self.queue.dispatch()

    def serve(self) -> bool:
        """Commit, then read for the window when it wants more; whether it did."""
        ops = self.log.drain()[1]
        self.store.commit(ops)
        self.memory.used -= sum(op.size for op in ops if op.paged)
        asking = self.window.take_asking() if self.window else []
        for queue in asking:
            count, room = queue.room()
            messages = self.store.read("/queue/q", queue.after(), min(count, max(1, room // SIZE)))
            queue.load(messages, messages[-1].key if messages else queue.after(), [])
        return bool(asking)

    def check(self) -> None:
        queue = self.queue
        in_memory = [m.key for m in queue.ready] + [key for key, _ in queue.returned]
        held = [d.message.key for d in self.consumer.deliveries.values()]
        assert queue.waiting == len(in_memory) + queue.paged
        assert queue.bytes == SIZE * (len(in_memory) + len(held))
        waiting = sum(op.size for op in self.log._ops if op.paged)
        taken = queue.bytes + DELIVERY * len(held)
        assert self.memory.used == taken + waiting, "what is paged counts until the commit"
        if self.window:
            assert len(queue.ready) <= self.window.count
            assert SIZE * len(queue.ready) <= self.window.bytes
        assert [m.key for m in queue.ready] == sorted(m.key for m in queue.ready)
        assert max([*in_memory, *held], default=0) <= max(queue.tail, 0)
        assert queue.enqueued + queue.passed == self.sent


VERBS = st.lists(
    st.tuples(
        st.sampled_from(["send"] * 5 + ["ack"] * 4 + ["nack", "full", "ready", "ready"]), st.integers(0, 9)
    ),
    max_size=80,
)


WINDOWS = st.tuples(st.integers(1, 6), st.integers(1, 8).map(lambda count: count * SIZE))


@given(VERBS, WINDOWS, st.integers(1, 4))
def test_the_same_order_when_the_store_answers_at_once(
    new_consumer: Any, new_store: Any, verbs: list[tuple[str, int]], window: tuple[int, int], prefetch: int
) -> None:
    whole = Pump(new_consumer(), new_store(), None, INDIVIDUAL, prefetch)
    paged = Pump(new_consumer(), new_store(), Window(*window), INDIVIDUAL, prefetch)
    for verb, choice in verbs:
        for pump in (whole, paged):
            pump.do(verb, choice)
        while paged.serve():
            pass
        paged.check()
        assert paged.consumer.bodies() == whole.consumer.bodies()
        assert paged.queue.waiting == whole.queue.waiting
        assert paged.queue.unacked == whole.queue.unacked
    assert whole.queue.paged == 0


@given(VERBS, WINDOWS, st.integers(1, 4), st.sampled_from([AUTO, INDIVIDUAL]), st.data())
def test_complete_and_in_order_when_the_store_is_late(
    new_consumer: Any,
    new_store: Any,
    verbs: list[tuple[str, int]],
    window: tuple[int, int],
    prefetch: int,
    mode: int,
    data: st.DataObject,
) -> None:
    pump = Pump(new_consumer(), new_store(), Window(*window), mode, prefetch)
    for verb, choice in verbs:
        pump.do(verb, choice)
        if data.draw(st.booleans()):
            pump.serve()
        pump.check()
    pump.do("ready", 0)
    for _ in range(4 * pump.sent + 4):
        pump.serve()
        if pump.consumer.deliveries:
            pump.do("ack", 0)
    pump.check()
    firsts = list(dict.fromkeys(pump.consumer.bodies()))
    assert firsts == [b"%d" % number for number in range(1, pump.sent + 1)]
    assert pump.queue.waiting == pump.queue.unacked == pump.memory.used == 0
    pump.store.commit(pump.log.drain()[1])
    assert pump.store.queues.get("/queue/q", {}) == {}


def test_a_backlog_stays_on_disk(new_consumer: Any, new_store: Any) -> None:
    """Memory holds a window of a large backlog, whatever its length, also while it is read."""
    pump = Pump(new_consumer(ready=False), new_store(), Window(100), INDIVIDUAL, 10)
    for _ in range(5000):
        pump.do("send", 0)
    assert pump.queue.paged == 4900
    pump.serve()
    assert pump.memory.used == 100 * SIZE
    pump.do("ready", 0)
    most = 0
    while pump.consumer.deliveries:
        pump.do("ack", 0)
        pump.serve()
        most = max(most, pump.memory.used)
    assert len(pump.consumer.got) == 5000
    assert most <= (100 + 10) * SIZE + 10 * DELIVERY


@pytest.mark.parametrize("persistent", [True, False])
def test_what_is_paged_is_logged_even_if_it_asked_not_to_be_kept(new_consumer: Any, persistent: bool) -> None:
    """Nothing else has it."""
    log = OpLog(recording=True)
    queue = Queue("/queue/q", Broker(Rules(), log, window=Window(1)).shared, Policy())
    for number in (1, 2):
        message = Message("/queue/q", {}, b"", SIZE, persistent=persistent)
        message.key = number
        queue.send(message)
    assert [op.key for op in log.drain()[1]] == ([1, 2] if persistent else [2])


def test_a_restart_reads_counts_not_messages(new_consumer: Any, new_store: Any) -> None:
    """What a store holds is delivered in key order, and new messages come after it."""
    store = new_store()
    before = Pump(new_consumer(ready=False), store, None, AUTO, 0)
    for _ in range(20):
        before.do("send", 0)
    before.serve()
    after = Pump(new_consumer(ready=False), store, Window(3), INDIVIDUAL, 2)
    after.queue.restore(20, 1, 20, 20 * SIZE)
    after.sent = 20
    assert after.memory.used == 0
    after.do("send", 0)
    after.do("ready", 0)
    for _ in range(60):
        after.serve()
        after.check()
        after.do("ack", 0)
    assert after.consumer.bodies() == [b"%d" % number for number in range(1, 22)]
    assert after.queue.waiting == after.queue.unacked == 0


def test_what_cannot_be_read_is_counted_no_more(new_consumer: Any, new_store: Any) -> None:
    pump = Pump(new_consumer(ready=False), new_store(), Window(2), INDIVIDUAL, 10)
    for _ in range(6):
        pump.do("send", 0)
    pump.do("ready", 0)
    pump.store.commit(pump.log.drain()[1])
    (queue,) = pump.window.take_asking()
    queue.load([pump.store.queues["/queue/q"][4]], 5, [3, 5])
    while pump.serve():
        pass
    assert pump.consumer.bodies() == [b"1", b"2", b"4", b"6"]
    assert queue.paged == queue.waiting == 0
