"""Many messages of a recorded shape, each with its own number."""

from __future__ import annotations

import random

from bench.frames import Stream
from bench.shapes.shape import NUMBER, QUEUE, UUID, Shape

TRANSACTION = 100
"""Messages in one, where the client sends in transactions."""
MADE_UP = b"9b2d5b4e-0f6a-4c39-8d5e-%s"
"""Stands for what the client made up; the digits of a number follow."""
SAME = MADE_UP % b"000000000000"


class ShapeStream(Stream):
    """The SEND of a shape instead of the benchmark's own; BEGIN and COMMIT around each hundred if it has them."""

    def __init__(self, shape: Shape, destination: bytes) -> None:
        self._frames = {
            command: to(frame, destination)
            for command, frame in shape.frames.items()
            if command in ("BEGIN", "SEND", "COMMIT")
        }
        body = self._frames["SEND"].partition(b"\n\n")[2].partition(b"\0")[0]
        super().__init__((destination,), body, transaction=TRANSACTION if shape.transactional() else 0)

    def _head(self, destination: bytes, index: int, number: bytes, noise: random.Random) -> bytes:
        """The whole frame: where its number is, is the shape's affair."""
        frame = self._frames["SEND"].replace(NUMBER, number)
        if not self.transaction:
            return frame.replace(UUID, MADE_UP % number)
        first = index % self.transaction == 0
        whole = (self._frames["BEGIN"] if first else b"") + frame
        return whole.replace(UUID, self._named(index // self.transaction))

    def _commit(self, name: int) -> bytes:
        return self._frames["COMMIT"].replace(UUID, self._named(name))

    def _named(self, name: int) -> bytes:
        """What the client calls that transaction of the block; another in each lap."""
        return MADE_UP % (b"%s%0*d" % (self.mark, len(str(self.block_size - 1)), name))

    def _end(self) -> bytes:
        return b""


def to(frame: bytes, destination: bytes) -> bytes:
    """The frame with another destination than the recorded one."""
    return frame.replace(b"\ndestination:%b\n" % QUEUE, b"\ndestination:%b\n" % destination)


def subscribe_of(shape: Shape, mode: str, destination: bytes, more: bytes = b"") -> bytes:
    """The client's SUBSCRIBE with more header lines at its beginning."""
    frame = to(shape.frames[f"SUBSCRIBE {mode}"], destination).replace(UUID, SAME)
    command, _, rest = frame.partition(b"\n")
    return b"%b\n%b%b" % (command, more, rest)


def ack_of(shape: Shape, mode: str, destination: bytes) -> bytes:
    """The client's ACK with marks for what it has from the MESSAGE; nothing for `auto`."""
    return to(shape.frames.get(f"ACK {mode}", b""), destination).replace(UUID, SAME)


_encoded: dict[tuple[str, bytes], ShapeStream] = {}


def shape_stream(shape: Shape, destination: bytes) -> ShapeStream:
    """Encoded once per process and shared by all servers and rounds."""
    key = shape.name, destination
    if key not in _encoded:
        _encoded[key] = ShapeStream(shape, destination)
    return _encoded[key]
