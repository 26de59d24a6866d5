"""pigeon-client looks at `destination` to find out whose message it is: a dead letter names its queue there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long
POLICIES = """
policies:
  /queue/jobs:
    deadletter: /queue/DLQ.%
"""


def test_dead_letters(start_broker: Any, start_program: Any, tmp_path: Path) -> None:
    """Jobs that a worker refuses reach the pigeon that listens for them, before a loss and after it."""
    interpreter = python("pigeon")
    (tmp_path / "broker.conf").write_text(POLICIES)
    broker = start_broker("--config", str(tmp_path / "broker.conf"))
    pigeon = start_program(interpreter, HERE / "pigeon/service.py", broker.port, "/queue/DLQ.jobs")
    pigeon.wait_for("^ready$")
    pigeon.say("first")
    broker.wait_until_stored("/queue/jobs", 1)
    broker.refuse_all("/queue/jobs")
    pigeon.wait_for("^/queue/DLQ.jobs: first$")
    pigeon.say("second")
    broker.wait_until_stored("/queue/jobs", 1)
    broker.die_and_return()
    broker.refuse_all("/queue/jobs")
    pigeon.wait_for("^/queue/DLQ.jobs: second$")
    pigeon.say("third")
    broker.wait_until_stored("/queue/jobs", 1)
    broker.refuse_all("/queue/jobs")
    pigeon.wait_for("^/queue/DLQ.jobs: third$")
    pigeon.end()
    assert broker.take_all("/queue/DLQ.jobs") == []
    assert broker.take_all("/queue/jobs") == []
