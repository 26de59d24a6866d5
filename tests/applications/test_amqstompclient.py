"""Two workers of one module on amqstompclient have the same client-id; neither may push the other out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long


def test_two_workers_of_one_module(start_broker: Any, start_program: Any) -> None:
    """Both have a message in work when the server is killed, and go on by turns when they are connected again."""
    interpreter = python("amqstompclient")
    broker = start_broker()
    workers = [
        start_program(interpreter, HERE / "amqstompclient/worker.py", name, broker.port) for name in "ab"
    ]
    for worker in workers:
        worker.wait_for("^serving$")
    broker.send("/queue/work", "long-1", "long-2", "3", "4")
    for worker in workers:
        worker.wait_for("^got long-")  # its prefetch is one: each has one
    broker.die_and_return()
    for worker in workers:
        worker.say("go on")
        worker.say("sign")
    for worker in workers:
        worker.wait_for("^signed 2$")
    broker.send("/queue/work", *(str(number) for number in range(5, 25)))
    broker.send("/queue/work", "long-last", "long-last")
    for worker in workers:
        worker.wait_for("^got long-last$")
        worker.say("sign")
        worker.wait_for("^signed 2$", times=2)
        worker.end()
    got = [set(worker.all("^got (.*)")) for worker in workers]
    assert got[0] | got[1] == {"long-1", "long-2", "long-last", *(str(number) for number in range(3, 25))}
    assert all(len(each) > 5 for each in got), got
    assert broker.take_all("/queue/work") == []
    for name in "ab":
        signs = [json.loads(sign) for sign in broker.take_all(f"/queue/signs-{name}")]
        assert [(sign["module"], sign["internalerrors"]) for sign in signs][-1] == ("indexer", 0)
