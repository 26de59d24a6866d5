"""A receipt is a debt to a number of the log: paid when it is durable, in order, and ERROR comes after it."""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = ("1.0", "1.1", "1.2")


def receipts(replies: list[Any]) -> list[str]:
    return [reply["receipt-id"] if reply.command == "RECEIPT" else reply.command for reply in replies]


def ask(peer: Any, *frames: bytes) -> list[str]:
    return receipts(peer.ask(b"".join(frame + b"\0" for frame in frames)))


def test_a_receipt_waits_until_its_message_is_durable(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    marks = []
    for name in (b"a", b"b", b"c"):
        assert ask(peer, b"SEND\ndestination:/queue/q\nreceipt:" + name + b"\n\n") == []
        marks.append(world.broker.log.position)
    world.commit(marks[0] - 1)
    assert receipts(peer.read()) == []
    world.commit(marks[1])
    assert receipts(peer.read()) == ["a", "b"]
    world.commit()
    assert receipts(peer.read()) == ["c"]
    world.commit()
    assert peer.read() == []


def test_a_session_that_has_something_to_send_says_so(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    world.roster.dirty.clear()
    peer.session.noticed()
    ask(peer, b"SEND\ndestination:/queue/q\nreceipt:a\n\n")
    assert world.roster.dirty == []
    world.commit()
    assert world.roster.dirty == [peer.session]


def test_later_receipts_do_not_overtake(new_world: Any) -> None:
    """Not even of frames that leave nothing to wait for."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    assert ask(
        peer, b"SEND\ndestination:/topic/t\nreceipt:a\n\n", b"BEGIN\ntransaction:t\nreceipt:b\n\n"
    ) == ["a", "b"]
    assert ask(peer, b"SEND\ndestination:/queue/q\nreceipt:c\n\n") == []
    assert (
        ask(peer, b"SEND\ndestination:/topic/t\nreceipt:d\n\n", b"ABORT\ntransaction:t\nreceipt:e\n\n") == []
    )
    world.commit()
    assert receipts(peer.read()) == ["c", "d", "e"]


def test_an_error_comes_after_the_receipts_that_are_owed(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    frames = (
        b"SEND\ndestination:/queue/q\nreceipt:a\n\n\0SEND\nreceipt:b\n\n\0SEND\ndestination:/queue/q\n\n\0"
    )
    assert peer.ask(frames) == []
    assert peer.state == "failed"
    assert not peer.session.closing
    world.commit()
    replies = peer.read()
    assert receipts(replies) == ["a", "ERROR"]
    assert replies[1]["receipt-id"] == "b"
    assert peer.session.closing
    assert world.broker.queues["/queue/q"].waiting == 1, "nothing after the bad frame is processed"


@pytest.mark.parametrize("receipt", [True, False])
def test_disconnect_is_the_last_word(new_world: Any, receipt: bool) -> None:
    """All before it is durable when the connection closes, also without a receipt of its own."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    end = b"DISCONNECT\nreceipt:end\n\n" if receipt else b"DISCONNECT\n\n"
    assert ask(peer, b"SEND\ndestination:/queue/q\nreceipt:a\n\n", end) == []
    assert not peer.session.closing
    world.commit()
    assert receipts(peer.read()) == ["a", "end"] if receipt else ["a"]
    assert peer.session.closing


def test_an_end_of_stream_does_not_cut_what_is_owed(new_world: Any) -> None:
    """A client may half-close after its last SEND and wait for the receipt."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/q\nreceipt:a\n\n\0SEND\ndestination:/queue/q\n\ntorn")
    peer.session.end_of_stream()
    assert not peer.session.closing
    world.commit()
    assert receipts(peer.read()) == ["a"]
    assert peer.session.closing
    assert world.broker.queues["/queue/q"].waiting == 1


def test_who_is_gone_is_owed_nothing(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    ask(peer, b"SEND\ndestination:/queue/q\nreceipt:a\n\n")
    peer.session.lost()
    world.commit()
    assert peer.take() == b""
    assert world.broker.queues["/queue/q"].waiting == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subscription_is_confirmed_before_its_backlog(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.publish("/queue/q", b"1")
    commands = ask(peer, b"SUBSCRIBE\nid:s\ndestination:/queue/q\nreceipt:a\n\n")
    assert commands == ["a", "MESSAGE"]


def test_each_frame_of_a_transaction_has_one_and_commit_its_own(new_world: Any) -> None:
    world = new_world(recording=True)
    peer = world.connect("1.2")
    first = ask(
        peer,
        b"BEGIN\ntransaction:t\nreceipt:begin\n\n",
        b"SEND\ndestination:/queue/q\ntransaction:t\nreceipt:send\n\n",
    )
    assert first == ["begin", "send"]
    assert ask(peer, b"COMMIT\ntransaction:t\nreceipt:commit\n\n") == []
    world.commit()
    assert receipts(peer.read()) == ["commit"]


@pytest.mark.parametrize(
    ("version", "sent", "back"),
    [
        ("1.0", b"", b""),
        ("1.0", b" a b ", b"a b"),
        ("1.0", b"\\n\\c:\\\\", b"\\n\\c:\\\\"),
        ("1.0", b"\xff", b"\xff"),
        ("1.1", b" a ", b" a "),
        ("1.1", b"\\n\\c:\\\\", b"\\n\\c\\c\\\\"),
        ("1.2", b"\\r\\n\\c\\\\n", b"\\r\\n\\c\\\\n"),
        ("1.2", "äöü€😀".encode(), "äöü€😀".encode()),
        ("1.2", "٣".encode(), "٣".encode()),
        ("1.2", b"x" * 60_000, b"x" * 60_000),
    ],
)
def test_the_value_comes_back_exactly(world: Any, version: str, sent: bytes, back: bytes) -> None:
    """As the version writes it: never another header line."""
    peer = world.connect(version)
    peer.send(b"SEND\ndestination:/queue/q\nreceipt:" + sent + b"\nreceipt:second\n\n\0")
    assert peer.take() == b"RECEIPT\nreceipt-id:" + back + b"\n\n\0\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_only_the_frame_that_failed_is_named(world: Any, version: str) -> None:
    peer = world.connect(version)
    peer.get(b"SEND\ndestination:/queue/q\nreceipt:good\n\n\0")
    error = peer.fails(b"\x01")
    assert not error.has("receipt-id")


def test_a_receipt_on_connect_asks_for_no_frame(world: Any) -> None:
    peer = world.stranger()
    reply = peer.get(b"CONNECT\naccept-version:1.2\nhost:h\nreceipt:r\n\n\0", "CONNECTED")
    assert reply["receipt-id"] == "r"
    assert not peer.fails(b"\x01").has("receipt-id")


@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_an_ack_of_what_a_topic_sent_leaves_nothing_to_wait_for(new_world: Any, mode: str) -> None:
    """Nothing of a topic's subscription is logged, so its receipt comes at once, however many came before."""
    world = new_world(recording=True)
    peer = world.connect("1.2")
    peer.ask(f"SUBSCRIBE\nid:1\ndestination:/topic/t\nack:{mode}\n\n\0".encode())
    for round in range(3):
        (message,) = peer.ask(b"SEND\ndestination:/topic/t\n\n\0")
        ack = f"ACK\nid:{message['ack']}\nreceipt:{round}\n\n".encode()
        assert ask(peer, ack) == [str(round)]
