"""The temporary queues of a client that is gone go in slices, however many messages they have together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from stompserver.broker.slices import BUDGET

NOW = 1_700_000_000_000
QUEUES = 50
EACH = 100
"""Messages in one: fewer than what is let go in slices by itself."""


@pytest.fixture
def full(new_world: Callable[..., Any]) -> Any:
    world = new_world(max_subscriptions=QUEUES)
    world.broker.tick(NOW)
    owner = world.connect("1.2")
    for number in range(QUEUES):
        owner.publish(f"/temp-queue/{number}", *[b"x"] * EACH)
    assert waiting(world) == QUEUES * EACH
    return world


def waiting(world: Any) -> int:
    return sum(queue.waiting for queue in world.broker.queues.values())


def test_a_slice_deletes_so_many_messages(full: Any) -> None:
    left = [waiting(full)]
    full.peers[0].session.lost()
    left.append(waiting(full))
    while waiting(full) and len(left) < 100:
        full.broker.tick(NOW + len(left))
        left.append(waiting(full))
    went = [before - after for before, after in pairwise(left)]
    assert 0 < max(went) <= BUDGET + EACH
    assert sum(went) == QUEUES * EACH
    assert not full.broker.queues
    assert (full.broker.memory.used, full.broker.memory.fixed) == (0, 0)


def test_nobody_reaches_those_that_are_left(full: Any) -> None:
    """Not even who has sent there, and is known to."""
    other = full.connect("1.2")
    names = list(full.broker.queues)
    for name in names:
        other.publish(name, b"before", b"before")
    full.peers[0].session.lost()
    there = waiting(full)
    assert there
    for name in names:
        other.publish(name, b"after")
    assert waiting(full) == there


def test_the_end_of_the_server_deletes_them(full: Any) -> None:
    full.peers[0].session.lost()
    assert waiting(full)
    full.broker.slices.finish()
    assert not full.broker.queues
