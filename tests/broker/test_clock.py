"""The clock on the wall is set while the server runs: what lasts so and so long goes on, what has a time of day
follows.

All of it with numbers: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import SEND, Action, Broker, Rules
from stompserver.broker.kept.jumps import JUMPS, MOST
from stompserver.broker.message import DATED, OVERHEAD, Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Delivery, Subscription, Wish
from stompserver.manage.move import Move

SECOND = 1000
HOUR = 3_600_000
DAY = 24 * HOUR
YEARS = 50 * 365 * DAY
NOW = 1_700_000_000_000
BACK_AND_FORTH = pytest.mark.parametrize("by", [-HOUR, 2 * HOUR, YEARS, -YEARS, -150])


class World:
    """A broker, a store if ``window`` says that one is behind it, and both clocks."""

    def __init__(
        self, new_consumer: Any, new_store: Any, window: int = 0, wall: int = NOW, **policy: Any
    ) -> None:
        self.new_consumer = new_consumer
        self.store = new_store()
        self.window = window
        self.policy = policy
        self.wall = wall
        self.first = 1
        self.start()

    def start(self) -> None:
        """Begin, with what the store has."""
        self.steady = self.wall
        policies = (
            [(Pattern("/queue/>"), self.policy), (Pattern("/topic/>"), self.policy)] if self.policy else []
        )
        rules = Rules(policies=Policies(policies), deadletter="/queue/dead")
        self.log = OpLog(self.window > 0)
        self.broker = Broker(rules, self.log, self.first, Window(self.window) if self.window else None)
        self.broker.tick(self.wall)
        held = self.store.queues
        for name, messages in held.items():
            if messages and not name.startswith("$"):
                self.broker.restore(name, len(messages), min(messages), max(messages))
        for name in sorted(held, key=lambda name: name != JUMPS):
            if held[name] and name.startswith("$"):
                assert self.broker.recall(name, [twin(each) for each in held[name].values()]) == []
        self.look()

    def restart(self) -> None:
        self.settle_down()
        self.first = self.broker.number + 1000
        self.start()

    def look(self) -> None:
        """The shell tells the time, and what is due is done."""
        self.broker.look(self.wall, self.steady)
        while True:
            self.settle_down()
            next = self.broker.tick(self.wall)
            if next is None or next > self.broker.clock.steady:
                break
        self.settle_down()

    def pass_by(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms
        self.look()

    def set_clock(self, by: int) -> None:
        self.wall += by
        self.look()

    def settle_down(self) -> None:
        """Commit what is to be, and read what is wanted."""
        if not self.window:
            return
        while True:
            number, ops = self.log.drain()
            self.store.commit(ops)
            self.log.committed(number, sum(op.size for op in ops if op.message is not None))
            assert self.broker.window is not None
            asking = self.broker.window.take_asking()
            if not asking:
                break
            self.read(asking)

    def read(self, asking: list[Any]) -> None:
        for reader in asking:
            most, _ = reader.room()
            held = self.store.queues.get(reader.name, {})
            found = [twin(held[key]) for key in sorted(held) if key > reader.after()][:most]
            if found:
                reader.load(found, found[-1].key, [])
            else:
                reader.all_read()

    def message(
        self, ttl: int = 0, until: int = 0, destination: str = "/queue/a", body: bytes = b""
    ) -> Message:
        message = Message(destination, {}, body, OVERHEAD)
        if until:
            message.expires = until
            message.extras = {DATED: "1"}
        elif ttl:
            message.expires = self.wall + ttl
        return message

    def send(self, **more: Any) -> None:
        self.broker.send(self.message(**more))
        self.settle_down()

    def subscribe(self, mode: int = INDIVIDUAL, destination: str = "/queue/a", **wish: Any) -> Subscription:
        consumer = self.new_consumer()
        consumer.heard = _begin_lease
        consumer.expired = _end_lease
        subscription = Subscription(consumer, Wish("s", destination, mode, 0, **wish))
        consumer.subscriptions["s"] = subscription
        self.broker.subscribe(subscription)
        self.broker.start(subscription)
        self.settle_down()
        return subscription

    def waiting(self, name: str = "/queue/a") -> int:
        queue = self.broker.queues.get(name)
        return queue.waiting if queue is not None else 0


def _begin_lease(subscription: Subscription, message: Message) -> None:
    if subscription.lease is not None:
        subscription.lease.add(next(reversed(subscription.consumer.deliveries.values())))


def _end_lease(delivery: Delivery) -> None:
    del delivery.subscription.consumer.deliveries[delivery.name]


def twin(message: Message) -> Message:
    """What a store would give back."""
    read = Message(message.destination, dict(message.headers), message.body, message.size, message.plain)
    read.persistent = message.persistent
    read.regain(dict(message.kept() or {}))
    read.number, read.key, read.attempts, read.stored = message.number, message.key, message.attempts, True
    return read


@pytest.fixture
def new_world(new_consumer: Any, new_store: Any) -> Callable[..., World]:
    return lambda window=0, **more: World(new_consumer, new_store, window, **more)


STORES = pytest.mark.parametrize("window", [0, 1], ids=["memory", "paged"])


@BACK_AND_FORTH
def test_a_lease(new_world: Any, by: int) -> None:
    world = new_world()
    subscription = world.subscribe(ack_timeout=1500)
    world.send()
    world.set_clock(by)
    world.pass_by(1499)
    assert [message.attempts for _, message in subscription.consumer.got] == [0]
    world.pass_by(1)
    assert len(subscription.consumer.got) == 2


@BACK_AND_FORTH
def test_a_delay_of_a_nack(new_world: Any, by: int) -> None:
    world = new_world()
    subscription = world.subscribe()
    world.send()
    delivery: Delivery = subscription.consumer.take(subscription.consumer.got[0][1].number)
    world.broker.nack([delivery], True, 1500)
    world.set_clock(by)
    world.pass_by(1499)
    assert len(subscription.consumer.got) == 1
    world.pass_by(1)
    assert len(subscription.consumer.got) == 2


@STORES
@BACK_AND_FORTH
def test_a_time_to_live(new_world: Any, window: int, by: int) -> None:
    world = new_world(window)
    for _ in range(5):
        world.send(ttl=50 * 60 * SECOND)
    world.set_clock(by)
    world.send(ttl=50 * 60 * SECOND)
    world.pass_by(49 * 60 * SECOND)
    assert world.waiting() == 6
    consumer = world.subscribe(AUTO).consumer
    assert len(consumer.got) == 6


@STORES
@BACK_AND_FORTH
def test_a_time_to_live_is_over(new_world: Any, window: int, by: int) -> None:
    world = new_world(window, ttl=50 * 60 * SECOND)
    for _ in range(5):
        world.send()
    world.set_clock(by)
    world.pass_by(50 * 60 * SECOND)
    # The store is looked through a minute apart at least.
    world.pass_by(60 * SECOND)
    assert world.waiting() == 0
    assert world.subscribe(AUTO).consumer.got == []


@STORES
def test_a_time_of_day_until_which_somebody_wants_it(new_world: Any, window: int) -> None:
    world = new_world(window)
    for _ in range(5):
        world.send(until=world.wall + HOUR)
    world.set_clock(-HOUR)
    world.pass_by(2 * HOUR - 1)
    assert world.waiting() == 5
    world.set_clock(1000)
    world.pass_by(60 * SECOND)
    assert world.waiting() == 0


@STORES
def test_the_clock_comes_to_a_time_of_day_by_being_set(new_world: Any, window: int) -> None:
    world = new_world(window)
    for _ in range(5):
        world.send(until=world.wall + HOUR)
    world.set_clock(2 * HOUR)
    assert world.subscribe(AUTO).consumer.got == []


@STORES
@BACK_AND_FORTH
def test_a_scheduled_delay(new_world: Any, window: int, by: int) -> None:
    world = new_world(window)
    world.broker.apply([Action(SEND, world.message(), plan=Plan(delay=5000))])
    world.broker.apply([Action(SEND, world.message(), plan=Plan(period=5000, repeat=2))])
    world.set_clock(by)
    world.pass_by(4999)
    assert world.waiting() == 0
    world.pass_by(1)
    assert world.waiting() == 2
    world.set_clock(-by)
    world.pass_by(4999)
    assert world.waiting() == 2
    world.pass_by(1)
    assert world.waiting() == 3
    world.pass_by(5000)
    assert world.waiting() == 4
    assert not world.broker.schedule.entries


def test_a_scheduled_time_of_day(new_world: Any) -> None:
    world = new_world()
    world.broker.schedule.next_cron = lambda line, after: (after // HOUR + 1) * HOUR
    at = (world.wall // HOUR + 3) * HOUR
    world.broker.apply([Action(SEND, world.message(), plan=Plan(at=at))])
    world.set_clock(at - world.wall - 1000)
    assert world.waiting() == 0
    world.set_clock(-HOUR)
    world.pass_by(HOUR)
    assert world.waiting() == 0
    world.pass_by(1000)
    assert world.waiting() == 1
    world.broker.apply([Action(SEND, world.message(), plan=Plan(cron="0 * * * *"))])
    world.set_clock(HOUR - 1)
    assert world.waiting() == 1
    world.pass_by(1)
    assert world.waiting() == 2


@BACK_AND_FORTH
def test_a_queue_that_nobody_uses(new_world: Any, by: int) -> None:
    world = new_world(idle_expiry=HOUR)
    world.broker.drop(world.subscribe().consumer)
    world.set_clock(by)
    world.pass_by(HOUR - 1)
    assert "/queue/a" in world.broker.queues
    world.pass_by(1)
    assert "/queue/a" not in world.broker.queues


@BACK_AND_FORTH
def test_the_age_of_a_history(new_world: Any, by: int) -> None:
    world = new_world(history_age=DAY)
    for body in (b"1", b"2"):
        world.send(destination="/topic/a", body=body)
    world.set_clock(by)
    world.send(destination="/topic/a", body=b"3")
    world.pass_by(DAY - 1)
    assert world.subscribe(AUTO, "/topic/a", retroactive=True).consumer.bodies() == [b"1", b"2", b"3"]
    world.pass_by(1 + HOUR)
    assert world.subscribe(AUTO, "/topic/a", retroactive=True).consumer.bodies() == []


@BACK_AND_FORTH
def test_a_retained_message(new_world: Any, by: int) -> None:
    world = new_world(retain=True)
    world.send(destination="/topic/a", body=b"1", ttl=HOUR)
    world.set_clock(by)
    world.pass_by(HOUR - 1)
    assert world.subscribe(AUTO, "/topic/a").consumer.bodies() == [b"1"]
    world.pass_by(1)
    assert world.subscribe(AUTO, "/topic/a").consumer.bodies() == []


@BACK_AND_FORTH
def test_ids_of_duplicates(new_world: Any, by: int) -> None:
    world = new_world(duplicate_window=10, duplicate_time=HOUR)

    def send() -> int:
        message = world.message()
        message.extras = {"dedup": "id"}
        world.broker.send(message)
        return int(world.waiting())

    assert send() == 1
    world.set_clock(by)
    world.pass_by(HOUR - 1)
    assert send() == 1
    world.pass_by(1)
    assert send() == 2


@BACK_AND_FORTH
def test_in_a_transaction_meanwhile(new_world: Any, by: int) -> None:
    world = new_world()
    message = world.message(ttl=HOUR)
    message.number = world.broker.fresh()
    world.set_clock(by)
    world.broker.apply([Action(SEND, message)])
    world.pass_by(HOUR - 1)
    assert world.waiting() == 1
    world.pass_by(1)
    assert world.waiting() == 0


@BACK_AND_FORTH
def test_moved_to_another_queue_meanwhile(new_world: Any, by: int) -> None:
    world = new_world()
    world.send(ttl=HOUR)
    world.set_clock(by)
    Move(world.broker, world.broker.queues["/queue/a"], "/queue/b", None, 0, 0).start()
    world.pass_by(HOUR - 1)
    assert world.waiting("/queue/b") == 1
    world.pass_by(1)
    assert world.waiting("/queue/b") == 0


def test_a_machine_without_a_clock(new_world: Any) -> None:
    """It begins in 1970, and is told what day it is while messages wait, of this run and of the one before."""
    world = new_world(1)
    for _ in range(3):
        world.send(ttl=HOUR)
    world.send(until=world.wall + 3 * HOUR, destination="/queue/b")
    world.broker.apply([Action(SEND, world.message(destination="/queue/c"), plan=Plan(delay=HOUR))])
    world.pass_by(SECOND)
    right = world.wall + 600 * SECOND
    world.wall = 5000
    world.restart()
    for _ in range(3):
        world.send(ttl=HOUR, destination="/queue/d")
    world.broker.apply([Action(SEND, world.message(destination="/queue/e"), plan=Plan(delay=HOUR))])
    world.pass_by(10 * SECOND)
    assert [world.waiting(name) for name in ("/queue/a", "/queue/b", "/queue/d")] == [3, 1, 3]
    world.set_clock(right - world.wall)
    world.pass_by(10 * SECOND)
    # After the next restart it is still known what the times in the store mean.
    world.restart()
    assert world.broker.clock.jumps
    world.pass_by(HOUR - 700 * SECOND)
    assert len(world.subscribe(AUTO).consumer.got) == 3
    assert world.waiting("/queue/c") == 0
    world.pass_by(100 * SECOND)
    assert world.waiting("/queue/c") == 1
    assert world.waiting("/queue/e") == 0
    assert len(world.subscribe(AUTO, "/queue/d").consumer.got) == 3
    world.pass_by(590 * SECOND)
    assert world.waiting("/queue/e") == 1
    assert world.waiting("/queue/b") == 1
    world.pass_by(2 * HOUR)
    assert world.subscribe(AUTO, "/queue/b").consumer.got == []


def test_what_is_no_jump(new_world: Any) -> None:
    world = new_world()
    world.send(ttl=HOUR)
    for _ in range(9):
        world.set_clock(10)
    assert world.broker.clock.jumps == []
    assert world.broker.now == world.wall
    world.set_clock(10)
    assert [by for _, _, by in world.broker.clock.jumps] == [100]


def test_jumps_that_are_remembered_are_few(new_world: Any) -> None:
    world = new_world(1)
    for _ in range(MOST + 20):
        world.set_clock(HOUR)
    assert len(world.broker.clock.jumps) == MOST
    assert len(world.store.queues[JUMPS]) == MOST
    world.restart()
    assert len(world.broker.clock.jumps) == MOST
