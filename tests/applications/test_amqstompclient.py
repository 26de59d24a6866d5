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
        worker.say("long-1")
        worker.say("long-2")
    for worker in workers:
        worker.wait_for("^signed 2$")
    broker.send("/queue/work", *(str(number) for number in range(5, 25)), "long-3", "long-4")
    for worker in workers:
        worker.wait_for("^got long-[34]$")
        worker.wait_for("^signed 2$", times=2)
        worker.kill()
    got = [set(worker.all("^got (.*)")) for worker in workers]
    long = {f"long-{number}" for number in range(1, 5)}
    assert got[0] | got[1] == long | {str(number) for number in range(3, 25)}
    assert broker.take_all("/queue/work") == ["long-3", "long-4"]  # they were in work
    for name in "ab":
        signs = [json.loads(sign) for sign in broker.take_all(f"/queue/signs-{name}")]
        assert (signs[-1]["module"], signs[-1]["internalerrors"]) == ("indexer", 0)  # no ERROR
