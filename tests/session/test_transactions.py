"""Transactions: atomic, several at once, bounded."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.broker import Rules

VERSIONS = ("1.0", "1.1", "1.2")
BEGIN, COMMIT, ABORT = (command + b"\ntransaction:%b\n\n\0" for command in (b"BEGIN", b"COMMIT", b"ABORT"))


def send(transaction: bytes, body: bytes, destination: bytes = b"/queue/q") -> bytes:
    return b"SEND\ndestination:%b\ntransaction:%b\n\n%b\0" % (destination, transaction, body)


def waiting(world: Any) -> list[bytes]:
    queue = world.broker.queues.get("/queue/q")
    return [message.body for message in queue.ready] if queue is not None else []


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_visible_before_commit(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.send(BEGIN % b"t" + send(b"t", b"1") + b"SEND\ndestination:/queue/q\n\n0\0" + send(b"t", b"2"))
    assert waiting(world) == [b"0"]
    peer.send(COMMIT % b"t")
    assert waiting(world) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("version", VERSIONS)
def test_interleaved(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.send(
        BEGIN % b"t"
        + BEGIN % b"u"
        + send(b"t", b"1")
        + send(b"u", b"2")
        + send(b"t", b"3")
        + send(b"u", b"4")
    )
    peer.send(COMMIT % b"u" + ABORT % b"t")
    assert waiting(world) == [b"2", b"4"]
    peer.send(BEGIN % b"t" + send(b"t", b"5") + COMMIT % b"t")
    assert waiting(world) == [b"2", b"4", b"5"]
    assert peer.read() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_ids_are_of_the_connection(world: Any, version: str) -> None:
    peer, other = world.connect(version), world.connect(version)
    peer.send(BEGIN % b"t" + send(b"t", b"1"))
    other.fails(COMMIT % b"t")
    other = world.connect(version)
    other.send(BEGIN % b"t" + send(b"t", b"2") + COMMIT % b"t")
    assert waiting(world) == [b"2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (BEGIN % b"t", "already begun"),
        (COMMIT % b"u", "No such transaction"),
        (ABORT % b"u", "No such transaction"),
        (send(b"u", b""), "No such transaction"),
        (send(b"", b""), "No such transaction"),
        (b"ACK\nid:1-1\nmessage-id:1\nsubscription:s\ntransaction:u\n\n\0", "No such transaction"),
        (b"BEGIN\ntransaction:\n\n\0", "without transaction"),
    ],
)
def test_wrong_ids(world: Any, version: str, frame: bytes, message: str) -> None:
    peer = world.connect(version)
    peer.publish("/queue/p", b"")
    peer.subscribe("/queue/p", "client")
    peer.send(BEGIN % b"t" + send(b"t", b"1"))
    assert message in peer.fails(frame)["message"]
    peer.session.lost()
    assert waiting(world) == []


def test_an_unknown_transaction_is_wrong_even_where_the_ack_means_nothing(world: Any) -> None:
    peer = world.connect("1.1")
    peer.subscribe("/queue/q")
    peer.fails(b"ACK\nmessage-id:1\nsubscription:s\ntransaction:u\n\n\0")


@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE", "DISCONNECT"])
def test_the_header_means_nothing_elsewhere(world: Any, command: str) -> None:
    peer = world.connect("1.2")
    if command == "UNSUBSCRIBE":
        peer.subscribe("/queue/q")
    peer.get(f"{command}\nid:s\ndestination:/queue/q\ntransaction:none\nreceipt:r\n\n\0".encode())


def test_one_destination_that_may_not_be_fails_all(new_world: Any) -> None:
    world = new_world(Rules(bare="error"))
    peer = world.connect("1.2")
    peer.send(BEGIN % b"t" + send(b"t", b"1") + send(b"t", b"2", b"bare"))
    peer.fails(COMMIT % b"t")
    assert waiting(world) == []
    assert world.broker.memory.used == 0


def test_a_commit_is_one_batch(new_world: Any) -> None:
    """All of it in the ops between two drains, with one number for its receipt."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    peer.send(BEGIN % b"t" + send(b"t", b"1") + send(b"t", b"2", b"/queue/p"))
    assert world.broker.log.drain()[1] == []
    peer.send(COMMIT % b"t")
    assert [(op.queue, op.message.body) for op in world.broker.log.drain()[1]] == [
        ("/queue/q", b"1"),
        ("/queue/p", b"2"),
    ]


# Limits


@pytest.mark.parametrize("over", [False, True])
def test_how_many_may_be_open(new_world: Any, over: bool) -> None:
    peer = new_world(max_transactions=3).connect("1.2")
    for _ in range(5):
        peer.send(b"".join(BEGIN % name for name in (b"a", b"b", b"c")))
        peer.send(ABORT % b"b" + COMMIT % b"c" + ABORT % b"a")
    peer.send(b"".join(BEGIN % name for name in (b"a", b"b", b"c")))
    if over:
        error = peer.fails(BEGIN % b"d")
        assert b"max-transactions" in error.body
    assert peer.state == ("failed" if over else "connected")


@pytest.mark.parametrize("kind", ["SEND", "ACK"])
def test_how_many_frames_all_together(new_world: Any, kind: str) -> None:
    world = new_world(max_transaction_frames=4)
    peer = world.connect("1.2")
    peer.publish("/queue/p", b"", b"", b"", b"", b"")
    peer.subscribe("/queue/p", "client")
    peer.read()
    for _ in range(3):
        peer.send(
            BEGIN % b"t"
            + BEGIN % b"u"
            + send(b"t", b"1")
            + send(b"t", b"2")
            + send(b"u", b"3")
            + send(b"u", b"4")
        )
        peer.send(ABORT % b"t" + ABORT % b"u")
    assert peer.state == "connected"
    peer.send(BEGIN % b"t" + send(b"t", b"1") + send(b"t", b"2"))
    if kind == "SEND":
        peer.send(send(b"t", b"3") + send(b"t", b"4"))
        error = peer.fails(send(b"t", b"5"))
    else:
        error = peer.fails(b"ACK\nid:1-3\ntransaction:t\n\n\0")  # covers three deliveries
    assert b"max-transaction-frames" in error.body
    peer.session.lost()
    assert waiting(world) == []
    assert world.broker.memory.used == sum(m.size for m in world.broker.queues["/queue/p"].ready) + sum(
        m.size for _, m in world.broker.queues["/queue/p"].returned
    )


def test_how_many_bytes_all_together(new_world: Any) -> None:
    world = new_world(max_transaction_bytes=10_000)
    peer = world.connect("1.2")
    peer.send(BEGIN % b"t" + BEGIN % b"u" + send(b"t", b"x" * 4000))
    assert 4000 < world.broker.memory.used < 10_000, "what waits for COMMIT is counted"
    error = peer.fails(send(b"u", b"x" * 6000))
    assert b"max-transaction-bytes" in error.body
    peer.session.lost()
    assert world.broker.memory.used == 0
