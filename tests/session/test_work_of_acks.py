"""What ACK and NACK cost does not grow with what is unsettled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

MANY = 1000


class Named(dict[str, Any]):
    """Deliveries by name, which are looked up and never gone through."""

    def _gone_through(self) -> Any:
        pytest.fail("all deliveries were gone through")

    __iter__ = items = values = keys = _gone_through


class Counted(deque[Any]):
    """Deliveries in their order; ``steps`` counts those that were looked at."""

    steps = 0

    def popleft(self) -> Any:
        self.steps += 1
        return super().popleft()

    def __iter__(self) -> Iterator[Any]:
        for each in super().__iter__():
            self.steps += 1
            yield each


def holding(world: Any, version: str, ack: str, count: int = MANY, destination: str = "/queue/q") -> Any:
    """A client that has ``count`` unsettled messages."""
    peer = world.connect(version)
    peer.subscribe(destination, ack, more=f"prefetch-count:{2 * count}\n")
    for number in range(count):
        peer.publish("/queue/q", b"%d" % number)
        if number % 500 == 499:
            # A full socket is given no more.
            peer.read()
    peer.read()
    assert len(peer.session.deliveries) == count
    return peer


def counted(peer: Any) -> Counted:
    """The order of the one subscription, where steps are counted from now on."""
    (subscription,) = peer.session.subscriptions.values()
    subscription.order.deliveries = Counted(subscription.order.deliveries)
    return subscription.order.deliveries


def ack(version: str, number: int, more: str = "", command: str = "ACK") -> bytes:
    name = f"id:1-{number}" if version == "1.2" else f"subscription:s\nmessage-id:{number}"
    return f"{command}\n{name}\n{more}\n\0".encode()


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_an_ack_looks_up_its_delivery(world: Any, version: str, ended: bool, mode: str) -> None:
    """Also after UNSUBSCRIBE, and when there are many other subscriptions."""
    peer = holding(world, version, mode)
    for number in range(100):
        peer.subscribe("/queue/other", id=f"other{number}")
    if ended:
        peer.send(b"UNSUBSCRIBE\nid:s\ndestination:/queue/q\n\n\0")
    peer.session.deliveries = Named(peer.session.deliveries)
    for number in range(1, MANY + 1):
        peer.send(ack(version, number))
    assert len(peer.session.deliveries) == 0
    assert peer.read() == []


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("stride", [1, 7])
def test_each_delivery_is_looked_at_once(world: Any, version: str, stride: int) -> None:
    """Whatever an open transaction holds before it."""
    peer = holding(world, version, "client")
    peer.send(b"BEGIN\ntransaction:t\n\n\0")
    peer.send(ack(version, MANY // 2, "transaction:t\n"))
    order = counted(peer)
    for number in range(MANY // 2 + stride, MANY + 1, stride):
        peer.send(ack(version, number))
    assert order.steps <= MANY
    peer.send(b"ABORT\ntransaction:t\n\n\0")
    peer.send(ack(version, MANY // 2))
    assert order.steps <= 2 * MANY


def test_holding_and_giving_up_one_of_many(world: Any) -> None:
    peer = holding(world, "1.2", "client")
    order = counted(peer)
    for _ in range(1000):
        peer.send(
            b"BEGIN\ntransaction:t\n\n\0" + ack("1.2", 1, "transaction:t\n") + b"ABORT\ntransaction:t\n\n\0"
        )
    # Once to be held, and as often as it stands before the next.
    assert order.steps <= 3000
    peer.send(ack("1.2", MANY))
    assert not peer.session.deliveries


def test_transactions_given_up_in_any_order(world: Any) -> None:
    """What is free again stands at its old place: ACK of one means those before it, and no others."""
    peer = holding(world, "1.1", "client", 9)
    for name, number in (("a", 3), ("b", 5), ("c", 7)):
        peer.send(f"BEGIN\ntransaction:{name}\n\n\0".encode() + ack("1.1", number, f"transaction:{name}\n"))
    for name in "bca":
        peer.send(f"ABORT\ntransaction:{name}\n\n\0".encode())
    peer.send(ack("1.1", 4))
    assert [delivery.message.number for delivery in peer.session.deliveries.values()] == [5, 6, 7, 8, 9]
    peer.send(ack("1.1", 8))
    assert [delivery.message.number for delivery in peer.session.deliveries.values()] == [9]


def test_a_consumer_that_never_settles_is_not_given_a_longer_list(world: Any) -> None:
    """Each lease that ends takes its delivery out of the order, not only ACKs."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="ack-timeout:10\nprefetch-count:50\n")
    peer.publish("/queue/q", *[b"x"] * 50)
    (subscription,) = peer.session.subscriptions.values()
    now = world.broker.now
    for turn in range(100):
        peer.read()
        world.broker.tick(now + 20 * (turn + 1))
        assert len(subscription.order.deliveries) <= 300
    assert len(peer.session.deliveries) == 50


