"""stompman, and FastStream's broker on it, both of which connect again by themselves."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long
BODIES = ["one", "two", "long", "three", "four"]


@pytest.mark.parametrize("worker", ["work.py", "app.py"])
def test_sender_and_worker(start_broker: Any, start_program: Any, worker: str) -> None:
    """Both have a connection when the server is killed; the sender's receipts hold, and every result is there."""
    interpreter = python("stompman")
    broker = start_broker()
    sender = start_program(interpreter, HERE / "stompman/send.py", broker.port, "/queue/work")
    for body in BODIES:
        sender.say(body)
    sender.wait_for("^sent four$")  # a RECEIPT each, so all of them survive
    service = start_program(interpreter, HERE / "stompman" / worker, broker.port)
    service.wait_for("^working$")
    broker.die_and_return()
    service.say("go on")
    sender.say("last")
    sender.wait_for("^sent last$")
    sender.end()
    service.wait_for("^done last$")
    service.wait_for("^done long$", times=2)
    service.end(signal.SIGTERM)
    assert set(broker.take_all("/queue/results")) == {*BODIES, "last"}, service
    assert broker.take_all("/queue/work") == []


def test_a_handler_that_raises(start_broker: Any, start_program: Any) -> None:
    """stompman's NACK, with a limit of redeliveries: a dead letter that the server still has after its death."""
    interpreter = python("stompman")
    broker = start_broker("--max-redeliveries", "2")
    service = start_program(interpreter, HERE / "stompman/work.py", broker.port)
    service.wait_for("^serving$")
    broker.send("/queue/work", "bad")
    broker.wait_until_stored("/queue/deadletter", 1)
    broker.die_and_return()
    broker.send("/queue/work", "good")
    service.wait_for("^done good$")
    service.end(signal.SIGTERM)
    assert len(service.all("^refused (bad)$")) == 3
    ((dead, body),) = broker.take_frames("/queue/deadletter")
    assert (body, dead["original-destination"]) == ("bad", "/queue/work")
