"""/queue/monitor: the text, and that it goes through the broker like any other message."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver import monitor
from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Consumer, Delivery, Subscription, Wish

MONITOR = "/queue/monitor"


class Listener(Consumer):
    def __init__(self) -> None:
        super().__init__()
        self.ready = True
        self.got: list[Message] = []

    def deliver(self, subscription: Subscription, message: Message) -> None:
        self.got.append(message)
        if subscription.mode != AUTO:
            self.deliveries[str(message.key)] = Delivery(str(message.key), subscription, message)

    def lag(self, subscription: Subscription) -> None:
        pytest.fail("nobody is slow here")

    def ended(self, subscription: Subscription) -> None:
        pytest.fail("nobody browses here")

    def expired(self, delivery: Delivery) -> None:
        pytest.fail("no lease ends here")


def listen(broker: Broker, destination: str = MONITOR, mode: int = AUTO) -> Listener:
    listener = Listener()
    subscription = Subscription(listener, Wish("s", destination, mode, 1))
    broker.subscribe(subscription)
    listener.subscriptions["s"] = subscription
    broker.start(subscription)
    return listener


@pytest.fixture
def broker() -> Broker:
    return Broker(Rules(), OpLog())


def send(broker: Broker, destination: str, count: int = 1) -> None:
    for _ in range(count):
        broker.send(Message(destination, {}, b"x", 1))


def test_the_text(broker: Broker) -> None:
    """The man page's order: size, dequeued, enqueued; an empty line ends each block."""
    send(broker, "/queue/test", 3)
    send(broker, "/queue/a b")
    workers = [listen(broker, name, INDIVIDUAL) for name in ("/queue/test", "/queue/a b")]
    for worker in workers:
        broker.ack(worker.deliveries.pop(str(worker.got[0].key)))
        broker.drop(worker)
    listener = listen(broker)
    monitor.report(broker)
    assert listener.got[0].body.decode() == (
        "Queue: /queue/test\nsize: 2\ndequeued: 1\nenqueued: 3\n\n"
        "Queue: /queue/a b\nsize: 0\ndequeued: 1\nenqueued: 1\n\n"
    )


def test_many_queues_take_some_slices(broker: Broker) -> None:
    for n in range(3000):
        send(broker, f"/queue/{n}")
    listener = listen(broker)
    monitor.report(broker)
    assert listener.got == []
    while not listener.got:
        broker.tick(broker.now + 1)
    assert listener.got[0].body.decode().split("\n")[::5] == [
        *[f"Queue: /queue/{n}" for n in range(3000)],
        "",
    ]


@pytest.mark.parametrize("name", ["/queue/a\nsize: 99", "/queue/a\r\n\r\nQueue: b", "/queue/\\n"])
def test_a_name_is_one_line(broker: Broker, name: str) -> None:
    """1.1 and 1.2 can write line ends in names."""
    send(broker, name)
    listener = listen(broker)
    monitor.report(broker)
    lines = listener.got[0].body.decode().splitlines()
    assert len(lines) == 5
    assert [line.partition(":")[0] for line in lines] == ["Queue", "size", "dequeued", "enqueued", ""]


def test_nobody_listens(broker: Broker) -> None:
    """Nothing is sent, stored or counted."""
    send(broker, "/queue/q")
    monitor.report(broker)
    assert broker.enqueued == 1
    assert set(broker.queues) == {"/queue/q"}
    listener = listen(broker)
    assert listener.got == []


def test_no_queue_no_message(broker: Broker) -> None:
    listener = listen(broker)
    monitor.report(broker)
    assert listener.got == []


def test_every_listener_gets_every_report(broker: Broker) -> None:
    listeners = [listen(broker), listen(broker, mode=INDIVIDUAL), listen(broker)]
    worker = listen(broker, "/queue/q", INDIVIDUAL)
    send(broker, "/queue/q", 3)
    send(broker, "/topic/t", 5)
    monitor.report(broker)
    broker.ack(worker.deliveries.pop(str(worker.got[0].key)))
    listeners[1].deliveries.clear()
    monitor.report(broker)
    first, second = listeners[0].got
    assert first.body == b"Queue: /queue/q\nsize: 2\ndequeued: 0\nenqueued: 3\n\n"
    assert second.body == b"Queue: /queue/q\nsize: 1\ndequeued: 1\nenqueued: 3\n\n"
    assert first.destination == MONITOR
    assert first.headers == {"content-type": "text/plain"}
    assert first.number < second.number
    assert [m.body for m in listeners[2].got] == [first.body, second.body]
    assert listeners[1].got[0].body == first.body


def test_reports_are_not_kept() -> None:
    log = OpLog(recording=True)
    broker = Broker(Rules(), log)
    listener = listen(broker)
    broker.send(Message("/queue/q", {}, b"", 1, persistent=False))
    for _ in range(10):
        monitor.report(broker)
    assert log.drain()[1] == []
    broker.drop(listener)
    monitor.report(broker)
    assert broker.memory.used == 1


def test_octets_in_names(broker: Broker) -> None:
    """A 1.0 name may be no UTF-8; the report still is text."""
    send(broker, "/queue/\udcff")
    listener = listen(broker)
    monitor.report(broker)
    assert listener.got[0].body.decode().startswith("Queue: /queue/")


def test_what_clients_send_there_goes_to_all_who_listen(broker: Broker) -> None:
    listeners: list[Any] = [listen(broker), listen(broker)]
    send(broker, MONITOR)
    assert [len(listener.got) for listener in listeners] == [1, 1]
    assert MONITOR not in broker.queues