def test_a_cumulative_ack_of_many_queues_goes_through_them_once(world: Any) -> None:
    """Those of each queue are settled together, without looking for them among the rest."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/many.*", "client", more="prefetch-count:10\n")
    for number in range(2000):
        peer.publish(f"/queue/many.{number % 1000}", b"x")
    peer.read()
    order = counted(peer)
    # Of a queue that had two, and of one that had one up to there.
    peer.send(ack("1.2", 1001))
    assert order.steps == 1001
    assert len(peer.session.deliveries) == 999
    assert world.broker.queues["/queue/many.0"].unacked == 0
    assert world.broker.queues["/queue/many.1"].unacked == 1


def test_the_same_message_twice_in_1_0(world: Any) -> None:
    """ACK says only which message: it settles the older delivery first, then the other."""
    peer = world.connect("1.0")
    for name in ("one", "two", "three"):
        peer.subscribe("/topic/t", "client", id=name, more="durable:true\nprefetch-count:9\n")
    peer.publish("/topic/t", b"a", b"b")
    assert len(peer.read()) == 6
    queues = [world.broker.queues[f"/dsub/{name}/topic/t"] for name in ("one", "two", "three")]
    numbers = sorted({delivery.message.number for delivery in peer.session.deliveries.values()})
    assert len(numbers) == 2 and len(peer.session.twins) == 2
    for left in (2, 1, 0):
        peer.send(b"ACK\nmessage-id:%d\n\n\0" % numbers[1])
        # Each ACK settles both messages of one subscription, oldest first.
        assert sum(queue.unacked for queue in queues) == 2 * left
    assert not peer.session.twins and not peer.session.deliveries
    assert "ACK of no known delivery" in peer.fails(b"ACK\nmessage-id:%d\n\n\0" % numbers[1])["message"]


def test_a_late_ack_in_1_0_is_excused(world: Any) -> None:
    peer = world.connect("1.0")
    peer.subscribe("/queue/q", "client", more="ack-timeout:10\n")
    peer.publish("/queue/q", b"x")
    peer.read()
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    world.broker.tick(world.broker.now + 20)
    assert "ack-timeout" in peer.get(b"ACK\nmessage-id:1\nreceipt:r\n\n\0")["warning"]


def test_leases_that_end_while_a_long_nack_goes_on_take_nobody_elses_place(world: Any) -> None:
    """What the NACK took counts for the order no more, although it is not settled yet."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="ack-timeout:1000\nprefetch-count:0\n")
    start = world.broker.now
    peer.publish("/queue/q", *[b"x"] * 610)
    world.broker.tick(start + 500)
    peer.publish("/queue/q", *[b"x"] * 60)
    world.broker.tick(start + 999)
    peer.read()
    # Nothing is delivered again.
    peer.session.writable(False)
    peer.send(b"NACK\nid:1-600\n\n\0")
    assert world.broker.slices.live
    # The rest of its 600 comes back by the lease, and 10 more; then the slice finds nothing to do.
    world.broker.tick(start + 1000)
    assert not world.broker.slices.live
    assert len(peer.session.deliveries) == 60
    peer.send(ack("1.2", 670))
    assert not peer.session.deliveries
    assert world.broker.queues["/queue/q"].unacked == 0
