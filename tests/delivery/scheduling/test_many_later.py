"""Very many messages for later, more than memory holds, and a restart in the middle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

COUNT = 30_000  # what memory-limit lets the schedule have, in a store
BODY = "." * 6000
LIMIT_MIB = 128
BESIDE_MIB = 60  # the interpreter, and what is on its way


def resident(server: Any) -> float:
    """MiB of the server's own memory; pages of LMDB's file are the system's."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) / 1024


@pytest.mark.long
def test_they_come_in_order_within_the_memory_limit(
    start_server: Any, new_client: Any, tmp_path: Path
) -> None:
    options = ("-q", "lmdb", "--monitor-interval=0", "--linger=0.1", f"--memory-limit={LIMIT_MIB}MiB")
    server = start_server(*options, directory=tmp_path)
    client = new_client(server.port)
    # Due while the second server runs; those that are overdue by then come first all the same.
    start = int(time.time() * 1000) + 60_000
    due = [start + number * 7919 % 10_000 for number in range(COUNT)]
    for first in range(0, COUNT, 200):
        client.send(
            "".join(
                f"SEND\ndestination:/queue/a\nAMQ_SCHEDULED_TIME:{due[number]}\n\n{number:06}{BODY}\0"
                for number in range(first, first + 200)
            )
        )
    client.nothing()
    assert client.manage("schedule-list", limit="0")["count"] == COUNT
    assert resident(server) < LIMIT_MIB + BESIDE_MIB
    server.kill()
    server = start_server(*options, directory=tmp_path)
    assert resident(server) < LIMIT_MIB + BESIDE_MIB
    client = new_client(server.port)
    client.socket.settimeout(120)
    client.subscribe("/queue/a")
    order = []
    for _ in range(COUNT):
        frame = client.expect("MESSAGE")
        order.append(int(frame.body[:6]))
    assert time.time() * 1000 >= max(due)
    assert order == sorted(range(COUNT), key=lambda number: (due[number], number))
    client.nothing()
    assert client.manage("schedule-list")["count"] == 0
    assert resident(server) < LIMIT_MIB + BESIDE_MIB
