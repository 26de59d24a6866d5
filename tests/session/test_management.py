"""Who may manage the server by frames, and what is owed to those who do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

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
    client = new_world(management=access).connect("1.2")
    client.session.local = local
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
    client = world.connect("1.2")
    client.session.local = True
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
    client = new_world().connect("1.2")
    client.session.local = True
    frame = f"SEND\ndestination:{MANAGEMENT}\naction:queues\nreply-to:{reply}\n\n\0"
    assert said in client.fails(frame.encode())["message"]


def test_without_reply_to_it_is_done_in_silence(new_world: Callable[..., Any]) -> None:
    world = new_world()
    client = world.connect("1.2")
    client.session.local = True
    frame = f"SEND\ndestination:{MANAGEMENT}\naction:pause\nqueue:a\nreceipt:r\n\n\0"
    assert [reply.command for reply in client.ask(frame.encode())] == ["RECEIPT"]
    assert world.broker.queues["/queue/a"].paused
