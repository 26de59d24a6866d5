"""Which deliveries an ACK or NACK settles, in each version and together with open transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.message import Message
from stompserver.broker.slices import BUDGET

VERSIONS = ("1.0", "1.1", "1.2")
FROM_1_1 = ("1.1", "1.2")


def settle(version: str, number: int, command: str = "ACK", id: str = "s", more: str = "") -> bytes:
    """An ACK of the delivery with that message-id, where all before it were the peer's; no other has had any yet."""
    if version == "1.2":
        return f"{command}\nid:1-{number}\n{more}\n\0".encode()
    return f"{command}\nmessage-id:{number}\nsubscription:{id}\n{more}\n\0".encode()


def unsettled(peer: Any) -> list[int]:
    return sorted(delivery.message.number for delivery in peer.session.deliveries.values())


def left(world: Any, name: str = "/queue/q") -> int:
    queue = world.broker.queues[name]
    return int(queue.waiting + queue.unacked)


def start(world: Any, version: str, ack: str, count: int = 5) -> Any:
    """A peer with ``count`` deliveries, numbered from 1, and room for more."""
    peer = world.connect(version)
    peer.subscribe("/queue/q", ack, more="prefetch-count:100\n")
    peer.publish("/queue/q", *(b"%d" % n for n in range(1, count + 1)))
    assert len(peer.messages()) == count
    return peer


