"""Lists of the management that very many connections ask for at once: each gets its answers, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
QUEUES = 2000
CLIENTS = 100
EACH = 3

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.long
def test_many_ask_for_long_lists_at_once(start_server: Any, talk: Callable[..., Any]) -> None:
    """A list, or that the server is too busy: an answer for each question, and nobody else waits."""
    server = start_server("--memory-limit", "32M", "--management", "all")
    maker = talk(server.port)
    for number in range(QUEUES):
        maker.send(
            f"SUBSCRIBE\nid:{number}\ndestination:/queue/of/{number:060}\n\n\0"
            if number < 900
            else f"SEND\ndestination:/queue/of/{number:060}\n\nx\0"
        )
    maker.done("SEND\ndestination:/queue/of/it\n\nx\0")
    clients = [talk(server.port) for _ in range(CLIENTS)]
    head = "SEND\ndestination:/queue/stompserver.management\naction:queues\n"
    question = f"{head}limit:{QUEUES}\nreply-to:/temp-queue/a\n\n\0"
    before = peak(server.process.pid)
    for client in clients:
        client.send("SUBSCRIBE\nid:1\ndestination:/temp-queue/a\n\n\0" + question * EACH)
    talk(server.port).echo()
    lists = busy = 0
    for client in clients:
        for _ in range(EACH):
            frame = client.frame()
            assert frame.startswith("MESSAGE\n"), frame[:300]
            lists += '"count": ' in frame
            busy += "too busy to make a list" in frame
    assert lists + busy == CLIENTS * EACH
    assert lists > 0
    grown = peak(server.process.pid) - before
    assert grown < 32 * MIB + 16 * MIB, f"{grown / MIB:.0f} MiB"
