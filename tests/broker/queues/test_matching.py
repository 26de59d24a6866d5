"""Priorities, selectors, groups, delays and expiry, with the queue in memory and paged: against what must hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.policy import Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues import matching
from stompserver.broker.queues.queue import Queue
from stompserver.broker.queues.window import Window
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish

SIZE = 10
LANES = 1 << 57


class World:
    """A queue, the store behind it, and its subscriptions; ``window`` is how many messages are in memory (0: all)."""

    def __init__(self, new_consumer: Any, store: Any, window: int, policy: Policy | None = None) -> None:
        self.new_consumer = new_consumer
        self.store = store
        self.window = Window(window) if window else None
        self.log = OpLog(recording=True)
        broker = Broker(Rules(), self.log, window=self.window)
        self.clock, self.deadlines, self.memory = broker.clock, broker.deadlines, broker.memory
        self.clock.now = 1000
        self.size = SIZE
        self.queue = Queue("/queue/q", broker.shared, policy or Policy())
        self.sent: dict[int, Message] = {}
        self.heard: list[int] = []
        """Numbers of all deliveries, in order."""
        self.subscriptions: list[Subscription] = []

    def subscribe(
        self,
        selector: str = "",
        mode: int = INDIVIDUAL,
        prefetch: int = 2,
        priority: int = 0,
        exclusive: bool = False,
    ) -> Subscription:
        wish = Wish(
            str(len(self.subscriptions)),
            "/queue/q",
            mode,
            prefetch,
            selector=compile_selector(selector) if selector else None,
            priority=priority,
            exclusive=exclusive,
        )
        subscription = Subscription(self.new_consumer(), wish)
        subscription.consumer.heard = self.hear
        self.subscriptions.append(subscription)
        self.queue.add(subscription)
        self.queue.dispatch()
        return subscription

    def hear(self, subscription: Subscription, message: Message) -> None:
        self.heard.append(message.number)

    def send(
        self,
        colour: str = "",
        priority: int = 4,
        group: str = "",
        ttl: int = 0,
        persistent: bool = True,
        close: bool = False,
    ) -> int:
        number = len(self.sent) + 1
        message = Message(
            "/queue/q", {"colour": colour} if colour else {}, b"%d" % number, self.size, persistent=persistent
        )
        message.number = number
        message.key = number | (9 - priority) * LANES
        message.priority = priority
        message.group = group
        if close:
            message.extras = {"group-close": "1"}
        if ttl:
            message.expires = self.clock.now + ttl
        self.sent[number] = message
        self.queue.send(message)
        return number

    def deliveries(self, subscription: Subscription) -> list[Any]:
        return sorted(subscription.consumer.deliveries.values(), key=lambda each: each.message.key)

    def ack(self, subscription: Subscription, choice: int = 0) -> None:
        there = self.deliveries(subscription)
        if there:
            delivery = subscription.consumer.take(there[choice % len(there)].message.number)
            self.queue.settle(delivery)
            self.queue.dispatch(subscription)

    def nack(self, subscription: Subscription, choice: int = 0, delay: int = 0) -> None:
        there = self.deliveries(subscription)
        if there:
            delivery = subscription.consumer.take(there[choice % len(there)].message.number)
            self.queue.put_back(delivery, delay)
            self.queue.dispatch()

    def leave(self, subscription: Subscription) -> None:
        """Its connection ends."""
        self.queue.discard(subscription)
        for delivery in self.deliveries(subscription):
            self.queue.put_back(delivery)
        subscription.consumer.deliveries.clear()
        self.queue.dispatch()

    def serve(self) -> bool:
        """Commit, then read what is wanted; whether something was."""
        number, ops = self.log.drain()
        self.store.commit(ops)
        self.memory.used -= sum(op.size for op in ops if op.paged)
        self.log.committed(number, 0)
        readers = self.window.take_asking() if self.window else []
        for reader in readers:
            count, room = reader.room()
            found = self.store.read("/queue/q", reader.after(), min(count, max(1, room // SIZE)))
            if found:
                reader.load([copy(each) for each in found], found[-1].key, [])
            else:
                reader.all_read()
        return bool(readers)

    def settle_all(self) -> None:
        for _ in range(10_000):
            if not self.serve():
                return
        raise AssertionError("reads without end")

    def got(self, subscription: Subscription) -> list[int]:
        return [message.number for _, message in subscription.consumer.got]

    def everything(self) -> list[int]:
        return sorted(number for each in self.subscriptions for number in self.got(each))


def copy(message: Message) -> Message:
    """As a store gives it back: another object."""
    twin = message.copy()
    twin.attempts = message.attempts
    return twin


COLOURS = ("red", "green", "blue")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["send"] * 6 + ["ack"] * 5 + ["nack", "delay", "leave", "subscribe", "time", "serve"]
        ),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([0, 2, 5]), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_everything_arrives_once_and_where_it_may(
    new_consumer: Any,
    new_store: Any,
    steps: Any,
    window: int,
    grouped: bool,
    prioritised: bool,
    selecting: bool,
    sliced: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if sliced:
            # Each new selector is asked in slices, one message in each.
            patch.setattr(matching, "AT_ONCE", 0)
        play(new_consumer, new_store, steps, window, grouped, prioritised, selecting)


def play(
    new_consumer: Any,
    new_store: Any,
    steps: Any,
    window: int,
    grouped: bool,
    prioritised: bool,
    selecting: bool,
) -> None:
    world = World(new_consumer, new_store(), window)
    for verb, first, second in steps:
        live = [each for each in world.subscriptions if not each.closed]
        if verb == "send":
            world.send(
                COLOURS[first % 3],
                (first * 7 + second) % 10 if prioritised else 4,
                f"g{second % 3}" if grouped and second % 4 else "",
                persistent=first != 5,
                ttl=300 if first == 7 else 0,
                close=first == 8,
            )
        elif verb == "subscribe" and len(live) < 4:
            selector = f"colour = '{COLOURS[second % 3]}'" if selecting and first % 2 else ""
            world.subscribe(selector, AUTO if second == 7 else INDIVIDUAL, 1 + second % 3)
        elif verb == "time":
            world.clock.now += 50 * second
            world.deadlines.run(world.clock.now)
        elif verb == "serve":
            world.serve()
        elif live:
            chosen = live[second % len(live)]
            if verb == "ack":
                world.ack(chosen, first)
            elif verb == "nack":
                world.nack(chosen, first)
            elif verb == "delay":
                world.nack(chosen, first, 100)
            else:
                world.leave(chosen)
        check(world)
    for each in world.subscriptions:
        if not each.closed:
            world.leave(each)
    last = world.subscribe(prefetch=3)
    for _ in range(4 * len(world.sent) + 10):
        world.clock.now += 200
        world.deadlines.run(world.clock.now)
        world.settle_all()
        world.ack(last)
        check(world)
    assert world.queue.waiting == world.queue.unacked == world.queue.delayed == 0
    assert world.queue.bytes == world.queue.held == world.queue.total == 0
    world.serve()
    assert world.store.queues.get("/queue/q", {}) == {}
    assert world.memory.used == 0
    assert set(world.everything()) <= set(world.sent)
    assert {number for number, message in world.sent.items() if not message.expires} <= set(
        world.everything()
    )
    if not prioritised and all(each.selector is None for each in world.subscriptions):
        for group in {message.group for message in world.sent.values()} - {""}:
            came = list(dict.fromkeys(n for n in world.heard if world.sent[n].group == group))
            assert came == sorted(came), "first deliveries of a group are in order"


def check(world: World) -> None:
    queue = world.queue
    held = [d.message.number for each in world.subscriptions for d in each.consumer.deliveries.values()]
    assert len(held) == len(set(held)) == queue.unacked, "nobody shares a delivery"
    for each in world.subscriptions:
        assert each.credit >= 0
        if each.selector is not None:
            for _, message in each.consumer.got:
                assert each.selector.matches(message)
    owners: dict[str, set[int]] = {}
    for each in world.subscriptions:
        for delivery in each.consumer.deliveries.values():
            if delivery.message.group:
                owners.setdefault(delivery.message.group, set()).add(id(each))
    assert all(len(each) == 1 for each in owners.values()), "a group has one consumer at a time"
    if queue.matching is not None and not queue.matching.moving:
        for group in queue.matching.groups.values():
            assert group.line is None or group.busy(), "nobody would let it go"
    assert queue.waiting >= 0 and queue.paged >= 0
    assert queue.total == SIZE * (queue.waiting + queue.unacked + queue.delayed)


def test_the_highest_priority_comes_first_also_from_the_store(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 2)
    for priority in (4, 4, 4, 4, 4, 9, 0, 5, 9, 4):
        world.send(priority=priority)
    world.settle_all()
    reader = world.subscribe(prefetch=1)
    world.settle_all()
    for _ in range(10):
        world.ack(reader)
        world.settle_all()
    assert world.got(reader) == [6, 9, 8, 1, 2, 3, 4, 5, 10, 7]


def test_a_selector_finds_what_is_only_in_the_store(new_consumer: Any, new_store: Any) -> None:
    """What does not match is not held in memory for it."""
    world = World(new_consumer, new_store(), 3)
    for number in range(2000):
        world.send("red" if number % 500 == 499 else "green")
    red = world.subscribe("colour = 'red'", prefetch=1)
    world.settle_all()
    for _ in range(4):
        world.ack(red)
        world.settle_all()
    assert world.got(red) == [500, 1000, 1500, 2000]
    assert world.queue.waiting == 1996
    assert world.memory.used <= 6 * SIZE
    plain = world.subscribe(mode=AUTO, prefetch=0)
    world.settle_all()
    assert world.got(plain) == [n for n in range(1, 2001) if n % 500]
    assert world.queue.waiting == world.queue.paged == 0


def test_what_a_selector_gave_back_does_not_hide_what_is_in_the_store(
    new_consumer: Any, new_store: Any
) -> None:
    world = World(new_consumer, new_store(), 2)
    for colour in ("red", "red", "red", "green", "green"):
        world.send(colour)
    chooser = world.subscribe("colour = 'green'", prefetch=2)
    world.settle_all()
    assert world.got(chooser) == [4, 5]
    world.leave(chooser)
    # Both are in memory again, and that is as many as the window takes: the third is not.
    last = world.subscribe(prefetch=9)
    world.settle_all()
    assert world.got(last) == [1, 2, 3, 4, 5]


def test_a_group_stays_with_its_consumer_and_moves_in_order(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 0)
    first, second = world.subscribe(prefetch=1), world.subscribe(prefetch=1)
    for number in range(6):
        world.send(group="ab"[number % 2])
    for _ in range(2):
        world.ack(first)
        world.ack(second)
    assert [world.got(first), world.got(second)] == [[1, 3, 5], [2, 4, 6]]
    world.leave(first)
    world.ack(second)
    assert world.got(second) == [2, 4, 6, 5]


def test_what_a_selector_left_in_the_store_for_a_groups_owner_is_found_when_that_is_gone(
    new_consumer: Any, new_store: Any
) -> None:
    world = World(new_consumer, new_store(), 3)
    numbers = [world.send("red", group="a") for _ in range(20)]
    owner = world.subscribe(prefetch=1)
    chooser = world.subscribe("colour = 'red'", prefetch=1)
    world.settle_all()
    assert [world.got(owner), world.got(chooser)] == [[1], []]
    world.leave(owner)
    world.settle_all()
    for _ in numbers:
        world.ack(chooser)
        world.settle_all()
    assert world.got(chooser) == numbers


def test_what_came_before_a_group_had_an_owner_goes_before_what_came_after(
    new_consumer: Any, new_store: Any
) -> None:
    for selector in ("", "colour = 'red'"):
        world = World(new_consumer, new_store(), 0)
        first, second = [world.send("red", group="a") for _ in range(2)]
        owner = world.subscribe(selector, prefetch=1)
        assert world.got(owner) == [first]
        third = world.send("red", group="a")
        for _ in range(3):
            world.ack(owner)
        assert world.got(owner) == [first, second, third]


def test_a_delayed_message_holds_back_its_group_alone(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 0)
    reader = world.subscribe(prefetch=1)
    for group in ("a", "b", "a", "b"):
        world.send(group=group)
    world.nack(reader, delay=500)
    world.ack(reader)
    world.ack(reader)
    assert world.got(reader) == [1, 2, 4]
    world.clock.now += 500
    world.deadlines.run(world.clock.now)
    world.ack(reader)
    world.ack(reader)
    assert world.got(reader) == [1, 2, 4, 1, 3]


def test_strict_order_holds_back_the_queue(new_consumer: Any, new_store: Any) -> None:
    policy = Policy().changed({"strict_order": True, "redelivery_delay": 500})
    world = World(new_consumer, new_store(), 0, policy)
    reader = world.subscribe(prefetch=1)
    world.send()
    world.send()
    there = world.deliveries(reader)[0]
    reader.consumer.take(1)
    world.queue.put_back(there)
    world.queue.dispatch()
    assert world.got(reader) == [1]
    world.clock.now += 500
    world.deadlines.run(world.clock.now)
    world.ack(reader)
    assert world.got(reader) == [1, 1, 2]


def test_what_expired_is_never_delivered(new_consumer: Any, new_store: Any) -> None:
    for window in (0, 2):
        world = World(new_consumer, new_store(), window)
        for number in range(6):
            world.send(ttl=100 if number % 2 else 0)
        world.settle_all()
        world.clock.now += 100
        reader = world.subscribe(mode=AUTO, prefetch=0)
        world.settle_all()
        assert world.got(reader) == [1, 3, 5]
        assert world.queue.waiting == world.queue.total == 0


def test_one_active_consumer_and_its_successor(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 0)
    shared = world.subscribe()
    first, second = world.subscribe(exclusive=True), world.subscribe(exclusive=True)
    for _ in range(2):
        world.send()
    assert [world.got(each) for each in (shared, first, second)] == [[], [1, 2], []]
    world.leave(first)
    assert world.got(second) == [1, 2]
    world.leave(second)
    assert world.got(shared) == [1, 2]


def test_a_higher_consumer_priority_is_served_while_it_can_take_more(
    new_consumer: Any, new_store: Any
) -> None:
    world = World(new_consumer, new_store(), 0)
    low, high = world.subscribe(prefetch=5), world.subscribe(prefetch=2, priority=5)
    for _ in range(4):
        world.send()
    assert [world.got(low), world.got(high)] == [[3, 4], [1, 2]]


def test_what_waits_for_the_owner_of_a_closed_group_is_not_lost_with_it(
    new_consumer: Any, new_store: Any
) -> None:
    world = World(new_consumer, new_store(), 0)
    owner = world.subscribe(prefetch=1)
    for number in range(3):
        if number == 1:
            message = Message("/queue/q", {}, b"2", SIZE)
            message.number = message.key = 2
            message.group = "a"
            message.extras = {"group-close": "true"}
            world.sent[2] = message
            world.queue.send(message)
        else:
            world.send(group="a")
    world.ack(owner)
    assert world.got(owner) == [1, 2]
    world.leave(owner)
    other = world.subscribe(prefetch=3)
    world.ack(other)
    assert world.got(other) == [2, 3]


def test_a_window_of_bytes(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 0)
    world.size = OVERHEAD + SIZE
    reader = Subscription(new_consumer(), Wish("s", "/queue/q", INDIVIDUAL, 100, window=2 * SIZE))
    world.subscriptions.append(reader)
    world.queue.add(reader)
    for _ in range(5):
        world.send()
    assert world.got(reader) == [1, 2]
    world.ack(reader)
    world.ack(reader)
    assert world.got(reader) == [1, 2, 3, 4]
    assert reader.credit + reader.spare + 2 == 100


def test_only_the_newest_value_waits(new_consumer: Any, new_store: Any) -> None:
    policy = Policy().changed({"last_value": "colour"})
    for window in (0, 2):
        world = World(new_consumer, new_store(), window, policy)
        world.queue.follow(policy)
        for colour in ("red", "green", "red", "blue", "green"):
            world.send(colour)
        world.settle_all()
        reader = world.subscribe(mode=AUTO, prefetch=0)
        world.settle_all()
        assert world.got(reader) == [3, 4, 5]
        world.serve()
        assert world.store.queues["/queue/q"] == {}


def test_pause_and_go_on(new_consumer: Any, new_store: Any) -> None:
    world = World(new_consumer, new_store(), 0)
    reader = world.subscribe(prefetch=3)
    world.queue.pause()
    world.send()
    late = world.subscribe("colour IS NULL")
    assert world.got(reader) == world.got(late) == []
    world.queue.unpause()
    assert world.everything() == [1]


def test_a_new_selector_is_asked_of_a_large_backlog_in_slices(
    new_consumer: Any, new_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are served meanwhile; what it gets is in order, and what comes meanwhile goes behind that."""
    monkeypatch.setattr(matching, "AT_ONCE", 400)
    world = World(new_consumer, new_store(), 0)
    asked: list[int] = []

    class Asked(dict[str, str]):
        """Headers that note when they are asked for."""

        number = 0

        def get(self, name: str, default: Any = None) -> Any:
            asked.append(self.number)
            return super().get(name, default)

    for number in range(1, 3001):
        headers = Asked(colour="red" if number % 10 == 0 else "green")
        headers.number = number
        message = Message("/queue/q", headers, b"x", SIZE)
        message.number = message.key = number
        world.sent[number] = message
        world.queue.send(message)
    # The compiled core looks into the dictionary itself.
    noted = str(matching.__file__).endswith(".py")
    red = world.subscribe("colour = 'red'", prefetch=10_000)
    assert asked == [] and world.got(red) == []
    plain = world.subscribe(prefetch=100)
    assert world.got(plain) == list(range(1, 101))
    for slice in range(1, 30):
        world.send("red")
        world.clock.now += 1
        world.deadlines.run(world.clock.now)
        # What others took is passed without asking: 100 in the time of 10.
        assert len(asked) == (100 * slice - 10 if noted else 0)
        assert world.got(red) == list(range(110, 91 + 100 * slice, 10))
    world.clock.now += 1
    world.deadlines.run(world.clock.now)
    assert asked == (list(range(101, 3001)) if noted else [])
    assert world.got(red) == [*range(110, 3001, 10), *range(3001, 3030)]


def test_a_selector_that_nobody_has_any_more_is_asked_no_further(
    new_consumer: Any, new_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "AT_ONCE", 1000)
    world = World(new_consumer, new_store(), 0)
    for _ in range(1200):
        world.send("red")
    for _ in range(3):
        world.leave(world.subscribe("colour = 'red'"))
    last = world.subscribe("colour = 'red'", prefetch=2000)
    for _ in range(10):
        world.clock.now += 1
        world.deadlines.run(world.clock.now)
    assert world.got(last) == list(range(1, 1201))
    assert len(world.deadlines) == 0
