"""The frames a run sends, encoded before the clock starts.

Only literal bytes and nothing of the server's own codec, so that a mistake there cannot agree with itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

DIGITS = 12
"""Width of a message's number in its `seq` header (and in its receipt)."""

CHUNK_BYTES = 64 * 1024
LARGE_BODY = 2048
"""From this size on, the kernel gets the body from one shared object instead of a copy per message."""


@cache
def body_of(size: int) -> bytes:
    """`size` bytes of printable text without NUL or line ends, the same for every message."""
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
    return (letters * (size // len(letters) + 1))[:size]


def numbers(count: int) -> bytes:
    """The digits of 0 .. count - 1, one after the other: what a receiver of a whole stream must see."""
    block = b"".join(b"@@@@@@@@%04d" % index for index in range(10_000))
    laps = -(-count // 10_000)
    return b"".join(block.replace(b"@@@@@@@@", b"%08d" % lap) for lap in range(laps))[: count * DIGITS]


class Stream:
    """Endless numbered SEND frames, cut into chunks of many frames.

    A block of `10 ** k` frames is encoded once.  Its numbers are decimal, so the k low digits belong to the
    place in the block and the high ones to the lap: one `bytes.replace` per chunk makes every message of
    every lap unique (`seq`, `correlation-id`, and `receipt` when asked for) for about 80 ns each.

    `destinations` are taken in turn, message i goes to `destinations[i % len(destinations)]`; their number
    must divide the block's size.  With `receipts`, every `receipt_each`-th asks for one.  `transaction` frames
    at a time lie between BEGIN and COMMIT, and no chunk ends within one.
    """

    def __init__(
        self,
        destinations: Sequence[bytes],
        body: bytes,
        *,
        receipts: bool = False,
        single: bool = False,
        persistent: bool = False,
        receipt_each: int = 1,
        transaction: int = 0,
        block: int = 10_000,
        per_chunk: int = 0,
    ) -> None:
        self.body = body
        size = block if len(body) < LARGE_BODY else 100
        if size % len(destinations):
            raise ValueError(f"{len(destinations)} destinations do not divide a block of {size} messages")
        self.block_size = size
        low = len(str(size - 1))
        self.lap_digits = DIGITS - low
        self.mark = b"@" * self.lap_digits
        self.receipts = receipts
        self.receipt_each = receipt_each
        self.persistent = persistent
        self.transaction = transaction
        noise = random.Random(1)
        heads = []
        for index in range(size):
            number = b"%s%0*d" % (self.mark, low, index)
            heads.append(self._head(destinations[index % len(destinations)], index, number, noise))
        self._tail = self._end()
        step = max(receipt_each, transaction)
        most = per_chunk or max(1, CHUNK_BYTES // (len(heads[0]) + len(self._tail)))
        self.frames_per_chunk = 1 if single else step * _divisor(size // step, max(1, most // step))
        self.chunks_per_lap = size // self.frames_per_chunk
        self._large = len(body) >= LARGE_BODY
        if self._large:
            self._heads = heads
        else:
            frames = [head + self._tail for head in heads]
            for name in range(size // transaction if transaction else 0):
                frames[name * step + step - 1] += self._commit(name)
            self._chunks = [
                b"".join(frames[start : start + self.frames_per_chunk])
                for start in range(0, size, self.frames_per_chunk)
            ]

    def _head(self, destination: bytes, index: int, number: bytes, noise: random.Random) -> bytes:
        """All of frame `index` of the block but its body."""
        parts = [
            b"SEND\ndestination:%s\ncontent-length:%d\ncorrelation-id:%08x-%s\nseq:%s\n"
            % (destination, len(self.body), noise.getrandbits(32), number, number)
        ]
        if self.persistent:
            parts.append(b"persistent:true\n")
        if self.transaction:
            name = index // self.transaction
            parts.append(b"transaction:t%d\n" % name)
            if index % self.transaction == 0:
                parts.insert(0, b"BEGIN\ntransaction:t%d\n\n\0" % name)
        if self.receipts and (index + 1) % self.receipt_each == 0:
            parts.append(b"receipt:%s\n" % number)
        return b"".join(parts) + b"\n"

    def _commit(self, name: int) -> bytes:
        """What ends transaction `name` of the block."""
        return b"COMMIT\ntransaction:t%d\n\n\0" % name

    def _end(self) -> bytes:
        """The body, and what ends a frame."""
        return self.body + b"\0"

    def chunk(self, index: int) -> list[bytes]:
        """The buffers of chunk `index`: messages `index * frames_per_chunk` and those that follow."""
        lap, place = divmod(index, self.chunks_per_lap)
        digits = b"%0*d" % (self.lap_digits, lap)
        if not self._large:
            return [self._chunks[place].replace(self.mark, digits)]
        start = place * self.frames_per_chunk
        buffers = []
        for head in self._heads[start : start + self.frames_per_chunk]:
            buffers.append(head.replace(self.mark, digits))
            buffers.append(self._tail)
        return buffers

    def whole_chunks(self, messages: int) -> int:
        """`messages` rounded up to whole chunks, as a number of messages."""
        return -(-messages // self.frames_per_chunk) * self.frames_per_chunk


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of `number` that is not above `at_most`."""
    return next(d for d in range(min(number, at_most), 0, -1) if number % d == 0)


def marker(destination: bytes, number: int) -> bytes:
    """One message outside the clock: what a queue must deliver next when nothing is left in it."""
    return b"SEND\ndestination:%s\ncontent-length:3\nseq:%0*d\n\nend\0" % (destination, DIGITS, number)


def connect(version: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """A CONNECT frame that asks for no heart-beats."""
    lines = [f"accept-version:{version}", "heart-beat:0,0", *(f"{name}:{value}" for name, value in headers)]
    return ("CONNECT\n" + "\n".join(lines) + "\n\n\0").encode()


def subscribe(
    destination: bytes, id: int, ack: str, receipt: str, headers: Sequence[tuple[str, str]]
) -> bytes:
    """A SUBSCRIBE frame, with a receipt if `receipt` is not empty."""
    lines = [f"id:{id}", f"ack:{ack}", *(f"{name}:{value}" for name, value in headers)]
    if receipt:
        lines.append(f"receipt:{receipt}")
    return b"SUBSCRIBE\ndestination:%s\n%s\n\n\0" % (destination, "\n".join(lines).encode())
