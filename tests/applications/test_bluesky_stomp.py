"""bluesky-stomp takes a reply destination apart into two levels, and answers to `/reply-queue/` only."""

from __future__ import annotations

from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long


def test_request_and_reply(start_broker: Any, start_program: Any) -> None:
    """Requests are answered before the server is killed and after it; what nobody had read is read then."""
    interpreter = python("bluesky_stomp")
    broker = start_broker()
    requester = start_program(interpreter, HERE / "bluesky_stomp/requester.py", broker.port)
    requester.wait_for("^ready$")
    worker = start_program(interpreter, HERE / "bluesky_stomp/worker.py", broker.port)
    worker.wait_for("^serving$")
    requester.say("one")
    requester.wait_for("^answer to one$")
    worker.end()
    requester.say("tell two")
    broker.wait_until_stored("/queue/requests", 1)
    broker.die_and_return()

    worker = start_program(interpreter, HERE / "bluesky_stomp/worker.py", broker.port)
    worker.wait_for("^asked two$")
    broker.wait_for_log(
        "(?s)(Connected 127.0.0.1 with STOMP 1.1.*){2}"
    )  # the requester has come back as well
    requester.say("three")
    requester.wait_for("^answer to three$")
    requester.kill()  # its `disconnect` never returns after it has connected again by itself
    worker.end()
    assert worker.all("^asked (.*)") == ["two", "three"]
