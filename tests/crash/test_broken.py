"""A store that fails for another reason than room: no more receipts, a line in the log, an exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def _send_until_gone(client: Any, gone: type[Exception]) -> tuple[int, int]:
    """How many messages were sent until the server closed the connection, and how many have receipts."""
    sent, kept = 0, 0
    try:
        while sent - kept < 100:
            sent += 1
            client.send(f"SEND\ndestination:/queue/kept\nreceipt:{sent}\n\n{sent} {30_000 * 'x'}\0")
            while client.poll(0.0 if sent - kept < 20 else 1.0):
                frame = client.next()
                if frame.command == "RECEIPT":
                    kept += 1
                    assert frame.headers["receipt-id"] == str(kept)
    except gone:
        return sent, kept
    pytest.fail(f"neither receipts nor an end\n{client.server.log()}")


@pytest.mark.parametrize("kind", ["lmdb", pytest.param("file", marks=pytest.mark.long)])
def test_a_storage_that_is_moved_away_ends_the_server(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], gone: type[Exception], tmp_path: Path
) -> None:
    server = restart(kind, "--shutdown-timeout=1")
    client = connect(server)
    client.put("/queue/kept", ["first"])
    storage = tmp_path / ".stompserver"
    away = storage.rename(tmp_path / "away")
    sent, kept = _send_until_gone(client, gone)
    # It ends by itself: a signal in its last moment would take its exit code.
    server.process.wait(30)
    log = server.stop(expect=1)
    assert "CRITICAL The store failed: " in log
    assert "No such file or directory" in log
    assert "stopped by a failure" in log
    away.rename(storage)
    found = connect(restart(kind)).bodies("/queue/kept")
    assert found[0] == "first"
    numbers = [int(body.partition(" ")[0]) for body in found[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert kept <= len(numbers) <= sent
