"""workflows' StompTransport: an ACK and the result in one transaction."""

from __future__ import annotations

from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long


def test_results_are_exactly_once(start_broker: Any, start_program: Any) -> None:
    """The server is killed while a message is in work; no result is missing, and none comes twice."""
    interpreter = python("zocalo")
    broker = start_broker("--dialect", "activemq")
    names = ["1", "2", "long", "3", "4"]
    broker.send("/queue/zocalo.work", *(f'{{"name": "{name}"}}' for name in names))
    service = start_program(interpreter, HERE / "zocalo/service.py", broker.port)
    service.wait_for("^working$")
    broker.die_and_return()
    service.say("go on")
    service.wait_for("^serving$", times=2)
    broker.send("/queue/zocalo.work", '{"name": "last"}')
    service.wait_for("^done last$")
    broker.wait_until_stored("/queue/zocalo.results", len(names) + 1)
    service.kill()
    results = broker.take_all("/queue/zocalo.results")
    assert sorted(results) == sorted(f'{{"name": "{name}"}}' for name in [*names, "last"]), service
    assert broker.take_all("/queue/zocalo.work") == []
