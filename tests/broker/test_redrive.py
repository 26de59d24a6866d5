"""Dead letters on their way back; time is a number here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.redrive import Asker, Redrive
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription
from stompserver.broker.window import Window

DEAD = "/queue/deadletter"


class Heard(Asker):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.said: list[tuple[int, int, str]] = []

    def redriven(self, moved: int, left: int, problem: str) -> None:
        self.said.append((moved, left, problem))


class World:
    """A broker with dead letters, and a store that is a dictionary where ``paged``."""

    def __init__(self, store: Any, paged: bool) -> None:
        self.store = store
        self.broker = Broker(Rules(), OpLog(paged), 1, Window(10) if paged else None)
        self.broker.tick(1_000_000)

    def letters(self, count: int, origin: str = "/queue/a", first: int = 0) -> None:
        for number in range(first, first + count):
            headers = {"original-destination": origin, "dead-letter-reason": "rejected", "x": "1"}
            self.broker.send(Message(DEAD, headers, b"%d" % number, 1000))

    def settle(self) -> None:
        """Commit, read for whoever wants it, and let time pass, until nothing is to be done."""
        log = self.broker.log
        for _ in range(1000):
            number, ops = log.drain()
            self.store.commit(ops)
            self.broker.memory.used -= sum(op.size for op in ops if op.paged)
            log.committed(number, sum(op.size for op in ops if op.message is not None))
            window = self.broker.window
            hungry = window.take_hungry() if window is not None else []
            for reader in hungry:
                found = self.store.read(reader.name, reader.after(), reader.room()[0])
                if found:
                    reader.load(found, found[-1].key, [])
                else:
                    reader.all_read()
            due = self.broker.deadlines.next()
            if not hungry and due is None:
                return
            if due is not None:
                self.broker.tick(max(due, self.broker.now))
        raise AssertionError("it never ends")

    def redrive(self, only: int = 0, most: int = 0) -> tuple[int, int, str]:
        heard = Heard()
        Redrive(self.broker, self.broker.queues[DEAD], only, most, heard).start()
        self.settle()
        (said,) = heard.said
        return said

    def counts(self) -> dict[str, int]:
        return {queue.name: queue.waiting for queue in self.broker.queues.values() if queue.waiting}


@pytest.fixture(params=[True, False], ids=["paged", "in memory"])
def world(request: pytest.FixtureRequest, new_store: Callable[[], Any]) -> World:
    return World(new_store(), request.param)


def take(world: World, consumer: Any, name: str) -> list[bytes]:
    """All that is in a queue, as it comes to one who subscribes."""
    subscription = Subscription(consumer, "1", name, AUTO, 0)
    world.broker.subscribe(subscription)
    world.broker.start(subscription)
    world.settle()
    bodies: list[bytes] = consumer.bodies()
    return bodies


def test_all_go_back_in_order(world: World, new_consumer: Any) -> None:
    world.letters(1300)
    world.settle()
    assert world.redrive() == (1300, 0, "")
    assert world.counts() == {"/queue/a": 1300}
    consumer = new_consumer()
    assert take(world, consumer, "/queue/a") == [b"%d" % number for number in range(1300)]
    assert consumer.got[0][1].headers == {"x": "1"}
    assert world.broker.memory.used == 0


def test_only_some(world: World, new_consumer: Any) -> None:
    world.letters(30)
    world.settle()
    assert world.redrive(most=3) == (3, 0, "")
    assert world.redrive(only=25) == (1, 0, "")
    assert world.redrive(only=25) == (0, 0, "")
    assert world.redrive(only=999) == (0, 0, "")
    assert take(world, new_consumer(), "/queue/a") == [b"0", b"1", b"2", b"24"]


def test_what_cannot_go_stays(world: World) -> None:
    world.letters(20, "/dsub/gone")
    world.letters(20)
    world.broker.send(Message(DEAD, {}, b"", 1000))
    world.settle()
    assert world.redrive() == (20, 21, "")
    assert world.counts() == {"/queue/a": 20, DEAD: 21}
    assert world.redrive() == (0, 21, "")


def test_no_room_ends_it(world: World) -> None:
    world.letters(20)
    world.settle()
    world.broker.room = 0
    moved, left, problem = world.redrive()
    assert (moved, left) == (0, 0)
    assert "storage is full" in problem
    assert world.counts() == {DEAD: 20}


def test_what_fails_again_meanwhile_is_not_sent_back_again(world: World, new_consumer: Any) -> None:
    world.letters(20)
    world.settle()
    consumer = new_consumer()
    subscription = Subscription(consumer, "1", "/queue/a", INDIVIDUAL, 0)
    subscription.credit = 1 << 30

    def refuse(subscription: Subscription, message: Message) -> None:
        refused.append(message.number)

    refused: list[int] = []
    consumer.heard = refuse
    world.broker.subscribe(subscription)
    world.broker.start(subscription)
    heard = Heard()
    Redrive(world.broker, world.broker.queues[DEAD], 0, 0, heard).start()
    for number in refused:
        world.broker.nack([consumer.take(number)], False)
    world.settle()
    while consumer.deliveries:
        world.broker.nack([consumer.deliveries.pop(next(iter(consumer.deliveries)))], False)
    world.settle()
    assert heard.said == [(20, 0, "")]
    assert world.counts() == {DEAD: 20}
