"""No room: producers are refused and told why, consumers go on, and so does all when there is room again.

The room is made small by the limit that the system puts on the size of this process's files.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if not hasattr(resource, "prlimit"):
    pytest.skip("limits of another process can be set on Linux only", allow_module_level=True)

BODY = 20_000 * "x"


def _limit(server: Any, bytes: int) -> None:
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (bytes, hard))


def _largest(directory: Path) -> int:
    return max(path.stat().st_size for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["lmdb"])
def test_a_full_disk_refuses_producers_and_serves_consumers(
    kind: str,
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    gone: type[Exception],
    tmp_path: Path,
) -> None:
    server = restart(kind, "--storage-reserve=64KiB")
    bodies = (f"{number} {BODY}" for number in range(10**6))
    client = connect(server)
    first = [next(bodies) for _ in range(100)]
    client.put("/queue/full", first)
    _limit(server, _largest(tmp_path) + (2 << 20))
    try:
        kept, open_, error = client.fill("/queue/full", bodies)
    except gone:
        pytest.fail(f"closed without an ERROR\n{server.log()}")
    assert error.headers["message"] == "The storage is full"
    assert b"Send again later" in error.body
    server.wait_for_log("No room for messages, producers are refused")

    # Each one who sends is told, and a transaction as well; what asks not to be kept needs no room.
    client = connect(server)
    client.send(f"SEND\ndestination:/queue/full\nreceipt:1\n\n{BODY}\0")
    error = client.next()
    assert (error.command, error.headers["receipt-id"]) == ("ERROR", "1")
    client = connect(server)
    client.send(
        f"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/full\ntransaction:t\n\n{BODY}\0"
        "COMMIT\ntransaction:t\nreceipt:2\n\n\0"
    )
    error = client.next()
    assert (error.command, error.headers["message"]) == ("ERROR", "The storage is full")
    client = connect(server)
    client.subscribe("/queue/fleeting")
    client.send("SEND\ndestination:/queue/fleeting\npersistent:false\n\nhere\0")
    assert client.next().body == b"here"

    # Who consumes goes on; what is consumed makes room for what waits, and then receipts come.
    connect(server).consume("/queue/full", first[:80])

    _limit(server, resource.RLIM_INFINITY)
    server.wait_for_log("There is room for messages again", 20)
    client = connect(server)
    client.put("/queue/full", ["after"])
    server.kill()
    found = connect(restart(kind)).bodies("/queue/full")
    assert found[-1] == "after"
    expected = first[80:] + kept
    assert found[: len(expected)] == expected
    # Those without a receipt may be there, in their order; the one that was refused is not.
    rest = found[len(expected) : -1]
    assert rest == [body for body in open_[:-1] if body in rest]
    assert open_[-1] not in found


@pytest.mark.long
@pytest.mark.parametrize("kind", ["lmdb"])
def test_a_killed_server_that_was_full_keeps_what_got_a_receipt(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], tmp_path: Path
) -> None:
    server = restart(kind, "--storage-reserve=64KiB")
    bodies = (f"{number} {BODY}" for number in range(10**6))
    kept = [next(bodies) for _ in range(100)]
    connect(server).put("/queue/full", kept)
    _limit(server, _largest(tmp_path) + (2 << 20))
    more, open_, _ = connect(server).fill("/queue/full", bodies)
    kept += more
    connect(server).consume("/queue/full", kept[:80])
    server.kill()
    found = connect(restart(kind)).bodies("/queue/full")
    assert found[: len(kept) - 80] == kept[80:]
    assert set(found[len(kept) - 80 :]) <= set(open_[:-1])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["lmdb"])
def test_a_stop_while_full_says_what_it_could_not_store(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any], tmp_path: Path
) -> None:
    server = restart(kind, "--storage-reserve=64KiB", "--shutdown-timeout=0.5")
    bodies = (f"{number} {BODY}" for number in range(10**6))
    _limit(server, _largest(tmp_path) + (3 << 20))
    kept, open_, _ = connect(server).fill("/queue/full", bodies)
    server.stop()
    found = connect(restart(kind)).bodies("/queue/full")
    assert found[: len(kept)] == kept
    assert set(found[len(kept) :]) <= set(open_[:-1])
