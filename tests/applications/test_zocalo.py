"""zocalo.dlq_purge writes dead letters into files, zocalo.dlq_reinject sends them back; both as installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from environments import HERE, python

from relay import CuttingRelay

pytestmark = pytest.mark.long
POLICIES = """
policies:
  /queue/zocalo.>:
    deadletter: /queue/DLQ.%
"""


def test_purge_and_reinject(start_broker: Any, start_program: Any, tmp_path: Path) -> None:
    """The purge loses its connection after two of three, and is run again; the server dies before the way back."""
    interpreter = python("zocalo")
    (tmp_path / "broker.conf").write_text(POLICIES)
    broker = start_broker("--config", str(tmp_path / "broker.conf"), "--dialect", "activemq")
    names = ["bad", "worse", "worst"]
    bodies = [f'{{"name": "{name}"}}' for name in names]
    broker.send("/queue/zocalo.work", *bodies, '{"name": "good"}')

    # With ActiveMQ's dialect a NACK means: to the dead letter queue.
    service = start_program(interpreter, HERE / "zocalo/service.py", broker.port, *names)
    service.wait_for("^done good$")
    broker.wait_until_stored("/queue/DLQ.zocalo.work", 3)
    service.kill()

    relay = CuttingRelay(broker.port, messages=2)
    letters = tmp_path / "letters"

    def purge(port: int) -> Any:
        address = ("-t", "StompTransport", "--stomp-host", "127.0.0.1", "--stomp-port", port)
        return start_program(
            interpreter.with_name("zocalo.dlq_purge"), *address, "--wait", 10, "--location", letters
        )

    cut = purge(relay.port)
    relay.wait_until_cut(120)
    cut.wait_for_end()
    assert len(list(letters.glob("*/msg-*"))) == 2, cut
    again = purge(broker.port)
    again.wait_for("^Done")
    again.wait_for_end()
    files = sorted(letters.glob("*/msg-*"))
    assert [json.loads(file.read_text())["message"]["name"] for file in files] == names, again
    assert broker.take_all("/queue/DLQ.zocalo.work") == []

    reinject = start_program(
        interpreter.with_name("zocalo.dlq_reinject"),
        *("-t", "StompTransport", "--stomp-host", "127.0.0.1", "--stomp-port", broker.port, "--remove"),
        *files,
    )
    reinject.wait_for_end()
    broker.wait_until_stored("/queue/zocalo.work", 3)
    broker.die_and_return()
    service = start_program(interpreter, HERE / "zocalo/service.py", broker.port)
    for name in names:
        service.wait_for(f"^done {name}$")
    broker.wait_until_stored("/queue/zocalo.results", 4)
    assert sorted(broker.take_all("/queue/zocalo.results")) == sorted([*bodies, '{"name": "good"}'])