@pytest.mark.parametrize("version", VERSIONS)
def test_individual_settles_one(world: Any, version: str) -> None:
    peer = start(world, version, "client-individual")
    peer.send(settle(version, 3))
    assert unsettled(peer) == [1, 2, 4, 5]
    peer.send(settle(version, 5) + settle(version, 1))
    assert unsettled(peer) == [2, 4]
    assert left(world) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_client_settles_all_before(world: Any, version: str) -> None:
    peer = start(world, version, "client")
    peer.send(settle(version, 3))
    assert unsettled(peer) == [4, 5]
    peer.send(settle(version, 5))
    assert unsettled(peer) == []
    assert left(world) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_cumulative_does_not_reach_other_subscriptions(world: Any, version: str) -> None:
    peer = world.connect(version)
    for id in ("s", "t"):
        peer.subscribe(f"/queue/{id}", "client", id=id, more="prefetch-count:100\n")
    for id in "stst":
        peer.publish(f"/queue/{id}", b"")
    peer.send(settle(version, 4, id="t"))
    assert unsettled(peer) == [1, 3]
    assert (left(world, "/queue/s"), left(world, "/queue/t")) == (2, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_late_ack_when_the_selector_is_gone(world: Any, version: str) -> None:
    peer, other = world.connect(version), world.connect(version)
    peer.subscribe("/queue/q", "client-individual", more="prefetch-count:10\nselector:c = '1'\n")
    other.subscribe("/queue/q", "client-individual", more="prefetch-count:10\nselector:c = '2'\n")
    for value in (1, 1, 2, 3):
        peer.send(f"SEND\ndestination:/queue/q\nc:{value}\n\nx\0".encode())
    first, second = peer.read()
    (third,) = other.read()
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    for each, message in ((other, third), (peer, first), (peer, second)):
        name = "id:" + message["ack"] if version == "1.2" else "message-id:" + message["message-id"]
        assert each.ask(f"ACK\n{name}\nsubscription:s\n\n\0".encode()) == []
    assert left(world) == 1


@pytest.mark.parametrize("ack", ["client", "client-individual"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_fits_several_topics_of_one_subscription(world: Any, version: str, ack: str) -> None:
    peer = world.connect(version)
    peer.subscribe("/topic/a,/topic/*,/topic/>", ack)
    peer.publish("/topic/a", b"x", b"y")
    messages = peer.read()
    assert len(messages) == 6
    for message in messages[-1:] if ack == "client" else messages:
        name = "id:" + message["ack"] if version == "1.2" else "message-id:" + message["message-id"]
        peer.send(f"ACK\n{name}\nsubscription:s\n\n\0".encode())
    if ack == "client" and version != "1.2":
        # What ACK calls so is the oldest delivery of that message.
        for _ in range(2):
            peer.send(f"ACK\n{name}\nsubscription:s\n\n\0".encode())
    assert [reply.command for reply in peer.read()] == []
    assert not peer.session.deliveries
    assert not peer.session.twins


def test_what_came_back_is_behind_what_was_settled(world: Any) -> None:
    """A cumulative ACK covers what was delivered before, in the order of the deliveries, not of the messages."""
    peer = start(world, "1.2", "client", 3)
    peer.send(settle("1.2", 1, "NACK"))
    (again,) = peer.read()
    assert (again["message-id"], again["ack"], again["redelivered"]) == ("1", "1-4", "true")
    peer.send(settle("1.2", 3))
    assert unsettled(peer) == [1]
    peer.send(settle("1.2", 4))
    assert left(world) == 0


@pytest.mark.parametrize("version", FROM_1_1)
def test_cumulative_nack_keeps_the_order(world: Any, version: str) -> None:
    peer = start(world, version, "client")
    peer.send(settle(version, 3, "NACK"))
    replies = peer.read()
    assert [r.body for r in replies] == [b"1", b"2", b"3"]
    assert all(r["redelivered"] == "true" for r in replies)
    assert unsettled(peer) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("version", FROM_1_1)
@pytest.mark.parametrize("word", ["false", "False", "0", "no"])
def test_nack_without_requeue(world: Any, version: str, word: str) -> None:
    peer = start(world, version, "client")
    peer.send(settle(version, 2, "NACK", more=f"requeue:{word}\n"))
    assert peer.read() == []
    assert unsettled(peer) == [3, 4, 5]
    assert [m.body for m in world.broker.queues["/queue/dead"].ready] == [b"1", b"2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ack", ["client", "client-individual"])
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_unknown_settled_and_foreign_ids(new_world: Any, version: str, ack: str, command: str) -> None:
    """Nothing else is settled by them, and what was not settled is delivered to the next one."""
    if (version, command) == ("1.0", "NACK"):
        return
    for number in (2, 7, 99):
        world = new_world()
        peer = start(world, version, ack, 3)
        other = world.connect(version)
        other.subscribe("/queue/other", ack)
        for _ in range(4):
            other.publish("/queue/other", b"")
        peer.send(settle(version, 2))
        before = unsettled(peer)
        error = peer.fails(settle(version, number, command, more="receipt:r\n"))
        assert command in error["message"]
        assert error["receipt-id"] == "r"
        assert unsettled(peer) == before
        peer.session.lost()
        assert left(world) == len(before)
        assert len(unsettled(other)) == (1 if (version, ack) == ("1.0", "client") else 4)


def test_the_wrong_subscription(world: Any) -> None:
    peer = start(world, "1.1", "client")
    peer.subscribe("/queue/other", "client", id="t")
    assert "ACK" in peer.fails(settle("1.1", 1, id="t"))["message"]


def test_1_2_looks_at_id_only(world: Any) -> None:
    peer = start(world, "1.2", "client-individual")
    peer.send(b"ACK\nmessage-id:5\nsubscription:none\nid:1-2\n\n\0")
    assert unsettled(peer) == [1, 3, 4, 5]
    error = peer.fails(b"ACK\nmessage-id:5\nsubscription:s\nid:1-2\n\n\0")
    assert b"message-id" in error.body


def test_1_0_looks_for_the_message_on_the_whole_connection(world: Any) -> None:
    """The oldest subscription that has it: a topic gives the same message to several."""
    peer = world.connect("1.2")
    old = world.connect("1.0")
    for id in ("a", "b"):
        peer.subscribe("/topic/t", "client-individual", id=id)
    old.subscribe("/queue/a", "client", id="a")
    old.subscribe("/queue/b", "client", id="a")
    old.publish("/queue/b", b"1")
    old.publish("/queue/a", b"2")
    assert old.messages() == [b"1", b"2"]
    old.send(b"ACK\nmessage-id:1\n\n\0")
    assert unsettled(old) == [2]
    old.send(b"ACK\nmessage-id: 2 \n\n\0")
    assert unsettled(old) == []
    old.fails(b"ACK\nmessage-id:2\n\n\0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("auto", [False, True])
def test_a_late_ack_after_unsubscribe(world: Any, version: str, auto: bool) -> None:
    """Also beside an ack:auto subscription, whose ACKs mean nothing."""
    peer = start(world, version, "client-individual", 3)
    if auto:
        peer.subscribe("/queue/other", "auto", id="t")
    peer.get(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
    peer.publish("/queue/q", b"4")
    assert peer.read() == []
    peer.send(settle(version, 2))
    assert peer.state == "connected"
    assert left(world) == 3
    other = world.connect(version)
    other.subscribe("/queue/q")
    assert other.messages() == [b"4"]
    peer.session.lost()
    assert other.messages() == [b"1", b"3"]


@pytest.mark.parametrize("version", FROM_1_1)
def test_a_late_cumulative_ack(world: Any, version: str) -> None:
    peer = start(world, version, "client", 3)
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0" + settle(version, 3))
    assert left(world) == 0
    assert peer.state == "connected"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("strict", [False, True])
def test_an_ack_of_an_auto_delivery(new_world: Any, version: str, strict: bool) -> None:
    world = new_world(strict=strict)
    peer = world.connect(version)
    peer.subscribe("/queue/q")
    peer.publish("/queue/q", b"1")
    assert peer.messages() == [b"1"]
    peer.send(settle(version, 1))
    assert peer.state == ("failed" if strict else "connected")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_monitor_needs_none_but_takes_them(new_world: Any, version: str) -> None:
    """As in the original; 1.2 clients get an ack header because they asked for one."""
    world = new_world(strict=True)
    peer = world.connect(version)
    peer.subscribe("/queue/monitor", "client")
    for _ in range(3):
        world.broker.send(Message("/queue/monitor", {}, b"report", 6))
    replies = peer.read()
    assert len(replies) == 3
    assert [r.has("ack") for r in replies] == [version == "1.2"] * 3
    for reply in replies:
        ack = (
            f"id:{reply['ack']}" if version == "1.2" else f"message-id:{reply['message-id']}\nsubscription:s"
        )
        peer.send(f"ACK\n{ack}\n\n\0".encode())
    assert peer.state == "connected"
    assert unsettled(peer) == []


def test_ack_headers(world: Any) -> None:
    """1.2 with ack:client or client-individual has one, unique on the connection; nothing else has."""
    peer = world.connect("1.2")
    for id, ack in (("a", "auto"), ("b", "client"), ("c", "client-individual")):
        peer.subscribe("/topic/t", ack, id=id)
    peer.publish("/topic/t", b"1", b"2")
    replies = peer.read()
    assert [r["subscription"] for r in replies if not r.has("ack")] == ["a", "a"]
    names = [r["ack"] for r in replies if r.has("ack")]
    assert len(set(names)) == 4
    assert len({r["message-id"] for r in replies}) == 2
    for version in ("1.0", "1.1"):
        other = world.connect(version)
        other.subscribe("/topic/t", "client")
        peer.publish("/topic/t", b"3")
        assert [r.has("ack") for r in other.read()] == [False]


# With transactions


def begin(peer: Any, *names: str) -> None:
    for name in names:
        peer.send(f"BEGIN\ntransaction:{name}\n\n\0".encode())


def end(peer: Any, command: str, name: str = "t") -> None:
    peer.send(f"{command}\ntransaction:{name}\n\n\0".encode())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_an_ack_in_a_transaction_waits_for_commit(world: Any, version: str, ack: str) -> None:
    peer = start(world, version, ack)
    begin(peer, "t")
    peer.send(settle(version, 3, more="transaction:t\n"))
    assert unsettled(peer) == [1, 2, 3, 4, 5]
    end(peer, "COMMIT")
    assert unsettled(peer) == ([4, 5] if ack == "client" else [1, 2, 4, 5])
    assert peer.state == "connected"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_abort_makes_the_ids_valid_again(world: Any, version: str, ack: str) -> None:
    peer = start(world, version, ack)
    begin(peer, "t")
    peer.send(settle(version, 3, more="transaction:t\n"))
    end(peer, "ABORT")
    peer.send(settle(version, 3))
    assert unsettled(peer) == ([4, 5] if ack == "client" else [1, 2, 4, 5])
    assert peer.state == "connected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_delivery_is_settled_in_one_place(new_world: Any, version: str) -> None:
    """Neither outside nor in another transaction as long as one holds it."""
    for more in ("", "transaction:t\n", "transaction:u\n"):
        world = new_world()
        peer = start(world, version, "client-individual")
        begin(peer, "t", "u")
        peer.send(settle(version, 3, more="transaction:t\n"))
        error = peer.fails(settle(version, 3, more=more))
        assert "transaction" in error["message"]
        peer.session.lost()
        assert left(world) == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cumulative_ack_passes_over_what_a_transaction_holds(world: Any, version: str) -> None:
    peer = start(world, version, "client", 6)
    begin(peer, "t", "u")
    peer.send(settle(version, 2, more="transaction:t\n"))
    peer.send(settle(version, 4, more="transaction:u\n"))
    peer.send(settle(version, 5))
    assert unsettled(peer) == [1, 2, 3, 4, 6]
    end(peer, "ABORT")
    assert unsettled(peer) == [1, 2, 3, 4, 6]
    peer.send(settle(version, 2))
    assert unsettled(peer) == [3, 4, 6]
    end(peer, "COMMIT", "u")
    assert unsettled(peer) == [6]
    peer.send(settle(version, 6))
    assert left(world) == 0
    assert peer.state == "connected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cumulative_ack_in_a_transaction_covers_what_was_sent_before_it(world: Any, version: str) -> None:
    peer = start(world, version, "client", 3)
    begin(peer, "t")
    peer.send(settle(version, 3, more="transaction:t\n"))
    peer.publish("/queue/q", b"4", b"5")
    end(peer, "COMMIT")
    assert unsettled(peer) == [4, 5]


@pytest.mark.parametrize("version", FROM_1_1)
def test_a_nack_in_a_transaction(world: Any, version: str) -> None:
    """What comes back at COMMIT is delivered at once, in 1.1 under the name of the delivery that failed."""
    peer = start(world, version, "client-individual", 3)
    begin(peer, "t")
    peer.send(settle(version, 1, "NACK", more="transaction:t\n"))
    peer.send(settle(version, 2, "ACK", more="transaction:t\n"))
    assert peer.read() == []
    end(peer, "COMMIT")
    (again,) = peer.read()
    assert (again["message-id"], again["redelivered"]) == ("1", "true")
    assert unsettled(peer) == [1, 3]
    peer.send(settle(version, 4 if version == "1.2" else 1))
    assert unsettled(peer) == [3]
    assert left(world) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_commit_that_fails_settles_nothing(new_world: Any, version: str) -> None:
    """When the connection is gone, all of them come back."""
    world = new_world(Rules(bare="error"))
    peer = start(world, version, "client", 3)
    begin(peer, "t")
    peer.send(settle(version, 2, more="transaction:t\n"))
    peer.send(b"SEND\ndestination:/queue/q\ntransaction:t\n\n4\0SEND\ndestination:bare\ntransaction:t\n\n\0")
    error = peer.fails(b"COMMIT\ntransaction:t\nreceipt:r\n\n\0")
    assert error["receipt-id"] == "r"
    peer.session.lost()
    other = world.connect(version)
    other.subscribe("/queue/q")
    assert other.messages() == [b"1", b"2", b"3"]
    assert world.broker.memory.used == 0


@pytest.mark.parametrize("ending", ["lost", "disconnect", "error"])
def test_the_end_aborts_open_transactions(world: Any, ending: str) -> None:
    peer = start(world, "1.2", "client", 3)
    begin(peer, "t")
    peer.send(settle("1.2", 2, more="transaction:t\n"))
    peer.send(b"SEND\ndestination:/queue/q\ntransaction:t\n\nnever\0")
    if ending != "lost":
        peer.send(b"DISCONNECT\n\n\0" if ending == "disconnect" else b"\x01")
    peer.session.lost()
    peer.session.lost()
    other = world.connect("1.2")
    other.subscribe("/queue/q")
    assert other.messages() == [b"1", b"2", b"3"]
    assert world.broker.memory.used == 0


def test_what_is_settled_is_not_kept(world: Any) -> None:
    """A transaction that holds the first delivery for ever does not make the session remember all others."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/q", "client", more="prefetch-count:10\n")
    peer.publish("/queue/q", b"held")
    begin(peer, "t")
    peer.send(settle("1.2", 1, more="transaction:t\n"))
    (subscription,) = peer.session.subscriptions.values()
    for number in range(2, 2000):
        peer.publish("/queue/q", b"x")
        peer.send(settle("1.2", number))
        assert len(subscription.order.deliveries) <= 200
    peer.read()
    assert unsettled(peer) == [1]
    end(peer, "COMMIT")
    assert left(world) == 0


@pytest.mark.parametrize("requeue", ["true", "false"])
def test_a_nack_of_very_many_is_done_in_slices(new_world: Callable[..., Any], requeue: str) -> None:
    """Its RECEIPT comes when all are back, or dead letters; what is sent meanwhile is done meanwhile."""
    world = new_world()
    client = world.connect("1.1")
    count = 3 * BUDGET
    client.publish("/queue/a", *[b"%d" % number for number in range(count)])
    client.subscribe("/queue/a", "client", more="prefetch-count:0\n")
    replies = client.read()
    assert len(replies) == count
    client.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    name = replies[-1]["message-id"]
    nack = f"NACK\nsubscription:s\nmessage-id:{name}\nrequeue:{requeue}\nreceipt:nack\n\n\0"
    client.send((nack + "SEND\ndestination:/queue/a\nreceipt:send\n\nnew\0").encode())
    other = world.connect("1.1")
    other.subscribe("/queue/a", id="o")
    other.subscribe("/queue/dead", id="d")
    seen = other.messages()
    assert len(seen) < count
    assert [reply["receipt-id"] for reply in client.read()] == ["send"]
    for _ in range(10):
        world.broker.tick(world.broker.now + 1)
    assert [reply["receipt-id"] for reply in client.read()] == ["nack"]
    expected = [b"%d" % number for number in range(count)]
    seen += other.messages()
    if requeue == "true":
        assert seen == [*expected, b"new"]
    else:
        assert [body for body in seen if body != b"new"] == expected
