"""Where messages that no index lists belong between those that it does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from stompserver.migrate.original import Item, Queue

# HOST-SECONDS-MICROSECONDS-N; N starts again whenever a queue was empty, the time does not.
_ID: Final = re.compile(r".*-([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,18})", re.DOTALL)

Stamp = tuple[int, int, int, str]


def stamp(id: str) -> Stamp:
    """When a message with that message-id was sent; after all others when it is none of the original's."""
    match = _ID.fullmatch(id)
    if match is None:
        return (1 << 62, 0, 0, id)
    return (int(match[1]), int(match[2]), int(match[3]), id)


def merge(listed: list[Item], recovered: list[Item]) -> list[Item]:
    """``listed`` in its order, with each of ``recovered`` before the first that was sent later."""
    merged: list[Item] = []
    waiting = sorted(recovered, key=lambda item: stamp(item.id), reverse=True)
    for item in listed:
        while waiting and stamp(waiting[-1].id) < stamp(item.id):
            merged.append(waiting.pop())
        merged.append(item)
    merged.extend(reversed(waiting))
    return merged


def gathered(listed: Iterable[tuple[str, list[Item]]], recovered: dict[str, list[Item]]) -> list[Queue]:
    """The queues with what the index has for each, in its order, and with what no index lists."""
    queues: dict[str, Queue] = {}
    for name, items in listed:
        if items:
            queues.setdefault(name, Queue(name)).items.extend(items)
    for name in sorted(recovered):
        queue = queues.setdefault(name, Queue(name))
        queue.items = merge(queue.items, recovered[name])
    return list(queues.values())
