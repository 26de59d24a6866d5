"""The command that imports, killed at any moment and run again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from stompserver.ctl.main import run; run()"]


def test_killed_at_any_moment_and_repeated_every_message_is_there_once(fixtures: Any, tmp_path: Path) -> None:
    source = fixtures.path("dbm/ruby18")
    storage = ["-q", "lmdb", "-w", str(tmp_path), "-s", str(tmp_path / "storage"), "store"]
    importing = [*COMMAND, *storage, "import-original", "--json", str(source)]
    for _ in range(8):
        running = subprocess.Popen(importing, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert running.stderr is not None
        # It says so right before it opens the store.
        running.stderr.readline()
        try:
            running.wait(random.random() * 0.1)
        except subprocess.TimeoutExpired:
            running.kill()
        running.wait()
        running.stderr.close()
    last = subprocess.run(importing, capture_output=True, check=True, timeout=60)
    (queue,) = [one for one in json.loads(last.stdout)["queues"] if one["queue"] == "/queue/many"]
    assert queue["taken"] + queue["already"] == 150
    done = subprocess.run(
        [*COMMAND, *storage, "stats", "--json"], capture_output=True, check=True, timeout=60
    )
    counts = {name: one["messages"] for name, one in json.loads(done.stdout)["queues"].items()}
    assert counts == {name: len(found) for name, found in fixtures.delivered("dbm/ruby18").items() if found}
