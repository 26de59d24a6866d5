"""A batch of ops as the LMDB store does it: kind by kind, with the octets of keys and values made beforehand.

A batch that has to be done again with a larger map is not encoded again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.oplog import MARK, PUT, REMOVE, Op
from stompserver.errors import StoreDamaged, StoreError
from stompserver.stores.record import decode, encode

NUMBER: Final = struct.Struct(">Q")
ATTEMPTS: Final = struct.Struct(">I")


class Queue:
    """A queue that holds messages, or is about to: its ``number`` in keys, and what it holds."""

    __slots__ = ("bytes", "count", "name", "number", "prefix")

    def __init__(self, name: str, number: int, count: int = 0, bytes: int = 0) -> None:
        self.name = name
        self.number: int = number
        self.prefix = NUMBER.pack(number)
        self.count: int = count
        self.bytes: int = bytes


class Step:
    """Ops of a batch that may be done kind by kind: first ``puts``, then ``marks``, then ``removes``, then
    the ``drop``. ``gains`` is what the puts add, by queue: messages and bytes; ``ordered`` whether each of their keys
    is above the one before.
    """

    __slots__ = ("drop", "gains", "marks", "ordered", "puts", "removes", "transient")

    def __init__(self) -> None:
        self.ordered = True
        self.puts: list[tuple[bytes, bytes]] = []
        self.gains: dict[Queue, tuple[int, int]] = {}
        self.transient: list[tuple[bytes, bytes]] = []
        self.marks: dict[bytes, bytes] = {}
        self.removes: dict[bytes, tuple[Queue, int]] = {}
        self.drop: Queue | None = None


def gathered(
    items: Iterable[tuple[bytes, bytes]], prefix: bytes, limit: int, room: int
) -> list[Message | bytes]:
    """Up to ``limit`` messages of keys and records, as long as the keys begin with ``prefix`` and until the messages
    hold ``room`` bytes (bench: drain). What cannot be read comes as its key. Raises StoreDamaged for what is no key.
    """
    found: list[Message | bytes] = []
    held = 0
    known = ""
    for place, record in items:
        if not place.startswith(prefix):
            break
        try:
            message = decode(int.from_bytes(place[8:], "big"), record, known)
            known = message.destination
        except (StoreError, ValueError):
            if len(place) != 2 * NUMBER.size:
                raise StoreDamaged(f"a key of {len(place)} octets") from None
            found.append(place)
        else:
            held += message.size
            found.append(message)
        if len(found) >= limit or held >= room:
            break
    return found


def planned(ops: list[Op], queues: dict[str, Queue], fresh: dict[str, Queue], number: int) -> list[Step]:
    """``ops`` as steps. ``fresh`` receives the queues that are not in ``queues``, numbered from ``number``.

    PUTs go ahead of MARKs and REMOVEs in one call, unless the same message was touched before in the batch.
    """
    step = Step()
    steps = [step]
    pack = NUMBER.pack
    puts, marks, removes = step.puts, step.marks, step.removes
    name: str | None = None
    queue: Queue | None = None
    prefix = newest = b""
    count = size = 0
    for op in ops:
        if op.queue != name:
            if count and queue is not None:
                _gain(step, queue, count, size)
                count = size = 0
            name = op.queue
            queue = queues.get(name) or fresh.get(name)
            if queue is not None:
                prefix = queue.prefix
        kind = op.kind
        if kind == PUT:
            message = op.message
            assert message is not None
            if queue is None:
                queue = fresh[op.queue] = Queue(op.queue, number + len(fresh))
                prefix = queue.prefix
            key = prefix + pack(op.key)
            if key in removes or key in marks:
                if count:
                    _gain(step, queue, count, size)
                    count = size = 0
                step = Step()
                steps.append(step)
                puts, marks, removes = step.puts, step.marks, step.removes
            if key <= newest and puts:
                step.ordered = False
            newest = key
            puts.append((key, encode(message)))
            count += 1
            size += message.size
            if not message.persistent:
                step.transient.append((key, pack(message.size)))
        elif queue is None:
            continue
        elif kind == REMOVE:
            removes[prefix + pack(op.key)] = (queue, op.size)
        elif kind == MARK:
            marks[prefix + pack(op.key)] = ATTEMPTS.pack(op.attempts)
        else:
            if count:
                _gain(step, queue, count, size)
                count = size = 0
            step.drop = queue
            step = Step()
            steps.append(step)
            puts, marks, removes = step.puts, step.marks, step.removes
    if count and queue is not None:
        _gain(step, queue, count, size)
    return steps


def _gain(step: Step, queue: Queue, count: int, size: int) -> None:
    before = step.gains.get(queue)
    step.gains[queue] = (count, size) if before is None else (before[0] + count, before[1] + size)
