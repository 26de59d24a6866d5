"""A connection that breaks counts as an attempt for what can have been in work, and for nothing else.

``1`` is the first message, and so on; a client settles some, is gone, and another one sees what is counted.
"""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = ("1.0", "1.1", "1.2")
MODES = ("client", "client-individual")


class Play:
    """Clients of one version, the first of which is to be lost."""

    def __init__(self, world: Any, version: str) -> None:
        self.world = world
        self.version = version
        self.client = world.connect(version)
        self.names: dict[tuple[str, str], Any] = {}

    def publish(self, *bodies: str, to: str = "/queue/a") -> None:
        self.world.connect(self.version).publish(to, *[body.encode() for body in bodies])

    def take(self, ack: str, destination: str = "/queue/a", id: str = "s", more: str = "") -> list[str]:
        """Subscribe, to any number ahead; the bodies that come."""
        self.client.subscribe(destination, ack, id, "prefetch-count:100000\n" + more)
        return self.hear()

    def hear(self) -> list[str]:
        found = []
        for frame in self.client.read():
            assert frame.command == "MESSAGE", frame
            self.names[frame["subscription"], frame.body.decode()] = frame
            found.append(frame.body.decode())
        return found

    def settle(self, body: str, transaction: str = "", command: str = "ACK", id: str = "s") -> None:
        frame = self.names[id, body]
        if self.version == "1.2":
            lines = f"id:{frame['ack']}\n"
        else:
            lines = f"message-id:{frame['message-id']}\nsubscription:{id}\n"
        if transaction:
            lines += f"transaction:{transaction}\n"
        self.client.send(f"{command}\n{lines}\n\0".encode())
        assert self.client.state == "connected", self.client.take()

    def lost(self) -> None:
        self.client.session.lost()
        for _ in range(100):
            if self.world.broker.deadlines.next() is None:
                break
            self.world.broker.tick(self.world.broker.now + 1)

    def counts(self, destination: str = "/queue/a") -> dict[str, int]:
        """What is in the queue, and how often each was delivered with this time; 0: never before."""
        other = self.world.connect(self.version)
        other.subscribe(destination)
        found = {}
        for frame in other.read():
            assert frame.has("redelivered") == frame.has("delivery-count") == frame.has("JMSXDeliveryCount")
            count = 0
            if frame.has("redelivered"):
                assert (frame["redelivered"], frame["delivery-count"]) == ("true", frame["JMSXDeliveryCount"])
                count = int(frame["delivery-count"])
            found[frame.body.decode()] = count
        return found


@pytest.fixture(params=VERSIONS)
def play(request: pytest.FixtureRequest, world: Any) -> Play:
    return Play(world, request.param)


@pytest.mark.parametrize("ack", MODES)
def test_the_oldest_counts(play: Play, ack: str) -> None:
    play.publish("1", "2", "3")
    play.take(ack)
    play.lost()
    play.publish("4")
    assert play.counts() == {"1": 2, "2": 1, "3": 1, "4": 0}


@pytest.mark.parametrize("ack", MODES)
def test_the_oldest_behind_what_is_settled_counts(play: Play, ack: str) -> None:
    play.publish("1", "2", "3", "4")
    play.take(ack)
    play.settle("1")
    play.settle("2")
    play.lost()
    assert play.counts() == {"3": 2, "4": 1}


def test_what_others_have_passed_counts_where_each_is_settled_by_itself(play: Play) -> None:
    play.publish("1", "2", "3", "4", "5", "6")
    play.take("client-individual")
    play.settle("4")
    play.settle("2")
    play.lost()
    assert play.counts() == {"1": 2, "3": 2, "5": 1, "6": 1}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_nack_passes_as_well_and_counts_itself(world: Any, version: str) -> None:
    play = Play(world, version)
    play.publish("1", "2", "3", "4")
    play.take("client-individual")
    play.settle("3", command="NACK")
    assert play.hear() == ["3"]
    play.lost()
    assert play.counts() == {"1": 2, "2": 2, "3": 2, "4": 1}


@pytest.mark.parametrize("ack", MODES)
def test_what_counted_stays_counted_where_it_is_spared(play: Play, ack: str) -> None:
    play.publish("1", "2", "3")
    play.take(ack)
    play.lost()
    for settled, before in (
        ("1", {"1": 2, "2": 1, "3": 1}),
        ("", {"2": 2, "3": 1}),
        ("2", {"2": 3, "3": 1}),
        ("", {"3": 2}),
        ("3", {"3": 3}),
    ):
        play = Play(play.world, play.version)
        play.take(ack)
        assert {body: int(frame["delivery-count"]) for (_, body), frame in play.names.items()} == before
        if settled:
            play.settle(settled)
        play.lost()
    assert play.counts() == {}


@pytest.mark.parametrize("ack", MODES)
def test_what_a_transaction_has_is_done_but_for_its_newest(play: Play, ack: str) -> None:
    play.publish("1", "2", "3", "4", "5")
    play.take(ack)
    play.client.send(b"BEGIN\ntransaction:t\n\n\0")
    for body in ("1", "2", "3"):
        play.settle(body, "t")
    play.lost()
    # It settles before it works, or after that.
    assert play.counts() == {"1": 1, "2": 1, "3": 2, "4": 2, "5": 1}


@pytest.mark.parametrize("ack", MODES)
def test_a_transaction_has_all_of_it(play: Play, ack: str) -> None:
    play.publish("1", "2", "3")
    play.take(ack)
    play.client.send(b"BEGIN\ntransaction:t\n\n\0")
    for body in ("1", "2", "3"):
        play.settle(body, "t")
    play.lost()
    assert play.counts() == {"1": 1, "2": 1, "3": 2}


