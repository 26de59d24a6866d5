"""Who may manage the server by frames, and what is owed to those who do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.slices import BUDGET

MANAGEMENT = "/queue/stompserver.management"
QUESTION = f"SEND\ndestination:{MANAGEMENT}\naction:%s\nreply-to:/queue/answers\n%s\n\0"


@pytest.mark.parametrize(
    ("access", "local", "may"),
    [
        ("local", True, True),
        ("local", False, False),
        ("all", False, True),
        ("off", True, False),
        ("off", False, False),
    ],
)
def test_who_may(new_world: Callable[..., Any], access: str, local: bool, may: bool) -> None:
    client = new_world(management=access).connect("1.2", local=local)
    client.subscribe("/queue/answers")
    question = (QUESTION % ("queues", "")).encode()
    if may:
        (answer,) = client.ask(question)
        assert json.loads(answer.body)["action"] == "queues"
    else:
        assert client.fails(question)["message"] == "You may not manage this server"


@pytest.mark.parametrize(
    "destination", ["ActiveMQ.Scheduler.Management", "/topic/ActiveMQ.Scheduler.Management"]
)
def test_the_scheduler_is_no_other_way_in(new_world: Callable[..., Any], destination: str) -> None:
    client = new_world(management="off").connect("1.2")
    frame = f"SEND\ndestination:{destination}\nAMQ_SCHEDULER_ACTION:REMOVEALL\n\n\0"
    assert client.fails(frame.encode())["message"] == "You may not manage this server"


def test_the_answer_waits_until_all_is_durable(new_world: Callable[..., Any]) -> None:
    world = new_world(recording=True)
    client = world.connect("1.2", local=True)
    client.subscribe("/queue/answers")
    world.commit()
    client.read()
    client.send((QUESTION % ("pause", "queue:/queue/a\n")).encode())
    assert client.read() == []
    world.commit()
    (answer,) = client.read()
    assert json.loads(answer.body) == {"action": "pause", "queue": "/queue/a", "paused": True}


@pytest.mark.parametrize(
    ("reply", "said"),
    [("/queue/", "has no name"), ("$stompserver/x", "the server's own")],
)
def test_an_answer_needs_a_place(new_world: Callable[..., Any], reply: str, said: str) -> None:
    client = new_world().connect("1.2", local=True)
    frame = f"SEND\ndestination:{MANAGEMENT}\naction:queues\nreply-to:{reply}\n\n\0"
    assert said in client.fails(frame.encode())["message"]


def test_without_reply_to_it_is_done_in_silence(new_world: Callable[..., Any]) -> None:
    world = new_world()
    client = world.connect("1.2", local=True)
    frame = f"SEND\ndestination:{MANAGEMENT}\naction:pause\nqueue:a\nreceipt:r\n\n\0"
    assert [reply.command for reply in client.ask(frame.encode())] == ["RECEIPT"]
    assert world.broker.queues["/queue/a"].paused


CANCELS = [
    f"SEND\ndestination:{MANAGEMENT}\naction:schedule-cancel\nall:true\nreceipt:all\n\n\0",
    "SEND\ndestination:ActiveMQ.Scheduler.Management\nAMQ_SCHEDULER_ACTION:REMOVEALL\nreceipt:all\n\n\0",
]


@pytest.fixture
def scheduled(new_world: Callable[..., Any]) -> Any:
    """A world with more messages for later than one slice of work has."""
    world = new_world()
    client = world.connect("1.2", local=True)
    world.broker.tick(1_000_000)
    for _ in range(BUDGET + 1):
        client.send(b"SEND\ndestination:/queue/later\nAMQ_SCHEDULED_DELAY:5000\n\n\0")
    return world


@pytest.mark.parametrize("cancel", CANCELS)
def test_the_receipt_waits_until_all_slices_are_done(scheduled: Any, cancel: str) -> None:
    (client,) = scheduled.peers
    later = b"SEND\ndestination:/queue/a\nreceipt:later\n\n\0"
    assert [reply["receipt-id"] for reply in client.ask(cancel.encode() + later)] == ["later"]
    assert len(scheduled.broker.schedule.entries) == 1
    scheduled.broker.tick(1_000_001)
    assert not scheduled.broker.schedule.entries
    assert [reply["receipt-id"] for reply in client.read()] == ["all"]


@pytest.mark.parametrize(
    ("last", "heard"),
    [("DISCONNECT\nreceipt:last\n\n\0", "RECEIPT"), ("UNKNOWN\nreceipt:last\n\n\0", "ERROR")],
)
@pytest.mark.parametrize("cancel", CANCELS)
def test_who_left_gets_no_receipt_and_it_is_done(scheduled: Any, cancel: str, last: str, heard: str) -> None:
    (client,) = scheduled.peers
    (reply,) = client.ask((cancel + last).encode())
    assert (reply.command, reply["receipt-id"]) == (heard, "last")
    client.session.lost()
    scheduled.broker.tick(1_000_001)
    assert not scheduled.broker.schedule.entries
    assert client.read() == []


# One at a time


LIST = f"SEND\ndestination:{MANAGEMENT}\naction:queues\nreply-to:/queue/r\nlimit:1\ncorrelation-id:{{}}\n"


@pytest.fixture
def crowd(new_world: Callable[..., Any]) -> Any:
    """A broker with so many queues that a list of them takes several slices; ``turn`` does one, and lets the sessions
    go on.
    """
    world = new_world()
    client = world.connect("1.2", local=True)
    for number in range(3 * BUDGET):
        client.publish(f"/queue/{number}", b"x")
    client.subscribe("/queue/r")
    world.now = 1_000_000

    def turn() -> None:
        world.now += 1
        world.broker.tick(world.now)
        for peer in world.peers:
            peer.send(b"")

    world.turn = turn
    return world


def test_a_second_list_waits_for_the_first_and_nothing_else_does(crowd: Any) -> None:
    (client,) = crowd.peers
    other = "SEND\ndestination:/topic/nobody\nreceipt:other\n\n\0"
    client.send((LIST.format(1) + "receipt:a\n\n\0" + other).encode())
    assert [reply["receipt-id"] for reply in client.read()] == ["other"]
    client.send((LIST.format(2) + "receipt:b\n\nbody\0" + other + other).encode())
    assert client.session.more
    assert client.session.busy
    assert client.read() == []
    seen: list[str] = []
    for _ in range(20):
        crowd.turn()
        seen += [r["receipt-id"] if r.command == "RECEIPT" else r["correlation-id"] for r in client.read()]
    assert seen == ["1", "a", "other", "other", "2", "b"]
    assert not client.session.more


def test_what_comes_while_a_frame_waits_comes_behind_it(crowd: Any) -> None:
    (client,) = crowd.peers
    packet = LIST.format(1) + "\n\0" + LIST.format(2) + "\n\0SEND\ndestination:/topic/t\nreceipt:1\n\nbody"
    client.send(packet.encode())
    client.send(b"\0SEND\ndestination:/topic/t\nreceipt:2\n\n\0SEND\ndest")
    assert client.session.unfinished >= len("\0SEND\ndestination:/topic/t\nreceipt:2\n\n\0SEND\ndest")
    seen: list[str] = []
    for _ in range(20):
        crowd.turn()
        seen += [r["receipt-id"] if r.command == "RECEIPT" else r["correlation-id"] for r in client.read()]
    assert seen == ["1", "1", "2", "2"]
    client.send(b"ination:/topic/t\nreceipt:3\n\n\0")
    assert [reply["receipt-id"] for reply in client.read()] == ["3"]


def test_one_that_leaves_while_a_frame_waits(crowd: Any) -> None:
    (client,) = crowd.peers
    client.send((LIST.format(1) + "\n\0" + LIST.format(2) + "\n\0").encode())
    client.session.end_of_stream()
    assert not client.session.more
    client.session.lost()
    for _ in range(20):
        crowd.turn()
    assert crowd.broker.deadlines.next() is None
