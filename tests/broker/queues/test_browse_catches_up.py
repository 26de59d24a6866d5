"""A browser sees all that waits, in order, whenever its client reads on, and holds nothing of it meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.names.policy import Policies, Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish


class Scene:
    """A broker, a queue, a browser and what it saw."""

    def __init__(self, new_consumer: Any, follow: bool) -> None:
        self.broker = Broker(Rules(policies=Policies([], Policy().changed({"priorities": True}))), OpLog())
        self.consumer = new_consumer()
        self.consumer.ended = lambda subscription: self.consumer.got.append((subscription, None))
        self.wish = Wish("b", "/queue/q", AUTO, 0, browser=True, follow=follow)

    def begin(self) -> None:
        subscription = Subscription(self.consumer, self.wish)
        self.broker.subscribe(subscription)
        self.broker.start(subscription)

    def send(self, *bodies: int, priority: int = 4) -> None:
        for body in bodies:
            message = Message("/queue/q", {}, b"%d" % body, 1000)
            message.priority = priority
            self.broker.send(message)

    def read(self, most: int) -> None:
        """Let the browser take so many more."""
        self.consumer.room = most
        self.consumer.ready = most > 0
        self.broker.resume(self.consumer)

    def seen(self) -> list[int]:
        """What it saw since the last call; -1 is the end."""
        seen = [-1 if message is None else int(message.body) for _, message in self.consumer.got]
        self.consumer.got.clear()
        return seen


@pytest.mark.parametrize("step", [1, 3, 64, 1000])
def test_all_that_waits_when_it_comes(new_consumer: Any, step: int) -> None:
    scene = Scene(new_consumer, False)
    scene.send(*range(200))
    scene.send(*range(200, 210), priority=7)
    scene.consumer.ready = False
    scene.begin()
    scene.send(300)
    scene.send(301, priority=9)
    seen: list[int] = []
    for _ in range(400):
        scene.read(step)
        seen += scene.seen()
    assert seen == [*range(200, 210), *range(200), -1]


@pytest.mark.parametrize("step", [1, 3, 64, 1000])
def test_one_that_follows_catches_up(new_consumer: Any, step: int) -> None:
    scene = Scene(new_consumer, True)
    scene.send(*range(5))
    scene.begin()
    assert scene.seen() == [0, 1, 2, 3, 4, -1]
    scene.send(5)
    assert scene.seen() == [5]
    scene.read(0)
    for number in range(6, 200):
        scene.send(number, priority=number % 10)
    assert scene.seen() == []
    assert len(scene.consumer.stalled) == 1
    seen: list[int] = []
    for _ in range(200):
        scene.read(step)
        seen += scene.seen()
    # In the order of the queue, as all that waits when it comes.
    assert seen == sorted(range(6, 200), key=lambda number: -(number % 10))
    scene.read(10)
    scene.send(200, 201)
    assert scene.seen() == [200, 201]


def test_what_was_taken_meanwhile_is_not_shown(new_consumer: Any) -> None:
    scene = Scene(new_consumer, True)
    scene.send(*range(10))
    scene.consumer.ready = False
    scene.begin()
    scene.send(*range(10, 20))
    worker = new_consumer()
    subscription = Subscription(worker, Wish("w", "/queue/q", INDIVIDUAL, 15))
    scene.broker.subscribe(subscription)
    scene.broker.start(subscription)
    for delivery in list(worker.deliveries.values())[3:]:
        worker.deliveries.pop(delivery.name)
        scene.broker.ack(delivery)
    scene.broker.drop(worker)
    scene.read(100)
    seen = scene.seen()
    assert seen[:3] == [0, 1, 2], "they came back"
    assert sorted(seen) == [-1, 0, 1, 2, *range(15, 20)]
