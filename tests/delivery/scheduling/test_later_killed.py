"""kill -9 while delayed messages come due: each is in the schedule or in its queue, once."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

ROUNDS = 4
EACH = 150


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_nothing_is_lost_or_doubled(start_server: Any, new_client: Any, tmp_path: Any, seed: int) -> None:
    chance = random.Random(seed)
    sent: list[str] = []
    options = ("-q", "lmdb", "--monitor-interval=0", "--linger=0.1")
    for round in range(ROUNDS):
        server = start_server(*options, directory=tmp_path)
        client = new_client(server.port)
        for n in range(EACH):
            body = f"{round}-{n}"
            frame = f"SEND\ndestination:/queue/a\nx-delay:{chance.randint(1, 400)}\n\n{body}\0"
            client.send(frame)
            sent.append(body)
        client.nothing()
        end = time.monotonic() + chance.random() / 3
        while time.monotonic() < end:
            # Receipts keep the store at work while messages come due.
            client.nothing()
        server.kill()
    server = start_server(*options, directory=tmp_path)
    client = new_client(server.port)
    client.subscribe("/queue/a")
    got = [client.expect("MESSAGE").body for _ in sent]
    assert sorted(got) == sorted(sent)
    client.nothing()
    assert client.manage("schedule-list")["count"] == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "dbm", "activerecord"])
def test_every_store_keeps_it(start_server: Any, new_client: Any, tmp_path: Any, kind: str) -> None:
    options = ("-q", kind, "--monitor-interval=0", "--linger=0.1", "--memory-limit=16MiB")
    server = start_server(*options, directory=tmp_path)
    client = new_client(server.port)
    # Most of it is left to the store, which has to find them again by their keys.
    count = 3000
    for n in range(count):
        client.send(
            f"SEND\ndestination:/queue/a\nx-delay:{12_000 + n * 7 % 500}\npriority:{n % 10}\n\n{n:05}{'.' * 2000}\0"
        )
    client.nothing()
    server.kill()
    server = start_server(*options, directory=tmp_path)
    client = new_client(server.port)
    assert client.manage("schedule-list", limit="0")["count"] == count
    client.subscribe("/queue/a")
    frames = [client.expect("MESSAGE") for _ in range(count)]
    assert sorted(int(frame.body[:5]) for frame in frames) == list(range(count))
    assert all(frame["priority"] == str(int(frame.body[:5]) % 10) for frame in frames)
    client.nothing()
    server.kill()
    server = start_server(*options, directory=tmp_path)
    assert new_client(server.port).manage("schedule-list")["count"] == 0
