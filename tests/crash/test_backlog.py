"""A backlog is bounded by the disk, not by memory, and a restart does not read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIMIT = "--memory-limit=16MiB"
SLACK = 48 << 20  # bytes: the limit, and what the interpreter keeps of what is gone


def _resident(server: Any) -> int:
    """Bytes of the server's own memory: without what it maps of files, which the system may take back."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def _work_off(
    kind: str, count: int, size: int, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    bodies = [f"{number} {size * 'x'}" for number in range(count)]
    third = count // 3
    server = restart(kind, LIMIT)
    start = _resident(server)
    client = connect(server)
    client.put("/queue/large", bodies[:third])
    assert _resident(server) < start + SLACK
    # Some consumed before the end, some handed out.
    client.subscribe("/queue/large", "client-individual", "prefetch-count:500\n")
    for body in bodies[:300]:
        frame = client.next()
        assert frame.body.decode() == body
        client.send(f"ACK\nid:{frame.headers['ack']}\n\n\0")
    client.settle("ACK", client.next())
    server.kill()

    server = restart(kind, LIMIT)
    assert _resident(server) < start + (8 << 20)
    assert f"/queue/large has {third - 301} messages" in server.log()
    client = connect(server)
    client.put("/queue/large", bodies[third : 2 * third])
    server.stop()

    server = restart(kind, LIMIT)
    assert _resident(server) < start + (8 << 20)
    first = connect(server)
    first.put("/queue/large", bodies[2 * third :])
    # Read while more comes: what is new is behind what is old.
    assert [f.body.decode() for f in first.drain("/queue/large")] == bodies[301:]
    assert _resident(server) < start + SLACK


def test_a_backlog_beyond_memory_keeps_its_order(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    _work_off(kind, 9000, 3000, restart, connect)


@pytest.mark.long
def test_a_backlog_far_beyond_memory_keeps_its_order(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    _work_off(kind, 60_000, 2000, restart, connect)


def test_many_backlogs_together_are_not_bounded_by_memory_either(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    server = restart(kind, "--memory-limit=2MiB")
    client = connect(server)
    queues = [f"/queue/{number}" for number in range(100)]
    bodies = [f"{number} {1000 * 'x'}" for number in range(60)]
    for queue in queues:
        client.put(queue, bodies)
    for queue in queues[::10]:
        assert client.bodies(queue) == bodies
    server.kill()
    client = connect(restart(kind, "--memory-limit=2MiB"))
    for queue in queues[::9]:
        assert client.bodies(queue) == (bodies if queue not in queues[::10] else [])


def test_what_is_sent_while_a_paged_backlog_is_consumed_comes_after_it(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    server = restart(kind, LIMIT)
    producer = connect(server)
    consumer = connect(server)
    producer.put("/queue/both", [str(number) for number in range(6000)])
    consumer.subscribe("/queue/both", "client-individual", "prefetch-count:50\n")
    seen = []
    back: dict[str, int] = {}
    number = 6000
    while len(seen) < 12_000:
        frame = consumer.next()
        body = frame.body.decode()
        if int(body) % 7 == 0 and body not in back:
            back[body] = len(seen)
            consumer.send(f"NACK\nid:{frame.headers['ack']}\n\n\0")
            continue
        assert ("redelivered" in frame.headers) == (body in back)
        consumer.send(f"ACK\nid:{frame.headers['ack']}\n\n\0")
        seen.append(body)
        if number < 12_000 and len(seen) % 100 == 0:
            producer.put("/queue/both", [str(n) for n in range(number, number + 100)])
            number += 100
    straight = [int(body) for body in seen if body not in back]
    assert straight == sorted(set(range(12_000)) - {int(body) for body in back})
    # What came back was delivered again before most of what was behind it.
    assert max(seen.index(body) - at for body, at in back.items()) <= 100
