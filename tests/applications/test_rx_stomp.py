"""rx-stomp over its TCP wrapper, from the registry of npm: observables that outlive a connection."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from environments import node

pytestmark = pytest.mark.long
BODIES = ["one", "two", "long", "three", "four"]


def test_worker_and_requester(start_broker: Any, start_program: Any) -> None:
    """Both have a connection when the server is killed; receipts hold, and requests are answered afterwards."""
    room = node("rx_stomp")
    interpreter = shutil.which("node")
    broker = start_broker()
    requester = start_program(interpreter, room / "requester.mjs", broker.port)
    requester.wait_for("^connected$")
    for body in BODIES:
        requester.say(f"send {body}")
    requester.wait_for("^sent four$")
    worker = start_program(interpreter, room / "worker.mjs", broker.port)
    requester.say("ask before")
    requester.wait_for("^answer to before$")
    worker.wait_for("^working$")
    broker.die_and_return()
    worker.say("go on")
    for program in (requester, worker):
        program.wait_for("^connected$", times=2)
    requester.say("ask after")
    requester.wait_for("^answer to after$")
    requester.say("send last")
    worker.wait_for("^done last$")
    requester.end()
    worker.end()
    assert worker.all("^error (.*)") + requester.all("^error (.*)") == []
    assert set(broker.take_all("/queue/results")) == {*BODIES, "last"}, worker
    assert broker.take_all("/queue/work") == []