@pytest.mark.parametrize("ack", MODES)
def test_transactions_that_ended(play: Play, ack: str) -> None:
    play.publish("1", "2", "3", "4")
    play.take(ack)
    for name, body, end in (("t", "1", "COMMIT"), ("u", "2", "ABORT"), ("v", "2", "COMMIT")):
        play.client.send(f"BEGIN\ntransaction:{name}\n\n\0".encode())
        play.settle(body, name)
        play.client.send(f"{end}\ntransaction:{name}\n\n\0".encode())
    play.lost()
    assert play.counts() == {"3": 2, "4": 1}


def test_two_workers_each_with_a_transaction(play: Play) -> None:
    play.publish("1", "2", "3", "4", "5")
    play.take("client-individual")
    for name, bodies in (("t", "13"), ("u", "2")):
        play.client.send(f"BEGIN\ntransaction:{name}\n\n\0".encode())
        for body in bodies:
            play.settle(body, name)
    play.lost()
    assert play.counts() == {"1": 1, "2": 2, "3": 2, "4": 2, "5": 1}


def test_what_came_back_by_abort_counts_where_nothing_is_behind_it(world: Any) -> None:
    play = Play(world, "1.2")
    play.publish("1", "2", "3")
    play.take("client")
    play.client.send(b"BEGIN\ntransaction:t\n\n\0")
    play.settle("2", "t")
    play.settle("3")
    play.client.send(b"ABORT\ntransaction:t\n\n\0")
    play.lost()
    assert play.counts() == {"1": 2, "2": 1}


@pytest.mark.parametrize("ack", MODES)
def test_each_subscription_of_a_connection(play: Play, ack: str) -> None:
    play.publish("1", "2", to="/queue/a")
    play.publish("3", "4", to="/queue/b")
    play.publish("5", "6", to="/queue/c")
    play.take(ack, "/queue/a", "x")
    play.take(ack, "/queue/b", "y")
    play.take("auto", "/queue/c", "z")
    play.settle("3", id="y")
    play.lost()
    assert play.counts("/queue/a") == {"1": 2, "2": 1}
    assert play.counts("/queue/b") == {"4": 2}
    assert play.counts("/queue/c") == {}


@pytest.mark.parametrize("ack", MODES)
@pytest.mark.parametrize("destination", ["/queue/p.*", "/queue/p.a,/queue/p.b"])
def test_a_subscription_to_several_queues_is_one(play: Play, ack: str, destination: str) -> None:
    for body, name in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")):
        play.publish(body, to=f"/queue/p.{name}")
    assert play.take(ack, destination) == ["1", "2", "3", "4"]
    play.settle("3")
    play.lost()
    first = {} if ack == "client" else {"1": 2, "2": 2}
    assert play.counts("/queue/p.a") == first
    assert play.counts("/queue/p.b") == {"4": 2 if ack == "client" else 1}


def test_after_unsubscribe(play: Play) -> None:
    play.publish("1", "2", "3")
    play.take("client-individual")
    play.settle("1")
    end = "destination:/queue/a\n" if play.version == "1.0" else "id:s\n"
    play.client.send(f"UNSUBSCRIBE\n{end}\n\0".encode())
    play.lost()
    assert play.counts() == {"2": 2, "3": 1}


def test_a_topic_has_nobody_to_come_back_to(play: Play) -> None:
    play.take("client", "/topic/t")
    play.publish("1", "2", to="/topic/t")
    assert play.hear() == ["1", "2"]
    play.settle("1")
    play.lost()
    assert play.counts("/topic/t") == {}


@pytest.mark.parametrize("ack", MODES)
def test_a_durable_subscription(play: Play, ack: str) -> None:
    name = "durable:true\nauto-delete:false\n"
    play.take(ack, "/topic/t", "d", name)
    play.publish("1", "2", "3", to="/topic/t")
    assert play.hear() == ["1", "2", "3"]
    play.settle("1", id="d")
    play.lost()
    play = Play(play.world, play.version)
    assert play.take(ack, "/topic/t", "d", name) == ["2", "3"]
    assert [play.names["d", body]["delivery-count"] for body in "23"] == ["2", "1"]


@pytest.mark.parametrize("ack", MODES)
def test_more_than_comes_back_at_once(play: Play, ack: str) -> None:
    bodies = [f"{number}" for number in range(2500)]
    play.publish(*bodies)
    assert play.take(ack) == bodies
    play.settle("0")
    play.lost()
    assert play.counts() == {"1": 2} | dict.fromkeys(bodies[2:], 1)


def test_a_selector_sees_what_was_delivered_and_what_counts(play: Play) -> None:
    play.publish("1", "2")
    play.take("client")
    play.lost()
    play.publish("3")
    for selector, found in (
        ("JMSXDeliveryCount > 1", ["1"]),
        ("JMSRedelivered AND JMSXDeliveryCount = 1", ["2"]),
        ("NOT JMSRedelivered", ["3"]),
    ):
        play = Play(play.world, play.version)
        assert play.take("auto", id="x", more=f"selector:{selector}\n") == found


def test_messages_that_are_written_in_another_way(play: Play) -> None:
    """Large ones, and those with headers of each way of writing."""
    sender = play.world.connect("1.2")
    sender.send(b"SEND\ndestination:/queue/a\nkey:a\\cb\n\n1\0")
    for body in (b"2" * 600, b"3" * 70000, b"4"):
        sender.publish("/queue/a", body)
    play.take("client-individual")
    play.lost()
    assert list(play.counts().values()) == [2, 1, 1, 1]
